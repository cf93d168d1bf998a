"""The command line. Holds no logic, and imports what computes only when a command needs it."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from lrbench.errors import LrbenchError, UsageError

if TYPE_CHECKING:
    from rich.console import Console

    from lrbench.registry import Registry
    from lrbench.runner import Session

EPILOG = "`lrbench run quick` runs the shipped five-minute suite. Exit status: 0 done, 1 the run failed, 2 wrong usage."


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; give the exit status."""
    given = _parser().parse_args(arguments)
    try:
        status: int = given.command(given)
    except LrbenchError as error:
        _say(str(error))
        return error.exit_status
    except MemoryError:
        _say("out of memory; finished steps are kept, the same command goes on from there")
        return 1
    except KeyboardInterrupt:
        _say("stopped; finished steps are kept, the same command goes on from there")
        return 1
    except BrokenPipeError:
        # The reader of our output has gone; Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    return status


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="lrbench",
        description="Does a low-rank representation make a network robust, and how would you know?",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(metavar="COMMAND", required=True)

    for name, command, text in (
        ("run", _run, "run a suite, or go on with it, and print its leaderboard"),
        ("plan", _plan, "show the steps of a suite, what is done and what the rest will cost"),
    ):
        sub = commands.add_parser(name, help=text, description=text)
        sub.add_argument("suite", metavar="SUITE", help="path of a YAML file, or the name of a shipped suite")
        sub.add_argument("--out", metavar="DIR", help="folder of the results (default: runs/NAME)")
        sub.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
        sub.add_argument(
            "--data-dir", metavar="DIR", help="folder of the data sets (default: $LRBENCH_DATA, else a cache folder)"
        )
        if name == "run":
            sub.add_argument("--jobs", type=_jobs, default=1, metavar="N", help="steps side by side (default: 1)")
            sub.add_argument(
                "--engine", choices=("local", "ray"), default="local", help="processes here, or a Ray cluster"
            )
            sub.add_argument("--address", metavar="A", help="of a running Ray cluster (default: start one)")
            sub.add_argument("--gpus", type=float, default=1.0, metavar="G", help="what a step takes of a GPU on Ray")
        sub.set_defaults(command=command)

    _add_own_models(commands)
    show = commands.add_parser("show", help="print the leaderboard of a run")
    show.add_argument("folder", metavar="DIR", help="folder of a run")
    show.set_defaults(command=_show)

    report = commands.add_parser("report", help="write a run's report: one HTML file that needs no network")
    report.add_argument("folder", metavar="DIR", help="folder of a run")
    report.add_argument("--out", metavar="FILE", help="default: DIR/report.html")
    report.set_defaults(command=_report)

    publish = commands.add_parser("publish", help="add a run to the published leaderboards, after checking it")
    publish.add_argument("folder", metavar="DIR", nargs="?", help="folder of a finished run")
    publish.add_argument("--to", default="leaderboards", metavar="DIR", help="default: leaderboards")
    publish.add_argument("--check", action="store_true", help="only hold what is published against its checksums")
    publish.set_defaults(command=_publish)

    export = commands.add_parser("export", help="write a model's figures in the form of another leaderboard")
    export.add_argument("source", metavar="DIR:MODEL", help="a model of a run")
    export.add_argument("--robustbench", action="store_true", required=True, help="as RobustBench's model_info JSON")
    for what in ("name", "authors", "venue", "link", "architecture"):
        export.add_argument(f"--{what}", metavar="TEXT", help=f"its {what}, which a run cannot know")
    export.set_defaults(command=_export)

    compare = commands.add_parser("compare", help="hold two runs, or two models, against each other on the same images")
    for side in ("A", "B"):
        compare.add_argument(side.lower(), metavar=side, help="DIR, DIR:MODEL or DIR:MODEL@SEED,...")
    compare.add_argument("--format", default="table", choices=("table", "markdown", "csv", "json", "latex"))
    compare.set_defaults(command=_compare)

    for name, kind in (("models", "MODELS"), ("attacks", "ATTACKS"), ("datasets", "DATASETS")):
        listing = commands.add_parser(name, help=f"list the {name} that a suite can name")
        listing.set_defaults(command=_list, catalogue=kind)
    commands.add_parser("suites", help="list the shipped suites").set_defaults(command=_suites)
    return parser


