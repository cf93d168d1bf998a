"""Regularizers put on a network: which of them do not go together, and in what order they take hold of it."""

from collections.abc import Iterator, Mapping

from torch import nn

from lrbench.errors import UsageError, short
from lrbench.regularizers.base import Regularizer
from lrbench.regularizers.weights import weighted


def attach(model: nn.Module, regularizers: Mapping[str, Regularizer]) -> None:
    """Attach the regularizers of a training.

    Raises
    ------
    UsageError
        If one does not fit the network, or two write the same weight; it names them.
    """
    if (found := misfit(model, regularizers)) is not None:
        msg = f"{found[0]}: {found[1]}"
        raise UsageError(msg)


def misfit(
    model: nn.Module, regularizers: Mapping[str, Regularizer], expected: type[Exception] = UsageError
) -> tuple[str, str] | None:
    """Attach regularizers; give the first that cannot be, and why.

    Parameters
    ----------
    model : nn.Module
    regularizers : mapping
        Name -> regularizer.
    expected : type
        Of what attaching one may raise: anything, where it is someone else's that is tried.
    """
    for conflict in _conflicts(model, regularizers):
        return conflict
    # Layers are found by their names, which what stays in the network changes.
    for name, each in sorted(regularizers.items(), key=lambda item: item[1].lasting):
        try:
            each.attach(model)
        except expected as error:
            known = isinstance(error, UsageError)
            return name, str(error) if known else f"cannot be attached: {type(error).__name__}: {short(error)}"
    return None


def _conflicts(model: nn.Module, regularizers: Mapping[str, Regularizer]) -> Iterator[tuple[str, str]]:
    writers: dict[int, str] = {}
    for name, each in regularizers.items():
        if not each.writes_weights:
            continue
        try:
            modules = weighted(model, getattr(each.options, "layers", None))
        except UsageError as error:
            yield name, str(error)
            return
        for layer, module in modules.items():
            other = writers.setdefault(id(module.weight), name)
            if other != name:
                yield name, f"sets the weight of {layer}, as {other} does; give each `layers` of its own"
