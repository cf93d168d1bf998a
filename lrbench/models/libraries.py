"""Networks of torchvision, timm, the Hugging Face hub and RobustBench: factories by the names that these give them."""

import importlib
import warnings
from collections.abc import Callable
from typing import Any

from torch import nn

from lrbench.errors import UsageError, nearest, short
from lrbench.models.hub import cached_or_fetched, had
from lrbench.models.pretrained import Pretrained, of_hub, of_timm, of_torchvision, timm_library

Factory = Callable[..., nn.Module]


def from_torchvision(name: str) -> Factory:
    """Give the factory of a classification model of torchvision.

    Raises
    ------
    UsageError
        If there is no such model.
    """
    from torchvision import models  # noqa: PLC0415

    known = models.list_models(module=models)
    if name not in known:
        msg = f"torchvision has no classification model {name!r}; {nearest(name, known)}"
        raise UsageError(msg)

    def factory(num_classes: int, in_channels: int, weights: str | None = None, **options: Any) -> nn.Module:  # noqa: ANN401
        # GoogLeNet and Inception warn of how they are initialised, which a user of their names cannot change.
        with warnings.catch_warnings(action="ignore", category=FutureWarning):
            if weights is None:
                model: nn.Module = models.get_model(name, weights=None, num_classes=num_classes, **options)
                return model if in_channels == 3 else _with_channels(model, in_channels)
            said = of_torchvision(name, weights)
            said.require(num_classes, in_channels)
            # It is torchvision that fetches them, checks them, and builds some networks otherwise for them.
            with had(f"the weights {said.weights} of {name}", said.source):
                given: nn.Module = models.get_model(name, weights=said.weights, **options)
            return given

    return factory


def _with_channels(model: nn.Module, in_channels: int) -> nn.Module:
    """Replace the first convolution, which takes 3 channels in all of torchvision's models."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d) and module.in_channels == 3:
            first = nn.Conv2d(
                in_channels,
                module.out_channels,
                module.kernel_size,  # type: ignore[arg-type]
                module.stride,  # type: ignore[arg-type]
                module.padding,  # type: ignore[arg-type]
                bias=module.bias is not None,
            )
            model.set_submodule(name, first)
            return model
    msg = f"this model takes 3 channels; these images have {in_channels}"
    raise ValueError(msg)


def from_timm(name: str) -> Factory:
    """Give the factory of a model of timm.

    Raises
    ------
    UsageError
        If timm is not installed, or has no such model.
    """
    timm = timm_library()
    if not timm.is_model(name):
        msg = f"timm has no model {name!r}; {nearest(name, timm.list_models())}"
        raise UsageError(msg)

    def factory(num_classes: int, in_channels: int, *, pretrained: bool = False, **options: Any) -> nn.Module:  # noqa: ANN401
        if pretrained:
            said = of_timm(name)
            said.require(num_classes, in_channels)
            return _with_weights(said, name, options)
        model: nn.Module = timm.create_model(
            name, pretrained=False, num_classes=num_classes, in_chans=in_channels, **options
        )
        return model

    return factory


def from_hub(name: str) -> Factory:
    """Give the factory of a trained network that timm builds from the Hugging Face hub, ORG/NAME or ORG/NAME@REVISION.

    Raises
    ------
    UsageError
        If timm is not installed.
    """
    timm_library()

    def factory(num_classes: int, in_channels: int, **options: Any) -> nn.Module:  # noqa: ANN401
        said = of_hub(name)
        said.require(num_classes, in_channels)
        return _with_weights(said, f"hf-hub:{name}", options)

    return factory


def _with_weights(said: Pretrained, name: str, options: dict[str, Any]) -> nn.Module:
    def create() -> nn.Module:
        timm = timm_library()
        # What it fetches by a URL it would check on request only.
        timm.models.set_pretrained_check_hash(True)
        model: nn.Module = timm.create_model(name, pretrained=True, **options)
        return model

    return cached_or_fetched(create, f"the weights of {said.arch}", said.source)


def from_robustbench(what: str) -> Factory:
    """Give the factory of a trained model of RobustBench, DATASET/THREAT/NAME.

    Raises
    ------
    UsageError
        If it is of another form, or RobustBench cannot be imported.
    """
    dataset, _, rest = what.partition("/")
    threat, _, name = rest.partition("/")
    if not (dataset and threat and name):
        msg = f"robustbench:{what} is not of the form robustbench:DATASET/THREAT/NAME, such as cifar10/Linf/Standard"
        raise UsageError(msg)
    try:
        load_model = importlib.import_module("robustbench").utils.load_model
    except ImportError as error:
        missing = getattr(error, "name", None)
        fault = "is not installed" if missing == "robustbench" else f"cannot be imported ({short(error)})"
        advice = "install it with `pip install git+https://github.com/RobustBench/robustbench.git`"
        msg = f"robustbench {fault}; {advice}"
        raise UsageError(msg) from None

    def factory(num_classes: int, in_channels: int) -> nn.Module:  # noqa: ARG001
        model: nn.Module = load_model(model_name=name, dataset=dataset, threat_model=threat)
        return model

    return factory
