"""How long a pass takes, as plans say before anything has been taken."""

import shutil
import time
from dataclasses import replace

import pytest
import torch

from lrbench.runner import Session, timing
from lrbench.runner.reporter import Silent
from lrbench.runner.share import Share
from lrbench.runner.timing import PassTimes
from lrbench.store import Store
from lrbench.suite import Suite


@pytest.fixture
def suite():
    models = {"net": {"arch": "resnet18", "width": 4}, "none": {"arch": "none.py:build"}}
    return Suite.model_validate({"name": "timed", "data": "digits", "models": models, "attacks": ["fgsm"]})


@pytest.fixture
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.usefixtures("two_threads")
def test_threads_that_wait_for_each_other_are_not_what_a_pass_takes(suite, digits, monkeypatch):
    real, waited = timing.input_gradient, []

    def where_others_work(*given):
        if torch.get_num_threads() > 1:
            time.sleep(0.5)
            waited.append(given)
        return real(*given)

    monkeypatch.setattr(timing, "input_gradient", where_others_work)
    seconds = PassTimes(suite, digits, torch.device("cpu"))("net")
    assert 0 < seconds < 0.5 / timing.MANY
    assert len(waited) <= 2, "no second pass over the few images, nor over the many"
    assert torch.get_num_threads() == 2


def test_of_what_cannot_be_run_nothing_is_known(suite, digits):
    assert PassTimes(suite, digits, torch.device("cpu"))("none") is None


TAKEN = """\
name: taken
data: {name: digits, train: 60, test: 20}
models: {net: {arch: support.nets:staged, width: 4}}
training: {epochs: 1, batch_size: 20}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm, pgd]
diagnostics: {masking: false}
"""


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    folder = tmp_path_factory.mktemp("taken")
    (folder / "suite.yaml").write_text(TAKEN)
    session = Session.open(folder / "suite.yaml", folder / "out", device="cpu")
    session.run_share(Share(), Silent())
    return folder


@pytest.mark.parametrize(
    ("device", "counts"), [("cpu", True), ("cuda:0", False), ("cuda", False), ("mps", False), (None, True)]
)
def test_what_a_step_took_on_another_kind_of_device_says_nothing_of_this_one(done, tmp_path, device, counts):
    shutil.copytree(done / "out", tmp_path / "out")
    store = Store(tmp_path / "out")
    described = {} if device is None else {"device": device}
    environment = store.save_environment(described)
    for record in list(store.view().records()):
        files = {name: store.file(record, name) for name in record.files}
        store.save(replace(record, environment=environment, seconds=1e6), files)
        if "fgsm" in record.id:
            (store.folder(record.id) / "step.json").unlink()
    session = Session.open(done / "suite.yaml", tmp_path / "out", device="cpu")
    left = [step for step in session.pending if step.kind == "attack"]
    assert len(left) == 1
    assert (session.costs.estimate(left) > 1e4) is counts
