"""What weights of libraries say of themselves, spelled out in the suite that names them; and fetched, if need be."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from lrbench.catalogue import DATASETS, MODELS
from lrbench.data import ImageData
from lrbench.errors import UsageError
from lrbench.global_state import preserved
from lrbench.models.pretrained import Pretrained, pretrained_of
from lrbench.runner.check import Checker
from lrbench.suite import DataSpec, ModelSpec, Normalization, Suite
from lrbench.suite.document import Document
from lrbench.suite.schema import OutputsSpec

PREPARED = ("size", "resize", "interpolation")
"""Options of data sets that bring images to what networks take."""


def weights_of(spec: ModelSpec) -> Pretrained | None:
    """Look up what is said of a model's weights; None if no library offers them.

    Raises
    ------
    UsageError
        If it offers no such weights, or the hub cannot be asked.
    """
    return pretrained_of(spec.arch, spec.weights) if spec.offered else None


def with_weights(suite: Suite, document: Document) -> Suite:
    """Spell out what the suite leaves to the weights of libraries: normalisation, size of images, number of outputs.

    Raises
    ------
    UsageError
        If there are no such weights, or images cannot be as all of them want them.
    """
    found = {}
    for name, spec in suite.models.items():
        try:
            said = weights_of(spec)
        except UsageError as error:
            where = "weights" if spec.weights is not None else "arch"
            raise document.error(("models", name, where), str(error)) from None
        if said is not None:
            found[name] = said
    models = {name: spelled_out(spec, found.get(name)) for name, spec in suite.models.items()}
    data = _prepared(suite.data, found, document) if found else suite.data
    if data.outputs is not None and data.outputs.of is None:
        data = data.model_copy(update={"outputs": _with_number(data.outputs, found, document)})
    return suite.model_copy(update={"models": models, "data": data})


def names_checked(checker: Checker, announce: Callable[[str], None]) -> Checker:
    """Check the names in a suite, and spell out what it leaves to weights; gives a checker of that.

    Raises
    ------
    UsageError
        As `Checker.check_names` and `with_weights`.
    """
    checker.check_names(announce)
    return replace(checker, suite=with_weights(checker.suite, checker.document))


def fetch(suite: Suite, document: Document, data: ImageData) -> list[str]:
    """Have the weights of libraries fetched where they are not here yet; whoever fetches them shows how far it is.

    Returns
    -------
    list of str
        A line for each model whose weights were made for images of another size than those of a data set that comes in
        one size.

    Raises
    ------
    UsageError
        With what could not be had, and from where.
    """
    height, width = data.test.images.shape[2:]
    lines = []
    for name, spec in suite.models.items():
        try:
            said = fetch_weights(spec)
        except UsageError as error:
            raise document.error(("models", name), str(error)) from None
        if said is not None and not _can_prepare(suite.data) and (height, width) != (said.size, said.size):
            made_for = f"{said.size} x {said.size} pixels" if said.size else "images that are not cropped to squares"
            lines.append(f"{name} sees images of {height} x {width} pixels; its weights were made for {made_for}")
    return lines


def fetch_weights(spec: ModelSpec) -> Pretrained | None:
    """Have a model's weights fetched, as `fetch`; give what is said of them, None if they are no library's."""
    said = weights_of(spec)
    if said is not None:
        with preserved():
            MODELS[spec.arch].load()(num_classes=said.outputs, in_channels=said.channels, **spec.options)
    return said


def spelled_out(spec: ModelSpec, said: Pretrained | None) -> ModelSpec:
    """Say in a model's specification which weights are meant, and how images are normalised for them."""
    if said is None:
        return spec
    update: dict[str, Any] = {"arch": said.arch}
    if said.weights is not None:
        update["weights"] = said.weights
    if spec.normalize == "weights":
        update["normalize"] = Normalization(mean=list(said.mean), std=list(said.std))
    return spec.model_copy(update=update)


def _can_prepare(data: DataSpec) -> bool:
    source = DATASETS[data.name].signature
    return source is not None and set(PREPARED) <= set(source.parameters)


def _prepared(data: DataSpec, found: Mapping[str, Pretrained], document: Document) -> DataSpec:
    """Say to what size images are brought, where the data set can bring them to one."""
    if not _can_prepare(data):
        return data
    options = data.options
    # Whoever gives a size says how images come to it, too.
    asked = [key for key in PREPARED if options.get(key) is None and not (key == "resize" and "size" in options)]
    return data.model_copy(update={key: _common(key, found, document) for key in asked})


def _common(key: str, found: Mapping[str, Pretrained], document: Document) -> Any:  # noqa: ANN401
    """Give what the weights of all models say; all of them meet the same images."""
    said = {getattr(each, key): name for name, each in found.items()}
    if None in said:
        message = f"the weights of {said[None]} take no squares from the middle of images; give a `size`"
        raise document.error(("data",), message)
    if len(said) > 1:
        told = ", ".join(f"{value} for {name}" for value, name in said.items())
        message = f"the weights differ in `{key}` ({told}), and all models meet the same images: give one"
        raise document.error(("data",), message)
    return next(iter(said))


def _with_number(asked: OutputsSpec, found: Mapping[str, Pretrained], document: Document) -> OutputsSpec:
    said = {each.categories or each.outputs: name for name, each in found.items()}
    if len(said) != 1:
        why = "the weights differ in it" if said else "no model has weights that say so"
        message = f"how many outputs networks have is left open, and {why}; give `outputs: {{of: NUMBER}}`"
        raise document.error(("data", "outputs"), message)
    of = next(iter(said))
    return asked.model_copy(update={"of": list(of) if isinstance(of, tuple) else of})
