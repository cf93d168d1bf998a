"""What difference a suite can show, before it is run: by an assumption, or by what an earlier run found."""

from pathlib import Path
from typing import Any

import numpy as np

from lrbench.errors import UsageError
from lrbench.leaderboard.layout import middle
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.stopped import known_to
from lrbench.names import WORST, radius_text
from lrbench.statistics import Components, detectable, difference_of, on_the_same_images
from lrbench.store import View
from lrbench.views import in_percent

DISCORDANT, SCATTER = 0.2, 0.03
ASSUMED = Components(2 * SCATTER**2, DISCORDANT / 2, DISCORDANT / 2)
"""Of the difference of two models whose trainings scatter independently; half of the discordance is the images'."""


def resolution(suite: dict[str, Any], images: int, folder: Path, view: View | None = None) -> list[str]:
    """Say what difference of robust accuracy from the first model is found in 80 % of cases; nothing if none is sought.

    Where figures decide how many images there are, how closely they will be known.

    Parameters
    ----------
    suite : dict
        Content of `suite.yaml`.
    images : int
        How many are attacked.
    folder : Path
        Of its run, which need not be there. Where a comparison is whole, its components are taken, mean over models.
    view : View, optional
        What was read of its steps already.
    """
    seeds, samples = len(suite["seeds"]), suite["threat_model"].get("samples")
    if isinstance(samples, dict) and suite["attacks"]:
        return [f"{known_to(samples)}: at most {images:,} images of each model are attacked"]
    if not suite["attacks"] or len(suite["models"]) < 2:
        return []
    measured = _measured(folder, view)
    components, source = (ASSUMED, _assumption(seeds)) if not measured else _pooled(measured, seeds, suite)
    least = detectable(seeds, images, components)
    design = f"{images} images and {seeds} seed{'s' * (seeds > 1)}"
    power = "in 80 % of cases (p < 0.05, not adjusted)"
    if least is None:
        said = f"too few to tell two models apart {power}, even where all outcomes that differ favour one of them"
    else:
        said = f"differences of robust accuracy of {in_percent(least)} points and more are found {power}"
    return [f"{design}: {said}, {source}"]


def _assumption(seeds: int) -> str:
    discordant = f"if {100 * DISCORDANT:.0f} % of the images are discordant"
    if seeds == 1:
        return f"{discordant}; of other images under one training"
    scatter = f"{100 * SCATTER:.0f} points over seeds"
    return f"{discordant}, half of them with every seed, and each model scatters by {scatter}"


def _measured(folder: Path, view: View | None) -> list[Components]:
    """Components of each model's difference from the first one at the middle radius, of what is done of a run."""
    try:
        run = Run.open(folder, view)
    except UsageError:
        return []
    baseline, *others = run.board.suite["models"]
    eps = middle(run.board.suite)
    found = []
    for model in others:
        try:
            shared = [seed for seed in run.seeds(baseline) if seed in run.seeds(model)]
            outcomes = [[run.wrong(name, seed) for seed in shared] for name in (model, baseline)]
        except UsageError:
            continue  # not made yet
        if shared and all((WORST, eps) in each for side in outcomes for each in side):
            own, other = ([~each[WORST, eps] for each in side] for side in outcomes)
            found.append(difference_of(*on_the_same_images(own, other)).components)
    return found


def _pooled(measured: list[Components], seeds: int, suite: dict[str, Any]) -> tuple[Components, str]:
    images, rest = (float(np.mean([getattr(each, name) for each in measured])) for name in ("images", "rest"))
    known = [each.seeds for each in measured if each.seeds is not None]
    between = float(np.mean(known)) if known else ASSUMED.seeds or 0.0
    threat = suite["threat_model"]
    where = radius_text(middle(suite), threat["norm"], threat["space"])
    source = f"by what is measured at {where} in this folder"
    if seeds > 1 and not known:
        source += f", and if each model scatters by {100 * SCATTER:.0f} points over seeds, which one seed does not show"
    return Components(between, images, rest), source
