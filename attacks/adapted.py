"""An attack of another library, held to what ours promise.

In the ball and the bounds, seeded, of a minimal attack only what fools, and where it fails, in a line.
"""

import hashlib
import inspect
import logging
import random
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from types import MappingProxyType
from typing import Any, Literal, NamedTuple, get_args

import numpy as np
import torch
from torch import Tensor, nn

from .arguments import spelled
from .base import Attack, Kind
from .batches import out_of_memory
from .cost import Passes, passes_of
from .geometry import checked_projection, unsqueeze_like
from .gradient_free import GRADIENT_FREE
from .gradients import NoGradientError
from .inputs import Bounds, clipped
from .losses import misclassified
from .outputs import OutputError
from .ranges import check_ball
from .regular import FAILURES, ModelError, line_of

Call = Callable[[nn.Module, Tensor, Tensor], Tensor]
Norm = Literal["linf", "l2", "l1"]
NORMS: tuple[Norm, ...] = get_args(Norm)


class Threat(NamedTuple):
    """What of the threat model an attack of another library is given."""

    eps: float
    norm: Norm
    bounds: Bounds | None


PLAIN: dict[Any, Any] = {each: each for each in (int, float, bool)} | {"int": int, "float": float, "bool": bool}
"""Annotations of a library's options that say how to read them."""


class ExternalAttackError(RuntimeError):
    """An attack of another library fails."""


OWN = (NoGradientError, OutputError, ModelError)


