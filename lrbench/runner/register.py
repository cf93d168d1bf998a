"""Register a model with a project: build it, look it over, and write it into `lrbench.yaml`."""

import math
import re
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
import yaml
from torch import Tensor, nn

from lrbench.catalogue import DATASETS, MODELS
from lrbench.data import to_unit
from lrbench.errors import UsageError, printable, short
from lrbench.models import load_weights, make_network
from lrbench.models.inspection import Finding, inspect_network
from lrbench.models.pretrained import Pretrained
from lrbench.options import OptionError, check_options
from lrbench.runner.assembly import Statistics
from lrbench.runner.context import normalization
from lrbench.runner.external import guarded
from lrbench.runner.lacking import Probed
from lrbench.runner.pretrained import fetch_weights, spelled_out
from lrbench.runner.probe import probe
from lrbench.runner.rehearse import Looker, called
from lrbench.store import write_file
from lrbench.suite import ModelSpec, load_suite, shipped_suites
from lrbench.suite.document import Document
from lrbench.suite.faults import validated
from lrbench.suite.project import PROJECT, Project, project_models

LOOKED_AT = 200
RANDOM_IMAGES = 16
MOST_ENTRIES = 2**22
MOST_CLASSES = 100_000
SHAPE = re.compile("[0-9]{1,7}(?:[xX][0-9]{1,7}){2}")


def register(
    name: str,
    spec: dict[str, Any],
    *,
    data: str | None = None,
    shape: str | None = None,
    classes: int = 10,
    root: Path,
) -> tuple[list[Finding], bool]:
    """Build a model, look it over, and keep it in the working directory's `lrbench.yaml`.

    Parameters
    ----------
    name : str
    spec : dict
        The keys of a suite's model: `arch`, `weights`, `normalize`, options.
    data : str, optional
        Data set whose images it is looked over with. Default: noise as the weights of a library take it, else "digits".
    shape : str, optional
        "CxHxW" of noise to look it over with instead.
    classes : int
        Its number of classes, with `shape`.
    root : Path
        Folder of the data sets.

    Returns
    -------
    list of Finding, bool
        What was found; whether a model of that name was replaced.

    Raises
    ------
    UsageError
        If it cannot be built, run or loaded, or does not give logits.
    """
    before = project_models()
    content = {"models": {**before, name: spec}}
    checked = validated(Project, content, Document(str(PROJECT), content, {})).models[name]
    said = fetch_weights(checked)
    if said is not None:
        checked = spelled_out(checked, said)
        if data is None and shape is None:
            shape, classes = _noise_for(said), said.outputs
    images, labels, classes, statistics = _images(data or "digits", shape, classes, root)
    findings = [Finding("good", line) for line in str(said or "").splitlines()]
    findings += _look(
        name, checked, images, labels if checked.weights or not checked.train else None, classes, statistics
    )
    faults = [finding.text for finding in findings if finding.level == "fault"]
    if faults:
        msg = f"{name} is not registered: {'; '.join(faults)}"
        raise UsageError(msg)
    write_file(PROJECT, yaml.safe_dump(content, sort_keys=False, allow_unicode=True).encode())
    return findings, name in before


def _noise_for(said: Pretrained) -> str:
    side = said.size or said.resize
    return f"{said.channels}x{side}x{side}"


def _images(data: str, shape: str | None, classes: int, root: Path) -> tuple[Tensor, Tensor | None, int, Statistics]:
    if shape is None:
        if data not in DATASETS and data in (suites := shipped_suites()):
            msg = f"--data {data}: that is a suite, whose data set is {load_suite(suites[data])[0].data.name}"
            raise UsageError(msg)
        source = DATASETS[data].load()
        try:
            check_options(source, {}, ("root", "train", "test"))
        except OptionError as error:
            msg = (
                f"--data {data} would need its {error.option}, which only a suite can give; --shape says what is enough"
            )
            raise UsageError(msg) from None
        found = source(root, train=None, test=None)
        split = found.test.balanced(min(LOOKED_AT, len(found.test)))
        return to_unit(split.pixels), split.labels, len(found.classes), found.statistics
    sides = [int(side) for side in shape.lower().split("x")] if SHAPE.fullmatch(shape) else []
    if not 0 < math.prod(sides or [0]) <= MOST_ENTRIES:
        msg = (
            f"--shape {printable(shape)[:100]}: expected CHANNELSxHEIGHTxWIDTH, such as 3x32x32, of at most "
            f"{MOST_ENTRIES:,} entries"
        )
        raise UsageError(msg)
    if not 2 <= classes <= MOST_CLASSES:
        msg = f"--classes: expected a number from 2 to {MOST_CLASSES:,}"
        raise UsageError(msg)
    noise = torch.rand(RANDOM_IMAGES, *sides, generator=torch.Generator().manual_seed(0))
    return noise, None, classes, ((0.5,) * sides[0], (0.25,) * sides[0])


def _look(
    name: str, spec: ModelSpec, images: Tensor, labels: Tensor | None, classes: int, statistics: Statistics
) -> list[Finding]:
    shape = tuple(images.shape[1:])
    for reason in called(Looker({name: spec}, classes, shape)).values():
        msg = f"{name} cannot be built or run: {reason}"
        raise UsageError(msg)
    with guarded():
        factory = MODELS[spec.arch].load()
    try:
        check_options(factory, spec.options, ("num_classes", "in_channels"))
        found = probe(factory, spec, classes, shape)
    except OptionError as error:
        msg = f"{name}: {error.option}: {error}"
        raise UsageError(msg) from None
    except UsageError as error:
        msg = f"{name} {error}; --data or --shape says what it is for"
        raise UsageError(msg) from error
    if found.logits != (2, classes):
        msg = f"{name} gives outputs of shape {found.logits} for 2 images, expected logits of shape (2, {classes})"
        raise UsageError(msg)
    chosen = normalization(spec, shape[0]) or statistics
    torch.manual_seed(0)
    with guarded(), warnings.catch_warnings(action="ignore"):
        net = make_network(factory, classes, shape[0], spec.options)
        if spec.weights_file is not None:
            load_weights(net, Path(spec.weights_file))
        return [*_lacking(found), *inspected(name, net, images, chosen, labels)]


def _lacking(found: Probed) -> Iterator[Finding]:
    if not found.trainable:
        yield Finding("warning", "nothing in it can be trained: suites evaluate it without training")
    if not found.sizes:
        yield Finding("warning", "it has no named layers: suites leave out what is measured of layers")
    if found.single:
        yield Finding("warning", "it gives one logit an image: it is taken for that of class 1 against class 0")


def inspected(
    name: str, net: nn.Module, images: Tensor, statistics: Statistics, labels: Tensor | None
) -> list[Finding]:
    """Look a network over; what its code raises is a fault of its own.

    Raises
    ------
    UsageError
        If it fails on some of the images.
    """
    try:
        return inspect_network(net, images, statistics, labels)
    except Exception as error:
        msg = f"{name} fails on {len(images)} images, one by one or together: {type(error).__name__}: {short(error)}"
        raise UsageError(msg) from error
