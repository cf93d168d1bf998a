"""A model as attacks take one: a module that leaves its input alone and gives logits in the input's dtype."""

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from .batches import out_of_memory
from .frozen import frozen
from .outputs import OutputError, as_logits, tensor_of

PROBED = 4
"""Examples that are run through a model to see what it needs."""


class ModelError(ValueError):
    """A model cannot be run on the inputs it is to be attacked with."""


FAILURES = (RuntimeError, TypeError, ValueError, AssertionError, LookupError, AttributeError)
"""What a model raises that does not take its input."""


NO_KERNEL = "an autograd kernel was not registered"
"""What torch says of an operation that it has no gradient for, and then continues with a wrong one."""


class LogitsWarning(UserWarning):
    """What a model gives was made logits in a way that its owner should know of."""


SINGLE = "the model gives one logit an input: it is taken for that of class 1 against class 0 (positive: class 1)"


@dataclass(frozen=True)
class Needs:
    """What has to be done around a model's forward pass.

    Attributes
    ----------
    copy : bool
        It writes into its input: give it a copy.
    contiguous : bool
        It takes its input's memory for row-major, as `view` does.
    dtype : dtype or None
        Of its parameters, where that is another than its inputs' and it does not see to it.
    precision : dtype or None
        Of the autocast that the caller runs it under.
    """

    copy: bool = False
    contiguous: bool = False
    dtype: torch.dtype | None = None
    precision: torch.dtype | None = None

    def shaped(self, x: Tensor) -> Tensor:
        """Give x in the layout and dtype that the model takes; x itself where it is so already."""
        given = x.contiguous() if self.contiguous else x
        return given if self.dtype is None else given.to(self.dtype)

    def called(self, model: Callable[[Tensor], Any], given: Tensor) -> Any:  # noqa: ANN401
        """Run the model under its precision."""
        if self.precision is None:
            return model(given)
        with torch.autocast(given.device.type, self.precision):
            return model(given)


class Regular(nn.Module):
    """Runs a model so that it does what attacks rely on.

    Parameters
    ----------
    model : nn.Module or callable
    needs : Needs
    """

    def __init__(self, model: Callable[[Tensor], Any], needs: Needs) -> None:
        super().__init__()
        if isinstance(model, nn.Module):
            self.model = model
        self._call, self._needs = (model,), needs
        self.training = False

    def forward(self, x: Tensor) -> Tensor:
        """Logits in the dtype of x."""
        given = self._needs.shaped(x)
        if self._needs.copy and given is x:
            given = x.clone()
        return as_logits(self._needs.called(self._call[0], given), len(x)).to(x)


def regular(model: Callable[[Tensor], Any], x: Tensor) -> tuple[nn.Module, int | None]:
    """Give the model itself if it is regular, else what makes it so, and its number of classes (None without inputs).

    To be asked before the caller's modes are left (`callers_modes_left`).

    Parameters
    ----------
    model : nn.Module or callable
        Takes x, gives anything that `as_logits` understands.
    x : Tensor, (N, ...), floating point
        Inputs as they will be given; the first of them are tried.

    Raises
    ------
    ModelError
        If the model fails on them in every dtype and layout, or was made inside inference mode.
    OutputError
        If what it gives is nothing like logits, or not a number.
    TypeError
        If it cannot be called.
    """
    if not callable(model):
        msg = f"model must be a torch.nn.Module or a function of a batch, got {type(model).__name__}"
        raise TypeError(msg)
    if isinstance(model, nn.Module) and any(each.is_inference() for each in (*model.parameters(), *model.buffers())):
        msg = "the model was made inside torch.inference_mode(), so that no gradient can pass it; make it outside"
        raise ModelError(msg)
    needs = Needs(precision=_autocast(x.device.type))
    made = Regular(model, needs)
    if not len(x):
        return (model if isinstance(model, nn.Module) else made), None
    with frozen(made), torch.no_grad(), torch.random.fork_rng([x.device] if x.is_cuda else []):
        needs, output = _tried(model, needs, x[:PROBED])
    logits = as_logits(output, len(x[:PROBED]))
    if logits.isnan().any():
        msg = f"the model gives NaN for {int(logits.isnan().any(dim=1).sum())} of the first {len(logits)} inputs"
        raise OutputError(msg)
    if tensor_of(output).numel() == len(logits):
        warnings.warn(SINGLE, LogitsWarning, stacklevel=4)
    if needs == Needs() and isinstance(model, nn.Module) and logits is output and logits.dtype == x.dtype:
        return model, logits.shape[1]
    return Regular(model, needs), logits.shape[1]


def _tried(model: Callable[[Tensor], Any], needs: Needs, x: Tensor) -> tuple[Needs, Any]:
    """Find what has to be done for the model to run, and give what it then gives."""
    first: Exception | None = None
    for tried in _ways(model, needs, x):
        given = tried.shaped(x).clone()
        before = given.clone()
        try:
            output = tried.called(model, given)
        except FAILURES as error:
            if out_of_memory(error):
                raise
            first = first or error
            continue
        same = given.shape == before.shape and torch.equal(given, before)
        return replace(tried, copy=not same), output
    assert first is not None  # noqa: S101
    msg = f"the model fails on inputs {tuple(x.shape[1:])} of {str(x.dtype).removeprefix('torch.')}: {line_of(first)}"
    raise ModelError(msg) from first


def _ways(model: Callable[[Tensor], Any], needs: Needs, x: Tensor) -> Iterator[Needs]:
    yield needs
    if not x.is_contiguous():
        yield replace(needs, contiguous=True)
    parameters = model.parameters() if isinstance(model, nn.Module) else ()
    kinds = dict.fromkeys(each.dtype for each in parameters if each.is_floating_point())
    for dtype in (each for each in kinds if each != x.dtype):
        yield replace(needs, dtype=dtype)
        if not x.is_contiguous():
            yield replace(needs, dtype=dtype, contiguous=True)


def _autocast(device: str) -> torch.dtype | None:
    return torch.get_autocast_dtype(device) if torch.is_autocast_enabled(device) else None


def line_of(error: BaseException) -> str:
    """Say in a line what an error says."""
    text = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {text if len(text) <= 200 else text[:197] + '...'}"


@contextmanager
def callers_modes_left(device: torch.device) -> Iterator[None]:
    """Leave the caller's inference mode, which takes no gradients, and autocast, which is the model's affair.

    What torch warns of at an operation that it has no gradient for, as in quantised networks, is an error here.
    """
    with torch.inference_mode(mode=False), torch.autocast(device.type, enabled=False), warnings.catch_warnings():
        warnings.filterwarnings("error", f".*{NO_KERNEL}", UserWarning)
        yield
