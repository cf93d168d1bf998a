"""How long a pass takes, as plans say before anything has been taken."""

import time

import pytest
import torch

from lrbench.runner import timing
from lrbench.runner.timing import PassTimes
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
