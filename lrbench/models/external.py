"""Networks from elsewhere: of libraries, a function of the user's, an ONNX file."""

import inspect
from collections.abc import Callable
from types import ModuleType

from torch import nn

from lrbench.catalogue import MODELS
from lrbench.errors import UsageError
from lrbench.models.libraries import Factory, from_hub, from_robustbench, from_timm, from_torchvision
from lrbench.models.objects import PREFIX, object_named
from lrbench.models.onnx_file import factory_of_file
from lrbench.user_code import code_behind, imported_file, named_in, of_user

LIBRARIES: dict[str, Callable[[str], Factory]] = {
    "torchvision": from_torchvision,
    "timm": from_timm,
    "hf-hub": from_hub,
    "robustbench": from_robustbench,
}

FORMS = " or ".join(MODELS.forms)


def factory_of(name: str) -> Factory:
    """Give the factory that a name with a colon, or that of a file, stands for.

    Loading FILE.py or a module runs its code: a suite that names one is as trusted as the code itself. FILE.py is
    relative to the working directory.

    Raises
    ------
    UsageError
        If there is no such thing.
    """
    if name.endswith(".onnx"):
        return factory_of_file(name)
    if name.startswith(PREFIX):
        return object_named(name.removeprefix(PREFIX))
    source, _, what = name.rpartition(":")
    if not source or not what:
        msg = f"{name!r} is not of the form {FORMS}"
        raise UsageError(msg)
    if source in LIBRARIES:
        return LIBRARIES[source](what)
    if source.endswith(".py"):
        return _factory(imported_file(source), what, source)
    return _from_module(source, what)


def code_of(name: str) -> str | None:
    """Give the file or module that a model's name makes us run; None for known libraries and registered names."""
    return None if name.startswith(PREFIX) else code_behind(name, tuple(LIBRARIES))


def _from_module(module: str, function: str) -> Factory:
    try:
        made = of_user(module, function, "model", ("num_classes", "in_channels"))
    except UsageError as error:
        msg = f"{error}; a model from elsewhere is {FORMS}"
        raise UsageError(msg) from error
    return _checked(made, module, function)


def _factory(module: ModuleType, function: str, where: str) -> Factory:
    return _checked(named_in(module, function, where), where, function)


def _checked(function: Factory, where: str, name: str) -> Factory:
    """Refuse what can be called and makes no network."""
    if isinstance(function, nn.Module):
        msg = f"{where}: {name} is a network; name a function that makes one, so that every seed has its own"
        raise UsageError(msg)
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        msg = f"{where}: {name} is no function of Python that makes a network"
        raise UsageError(msg) from None
    return function
