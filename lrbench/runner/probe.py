"""What a model is like before it is trained: its layers' sizes, its logits' shape, and what it lacks."""

import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from lrbench.attacks.outputs import as_logits
from lrbench.attacks.regular import line_of
from lrbench.catalogue import MODELS
from lrbench.errors import UsageError, short
from lrbench.models import Classifier, layer_names, load_weights, loose_state, make_network
from lrbench.models.classifier import precision
from lrbench.runner.environment import memory_bytes
from lrbench.runner.external import guarded
from lrbench.runner.lacking import Probed, Shape
from lrbench.suite import ModelSpec


def probe(factory: Callable[..., Any], spec: ModelSpec, classes: int, image: Shape) -> Probed:
    """Build a model and pass two images of noise through it.

    Architectures that lrbench knows are built without memory, since a suite can ask for any size.

    Parameters
    ----------
    factory : callable
    spec : ModelSpec
    classes : int
    image : (C, H, W)

    Raises
    ------
    UsageError
        If it cannot be built or run, or does not fit into memory.
    SystemExit
        If its code raises it.
    """
    where = torch.device("meta" if is_known(spec.arch) else "cpu")
    try:
        # torch warns of empty layers and the like on lines of their own; what matters is said below.
        with guarded(), warnings.catch_warnings(action="ignore"):
            with where:
                net = make_network(factory, classes, image[0], spec.options)
            _require_memory(net)
            if spec.train and where.type != "meta":
                _require_another(net, make_network(factory, classes, image[0], spec.options))
            noise = torch.rand(2, *image, generator=torch.Generator().manual_seed(0)).to(where)
            return _passed(net, noise)
    except UsageError:
        raise
    # A factory is anybody's code, and may raise anything.
    except Exception as error:
        shape = "x".join(str(side) for side in image)
        msg = f"cannot be built or run on {shape} images: {_named(error)}"
        raise UsageError(msg) from error


def check_weights(factory: Callable[..., nn.Module], spec: ModelSpec, classes: int, channels: int) -> None:
    """Hold the weights that a suite names against a model that `probe` has passed.

    Raises
    ------
    UsageError
        If they cannot be read or do not fit.
    """
    if spec.weights_file is not None:
        with guarded(), warnings.catch_warnings(action="ignore"):
            net = make_network(factory, classes, channels, spec.options)
        load_weights(net, Path(spec.weights_file))


def is_known(arch: str) -> bool:
    """Whether an architecture can be built without memory, being lrbench's own or torchvision's."""
    target = MODELS[arch].target
    return arch.startswith("torchvision:") or (isinstance(target, str) and target.startswith("lrbench."))


def _require_memory(net: nn.Module) -> None:
    parameters = sum(parameter.numel() for parameter in net.parameters())
    size = sum(parameter.numel() * parameter.element_size() for parameter in net.parameters())
    memory = memory_bytes()
    if size > memory:
        msg = (
            f"has {parameters:.3g} parameters, {size / 2**30:,.0f} GiB; this machine has {memory / 2**30:,.0f} GiB of "
            "memory"
        )
        raise UsageError(msg)


def _require_another(net: nn.Module, other: nn.Module) -> None:
    """Refuse a factory that gives one network again and again: one seed's training would start from another's."""
    if {id(parameter) for parameter in net.parameters()} & {id(parameter) for parameter in other.parameters()}:
        msg = "gives the same parameters each time; to be trained, it must make new ones"
        raise UsageError(msg)


def _passed(net: nn.Module, images: Tensor) -> Probed:
    sizes: dict[str, int] = {}

    def size_hook(name: str) -> Callable[[nn.Module, Any, Any], None]:
        def hook(_module: nn.Module, _inputs: object, output: object) -> None:
            if isinstance(output, Tensor):
                sizes[name] = output[0].numel()

        return hook

    modules = dict(net.named_modules())
    for name in layer_names(net):
        # TorchScript takes no hooks: its layers are as good as not there.
        if not isinstance(modules[name], torch.jit.ScriptModule):
            modules[name].register_forward_hook(size_hook(name))
    net.eval()
    with torch.no_grad():
        output = net(images.to(precision(net) or images.dtype, copy=True))
    logits = as_logits(output, len(images))
    shallow_first = sorted(sizes, key=lambda name: name.count("."))
    gradients, trainable, why = (True, True, "") if images.is_meta else _reached(net, images)
    return Probed(
        {name: sizes[name] for name in shallow_first},
        tuple(logits.shape),
        single=isinstance(output, Tensor) and output.numel() == len(images),
        gradients=gradients,
        trainable=trainable,
        why=why,
        loose=tuple(loose_state(net)),
    )


def _reached(net: nn.Module, images: Tensor) -> tuple[bool, bool, str]:
    """Whether a gradient of the logits reaches the images, whether one reaches a parameter, and what stops it."""
    channels, given = images.shape[1], images.clone().requires_grad_()
    model = Classifier(net, [0.0] * channels, [1.0] * channels).eval()
    try:
        # What a function computes with may be parameters, too, but they are not the model's to train.
        trainable = any(each.requires_grad for each in net.parameters()) and model(images).requires_grad
        total = model(given).sum()
    except Exception as error:  # noqa: BLE001 - a network's own code may raise anything
        # Who fails where gradients are kept has been run without: the steps that need them say so with more around it.
        return "Can't call numpy() on Tensor that requires grad" not in str(error), bool(list(net.parameters())), ""
    try:
        (gradient,) = torch.autograd.grad(total, given, allow_unused=True)
    except Exception as error:  # noqa: BLE001 - as above; and torch of what no gradient is known of, or what keeps none
        # Reentrant checkpoints take `backward`, by which networks are trained, and not `grad`, by which inputs are.
        says = "" if "does not require grad" in str(error) else line_of(error)
        return False, trainable or "heckpoint" in str(error), says
    return gradient is not None, trainable, ""


def _named(error: Exception) -> str:
    """Say what went wrong, and where in the user's own file."""
    text = short(error)
    if not isinstance(error, RuntimeError | ValueError | TypeError):
        text = f"{type(error).__name__}: {text}"
    trace, last = error.__traceback__, None
    while trace is not None:
        file = Path(trace.tb_frame.f_code.co_filename)
        if "site-packages" not in file.parts and "lrbench" not in file.parts:
            last = f"{file.name}, line {trace.tb_lineno}"
        trace = trace.tb_next
    return text if last is None else f"{text} ({last})"
