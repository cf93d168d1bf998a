"""Which outputs of a network that knows more classes belong to those of a data set."""

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from importlib import resources

from lrbench.data.images import ImageData, Outputs
from lrbench.errors import UsageError, nearest

IMAGENET = "imagenet"
"""The 1,000 classes of ILSVRC 2012, in the order in which torchvision's and timm's networks give them."""


def with_outputs(data: ImageData, of: int | str, classes: Mapping[str, int]) -> ImageData:
    """Say for a data set which output of a network is which of its classes.

    Parameters
    ----------
    data : ImageData
    of : int or "imagenet"
        Outputs that the networks have. With "imagenet", classes are found by their names or WordNet ids.
    classes : mapping
        Class -> number of its output, from 0; comes before what "imagenet" says. May name classes that are not there.

    Raises
    ------
    UsageError
        If a class has no output, an output that no network has, or that of another class.
    """
    count = len(_wnids()) if isinstance(of, str) else of
    numbers = [classes[name] if name in classes else _known(name, of, classes) for name in data.classes]
    taken: dict[int, str] = {}
    for name, number in zip(data.classes, numbers, strict=True):
        if number >= count:
            msg = f"class {name!r} is output {number}, but there are {count}, numbered from 0"
            raise UsageError(msg)
        if number in taken:
            msg = f"classes {taken[number]!r} and {name!r} are both output {number}"
            raise UsageError(msg)
        taken[number] = name
    return replace(data, outputs=Outputs(tuple(numbers), count))


def _known(name: str, of: int | str, classes: Mapping[str, int]) -> int:
    if not isinstance(of, str):
        msg = f"class {name!r} has no output in `classes`; {nearest(name, classes)}"
        raise UsageError(msg)
    exact, alike = _imagenet()
    if name in exact:
        return exact[name]
    found = alike.get(_plain(name), [])
    if len(found) == 1:
        return found[0]
    if found:
        numbers = " and ".join(str(number) for number in found)
        msg = f"class {name!r} may be {numbers} of ImageNet; say which by `classes: {{{name}: {found[0]}}}`"
        raise UsageError(msg)
    msg = f"class {name!r} is none of ImageNet; {nearest(name, exact, at_most=3)}, or give its output in `classes`"
    raise UsageError(msg)


@cache
def _imagenet() -> tuple[dict[str, int], dict[str, list[int]]]:
    """ImageNet's names and WordNet ids -> output; the same without regard to case, hyphens and underscores."""
    from torchvision.models import ResNet18_Weights  # noqa: PLC0415

    names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    exact = {name: number for listed in (names, _wnids()) for number, name in enumerate(listed)}
    alike: dict[str, list[int]] = {}
    for name, number in exact.items():
        alike.setdefault(_plain(name), []).append(number)
    return exact, alike


@cache
def _wnids() -> tuple[str, ...]:
    return tuple(resources.files("lrbench.data").joinpath("imagenet_wnids.txt").read_text("ascii").split())


def _plain(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").replace("-", " ").split())
