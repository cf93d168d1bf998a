"""The command that says which steps a suite takes, what is done of them, and what the rest will cost."""

import argparse
import json
import sys
from typing import TYPE_CHECKING

from lrbench.cli.commands import session_of
from lrbench.cli.terminal import console

if TYPE_CHECKING:
    from pathlib import Path

    from rich.table import Table

    from lrbench.leaderboard.published import PublishedState
    from lrbench.runner import Session


def plan_command(given: argparse.Namespace) -> int:
    """Show the steps of a suite: counted by kind and model, each by itself, or as JSON."""
    boards = _boards(given)  # before a session is opened, which reads all images
    session = session_of(given)
    published = None if boards is None else _published(session, boards)
    if given.format == "json":
        sys.stdout.write(_as_json(session, published))
        return 0
    screen = console()
    screen.print(_every_step(session) if given.all else _counted(session))
    for line in [*_reasons(session, given), *_rest(session, given.jobs), *_held_against(published)]:
        screen.print(line, highlight=False, markup=False)
    return 0


def _boards(given: argparse.Namespace) -> "Path | None":
    from lrbench.leaderboard.published import require_boards  # noqa: PLC0415
    from lrbench.store import folder_of  # noqa: PLC0415

    if given.published is None:
        return None
    folder = folder_of(given.published)
    require_boards(folder)
    return folder


def _published(session: "Session", boards: "Path") -> "PublishedState":
    from lrbench.leaderboard.published import PublishedState  # noqa: PLC0415

    return PublishedState(boards, session.suite.name, {step.id: step.key for step in session.plan})


def _held_against(published: "PublishedState | None") -> list[str]:
    from lrbench.runner.environment import packages  # noqa: PLC0415

    return [] if published is None else [*published.lines(packages())]


def _as_json(session: "Session", published: "PublishedState | None") -> str:
    """Write a list of all steps; `seconds` is null of what is done, and where nothing is known yet.

    `published` says, where boards are given, whether a published step was made from the same; null of others.
    """
    pending = {step.id for step in session.pending}
    steps = [
        {
            "step": step.id,
            "kind": step.kind,
            "model": step.model,
            "seed": step.seed,
            "state": session.states[step.id],
            "seconds": session.costs.estimate([step]) if step.id in pending else None,
            **({} if published is None else {"published": published.same.get(step.id)}),
        }
        for step in session.plan
    ]
    return json.dumps(steps, indent=1) + "\n"


def _counted(session: "Session") -> "Table":
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from lrbench.leaderboard.text import duration  # noqa: PLC0415

    pending = {step.id for step in session.pending}
    table = Table("kind", "model", "steps", "done", "time left", pad_edge=False)
    for kind, model in dict.fromkeys((step.kind, step.model) for step in session.plan):
        steps = [step for step in session.plan if (step.kind, step.model) == (kind, model)]
        left = [step for step in steps if step.id in pending]
        cost = duration(session.costs.estimate(left)) if left else ""
        table.add_row(kind, Text(model), str(len(steps)), str(len(steps) - len(left)), cost)
    return table


def _every_step(session: "Session") -> "Table":
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    from lrbench.leaderboard.text import duration  # noqa: PLC0415

    pending = {step.id for step in session.pending}
    table = Table("step", "state", "estimate", pad_edge=False)
    for step in session.plan:
        cost = duration(session.costs.estimate([step])) if step.id in pending else ""
        table.add_row(Text(step.id), Text(session.states[step.id]), cost)
    return table


def _reasons(session: "Session", given: argparse.Namespace) -> list[str]:
    """Say what is taken again and why, where no table does."""
    return [] if given.all else session.known.reasons()


def runs_any(labels: set[str], steps: list[str]) -> bool:
    """Say whether any of some attacks' steps, or of their parts, is of an attack with one of these labels."""
    from lrbench.names import whole_of  # noqa: PLC0415

    return any(whole_of(step).split("/")[-2] in labels for step in steps)


def _rest(session: "Session", workers: list[int]) -> list[str]:
    """Say what the rest will take, here and on so many workers, and which difference the whole will find."""
    from lrbench.leaderboard.resolution import resolution  # noqa: PLC0415
    from lrbench.leaderboard.text import duration  # noqa: PLC0415

    threat, pending = session.suite.threat_model, session.pending
    seconds = session.costs.estimate(pending)
    about = "about" if threat.until is None else "at most about"
    rest = "nothing to do" if not pending else f"the rest takes {about} {duration(seconds)}"
    if pending and seconds is None:
        rest = "no estimate before a first step has finished"
    lines = [f"{len(session.plan)} steps, {len(session.plan) - len(pending)} done; {rest}"]
    if pending and seconds is not None:
        # Its members attack what withstood those before: hours at one radius, minutes at a larger one.
        those = {each.label for each in session.suite.attacks if each.name == "autoattack"}
        if runs_any(those, [step.id for step in pending if step.kind in {"attack", "part"}]):
            lines.append(
                "AutoAttack is counted as if every image withstood it; where few do, it takes a fraction of that"
            )
        lines += [f"on {jobs} workers {about} {duration(session.seconds_on(jobs))}" for jobs in workers]
    images, suite = threat.most(len(session.data.test)), session.suite.model_dump(mode="json")
    return [*lines, *resolution(suite, images, session.store.root, session.view)]
