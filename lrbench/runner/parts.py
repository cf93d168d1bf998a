"""The steps of attacks: each on all its images or in parts, which end where figures show that there are enough."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from lrbench.names import in_path
from lrbench.runner.configs import joint_code
from lrbench.runner.step import Step
from lrbench.suite import Suite, ThreatModel, Until, looks


@dataclass(frozen=True)
class Attempt:
    """An attack on a trained model at one radius, or its search for the smallest perturbation, on whichever images.

    Attributes
    ----------
    id, kind : str
        Of the step that gives its figures.
    model : str
    seed : int
    label : str
        The attack's.
    config : dict
        What determines what becomes of an image.
    needs : tuple of str
    cost : float
        Passes an image.
    """

    id: str
    kind: str
    model: str
    seed: int
    label: str
    config: dict[str, Any]
    needs: tuple[str, ...]
    cost: float

    def part(self, begin: int, end: int, look: Step | None = None, **config: Any) -> Step:  # noqa: ANN401
        """Give the step that attacks some of the images, unless a look at those before finds that they are enough."""
        needs = self.needs if look is None else (*self.needs, look.id)
        content = {**self.config, **config, "part": [begin, end]} | ({} if look is None else {"enough": look.key})
        work = (end - begin) * self.cost
        return Step(f"{self.id}/part-{begin}", "part", self.model, self.seed, content, needs, work, (self.label,))

    def whole(self, parts: Sequence[Step], work: float, **config: Any) -> Step:  # noqa: ANN401
        """Give the step that joins parts, or, where there are none, attacks all images."""
        needs = (*self.needs, *(part.id for part in parts))
        return Step(self.id, self.kind, self.model, self.seed, {**self.config, **config}, needs, work, (self.label,))


def attack_steps(suite: Suite, attempts: Iterable[Attempt], images: int) -> Iterator[Step]:
    """Give the steps of attacks on a given number of test images, of which there are so many."""
    samples = suite.threat_model.most(images)
    for attempt in attempts:
        parts = [attempt.part(begin, end) for begin, end in suite.threat_model.parts(samples)]
        yield from parts
        yield attempt.whole(parts, 1.0 if parts else samples * attempt.cost, samples=samples)


def steps_until_enough(suite: Suite, attempts: list[Attempt], images: int, accuracies: list[Step]) -> Iterator[Step]:
    """Give the steps of all attacks where figures decide how many images they are made on.

    All are made on the images up to a look; then each model is looked at, and where it needs more, so does every attack
    on it. `accuracies` are the steps that tell which images are misclassified without an attack.
    """
    until, most = suite.threat_model.until, suite.threat_model.most(images)
    assert until  # noqa: S101
    parts: dict[str, list[Step]] = {attempt.id: [] for attempt in attempts}
    models = [name for name in suite.models if any(attempt.model == name for attempt in attempts)]
    last: dict[str, Step] = {}
    marks = looks_of(suite, images)
    for begin, end in zip([0, *marks], marks, strict=False):
        for attempt in attempts:
            pieces = _pieces(suite.threat_model, begin, end)
            new = [attempt.part(*piece, last.get(attempt.model), order="random") for piece in pieces]
            parts[attempt.id] += new
            yield from new
        if end == most:
            break
        steps = [*accuracies, *(part for each in parts.values() for part in each)]
        last = {name: _look(suite, until, name, end, steps, last.get(name), models) for name in models}
        yield from last.values()
    samples = until.model_dump(mode="json") | {"most": most}
    for attempt in attempts:
        enough = {"enough": last[attempt.model].key} if last else {}
        yield attempt.whole(parts[attempt.id], 1.0, order="random", samples=samples, **enough)


def looks_of(suite: Suite, images: int) -> list[int]:
    """Give the numbers of images after which it is looked whether they are enough; where it is given, that number.

    Those that are examined for masked gradients are among the first.
    """
    threat = suite.threat_model
    if threat.until is None:
        return [threat.most(images)]
    masking = suite.diagnostics.masking
    return looks(threat.most(images), threat.batch_size, masking.samples if masking else 1)


def parts_of_attack(suite: Suite, images: int) -> int:
    """Count the parts that an attack is made in, and the looks between them."""
    threat, marks = suite.threat_model, looks_of(suite, images)
    if threat.until is None:
        return len(threat.parts(marks[0]))
    return len(marks) + sum(len(list(_pieces(threat, *ends))) for ends in zip([0, *marks], marks, strict=False))


def _pieces(threat: ThreatModel, begin: int, end: int) -> Iterator[tuple[int, int]]:
    """Split the images between two looks as many images are split anyway."""
    for first, last in threat.parts(end - begin) or [(0, end - begin)]:
        yield begin + first, begin + last


def _look(
    suite: Suite, until: Until, name: str, images: int, steps: list[Step], before: Step | None, models: list[str]
) -> Step:
    """Give the step that says whether so many images of a model are enough; `steps` are of all models until here."""
    first, *others = models
    against = [] if until.of == "accuracy" else others if name == first else [first]
    needs = [step for step in steps if step.model in {name, *against}] + ([] if before is None else [before])
    content = {
        **until.model_dump(mode="json"),
        "images": images,
        "radii": suite.threat_model.eps,
        "others": [list(suite.models).index(each) for each in against],
        **joint_code("enough"),
        "needs": [step.key for step in needs],
    }
    step_id = f"enough/{in_path(name)}/all-seeds/{images}"
    return Step(step_id, "enough", name, suite.seeds[0], content, tuple(step.id for step in needs))
