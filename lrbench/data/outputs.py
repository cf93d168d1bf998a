"""Which outputs of a network that knows more classes belong to those of a data set."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib import resources

import torch

from lrbench.data.images import ImageData, Outputs
from lrbench.data.labels import MAX_CLASSES
from lrbench.errors import UsageError, nearest

IMAGENET = "imagenet"
"""The 1,000 classes of ILSVRC 2012, in the order in which torchvision's and timm's networks give them."""


@dataclass(frozen=True)
class _Known:
    """The outputs of a network: their names, and these without regard to case, hyphens and underscores."""

    names: tuple[str, ...]
    whose: str
    exact: Mapping[str, int]
    alike: Mapping[str, list[int]]

    def find(self, name: str, of: str) -> int:
        """Find an output by its name, for the class `of`.

        Raises
        ------
        UsageError
            If none, or more than one, is called so.
        """
        found = [self.exact[name]] if name in self.exact else self.alike.get(_plain(name), [])
        if len(found) == 1:
            return found[0]
        what = f"class {name!r}" if name == of else f"class {of!r}: {name!r}"
        if found:
            numbers = " and ".join(str(number) for number in found)
            msg = f"{what} may be {numbers} of {self.whose}; say which by `classes: {{{of}: {found[0]}}}`"
            raise UsageError(msg)
        valid = nearest(name, self.exact, at_most=3)
        msg = f"{what} is none of {self.whose}; {valid}, or give its output in `classes`"
        raise UsageError(msg)


def with_outputs(
    data: ImageData, of: int | str | Sequence[str] | None, classes: Mapping[str, int | str], among: str = "classes"
) -> ImageData:
    """Say for a data set which output of a network is which of its classes.

    Parameters
    ----------
    data : ImageData
    of : int, "imagenet" or sequence of str
        Outputs that the networks have: their number, or their names.
    classes : mapping
        Class -> its output, by number, from 0, or by name. Classes that it does not name are found by their own names;
        it may name classes that are not there.
    among : "classes" or "all"
        Outputs that compete: those of these classes alone, or all. With "all" the data set's classes are the outputs.

    Raises
    ------
    UsageError
        If a class has no output, an output that no network has, or that of another class.
    """
    known = _known(of)
    taken: dict[int, str] = {}
    for name in data.classes:
        number = _number(name, known, classes)
        if number >= len(known.names):
            msg = f"class {name!r} is output {number}, but there are {len(known.names)}, numbered from 0"
            raise UsageError(msg)
        if number in taken:
            msg = f"classes {taken[number]!r} and {name!r} are both output {number}"
            raise UsageError(msg)
        taken[number] = name
    if among == "classes":
        return replace(data, outputs=Outputs(tuple(taken), len(known.names)))
    numbers = torch.tensor(list(taken))
    train, test = (replace(split, labels=numbers.to(split.labels)[split.labels]) for split in (data.train, data.test))
    return replace(data, train=train, test=test, classes=known.names)


def _number(name: str, known: _Known, classes: Mapping[str, int | str]) -> int:
    given = classes.get(name, name)
    if isinstance(given, int):
        return given
    if not known.exact and name not in classes:
        msg = f"class {name!r} has no output in `classes`; {nearest(name, classes)}"
        raise UsageError(msg)
    if not known.exact:
        msg = f"class {name!r} is to be {given!r}, but nothing says what the {len(known.names)} outputs are called"
        raise UsageError(msg)
    return known.find(given, name)


def _known(of: int | str | Sequence[str] | None) -> _Known:
    if of is None:
        msg = "nothing says how many outputs networks have; give `of`"
        raise UsageError(msg)
    if isinstance(of, int):
        if of > MAX_CLASSES:
            msg = f"{of} outputs are too many; at most {MAX_CLASSES:,} are allowed"
            raise UsageError(msg)
        return _Known(tuple(str(number) for number in range(of)), "", {}, {})
    if isinstance(of, str):
        return _Known(_categories(), "ImageNet", *_imagenet())
    exact = {name: number for number, name in enumerate(of)}
    if len(exact) < len(of):
        twice = next(name for number, name in enumerate(of) if exact[name] != number)
        msg = f"two outputs are called {twice!r}"
        raise UsageError(msg)
    return _Known(tuple(of), "the outputs' names", exact, _alike(exact))


@cache
def _categories() -> tuple[str, ...]:
    from torchvision.models import ResNet18_Weights  # noqa: PLC0415

    return tuple(ResNet18_Weights.IMAGENET1K_V1.meta["categories"])


@cache
def _imagenet() -> tuple[dict[str, int], dict[str, list[int]]]:
    """ImageNet's names and WordNet ids -> output; the same without regard to case, hyphens and underscores."""
    exact = {name: number for listed in (_categories(), _wnids()) for number, name in enumerate(listed)}
    return exact, _alike(exact)


def _alike(exact: Mapping[str, int]) -> dict[str, list[int]]:
    alike: dict[str, list[int]] = {}
    for name, number in exact.items():
        alike.setdefault(_plain(name), []).append(number)
    return alike


@cache
def _wnids() -> tuple[str, ...]:
    return tuple(resources.files("lrbench.data").joinpath("imagenet_wnids.txt").read_text("ascii").split())


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
