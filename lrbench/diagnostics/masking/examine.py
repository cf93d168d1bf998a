"""All checks on one model, and what they come to."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from torch import Tensor, nn

from lrbench.attacks import Bounds
from lrbench.attacks.arguments import spelled
from lrbench.attacks.inputs import as_inputs, as_labels, check_range, ordinary
from lrbench.attacks.ranges import check_bounds, check_units, finite
from lrbench.attacks.regular import PROBED, callers_modes_left, regular

# Importing them registers their checks.
from lrbench.diagnostics.masking import behaviour, gradients, strength  # noqa: F401
from lrbench.diagnostics.masking.check import CHECKS, Finding
from lrbench.diagnostics.masking.subject import Budget, Norm, Subject
from lrbench.verdicts import VerdictName, verdict_of


@dataclass(frozen=True)
class Verdict:
    """What the checks come to.

    Attributes
    ----------
    name : {"held up", "suspicious", "broken"}
    findings : list of Finding
        Of all checks, flagged or not.
    accuracy : float
        Share of the images that are classified correctly.
    robust_accuracy : float
        Share that none of the checks' own attacks within eps changed the class of: an upper bound, from small attacks.
    """

    name: VerdictName
    findings: list[Finding] = field(repr=False)
    accuracy: float = math.nan
    robust_accuracy: float = math.nan

    @property
    def flagged(self) -> list[Finding]:
        """The findings that led to the verdict."""
        return [finding for finding in self.findings if finding.flagged]

    def __str__(self) -> str:
        """Give accuracies and each check's figure; of those that are flagged also what it means and what to do."""
        measured = f"accuracy {100 * self.accuracy:.1f} %, under the checks' attacks {100 * self.robust_accuracy:.1f} %"
        lines = [f"{self.name}: {measured}"]
        for finding in self.findings:
            mark = "!" if finding.flagged else " "
            lines.append(f"{mark} {finding.check.id:24} {finding.figure:8.3g}  {finding.check.condition}")
            if finding.flagged:
                lines += [f"    means: {finding.check.explanation}", f"    do: {finding.check.advice}"]
        return "\n".join(lines)


@spelled
def examine(  # noqa: PLR0913
    model: nn.Module,
    x: Tensor,
    y: Tensor,
    eps: float,
    *,
    norm: Norm = "linf",
    bounds: Bounds | None = (0.0, 1.0),
    budget: Budget | None = None,
    seed: int = 0,
    transfers: Sequence[Tensor] = (),
    claimed: Tensor | None = None,
    progress: Callable[[float, str], None] = lambda _share, _what: None,
) -> Verdict:
    """Ask every check of `CHECKS` about a model.

    Parameters
    ----------
    model : nn.Module
        Takes x, gives logits (N, classes). In the mode in which it is used; left as it was.
    x : Tensor, (N, ...), floating point
        Images, 50 or more for the paired tests to say anything.
    y : Tensor, array or list, (N,), integers
        True labels.
    eps : float, > 0
        Radius at which the checks attack; half and twice it are tried too.
    norm : {"linf", "l2", "l1"}
    bounds : (float, float) or None
        Valid range of an entry.
    budget : Budget, optional
        How much the checks' own attacks may do.
    seed : int
    transfers : sequence of Tensor, (N,), bool
        For each attack made on another model at the same radius, which images it fooled this one with.
    claimed : Tensor, (N,), bool, optional
        Which images your own attacks fooled the model with at the same radius: are their figures to be believed?
    progress : callable
        Told the share that is done, and what comes next.

    Raises
    ------
    ValueError
        If eps is not positive, there are no images, or x, y, or what the model gives is not as it should be.
    """
    finite(eps=eps, above_zero=True)
    check_bounds(bounds)
    check_units(eps, bounds, norm)
    x = as_inputs(x, bounds)
    check_range(x, eps, bounds)
    if not len(x):
        msg = "masking checks need images, x holds none"
        raise ValueError(msg)
    net, classes = regular(model, x[:PROBED])
    findings = []
    with callers_modes_left(x.device):
        x, y = ordinary(x), ordinary(as_labels(y, x, classes))
        subject = Subject(net, x, y, eps, norm, bounds, budget or Budget(), seed, tuple(transfers), claimed)
        for index, check in enumerate(CHECKS.values()):
            progress(index / len(CHECKS), check.id)
            measured = check.measure(subject)
            findings.append(Finding(check, measured.figure, measured.flagged))
        accuracy = 1 - float(subject.wrong.double().mean())
        standing = 1 - float((subject.wrong | subject.white | subject.black).double().mean())
    progress(1.0, "")
    return Verdict(verdict_of(each.check.severity for each in findings if each.flagged), findings, accuracy, standing)
