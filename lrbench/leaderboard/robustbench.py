"""A model's figures in the form of RobustBench's `model_info` (github.com/RobustBench/robustbench)."""

import json
from typing import Any

from lrbench.errors import UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.said import other_than_standard
from lrbench.names import eps_label
from lrbench.verdicts import NOT_CHECKED, VERDICTS

FULL_TEST = 10_000
STANDARD = {"linf": 8 / 255, "l2": 0.5}


def model_info(run: Run, model: str, fields: dict[str, str], seeds: tuple[int, ...] = ()) -> str:
    """Write a model's `model_info` JSON.

    Parameters
    ----------
    run : Run
        In pixel space, with `autoattack` at 8/255 (Linf) or 0.5 (L2), or at a single radius.
    model : str
    fields : dict
        What a run cannot know: `name`, `authors`, `venue`, `link`.
    seeds : tuple of int
        The one whose network it is about; default: the first of those that the model has.

    Raises
    ------
    UsageError
        If the run was in L1, not in pixel space or without AutoAttack, or there is no such model, or not this seed.
    """
    suite = run.board.suite
    threat = suite["threat_model"]
    if threat["norm"] not in STANDARD:
        msg = f"RobustBench has leaderboards of Linf and L2; {run.folder} was attacked in {threat['norm']}"
        raise UsageError(msg)
    if threat["space"] != "pixel":
        msg = f"RobustBench's eps is in pixels; {run.folder} was attacked in {threat['space']} space"
        raise UsageError(msg)
    seed = _seed(run, model, seeds)
    attack = _autoattack(run)
    wrong = run.wrong(model, seed)
    eps = _radius([eps for label, eps in wrong if label == attack["label"]], threat["norm"], run)
    attacked = wrong[attack["label"], eps]
    verdict = _verdict(run, model, seed)
    spec = suite["models"][model]
    info: dict[str, Any] = {
        "link": fields.get("link", ""),
        "name": fields.get("name", model),
        "authors": fields.get("authors", ""),
        "additional_data": False,
        "number_forward_passes": 1,
        "dataset": str(run.board.results["dataset"].iloc[0]),
        "venue": fields.get("venue", "N/A"),
        "architecture": fields.get("architecture", spec["arch"]),
        "eps": eps_label(eps, threat["norm"]),
        "clean_acc": f"{100 * _accuracy(run, model, seed):.2f}",
        "reported": f"{100 * (1 - attacked.mean()):.2f}",
        "autoattack_acc": f"{100 * (1 - attacked.mean()):.2f}",
        "footnote": _footnote(run, model, seed, len(attacked), verdict, attack),
        "unreliable": verdict != VERDICTS[0] or bool(run.board.cautions(model)),
    }
    return json.dumps(info, indent=2, ensure_ascii=False) + "\n"


def _seed(run: Run, model: str, asked: tuple[int, ...]) -> int:
    there = run.seeds(model)
    if len(asked) > 1 or any(seed not in there for seed in asked):
        wrong = "is about one network" if len(asked) > 1 else f"has no seed {asked[0]} of {model}"
        msg = f"{run.folder} {wrong}; name one of the seeds {', '.join(map(str, there))}"
        raise UsageError(msg)
    return asked[0] if asked else there[0]


def _autoattack(run: Run) -> dict[str, Any]:
    """Give the run's AutoAttack: what is called so, else the one of another label."""
    made: list[dict[str, Any]] = [
        each for each in run.board.suite["attacks"] if each["name"] == "autoattack" and not each["surrogate"]
    ]
    made.sort(key=lambda each: (each["label"] != "autoattack", bool(other_than_standard(each))))
    if not made:
        msg = f"{run.folder} has no figures of `autoattack`; its suite must run it"
        raise UsageError(msg)
    return made[0]


def _radius(there: list[float], norm: str, run: Run) -> float:
    if STANDARD[norm] in there:
        return STANDARD[norm]
    if len(there) == 1:
        return there[0]
    if not there:
        msg = f"{run.folder} has no figures of `autoattack`; its suite must run it"
        raise UsageError(msg)
    listed = ", ".join(eps_label(eps, norm) for eps in there)
    msg = f"{run.folder} has autoattack at {listed}; RobustBench lists {eps_label(STANDARD[norm], norm)}"
    raise UsageError(msg)


def _accuracy(run: Run, model: str, seed: int) -> float:
    found = _values(run, model, seed, "accuracy")
    if not found:
        msg = f"{run.folder} has no accuracy of {model}, seed {seed}; run its suite again"
        raise UsageError(msg)
    return found[0]


def _verdict(run: Run, model: str, seed: int) -> str:
    found = _values(run, model, seed, "verdict")
    return VERDICTS[int(found[0])] if found else NOT_CHECKED


def _values(run: Run, model: str, seed: int, metric: str) -> list[float]:
    table = run.board.results
    rows = table[(table["model"] == model) & (table["seed"] == seed) & (table["metric"] == metric)]
    return [float(value) for value in rows["value"]]


def _footnote(run: Run, model: str, seed: int, n: int, verdict: str, attack: dict[str, Any]) -> str:
    """Say in what these figures differ from RobustBench's own."""
    seeds, parts = run.seeds(model), []
    if n != FULL_TEST:
        parts.append(f"AutoAttack on {n} test images")
    if changed := other_than_standard(attack):
        parts.append(
            "not the standard version of AutoAttack: " + ", ".join(f"{key} = {value}" for key, value in changed.items())
        )
    if len(seeds) > 1:
        parts.append(f"seed {seed} of the {len(seeds)} training seeds {', '.join(map(str, seeds))}")
    parts.append(f"checks for masked gradients: {verdict}")
    return " ".join([f"Measured by lrbench: {'; '.join(parts)}.", *run.board.cautions(model)])
