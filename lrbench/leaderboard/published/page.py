"""Pages of published leaderboards: Markdown for code hosts, and one HTML index over all suites."""

from collections.abc import Iterator

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING
from lrbench.leaderboard.kept import Content, environments_of
from lrbench.leaderboard.layout import ROBUST
from lrbench.leaderboard.published.made import HEADINGS, made
from lrbench.leaderboard.published.shared import ABOUT, TITLE, shared
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.report.page import asset, table_of_block, template
from lrbench.leaderboard.text import in_markdown
from lrbench.names import in_path
from lrbench.verdicts import NOT_CHECKED

MAY_DIFFER = ("question", "seeds", "low_rank", "diagnostics")
"""Sections that records of one board may have different ones of."""

PLACES = (
    "Who stands first need not be ahead by more than chance: where robust accuracies are compared, the suite's page "
    "has their differences, intervals and p."
)


def suite_page(board: Leaderboard, records: list[Content], figures: list[str]) -> str:
    """Write one suite's board as Markdown, with its figures and what each record comes from."""
    parts = [to_markdown(board)]
    if figures:
        parts += ["## Figures", ""]
        parts += [f"![{in_markdown(name.removesuffix('.svg'))}](figures/{name})" for name in sorted(figures)]
        parts.append("")
    headings = ("model", "steps done", "verdict", *HEADINGS, "record", "sha256")
    parts += ["## Records", "", f"| {' | '.join(headings)} |", f"| {' | '.join('---' for _ in headings)} |"]
    for record in records:
        cells = (
            board.labels.get(str(record["model"]), str(record["model"])),
            _steps(record),
            str(record["verdict"] or NOT_CHECKED),
            *made([record]),
        )
        file = f"{in_path(record['model'])}.json".replace("%", "%25")
        linked = f"[{in_markdown(file)}](records/{file})"
        parts.append(f"| {' | '.join(map(in_markdown, cells))} | {linked} | `{record['sha256'][:12]}` |")
    return "\n".join([*parts, "", repeating(records), ""])


def repeating(records: list[Content]) -> str:
    """Say how the figures of these records are made again."""
    lack = _lack(records)
    suite = "the [suite.yaml](suite.yaml) beside this page"
    if lack:
        suite = f"the suite as it was there: the one beside this page {lack}"
    said = [f"To repeat it: `git checkout COMMIT`, then `lrbench run` with {suite}."]
    # Of a run that is older than the key the question is known all the same, from a later look at its folder.
    if not lack and records[0]["configuration"].get("question"):
        said.append("Where that commit refuses the key `question`, take it out of the suite: it counts for nothing.")
    return " ".join([*said, *_threads(records)])


def _threads(records: list[Content]) -> Iterator[str]:
    """Say with how many threads what ran on a CPU did, where that is one number."""
    environments = [each for record in records for each in environments_of(record) if each.get("device") == "cpu"]
    threads = {each.get("torch_threads") for each in environments}
    if len(threads) == 1 and (known := threads.pop()):
        yield (
            f"On a CPU it ran with {known} thread{'s' * (known > 1)} (`OMP_NUM_THREADS={known}`), a part of what the "
            "figures are: with another number sums round otherwise, and training ends in another network."
        )


def _lack(records: list[Content]) -> str:
    """Say in what the suite that is put together of records is not the one that ran; nothing if in nothing."""
    configurations = [record["configuration"] for record in records]
    needed = [spec.get("init_from") for each in configurations for spec in each["models"].values()]
    needed += [attack.get("surrogate") for each in configurations for attack in each["attacks"]]
    needed += [record["baseline"] for record in records]
    lacking = sorted({name for name in needed if name} - {record["model"] for record in records})
    if lacking:
        return f"lacks models that others need ({', '.join(map(in_markdown, lacking))})"
    if any((record.get("steps") or {}).get("missing") for record in records):
        return "is of a run that is not whole"
    if any(each.get("claims") for each in configurations):
        return "has its models in another order, on which the transfer attacks of audits depend"
    if any(each.get(key) != configurations[0].get(key) for each in configurations for key in MAY_DIFFER):
        return "is put together of several"
    return ""


def _steps(record: Content) -> str:
    steps = record.get("steps")
    return "not known" if steps is None else f"{steps['done']} of {steps['planned']}"


def index_page(boards: dict[str, tuple[Leaderboard, list[Content]]]) -> tuple[str, str]:
    """Write the index over all suites, as HTML and as Markdown."""
    shown = [
        (name, table_of_block(board, board.blocks[0]), zip(HEADINGS, made(records), strict=True), _cautions(board))
        for name, (board, records) in boards.items()
    ]
    common = shared({name: records for name, (_, records) in boards.items()})
    html = template("published/index.html").render(
        boards=shown,
        places=PLACES,
        shared=(TITLE, ABOUT, common),
        style=asset("style.css"),
        script=asset("page.js"),
    )
    headings = ("suite", "models", "first by verdict and robust accuracy", *HEADINGS)
    aligned = ("---", "---:", *("---" for _ in headings[2:]))
    lines = ["# Leaderboards", "", f"| {' | '.join(headings)} |", f"| {' | '.join(aligned)} |"]
    for name, (board, records) in boards.items():
        cells = (", ".join(_first(board)) or MISSING, *made(records))
        linked = f"[{in_markdown(name)}]({name}/README.md)"
        lines.append(f"| {linked} | {len(board.models)} | {' | '.join(map(in_markdown, cells))} |")
    lines += ["", PLACES, ""]
    for name, (board, _) in boards.items():
        lines += [f"- {in_markdown(f'{name}: {line}')}" for line in _cautions(board)]
    if common:
        lines += ["", f"## {TITLE}", "", ABOUT, "", "| boards | networks |", "| --- | --- |"]
        for each in common:
            cells = (", ".join(each.boards), "; ".join(each.networks))
            lines.append(f"| {' | '.join(map(in_markdown, cells))} |")
    return html, "\n".join([*lines, ""]).replace("\n\n\n", "\n\n").rstrip() + "\n"


def _first(board: Leaderboard) -> list[str]:
    """Names of those that stand first: all of them if several do, and nobody whose robust accuracy is missing."""
    headline = next((each for each in board.blocks[0].columns if each.key.startswith(f"{ROBUST}[")), None)
    there = {} if headline is None else headline.cells
    return [board.labels[model] for model in board.models if board.ranks[model] == 1 and model in there]


def _cautions(board: Leaderboard) -> list[str]:
    return list(dict.fromkeys(line for model in board.models for line in board.cautions(model)))
