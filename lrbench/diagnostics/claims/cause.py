"""Why the claim's attack finds less than others: what was measured, confirmed by the change that undoes it."""

from dataclasses import dataclass
from typing import Literal

from lrbench.diagnostics.claims.bench import Bench
from lrbench.diagnostics.claims.ladder import Ladder
from lrbench.diagnostics.claims.rung import is_ensemble
from lrbench.diagnostics.claims.signs import Shares, Unreached
from lrbench.statistics import mcnemar

Bill = Literal["clean", "masked", "weak attack", "nothing left", "inconclusive"]

SURE = 0.01
"""Largest p-value at which what others find besides is more than chance: strict, since it is the best of many rungs."""

FORETOLD = 0.1
"""The same of one rung that what was measured foretells: two-sided, and thus 0.05 in the direction foretold."""

USUAL, POINT = 0.15, 0.01
"""What honest attacks leave to stronger ones: of what withstands them, or of half of the images, and besides."""

HALF = 0.5
"""Of the images: a sign at so many of those that others fool and the claim's attack does not can be why."""

BENT = 0.1
"""Share of those images from which on a single step counts as misled by the gradient, and not as weak alone."""

LITTLE = 0.1
"""Of the images that were right before, so many are little for the claim's attack to find."""

NEARLY = 0.9
"""Of what the strongest rung closes of the gap, a simpler one before it closes most, too, from this share on."""


@dataclass(frozen=True)
class Cause:
    """Why an attack finds less than there is.

    Attributes
    ----------
    explanation, advice : str
    undone : tuple of str
        Rungs that undo it, one of which has to close half of the gap; none where there is no such rung.
    """

    explanation: str
    advice: str
    undone: tuple[str, ...] = ()

    @property
    def warning(self) -> str:
        """What to say where it was measured and costs the claim's attack little."""
        return f"Gradients are not to be relied on all the same. {self.explanation} {self.advice}"


CAUSES = {
    "noisy": Cause(
        "The network draws random numbers, so that the gradient of one pass says little about the next.",
        "Average gradients over passes (`eot`), and report the accuracy of averaged predictions.",
        ("expectation", "smoothed"),
    ),
    "vanishing": Cause(
        "The gradient is zero or does not reach the image: an attack that follows it stands still.",
        "Go straight through what stops it (BPDA), and report black-box and transfer attacks.",
    ),
    "saturated": Cause(
        "The cross-entropy is flat, since logits are far apart for floating-point numbers: its gradient is zero.",
        "Attack with the margin or the DLR loss, or with logits rescaled.",
        ("margin", "dlr", "rescaled", "inner", "float64", "targeted"),
    ),
    "jumping": Cause(
        "Modules jump, or their gradient is not their slope: what it says of small steps is wrong for larger ones.",
        "Go straight through these modules (BPDA).",
        ("straight-through",),
    ),
    "single-step": Cause(
        "The claim's attack makes a single step, and the network falls to several smaller ones: its gradient at the "
        "image does not hold out to the radius, as after training against single steps.",
        "Report an attack of many steps, and train against one.",
        ("steps",),
    ),
    "uniform": Cause(
        "Logits are so close together that the cross-entropy weighs all wrong classes alike: its gradient raises their "
        "mean, and not the one that is nearest.",
        "Attack with the margin or the DLR loss, or with logits rescaled.",
        ("margin", "dlr", "rescaled", "inner"),
    ),
    "bent": Cause(
        "The margin does not change as its gradient says: a step along it, or one of the radius's length, misleads.",
        "Take more and smaller steps, average gradients over noise around the image, or go black-box.",
    ),
    "effort": Cause(
        "The gradient is sound; the claim's attack does not use it long or well enough.",
        "Report the stronger attack's figure.",
    ),
}


@dataclass(frozen=True)
class Verdict:
    """What the ladder comes to.

    Attributes
    ----------
    bill : {"clean", "masked", "weak attack", "nothing left", "inconclusive"}
        clean: others find no more than is usual. masked: they do, since gradients are hidden. weak attack: they do,
        by effort alone. nothing left: the claim's own attack fools all, so that no other is needed. inconclusive:
        others find no more, but on no way does a gradient reach most of the images that are left, or it misleads there
        and the claim's attack found next to nothing: hardly any was an attack.
    cause : str
        Of `CAUSES`. Where the bill is clean what was measured at most images nevertheless; empty if nothing was.
    rung : str
        The change that closes most of the gap, to a tenth: of several the first in the ladder. Empty where none does.
    closes : float
        Share of the gap that it closes.
    gap : float
        Share of the images that others fool and the claim's own attack does not.
    """

    bill: Bill
    cause: str = ""
    rung: str = ""
    closes: float = 0.0
    gap: float = 0.0


