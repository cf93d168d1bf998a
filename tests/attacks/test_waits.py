"""How often an iteration of an attack makes the host wait for a GPU: never, but where the host asks who is over."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import asking
from support.takers import LITTLE
from support.waiting import waits
from torch import nn

from lrbench.attacks import (
    APGD,
    DDN,
    FAB,
    FMN,
    PGD,
    AdaptiveLR,
    AutoAttack,
    CarliniWagner,
    DeepFool,
    GaussianNoise,
    IterFSGM,
    IterLLFSGM,
    Square,
    TargetedAPGD,
    UniformNoise,
    passes,
    patches,
)

EPS = 0.03
NEVER, EACH_TENTH, EACH_FIFTIETH = 0, 1 / 10, 1 / 50
QUERIES = 5
"""Of Square, for each iteration of another attack."""

ATTACKS = {
    "iter-fsgm": (NEVER, lambda n: IterFSGM(EPS, steps=n)),
    "iter-ll-fsgm": (NEVER, lambda n: IterLLFSGM(EPS, steps=n)),
    "pgd": (NEVER, lambda n: PGD(EPS, steps=n)),
    "pgd-l2-restarts": (NEVER, lambda n: PGD(0.3, steps=n, norm="l2", restarts=2)),
    "pgd-l1": (NEVER, lambda n: PGD(2.0, steps=n, norm="l1")),
    "pgd-bfloat16": (NEVER, lambda n: PGD(EPS, steps=n, precision="bfloat16")),
    "pgd-stop": (EACH_TENTH, lambda n: PGD(EPS, steps=n, stop=True)),
    "pgd-stop-restarts": (EACH_TENTH, lambda n: PGD(EPS, steps=n, stop=True, restarts=2)),
    "pgd-stop-bfloat16": (2 * EACH_TENTH, lambda n: PGD(EPS, steps=n, stop=True, precision="bfloat16")),
    "adaptive-lr": (NEVER, lambda n: AdaptiveLR(EPS, "conv", steps=n)),
    "apgd-ce": (EACH_TENTH, lambda n: APGD(EPS, n)),
    "apgd-dlr": (EACH_TENTH, lambda n: APGD(EPS, n, loss="dlr")),
    "apgd-bfloat16": (2 * EACH_TENTH, lambda n: APGD(EPS, n, precision="bfloat16")),
    "apgd-l2": (EACH_TENTH, lambda n: APGD(0.3, n, norm="l2", eot=2)),
    "apgd-l1": (EACH_TENTH, lambda n: APGD(2.0, n, norm="l1")),
    "apgd-t": (EACH_TENTH, lambda n: TargetedAPGD(EPS, n, targets=1)),
    "fab-t": (EACH_TENTH, lambda n: FAB(steps=n, targets=1)),
    "fab-t-enough": (EACH_TENTH, lambda n: FAB(steps=n, targets=1, enough=EPS)),
    "fab-l2": (EACH_TENTH, lambda n: FAB("l2", steps=n, targets=1)),
    "fab-l1": (EACH_TENTH, lambda n: FAB("l1", steps=n, targets=1)),
    "fab": (EACH_TENTH, lambda n: FAB("l2", steps=n, targeted=False, bounds=None)),
    "deepfool": (EACH_TENTH, lambda n: DeepFool(steps=n)),
    "deepfool-linf": (EACH_TENTH, lambda n: DeepFool("linf", steps=n)),
    "fmn": (NEVER, lambda n: FMN(steps=n)),
    "fmn-l2": (NEVER, lambda n: FMN("l2", steps=n)),
    "fmn-l1": (NEVER, lambda n: FMN("l1", steps=n)),
    "ddn": (NEVER, lambda n: DDN(steps=n)),
    "carlini-wagner": (NEVER, lambda n: CarliniWagner(steps=n, searches=1)),
    "square": (QUERIES * EACH_FIFTIETH, lambda n: Square(EPS, QUERIES * n)),
    "square-bfloat16": (2 * QUERIES * EACH_FIFTIETH, lambda n: Square(EPS, QUERIES * n, precision="bfloat16")),
    "square-l2": (QUERIES * EACH_FIFTIETH, lambda n: Square(0.3, QUERIES * n, norm="l2")),
    "square-l1": (QUERIES * EACH_FIFTIETH, lambda n: Square(2.0, QUERIES * n, norm="l1")),
    "autoattack": (
        3 * EACH_TENTH + QUERIES * EACH_FIFTIETH,
        lambda n: AutoAttack(EPS, steps=n, targets=1, queries=QUERIES * n),
    ),
    "autoattack-l2": (
        3 * EACH_TENTH + QUERIES * EACH_FIFTIETH,
        lambda n: AutoAttack(0.3, norm="l2", steps=n, targets=1, queries=QUERIES * n),
    ),
    "uniform-noise": (NEVER, lambda n: UniformNoise(EPS, n)),
    "gaussian-noise": (NEVER, lambda n: GaussianNoise(EPS, n)),
}
"""Of every attack: waits an iteration at most, and how it is made for so many iterations."""

STEPS = {"square": 20, "square-bfloat16": 20}
"""Of those that ask so seldom that ten steps have an ask more than the share of one that they are allowed."""

HERE = {"patches.py _corner", "patches.py _turned"}
"""Ask for numbers that were drawn on the CPU, wherever the attack runs."""
LATE = "passes.py send"
"""On a GPU, sends a number on its way, and reads it when it has arrived."""


class Sure(nn.Module):
    """A network that no attack here makes change its mind, so that nobody leaves."""

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.conv, self.fc = nn.Conv2d(3, 4, 3), nn.Linear(144, 5)
        self.register_buffer("sure", torch.tensor([1e3, 0, 0, 0, 0]))

    def forward(self, x):
        return self.fc(torch.tanh(self.conv(x)).flatten(1)) + self.sure


USUAL = {"iter-fsgm", "pgd", "pgd-stop", "adaptive-lr", "apgd-ce", "apgd-dlr", "apgd-t", "fab-t", "fab-t-enough", "fab"}
USUAL |= {"deepfool", "fmn", "ddn", "carlini-wagner", "square", "autoattack", "uniform-noise"}
"""What others are a norm, a precision or a number of restarts away from."""


@pytest.fixture(params=[name if name in USUAL else pytest.param(name, marks=pytest.mark.slow) for name in ATTACKS])
def case(request):
    return *ATTACKS[request.param], STEPS.get(request.param, 10)


@pytest.fixture
def as_on_a_gpu(monkeypatch):
    """Let attacks take the way that they take where asking makes the host wait."""
    monkeypatch.setattr(passes, "PROMPT", set())
    monkeypatch.setattr(passes, "PACES", {})


def more_for_more_steps(make, few, counter, model, x, y):
    """What is counted in twice as many steps, and not in half of them, a step."""
    found = []
    make(2)(model, x, y)  # bounds are rounded once in a process
    for steps in (few, 2 * few):
        with counter() as counted:
            make(steps)(model, x, y)
        found.append(counted)
    found[1].subtract(found[0])
    return {place: count / few for place, count in found[1].items() if count > 0}


def images():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1)), torch.zeros(6, dtype=torch.int64)


def test_every_attack_that_iterates_is_in_the_table():
    libraries = {"hopskipjump", "boundary"}
    assert set(LITTLE) - set(ATTACKS) == libraries | {"fgsm"}


@pytest.mark.usefixtures("as_on_a_gpu")
def test_an_iteration_asks_for_nothing(case):
    most, make, steps = case
    found = more_for_more_steps(make, steps, asking.asked, Sure(), *images())
    counted = {place: count for place, count in found.items() if place.split(":")[0] not in HERE | {LATE}}
    assert sum(counted.values()) <= most + 1e-9, counted


@pytest.mark.usefixtures("as_on_a_gpu")
@pytest.mark.parametrize("norm", ["linf", *(pytest.param(norm, marks=pytest.mark.slow) for norm in ("l2", "l1"))])
def test_square_asks_at_every_fiftieth_pass(norm, monkeypatch):
    # A query of each image a pass.
    monkeypatch.setattr(passes, "ELSEWHERE", replace(passes.ELSEWHERE, full=1))
    calls, (x, y) = [], images()
    asks = []
    for queries in (50, 150):
        model = Sure()
        model.register_forward_hook(lambda *_: calls.append(1))
        calls.clear()
        with asking.asked() as found:
            Square(0.1, queries, norm=norm)(model, x, y)
        asks.append((len(calls), found["engine.py searched: tolist"]))
    (short, few), (long, many) = asks
    assert long - short == 100
    assert many - few == 100 * EACH_FIFTIETH


@pytest.mark.cuda
def test_an_iteration_makes_the_host_wait_for_nothing(case, gpu):
    most, make, steps = case
    x, y = (each.to(gpu) for each in images())
    model = Sure().to(gpu)
    found = more_for_more_steps(make, steps, waits, model, x, y)
    assert sum(found.values()) <= most + 1e-9, found


def test_the_count_sees_what_makes_the_host_wait():
    x, y = images()
    with asking.asked(Path(__file__).resolve().parent) as found:
        x[y > 0] = x[0].clone()  # a number would be filled in, without waiting, by newer versions of torch
        x[y > 0].sum().item()
        (y > 0).nonzero()
        torch.equal(x, x)
        y.tolist()
        bool(y.any())
        x[y] = torch.where(y[:, None, None, None] > 0, x, 1)
    counted = {place.split(": ")[1]: count for place, count in found.items()}
    assert counted == {
        "index_put_": 1, "index": 1, "_local_scalar_dense": 2, "nonzero": 1, "equal": 1, "tolist": 1
    }  # fmt: skip


def test_hills_go_to_the_device_once(monkeypatch):
    calls, sent = [], patches.sent
    monkeypatch.setattr(patches, "sent", lambda *given: calls.append(given) or sent(*given))
    moves, generator, (x, _) = patches.Hills(), torch.Generator().manual_seed(0), images()
    for expected, sides in ((1, (3, 3, 3, 3)), (2, (5, 5, 5, 5))):
        drawn = [moves.draw((3, 8, 8), side, generator) for side in sides]
        together = {name: torch.stack([each[name] for each in drawn]) for name in drawn[0]}
        for _ in range(3):
            moves.move(x[:4], x[:4] + 0.1, 1.0, together)
        assert len(calls) == expected
