"""Everything that the epochs to come depend on, as bytes."""

import io
from dataclasses import asdict
from typing import TYPE_CHECKING

import torch

from lrbench.training.log import EpochLog

if TYPE_CHECKING:
    from lrbench.training.loop import _Run


def snapshot(run: "_Run") -> bytes:
    """Give the state of a training between two epochs."""
    state = {
        "model": run.model.state_dict(),
        "optimizer": run.optimizer.state_dict(),
        "schedule": run.schedule.state_dict(),
        "generator": run.generator.get_state(),
        "random": torch.get_rng_state(),
        "device_random": torch.cuda.get_rng_state(run.device) if run.device.type == "cuda" else None,
        "regularizers": {name: each.state() for name, each in run.regularizers.items()},
        "average": None if run.average is None else run.average.state(),
        "history": [asdict(log) for log in run.history],
    }
    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def restore(run: "_Run", content: bytes) -> None:
    """Put a training where it was; counterpart of `snapshot`."""
    state = torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    run.model.load_state_dict(state["model"])
    run.optimizer.load_state_dict(state["optimizer"])
    run.schedule.load_state_dict(state["schedule"])
    run.generator.set_state(state["generator"])
    torch.set_rng_state(state["random"])
    if state["device_random"] is not None:
        torch.cuda.set_rng_state(state["device_random"], run.device)
    for name, each in run.regularizers.items():
        each.restore(state["regularizers"][name])
    if run.average is not None:
        run.average.restore(state["average"])
    run.history = [EpochLog.from_dict(log) for log in state["history"]]
