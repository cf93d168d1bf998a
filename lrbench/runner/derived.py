"""Models against a suite that was written for others."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from lrbench.catalogue import MODELS
from lrbench.data import ImageData
from lrbench.errors import UsageError, nearest
from lrbench.measures import dimensions, layer_options
from lrbench.runner.check import Checker
from lrbench.runner.external import exit_reason
from lrbench.runner.pretrained import fetch, names_checked
from lrbench.runner.rehearse import built
from lrbench.runner.untrained import needs_training_images
from lrbench.suite import Suite, load_suite
from lrbench.suite.document import Document
from lrbench.suite.faults import validated
from lrbench.suite.measures import options_of
from lrbench.suite.project import project_models

Raw = dict[str, Any]


def suite_for(  # noqa: PLR0913
    models: Mapping[str, Raw],
    source: str | Path,
    root: Path,
    beside: Sequence[str] = (),
    layers: Mapping[str, str] | None = None,
    announce: Callable[[str], None] = lambda _: None,
    *,
    changes: Callable[[Raw], object] = lambda _: None,
    data: ImageData | None = None,
    rehearse: bool = False,
    step_timeout: float | None = None,
) -> tuple[Suite, Document, ImageData, list[str]]:
    """Turn a suite into one that measures other models, beside some of the suite's own.

    Diagnostics of layers that not all of them have are left out, or of training images where there are none; attacks
    too that need such a layer or a model that is not there.

    Parameters
    ----------
    models : mapping
        Name -> what a suite says of a model.
    source : str or Path
        The suite.
    root : Path
        Folder of the data sets.
    beside : sequence of str
        Models of the suite to measure along with it, the first of them the baseline; those that they start from come
        along.
    layers : mapping
        Layer that the suite names -> layer of these models to take instead.
    announce : callable
        Told of code of others before it runs.
    changes : callable
        Changes what the suite says otherwise.
    data : ImageData, optional
        The data, where it is loaded already.
    rehearse : bool
        Whether code of others is called in a process of its own first, which it may end.
    step_timeout : float, optional
        Seconds that it may take there.

    Returns
    -------
    Suite, Document, ImageData, list of str
        The suite, its document, its data, and what was left out and why.

    Raises
    ------
    UsageError
        If the model, the suite or one of the models beside it is not there, or cannot be built.
    """
    suite, document = load_suite(source)
    raw = suite.model_dump(mode="json", exclude_unset=True)
    unknown = [each for each in beside if each not in suite.models]
    if unknown:
        msg = f"{source} has no model {unknown[0]!r}; {nearest(unknown[0], suite.models)}"
        raise UsageError(msg)
    there = _with_starts(suite, beside)
    if twice := [each for each in there if each in models]:
        msg = f"{twice[0]} is also what a model of {source} beside it is called; give it another name"
        raise UsageError(msg)
    raw["models"] = {each: raw["models"][each] for each in there} | dict(models)
    raw.pop("reference", None)
    raw["claims"] = [claim for claim in raw.get("claims", []) if claim["model"] in raw["models"]]
    data_before = raw["data"]
    changes(raw)
    title = f"{', '.join([*beside, *models])} on {source}"
    raw = validated(Suite, raw, Document(title, raw, {})).model_dump(mode="json", exclude_unset=True)
    derived = Document(title, raw, {})
    _rename(raw, layers or {})
    left_out = list(_without_sources(raw))
    # What stands in the suite's own file is told with its line.
    source_document = document if raw["data"] == data_before else derived
    spelled_out = names_checked(
        Checker(validated(Suite, raw, derived), derived, rehearse, step_timeout), announce
    ).suite
    raw = spelled_out.model_dump(mode="json", exclude_unset=True)
    if data is None:
        data = Checker(spelled_out, source_document).read_data(root)
    fetch(spelled_out, derived, data)
    left_out += _without_images(raw, spelled_out, data)
    checked = validated(Suite, raw, derived)
    Checker(checked, source_document).check_asked(data)
    for each, reason in (built(checked, data, step_timeout) if rehearse else {}).items():
        msg = f"{each} cannot be built: {reason}"
        raise UsageError(msg)
    sizes = _common_sizes(Checker(checked, derived), data)
    left_out += _leave_out(raw, sizes)
    return validated(Suite, raw, derived), derived, data, left_out


def _with_starts(suite: Suite, names: Sequence[str]) -> list[str]:
    """Add the models that these start from."""
    found = list(dict.fromkeys(names))
    for each in found:
        start = suite.models[each].init_from
        if start in suite.models and start not in found:
            found.append(start)
    return found


def spec_of(name: str) -> Raw:
    """Give what a suite says of a model by its name: registered, of `lrbench.yaml`, or such as "timm:resnet18".

    Raises
    ------
    UsageError
        If there is none.
    """
    own = project_models()
    if name in own:
        return own[name]
    known = [*own, *(entry.name for entry in MODELS)]
    # A name with a colon is looked up when it has been announced, since that can run code.
    if name not in known and not MODELS.is_elsewhere(name):
        msg = f"unknown model {name!r}; {nearest(name, known)}, or register yours with `lrbench register`"
        if "/" in name:
            msg = f"unknown model {name!r}; of a run it is DIR:MODEL, such as {name}:resnet18"
        raise UsageError(msg)
    return {"arch": name}


def _rename(raw: Raw, layers: Mapping[str, str]) -> None:
    attacked = [attack["layer"] for attack in raw.get("attacks", []) if isinstance(attack.get("layer"), str)]
    known = list(dict.fromkeys([*(each for *_, named in _layers_in(raw) for each in named), *attacked]))
    for name in layers:
        # Where it names none, the same call may serve several suites.
        if known and name not in known:
            msg = f"the suite names no layer {name!r}; {nearest(name, known)}"
            raise UsageError(msg)
    for _, spec, option, named in _layers_in(raw):
        renamed = [layers.get(each, each) for each in named]
        spec[option] = renamed if isinstance(spec[option], list) else renamed[0]
    for attack in raw.get("attacks", []):
        if isinstance(attack.get("layer"), str):
            attack["layer"] = layers.get(attack["layer"], attack["layer"])


def _common_sizes(checker: Checker, data: ImageData) -> dict[str, int]:
    """Layers that all models have, with the smallest of their sizes."""
    found: list[dict[str, int]] = []
    for name, spec in checker.suite.models.items():
        try:
            found.append(checker.look_at(name, spec, data).sizes)
        except SystemExit as error:
            msg = f"{name} cannot be built: {exit_reason(error)}"
            raise UsageError(msg) from None
    shared = set(found[0]).intersection(*found[1:])
    return {layer: min(sizes[layer] for sizes in found) for layer in shared}


def _without_sources(raw: Raw) -> Iterable[str]:
    """Take out attacks that are made on models that are not there."""
    for attack in list(raw.get("attacks", [])):
        surrogate = attack.get("surrogate")
        if surrogate not in {None, *raw["models"]}:
            raw["attacks"].remove(attack)
            label = attack.get("label") or attack["name"]
            beside = f"measure {surrogate} beside it (--beside, beside=) to have it"
            yield f"{label}: its surrogate {surrogate} is not measured here; {beside}"


def _without_images(raw: Raw, suite: Suite, data: ImageData) -> Iterator[str]:
    """Take out what needs training images where there are none; attack as many test images as there are."""
    for kind in suite.diagnostics.measures if not len(data.train) else ():
        if needs_training_images(kind):
            (raw.get("diagnostics") or {}).pop(kind, None)
            yield f"{kind}: it needs training images"
    threat = suite.threat_model
    if (samples := threat.most(len(data.test))) > len(data.test):
        if threat.until is None:
            raw["threat_model"]["samples"] = len(data.test)
        else:
            raw["threat_model"]["samples"]["most"] = len(data.test)
        yield f"all but {len(data.test)} of the {samples} images to be attacked: there are no more"


def _leave_out(raw: Raw, sizes: Mapping[str, int]) -> Iterable[str]:
    """Take out what these models cannot be asked; say what and why."""
    diagnostics = raw.get("diagnostics", {})
    for kind, spec, option, named in _layers_in(raw):
        missing = [layer for layer in named if layer not in sizes]
        yield from (f"{kind}: {_no_layer(layer)}" for layer in missing)
        if len(missing) == len(named):
            diagnostics.pop(kind, None)
        elif missing:
            spec[option] = [layer for layer in named if layer in sizes]
    for kind in list(diagnostics):
        yield from _narrowed(diagnostics, kind, sizes)
    for attack in list(raw.get("attacks", [])):
        label = attack.get("label") or attack["name"]
        layer = attack.get("layer")
        if isinstance(layer, str) and layer not in sizes:
            raw["attacks"].remove(attack)
            yield f"{label}: {_no_layer(layer)}"


def _layers_in(raw: Raw) -> Iterator[tuple[str, Raw, str, list[str]]]:
    """Give every option of a measure that names layers: the measure, what is said of it, the option, and the layers."""
    for kind, spec in list((raw.get("diagnostics") or {}).items()):
        for option in layer_options(options_of(kind)) if spec else ():
            value = spec.get(option)
            if value is not None:
                yield kind, spec, option, list(value) if isinstance(value, list) else [value]


def _narrowed(diagnostics: Raw, kind: str, sizes: Mapping[str, int]) -> Iterator[str]:
    """Take out more dimensions than a layer has."""
    spec = diagnostics[kind]
    for option, within in dimensions(options_of(kind)).items() if spec else ():
        layer, value = spec[within.layer], spec[option]
        listed = value if isinstance(value, list) else [value]
        too_large = [dim for dim in listed if isinstance(dim, int) and dim > sizes[layer]]
        yield from (f"{kind} in {dim} dimensions: {layer} has only {sizes[layer]}" for dim in too_large)
        left = [dim for dim in listed if dim not in too_large] or ([within.otherwise] if within.otherwise else [])
        if not left:
            diagnostics.pop(kind, None)
        elif too_large:
            spec[option] = left


def _no_layer(layer: str) -> str:
    instead = f"--layer {layer}=NAME, layers={{{layer!r}: NAME}}"
    return f"not all models here have a layer {layer}; say which to take instead ({instead})"
