"""Networks from elsewhere: of libraries, a function of the user's, an ONNX file."""

import hashlib
import importlib
import importlib.util
import inspect
import re
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

from torch import nn

from lrbench.catalogue import MODELS
from lrbench.errors import UsageError, nearest, printable, short
from lrbench.files import is_file
from lrbench.models.libraries import Factory, from_hub, from_robustbench, from_timm, from_torchvision
from lrbench.models.objects import PREFIX, object_named
from lrbench.models.onnx_file import factory_of_file

MODULE = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*")

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
        return _from_file(source, what)
    return _from_module(source, what)


def code_of(name: str) -> str | None:
    """Give the file or module that a model's name makes us run; None for known libraries and registered names."""
    source, _, _ = name.rpartition(":")
    if not source or source in LIBRARIES or name.startswith(PREFIX):
        return None
    if not source.endswith(".py"):
        return f"the module {printable(source)[:200]}"
    file = Path(source).expanduser()
    return str(file.resolve()) if is_file(file) else None


def _from_file(path: str, function: str) -> Factory:
    """Take a function from a Python file, imported under a name of its own; the file's imports from beside it work."""
    file = Path(path).expanduser()
    if not is_file(file):
        msg = f"no such file: {str(path)[:200]}"
        raise UsageError(msg)
    return _function(_imported(file.resolve()), function, path)


def _from_module(module: str, function: str) -> Factory:
    if not MODULE.fullmatch(module) or module.partition(".")[0] in sys.stdlib_module_names:
        msg = f"{printable(module)} is no package of models; a model from elsewhere is {FORMS}"
        raise UsageError(msg)
    try:
        factory = _function(importlib.import_module(module), function, module)
    except UsageError:
        raise
    except (Exception, SystemExit) as error:
        msg = f"cannot import {module}: {short(error)}; a model from elsewhere is {FORMS}"
        raise UsageError(msg) from error
    # A suite could name any function there is, with arguments of its choice; only models' are meant.
    if not {"num_classes", "in_channels"} <= set(_parameters(factory)):
        msg = f"{module}:{function} does not take num_classes and in_channels, so it makes no model"
        raise UsageError(msg)
    return factory


def _parameters(factory: Factory) -> list[str]:
    try:
        return list(inspect.signature(factory).parameters)
    except (TypeError, ValueError):
        return []


def _imported(file: Path) -> ModuleType:
    name = f"lrbench_user_{file.stem}_{hashlib.sha256(str(file).encode()).hexdigest()[:8]}"
    if name in sys.modules:
        return sys.modules[name]
    spec = importlib.util.spec_from_file_location(name, file)
    assert spec is not None  # noqa: S101
    assert spec.loader is not None  # noqa: S101
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    sys.path.insert(0, str(file.parent))
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:
        del sys.modules[name]
        msg = f"importing {file} failed: {type(error).__name__}: {short(error)}"
        raise UsageError(msg) from error
    finally:
        sys.path.remove(str(file.parent))
    return module


def _function(module: ModuleType, name: str, where: str) -> Factory:
    function = getattr(module, name, None)
    if not callable(function):
        functions = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        msg = f"{where} has no function {name!r}; {nearest(name, functions)}"
        raise UsageError(msg)
    if isinstance(function, nn.Module):
        msg = f"{where}: {name} is a network; name a function that makes one, so that every seed has its own"
        raise UsageError(msg)
    try:
        inspect.signature(function)
    except (TypeError, ValueError):
        msg = f"{where}: {name} is no function of Python that makes a network"
        raise UsageError(msg) from None
    factory: Factory = function
    return factory
