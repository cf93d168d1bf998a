"""Networks in ONNX files, brought to torch by onnx2torch: with gradients, and with layers by the graph's own names."""

import importlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import torch
from torch import nn

from lrbench.errors import UsageError, printable, short
from lrbench.files import is_file

OPSET = 17
"""Version of ONNX's operators to which a graph is brought where onnx2torch does not know its own."""


def factory_of_file(path: str) -> Callable[..., nn.Module]:
    """Give the factory of the network in a file; it holds no code, and comes with its weights.

    Raises
    ------
    UsageError
        If there is no such file, or onnx2torch is not installed.
    """
    file = Path(path).expanduser()
    if not is_file(file):
        msg = f"no such file: {printable(path)[:200]}"
        raise UsageError(msg)
    _library("onnx2torch")

    def factory() -> nn.Module:
        try:
            return network_of(file)
        except UsageError as error:
            msg = f"cannot be built: {error}"
            raise UsageError(msg) from error

    return factory


def network_of(file: Path) -> nn.Module:
    """Read the network of a file.

    Raises
    ------
    UsageError
        If the file is no ONNX, is damaged, or has operators that onnx2torch has no form of.
    """
    onnx, onnx2torch = _library("onnx"), _library("onnx2torch")
    try:
        graph = onnx.load(file)
        try:
            net: nn.Module = onnx2torch.convert(graph)
        except NotImplementedError:
            net = onnx2torch.convert(onnx.version_converter.convert_version(graph, OPSET))
    # What a damaged or unknown graph makes the libraries raise is open.
    except Exception as error:
        msg = f"{printable(str(file))} cannot be read as an ONNX network: {_reason(error)}"
        raise UsageError(msg) from error
    _require_any_batch(net, graph, file)
    return net


def files_of(file: Path) -> Iterator[Path]:
    """Give a network's file, and those beside it that hold its weights.

    Raises
    ------
    UsageError
        If the file cannot be read.
    """
    onnx = _library("onnx")
    yield file
    try:
        graph = onnx.load(file, load_external_data=False).graph
    except Exception as error:
        msg = f"{printable(str(file))} cannot be read as an ONNX network: {_reason(error)}"
        raise UsageError(msg) from error
    entries = (entry for tensor in graph.initializer for entry in tensor.external_data)
    for name in sorted({entry.value for entry in entries if entry.key == "location"}):
        yield file.parent / name


def _require_any_batch(net: nn.Module, graph: Any, file: Path) -> None:  # noqa: ANN401
    """Try a graph that was exported for one size of batch on another."""
    sides = [side.dim_value for side in graph.graph.input[0].type.tensor_type.shape.dim]
    if not all(sides):
        return
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(sides[0] + 1, *sides[1:]))
    except (RuntimeError, ValueError) as error:
        msg = f"{printable(str(file))} takes batches of {sides[0]} alone; export it with a dynamic first axis"
        raise UsageError(msg) from error


def _reason(error: Exception) -> str:
    if isinstance(error, NotImplementedError):
        return f"onnx2torch knows no such operator ({short(error)}); try to export it with opset_version={OPSET}"
    return f"{type(error).__name__}: {short(error)}"


def _library(name: str) -> Any:  # noqa: ANN401
    try:
        return importlib.import_module(name)
    except ImportError:
        msg = f"{name} is not installed; install it with `pip install 'lrbench[onnx]'`"
        raise UsageError(msg) from None
