"""The table of attacks: what each was worth beside the others, and what it cost."""

from collections.abc import Iterator, Sequence
from dataclasses import replace

from lrbench.leaderboard.worth import ALONE, OPTIMALITY
from lrbench.names import eps_label
from lrbench.views import Block, Column, Form, Shown

AT_A_RADIUS: tuple[tuple[str, str, Form], ...] = (
    (ALONE, "only one to fool, %", "percent"),
    ("forward_passes", "forward passes", "number"),
    ("backward_passes", "backward passes", "number"),
    ("attack_time", "ms", "milliseconds"),
)
"""Figures of an attack at each radius, what they are called, and their forms."""


def worth_block(shown: Shown, attacks: Sequence[str], eps: float) -> Block:
    """Give the table: figures at one radius are at that one where an attack ran there, else at its largest."""
    columns = [each for attack in attacks for each in _columns(shown, attack, eps)]
    title = f"What each attack was worth, and cost an image, at {shown.radius(eps)}; optimality over all its radii"
    return Block(title, columns, by="attack")


def _columns(shown: Shown, attack: str, eps: float) -> Iterator[Column]:
    radii = {figure: {*shown.rows(figure, attack=attack)["eps"].dropna()} for figure, *_ in AT_A_RADIUS}
    ran = set().union(*radii.values())
    radius = eps if eps in ran else max(ran, default=eps)
    row = attack if radius == eps else f"{attack}, {shown.radius(radius)}"
    columns = [shown.column(OPTIMALITY, "optimality %", "percent", f"{OPTIMALITY}[{attack}]", attack=attack)]
    for figure, heading, form in AT_A_RADIUS:
        # A search for the smallest perturbation costs the same whatever the radius: its rows name none.
        where, at = ({"eps": radius}, f",{eps_label(radius, shown.norm)}") if radii[figure] else ({}, "")
        columns.append(shown.column(figure, heading, form, f"{figure}[{attack}{at}]", attack=attack, **where))
    yield from (replace(column, row=row, passing=column.form == "milliseconds") for column in columns)
