"""A run that is stopped within an attack's batch keeps the batches before, and resumes with the others."""

import os
import signal

import pytest
import torch

import lrbench
from lrbench.attacks import Attack
from lrbench.runner.reporter import Silent

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: stopped
data: {name: digits, train: 100, test: 40}
models: {net: {arch: support.nets:staged, width: 4}}
training: {epochs: 1, batch_size: 50}
threat_model: {eps: [32/255], samples: 34, batch_size: 8, part: PART, keep_images: true}
attacks: [drawing]
diagnostics: {masking: false}
"""


class Drawing(Attack):
    """Draws from torch's global generator, and asks its process to stop in the batch that it is told to."""

    stop_in = None
    batches = 0

    def __init__(self, eps, bounds):
        self.eps, self.bounds = eps, bounds

    def run(self, model, x, y):  # noqa: ARG002
        noisy = x + self.eps * (2 * torch.rand_like(x) - 1)
        Drawing.batches += 1
        if Drawing.batches == Drawing.stop_in:
            os.kill(os.getpid(), signal.SIGINT)
            while True:
                model(noisy)
        return noisy


@pytest.mark.turns("part")
@pytest.mark.parametrize("part", [1000, 16])
@pytest.mark.parametrize("stop_in", [1, 3, 5])
def test_only_the_rest_is_attacked(tmp_path, monkeypatch, part, stop_in):
    lrbench.register_attack("drawing")(Drawing)
    (tmp_path / "stopped.yaml").write_text(SUITE.replace("PART", str(part)))
    monkeypatch.setattr(Drawing, "stop_in", None)
    monkeypatch.setattr(Drawing, "batches", 0)
    whole = lrbench.run(tmp_path / "stopped.yaml", out=tmp_path / "whole")
    assert Drawing.batches == 5
    monkeypatch.setattr(Drawing, "stop_in", 5 + stop_in)
    with pytest.raises(KeyboardInterrupt):
        lrbench.run(tmp_path / "stopped.yaml", out=tmp_path / "out", reporter=Silent())
    assert Drawing.batches == 5 + stop_in
    again = lrbench.run(tmp_path / "stopped.yaml", out=tmp_path / "out")
    assert Drawing.batches == 5 + stop_in + (5 - (stop_in - 1))
    assert again.results_csv() == whole.results_csv()
    images = [lrbench.load_adversarial(tmp_path / run, "net", "drawing", 32 / 255) for run in ("whole", "out")]
    assert torch.equal(images[0].x_adv, images[1].x_adv)
    assert not list((tmp_path / "out").rglob("unfinished.bin"))
