"""More images, or fewer: only those are attacked that were not, and the figures are as if all had been at once."""

import json
import sys

import pytest
import torch
from safetensors.torch import load_file

import lrbench
from lrbench.attacks import FAB, PGD, Square
from lrbench.runner import Session

FACTORY = """\
import torch


class Noisy(torch.nn.Sequential):
    def __init__(self, classes, noise):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, classes))
        self.noise = noise

    def forward(self, x):
        return super().forward(x + self.noise * torch.randn_like(x) if self.noise else x)


def net(num_classes, in_channels, noise=0.0):
    return Noisy(num_classes, noise)
"""
SUITE = """\
name: more
data: {name: digits, train: 150, test: 100}
models: {net: {arch: "MINE:net", noise: NOISE}}
training: {epochs: 2, batch_size: 50}
threat_model: {eps: [8/255], samples: SAMPLES, batch_size: 16, part: PART}
attacks: [{name: pgd, steps: 2}, {name: square, queries: 5}, {name: fab-t, steps: 2, targets: 2}]
diagnostics: {masking: false, d_adv: {layers: ["1"]}}
"""


@pytest.fixture
def run_in(tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(FACTORY)
    monkeypatch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
    attacked = []
    for attack in (PGD, Square, FAB):
        run = attack.run

        def counted(self, model, x, y, run=run):
            attacked.append((type(self).__name__, len(x)))
            return run(self, model, x, y)

        monkeypatch.setattr(attack, "run", counted)

    def run_it(samples, out, part=1000, noise=0.0, batch_size=16):
        path = tmp_path / "more.yaml"
        text = SUITE.replace("MINE", str(tmp_path / "mine.py")).replace("PART", str(part))
        text = text.replace("batch_size: 16", f"batch_size: {batch_size}")
        path.write_text(text.replace("SAMPLES", str(samples)).replace("NOISE", str(noise)))
        attacked.clear()
        assert not lrbench.run(path, tmp_path / out).failures
        return {name: sum(n for each, n in attacked if each == name) for name in ("PGD", "Square", "FAB")}

    return run_it


def each(count):
    return {"PGD": count, "Square": count, "FAB": count}


def same(tmp_path, first, second):
    """Hold two runs' figures and outcomes against each other, but for the rounding of other batches."""
    tables = [(tmp_path / out / "results.csv").read_text().splitlines() for out in (first, second)]
    assert len(tables[0]) == len(tables[1])
    for path in (tmp_path / first / "steps").rglob("*.safetensors"):
        # What was spent on an image depends on who was in its batch.
        if "part-" not in str(path) and path.name != "spent.safetensors":
            other = load_file(tmp_path / second / path.relative_to(tmp_path / first))
            for name, tensor in load_file(path).items():
                torch.testing.assert_close(other[name], tensor, rtol=1e-3, atol=1e-5, equal_nan=True, msg=f"{path}")


@pytest.mark.parametrize(
    ("first", "then"),
    [
        ((40, 1000), (52, 1000)),
        ((40, 1000), (52, 32)),
        ((40, 32), (75, 32)),
        ((30, 1000), (2, 1000)),
        ((70, 16), (41, 1000)),
        ((3, 1000), (40, 1000)),
        ((40, 1000), (3, 16)),
    ],
)
def test_only_images_that_are_not_there_are_attacked(run_in, tmp_path, first, then):
    assert run_in(first[0], "out", first[1]) == each(first[0])
    assert run_in(then[0], "out", then[1]) == each(max(0, then[0] - first[0]))
    assert run_in(then[0], "fresh", then[1]) == each(then[0])
    same(tmp_path, "out", "fresh")


@pytest.mark.parametrize("batch_size", [1, 4, 7])
def test_as_many_images_are_shown_however_they_are_cut_up(run_in, tmp_path, batch_size):
    run_in(40, "out", batch_size=batch_size)
    run_in(40, "whole", batch_size=40)
    same(tmp_path, "out", "whole")
    kept = list((tmp_path / "out/steps").rglob("examples.safetensors"))
    assert kept
    assert all(len(load_file(path)["clean"]) == 6 for path in kept)


def test_another_batch_size_attacks_again_where_batches_share_random_numbers_and_only_there(run_in, tmp_path):
    run_in(40, "out")
    assert run_in(40, "out", batch_size=20) == each(0)
    run_in(40, "noisy", noise=0.1)
    assert run_in(40, "noisy", noise=0.1, batch_size=20) == each(40)
    run_in(40, "fresh", noise=0.1, batch_size=20)
    assert (tmp_path / "noisy/results.csv").read_bytes() == (tmp_path / "fresh/results.csv").read_bytes()


def test_finished_steps_are_not_cut_up_afterwards(run_in, tmp_path):
    run_in(40, "out")
    assert run_in(40, "out", part=16) == each(0)
    session = Session.open(tmp_path / "more.yaml", tmp_path / "out")
    assert not session.pending
    assert any(step.kind == "part" for step in session.plan)
    status = json.loads((tmp_path / "out/status.json").read_text())
    assert status["done"] == status["planned"] == len(session.plan)
    assert not list((tmp_path / "out/steps").rglob("part-*"))


def test_images_whose_fate_hangs_on_shared_random_numbers_are_attacked_again(run_in, tmp_path):
    run_in(40, "out", noise=0.1)
    assert run_in(52, "out", noise=0.1) == each(52)
    run_in(52, "fresh", noise=0.1)
    assert (tmp_path / "out/results.csv").read_bytes() == (tmp_path / "fresh/results.csv").read_bytes()


@pytest.mark.parametrize(
    "draws", ["torch.randn_like(x)", "torch.from_numpy(np.random.randn(*x.shape)).float()", "random.gauss(0, 1)"]
)
def test_a_transfer_to_a_model_that_draws_is_tried_again(tmp_path, monkeypatch, draws):
    monkeypatch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
    drawing = FACTORY.replace("torch.randn_like(x)", draws).replace(
        "import torch\n", "import random\n\nimport numpy as np\nimport torch\n", 1
    )
    (tmp_path / "mine.py").write_text(drawing)
    path = tmp_path / "more.yaml"
    text = SUITE.replace(
        'models: {net: {arch: "MINE:net", noise: NOISE}}',
        'models: {a: {arch: "MINE:net"}, b: {arch: "MINE:net", noise: 0.5}}',
    )
    text = text.replace(
        "attacks: [{name: pgd, steps: 2}, {name: square, queries: 5}, {name: fab-t, steps: 2, targets: 2}]",
        "attacks: [{name: pgd, steps: 2, surrogate: a}]",
    )
    for out, samples in (("out", 40), ("out", 20), ("fresh", 20)):
        path.write_text(
            text.replace("MINE", str(tmp_path / "mine.py")).replace("PART", "1000").replace("SAMPLES", str(samples))
        )
        assert not lrbench.run(path, tmp_path / out).failures
    assert (tmp_path / "out/results.csv").read_bytes() == (tmp_path / "fresh/results.csv").read_bytes()


def test_attacks_of_others_are_made_again_on_all(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
    seen = []

    @lrbench.register_attack("seen-by-number")
    class Seen(PGD):
        """PGD."""

        def run(self, model, x, y):
            seen.append(len(x))
            return super().run(model, x, y)

    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "more.yaml"
    for samples in (40, 52):
        seen.clear()
        text = SUITE.replace("MINE", str(tmp_path / "mine.py")).replace("PART", "1000").replace("NOISE", "0.0")
        text = text.replace("SAMPLES", str(samples)).replace(
            "name: square, queries: 5", "name: seen-by-number, steps: 1"
        )
        path.write_text(text)
        lrbench.run(path, tmp_path / "out")
        assert sum(seen) == samples
