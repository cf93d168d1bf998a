"""Attacks of ART, foolbox, torchattacks and adv-lib, by name, behind one thin adapter each.

An external attack sees the prepared model and the batch. What it is held to stands in `adapted`; what it does inside is
its own.
"""

import difflib
import importlib.util
import inspect
import math
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from .adapted import NORMS, Call, ExternalAttack, Norm, Threat, factory_for
from .base import Kind
from .inputs import Bounds


def factory_of(name: str) -> Callable[..., ExternalAttack]:
    """Give the constructor for "art:CLASS", "foolbox:CLASS", "torchattacks:CLASS" or "adv-lib:FUNCTION".

    Raises
    ------
    LookupError
        If the library is not installed, or has no such attack.
    """
    library, _, what = name.partition(":")
    if library not in LIBRARIES:
        msg = f"{name!r} is not of the form art:CLASS, foolbox:CLASS, torchattacks:CLASS or adv-lib:FUNCTION"
        raise LookupError(msg)
    return LIBRARIES[library](what)


def _art(what: str, *, one_by_one: bool = False) -> Callable[..., ExternalAttack]:
    made = _class("art.attacks.evasion", what, "art", "pip install adversarial-robustness-toolbox")
    takes = inspect.signature(made.__init__).parameters
    kind: Kind = "bounded" if "eps" in takes else "minimal"

    def call_with(threat: Threat, options: dict[str, Any]) -> Call:
        given = {"verbose": False, "targeted": False, "norm": ORDERS[threat.norm]}
        given |= {"eps": threat.eps} | options
        given = {option: value for option, value in given.items() if option in takes}

        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            classes = _classes(model, x)
            estimator = _art_estimator(model, x, classes, threat.bounds)
            whole = {"batch_size": len(x)} if "batch_size" in takes else {}
            attack = made(estimator, **whole | given)
            labels = functional.one_hot(y, classes).cpu().numpy()
            pixels = x.detach().cpu().to(_for_numpy(x)).numpy()
            return torch.from_numpy(np.asarray(attack.generate(pixels, labels)))

        return call

    own = [p for position, p in enumerate(takes.values()) if position > 1 and p.name not in {"eps", "norm"}]
    norms = _narrowed("art", what) if "norm" in takes else NORMS
    return factory_for(f"art:{what}", kind, own, call_with, norms=norms, one_by_one=one_by_one)


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
    """Casts what it is given, since some of ART's attacks pass float64, and what it gives to what numpy has."""

    def __init__(self, model: nn.Module, dtype: torch.dtype) -> None:
        super().__init__()
        self.model, self.dtype = model, dtype
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        logits: Tensor = self.model(x.to(self.dtype))
        return logits.to(_for_numpy(logits))


def _for_numpy(tensor: Tensor) -> torch.dtype:
    """Give float32 for what is narrower: numpy has no bfloat16."""
    return torch.promote_types(tensor.dtype, torch.float32)


def _foolbox(what: str) -> Callable[..., ExternalAttack]:
    made = _class("foolbox.attacks", what, "foolbox", "pip install 'lrbench[foolbox]'")
    view = _class("foolbox.models", "PyTorchModel", "foolbox", "pip install 'lrbench[foolbox]'")
    from foolbox.attacks.base import MinimizationAttack  # noqa: PLC0415

    minimal = issubclass(made, MinimizationAttack)

    def call_with(threat: Threat, options: dict[str, Any]) -> Call:
        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            low, high = threat.bounds or (-math.inf, math.inf)
            viewed = view(model, bounds=(low, high), device=x.device)
            found = made(**options)(viewed, x, y, epsilons=None if minimal else threat.eps)[1]
            return torch.as_tensor(found)

        return call

    own = list(inspect.signature(made.__init__).parameters.values())[1:]
    order = getattr(getattr(made, "distance", None), "p", None)
    norms = NORMS if minimal else tuple(norm for norm in NORMS if ORDERS[norm] == order) or NORMS
    return factory_for(f"foolbox:{what}", "minimal" if minimal else "bounded", own, call_with, norms=norms)


def _torchattacks(what: str) -> Callable[..., ExternalAttack]:
    made = _class("torchattacks", what, "torchattacks", "pip install --no-deps torchattacks")
    takes = inspect.signature(made.__init__).parameters

    def call_with(threat: Threat, options: dict[str, Any]) -> Call:
        if threat.bounds != (0.0, 1.0):
            msg = f"torchattacks:{what} works on pixels in [0, 1] alone; set threat_model.space: pixel"
            raise ValueError(msg)
        given = {"eps": threat.eps, "norm": {"linf": "Linf", "l2": "L2", "l1": "L1"}[threat.norm]}
        given = {option: value for option, value in given.items() if option in takes} | options

        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            found: Tensor = made(model, **given)(x, y)
            return found

        return call

    own = [p for position, p in enumerate(takes.values()) if position > 1 and p.name not in {"eps", "norm"}]
    kind: Kind = "bounded" if "eps" in takes else "minimal"
    norms = _narrowed("torchattacks", what) if "norm" in takes else NORMS
    return factory_for(f"torchattacks:{what}", kind, own, call_with, norms=norms)