def verdict_of(bench: Bench, ladder: Ladder, shares: Shares, fell: Shares, hidden: Unreached) -> Verdict:
    """Say whether others find more than is usual, and if they do, why.

    Parameters
    ----------
    bench : Bench
    ladder : Ladder
    shares : Shares
        Of the images that withstood the claim's attack.
    fell : Shares
        Of those among them that did not withstand others.
    hidden : Unreached
        Of the images that withstood all.
    """
    own = ladder.tried["own"].alone
    if own is not None and own.value == 0:
        return Verdict("nothing left")
    worst = 1 - float(ladder.fooled.double().mean())
    assert own is not None  # noqa: S101
    n = len(bench.y)
    gap = round((own.value - worst) * n) / n
    closed = {name: max(0.0, each.less) / gap if gap else 0.0 for name, each in ladder.tried.items() if name != "own"}
    most = max(closed.values(), default=0.0)
    rung = next((name for name, share in closed.items() if share >= NEARLY * most > 0), "")
    closes = closed.get(rung, 0.0)
    usual = POINT if is_ensemble(bench.claim) else POINT + USUAL * min(own.value, HALF)
    p = mcnemar(round(gap * n), 0)
    if (gap <= usual or p > SURE) and not (_by_straight_through(ladder) or _as_foretold(ladder, fell)):
        if hides := _hides(bench, own.value, hidden):
            return Verdict("inconclusive", hides, rung, closes, gap)
        return Verdict("clean", _nevertheless(bench, ladder, shares), rung, closes, gap)
    cause = _cause(bench, ladder, fell, closed)
    weak = cause in {"effort", "uniform"} or (cause == "single-step" and fell.bent < BENT)
    return Verdict("weak attack" if weak else "masked", cause, rung, closes, gap)


def _cause(bench: Bench, ladder: Ladder, shares: Shares, closed: dict[str, float]) -> str:
    """Give the first cause that is there and is undone by what undoes it."""
    present = _present(bench, ladder, shares) | {"effort": True}
    present["single-step"] = getattr(bench.claim.made(), "steps", None) == 1
    for name, cause in CAUSES.items():
        undone = max((closed.get(rung, 0.0) for rung in cause.undone), default=1.0) >= HALF
        if name == "jumping":
            undone |= _stronger(ladder, "straight-through", "own", FORETOLD)
        # The identity is a poor slope of some modules: where it helps little, they jump all the same.
        if name in {"bent", "effort"} and present["jumping"]:
            return "jumping"
        if present[name] and undone:
            return name
    return "effort"


def _hides(bench: Bench, own: float, hidden: Unreached) -> str:
    """Say why nothing was attacked, empty if something was: gradients that mislead and found something are of use."""
    if hidden.vanishing >= HALF:
        return "vanishing"
    right = 1 - float(bench.wrong.double().mean())
    return "bent" if hidden.misled >= HALF and own > (1 - LITTLE) * right else ""


def _nevertheless(bench: Bench, ladder: Ladder, shares: Shares) -> str:
    """Give what was measured at most of the images though it costs the claim's attack little; empty if nothing."""
    present = _present(bench, ladder, shares)
    return next((name for name in CAUSES if present.get(name) and name != "uniform"), "")


def _present(bench: Bench, ladder: Ladder, shares: Shares) -> dict[str, bool]:
    """Say of each cause that can be measured whether it was."""
    present = {name: share >= HALF for name, share in shares.items()}
    return present | {"noisy": bench.randomness.yes, "jumping": "straight-through" in ladder.tried}


def _by_straight_through(ladder: Ladder) -> bool:
    """Whether going straight through modules finds what no other rung by itself does: gradients are hidden there."""
    return all(_stronger(ladder, "straight-through", other) for other in ladder.tried if other != "straight-through")


def _as_foretold(ladder: Ladder, shares: Shares) -> bool:
    """Whether the change that undoes just what was measured finds what the claim's attack does not.

    Averaging is tried on networks that draw random numbers alone, going straight through where modules jump.
    """
    foretold = ["expectation", "straight-through"]
    if max(shares.saturated, shares.vanishing) >= HALF:
        foretold += ["rescaled", "inner"]
    return any(_stronger(ladder, name, "own", FORETOLD) for name in foretold)


def _stronger(ladder: Ladder, name: str, other: str, sure: float = SURE) -> bool:
    """Whether a rung fooled more than another, by more than a point and hardly by chance."""
    first, second = (ladder.tried[each].tried if each in ladder.tried else None for each in (name, other))
    if first is None or second is None:
        return False
    more, less = int((first.fooled & ~second.fooled).sum()), int((second.fooled & ~first.fooled).sum())
    return (more - less) / len(first.fooled) > POINT and mcnemar(more, less) < sure
