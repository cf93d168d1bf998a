"""Code that stands in no file, as in a notebook: what it does counts in the keys of steps."""

import collections
import dataclasses
import functools
import itertools
import os
import subprocess
import sys

import pytest
import torch
from support.code import forget
from support.commands import STAND_IN

import lrbench
from lrbench.models.objects import Handed
from lrbench.runner import Session
from lrbench.runner.code.made import digest_of_made
from lrbench.runner.code.own import own_code

pytestmark = pytest.mark.usefixtures("undrawn")

CELL = """
import functools
import lrbench, torch
from lrbench.attacks import Attack
K = 3
class Setting:
    def __init__(self): self.width = 4
SETTING = Setting()
def helper(x): return x * K
@lrbench.register_attack("mine")
class Mine(Attack):
    SCALE = 0.5
    def __init__(self, eps: float = 0.1): self.eps = eps
    def run(self, model, x, y): return (x + self.eps * self.SCALE * helper(1 / 3)).clamp(0, 1)
@lrbench.register_measure("odd")
class Odd(lrbench.Measure):
    figures = {"v": lrbench.Metric("v")}
    def take(self, options, subject, progress):
        yield {"metric": "v", "value": sum(each for each in {1.0, 2.0} if each > 0) + len("abc")}
@lrbench.register_model("net")
def net(num_classes, in_channels):
    nn = torch.nn
    return nn.Sequential(nn.Flatten(), nn.Linear(64, int(SETTING.width)), nn.ReLU(), nn.Linear(4, 10))
"""
SUITE = """
name: cells
data: {name: digits, train: 60, test: 20}
models: {net: {arch: net}}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255], samples: 10}
attacks: [mine]
diagnostics: {masking: false, odd: {}}
"""
CHANGES = {
    "a method's number": ("len(\"abc\")", "len(\"abcd\")", {"odd"}),
    "a method's sets": ("{1.0, 2.0}", "{1.0, 3.0}", {"odd"}),
    "an attribute": ("SCALE = 0.5", "SCALE = 0.25", {"attack", "worst"}),
    "a helper": ("return x * K", "return x + K", {"attack", "worst"}),
    "a number that a helper reads": ("K = 3", "K = 4", {"attack", "worst"}),
    "a function": ("ReLU", "Tanh", {"train", "accuracy", "attack", "worst", "odd"}),
    "an object of a class": ("self.width = 4", "self.width = 4.0", {"train", "accuracy", "attack", "worst", "odd"}),
    "a comment": ("K = 3", "K = 3  # three", set()),
    "where it stands": ("import functools", "import functools\n\n\n", set()),
}  # fmt: skip


def opened(folder, cell):
    for registry in (lrbench.catalogue.ATTACKS, lrbench.catalogue.MEASURES, lrbench.catalogue.MODELS):
        for name in ("mine", "odd", "net"):
            registry._entries.pop(name, None)
    exec(cell, {"__name__": "notebook"})  # noqa: S102
    forget()
    (folder / "cells.yaml").write_text(SUITE)
    return Session.open(folder / "cells.yaml", folder / "out")


@pytest.fixture(scope="module")
def before(tmp_path_factory):
    """Keys of the steps that rest on the cell."""
    return {step.id: step.key for step in opened(tmp_path_factory.mktemp("before"), CELL).plan}


@pytest.mark.parametrize("change", CHANGES)
def test_a_changed_cell_makes_its_steps_again_and_no_others(before, tmp_path, change):
    old, new, kinds = CHANGES[change]
    assert old in CELL
    after = {step.id: step.key for step in opened(tmp_path, CELL.replace(old, new)).plan}
    assert {name.partition("/")[0] for name in before if after[name] != before[name]} == kinds


def test_its_figures_are_those_of_the_code_as_it_is(tmp_path):
    values = []
    for cell in (CELL, CELL.replace('len("abc")', 'len("abcd")').replace("SCALE = 0.5", "SCALE = 0.0"), CELL):
        opened(tmp_path, cell)
        board = lrbench.run(tmp_path / "cells.yaml", tmp_path / "out")
        assert not board.failures
        rows = board.results
        moved = rows[rows["metric"] == "l2_dissimilarity"]["value"].iloc[0]
        values.append((rows[rows["metric"] == "odd:v"]["value"].iloc[0], moved > 0))
    assert values == [(6.0, True), (7.0, False), (6.0, True)]


