"""The command line. Holds no logic, and imports what computes only when a command needs it."""

import argparse
import os
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING

from lrbench.errors import LrbenchError

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
        sub.set_defaults(command=command)

    show = commands.add_parser("show", help="print the leaderboard of a run")
    show.add_argument("folder", metavar="DIR", help="folder of a run")
    show.set_defaults(command=_show)

    for name, kind in (("models", "MODELS"), ("attacks", "ATTACKS"), ("datasets", "DATASETS")):
        listing = commands.add_parser(name, help=f"list the {name} that a suite can name")
        listing.set_defaults(command=_list, catalogue=kind)
    commands.add_parser("suites", help="list the shipped suites").set_defaults(command=_suites)
    return parser


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


def _say(text: str) -> None:
    sys.stderr.write(f"lrbench: {text}\n")


def _session(given: argparse.Namespace) -> "Session":
    from lrbench.suite import load_suite  # noqa: PLC0415

    # Before torch is loaded, which takes seconds: most mistakes are in the suite's text.
    load_suite(given.suite)
    from lrbench.runner import Session  # noqa: PLC0415

    return Session.open(given.suite, given.out, given.device, given.data_dir, _say)


def _run(given: argparse.Namespace) -> int:
    from lrbench.display import display_for  # noqa: PLC0415
    from lrbench.leaderboard.render import print_board  # noqa: PLC0415

    session = _session(given)
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
