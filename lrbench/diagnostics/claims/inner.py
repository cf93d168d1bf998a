"""Logits that a network gives inside, before something is done to them that hides their gradient or flattens the loss.

Such as a softmax in its own `forward`: attacks of the field that are given probabilities for logits are weak.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor, nn

from lrbench.attacks.frozen import frozen
from lrbench.diagnostics.claims.bench import Bench, Tried
from lrbench.diagnostics.claims.rung import DoesNotApplyError, Rung, joined
from lrbench.global_state import seeded

AGREE = 0.9
"""Share of the images of which inner logits have to give the network's own class."""

LOOKED_AT = 64
"""Images that agreement is measured on."""


class Inner(nn.Module):
    """What a module of a network gives, in place of the network's output.

    Parameters
    ----------
    model : nn.Module
    name : str
        Of the module, as of `named_modules`.
    call : int
        Which of its calls in a pass. Where a pass has no such call, or it gives another shape, the network's logits are
        given.
    """

    def __init__(self, model: nn.Module, name: str, call: int = 0) -> None:
        super().__init__()
        self.model, self.name, self.call = model, name, call

    def forward(self, x: Tensor) -> Tensor:
        """Logits, in the dtype of the network's."""
        with _outputs(self.model, [self.name]) as outputs:
            logits: Tensor = self.model(x)
        given = next((each.given.to(logits) for each in outputs if each.call == self.call), logits)
        return given if given.shape == logits.shape else logits


class InnerLogits(Rung):
    """Logits inside the network."""

    name, change = "inner", "logits inside the network, before what is done to them"

    def tried(self, bench: Bench) -> Tried:
        """Attack what the first and the last such module give; what is found counts on the network itself."""
        victims = with_inner_logits(bench)
        if not victims:
            msg = "no module gives logits that are not the network's own and name the same classes"
            raise DoesNotApplyError(msg)
        tried = joined([bench.tried(bench.claim.made(), victim) for victim in victims])
        where = "of " + ", ".join(victim.name for victim in victims)
        return replace(tried, note="; ".join(each for each in (where, tried.note) if each))


def with_inner_logits(bench: Bench) -> list[Inner]:
    """Give the network up to the first and to the last module whose output names its classes and is not its own.

    The last one may be half way through what hides the gradient, and the first one an early exit.
    """
    x = bench.x[:LOOKED_AT]
    names = [name for name, module in bench.model.named_modules() if name and not _scripted(module)]
    with frozen(bench.model), seeded(bench.seed), torch.no_grad(), _outputs(bench.model, names) as outputs:
        logits = bench.model(x.clone())
    found = [each for each in outputs if _alike(each.given, logits)]
    ends = [*found[:1], *(each for each in found[-1:] if not torch.equal(each.given, found[0].given))]
    return [Inner(bench.model, each.name, each.call) for each in ends]


def _alike(given: Tensor, logits: Tensor) -> bool:
    if given.shape != logits.shape or not given.is_floating_point() or torch.equal(given.to(logits), logits):
        return False
    # Where outputs saturate, several classes share the largest one.
    same = logits.gather(1, given.argmax(dim=1, keepdim=True)).squeeze(1) >= logits.amax(dim=1)
    return same.double().mean().item() >= AGREE


def _scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule)


class _Output(NamedTuple):
    """What a module gave in a call, the first of a pass being 0."""

    name: str
    call: int
    given: Tensor


@contextmanager
def _outputs(model: nn.Module, names: list[str]) -> Iterator[list[_Output]]:
    """Keep what these modules give, in the order of their calls, each before anything is written into it."""
    kept: list[_Output] = []
    calls: Counter[str] = Counter()
    modules, handles = dict(model.named_modules()), []

    def keep(name: str, output: object) -> None:
        if isinstance(output, Tensor) and output.ndim == 2:
            kept.append(_Output(name, calls[name], output.clone()))
        calls[name] += 1

    try:
        for name in names:
            hook = modules[name].register_forward_hook(lambda _module, _given, output, name=name: keep(name, output))
            handles.append(hook)
        yield kept
    finally:
        for handle in handles:
            handle.remove()
