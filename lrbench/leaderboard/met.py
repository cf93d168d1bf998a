"""Which of a suite's attacks each model met, and what that leaves of its figures."""

from collections.abc import Iterator
from typing import Any

from lrbench.errors import some
from lrbench.leaderboard.board import Leaderboard
from lrbench.leaderboard.layout import labels, middle
from lrbench.leaderboard.said import is_noise, is_weak, needs_gradients
from lrbench.names import WORST

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
    ran = attacks.keys() & {*board.results["attack"]}
    if ran and all(_weak(board, attack, None) for attack in attacks.values()):
        yield _only({_told(label, attacks[label], None) for label in ran}, "")


def weak_at_the_headline(board: Leaderboard) -> Iterator[str]:
    """Say which models met weak attacks alone, or what was made on others, at the radius of the first table.

    A strong attack at another radius does not make the figure there one that can be believed, nor one of another seed.
    """
    if [*only_weak(board)]:
        return
    found: dict[tuple[frozenset[str], str], list[str]] = {}
    for model in board.models:
        for told, where in _weak_seeds(board, model):
            found.setdefault((told, where), []).append(model)
    for (told, where), models in found.items():
        yield _only({*told}, ("" if len(models) == len(board.models) else f" on {some(models)}") + where)


def _weak_seeds(board: Leaderboard, model: str) -> Iterator[tuple[frozenset[str], str]]:
    """Give the attacks that seeds met of which none is strong; which seeds, and where, if a strong one met them too."""
    at, attacks = middle(board.suite), attacks_of(board)
    counted = {label for label, each in attacks.items() if not is_noise(each["name"], board.status.attacks)}
    strong = {label for label in counted if not _weak(board, attacks[label], model)}
    rows = board.results[(board.results["model"] == model) & board.results["attack"].isin(counted)]
    here = rows[(rows["metric"] == RATE) & (rows["eps"] == at)].groupby("seed", sort=False)["attack"].agg(set)
    weak: dict[tuple[frozenset[str], str], list[str]] = {}
    for seed, met in here.items():
        if not met & strong:
            elsewhere = strong & {*rows.loc[rows["seed"] == seed, "attack"]}
            told = frozenset(_told(label, attacks[label], model) for label in met)
            weak.setdefault((told, f" at {board.shown.radius(at)}" if elsewhere else ""), []).append(str(seed))
    for (told, where), seeds in weak.items():
        which = "" if len(seeds) == len(here) else f" with seed{'s' * (len(seeds) > 1)} {', '.join(seeds)}"
        yield told, which + where


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
