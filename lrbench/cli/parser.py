"""The command line's grammar: commands, options, help."""

import argparse
from collections.abc import Callable, Sequence
from typing import NoReturn

from lrbench.cli import audit, commands, plan, views
from lrbench.errors import nearest, printable

EPILOG = (
    "`lrbench run quick` runs the smallest shipped suite, in under 90 s on two cores. "
    "Exit status: 0 done, 1 the run failed, 2 wrong usage, 130 stopped by Ctrl-C, 143 by SIGTERM."
)


def make_parser() -> argparse.ArgumentParser:
    """Make the parser; each command sets `command`, which takes what was given and gives the exit status."""
    parser = _Parser(
        prog="lrbench",
        description="Does a low-rank representation make a network robust, and how would you know?",
        epilog=EPILOG,
    )
    parser.add_argument("--version", action=_Version)
    subs = parser.add_subparsers(metavar="COMMAND", required=True)

    for name, command, text in (
        ("run", commands.run_command, "run or resume a suite, and print its leaderboard"),
        ("plan", plan.plan_command, "show the steps of a suite, what is done and what the rest will cost"),
    ):
        sub = subs.add_parser(name, help=text, description=text)
        sub.add_argument("suite", metavar="SUITE", help="path of a YAML file, or the name of a shipped suite")
        _add_places(sub, "runs/NAME")
        sub.add_argument(
            "--reuse", action="append", default=[], metavar="RUN", help="folder of a run to take steps from"
        )
        if name == "plan":
            number = _number(10_000)
            sub.add_argument("--jobs", type=number, nargs="+", default=[], metavar="N", help="estimate for N workers")
            sub.add_argument("--all", action="store_true", help="each step by itself, with its state")
            sub.add_argument("--format", default="table", choices=("table", "json"), help="json: all steps")
            sub.add_argument("--published", metavar="DIR", help="boards: were their figures made from the same?")
        if name == "run":
            sub.add_argument(
                "--steps", action="append", default=[], metavar="P", help="only steps that match, such as 'train/*'"
            )
            sub.add_argument("--share", metavar="I/N", help="only the I-th of N equal shares of them")
            _add_execution_options(sub)
        sub.set_defaults(command=command)

    _add_own_models(subs)
    _add_audit(subs)
    show = subs.add_parser("show", help="print the leaderboard of a run")
    show.add_argument("folder", metavar="DIR", help="folder of a run")
    show.set_defaults(command=views.show_command)

    report = subs.add_parser("report", help="write a run's report: one HTML file that needs no network")
    report.add_argument("folder", metavar="DIR", help="folder of a run")
    report.add_argument("--out", metavar="FILE", help="default: DIR/report.html")
    report.set_defaults(command=views.report_command)

    publish = subs.add_parser("publish", help="add a run to the published leaderboards, after checking it")
    publish.add_argument("folder", metavar="DIR", nargs="?", help="folder of a finished run")
    publish.add_argument("--to", default="leaderboards", metavar="DIR", help="default: leaderboards")
    publish.add_argument("--check", action="store_true", help="check what is published, of DIR after publishing it")
    publish.add_argument(
        "--rebuild", action="store_true", help="rebuild all pages, tables and pictures from the records"
    )
    publish.add_argument("--partial", action="store_true", help="also an unfinished run, marked as such")
    publish.add_argument("--as-is", action="store_true", help="also models whose LR-Layers never acted, marked as such")
    publish.add_argument("--weights", action="store_true", help="also its networks, for lrbench.load_model")
    publish.set_defaults(command=views.publish_command)

    export = subs.add_parser("export", help="write a model's figures in the form of another leaderboard")
    export.add_argument("source", metavar="DIR:MODEL", help="a model of a run")
    export.add_argument("--robustbench", action="store_true", required=True, help="as RobustBench's model_info JSON")
    for what in ("name", "authors", "venue", "link", "architecture"):
        export.add_argument(f"--{what}", metavar="TEXT", help=f"its {what}, which a run cannot know")
    export.set_defaults(command=views.export_command)

    compare = subs.add_parser("compare", help="compare two runs, or two models, on the same images")
    for side in ("A", "B"):
        compare.add_argument(side.lower(), metavar=side, help="DIR, DIR:MODEL or DIR:MODEL@SEED,...")
    compare.add_argument("--format", default="table", choices=("table", "markdown", "csv", "json", "latex"))
    compare.add_argument("--images", action="store_true", help="list the images that only one of them gets wrong")
    compare.add_argument(
        "--power", type=_points, metavar="POINTS", help="images and seeds that a difference of so many points takes"
    )
    compare.set_defaults(command=views.compare_command)

    _add_listings(subs)
    return parser


