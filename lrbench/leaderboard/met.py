"""Which of a suite's attacks each model met, and what that leaves of its figures."""

from collections.abc import Iterator
from typing import Any

from lrbench.errors import some
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import WORST, labels, middle
from lrbench.leaderboard.said import is_noise, is_weak, needs_gradients

RATE = "misclassification"


def attacks_of(board: Leaderboard) -> dict[str, dict[str, Any]]:
    """Label -> attack, as it stands in the suite."""
    return dict(zip(labels(board.suite), board.suite["attacks"], strict=True))


def without_gradients(board: Leaderboard) -> Iterator[str]:
    """Say which attacks a model did not meet since gradients are missing."""
    for model in board.models:
        ran, out = _ran(board, model), dict[str, list[str]]()
        for label, attack in attacks_of(board).items():
            victim = attack.get("surrogate") or model
            lacks = board.suite["models"].get(victim, {}).get("lacks") or ()
            if "gradients" in lacks and needs_gradients(attack["name"]) and label not in ran:
                out.setdefault(victim, []).append(label)
        for victim, left_out in out.items():
            who = "it" if victim == model else victim
            yield f"LEFT OUT of {model}: {', '.join(left_out)}, since {who} has no gradients.{_looser(board, model)}"


def _looser(board: Leaderboard, model: str) -> str:
    """Say what fewer attacks do to a worst case, if there is one."""
    mine = _met(board, model)
    if not len(board.shown.rows(RATE, model=model, attack=WORST, eps=middle(board.suite))):
        return ""
    others = " than that of other models" if any(mine < _met(board, other) for other in board.models) else ""
    return f" Its worst case is over fewer attacks{others}, and so a looser bound."


def only_weak(board: Leaderboard) -> Iterator[str]:
    """Say that no attack of a suite is strong."""
    attacks = attacks_of(board)
    if attacks and all(_weak(board, attack, None) for attack in attacks.values()):
        yield _only({attack["name"] for attack in attacks.values()}, "")


def weak_at_the_headline(board: Leaderboard) -> Iterator[str]:
    """Say which models met weak attacks alone, or what was made on others, at the radius of the first table.

    A strong attack at another radius does not make the figure there one that can be believed.
    """
    if [*only_weak(board)]:
        return
    attacks, found = attacks_of(board), dict[tuple[frozenset[str], str], list[str]]()
    for model in board.models:
        met = {label: attacks[label] for label in _met(board, model)}
        if met and all(_weak(board, attack, model) for attack in met.values()):
            elsewhere = (attacks[label] for label in _ran(board, model) & attacks.keys())
            strong = any(not _weak(board, attack, model) for attack in elsewhere)
            where = f" at {board.shown.radius(middle(board.suite))}" if strong else ""
            told = frozenset(_told(attack, model) for attack in met.values())
            found.setdefault((told, where), []).append(model)
    for (told, where), models in found.items():
        yield _only({*told}, ("" if len(models) == len(board.models) else f" on {some(models)}") + where)


def _ran(board: Leaderboard, model: str) -> set[str]:
    return {*board.results.loc[board.results["model"] == model, "attack"]}


def _met(board: Leaderboard, model: str) -> set[str]:
    """Give the labels of what counts in a model's worst case at the radius of the first table."""
    rows = board.shown.rows(RATE, model=model, eps=middle(board.suite))
    counted = {label for label, each in attacks_of(board).items() if not is_noise(each["name"], board.status.attacks)}
    return {*rows["attack"]} & counted


def _weak(board: Leaderboard, attack: dict[str, Any], model: str | None) -> bool:
    """Whether to withstand an attack proves little of a model; images that are made on another one do not."""
    transferred = model is not None and attack.get("surrogate") not in {None, model}
    return transferred or is_weak(attack["name"], board.status.attacks)


def _told(attack: dict[str, Any], model: str) -> str:
    surrogate = attack.get("surrogate")
    return attack["name"] if surrogate in {None, model} else f"{attack['name']} made on {surrogate}"


def _only(attacks: set[str], where: str) -> str:
    weak = "a weak attack" if len(attacks) == 1 else "weak attacks"
    named = " and ".join(sorted(attacks))
    return f"Only {named} ran{where}, {weak}: a model that withstands {weak} is not shown to be robust."
