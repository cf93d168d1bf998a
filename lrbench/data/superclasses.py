"""Classes in groups: networks learn the groups, and the classes become fine labels."""

from collections.abc import Mapping, Sequence

import torch

from lrbench.data.images import ImageData, Split
from lrbench.errors import UsageError, nearest


def with_superclasses(data: ImageData, groups: Mapping[str, Sequence[str]]) -> ImageData:
    """Label a data set by groups of its classes; its own classes become the fine ones.

    Parameters
    ----------
    data : ImageData
        Without fine classes.
    groups : mapping
        Name of a superclass -> its classes; each class in exactly one.

    Raises
    ------
    UsageError
        If a class is unknown, missing or in two groups, or the data set has fine classes already.
    """
    if data.fine_classes:
        msg = f"{data.name} has superclasses already"
        raise UsageError(msg)
    group_of: dict[str, int] = {}
    for index, (group, members) in enumerate(groups.items()):
        for member in members:
            if member not in data.classes:
                msg = f"{group}: unknown class {member!r}; {nearest(member, data.classes)}"
                raise UsageError(msg)
            if member in group_of:
                msg = f"{group}: class {member!r} is in two superclasses"
                raise UsageError(msg)
            group_of[member] = index
    missing = [name for name in data.classes if name not in group_of]
    if missing:
        msg = f"class {missing[0]!r} is in no superclass"
        raise UsageError(msg)
    coarse = torch.tensor([group_of[name] for name in data.classes])
    train, test = (
        Split(split.images, coarse.to(split.labels.device)[split.labels], split.labels)
        for split in (data.train, data.test)
    )
    return ImageData(data.name, train, test, tuple(groups), data.classes)
