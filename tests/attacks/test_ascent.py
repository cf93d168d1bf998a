"""Auto-PGD takes each step that the authors' code takes, as torchattacks has it, from the same starts."""

import pytest
import torch
import torchattacks
from torch import nn

from lrbench.attacks import APGD
from lrbench.attacks.noise import Noise

NAMES = {"linf": "Linf", "l2": "L2", "cross-entropy": "ce", "dlr": "dlr"}


class Hilly(nn.Module):
    """A loss with many hills, so that steps are halved for either reason; the first class is never lost."""

    def __init__(self):
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.first = nn.Parameter(torch.randn(192, 24, generator=generator, dtype=torch.float64) / 2)
        self.second = nn.Parameter(torch.randn(24, 10, generator=generator, dtype=torch.float64) / 24**0.5)

    def forward(self, x):
        return torch.sin(x.flatten(1) @ self.first) @ self.second + 12 * torch.eye(10)[0]


@pytest.mark.parametrize("loss", ["cross-entropy", "dlr"])
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.1), ("l2", 1.0)])
@pytest.mark.parametrize(("steps", "restart"), [(1, 0), (7, 0), (60, 0), (60, 1)])
def test_apgd_ends_where_torchattacks_s_does(norm, eps, loss, steps, restart, monkeypatch):
    model = Hilly().eval()
    x = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(1), dtype=torch.float64)
    y = torch.zeros(12, dtype=torch.int64)
    noise = Noise(x, 3, f"restart {restart}")
    drawn = noise.uniform(3, 8, 8) if norm == "linf" else noise.normal(3, 8, 8)
    theirs = torchattacks.APGD(model, norm=NAMES[norm], eps=eps, steps=steps, loss=NAMES[loss])
    with monkeypatch.context() as patch:
        patch.setattr(torch, "rand" if norm == "linf" else "randn", lambda *_: drawn)
        expected = theirs.attack_single_run(x, y)[0]
    # Of an image that all runs leave as it is classified, the last one's best point is given.
    found = APGD(eps, steps, norm=norm, loss=loss, restarts=restart + 1, seed=3)(model, x, y)
    assert torch.allclose(found, expected, atol=1e-6)
