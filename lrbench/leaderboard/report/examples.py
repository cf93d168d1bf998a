"""Example images of a run: as they were, as an attack left them, and what it changed."""

import base64
import io
import json
from dataclasses import dataclass
from typing import Any

import numpy as np
from PIL import Image

from lrbench.errors import UsageError
from lrbench.leaderboard.layout import labels, middle
from lrbench.leaderboard.networks import step_in
from lrbench.leaderboard.outcomes import Run
from lrbench.names import attack_id, model_path, radius_text

LARGEST = 96
"""Side in pixels above which an image is made smaller."""

ATTACKS = 2


@dataclass(frozen=True)
class Example:
    """An image: data URIs of the three pictures, its label, and the classes given before and after."""

    clean: str
    adversarial: str
    difference: str
    label: str
    before: str
    after: str

    @property
    def fooled(self) -> bool:
        """Whether the attack brought about a misclassification."""
        return self.before == self.label != self.after


@dataclass(frozen=True)
class Strip:
    """Examples of one model under one attack."""

    model: str
    attack: str
    radius: str
    images: list[Example]


def strips(run: Run) -> list[Strip]:
    """Give example images of each model's first seed, under the first attacks at the suite's middle radius."""
    suite = run.board.suite
    if not suite["attacks"]:
        return []
    eps, threat = middle(suite), suite["threat_model"]
    radius = radius_text(eps, threat["norm"], threat["space"])
    found = []
    for model in run.models:
        shown = 0
        seed = run.seeds(model)[0]
        for label in labels(suite):
            images = _examples(run, model, seed, label, eps) if shown < ATTACKS else []
            if images:
                found.append(Strip(model, label, radius, images))
                shown += 1
    return found


def _examples(run: Run, model: str, seed: int, label: str, eps: float) -> list[Example]:
    try:
        kept = _kept(run, model, seed, attack_id(model, seed, label, eps))
    except UsageError:
        return []  # this attack did not run at this radius, or its step failed
    names = _classes(run, model, seed)
    return [
        Example(
            _png(clean / 255.0),
            _png(adversarial),
            _png(_difference(adversarial - clean / 255.0)),
            *(names[int(each[index])] for each in (kept["label"], kept["before"], kept["predicted"])),
        )
        for index, (clean, adversarial) in enumerate(
            zip(kept["clean"].astype(np.float32), kept["adversarial"].astype(np.float32), strict=True)
        )
    ]


def _classes(run: Run, model: str, seed: int) -> list[str]:
    step = step_in(run, model, seed)
    content = run.store.file(run.record(step), "model.json") if step else None
    if content is None:
        msg = f"{run.folder} has no model.json of {model}, seed {seed}, that is as it was written; run its suite again"
        raise UsageError(msg)
    return [str(name) for name in json.loads(content)["classes"]]


def _difference(change: np.ndarray) -> np.ndarray:
    """Stretch a change so that its largest entry is black or white, and no change is grey."""
    scaled: np.ndarray = 0.5 + change / (2 * max(float(np.abs(change).max()), 1e-12))
    return scaled


def _png(image: Any) -> str:  # noqa: ANN401
    """Encode (C, H, W) floats, [0, 1] and cut to it, as a PNG's data URI."""
    levels = np.round(np.clip(np.nan_to_num(image), 0, 1) * 255).astype(np.uint8)
    picture = Image.fromarray(levels[0] if len(levels) == 1 else levels[:3].transpose(1, 2, 0))
    if max(picture.size) > LARGEST:
        picture.thumbnail((LARGEST, LARGEST))
    buffer = io.BytesIO()
    picture.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode()


def _kept(run: Run, model: str, seed: int, step_id: str) -> dict[str, Any]:
    """Give the images that an attack's step kept, with their labels, the classes they were given before and after.

    Arrays with an entry an image: `clean`, `adversarial`, `label`, `before`, `predicted`.
    """
    kept, outcomes = run.load(step_id, "examples.safetensors"), run.load(step_id)
    order = np.argsort(outcomes["index"])
    rows = order[np.searchsorted(outcomes["index"], kept["index"], sorter=order)]
    before = run.load(f"accuracy/{model_path(model, seed)}")["predicted"]
    classes = {"label": outcomes["label"], "before": before, "predicted": outcomes["predicted"]}
    return kept | {name: values[rows] for name, values in classes.items()}
