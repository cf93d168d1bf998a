"""An attack on many images is split into parts that give what the whole would."""

import pytest
import torch
from safetensors.torch import load_file

import lrbench

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: parts
data: {name: digits, train: 150, test: 100}
models: {net: {arch: "MINE:net"}, other: {arch: "MINE:net"}}
training: {epochs: 2, batch_size: 50}
threat_model: {eps: [8/255, 16/255], samples: 90, batch_size: 16, part: PART}
attacks: [iter-fsgm, {name: deepfool, steps: 3}, {name: square, queries: 5}, {name: pgd, steps: 2, surrogate: net}]
diagnostics: {masking: false, d_adv: {layers: ["1"]}}
"""
FACTORY = """\
import torch


class Noisy(torch.nn.Sequential):
    def __init__(self, classes):
        super().__init__(torch.nn.Flatten(), torch.nn.Linear(64, 16), torch.nn.ReLU(), torch.nn.Linear(16, classes))

    def forward(self, x):
        return super().forward(x + 0.05 * torch.randn_like(x))


def net(num_classes, in_channels):
    return Noisy(num_classes)
"""


@pytest.fixture
def run_in(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)

    def run(part, out, **options):
        path = tmp_path / f"parts-{part}.yaml"
        path.write_text(SUITE.replace("MINE", str(tmp_path / "mine.py")).replace("PART", str(part)))
        return lrbench.run(path, tmp_path / out, **options)

    return run


@pytest.mark.parametrize("jobs", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_parts_give_what_the_whole_gives_even_for_a_model_that_draws(run_in, tmp_path, jobs):
    whole, parted = run_in(1000, "whole"), run_in(30, "parted", jobs=jobs)
    assert not whole.failures
    assert not parted.failures
    assert (tmp_path / "whole/results.csv").read_bytes() == (tmp_path / "parted/results.csv").read_bytes()
    for path in (tmp_path / "whole/steps/attack").rglob("*.safetensors"):
        if path.name == "spent.safetensors":
            continue  # shares of what a batch took
        other = load_file(tmp_path / "parted/steps/attack" / path.relative_to(tmp_path / "whole/steps/attack"))
        for name, tensor in load_file(path).items():
            torch.testing.assert_close(other[name], tensor, rtol=0, atol=0, equal_nan=True)


@pytest.mark.slow
def test_parts_are_whole_batches_and_a_few_images_are_not_split(run_in, tmp_path):
    run_in(30, "parted")
    parts = {path.parent.name for path in (tmp_path / "parted/steps/attack").rglob("part-*/step.json")}
    assert parts == {"part-0", "part-32", "part-64"}
    run_in(90, "whole")
    assert not list((tmp_path / "whole").rglob("part-*"))


def test_a_lost_part_is_attacked_again_and_nothing_else(run_in, tmp_path):
    first = run_in(30, "parted").results
    lost = next((tmp_path / "parted/steps/attack").rglob("part-32/outcomes.safetensors"))
    lost.unlink()
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "parted/steps").rglob("step.json")}
    assert run_in(30, "parted").results.equals(first)
    again = {path for path, time in before.items() if path.stat().st_mtime_ns != time}
    assert again == {lost.parent / "step.json"}