def _adv_lib(what: str) -> Callable[..., ExternalAttack]:
    with _without_visdom():
        made = _named("adv_lib.attacks", what, "adv-lib", "pip install --no-deps adv-lib", inspect.isfunction)
    takes = inspect.signature(made).parameters
    radius = WITHIN.get(what)
    norm = "p" if what == "tr" else "norm"

    def call_with(threat: Threat, options: dict[str, Any]) -> Call:
        if threat.bounds != (0.0, 1.0):
            msg = f"adv-lib:{what} works on pixels in [0, 1] alone; set threat_model.space: pixel"
            raise ValueError(msg)
        given = {"targeted": False, norm: ORDERS[threat.norm], radius or "": threat.eps}
        given = {option: value for option, value in given.items() if option in takes} | options

        def call(model: nn.Module, x: Tensor, y: Tensor) -> Tensor:
            found: Tensor = made(model, x, y, **given)
            return found

        return call

    supplied = {"model", "inputs", "images", "labels", "targeted", "callback", norm, radius}
    own = [p for p in takes.values() if p.name not in supplied]
    norms = _narrowed("adv-lib", what)
    return factory_for(f"adv-lib:{what}", "minimal" if radius is None else "bounded", own, call_with, norms=norms)


@contextmanager
def _without_visdom() -> Iterator[None]:
    """Let adv-lib be imported where there is no visdom, which draws charts of an attack for whoever asks for them."""
    if importlib.util.find_spec("visdom") is not None:
        yield
        return
    sys.modules["visdom"] = ModuleType("visdom")
    try:
        yield
    finally:
        del sys.modules["visdom"]


def _narrowed(library: str, what: str) -> tuple[Norm, ...]:
    """Give the norms that an attack takes, of those that libraries call so."""
    return NARROWED.get((library, what), NARROWED.get((library, ""), NORMS))


def _class(module: str, what: str, library: str, command: str) -> Any:  # noqa: ANN401
    return _named(module, what, library, command, inspect.isclass)


def _named(module: str, what: str, library: str, command: str, fits: Callable[[object], bool]) -> Any:  # noqa: ANN401
    if not what.isidentifier() or what.startswith("_"):
        msg = f"{library} has no attack {what!r}"
        raise LookupError(msg)
    try:
        found: ModuleType = importlib.import_module(module)
    except ImportError:
        msg = f"{library} is not installed; install it with `{command}`"
        raise LookupError(msg) from None
    made = getattr(found, what, None)
    if not fits(made):
        names = [name for name, each in vars(found).items() if fits(each) and not name.startswith("_")]
        close = difflib.get_close_matches(what, names, n=1)
        msg = f"{library} has no attack {what!r}" + (f"; did you mean {close[0]!r}?" if close else "")
        raise LookupError(msg)
    return made


def _classes(model: nn.Module, x: Tensor) -> int:
    with torch.no_grad():
        return int(model(x[:1]).shape[1])


WITHIN = {"apgd": "eps", "apgd_targeted": "eps", "pgd_linf": "ε"}
"""Attacks of adv-lib that stay within a radius, and what they call it; it calls other things so, too."""

ORDERS = {"linf": math.inf, "l2": 2, "l1": 1}

NARROWED: dict[tuple[str, str], tuple[Norm, ...]] = {
    ("art", "HopSkipJump"): ("linf", "l2"),
    ("torchattacks", ""): ("linf", "l2"),
    ("adv-lib", "df"): ("linf", "l2"),
    ("adv-lib", "pgd_linf"): ("linf",),
    ("adv-lib", "tr"): ("linf", "l2"),
}
"""Norms in which an attack that takes one can be asked, where those are not all; ("LIBRARY", "") for its others."""

DECISION_BASED = {"hopskipjump": "HopSkipJump", "boundary": "BoundaryAttack"}

LIBRARIES: dict[str, Callable[[str], Callable[..., ExternalAttack]]] = {
    "art": _art,
    "foolbox": _foolbox,
    "torchattacks": _torchattacks,
    "adv-lib": _adv_lib,
}


def __getattr__(name: str) -> Callable[..., ExternalAttack]:
    """Give the decision-based attacks that ART works through image by image anyway."""
    if name in DECISION_BASED:
        return _art(DECISION_BASED[name], one_by_one=True)
    raise AttributeError(name)
