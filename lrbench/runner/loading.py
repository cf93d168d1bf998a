"""What a run has left, back in Python: its networks, its images, and what attacks made of them."""

import json
from pathlib import Path
from typing import Any, Literal, NamedTuple

import torch
from safetensors.torch import load
from torch import Tensor, nn

from lrbench.attacks.prepared import channels_last
from lrbench.data import ImageData, to_unit
from lrbench.data.handed import FILE
from lrbench.errors import LrbenchError, UsageError, nearest
from lrbench.files import is_file
from lrbench.leaderboard.kept import RECORDS
from lrbench.leaderboard.left import PLAN
from lrbench.leaderboard.networks import CHECKPOINT
from lrbench.leaderboard.published.read import sound_records
from lrbench.leaderboard.published.weights import published_checkpoint
from lrbench.lowrank import attach_lr_layers
from lrbench.models import load_content
from lrbench.names import attack_id, model_path, network_ids
from lrbench.regularizers.registry import attach_lasting
from lrbench.runner.asked import radii_of
from lrbench.runner.assembly import assembled
from lrbench.runner.check import Checker
from lrbench.runner.environment import data_folder, pick_device
from lrbench.runner.found import IMAGES, OUTCOMES
from lrbench.runner.taken import may_be_attacked
from lrbench.store import Record, Store, as_path
from lrbench.suite import LowRank, Suite, ThreatModel, read_run
from lrbench.suite.document import Document

Part = Literal["attacked", "test", "train"]


class Adversarial(NamedTuple):
    """What an attack left.

    Attributes
    ----------
    x_adv : Tensor, (N, C, H, W), float32
        On the pixels' scale; an attack in normalised space may leave [0, 1].
    y : Tensor, (N,), int64
        True labels.
    predicted : Tensor, (N,), int64
        What the network said when it was attacked.
    image : Tensor, (N,), int64
        Which test images they were.
    """

    x_adv: Tensor
    y: Tensor
    predicted: Tensor
    image: Tensor


def load_model(run: str | Path, name: str, seed: int = 0, device: str = "cpu") -> nn.Module:
    """Load a network of a run, as it was measured.

    Parameters
    ----------
    run : str or Path
        Folder of a run or its URL, or the folder of a published board that has weights, such as leaderboards/quick.
    name : str
    seed : int
    device : str

    Returns
    -------
    nn.Module
        Pixels in [0, 1], (N, C, H, W), to logits (N, classes); in evaluation mode.

    Raises
    ------
    LrbenchError
        If there is no such network, its file is not as it was written, or the code that builds it is not here.
    """
    folder = as_path(str(run))
    content = _published(folder, name, seed) if (folder / RECORDS).is_dir() else _of_run(folder, name, seed)
    weights, description = (content[file] for file in CHECKPOINT)
    model = _built(json.loads(description))
    return channels_last(load_content(model, weights, folder).to(pick_device(device))).eval()


def load_data(run: str | Path, part: Part = "attacked", data_dir: str | Path | None = None) -> tuple[Tensor, Tensor]:
    """Load images and labels as a run saw them.

    Parameters
    ----------
    run : str or Path
        Folder of a run or its URL.
    part : {"attacked", "test", "train"}
        Those that were attacked, or all. Where figures decide how many are attacked, all that may be, in the order in
        which they are taken in.
    data_dir : str or Path, optional
        Folder of the data sets. Default: $LRBENCH_DATA, else the platform's cache folder.

    Returns
    -------
    Tensor, (N, C, H, W), float32 in [0, 1]; Tensor, (N,), int64

    Raises
    ------
    UsageError
        If there is no run, or its data is not here.
    """
    if part not in ("attacked", "test", "train"):
        msg = f"unknown part {part!r}; {nearest(str(part), ('attacked', 'test', 'train'))}"
        raise UsageError(msg)
    folder = as_path(str(run))
    suite, data = _data(folder, data_dir)
    split = data.train if part == "train" else data.test
    if part == "attacked":
        split = may_be_attacked(split, suite.threat_model)
    return to_unit(split.pixels), split.labels


