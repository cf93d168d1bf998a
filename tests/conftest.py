import gc
import os
import sys
from contextlib import contextmanager
from pathlib import Path

# Before torch is loaded. Results depend on the number of threads, and tests hold one process's against another's.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Ray's processes give way to all others of a machine unless told otherwise, and here to the other tests.
os.environ["RAY_worker_niceness"] = "0"  # noqa: SIM112 - Ray spells it so

import pytest
import torch
import vl_convert
from hypothesis import settings
from support import boards, hostile
from support.shared import Kept, made_once
from support.turns import take_turns
from torch import nn

from lrbench.catalogue import ATTACKS, DATASETS, MEASURES, MODELS, REGULARIZERS
from lrbench.data import to_unit
from lrbench.data.sources import digits as load_digits
from lrbench.leaderboard.published import publish
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

settings.register_profile("lrbench", deadline=None, derandomize=True, max_examples=30)
settings.load_profile("lrbench")
os.environ.setdefault("COLUMNS", "140")


def pytest_addoption(parser):
    parser.addoption("--cold", action="store_true", help="give hostile inputs to processes of their own")
    parser.addoption("--every-model", action="store_true", help="evaluate every odd model, not some")
    parser.addoption("--rounds", type=int, help="rounds of each race for a lock (default: a few)")
    parser.addoption("--draws", type=int, help="draws of each fuzz, anew in every run (default: 200, always the same)")


def pytest_configure(config):
    draws = config.getoption("--draws")
    settings.register_profile(
        "draws", settings.get_profile("lrbench"), max_examples=draws or 200, derandomize=draws is None
    )
    hostile.COLD = config.getoption("--cold")


LONG = ("runner", "training", "cli", "suite", "browser", "engines", "test_evaluation.py", "attacks")
"""Rooms whose files take longest, which begin: at the end all processes of a test run have short files left."""


@pytest.hookimpl(tryfirst=True)  # before those that are slow are left out
def pytest_collection_modifyitems(items):
    take_turns(items)
    places = {room: place for place, room in enumerate(LONG)}
    items.sort(key=lambda item: places.get(Path(item.path).relative_to(Path(__file__).parent).parts[0], len(LONG)))
    if not torch.cuda.is_available():
        for item in items:
            if item.get_closest_marker("cuda"):
                item.add_marker(pytest.mark.skip(reason="needs a CUDA device"))


def pytest_collection_finish():
    # Everything imported and collected stays: whoever collects garbage need not look through it again.
    gc.collect()
    gc.freeze()


def pytest_terminal_summary(terminalreporter):
    if hostile.COLD:
        terminalreporter.write_line(f"at most {hostile.MOST['seconds']:.2f} s, {hostile.MOST['bytes'] / 2**20:.0f} MiB")


class SmallNet(nn.Module):
    """Convolutions, batch norm, dropout and a pool: what attacks meet, small enough for tests."""

    def __init__(self, in_channels=3, num_classes=10):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 8, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(8)
        self.conv2 = nn.Conv2d(8, 16, 3, stride=2, padding=1)
        self.bn2 = nn.BatchNorm2d(16)
        self.dropout = nn.Dropout(0.3)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(16, num_classes)

    def forward(self, x):
        x = torch.relu(self.bn1(self.conv1(x)))
        x = torch.relu(self.bn2(self.conv2(x)))
        return self.fc(self.dropout(self.avgpool(x).flatten(1)))


@contextmanager
def as_they_were():
    entries = [(registry, dict(registry._entries)) for registry in (MODELS, ATTACKS, DATASETS, MEASURES, REGULARIZERS)]
    yield
    for registry, before in entries:
        registry._entries = before


@pytest.fixture(autouse=True)
def _registries():
    """What a test registers is not there in the next one."""
    with as_they_were():
        yield


@pytest.fixture(autouse=True, scope="module")
def _registries_of_a_file():
    """Nor what a fixture of a file registers in the next file."""
    with as_they_were():
        yield