def _add_own_models(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    register = commands.add_parser("register", help="add a model of yours to this folder's lrbench.yaml, looked over")
    register.add_argument("name", metavar="NAME", help="what to call it")
    register.add_argument(
        "--factory", required=True, metavar="F", help="FILE.py:FUNCTION, PACKAGE.MODULE:FUNCTION, ..."
    )
    register.add_argument(
        "--weights", metavar="FILE", help="trained weights, .safetensors or .pt (default: to be trained)"
    )
    register.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="passed to the factory")
    register.add_argument("--no-normalize", action="store_true", help="it takes pixels in [0, 1] as they are")
    register.add_argument("--data", default="digits", metavar="SET", help="data set it is for (default: digits)")
    register.add_argument("--shape", metavar="CxHxW", help="look it over with noise of this shape instead of data")
    register.add_argument("--classes", type=int, default=10, metavar="N", help="with --shape (default: 10)")
    register.add_argument("--data-dir", metavar="DIR", help="folder of the data sets")
    register.set_defaults(command=_register)

    evaluate = commands.add_parser("evaluate", help="run a single model through a suite")
    evaluate.add_argument("name", metavar="NAME", help="of lrbench.yaml or `lrbench models`, or such as timm:resnet18")
    evaluate.add_argument("--suite", default="quick", metavar="SUITE", help="default: quick")
    evaluate.add_argument(
        "--beside", action="append", default=[], metavar="MODEL", help="a model of the suite to measure, too"
    )
    evaluate.add_argument(
        "--layer", action="append", default=[], metavar="OLD=NEW", help="layer to take for the suite's"
    )
    evaluate.add_argument("--out", metavar="DIR", help="folder of the results (default: runs/SUITE-NAME)")
    evaluate.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    evaluate.add_argument("--data-dir", metavar="DIR", help="folder of the data sets")
    evaluate.set_defaults(command=_evaluate)


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lrbench import __version__  # noqa: PLC0415

        parser.exit(message=f"lrbench {__version__}\n")


def _console() -> "Console":
    from rich.console import Console  # noqa: PLC0415

    # Away from a terminal rich assumes 80 columns, which would break the tables of a log.
    return Console() if sys.stdout.isatty() else Console(width=140)


