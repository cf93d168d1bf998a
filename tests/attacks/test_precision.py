"""Settings of precision are the caller's again after a block that forbids or allows rounding, however they were set."""

import pytest
import torch

from lrbench.attacks.precision import rounded_products
from lrbench.global_state import preserved

MATMUL, CONV, RNN = torch.backends.cuda.matmul, torch.backends.cudnn.conv, torch.backends.cudnn.rnn


def newer(*values):
    def change():
        for each, value in zip((MATMUL, CONV, RNN), values, strict=True):
            each.fp32_precision = value

    return change


def older(matmul, conv):
    def change():
        torch.backends.cuda.matmul.allow_tf32, torch.backends.cudnn.allow_tf32 = matmul, conv

    return change


CHANGES = {
    "none": lambda: None,
    "high": lambda: torch.set_float32_matmul_precision("high"),
    "older, all": older(True, True),
    "older, none": older(False, False),
    "newer, none": newer("ieee", "ieee", "ieee"),
    "newer, mixed": newer("tf32", "ieee", "tf32"),
}


def told():
    asked = [lambda each=each: each.fp32_precision for each in (MATMUL, CONV, RNN)]
    asked += [
        torch.get_float32_matmul_precision,
        lambda: torch.backends.cudnn.allow_tf32,
        lambda: torch.backends.cuda.matmul.allow_tf32,
    ]
    found = []
    for ask in asked:
        try:
            found.append(ask())
        except RuntimeError:
            found.append("mixed")
    return found


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("allowed", [False, True])
def test_settings_are_put_back(change, allowed):
    with preserved():
        change()
        before = told()
        with rounded_products(allowed=allowed):
            assert torch.backends.cudnn.allow_tf32 is allowed
            assert torch.backends.cuda.matmul.allow_tf32 is allowed
        # What could not be told before may be told now.
        assert all(now == then for now, then in zip(told(), before, strict=True) if then != "mixed")
