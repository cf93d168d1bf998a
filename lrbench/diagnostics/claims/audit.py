"""A claim's audit: the ladder, the signs, and what they come to."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from torch import Tensor, nn

from lrbench.attacks.arguments import choice
from lrbench.attacks.inputs import as_inputs, as_labels, ordinary
from lrbench.attacks.ranges import check_bounds, finite
from lrbench.attacks.regular import PROBED, callers_modes_left, regular
from lrbench.diagnostics.claims.bench import EFFORTS, Bench, Effort
from lrbench.diagnostics.claims.cause import CAUSES, Verdict, verdict_of
from lrbench.diagnostics.claims.claim import Claim
from lrbench.diagnostics.claims.ladder import Climbed, Keep, Known, Ladder, Share, climbed
from lrbench.diagnostics.claims.signs import Shares, of_withstanding, shares, unreached
from lrbench.global_state import preserved, seeded


@dataclass(frozen=True)
class Audit:
    """What is left of a claim.

    Attributes
    ----------
    claim : Claim
    accuracy : Share
        Before any attack.
    ladder : Ladder
    shares : Shares
        Of the images that withstood the claim's own attack, at which gradients say little.
    verdict : Verdict
    images : int
    """

    claim: Claim
    accuracy: Share
    ladder: Ladder
    shares: Shares
    verdict: Verdict
    images: int

    @property
    def own(self) -> Share:
        """Robust accuracy under the claim's own attack."""
        found = self.ladder.tried["own"].alone
        assert found is not None  # noqa: S101
        return found

    @property
    def left(self) -> Share:
        """Robust accuracy under all rungs together."""
        return Share.of(~self.ladder.fooled)

    def __str__(self) -> str:
        """Give the sentence, the table, and what was measured."""
        lines = [self.sentence, *map(_line, self.ladder.rungs)]
        lines.insert(1, f"  {'':18} {'alone':>24} {'worst so far':>24} {'less':>7} {'passes':>9} {'s':>7}")
        found = ", ".join(f"{name} {100 * share:.0f} %" for name, share in self.shares.items())
        lines.append(f"Of {self.shares.images} images that were looked at: {found}")
        lines += [f"  {place}" for place in self.ladder.places]
        return "\n".join([*lines, self.conclusion])

    @property
    def sentence(self) -> str:
        """What is claimed, what is found with the claim's own attack, and what is left."""
        claimed = self.claim.robust_accuracy
        said = "" if claimed is None else f"{claimed:g} % claimed, "
        if claimed is not None and not self.own.low <= claimed / 100 <= self.own.high:
            said = f"NOT REPRODUCED: {said}"
        return (
            f"{self.claim.label}: {said}ours {self.own} with the claim's own attack; {self.left} left after all, of "
            f"{self.images} images, {self.accuracy} of them right before"
        )

    @property
    def conclusion(self) -> str:
        """The verdict in words."""
        return conclusion(self.verdict)


HIDDEN = {"vanishing": "do not reach", "bent": "mislead at"}


def conclusion(verdict: Verdict) -> str:
    """Write a verdict in words."""
    most = f"`{verdict.rung}` closes {100 * verdict.closes:.0f} % of the gap of {100 * verdict.gap:.1f} points"
    if verdict.bill == "nothing left":
        return "Nothing left: the claim's own attack fools every image, and no other is needed"
    cause = CAUSES.get(verdict.cause)
    gap = f", {100 * verdict.gap:.1f} points (`{verdict.rung}`)" if verdict.rung else ""
    held = f"other attacks find no more than is usual beside the claim's own{gap}"
    if verdict.bill == "inconclusive":
        return (
            f"Inconclusive: {held}, but gradients {HIDDEN[verdict.cause]} most of the images that are left, so that "
            "attacks that follow them did not attack these. Attack a differentiable stand-in, such as what comes "
            "before the last step, or a network trained alike (`transfer`)."
        )
    if verdict.bill == "clean":
        said = f"No masked gradients: {held}"
        return said if cause is None else f"Clean, but {verdict.cause}: {held}. {cause.warning}"
    assert cause is not None  # noqa: S101
    said = f"{most}. " if verdict.rung else ""
    headline = "Masked gradients" if verdict.bill == "masked" else "Weak attack"
    return f"{headline}, cause: {verdict.cause}. {said}{cause.explanation} {cause.advice}"


