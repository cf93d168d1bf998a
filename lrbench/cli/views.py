"""What the commands do that look at finished steps, publish them, or list what there is."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from lrbench.cli.terminal import console, say
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from lrbench.registry import Entry, Registry


def show_command(given: argparse.Namespace) -> int:
    """Print a run's leaderboard."""
    from lrbench.leaderboard import Leaderboard  # noqa: PLC0415
    from lrbench.leaderboard.render import print_board  # noqa: PLC0415

    print_board(Leaderboard.load(given.folder), console())
    return 0


def report_command(given: argparse.Namespace) -> int:
    """Write a run's report."""
    from lrbench.leaderboard.report import report  # noqa: PLC0415
    from lrbench.store import as_path, write_file  # noqa: PLC0415

    out = as_path(given.out or f"{given.folder}/report.html")
    write_file(out, report(given.folder).encode())
    sys.stdout.write(f"Report in {out}\n")
    return 0


def publish_command(given: argparse.Namespace) -> int:
    """Add a run to the published leaderboards."""
    from lrbench.leaderboard.published import boards_at, check, publish, rebuild  # noqa: PLC0415
    from lrbench.store import folder_of  # noqa: PLC0415

    to = folder_of(given.to)
    if not (given.folder or given.rebuild or given.check):
        msg = "publish needs the folder of a run, --rebuild or --check"
        raise UsageError(msg)
    if given.folder and (given.rebuild or given.check) and (boards := boards_at(Path(given.folder))):
        msg = f"{boards} holds published boards: name it by --to {boards}; in its place stands a run to publish"
        raise UsageError(msg)
    if given.folder:
        asked = {"as_is": given.as_is, "partial": given.partial, "weights": given.weights}
        names = publish(given.folder, to, **asked, announce=say)
        sys.stdout.write(f"Published {', '.join(names)} in {to}\n")
    if given.rebuild:
        sys.stdout.write(f"Made everything in {to} again from {rebuild(to)} records\n")
    if given.check:
        sys.stdout.write(f"{check(to)} records in {to}, and all that is made of them, are as they were written\n")
    return 0


def export_command(given: argparse.Namespace) -> int:
    """Write a model's figures in another leaderboard's form."""
    from lrbench.leaderboard.outcomes import Run  # noqa: PLC0415
    from lrbench.leaderboard.robustbench import model_info  # noqa: PLC0415
    from lrbench.leaderboard.sides import chosen_in, parse_side  # noqa: PLC0415

    folder, named = parse_side(given.source)
    run = Run.open(folder)
    model, seeds = chosen_in(run, named)
    if model is None:
        msg = f"name a model: {folder}:{run.models[0]}"
        raise UsageError(msg)
    keys = ("name", "authors", "venue", "link", "architecture")
    fields = {key: getattr(given, key) for key in keys if getattr(given, key) is not None}
    sys.stdout.write(model_info(run, model, fields, seeds))
    return 0


def compare_command(given: argparse.Namespace) -> int:
    """Hold two models against each other."""
    from lrbench.leaderboard.paired import compare  # noqa: PLC0415
    from lrbench.leaderboard.paired_text import FORMATS, Wanted, print_paired  # noqa: PLC0415

    found = compare(given.a, given.b)
    wanted = Wanted(given.images, None if given.power is None else given.power / 100)
    if given.format == "table":
        print_paired(found, console(), wanted)
    else:
        sys.stdout.write(FORMATS[given.format](found, wanted))
    return 0


def listing_command(given: argparse.Namespace) -> int:
    """List what a suite can name, with the options of what need not be imported for it."""
    from lrbench import catalogue  # noqa: PLC0415

    registry: Registry = getattr(catalogue, given.catalogue)
    _two_columns([*((entry.name, _line(entry, registry.supplied)) for entry in registry), *registry.forms.items()])
    return 0


def attacks_command(given: argparse.Namespace) -> int:
    """List the attacks, or put those of runs in order of what they were worth."""
    if not given.rank:
        return listing_command(given)
    from rich.text import Text  # noqa: PLC0415

    from lrbench.leaderboard.attack_ranking import ranking  # noqa: PLC0415

    for table in ranking(given.rank):
        if given.format == "table":
            console().print(Text(table.title, style="bold"), table.in_terminal(), "")
        else:
            lines = table.in_markdown() if given.format == "markdown" else table.in_latex()
            sys.stdout.write("\n".join([*lines, ""]))
    return 0


def _line(entry: "Entry", supplied: tuple[str, ...]) -> str:
    from lrbench.options import choices, options_text  # noqa: PLC0415

    weak = "; weak" if entry.says("weak", otherwise=False) else ""
    if entry.signature is None:
        return f"{entry.summary}{weak}"
    norm = entry.signature.parameters.get("norm")
    norms = f"; norms: {', '.join(choices(norm.annotation))}" if norm is not None else ""
    return f"{entry.summary.rstrip('.')}{weak}{norms}; options: {options_text(entry.signature, supplied)}"


def measures_command(given: argparse.Namespace) -> int:  # noqa: ARG001
    """List what a suite can ask for below `diagnostics`, with the options of each and their defaults."""
    from lrbench.catalogue import MEASURES  # noqa: PLC0415
    from lrbench.measures.registry import options_text  # noqa: PLC0415

    summaries = ((entry.name, entry.summary.rstrip(".")) for entry in MEASURES)
    _two_columns([(name, f"{summary}; options: {options_text(name)}") for name, summary in summaries])
    return 0


def regularizers_command(given: argparse.Namespace) -> int:  # noqa: ARG001
    """List what a model's training can be regularized by, with the options of each and their defaults."""
    from lrbench.catalogue import REGULARIZERS  # noqa: PLC0415
    from lrbench.measures.registry import options_text  # noqa: PLC0415
    from lrbench.regularizers.registry import regularizer_of  # noqa: PLC0415

    rows = [
        (each.name, f"{each.summary.rstrip('.')}; options: {options_text(each.name, regularizer_of)}")
        for each in REGULARIZERS
    ]
    _two_columns(rows)
    return 0


def suites_command(given: argparse.Namespace) -> int:  # noqa: ARG001
    """List the shipped suites."""
    from lrbench.suite.load import shipped_suites, summary  # noqa: PLC0415

    _two_columns([(name, summary(path)) for name, path in shipped_suites().items()])
    return 0


def _two_columns(rows: list[tuple[str, str]]) -> None:
    width = max((len(name) for name, _ in rows), default=0)
    for name, text in rows:
        sys.stdout.write(f"{name:<{width}}  {text}\n")
