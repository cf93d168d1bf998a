"""Noise on a share of the pixels, against plain numpy, and as a measure."""

import numpy as np
import pytest
import torch
from support.measured import board_of, chart_of, split_of, subject_of, tables_of, taken, values
from support.nets import conv_net, images
from torch import nn

from lrbench.attacks.noise import Noise
from lrbench.data import to_unit
from lrbench.measures.pixel_noise import noised

SHARES = [0.0, 0.3, 1.0]


def test_it_is_what_is_defined():
    x, _ = images(3)
    found = list(noised(x, SHARES, 0.5))
    for index, image in enumerate(x.numpy()):
        noise = Noise(x[index : index + 1], 0, "pixels")
        order = noise.uniform(1, 8, 8).numpy().ravel().argsort()
        drawn = 0.5 * noise.normal(3, 8, 8)[0].numpy()
        for share, noisy in zip(SHARES, found, strict=True):
            chosen = np.zeros(64, dtype=bool)
            chosen[order[: round(share * 64)]] = True
            expected = np.where(chosen.reshape(8, 8), np.clip(image + drawn, 0, 1), image)
            assert np.allclose(noisy[index].numpy(), expected, atol=1e-6)


def test_so_many_pixels_change_and_more_with_a_larger_share():
    x = torch.full((4, 3, 8, 8), 0.5)
    x += torch.arange(4).view(-1, 1, 1, 1) / 100
    changed = [(noisy != x).all(dim=1) for noisy in noised(x, [0.25, 0.75], 0.1)]
    assert [each.flatten(1).sum(dim=1).tolist() for each in changed] == [[16] * 4, [48] * 4]
    assert not (changed[0] & ~changed[1]).any()
    assert not torch.equal(changed[0][0], changed[0][1])


def test_an_image_has_its_noise_in_every_batch():
    x, _ = images(4)
    (whole,), (part,) = noised(x, [0.5], 0.2), noised(x[2:], [0.5], 0.2)
    assert torch.equal(whole[2:], part)


def test_figures_are_the_accuracy_on_noisy_images():
    subject = subject_of(conv_net(), split_of(300))
    options = {"shares": [0.5, 1.0], "sigma": 0.3, "samples": 270}
    rows = taken("pixel_noise", subject, **options)
    split = subject.test.balanced(270)
    expected = [
        (subject.model(noisy).argmax(dim=1) == split.labels).double().mean().item()
        for noisy in noised(to_unit(split.pixels), [0.5, 1.0], 0.3)
    ]
    assert list(values(rows, "pixel_noise_accuracy", "share").items()) == [
        ("0.5", pytest.approx(expected[0])),
        ("1", pytest.approx(expected[1])),
    ]
    assert {row["n"] for row in rows} == {270}
    assert tables_of(board_of("pixel_noise", {"net": rows}, **options)) == {
        "Accuracy with noise of sigma 0.3 on random pixels, n = 270": ["50% of the pixels", "100% of the pixels"]
    }
    table = chart_of(board_of("pixel_noise", {"net": rows}, **options), "pixel-noise").panels[0].table
    assert table["share"].tolist() == [50, 100]
    assert table["value"].tolist() == [pytest.approx(100 * share) for share in expected]
    assert (table["low"] <= table["value"]).all()
    assert (table["value"] <= table["high"]).all()


def test_a_network_that_looks_at_one_pixel_is_wrong_as_often_as_that_is_chosen():
    class Corner(nn.Module):
        def forward(self, x):
            return torch.stack([x[:, 0, 0, 0] - 1e-4, 1e-4 - x[:, 0, 0, 0]], dim=1)

    test = split_of(400, (1, 4, 4), classes=1)
    test.pixels[:, 0, 0, 0] = 255
    rows = taken("pixel_noise", subject_of(Corner(), test), shares=[0.0, 0.5, 1.0], sigma=1000.0)
    # Of noise that large half is below 0.
    assert list(values(rows, "pixel_noise_accuracy", "share").values()) == pytest.approx([1, 0.75, 0.5], abs=0.06)
