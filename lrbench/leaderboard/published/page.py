"""Pages of published leaderboards: Markdown for code hosts, and one HTML index over all suites."""

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.published.record import Content
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.report.page import asset, table_of_block, template
from lrbench.leaderboard.text import in_markdown
from lrbench.names import in_path


def suite_page(board: Leaderboard, records: list[Content], figures: list[str]) -> str:
    """Write one suite's board as Markdown, with its figures and what each record comes from."""
    parts = [to_markdown(board)]
    if figures:
        parts += ["## Figures", ""]
        parts += [f"![{in_markdown(name.removesuffix('.svg'))}](figures/{name})" for name in sorted(figures)]
        parts.append("")
    parts += ["## Records", "", "| model | verdict | commit | device | torch | record | sha256 |"]
    parts.append("| --- | --- | --- | --- | --- | --- | --- |")
    for record in records:
        environment = record["environment"]
        cells = (
            record["model"],
            record["verdict"] or "not examined",
            str(environment.get("commit")),
            f"{environment.get('device_name')} ({environment.get('device')})",
            str(environment.get("packages", {}).get("torch")),
        )
        file = f"{in_path(record['model'])}.json".replace("%", "%25")
        linked = f"[{in_markdown(file)}](records/{file})"
        parts.append(f"| {' | '.join(map(in_markdown, cells))} | {linked} | `{record['sha256'][:12]}` |")
    parts += [
        "",
        "To repeat it: `git checkout COMMIT`, then `lrbench run` with the [suite.yaml](suite.yaml) beside this page.",
        "",
    ]
    return "\n".join(parts)


def index_page(boards: dict[str, Leaderboard]) -> tuple[str, str]:
    """Write the index over all suites, as HTML and as Markdown."""
    shown = [(name, table_of_block(board.blocks[0], board.models)) for name, board in boards.items()]
    html = template("published/index.html").render(
        boards=shown,
        style=asset("style.css"),
        script=asset("page.js"),
    )
    lines = ["# Leaderboards", "", "| suite | models | best by verdict and worst case |", "| --- | ---: | --- |"]
    for name, board in boards.items():
        lines.append(
            f"| [{in_markdown(name)}]({name}/README.md) | {len(board.models)} | {in_markdown(board.models[0])} |"
        )
    return html, "\n".join([*lines, ""])