def _jobs(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 256:
        msg = f"expected a number from 1 to 256, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return int(text)


def _say(text: str) -> None:
    sys.stderr.write(f"lrbench: {text}\n")


def _session(given: argparse.Namespace) -> "Session":
    from lrbench.suite import load_suite  # noqa: PLC0415

    # Before torch is loaded, which takes seconds: most mistakes are in the suite's text.
    load_suite(given.suite)
    from lrbench.runner import Session  # noqa: PLC0415
    from lrbench.runner.place import Place  # noqa: PLC0415

    place = Place()
    if hasattr(given, "jobs"):
        place = Place(given.engine, given.jobs, given.address, given.gpus)
    return Session.open(given.suite, given.out, given.device, given.data_dir, _say, place)


def _run(given: argparse.Namespace) -> int:
    return _finish(_session(given))


def _finish(session: "Session") -> int:
    from lrbench.display import display_for  # noqa: PLC0415
    from lrbench.leaderboard.render import print_board  # noqa: PLC0415

    console = _console()
    with display_for(console) as display:
        board = session.run(display)
    print_board(board, console)
    console.print(f"Results in {session.store.root}", soft_wrap=True, markup=False, highlight=False)
    if not board.failures:
        return 0
    first, reason = next(iter(board.failures.items()))
    more = f", and {len(board.failures) - 1} steps more" if len(board.failures) > 1 else ""
    _say(f"{first} failed: {reason}{more}; the same command tries them again")
    return 1


def _register(given: argparse.Namespace) -> int:
    from lrbench.models.external import code_of  # noqa: PLC0415
    from lrbench.runner.environment import data_folder  # noqa: PLC0415
    from lrbench.runner.register import register  # noqa: PLC0415

    spec = {"arch": given.factory, **_options(given.option)}
    if given.weights:
        spec["weights"] = given.weights
    if given.no_normalize:
        spec["normalize"] = False
    if code := code_of(given.factory):
        _say(f"running {code}")
    findings, replaced = register(
        given.name, spec, data=given.data, shape=given.shape, classes=given.classes, root=data_folder(given.data_dir)
    )
    for finding in findings:
        sys.stdout.write(f"{'  ' if finding.level == 'good' else '! '}{finding.text}\n")
    sys.stdout.write(
        f"{given.name} {'replaced' if replaced else 'added'} in lrbench.yaml; `lrbench evaluate {given.name}` measures "
        "it, and a suite's models can extend it\n"
    )
    return 0


def _options(pairs: list[str]) -> dict[str, Any]:
    import yaml  # noqa: PLC0415

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            msg = f"--option {pair}: expected KEY=VALUE"
            raise UsageError(msg)
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            found[key] = value
    return found


def _evaluate(given: argparse.Namespace) -> int:
    from lrbench.names import in_path  # noqa: PLC0415
    from lrbench.runner import Session  # noqa: PLC0415
    from lrbench.runner.environment import data_folder  # noqa: PLC0415
    from lrbench.runner.evaluate import suite_for  # noqa: PLC0415

    layers = {}
    for pair in given.layer:
        old, equals, new = pair.partition("=")
        if not equals:
            msg = f"--layer {pair}: expected OLD=NEW"
            raise UsageError(msg)
        layers[old] = new
    root = data_folder(given.data_dir)
    suite, document, left_out = suite_for(given.name, given.suite, root, given.beside, layers, _say)
    for line in left_out:
        _say(f"left out {line}")
    out = given.out or f"runs/{in_path(suite.name)}-{in_path(given.name)}"
    return _finish(Session.of(suite, document, out=out, device=given.device, data_dir=root))


def _plan(given: argparse.Namespace) -> int:
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from lrbench.display import duration  # noqa: PLC0415

    session = _session(given)
    table = Table("step", "state", "estimate", pad_edge=False)
    pending = session.pending
    for step in session.plan:
        cost = duration(session.costs.estimate([step])) if step in pending else ""
        table.add_row(Text(step.id), Text(session.states[step.id]), cost)
    console = _console()
    console.print(table)
    rest = "nothing to do" if not pending else f"the rest takes about {duration(session.costs.estimate(pending))}"
    if pending and session.costs.estimate(pending) is None:
        rest = "no estimate before a first step has finished"
    console.print(f"{len(session.plan)} steps, {len(session.plan) - len(pending)} done; {rest}", highlight=False)
    return 0


def _show(given: argparse.Namespace) -> int:
    from lrbench.leaderboard import Leaderboard  # noqa: PLC0415
    from lrbench.leaderboard.render import print_board  # noqa: PLC0415

    print_board(Leaderboard.load(given.folder), _console())
    return 0


def _report(given: argparse.Namespace) -> int:
    from pathlib import Path  # noqa: PLC0415

    from lrbench.leaderboard.report import report  # noqa: PLC0415
    from lrbench.store import write_file  # noqa: PLC0415

    out = Path(given.out or f"{given.folder}/report.html")
    write_file(out, report(given.folder).encode())
    sys.stdout.write(f"Report in {out}\n")
    return 0


def _publish(given: argparse.Namespace) -> int:
    from pathlib import Path  # noqa: PLC0415

    from lrbench.leaderboard.published import check, publish  # noqa: PLC0415

    to = Path(given.to)
    if given.folder:
        names = publish(given.folder, to)
        sys.stdout.write(f"Published {', '.join(names)} in {to}\n")
    elif not given.check:
        msg = "publish needs the folder of a run, or --check"
        raise UsageError(msg)
    if given.check:
        sys.stdout.write(f"{check(to)} records in {to} are as they were written\n")
    return 0


def _export(given: argparse.Namespace) -> int:
    from lrbench.leaderboard.outcomes import Run  # noqa: PLC0415
    from lrbench.leaderboard.paired import parse_side  # noqa: PLC0415
    from lrbench.leaderboard.robustbench import model_info  # noqa: PLC0415

    folder, model, _ = parse_side(given.source)
    run = Run.open(folder)
    if model is None:
        msg = f"name a model: {folder}:{run.models[0]}"
        raise UsageError(msg)
    keys = ("name", "authors", "venue", "link", "architecture")
    told = {key: getattr(given, key) for key in keys if getattr(given, key) is not None}
    sys.stdout.write(model_info(run, model, told))
    return 0


def _compare(given: argparse.Namespace) -> int:
    from lrbench.leaderboard.paired import compare  # noqa: PLC0415
    from lrbench.leaderboard.paired_text import FORMATS, print_paired  # noqa: PLC0415

    found = compare(given.a, given.b)
    if given.format == "table":
        print_paired(found, _console())
    else:
        sys.stdout.write(FORMATS[given.format](found))
    return 0


def _list(given: argparse.Namespace) -> int:
    from lrbench import catalogue  # noqa: PLC0415

    registry: Registry = getattr(catalogue, given.catalogue)
    _two_columns([*((entry.name, entry.summary) for entry in registry), *registry.forms.items()])
    return 0


def _suites(given: argparse.Namespace) -> int:  # noqa: ARG001
    from lrbench.suite.load import shipped_suites, summary  # noqa: PLC0415

    _two_columns([(name, summary(path)) for name, path in shipped_suites().items()])
    return 0


def _two_columns(rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        sys.stdout.write(f"{name:<{width}}  {text}\n")


if __name__ == "__main__":
    sys.exit(main())
