"""Why a gradient attack may fail at an image: shares of images, measured and not guessed."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lrbench.attacks.doubt import outdone, signs
from lrbench.attacks.frozen import frozen
from lrbench.attacks.gradients import NoGradientError, input_gradient
from lrbench.attacks.losses import margin, rounding
from lrbench.attacks.noise import Noise
from lrbench.diagnostics.claims.bench import Bench
from lrbench.diagnostics.claims.inner import with_inner_logits
from lrbench.diagnostics.claims.straight import straight_through
from lrbench.global_state import seeded

FEWEST = 10
"""Images that the claim's attack left; if there are fewer, all that are classified correctly are looked at."""

MOST = 256
"""Images that are looked at."""

KEEPS = 0.5
"""Share of a rise on the way to the radius that has to be left there, or the loss is bent."""

ALONG = (0.25, 0.5, 0.75)
"""Of the radius, where the margin is looked at along its gradient."""

DRAWN = 6
"""Random points on the radius that the gradient's step is held against."""

EVEN = 0.95
"""Of the number of wrong classes, the perplexity of their probabilities from which on they count as equal."""

SIGNS = {
    "saturated": "the cross-entropy is 0, to rounding, or its gradient is, and that of the margin is not",
    "uniform": "the wrong classes are about equally likely, so that the cross-entropy singles out none of them",
    "vanishing": "the gradient of the margin is 0, no number, or does not reach the image",
    "bent": "the margin does not change as its gradient says, nearby or out to the radius",
    "noisy": "another pass gives other logits",
}


@dataclass(frozen=True)
class Shares:
    """Shares of the images at which gradients say little; an image may have several, but is not bent where it is noisy.

    Attributes
    ----------
    saturated, uniform, vanishing, bent, noisy : float
    images : int
        That were looked at.
    """

    saturated: float = 0.0
    uniform: float = 0.0
    vanishing: float = 0.0
    bent: float = 0.0
    noisy: float = 0.0
    images: int = 0

    def items(self) -> Iterator[tuple[str, float]]:
        """Give each sign with its share."""
        return ((name, getattr(self, name)) for name in SIGNS)


def of_withstanding(bench: Bench, withstood: Tensor) -> Shares:
    """Look at the images that withstood the claim's attack, (N,), bool."""
    return shares(bench, withstood if int(withstood.sum()) >= FEWEST else ~bench.wrong)


def shares(bench: Bench, rows: Tensor) -> Shares:
    """Look at some images, (N,), bool."""
    chosen = rows.nonzero().squeeze(1)[:MOST]
    x, y, claim = bench.x[chosen], bench.y[chosen], bench.claim
    if not len(x):
        return Shares()
    with frozen(bench.model):
        try:
            found = signs(bench.model, x, y, claim.eps, bench.ball, claim.bounds)
            bent = found.bent | _turns(bench, x, y)
        except NoGradientError:
            return Shares(vanishing=1.0, noisy=float(bench.randomness.yes), images=len(x))
    # Where two passes differ, a step that changes nothing as foretold says nothing; exact zeros are no noise.
    kinds = {
        "saturated": found.saturated,
        "uniform": _even(bench.logits(x), y),
        "vanishing": found.vanishing,
        "bent": bent & ~found.noisy & ~found.vanishing,
        "noisy": found.noisy,
    }
    return Shares(**{name: float(each.double().mean()) for name, each in kinds.items()}, images=len(x))


class Unreached(NamedTuple):
    """Shares of some images on no way to which a gradient says something.

    Attributes
    ----------
    vanishing : float
        Where it is 0, no number, or does not arrive.
    misled : float
        Where that is so, or random steps raise the margin about as far as one along it.
    """

    vanishing: float = 0.0
    misled: float = 0.0


def unreached(bench: Bench, rows: Tensor, ways: Collection[str]) -> Unreached:
    """Look at some images, (N,), bool, on the network's own way and on those that rungs of these names take."""
    chosen = rows.nonzero().squeeze(1)[:MOST]
    x, y = bench.x[chosen], bench.y[chosen]
    if not len(x):
        return Unreached()
    with frozen(bench.model):
        found = [_hidden(bench, bench.model, x, y)]
        found += [_hidden(bench, inner, x, y) for inner in (with_inner_logits(bench) if "inner" in ways else [])]
        if "straight-through" in ways:
            with straight_through(bench.model, [place for place in bench.places if place.flagged and place.same_shape]):
                found.append(_hidden(bench, bench.model, x, y))
    return Unreached(*(float(each.double().mean()) for each in torch.stack(found).all(dim=0)))


def _hidden(bench: Bench, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    """Say where the gradient of the margin vanishes, and where it does or is no better than chance, (2, N), bool."""
    claim, ball = bench.claim, bench.ball
    try:
        found = signs(model, x, y, claim.eps, ball, claim.bounds)
        # The same random numbers at every point, or one draw would be held against another.
        with seeded(bench.seed):
            _, here, gradient = input_gradient(model, x, lambda logits: margin(logits, y))
    except NoGradientError:
        return torch.ones(2, len(x), dtype=torch.bool, device=x.device)

    def reached(end: Tensor) -> Tensor:
        with torch.no_grad(), seeded(bench.seed):
            return margin(model(ball.project(end, x, claim.eps, claim.bounds)), y)

    def highest(ends: Iterator[Tensor]) -> Tensor:
        return torch.stack([reached(end) for end in ends]).amax(dim=0)

    along = highest(x + share * claim.eps * ball.direction(gradient) for share in (*ALONG, 1.0))
    chance = highest(ball.surface(x, claim.eps, Noise(x, bench.seed, f"way {draw}")) for draw in range(DRAWN))
    return torch.stack([found.vanishing, found.vanishing | outdone(along - here, chance - here)])


def _even(logits: Tensor, y: Tensor) -> Tensor:
    """Say where the wrong classes are about equally likely, (N,), bool; nowhere if there is but one."""
    others = logits.shape[1] - 1
    wrong = logits.scatter(1, y[:, None], -torch.inf)
    shares = wrong.softmax(dim=1)
    perplexity = torch.special.entr(shares).sum(dim=1).exp()
    even: Tensor = perplexity >= EVEN * others
    return even if others > 1 else torch.zeros_like(even)


def _turns(bench: Bench, x: Tensor, y: Tensor) -> Tensor:
    """Say where the margin rises along its gradient and has fallen again at the radius, (N,), bool."""
    claim, model = bench.claim, bench.model
    logits, here, gradient = input_gradient(model, x, lambda logits: margin(logits, y))
    direction = bench.ball.direction(gradient)

    def rise(share: float) -> Tensor:
        ahead = bench.ball.project(x + share * claim.eps * direction, x, claim.eps, claim.bounds)
        with torch.no_grad():
            return margin(model(ahead), y) - here

    highest = torch.stack([rise(share) for share in ALONG]).amax(dim=0)
    return (highest > rounding(logits, y)) & (rise(1.0) < KEEPS * highest)