def load_adversarial(run: str | Path, name: str, attack: str, eps: float | None = None, seed: int = 0) -> Adversarial:
    """Load what an attack left of each image, in the order of `load_data(run)` (the first ones if those were enough).

    Parameters
    ----------
    run : str or Path
        Folder of a run or its URL, whose suite says `threat_model: {keep_images: true}`.
    name : str
        Of the model.
    attack : str
        Its label.
    eps : float, optional
        Radius, in the suite's units; None for an attack that looks for the smallest perturbation.
    seed : int

    Raises
    ------
    LrbenchError
        If there is no such attack, or its images were not kept or are not as they were written.
    """
    store = Store(as_path(str(run)))
    step = attack_id(str(name), seed, str(attack), None if eps is None else radius_of(eps))
    record = _as_planned(store, step)
    if record is None:
        msg = f"{store.root} has no {step.partition('/')[2]}{_others(store, name, seed, attack)}"
        raise UsageError(msg)
    if IMAGES not in record.files:
        msg = f"{store.root} kept no images of {attack}; its suite does not say `threat_model: {{keep_images: true}}`"
        raise UsageError(msg)
    images, outcomes = (store.file(record, file) for file in (IMAGES, OUTCOMES))
    if images is None or outcomes is None:
        msg = f"{store.folder(step)} is not as it was written; run the suite again"
        raise LrbenchError(msg)
    known = load(outcomes)
    return Adversarial(load(images)["adversarial"], known["label"], known["predicted"], known["index"])


def _as_planned(store: Store, *steps: str) -> Record | None:
    """Give the record of one of these steps as the run has it now, and None if there is none of any.

    Raises
    ------
    UsageError
        If those that are there are of an earlier form of its suite. A run without a plan has had one form.
    """
    there = [record for step in steps if (record := store.record(step)) is not None]
    path = store.root / PLAN
    if not is_file(path):
        return there[0] if there else None
    try:
        plan = dict(json.loads(path.read_text("utf-8")))
    except (ValueError, TypeError) as error:
        msg = f"{path} is not as it was written; run the suite again"
        raise UsageError(msg) from error
    now = next((record for record in there if record.key == plan.get(record.id)), None)
    if there and now is None:
        msg = f"the step {there[0].id} of {store.root} is of an earlier form of its suite; run its suite again"
        raise UsageError(msg)
    return now


def radius_of(eps: Any) -> float:  # noqa: ANN401
    """Read a radius as a suite does.

    Raises
    ------
    UsageError
        If it is none.
    """
    try:
        return float(ThreatModel(eps=radii_of(eps)).eps[0])
    except ValueError as error:
        msg = f"eps: expected a radius such as 8/255, got {eps!r:.60}"
        raise UsageError(msg) from error


def _others(store: Store, name: str, seed: int, attack: str) -> str:
    """Say at which radii an attack did run."""
    known = [each for each in (store.folder(f"attack/{model_path(name, seed)}/{attack}")).glob("*") if each.is_dir()]
    return f"; there are {', '.join(sorted(each.name for each in known))}" if known else ""


def _published(folder: Path, name: str, seed: int) -> dict[str, bytes]:
    records = {record["model"]: record for record in sound_records(folder)}
    if name not in records:
        msg = f"{folder} has no model {name!r}; {nearest(name, records)}"
        raise UsageError(msg)
    return published_checkpoint(folder, records[name], seed)


def _of_run(folder: Path, name: str, seed: int) -> dict[str, bytes]:
    store = Store(folder)
    suite, _ = read_run(folder)
    if name not in suite.models or seed not in suite.seeds:
        known = nearest(str(name), suite.models) if name not in suite.models else f"seeds are {suite.seeds}"
        msg = f"{folder} has no model {name!r} of seed {seed}; {known}"
        raise UsageError(msg)
    if (record := _as_planned(store, *network_ids(name, seed))) is not None:
        content = {file: store.file(record, file) for file in CHECKPOINT}
        if None in content.values():
            msg = f"{store.folder(record.id)} is not as it was written; run the suite again"
            raise LrbenchError(msg)
        return {file: each for file, each in content.items() if each is not None}
    msg = f"{folder}: {name} of seed {seed} is not trained yet; run its suite"
    raise UsageError(msg)


def _built(described: dict[str, Any]) -> nn.Module:
    """Build the network of a checkpoint's description, with weights of its own."""
    outputs = described.get("outputs") or [len(described["classes"])]
    with torch.random.fork_rng():
        parts = (described["arch"], outputs[0], described["channels"], described["options"])
        model = assembled(*parts, chosen=outputs[1:] or None)
        if described["lr_layers"]:
            options = LowRank.model_validate(described["low_rank"]).layer_options
            attach_lr_layers(model, described["lr_layers"], **options)
        attach_lasting(model, described.get("regularizers", {}))
    return model


def _data(folder: Path, data_dir: str | Path | None) -> tuple[Suite, ImageData]:
    suite, _ = read_run(folder)
    own = suite.data.name == "npz" and suite.data.options.get("path") == FILE and is_file(folder / FILE)
    document = Document(str(folder / "suite.yaml"), suite.model_dump(mode="json"), {})
    return suite, Checker(suite, document).read_data(folder if own else data_folder(data_dir).absolute())
