"""How often LR-Layers make the host wait for a GPU."""

from pathlib import Path

import pytest
import torch
from support import asking, faked
from torch._subclasses import FakeTensorMode
from torch._subclasses.fake_tensor import DataDependentOutputException

import lrbench.lowrank
from lrbench.lowrank import LRLayer, devices
from lrbench.lowrank.watch import CHECK

FOLDER = Path(lrbench.lowrank.__file__).resolve().parent
LATE = "watch.py settle: _local_scalar_dense"
"""On a GPU, reads what arrived long ago."""
READ = "projection.py _basis: _local_scalar_dense"
DECOMPOSED = "spectrum.py smoothed_eigh: _linalg_eigh"
CHECKED = "spectrum.py _require_finite: _local_scalar_dense"
"""Asked behind a decomposition, which has waited."""

M, N, K = 48, 16, 4


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    monkeypatch.setattr(devices, "on_cpu", lambda _values: False)


def started(layer):
    """A layer that has made its first updates; starting decomposes."""
    generator = torch.Generator().manual_seed(0)
    layer.batch = torch.rand(N, M, generator=generator)
    return updated(layer, 1)


def updated(layer, count):
    for _ in range(count):
        layer(layer.batch)
        layer.penalty()
        layer.update()
    return layer


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize(
    ("projection", "runs", "expected"),
    [
        ("subspace", 1, {LATE: 1}),
        ("nystrom", 1, {READ: 1}),
        ("nystrom", 2, {READ: 2, DECOMPOSED: CHECK, CHECKED: CHECK}),
        ("exact", 1, {DECOMPOSED: CHECK, CHECKED: CHECK}),
    ],
)
def test_an_update_asks_for_nothing_but_each_sixteenth(projection, runs, expected):
    layer = started(LRLayer(M, K, projection, runs=runs))
    with asking.asked(FOLDER) as found:
        updated(layer, CHECK)
    assert found == expected


def test_on_the_cpu_each_update_asks():
    layer = started(LRLayer(M, K, "subspace"))
    with asking.asked(FOLDER) as found:
        updated(layer, CHECK)
    assert found["projection.py __call__: _local_scalar_dense"] == CHECK


def test_penalty_and_update_stay_on_the_device():
    layer, mode = started(LRLayer(M, K, "subspace")), FakeTensorMode()
    for name, buffer in layer.named_buffers():
        layer._buffers[name] = faked.on_cuda(mode, buffer)
    faked.moved(mode, layer)
    with mode, torch.no_grad():
        layer(layer.batch)
        layer.penalty()
        batches, layer.batches = layer.batches, []
        layer.adopt(layer.updated(batches, layer.project))
    kept = [batches[0].shifted, *layer.buffers(), *layer.figures.values()]
    assert {each.device.type for each in kept} == {"cuda"}


def test_what_asks_or_mixes_devices_is_seen():
    mode = FakeTensorMode()
    there, here = faked.on_cuda(mode, torch.ones(3)), mode.from_tensor(torch.ones(3))
    with mode:
        with pytest.raises(RuntimeError, match="device"):
            there + here
        with pytest.raises(DataDependentOutputException):
            there.sum().item()
