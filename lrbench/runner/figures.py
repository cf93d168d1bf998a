"""Draw a run's figures from what its steps left, when something has changed."""

import hashlib
import json

import numpy as np
from safetensors.numpy import load

from lrbench.leaderboard import Leaderboard
from lrbench.runner.plan import Step
from lrbench.runner.version import code_version
from lrbench.store import Record, Store

INDEX = "figures/index.json"


def write_figures(store: Store, board: Leaderboard, done: list[tuple[Step, Record]], classes: tuple[str, ...]) -> None:
    """Write `figures/`, unless what is there was drawn from the same records by the same code."""
    key = _key(done)
    try:
        if json.loads(store.read(INDEX) or "{}")["key"] == key:
            return
    except (ValueError, KeyError, TypeError):
        pass  # no index, or none that can be read: draw
    # Loads matplotlib, which a run that has nothing left to do can spare.
    from lrbench.leaderboard.figures import Artefacts, draw  # noqa: PLC0415

    artefacts = Artefacts(classes=list(classes))
    for step, _ in done:
        folder = store.folder(step.id)
        if step.kind == "train":
            artefacts.histories[step.model, step.seed] = json.loads((folder / "history.json").read_text("utf-8"))
        elif step.kind == "clusters" and step.model not in artefacts.clusters:
            arrays = load((folder / "clusters.safetensors").read_bytes())
            artefacts.clusters[step.model] = (arrays["points"], arrays["label"])
        elif step.kind == "minimal":
            sizes = load((folder / "outcomes.safetensors").read_bytes())[board.suite["threat_model"]["norm"]]
            of_attack = artefacts.sizes.setdefault(step.config["attack"]["label"], {})
            of_attack[step.model] = np.concatenate([of_attack.get(step.model, sizes[:0]), sizes])
    files = draw(board, artefacts)
    for name, content in files.items():
        store.write_bytes(f"figures/{name}", content)
    store.write(INDEX, json.dumps({"key": key, "files": sorted(files)}, indent=1) + "\n")


def _key(done: list[tuple[Step, Record]]) -> str:
    digest = hashlib.sha256(code_version("leaderboard").encode())
    for step, record in done:
        digest.update(f"{step.id} {record.key} {sorted(record.files.items())}".encode())
    return digest.hexdigest()
