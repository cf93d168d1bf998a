"""Code of others is called in a process of its own first: whatever it does to that, this one continues."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from lrbench.catalogue import MODELS
from lrbench.data import ImageData
from lrbench.engines import Done, Task
from lrbench.engines.base import Report
from lrbench.models.objects import OBJECTS, Handed
from lrbench.runner.external import exit_reason, guarded, is_external, objects_of, with_absolute_paths
from lrbench.runner.probe import probe
from lrbench.suite import ModelSpec, Suite


@dataclass(frozen=True)
class Looker:
    """Imports models (`data` is None) or builds and runs them; can be pickled."""

    models: dict[str, ModelSpec]
    classes: int = 0
    image: tuple[int, ...] | None = None
    objects: Mapping[str, Handed] = field(default_factory=dict)

    def __call__(self) -> "Looker":
        """Give itself, once the process has what was handed over in the one that asks."""
        OBJECTS.update(self.objects)
        return self

    def take(self, task: str, _report: Report, _stop: object) -> Done:
        """Call a model's code; what it raises is left to the check, which says it better."""
        spec, reason = self.models[task], None
        try:
            with guarded():
                factory = MODELS[spec.arch].load()
            if self.image is not None:
                probe(factory, spec, self.classes, self.image)
        except SystemExit as error:
            reason = exit_reason(error) if self.image is not None else None
        # Of the kind that the check meets as well.
        except Exception:  # noqa: BLE001
            reason = None
        return Done(task, 0.0, reason)


@dataclass
class Heard:
    """Keeps what went wrong, model by model."""

    reasons: dict[str, str] = field(default_factory=dict)

    def finished(self, done: Done) -> None:
        """Keep it."""
        if done.reason is not None:
            self.reasons[done.id] = done.reason

    def started(self, task: str) -> None:
        """Stay silent."""

    def progress(self, task: str, fraction: float, note: str) -> None:
        """Stay silent."""

    def skipped(self, task: str, needed: str) -> None:
        """Stay silent: no model needs another."""

    def note(self, text: str) -> None:
        """Stay silent: what is tried again is reported when it fails."""

    def stopping(self) -> bool:
        """Say no."""
        return False


def imported(suite: Suite, timeout: float | None = None) -> dict[str, str]:
    """Import the code of others in a process; give each model whose code ends it, and how.

    Parameters
    ----------
    suite : Suite
    timeout : float, optional
        Seconds that each may take.
    """
    return called(Looker(with_absolute_paths(suite).models, objects=objects_of(suite)), timeout)


def built(suite: Suite, data: ImageData, timeout: float | None = None) -> dict[str, str]:
    """Build the models whose code is of others, and run them on two blank images, as `imported`."""
    image = tuple(data.train.images.shape[1:])
    looker = Looker(with_absolute_paths(suite).models, data.network_outputs, image, objects_of(suite))
    return called(looker, timeout)


def called(looker: Looker, timeout: float | None = None) -> dict[str, str]:
    """Let a process look at those of some models whose code is of others, as `imported`."""
    alike = _alike({name: spec for name, spec in looker.models.items() if is_external(spec.arch)})
    if not alike:
        return {}
    # Loaded only where it is called for.
    from lrbench.engines.processes import Processes  # noqa: PLC0415

    heard = Heard()
    Processes(1, timeout).run([Task(names[0]) for names in alike], looker, heard)
    reasons = {name: heard.reasons[names[0]] for names in alike if names[0] in heard.reasons for name in names}
    return {name: reasons[name] for name in looker.models if name in reasons}


def _alike(models: dict[str, ModelSpec]) -> list[Sequence[str]]:
    """Put models that are built alike together."""
    found: dict[str, list[str]] = {}
    for name, spec in models.items():
        unbuilt = {"lr_layers", "regularizers", "training", "train", "init_from"}
        found.setdefault(spec.model_dump_json(exclude=unbuilt), []).append(name)
    return list(found.values())