class ExternalAttack(Attack):
    """An attack of another library.

    Parameters
    ----------
    name : str
        For messages.
    kind : {"bounded", "minimal"}
    call : callable
        (model, x, y) -> adversarial inputs.
    threat : Threat
        eps is not used by a minimal attack.
    seed : int
        Of Python's, numpy's and torch's generators, with the content of the first example that is attacked.
    one_by_one : bool
        Attack each example on its own, so that what it meets does not depend on the batch.
    options : mapping
        Of the library's own, for messages.
    defaults : mapping
        Of its other options, from which its cost follows.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        call: Call,
        threat: Threat,
        *,
        seed: int,
        one_by_one: bool,
        options: Mapping[str, Any] = MappingProxyType({}),
        defaults: Mapping[str, Any] = MappingProxyType({}),
    ) -> None:
        self.name, self.kind, self.call = name, kind, call
        self.eps, self.norm, self.bounds = threat
        self.seed, self.one_by_one, self.options = seed, one_by_one, options
        self.defaults = defaults

    @property
    def passes(self) -> Passes:
        """What follows from its options' names: steps, restarts, queries, in the words of the library."""
        return passes_of({**self.defaults, **self.options}, gradients=self.needs_gradients)

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Let the library attack; hold the result to what it has to be."""
        if self.kind == "bounded":
            return checked_projection(self._all(model, x, y), x, self.eps, self.norm, self.bounds, self.name)
        found = x.clone()
        standing = ~_fooled(model, x, y)
        if standing.any():
            found[standing] = self._minimal(model, x[standing], y[standing])
        return found

    def _all(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        size = 1 if self.one_by_one else max(1, len(x))
        parts = [slice(start, start + size) for start in range(0, len(x), size)]
        return torch.cat([x[:0], *(self._called(model, x[rows], y[rows]) for rows in parts)])

    def _called(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        try:
            with _seeded(_seed_of(x, self.seed), x.device), torch.enable_grad(), _quiet(self.name.partition(":")[0]):
                found = self.call(model, x.contiguous(), y)
        except FAILURES as error:
            if isinstance(error, OWN) or out_of_memory(error):
                raise
            given = ", ".join(f"{name}={value!r:.40}" for name, value in self.options.items())
            msg = f"{self.name}({given}) fails on this model: {line_of(error)}"
            raise ExternalAttackError(msg) from error
        return found.detach().to(x)

    def _minimal(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found = self._all(model, x, y)
        found = clipped(found, self.bounds)
        return torch.where(unsqueeze_like(_fooled(model, found, y), x), found, x)


def factory_for(
    name: str,
    kind: Kind,
    own: list[inspect.Parameter],
    call_with: Callable[[Threat, dict[str, Any]], Call],
    *,
    norms: tuple[Norm, ...] = NORMS,
    one_by_one: bool = False,
) -> Callable[..., ExternalAttack]:
    """Give the constructor of a library's attack.

    Parameters
    ----------
    name : str
        For messages.
    kind : {"bounded", "minimal"}
    own : list of Parameter
        The library's own options. They stand in the constructor's signature, so that a misspelt one is found before
        anything runs, and are read as people write them where their annotation is a number or a flag.
    call_with : callable
        (threat model, options) -> what is called on (model, x, y).
    norms : tuple of str
        In which it can be asked, the first of them if nobody says.
    one_by_one : bool
        Default of the option.
    """
    library, _, what = name.partition(":")
    needs_gradients = what not in GRADIENT_FREE[library]
    defaults = {p.name: p.default for p in own}

    def factory(
        *,
        eps: float = 0.0,
        norm: Norm = norms[0],
        bounds: Bounds | None = (0.0, 1.0),
        seed: int = 0,
        one_by_one: bool = one_by_one,
        **options: Any,  # noqa: ANN401
    ) -> ExternalAttack:
        check_ball(eps, bounds, norm)
        threat = Threat(eps, norm, bounds)
        call = call_with(threat, options)
        made = ExternalAttack(
            name, kind, call, threat, seed=seed, one_by_one=one_by_one, options=options, defaults=defaults
        )
        made.needs_gradients = needs_gradients
        return made

    known = [p for p in inspect.signature(factory).parameters.values() if p.kind is not p.VAR_KEYWORD]
    extra = [
        p.replace(kind=p.KEYWORD_ONLY, annotation=PLAIN.get(p.annotation, p.empty))
        for p in own
        if p.name not in {k.name for k in known} and p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}
    ]
    factory.__qualname__ = name
    factory.__signature__ = inspect.Signature([*known, *extra])  # type: ignore[attr-defined]
    factory.__annotations__ |= {p.name: p.annotation for p in extra if p.annotation is not p.empty}
    factory.__annotations__["norm"] = Literal[norms]
    factory.kind = kind  # type: ignore[attr-defined]
    factory.needs_gradients = needs_gradients  # type: ignore[attr-defined]
    return spelled(factory)


def _fooled(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return misclassified(model(x), y)


def _seed_of(x: Tensor, seed: int) -> int:
    content = x[0].detach().float().cpu().contiguous().numpy().tobytes()
    return int.from_bytes(hashlib.blake2b(content, digest_size=4, key=str(seed).encode()).digest(), "big")


@contextmanager
def _seeded(seed: int, device: torch.device) -> Iterator[None]:
    """Seed the generators that a library may draw from; put them back afterwards."""
    before = random.getstate(), np.random.get_state()  # noqa: NPY002
    unseeded = np.random.RandomState
    # ART's decision-based attacks make generators of their own, seeded by the clock.
    np.random.RandomState = lambda given=None: unseeded(seed if given is None else given)  # type: ignore[assignment,misc]
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []):
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            torch.manual_seed(seed)
            yield
    finally:
        np.random.RandomState = unseeded  # type: ignore[misc]
        random.setstate(before[0])
        np.random.set_state(before[1])  # noqa: NPY002


@contextmanager
def _quiet(library: str) -> Iterator[None]:
    """Keep a library's warnings to itself, and the caller's defaults from it: it makes tensors of its own."""
    before, logger = torch.get_default_dtype(), logging.getLogger(library)
    level = logger.level
    logger.setLevel(logging.ERROR)
    with warnings.catch_warnings(), torch.device("cpu"):
        warnings.simplefilter("ignore")
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(before)
            logger.setLevel(level)
