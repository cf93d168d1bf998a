"""What a leaderboard says wherever it is shown, since its first table alone would mislead."""

from collections.abc import Iterator
from typing import Any

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.said import class_of, is_weak, other_than_standard


def warnings(board: Leaderboard) -> list[str]:
    """Give those of the lines without which the first table misleads, each once."""
    cautions = (line for model in board.models for line in board.cautions(model))
    return [*dict.fromkeys([*cautions, *only_weak(board), *not_standard(board), *flags(board)])]


def only_weak(board: Leaderboard) -> Iterator[str]:
    """Say that no strong attack ran."""
    attacks = {attack["name"] for attack in board.suite["attacks"]}
    if attacks and all(is_weak(attack, board.status.attacks) for attack in attacks):
        named = " and ".join(sorted(attacks))
        weak = "a weak attack" if len(attacks) == 1 else "weak attacks"
        yield f"Only {named} ran, {weak}: a model that withstands {weak} is not shown to be robust."


def not_standard(board: Leaderboard) -> Iterator[str]:
    """Say in what an attack is not what its name stands for in the field."""
    for attack in board.suite["attacks"]:
        if changed := other_than_standard(attack):
            label, known = attack.get("label") or attack["name"], class_of(attack["name"])
            changes = ", ".join(f"{key} {value}" for key, value in changed.items())
            yield (
                f"{label} is not the standard version of {known} here: {changes}. Do not compare its "
                "figures with those of the standard version."
            )


def flags(board: Leaderboard) -> Iterator[str]:
    """Say why each verdict that is not *held up* is not."""
    for model, seeds in board.masking.items():
        flagged: dict[str, tuple[dict[str, Any], list[str]]] = {}
        for seed, found in seeds.items():
            for check in found["checks"]:
                if check["flagged"]:
                    flagged.setdefault(check["id"], (check, []))[1].append(seed)
        for name, (check, where) in flagged.items():
            seed = ", ".join(where)
            yield (
                f"{model}, seed {seed}: {name} ({check['figure']:.3g}, {check['severity']}). {check['explanation']} "
                f"{check['advice']}"
            )
