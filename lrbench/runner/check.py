"""A suite against what is there: names, options, layers and ranks, before anything is written."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lrbench.catalogue import ATTACKS, DATASETS, MODELS
from lrbench.data import ImageData, with_outputs, with_superclasses
from lrbench.data.checked import loaded
from lrbench.errors import UsageError
from lrbench.measures.registry import faults_of
from lrbench.registry import Registry
from lrbench.runner.claims import attacks_of
from lrbench.runner.external import code_named, exit_reason, guarded
from lrbench.runner.factories import brought_in, hold_options
from lrbench.runner.kinds import KINDS
from lrbench.runner.lacking import Probed
from lrbench.runner.layers import Layers
from lrbench.runner.probe import check_weights, probe
from lrbench.runner.references import unresolved
from lrbench.runner.regularized import misfits
from lrbench.runner.rehearse import built, imported
from lrbench.runner.untrained import asked_in_vain
from lrbench.strict import KeyPath
from lrbench.suite import ModelSpec, Normalization, Suite
from lrbench.suite.document import Document

BESIDE_MODEL_OPTIONS = (*ModelSpec.model_fields, "extends")


@dataclass(frozen=True)
class Checker:
    """Checks a suite, part by part; an error names the line in the suite's document.

    Attributes
    ----------
    suite : Suite
    document : Document
    rehearse : bool
        Whether code of others is called in a process of its own first, which it may end.
    step_timeout : float, optional
        Seconds that it may take there.
    """

    suite: Suite
    document: Document
    rehearse: bool = False
    step_timeout: float | None = None

    def check_names(self, announce: Callable[[str], None]) -> None:
        """Check that data set, attacks and architectures are known; external code is announced before it is imported.

        Raises
        ------
        UsageError
            With the first unknown name.
        """
        named: list[tuple[Registry, str, KeyPath]] = [(DATASETS, self.suite.data.name, ("data",))]
        named += [(ATTACKS, attack.name, where) for where, attack, _ in attacks_of(self.suite)]
        named += [(MODELS, spec.arch, ("models", model, "arch")) for model, spec in self.suite.models.items()]
        called = (code_named(registry, name) for registry, name, _ in named if name not in registry)
        for code in dict.fromkeys(code for code in called if code is not None):
            announce(f"running {code}, which {self.document.name} names")
        if self.rehearse:
            for model, reason in imported(self.suite, self.step_timeout).items():
                arch = self.suite.models[model].arch
                raise self.document.error(("models", model, "arch"), f"importing {arch:.200} is the end: {reason}")
        for registry, name, where in named:
            try:
                with guarded():
                    registry[name]
            except UsageError as error:
                raise self.document.error(where, str(error)) from None
        for where, message in unresolved(self.suite):
            raise self.document.error(where, message)

    def load_data(self, root: Path) -> ImageData:
        """Load the suite's data set, and hold what is asked of it against it.

        Raises
        ------
        UsageError
            As `read_data` and `check_asked`.
        """
        data = self.read_data(root)
        self.check_asked(data)
        return data

    def read_data(self, root: Path) -> ImageData:
        """Load the suite's data set.

        Raises
        ------
        UsageError
            If it is unknown, its options do not fit, or its files are missing or unreadable.
        """
        spec = self.suite.data
        beside = ("train", "test", "superclasses", "outputs")
        source = self._factory(DATASETS, spec.name, ("data",), spec.options, beside)
        where: KeyPath = ("data",)
        try:
            data = loaded(source, spec.name, root, spec.options, train=spec.train, test=spec.test)
            if spec.superclasses is not None:
                where = ("data", "superclasses")
                data = with_superclasses(data, spec.superclasses)
            if spec.outputs is not None:
                where = ("data", "outputs")
                asked = spec.outputs
                data = with_outputs(data, asked.of, asked.classes, asked.among)
        except UsageError as error:
            raise self.document.error(where, str(error)) from error
        return data

    def check_asked(self, data: ImageData) -> None:
        """Hold measures and numbers of images against the data.

        Raises
        ------
        UsageError
            With the first thing that does not fit.
        """
        for kind, options in self.suite.diagnostics.measures.items():
            if kind in KINDS:
                raise self.document.error(("diagnostics", kind), "a step is called so; give the measure another name")
            for keys, message in faults_of(kind, options, data):
                raise self.document.error(("diagnostics", kind, *keys), message)
        for keys, message in asked_in_vain(self.suite, data):
            raise self.document.error(keys, message)
        threat = self.suite.threat_model
        if (samples := threat.most(len(data.test))) > len(data.test):
            lacking = f"asks for {samples} of {len(data.test)} test images"
            keys = ("threat_model", "samples") if threat.until is None else ("threat_model", "samples", "most")
            raise self.document.error(keys, lacking)

    def check_models(self, data: ImageData, announce: Callable[[str], None] = lambda _: None) -> dict[str, Probed]:
        """Check models and every layer that the suite names; give what each model is like.

        A model that ends the process which builds it is left to its steps, so that the other models' are taken;
        it is announced.

        Raises
        ------
        UsageError
            With the first thing that does not fit.
        """
        known: dict[str, Probed] = {}
        looked: dict[str, Probed] = {}
        layers = Layers(self.suite, self.document, len(data.train))
        ended = built(self.suite, data, self.step_timeout) if self.rehearse else {}
        for name, spec in self.suite.models.items():
            if name in ended:
                announce(f"{name} was not checked: {ended[name]}")
                continue
            alike = spec.model_dump_json(exclude={"lr_layers", "regularizers", "training", "init_from"})
            try:
                if alike not in known:
                    known[alike] = self.look_at(name, spec, data)
            except SystemExit as error:
                announce(f"{name} was not checked: {exit_reason(error)}")
                continue
            looked[name] = known[alike]
            if not spec.train and self._asked_of(name, "training"):
                announce(f"{name} is not trained, so that its `training` has no effect; `train: true` trains it")
            layers.check(name, spec, looked[name].sizes)
            for regularizer, message in misfits(spec, self.suite.training_of(name), data):
                raise self.document.error(("models", name, "regularizers", regularizer), message)
            if looked[name].single:
                announce(f"{name} gives one logit an image: it is taken for that of class 1 against class 0")
        return looked

    def _asked_of(self, model: str, key: str) -> bool:
        """Whether the suite says something of a model at its own place, and not where one that it extends stands."""
        models = self.document.content.get("models")
        return isinstance(models, dict) and isinstance(models.get(model), dict) and bool(models[model].get(key))

    def _factory(
        self,
        registry: Registry,
        name: str,
        where: KeyPath,
        options: dict[str, Any],
        beside: tuple[str, ...],
    ) -> Callable[..., Any]:
        factory = brought_in(self.document, registry, name, where)
        hold_options(self.document, factory, registry.supplied, where, options, beside)
        return factory

    def look_at(self, name: str, spec: ModelSpec, data: ImageData) -> Probed:
        """Build a model, run it on two images, and hold its weights against it.

        Raises
        ------
        UsageError
            If it cannot be built or run, or is no model for this data.
        SystemExit
            If its code raises it.
        """
        where = ("models", name)
        factory = self._factory(MODELS, spec.arch, where, spec.options, BESIDE_MODEL_OPTIONS)
        try:
            found = probe(factory, spec, data.network_outputs, tuple(data.train.images.shape[1:]))
        except UsageError as error:
            raise self.document.error(where, str(error)) from error
        try:
            check_weights(factory, spec, data.network_outputs, data.channels)
        except UsageError as error:
            raise self.document.error((*where, "weights"), str(error)) from error
        if found.logits != (2, data.network_outputs):
            expected = f"(N, {data.network_outputs})"
            raise self.document.error(where, f"gives logits of shape {found.logits}, expected {expected}")
        if spec.train and found.trainable and found.loose:
            message = f"its state holds what is no tensor ({found.loose[0]:.100}), so no training of it can be kept"
            raise self.document.error(where, f"{message}; `train: false` evaluates it without training")
        for part in ("mean", "std") if isinstance(spec.normalize, Normalization) else ():
            if (count := len(getattr(spec.normalize, part))) != data.channels:
                message = f"has {count} values for images of {data.channels} channels"
                raise self.document.error((*where, "normalize", part), message)
        return found
