"""A comparison in words: which model is better under what, by how much, how sure, and what it takes to know more."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lrbench.leaderboard.paired import Difference, Paired
from lrbench.statistics import Components, detectable, images_needed, largest_difference
from lrbench.statistics.difference import LEVEL
from lrbench.views import in_percent, in_points

SEEDS = (2, 3, 5, 10)
"""Numbers of seeds for which it is said how many images a difference needs."""


@dataclass(frozen=True)
class Requirement:
    """What a difference needs in order to be found in 80 % of cases.

    Attributes
    ----------
    difference : float
        Of shares.
    components : Components
        As they were measured.
    images : dict
        Number of seeds -> number of images; None if no number is enough.
    """

    difference: float
    components: Components
    images: dict[int, int | None]


def conclusion(paired: Paired) -> str:
    """Sum up a comparison in a few words."""
    if paired.identical:
        return f"Tie: A and B get the same images wrong {'in what was compared' if paired.skipped else 'everywhere'}."
    row = paired.headline
    said = [_judged(row, paired)]
    if row.p_adjusted >= LEVEL and row.estimate.stopping is None:
        said.append(_resolution(row))
    return " ".join([*said, *_beyond(row, paired), *_picked(paired)])


def _beyond(headline: Difference, paired: Paired) -> Iterator[str]:
    """List what else is beyond chance, each family of adjusted p by itself."""
    alike, others = (
        [each for each in paired.family(counts=counts) if each is not headline and each.p_adjusted < LEVEL]
        for counts in (headline.counts, not headline.counts)
    )
    if alike:
        yield f"B - A is also beyond chance {_listed(alike, paired)}."
    if others:
        family = len(paired.family(counts=not headline.counts))
        yield f"Of the other {family} rows, adjusted for these, it is {_listed(others, paired)}."


def _listed(found: Sequence[Difference], paired: Paired) -> str:
    return ", ".join(f"{_where(each, paired)} ({in_points(each.estimate.difference)})" for each in found)


def _picked(paired: Paired) -> Iterator[str]:
    """Warn of a pair that may have been picked from many for its figures."""
    if paired.among > len("AB"):
        yield (
            f"A and B are two of the suite's {paired.among} models: a pair that is picked for its figures needs a p "
            "adjusted for all that it was picked from."
        )


def _judged(row: Difference, paired: Paired) -> str:
    found, family = row.estimate, len(paired.family(counts=row.counts))
    where, what = _where(row, paired), "robust accuracy" if row.attack else "accuracy"
    low, high = found.interval
    adjusted = f", {row.p_adjusted:.2g} adjusted for {family} {'radii' if row.counts else 'rows'}" if family > 1 else ""
    sure = f"95 % interval {in_points(low)} to {in_points(high)}, p = {found.p:.2g}{adjusted}"
    if row.p_adjusted < LEVEL:
        better, worse = ("B", "A") if found.difference > 0 else ("A", "B")
        size = f"{in_percent(abs(found.difference))} points"
        lead = f"{better} is better than {worse} {where}: its {what} is {size} higher"
        return f"{lead} (B - A: {sure}). {_scope(found.seeds)}"
    if found.difference == 0:
        return f"Tie {where}: equal {what} (B - A: {sure}). {_scope(found.seeds)}"
    shown = f"B - A is {in_points(found.difference)} points of {what} ({sure})"
    return f"Neither is shown to be better {where}: {shown}. {_scope(found.seeds)}"


def _scope(seeds: int) -> str:
    if seeds == 1:
        return "This generalises to other images for these two trainings; other trainings may differ by more."
    return f"This generalises to other images and other trainings, as far as {seeds} trainings can tell."


def _resolution(row: Difference) -> str:
    found = row.estimate
    least = detectable(found.seeds, found.images, found.components)
    seeds = f"{found.seeds} seed{'s' * (found.seeds > 1)}"
    if least is None:
        most = largest_difference(found.seeds, found.components)
        return (
            f"With {found.images} images and {seeds} like these not even a difference of {in_percent(most)} points, "
            "the share of outcomes that differ, would be detected in 80 % of cases."
        )
    return (
        f"With {found.images} images and {seeds} like these, {in_percent(least)} points would have been detected in "
        "80 % of cases (p < 0.05, not adjusted)."
    )


def requirement(paired: Paired, difference: float) -> Requirement:
    """Find what a difference under the headline's conditions needs; of a single seed, for these trainings alone.

    Parameters
    ----------
    paired : Paired
    difference : float in (0, 1]
    """
    components = paired.headline.estimate.components
    counts = (1,) if components.seeds is None else SEEDS
    images = {seeds: images_needed(difference, seeds, components) for seeds in counts}
    return Requirement(difference, components, images)


def required(paired: Paired, needed: Requirement) -> list[str]:
    """Say it, and of what it follows."""
    found = paired.headline.estimate
    listed = "; ".join(
        f"{seeds} seed{'s' * (seeds > 1)}: " + (f"{images:,} images" if images else "no number of images is enough")
        for seeds, images in needed.images.items()
    )
    size = f"{100 * needed.difference:g} points {_where(paired.headline, paired)}"
    lines = [f"{size} are detected in 80 % of cases (p < 0.05, not adjusted) with {listed}."]
    if needed.components.seeds is None:
        lines.append("For these two trainings only: one seed cannot tell how much others differ.")
    else:
        scatter = f"{100 * needed.components.seeds**0.5:.1f} points (standard deviation)"
        lines.append(f"Over seeds the difference varies by {scatter}, estimated from {found.seeds} of them.")
    return lines


def _where(row: Difference, paired: Paired) -> str:
    if not row.attack:
        return "without an attack"
    at = paired.radius(row.eps)
    return f"in the worst case over attacks at {at}" if row.counts else f"under {row.attack} at {at}"
