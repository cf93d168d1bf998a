"""What attacks found: kept image by image, so that more images are attacked without attacking the others again."""

import inspect
import json
from collections.abc import Iterable
from dataclasses import dataclass, replace

import torch
from safetensors.torch import load, save
from torch import Tensor

from lrbench.attacks import Attack
from lrbench.catalogue import ATTACKS
from lrbench.names import whole_of
from lrbench.runner.step import Step
from lrbench.store import Store

OUTCOMES = "outcomes.safetensors"
SPENT = "spent.safetensors"
EXAMPLES = "examples.safetensors"
IMAGES = "images.safetensors"
ENOUGH = "enough.json"

COUNTS = ("samples", "part", "batch_size", "order", "enough")
"""In a step's configuration: which images, and how many at once; nothing of what becomes of one taken by itself."""


@dataclass(frozen=True)
class Found:
    """What became of images, one entry each, and some of them for people to look at.

    `index` among the outcomes and the examples says which test images they are; `drew` whether the attack on them, or
    the model, drew from torch's global generator. `spent` is each one's share of what its batch took, which is no
    property of the image and lies in a file of its own. `images` are what the attack left of each, on the pixels'
    scale, (N, C, H, W) float32, where a suite asks to keep them.
    """

    outcomes: dict[str, Tensor]
    spent: dict[str, Tensor]
    examples: dict[str, Tensor]
    images: Tensor | None = None

    def __len__(self) -> int:
        return len(self.outcomes["index"])

    @property
    def drew(self) -> bool:
        """Whether something depends on random numbers that a batch shares."""
        return bool(self.outcomes["drew"].any())

    @property
    def files(self) -> dict[str, bytes]:
        """As a step keeps it."""
        kept = {} if self.images is None else {IMAGES: save({"adversarial": self.images})}
        return {OUTCOMES: save(self.outcomes), SPENT: save(self.spent), EXAMPLES: save(self.examples), **kept}

    @property
    def packed(self) -> bytes:
        """In one piece."""
        parts = {"outcomes": self.outcomes, "spent": self.spent, "examples": self.examples}
        named = {f"{part}/{name}": value for part, values in parts.items() for name, value in values.items()}
        return save(named | ({} if self.images is None else {"images": self.images}))

    @classmethod
    def unpacked(cls, content: bytes) -> "Found":
        """Read what `packed` gave."""
        named = load(content)
        images = named.pop("images", None)
        parts: dict[str, dict[str, Tensor]] = {"outcomes": {}, "spent": {}, "examples": {}}
        for name, value in named.items():
            part, _, inside = name.partition("/")
            parts[part][inside] = value
        return cls(**parts, images=images)

    def in_order(self) -> "Found":
        """Give it in the order of the test images."""
        return self._picked(self.outcomes["index"].argsort())

    def of(self, index: Tensor) -> "Found":
        """Give those of these test images that are in it, in this order."""
        row_of = {image: row for row, image in enumerate(self.outcomes["index"].tolist())}
        rows = torch.tensor([row_of[image] for image in index.tolist() if image in row_of], dtype=torch.int64)
        shown = torch.isin(self.examples["index"], index) if self.examples else None
        examples = {name: values[shown] for name, values in self.examples.items()}
        return replace(self._picked(rows), examples=examples)

    def _picked(self, rows: Tensor) -> "Found":
        images = None if self.images is None else self.images[rows]
        outcomes, spent = (
            {name: values[rows] for name, values in each.items()} for each in (self.outcomes, self.spent)
        )
        return Found(outcomes, spent, self.examples, images)

    @classmethod
    def joined(cls, parts: list["Found"]) -> "Found":
        """Put parts one behind the other."""
        outcomes = {name: torch.cat([part.outcomes[name] for part in parts]) for name in parts[0].outcomes}
        spent = {name: torch.cat([part.spent[name] for part in parts]) for name in parts[0].spent}
        shown = [part.examples for part in parts if part.examples]
        examples = {name: torch.cat([each[name] for each in shown]) for name in shown[0]} if shown else {}
        images = [part.images for part in parts if part.images is not None]
        return cls(outcomes, spent, examples, torch.cat(images) if images else None)

    @classmethod
    def load(cls, store: Store, step_id: str, *, images: bool) -> "Found":
        """Read what a step kept; with all images where it was asked to keep them."""
        folder = store.folder(step_id)
        kept = load((folder / IMAGES).read_bytes())["adversarial"] if images else None
        outcomes, spent, examples = (load((folder / file).read_bytes()) for file in (OUTCOMES, SPENT, EXAMPLES))
        return cls(outcomes, spent, examples, kept)


def parts_of(step: Step) -> list[str]:
    """Give the steps that attack a step's images in parts, in order; none if it attacks them itself."""
    return [needed for needed in step.needs if needed.startswith(f"{step.id}/part-")]


def already_enough(store: Store, step: Step) -> bool:
    """Whether a look at the images before those of this step has found that they are enough."""
    looks = (needed for needed in step.needs if needed.startswith("enough/"))
    return any(json.loads((store.folder(look) / ENOUGH).read_bytes())["enough"] for look in looks)


def attacked_in(store: Store, parts: Iterable[str]) -> list[str]:
    """Give those parts in which something was attacked: there may have been enough images before the others."""
    records = ((part, store.record(part)) for part in parts)
    return [part for part, record in records if record is None or record.files]


def earlier(store: Store, step: Step, wanted: Tensor) -> Found | None:
    """Give what this attack found before for the first of the images that it is to attack now; None for none.

    It is kept at this step's place, or, where images are attacked in parts now, at that of the step that joins them.
    Only if an image's fate cannot depend on which others are in its batch: of lrbench's own attacks, where neither they
    nor the model drew from the generator that a batch shares.
    """
    if not by_image(step):
        return None
    for step_id in dict.fromkeys((step.id, whole_of(step.id))):
        record = store.record(step_id)
        if record is None or not record.files or store.damaged(record) is not None:
            continue
        if not same_attack(record.config, step):
            continue
        found = Found.load(store, step_id, images=keeps_images(step))
        known = found.of(wanted)
        if len(known) and not found.drew and torch.equal(known.outcomes["index"], wanted[: len(known)]):
            return known
    return None


def unfinished(store: Store, step: Step, chosen: Tensor, batch_size: int) -> Found | None:
    """Give what this very step found in whole batches, of these images, before it was stopped; None for nothing."""
    content = store.unfinished(step.id, step.key)
    if content is None:
        return None
    found = Found.unpacked(content)
    count = len(found) // batch_size * batch_size if len(found) < len(chosen) else len(found)
    same = torch.equal(found.outcomes["index"][:count], chosen[:count].cpu())
    return found.of(chosen[:count].cpu()) if count and same else None


def keeps_images(step: Step) -> bool:
    """Whether a step keeps what an attack left of every image."""
    return bool(step.config.get("keep_images"))


def by_image(step: Step) -> bool:
    """Whether an attack is one of lrbench's own, each of which treats every image for itself."""
    factory = ATTACKS[step.config["attack"]["name"]].load()
    return (
        inspect.isclass(factory) and issubclass(factory, Attack) and factory.__module__.startswith("lrbench.attacks.")
    )


def same_attack(config: dict[str, object], step: Step) -> bool:
    """Whether a record's attack differs from a step's in nothing but the images."""
    before, now = ({k: v for k, v in each.items() if k not in COUNTS} for each in (config, step.config))
    same: bool = before == json.loads(json.dumps(now))
    return same