def not_tried(reasons: Mapping[str, str]) -> Iterator[str]:
    """Say which rungs (name -> reason) were not climbed, a reason once; nothing where there is none."""
    rungs: dict[str, list[str]] = {}
    for rung, reason in reasons.items():
        rungs.setdefault(reason, []).append(rung)
    if rungs:
        yield "Not tried: " + "; ".join(f"{', '.join(names)} ({reason})" for reason, names in rungs.items()) + "."


def _line(rung: Climbed) -> str:
    if rung.tried is None:
        return f"  {rung.name:18} not tried: {rung.reason}"
    spent = f"{rung.tried.forward + rung.tried.backward:9.0f} {rung.tried.seconds:7.1f}"
    note = f"  {rung.tried.note}" if rung.tried.note else ""
    return f"  {rung.name:18} {rung.alone!s:>24} {rung.worst!s:>24} {100 * rung.less:+7.1f} {spent}{note}"


def audit(  # noqa: PLR0913
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    claim: "str | Claim",
    *,
    others: Mapping[str, nn.Module] | None = None,
    effort: Literal["short", "full"] | Effort = "short",
    whole: bool = False,
    batch_size: int = 128,
    seed: int = 0,
    known: Known | None = None,
    keep: Keep = lambda _name, _content: None,
    progress: Callable[[float, str], None] = lambda _share, _what: None,
) -> Audit:
    """Climb a ladder of attacks, each of which changes one thing of a claim's own, and say why the claim does not hold.

    >>> print(lrbench.audit(model, x, y, claim="pgd, steps 20, 8/255: 78.5"))  # doctest: +SKIP

    Parameters
    ----------
    model : nn.Module
        Takes x, gives logits (N, classes); left as it was.
    x : Tensor, (N, ...), floating point
        Images in the space of the claim's radius: in [0, 1] unless its space is normalised.
    y : Tensor, array or list, (N,), integers
        True labels.
    claim : str or Claim
        Such as "pgd, steps 20, 8/255: 78.5": attack, options, radius, and robust accuracy in percent.
    others : mapping, optional
        Name -> network for the same images, to make attacks on.
    effort : {"short", "full"} or Effort
        How much each rung may do.
    whole : bool
        Try also rungs that can tell nothing new, since nothing has withstood those before.
    batch_size : int
    seed : int
    known : mapping, optional
        What `keep` was told in an audit that was stopped: these rungs are not climbed again.
    keep : callable, optional
        Told of every rung that was climbed, with what can be written as JSON.
    progress : callable
        Told the share that is done, and what comes next.

    Raises
    ------
    UsageError
        If the claim cannot be read, or names an attack or an option that there is not.
    ValueError
        If x or y is not as it should be, or there are no images.
    """
    claim = claim if isinstance(claim, Claim) else Claim.parse(claim)
    claim.check()
    finite(eps=claim.eps, above_zero=True)
    check_bounds(claim.bounds)
    if not isinstance(effort, Effort):
        effort = EFFORTS[choice("effort", effort, tuple(EFFORTS))]
    x = as_inputs(x, claim.bounds).float()
    if not len(x):
        msg = "an audit needs images, x holds none"
        raise ValueError(msg)
    net, classes = regular(model, x[:PROBED])
    made = {name: regular(other, x[:PROBED])[0] for name, other in (others or {}).items()}
    with callers_modes_left(x.device), preserved():
        x, y = ordinary(x), ordinary(as_labels(y, x, classes))
        bench = Bench(net, x, y, claim, made, effort, batch_size, seed)
        ladder = climbed(bench, known or {}, keep, progress, whole=whole)
        own: Any = ladder.tried["own"].tried
        ways = [name for name, rung in ladder.tried.items() if rung.tried is not None and rung.tried.backward > 0]
        # Whatever the ladder drew, or did not draw since it was climbed before.
        with seeded(seed):
            found, fell = of_withstanding(bench, ~own.fooled), shares(bench, ladder.fooled & ~own.fooled)
            verdict = verdict_of(bench, ladder, found, fell, unreached(bench, ~ladder.fooled, ways))
        return Audit(claim, Share.of(~bench.wrong), ladder, found, verdict, len(x))
