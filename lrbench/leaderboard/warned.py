"""What a leaderboard says wherever it is shown, since its first table alone would mislead."""

from collections.abc import Iterator
from typing import Any

from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.figure_text import MISSING
from lrbench.leaderboard.layout import labels
from lrbench.leaderboard.said import class_of, is_weak, other_than_standard


def warnings(board: Leaderboard) -> list[str]:
    """Give those of the lines without which the first table misleads, each once."""
    cautions = (line for model in board.models for line in board.cautions(model))
    met = (line for model in board.models for line in (*without_gradients(board, model), *weak_on(board, model)))
    return [*dict.fromkeys([*cautions, *met, *only_weak(board), *not_standard(board), *flags(board)])]


def without_gradients(board: Leaderboard, model: str) -> Iterator[str]:
    """Say which attacks a model did not meet since it has no gradients."""
    out = [label for label in labels(board.suite) if label not in _ran(board, model)]
    if "gradients" in (board.suite["models"].get(model, {}).get("lacks") or ()) and out:
        others = " than that of the other models" if len(board.models) > 1 else ""
        yield (
            f"LEFT OUT of {model}: {', '.join(out)}, since it has no gradients. Its worst case is over fewer "
            f"attacks{others}, and so a looser bound."
        )


def _ran(board: Leaderboard, model: str) -> set[str]:
    return {*board.results.loc[board.results["model"] == model, "attack"]}


def only_weak(board: Leaderboard) -> Iterator[str]:
    """Say that no attack of a suite is strong."""
    names = _names(board)
    if names and names.keys() == _weak(board):
        yield _only({*names.values()}, "")


def weak_on(board: Leaderboard, model: str) -> Iterator[str]:
    """Say that of a suite's attacks a model met weak ones alone."""
    names, weak = _names(board), _weak(board)
    ran = _ran(board, model) & names.keys()
    if ran and ran <= weak != names.keys():
        yield _only({names[label] for label in ran}, f" on {model}")


def _names(board: Leaderboard) -> dict[str, str]:
    return dict(zip(labels(board.suite), (attack["name"] for attack in board.suite["attacks"]), strict=True))


def _weak(board: Leaderboard) -> set[str]:
    return {label for label, name in _names(board).items() if is_weak(name, board.status.attacks)}


def _only(attacks: set[str], where: str) -> str:
    weak = "a weak attack" if len(attacks) == 1 else "weak attacks"
    named = " and ".join(sorted(attacks))
    return f"Only {named} ran{where}, {weak}: a model that withstands {weak} is not shown to be robust."


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
        flagged: dict[str, list[tuple[str, dict[str, Any]]]] = {}
        for seed, checked in seeds.items():
            for each in checked["checks"]:
                if each["flagged"]:
                    flagged.setdefault(each["id"], []).append((seed, each))
        for name, found in flagged.items():
            check, seeds_of_it = found[0][1], ", ".join(seed for seed, _ in found)
            figures = ", ".join(dict.fromkeys(_figure(each["figure"]) for _, each in found))
            yield (
                f"{model}, seed {seeds_of_it}: {name} ({check['severity']}), {figures}: {check['condition']}. "
                f"{check['explanation']} {check['advice']}"
            )


def _figure(value: float | None) -> str:
    return MISSING if value is None else f"{value:.3g}"