@pytest.mark.slow
def test_another_process_finds_what_is_done(tmp_path):
    script = (
        f"{CELL}\nimport sys\n{STAND_IN}\nboard = lrbench.run('cells.yaml', out='out')\nassert not board.failures\n"
    )
    script += (
        "from lrbench.runner import Session\nprint([step.key for step in Session.open('cells.yaml', 'out').plan])\n"
    )
    (tmp_path / "cells.yaml").write_text(SUITE)
    printed = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-"], input=script, capture_output=True, text=True, cwd=tmp_path, check=False,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.splitlines()[-1])
    assert printed[0] == printed[1]


MAKE = """
def make(k):
    def inner():
        return k
    return inner
"""


def test_what_a_function_was_made_with_counts(tmp_path):
    (tmp_path / "made.py").write_text(MAKE)
    sys.path.insert(0, str(tmp_path))
    try:
        import made  # noqa: PLC0415
    finally:
        sys.path.pop(0)
    assert digest_of_made(made.make(1)) == digest_of_made(made.make(1))
    assert digest_of_made(made.make(1)) != digest_of_made(made.make(2))


def _cached(net):
    @functools.cache
    def get():
        return net

    return lambda z: get()(z) + 0


def _cycled(net):
    nets = itertools.cycle([net])
    return lambda z: next(nets)(z) + 0


def _cycled_on(net):
    nets = itertools.cycle([net])
    next(nets)
    return lambda z: next(nets)(z) + 0


def _repeated(net):
    nets = itertools.repeat(net)
    return lambda z: next(nets)(z) + 0


def _hung_on_a_tensor(net):
    holder = torch.zeros(2)
    holder.net = net
    return lambda z: holder.net(z) + 0


class _Listed(list):
    pass


class _Mapped(dict):
    pass


def _hung_on_a_list(net):
    holder = _Listed([1])
    holder.net = net
    return lambda z: holder.net(z) + 0


def _hung_on_a_mapping(net):
    holder = _Mapped(a=1)
    holder.net = net
    return lambda z: holder.net(z) + 0


def _of_a_tensor(net):
    product = net.weight.detach().T.contiguous().__rmatmul__
    return lambda z: product(z) + 0


def _of_a_bound_method(net):
    product = net.weight.detach().matmul
    return lambda z: product(z) + 0


def _of_a_mapping(net):
    given = {"net": net}.get
    return lambda z: given("net")(z) + 0


def _of_an_item(net):
    given = [net].__getitem__
    return lambda z: given(0)(z) + 0


def _by_default(net):
    held = collections.defaultdict(lambda: net)
    return lambda z: held["net"](z) + 0


@dataclasses.dataclass
class _Compared:
    net: object

    def __call__(self, z):
        return self.net(z)


HOLDERS = [_cached, _cycled, _cycled_on, _repeated, _hung_on_a_tensor, _hung_on_a_list, _hung_on_a_mapping, _Compared]
HOLDERS += [_of_a_tensor, _of_a_bound_method, _of_a_mapping, _of_an_item, _by_default]


@pytest.mark.parametrize("hold", HOLDERS)
def test_a_network_counts_whatever_holds_it(hold):
    one, other = torch.nn.Linear(3, 2), torch.nn.Linear(3, 2)
    found = [own_code(Handed(hold(net))).files for net in (one, one, other)]
    assert found[0] == found[1] != found[2]


def test_a_function_that_remembers_is_followed_to_what_it_gives_now():
    held = {"net": torch.nn.Linear(3, 2)}

    @functools.lru_cache(maxsize=2)
    def get(name):
        return held[name]

    def model(z):
        return get("net")(z)

    before = digest_of_made(model)
    held["net"] = torch.nn.Linear(3, 2)
    get.cache_clear()
    assert digest_of_made(model) != before
