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
    there = len(board.shown.rows(RATE, model=model, attack=WORST, eps=middle(board.suite)))
    return " Its worst case is over fewer attacks than the suite has, and so a looser bound." if there else ""


def only_weak(board: Leaderboard) -> Iterator[str]:
    """Say that no attack of a suite is strong."""
    attacks = attacks_of(board)
    if attacks and all(_weak(board, attack, None) for attack in attacks.values()):
        yield _only({_told(label, attack, None) for label, attack in attacks.items()}, "")


def weak_at_the_headline(board: Leaderboard) -> Iterator[str]:
    """Say which models met weak attacks alone, or what was made on others, at the radius of the first table.

    A strong attack at another radius does not make the figure there one that can be believed, nor one of another seed.
    """
    if [*only_weak(board)]:
        return
    found: dict[tuple[frozenset[str], str], list[str]] = {}
    for model in board.models:
        for told, seeds in _weak_seeds(board, model).items():
            found.setdefault((told, seeds + _at(board, model)), []).append(model)
    for (told, where), models in found.items():
        yield _only({*told}, ("" if len(models) == len(board.models) else f" on {some(models)}") + where)


def _weak_seeds(board: Leaderboard, model: str) -> dict[frozenset[str], str]:
    """Give the attacks that seeds of a model met, where none is strong, with which seeds, if not with all."""
    attacks, seeds = attacks_of(board), dict[str, set[str]]()
    rows = board.shown.rows_of_seeds(RATE, model=model, eps=middle(board.suite))
    for label, seed in rows[["attack", "seed"]].itertuples(index=False, name=None):
        if label in attacks and not is_noise(attacks[label]["name"], board.status.attacks):
            seeds.setdefault(str(seed), set()).add(label)
    weak: dict[frozenset[str], list[str]] = {}
    for seed, met in seeds.items():
        if all(_weak(board, attacks[label], model) for label in met):
            weak.setdefault(frozenset(_told(label, attacks[label], model) for label in met), []).append(seed)
    return {
        told: "" if len(some_of) == len(seeds) else f" with seed{'s' * (len(some_of) > 1)} {', '.join(some_of)}"
        for told, some_of in weak.items()
    }


def _at(board: Leaderboard, model: str) -> str:
    """Name the radius where a strong attack met the model at another one."""
    attacks = attacks_of(board)
    strong = {label for label, attack in attacks.items() if not _weak(board, attack, model)}
    here = {*board.shown.rows(RATE, model=model, eps=middle(board.suite))["attack"]}
    return f" at {board.shown.radius(middle(board.suite))}" if strong & _ran(board, model) - here else ""


def _ran(board: Leaderboard, model: str) -> set[str]:
    return {*board.results.loc[board.results["model"] == model, "attack"]}


def _weak(board: Leaderboard, attack: dict[str, Any], model: str | None) -> bool:
    """Whether to withstand an attack proves little of a model; images that are made on another one do not."""
    transferred = model is not None and attack.get("surrogate") not in {None, model}
    return transferred or is_weak(attack["name"], board.status.attacks)


def _told(label: str, attack: dict[str, Any], model: str | None) -> str:
    """Name an attack as the tables do, and what it is where that does not say it."""
    surrogate = attack.get("surrogate")
    made = f"{attack['name']} on {surrogate}" if surrogate not in {None, model} else attack["name"]
    return label if label == made else f"{label} ({made})"


def _only(attacks: set[str], where: str) -> str:
    weak = "a weak attack" if len(attacks) == 1 else "weak attacks"
    *others, last = sorted(attacks)
    named = f"{', '.join(others)} and {last}" if others else last
    return f"Only {named} ran{where}, {weak}: a model that withstands {weak} is not shown to be robust."
