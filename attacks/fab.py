"""FAB: fast adaptive boundary, towards target classes or to the nearest of all.

Source: Croce and Hein, *Minimally distorted adversarial examples with a fast adaptive boundary attack*, 2020,
algorithm 1, in the targeted form of *Reliable evaluation of adversarial robustness*, 2020; step by step as in the
authors' code (fra31/auto-attack).
"""

from typing import Literal

import torch
from torch import Tensor, nn

from .base import Attack, Kind, named
from .cost import CLASSES, GRADIENT, LOOK, Passes
from .descent import Descent, Rules
from .engine import searched
from .inputs import Bounds
from .losses import misclassified
from .passes import Steady, logits_of
from .precision import Narrowed, Precision
from .prepared import Prepared
from .ranges import at_least, check_bounds, finite


@named("fab-t")
class FAB(Attack):
    """The smallest perturbation, by projections onto linearised boundaries.

    In the L2, the Linf or the L1 norm; the first run starts from the clean example.

    Parameters
    ----------
    norm : {"linf", "l2", "l1"}
        What is to be small.
    steps : int, >= 1
        Iterations of a run.
    targets : int, >= 1
        Wrong classes tried, the likeliest first, a run each; at most all.
    targeted : bool
        Else each step goes to the nearest boundary, were the model linear, of all classes: a backward pass a class.
    restarts : int, >= 1
        Runs in all, towards each target if there are any; the later ones from random points, `start_radius` / 2 away.
    start_radius : float, > 0, optional
        Default: 0.3 in the Linf, 1 in the L2, 5 in the L1 norm.
    enough : float, >= 0
        Distance at which an example has been brought near enough: it is left alone at the first step that fools the
        model within it, where a closer point may have come later. With 0 the closest point is looked for.
    searches : int, >= 0
        Bisections of the segment between the clean example and the point found, at the end of a run; the paper's final
        search. AutoAttack has none.
    precision : {"float32", "bfloat16"}
        Of the gradient passes alone. bfloat16 (autocast) can halve their time; whether a point is misclassified is
        asked in float32 in any case.
    seed : int
        Of the random starts, which depend on it and on the example alone.
    bounds : (float, float) or None
        Valid range of an entry.

    Raises
    ------
    ValueError
        If a parameter is out of range.
    """

    kind: Kind = "minimal"

    def __init__(  # noqa: PLR0913
        self,
        norm: Literal["linf", "l2", "l1"] = "linf",
        steps: int = 100,
        *,
        targets: int = 9,
        targeted: bool = True,
        restarts: int = 1,
        start_radius: float | None = None,
        enough: float = 0.0,
        searches: int = 3,
        precision: Precision = "float32",
        seed: int = 0,
        bounds: Bounds | None = (0.0, 1.0),
    ) -> None:
        self.start_radius = {"linf": 0.3, "l2": 1.0, "l1": 5.0}[norm] if start_radius is None else start_radius
        finite(start_radius=self.start_radius, above_zero=True)
        finite(enough=enough)
        at_least(1, steps=steps, targets=targets, restarts=restarts)
        at_least(0, searches=searches)
        check_bounds(bounds)
        self.norm, self.steps, self.targets, self.targeted = norm, steps, targets, targeted
        self.restarts, self.enough, self.searches, self.seed, self.bounds = restarts, enough, searches, seed, bounds
        self.precision = precision

    @property
    def passes(self) -> Passes:
        """Those of its runs: a gradient a step, without a target one for each class, and a look at where it led."""
        gradient = GRADIENT if self.targeted else Passes(1, CLASSES)
        run = self.steps * (gradient + LOOK) + self.searches * LOOK
        return LOOK + (self.targets if self.targeted else 1) * self.restarts * run

    def sees(self, model: nn.Module) -> nn.Module:
        """Give the model as it was made ready; what counts in the end is asked of the model itself."""
        return model

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Search towards each target and from each start; keep each example's closest."""
        real = model.unfolded if isinstance(model, Prepared) else model
        logits = logits_of(real, x)
        found, rows = x.clone(), (~misclassified(logits, y)).nonzero().squeeze(1)
        others = logits.scatter(1, y[:, None], -torch.inf).argsort(dim=1, descending=True)[rows]
        targets = others[:, : min(self.targets, logits.shape[1] - 1)] if self.targeted else None
        rules = Rules(
            self.norm, self.steps, self.restarts, self.start_radius, self.enough, self.searches, self.seed, self.bounds
        )
        # The closest point lies behind the boundary of the model itself, not of a copy that is rounded otherwise.
        seen, ends = Steady(model if self.enough else real), x[rows]
        followed = seen if self.precision == "float32" else Steady(Narrowed(model if self.enough else real))
        searched(Descent(seen, followed, Steady(real), ends.clone(), y[rows], rules, targets), ends)
        found[rows] = ends
        return found
