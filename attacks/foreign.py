"""Attacks of ART, foolbox and torchattacks, by name, behind one thin adapter each.

A foreign attack sees the prepared model and the batch, and its result is held to the same promises as ours: within the
radius and the bounds, seeded, and of a minimal attack only what does fool the model. What it does inside is its own.
"""

import hashlib
import importlib
import inspect
import math
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any, Literal, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .base import Attack, Kind
from .geometry import held, wide
from .gradient_free import GRADIENT_FREE
from .inputs import Bounds
from .losses import misclassified

Call = Callable[[nn.Module, Tensor, Tensor], Tensor]
Norm = Literal["linf", "l2"]


class _Threat(NamedTuple):
    eps: float
    norm: Norm
    bounds: Bounds | None


class Foreign(Attack):
    """An attack of another library.

    Parameters
    ----------
    name : str
        For messages.
    kind : {"bounded", "minimal"}
    call : callable
        (model, x, y) -> adversarial inputs.
    eps, norm, bounds
        The threat model; eps is not used by a minimal attack.
    seed : int
        Of Python's, numpy's and torch's generators, with the content of the first example that is attacked.
    one_by_one : bool
        Attack each example on its own, so that what it meets does not depend on the batch.
    """

    def __init__(
        self,
        name: str,
        kind: Kind,
        call: Call,
        *,
        eps: float,
        norm: Norm,
        bounds: Bounds | None,
        seed: int,
        one_by_one: bool,
    ) -> None:
        self.name, self.kind, self.call = name, kind, call
        self.eps, self.norm, self.bounds = eps, norm, bounds
        self.seed, self.one_by_one = seed, one_by_one

    def run(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        """Let the library attack; hold the result to what it has to be."""
        if self.kind == "bounded":
            return held(self._all(model, x, y), x, self.eps, self.norm, self.bounds, self.name)
        found = x.clone()
        standing = ~_fooled(model, x, y)
        found[standing] = self._minimal(model, x[standing], y[standing])
        return found

    def _all(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        size = 1 if self.one_by_one else max(1, len(x))
        parts = [slice(start, start + size) for start in range(0, len(x), size)]
        return torch.cat([x[:0], *(self._called(model, x[rows], y[rows]) for rows in parts)])

    def _called(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        with _seeded(_seed_of(x, self.seed), x.device), torch.enable_grad():
            found = self.call(model, x.contiguous(), y)
        return found.detach().to(x)

    def _minimal(self, model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
        found = self._all(model, x, y)
        found = found if self.bounds is None else found.clamp(*self.bounds)
        return torch.where(wide(_fooled(model, found, y), x), found, x)


def factory_of(name: str) -> Callable[..., Foreign]:
    """Give the constructor for "art:CLASS", "foolbox:CLASS" or "torchattacks:CLASS".

    Raises
    ------
    LookupError
        If the library is not installed, or has no such attack.
    """
    library, _, what = name.partition(":")
    if library not in LIBRARIES:
        msg = f"{name!r} is not of the form art:CLASS, foolbox:CLASS or torchattacks:CLASS"
        raise LookupError(msg)
    return LIBRARIES[library](what)


def _art(what: str, *, one_by_one: bool = False) -> Callable[..., Foreign]:
    made = _class("art.attacks.evasion", what, "art", "pip install adversarial-robustness-toolbox")
    takes = inspect.signature(made.__init__).parameters
    kind: Kind = "bounded" if "eps" in takes else "minimal"

    def call_with(threat: _Threat, options: dict[str, Any]) -> Call:
        given = {"verbose": False, "targeted": False, "norm": math.inf if threat.norm == "linf" else 2}
        given |= {"eps": threat.eps} | options
        given = {option: value for option, value in given.items() if option in takes}

        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            classes = _classes(model, x)
            estimator = _art_estimator(model, x, classes, threat.bounds)
            if "batch_size" in takes:
                given.setdefault("batch_size", len(x))
            attack = made(estimator, **given)
            labels = functional.one_hot(y, classes).cpu().numpy()
            return torch.from_numpy(np.asarray(attack.generate(x.detach().cpu().numpy(), labels)))

        return call

    own = [p for place, p in enumerate(takes.values()) if place > 1 and p.name not in {"eps", "norm"}]
    return _factory(f"art:{what}", kind, own, call_with, one_by_one=one_by_one)


def _art_estimator(model: nn.Module, x: Tensor, classes: int, bounds: Bounds | None) -> Any:  # noqa: ANN401
    from art.estimators.classification import PyTorchClassifier  # noqa: PLC0415

    return PyTorchClassifier(
        _InDtype(model, x.dtype),
        nn.CrossEntropyLoss(),
        tuple(x.shape[1:]),
        classes,
        clip_values=bounds,
        device_type="gpu" if x.is_cuda else "cpu",
    )


class _InDtype(nn.Module):
    """Casts what it is given: some of ART's attacks pass float64."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x.to(self.dtype))
        return logits


def _foolbox(what: str) -> Callable[..., Foreign]:
    made = _class("foolbox.attacks", what, "foolbox", "pip install 'lrbench[foolbox]'")
    view = _class("foolbox.models", "PyTorchModel", "foolbox", "pip install 'lrbench[foolbox]'")
    from foolbox.attacks.base import MinimizationAttack  # noqa: PLC0415

    minimal = issubclass(made, MinimizationAttack)

    def call_with(threat: _Threat, options: dict[str, Any]) -> Call:
        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            low, high = threat.bounds or (-math.inf, math.inf)
            viewed = view(model, bounds=(low, high), device=x.device)
            found = made(**options)(viewed, x, y, epsilons=None if minimal else threat.eps)[1]
            return torch.as_tensor(found)

        return call

    own = list(inspect.signature(made.__init__).parameters.values())[1:]
    return _factory(f"foolbox:{what}", "minimal" if minimal else "bounded", own, call_with)


def _torchattacks(what: str) -> Callable[..., Foreign]:
    made = _class("torchattacks", what, "torchattacks", "pip install --no-deps torchattacks")
    takes = inspect.signature(made.__init__).parameters

    def call_with(threat: _Threat, options: dict[str, Any]) -> Call:
        if threat.bounds != (0.0, 1.0):
            msg = f"torchattacks:{what} works on pixels in [0, 1] alone; set threat_model.space: pixel"
            raise ValueError(msg)
        given = {"eps": threat.eps, "norm": {"linf": "Linf", "l2": "L2"}[threat.norm]}
        given = {option: value for option, value in given.items() if option in takes} | options

        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            found: Tensor = made(model, **given)(x, y)
            return found

        return call

    own = [p for place, p in enumerate(takes.values()) if place > 1 and p.name not in {"eps", "norm"}]
    return _factory(f"torchattacks:{what}", "bounded" if "eps" in takes else "minimal", own, call_with)


def _factory(
    name: str,
    kind: Kind,
    own: list[inspect.Parameter],
    call_with: Callable[[_Threat, dict[str, Any]], Call],
    *,
    one_by_one: bool = False,
) -> Callable[..., Foreign]:
    def factory(
        *,
        eps: float = 0.0,
        norm: Norm = "linf",
        bounds: Bounds | None = (0.0, 1.0),
        seed: int = 0,
        one_by_one: bool = one_by_one,
        **options: Any,  # noqa: ANN401
    ) -> Foreign:
        call = call_with(_Threat(eps, norm, bounds), options)
        return Foreign(name, kind, call, eps=eps, norm=norm, bounds=bounds, seed=seed, one_by_one=one_by_one)

    # The library's own options stand in the signature, so that a misspelt one is found before anything runs.
    known = [p for p in inspect.signature(factory).parameters.values() if p.kind is not p.VAR_KEYWORD]
    extra = [
        p.replace(kind=p.KEYWORD_ONLY, annotation=p.empty)
        for p in own
        if p.name not in {k.name for k in known} and p.kind in {p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY}
    ]
    factory.__signature__ = inspect.Signature([*known, *extra])  # type: ignore[attr-defined]
    library, _, what = name.partition(":")
    factory.kind = kind  # type: ignore[attr-defined]
    factory.needs_gradients = what not in GRADIENT_FREE[library]  # type: ignore[attr-defined]
    return factory


def _class(module: str, what: str, library: str, command: str) -> Any:  # noqa: ANN401
    if not what.isidentifier() or what.startswith("_"):
        msg = f"{library} has no attack {what!r}"
        raise LookupError(msg)
    try:
        found: ModuleType = importlib.import_module(module)
    except ImportError:
        msg = f"{library} is not installed; install it with `{command}`"
        raise LookupError(msg) from None
    made = getattr(found, what, None)
    if not inspect.isclass(made):
        msg = f"{library} has no attack {what!r}"
        raise LookupError(msg)
    return made


def _fooled(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
    with torch.no_grad():
        return misclassified(model(x), y)


def _classes(model: nn.Module, x: Tensor) -> int:
    with torch.no_grad():
        return int(model(x[:1]).shape[1])


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


DECISION_BASED = {"hopskipjump": "HopSkipJump", "boundary": "BoundaryAttack"}

LIBRARIES: dict[str, Callable[[str], Callable[..., Foreign]]] = {
    "art": _art,
    "foolbox": _foolbox,
    "torchattacks": _torchattacks,
}


def __getattr__(name: str) -> Callable[..., Foreign]:
    """Give the decision-based attacks that ART works through image by image anyway."""
    if name in DECISION_BASED:
        return _art(DECISION_BASED[name], one_by_one=True)
    raise AttributeError(name)