@pytest.fixture
def small_net():
    torch.manual_seed(0)
    net = SmallNet()
    with torch.no_grad():
        net(torch.rand(64, 3, 8, 8))  # batch-norm statistics that are not the initial ones
        net.fc.weight.mul_(5)  # logits far enough apart for gradients to matter
    return net.eval()


@pytest.fixture
def batch():
    generator = torch.Generator().manual_seed(1)
    return torch.rand(12, 3, 8, 8, generator=generator), torch.randint(10, (12,), generator=generator)


@pytest.fixture(scope="session")
def digits():
    return load_digits(Path(), train=None, test=None)


@pytest.fixture(scope="session")
def shared(tmp_path_factory, worker_id):
    """A folder of this test run, the same for all its processes."""
    root = tmp_path_factory.getbasetemp()
    return root if worker_id == "master" else root.parent


@pytest.fixture(scope="session")
def trained(digits, shared):
    """A narrow ResNet-18 that knows the digits."""
    with seeded(0):
        model = Classifier(resnet18(10, 1, width=8), *digits.statistics)

    def make(path):
        train(model, digits.train, Training(epochs=4, batch_size=64, learning_rate=0.05), seed=0)
        torch.save(model.state_dict(), path)

    model.load_state_dict(torch.load(made_once(shared / "trained.pt", make)))
    return model.eval()


@pytest.fixture(scope="session")
def held_out(digits):
    split = digits.test.balanced(150)
    return to_unit(split.images), split.labels


@pytest.fixture(scope="session")
def shown_run(tmp_path_factory, shared):
    """The folder of a run that has everything a page shows, and names that would be markup.

    Made once for all processes of a test run, which only read it.
    """

    def make(path):
        made = tmp_path_factory.mktemp("made")
        boards.made(made)
        made.rename(path)

    return made_once(shared / "shown", make) / "run"


@pytest.fixture(scope="session", autouse=True)
def _drawings(shared):
    """What is drawn in this test run already is not drawn again, which takes longer than all else on a board."""
    kept = Kept(shared / "drawings")
    with pytest.MonkeyPatch.context() as patch:
        for name in ("vegalite_to_svg", "javascript_bundle", "svg_to_png"):
            patch.setattr(vl_convert, name, kept(getattr(vl_convert, name)))
        yield kept


@pytest.fixture
def drawn_anew(_drawings, monkeypatch):
    """Everything is drawn, whether it was before or not."""
    for name, function in _drawings.functions.items():
        monkeypatch.setattr(vl_convert, name, function)


@pytest.fixture
def undrawn(monkeypatch):
    """Whole runs with stand-ins for their pictures and report, which take longer than the steps of a small run."""
    monkeypatch.setattr("lrbench.runner.figures._made", lambda *_, **__: dict(boards.STAND_INS))


@pytest.fixture
def unpictured(monkeypatch):
    """Boards are published without their pictures, which take longer than the rest of them."""
    monkeypatch.setitem(publish.__globals__, "draw", lambda *_: {})


@pytest.fixture
def uncollected(monkeypatch):
    """Where memory only seems to run out, nobody looks for garbage among all that the tests have imported."""
    monkeypatch.setattr(gc, "collect", lambda: 0)


@pytest.fixture
def fooled():
    """Share of images that a model gets wrong."""

    def share(model, x_adv, y):
        with torch.no_grad():
            return (model(x_adv).argmax(dim=1) != y).float().mean().item()

    return share


@pytest.fixture
def gpu():
    """The CUDA device of a test that needs one."""
    return torch.device("cuda")


@pytest.fixture(scope="module")
def ray():
    """A cluster of two slots on this machine, whose processes find these tests."""
    found = pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join(sys.path))
        found.init("local", num_cpus=2, log_to_driver=False, configure_logging=False, include_dashboard=False)
    yield found
    found.shutdown()