def _add_listings(subs: "argparse._SubParsersAction[_Parser]") -> None:
    for name, kind in (("models", "MODELS"), ("attacks", "ATTACKS"), ("datasets", "DATASETS")):
        more = ", or rank those of runs" if name == "attacks" else ""
        listing = subs.add_parser(name, help=f"list the {name} that a suite can name{more}")
        listing.set_defaults(command=views.listing_command, catalogue=kind)
        if name == "attacks":
            listing.add_argument(
                "--rank", nargs="+", metavar="RUN", help="by what they were worth in these runs or published boards"
            )
            listing.add_argument("--format", default="table", choices=("table", "markdown", "latex"))
            listing.set_defaults(command=views.attacks_command)
    subs.add_parser("measures", help="list the measures that a suite can ask for, with their options").set_defaults(
        command=views.measures_command
    )
    subs.add_parser(
        "regularizers", help="list what a model's training can be regularized by, with the options"
    ).set_defaults(command=views.regularizers_command)
    subs.add_parser("suites", help="list the shipped suites").set_defaults(command=views.suites_command)


def _add_audit(subs: "argparse._SubParsersAction[_Parser]") -> None:
    sub = subs.add_parser(
        "audit",
        help="what is left of a claimed robust accuracy, and why",
        description="Try a ladder of attacks, each of which changes one thing of the claim's own, on the same images; "
        "say what is left, which change closes most of the gap, and why.",
    )
    sub.add_argument("model", metavar="MODEL", help="of the suite, registered, or of a run: DIR:MODEL[@SEED]")
    sub.add_argument(
        "--claim", action="append", required=True, metavar="C", help='such as "pgd, steps 20, 8/255: 78.5"; any number'
    )
    sub.add_argument("--suite", metavar="SUITE", help="whose data it is (default: the run's, else quick)")
    sub.add_argument("--samples", type=_number(10**6), metavar="N", help="images (default: 200, or all)")
    sub.add_argument("--full", action="store_true", help="every rung, at full strength")
    sub.add_argument(
        "--beside", action="append", default=[], metavar="MODEL", help="to make attacks on; any number of the suite's"
    )
    _add_places(sub, "runs/audit-SUITE-MODEL")
    _add_execution_options(sub)
    sub.set_defaults(command=audit.audit_command)


