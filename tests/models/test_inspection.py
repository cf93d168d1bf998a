import copy

import pytest
import torch
from torch import nn

from lrbench.models.inspection import inspect_network

STATISTICS = ((0.5, 0.4, 0.3), (0.2, 0.2, 0.2))


def images(n=40):
    return torch.rand(n, 3, 8, 8, generator=torch.Generator().manual_seed(0))


def plain():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 16), nn.ReLU(), nn.Linear(16, 4))


def texts(net, **options):
    return {finding.text: finding.level for finding in inspect_network(net, images(), STATISTICS, **options)}


def levels(net, part, **options):
    return {level for text, level in texts(net, **options).items() if part in text}


def test_a_plain_network_is_good_throughout_and_left_as_it_was():
    net = plain().train()
    before = copy.deepcopy(net.state_dict())
    assert set(texts(net).values()) == {"good"}
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
    assert all(parameter.grad is None for parameter in net.parameters())


class Wrapped(nn.Module):
    def __init__(self, after=lambda x: x, before=lambda x: x):
        super().__init__()
        self.net, self.after, self.before = plain(), after, before

    def forward(self, x):
        return self.after(self.net(self.before(x)))


@pytest.mark.parametrize(
    ("net", "part", "level"),
    [
        (Wrapped(lambda z: z.softmax(dim=1)), "probabilities", "warning"),
        (Wrapped(lambda z: z / 0), "not finite", "fault"),
        (Wrapped(lambda z: z + 0.1 * torch.rand_like(z)), "random in evaluation mode", "warning"),
        (Wrapped(lambda z: z - z.mean(dim=0)), "depend on the others in its batch", "warning"),
        (Wrapped(before=lambda x: x.detach()), "no gradient reaches", "warning"),
        (Wrapped(before=lambda x: x.mul(8).round()), "all zero or not finite for 100 %", "warning"),
        (Wrapped(lambda z: z.log_softmax(dim=1)), "it gives logits", "good"),
        (nn.Sequential(plain(), nn.Dropout(0.5)), "training mode differs from evaluation mode (Dropout)", "good"),
    ],
)
def test_oddities_are_found(net, part, level):
    assert levels(net, part) == {level}


def test_a_network_that_normalises_itself_is_noticed():
    net = plain()
    net.register_buffer("mean", torch.zeros(1, 3, 1, 1))
    assert levels(net, "normalise its input itself (mean)") == {"warning"}


@pytest.mark.parametrize(
    ("mean", "std", "says"), [(0.5, 0.5, "[-1, 1]"), (0.0, 1.0, "[0, 1]"), (0.0, 1 / 255, "[0, 255]")]
)
def test_the_convention_that_it_was_trained_with_is_found(mean, std, says):
    class Threshold(nn.Module):
        """Tells dark from bright images, if they come as it expects them."""

        def forward(self, x):
            brightness = (x * std + mean).mean(dim=(1, 2, 3))
            middle = torch.stack([0.5 - brightness, brightness - 0.5], dim=1)
            inside = ((brightness > 0) & (brightness < 1)).float()[:, None]
            return middle * inside + (1 - inside) * torch.tensor([[1.0, 0.0]])

    x = torch.cat([0.4 * images(), 1 - 0.4 * images()])
    labels = torch.cat([torch.zeros(40), torch.ones(40)]).long()
    found = inspect_network(Threshold(), x, ((0.5,) * 3, (0.01,) * 3), labels)
    (line,) = [finding for finding in found if "accuracy" in finding.text]
    assert line.level == "warning"
    assert f"on images in {says}" in line.text
