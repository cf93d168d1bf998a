"""What `register` looks at and the masking checks ask get the same answer, on either side of every threshold."""

import pytest
import torch
from torch import nn

from lrbench.diagnostics.masking import CHECKS
from lrbench.diagnostics.masking.subject import Subject
from lrbench.models.inspection import inspect_network
from lrbench.models.questions import DRAWS

COUNT = 40
AS_IS = ((0.0,) * 3, (1.0,) * 3)
SAYS = {
    "random-output": "random in evaluation mode",
    "batch-dependent": "depend on the others in its batch",
    "probabilities": "it gives probabilities",
    "gradients": "all zero or not finite",
}


def images():
    return torch.rand(COUNT, 3, 4, 4, generator=torch.Generator().manual_seed(0))


class Odd(nn.Module):
    """Logits that lie 1 apart, made odd."""

    def __init__(self, odd):
        super().__init__()
        self.net = nn.Sequential(nn.Flatten(), nn.Linear(48, 4))
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.net[1].reset_parameters()
        self.net[1].requires_grad_(False)
        logits = self.net(images())
        gaps = logits.amax(dim=1, keepdim=True) - logits
        self.apart = float(gaps.sort(dim=1).values[:, 1:].median(dim=1).values.median())
        self.odd = odd

    def forward(self, x):
        return self.odd(self.net(x) / self.apart, x)


def random(size):
    return lambda logits, _: logits + size * torch.randint(0, 2, (len(logits), 1))


def batched(size):
    """The last of a batch is moved by the first, if there is another."""

    def move(logits, _):
        return torch.cat([logits[:1], logits[1:] + size])

    return move


def summing_to(total):
    return lambda logits, _: total * logits.softmax(dim=1)


def without_gradient(share):
    """The brightest images have none."""

    def stop(logits, x):
        bright = images().mean(dim=(1, 2, 3)).quantile(1 - share)
        stopped = x.detach().mean(dim=(1, 2, 3)) >= bright
        return torch.where(stopped[:, None], logits.detach(), logits)

    return stop


def sparse(logits, x):
    """All but one entry of a gradient are zero, and attacks get on with the one."""
    return logits.detach() + x[:, 0, 0, 0, None] * torch.tensor([1.0, 0.0, -1.0, 0.5])


@pytest.mark.parametrize(
    ("odd", "check", "expected"),
    [
        (random(3e-4), "random-output", False),
        (random(3e-3), "random-output", True),
        (batched(7e-4), "batch-dependent", False),
        (batched(3e-3), "batch-dependent", True),
        (summing_to(1.01), "probabilities", False),
        (summing_to(1.0005), "probabilities", True),
        (without_gradient(0.05), "gradients", False),
        (without_gradient(0.3), "gradients", True),
        (sparse, "gradients", False),
    ],
)
def test_both_answer_alike(odd, check, expected):
    net, x = Odd(odd), images()
    labels = net(x).argmax(dim=1)
    assert CHECKS[check].measure(Subject(net, x, labels, 0.1)).flagged is expected
    found = [finding.level for finding in inspect_network(net, x, AS_IS) if SAYS[check] in finding.text]
    assert found == (["warning"] if expected else [])


def likelier(logits, _):
    """One draw for a batch, of two things of which one comes in three cases of five."""
    return logits * (1.0 if torch.rand(()) < 0.6 else 0.5)


def test_a_network_that_draws_from_few_is_found_every_time():
    net, x = Odd(likelier), images()
    labels = torch.zeros(COUNT, dtype=torch.int64)
    for seed in range(100):
        torch.manual_seed(seed)
        assert CHECKS["random-output"].measure(Subject(net, x, labels, 0.1)).flagged, seed
        assert any(SAYS["random-output"] in finding.text for finding in inspect_network(net, x, AS_IS)), seed


def test_few_calls_find_what_draws_in_every_call():
    calls = []
    net = Odd(lambda logits, _: calls.append(len(logits)) or logits + torch.rand_like(logits))
    x = images()
    assert CHECKS["random-output"].measure(Subject(net, x, torch.zeros(COUNT, dtype=torch.int64), 0.1)).flagged
    assert sum(calls) <= 4 * COUNT


SIZES, OFFSETS = 5, 3


class ResizeAndPad(nn.Module):
    """Draws one of five sizes and three offsets for each batch, as a defence by random resizing does."""

    def __init__(self):
        super().__init__()
        self.net = Odd(lambda logits, _: logits)

    def forward(self, x):
        size, offset = 4 - int(torch.randint(SIZES, ())) % 4, int(torch.randint(OFFSETS, ()))
        smaller = nn.functional.interpolate(x, size=(size, size))
        left = min(offset, 4 - size)
        return self.net(nn.functional.pad(smaller, (left, 4 - size - left, 0, 4 - size)))


def chance_of_passing(*shares):
    """That two calls on all images draw one thing, and `DRAWS` calls on some of them one, each thing with its share."""
    assert sum(shares) == pytest.approx(1)
    return sum(share**2 for share in shares) * sum(share**DRAWS for share in shares)


def test_a_network_behind_random_resizing_passes_less_than_once_in_a_thousand():
    """Two of the five draws give size 4, which knows one offset alone: the likeliest thing comes in 2 of 5 calls."""
    assert chance_of_passing(2 / SIZES, *[1 / SIZES / OFFSETS] * 9) < 1e-6
    assert chance_of_passing(2 / 3, 1 / 3) < 1e-3 < chance_of_passing(0.7, 0.3), "docs/robustness.md says two thirds"
    net, x = ResizeAndPad(), images()
    passed = 0
    for seed in range(300):
        torch.manual_seed(seed)
        passed += not CHECKS["random-output"].measure(Subject(net, x, torch.zeros(COUNT).long(), 0.1)).flagged
        if seed < 30:
            found = [finding.text for finding in inspect_network(net, x, AS_IS)]
            assert any(SAYS["random-output"] in text for text in found)
    assert passed == 0


class OneDropout(nn.Module):
    """Drops nothing or everything in a call."""

    def __init__(self):
        super().__init__()
        self.dropout = nn.Dropout(0.5)

    def forward(self, logits):
        return logits * self.dropout(torch.ones(1)).clamp(max=1)


def test_dropout_of_few_entries_is_found_in_training_mode_every_time():
    """One entry, dropped in one call of two: a single call would find no difference in half of the cases."""
    net = nn.Sequential(Odd(lambda logits, _: logits), OneDropout())
    for seed in range(40):
        torch.manual_seed(seed)
        found = [finding.text for finding in inspect_network(net, images(), AS_IS)]
        assert any("training mode differs" in text for text in found), seed