def _add_own_models(subs: "argparse._SubParsersAction[_Parser]") -> None:
    register = subs.add_parser("register", help="check a model of yours and add it to this folder's lrbench.yaml")
    register.add_argument("name", metavar="NAME", help="what to call it")
    register.add_argument(
        "--factory", required=True, metavar="F", help="FILE.py:FUNCTION, PACKAGE.MODULE:FUNCTION, ..."
    )
    register.add_argument(
        "--weights",
        metavar="W",
        help="trained weights, .safetensors or .pt, or torchvision's by name (DEFAULT); default: to be trained",
    )
    register.add_argument("--trained", action="store_true", help="the factory gives a trained network: do not train it")
    register.add_argument("--option", action="append", default=[], metavar="KEY=VALUE", help="passed to the factory")
    register.add_argument("--no-normalize", action="store_true", help="it takes pixels in [0, 1] as they are")
    register.add_argument("--data", metavar="SET", help="data set it is for (default: digits)")
    register.add_argument("--shape", metavar="CxHxW", help="check it with noise of this shape instead of data")
    register.add_argument("--classes", default="10", metavar="N", help="with --shape (default: 10)")
    register.add_argument("--data-dir", metavar="DIR", help="folder of the data sets")
    register.set_defaults(command=commands.register_command)

    evaluate = subs.add_parser("evaluate", help="run a single model through a suite")
    evaluate.add_argument("name", metavar="NAME", help="from lrbench.yaml or `lrbench models`, or e.g. timm:resnet18")
    evaluate.add_argument("--suite", default="quick", metavar="SUITE", help="default: quick")
    evaluate.add_argument(
        "--beside", action="append", default=[], metavar="MODEL", help="a model of the suite to measure, too"
    )
    evaluate.add_argument(
        "--layer", action="append", default=[], metavar="OLD=NEW", help="use layer NEW where the suite names OLD"
    )
    _add_places(evaluate, "runs/SUITE-NAME")
    _add_execution_options(evaluate)
    evaluate.set_defaults(command=commands.evaluate_command)


class _Parser(argparse.ArgumentParser):
    """Suggests the nearest option for one that there is not."""

    def error(self, message: str) -> NoReturn:
        """Print usage and message, and exit with 2."""
        _, _, given = message.partition("unrecognized arguments: ")
        option = next((word for word in given.split() if word.startswith("-")), "")
        if option:
            name, known = option.partition("=")[0], _options_of(self)
            here = f"this command has no option {name}, another has; see its --help"
            message = here if name in known else f"unknown option {option}; {nearest(name, known)}"
        super().error(printable(message))


def _options_of(parser: argparse.ArgumentParser) -> list[str]:
    """List the options of all commands."""
    subs = [each for each in parser._actions if isinstance(each, argparse._SubParsersAction)]
    commands = [command for each in subs for command in each.choices.values()]
    found = [option for each in (parser, *commands) for option in each._option_string_actions]
    return list(dict.fromkeys(found))


class _Version(argparse.Action):
    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from lrbench import __version__  # noqa: PLC0415

        print(f"lrbench {__version__}")
        parser.exit()


def _add_places(sub: argparse.ArgumentParser, out: str) -> None:
    sub.add_argument("--out", metavar="DIR", help=f"folder of the results (default: {out})")
    sub.add_argument("--device", default="auto", metavar="D", help="auto, cpu, cuda, cuda:1, ... (default: auto)")
    sub.add_argument(
        "--data-dir", metavar="DIR", help="folder of the data sets (default: $LRBENCH_DATA, else a cache folder)"
    )


def _add_execution_options(sub: argparse.ArgumentParser) -> None:
    sub.add_argument("--jobs", type=_number(256), default=1, metavar="N", help="steps side by side (default: 1)")
    sub.add_argument("--engine", choices=("local", "ray"), default="local", help="processes here, or a Ray cluster")
    sub.add_argument("--address", metavar="A", help="of a running Ray cluster (default: start one)")
    sub.add_argument(
        "--step-timeout", type=_seconds, metavar="SECONDS", help="a step that takes longer fails (default: none)"
    )
    sub.add_argument("--gpus", type=float, default=1.0, metavar="G", help="GPUs a step, or a fraction of one, on Ray")


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        msg = f"expected seconds above 0, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return seconds


def _points(text: str) -> float:
    try:
        points = float(text)
    except ValueError:
        points = 0.0
    if not 0 < points <= 100:
        msg = f"expected points above 0 and up to 100, got {text!r}"
        raise argparse.ArgumentTypeError(msg)
    return points


def _number(most: int) -> Callable[[str], int]:
    def number(text: str) -> int:
        if not text.isdigit() or not 1 <= int(text) <= most:
            msg = f"expected a number from 1 to {most:,}, got {text!r}"
            raise argparse.ArgumentTypeError(msg)
        return int(text)

    return number
