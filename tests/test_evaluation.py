"""`lrbench.evaluate`: networks and arrays of one's own, without a suite's file, a factory or a registration."""

import copy
import importlib
import subprocess
import sys
from collections import deque
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
import yaml
from torch import nn

import lrbench
from lrbench.attacks import PGD, IterFSGM
from lrbench.cli import main
from lrbench.errors import LrbenchError, UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.models.objects import Handed
from lrbench.runner.code.own import MADE, own_code
from lrbench.runner.reporter import Silent
from lrbench.store import Store

pytestmark = pytest.mark.usefixtures("undrawn")

ASKED = {"attacks": ["iter-fsgm", {"name": "pgd", "steps": 3}], "diagnostics": {"masking": False}}


class Watcher(Silent):
    def __init__(self):
        self.taken, self.notes = [], []

    def start(self, step):
        self.taken.append(step.id)

    def note(self, text):
        self.notes.append(text)


class Net(nn.Module):
    def __init__(self, scale=2.0):
        super().__init__()
        self.scale = scale
        self.body = nn.Sequential(nn.Flatten(), nn.Linear(3 * 6 * 6, 16), nn.BatchNorm1d(16), nn.ReLU())
        self.head = nn.Linear(16, 4)

    def forward(self, x):
        return self.scale * self.head(self.body(x))


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value):
        self.value = value


@pytest.fixture
def net():
    torch.manual_seed(3)
    return Net()


@pytest.fixture
def images():
    generator = torch.Generator().manual_seed(5)
    levels = torch.randint(256, (40, 3, 6, 6), generator=generator)
    return levels.float() / 255, torch.randint(4, (40,), generator=generator)


@pytest.fixture
def evaluate(tmp_path, images):
    def run(model, **given):
        watcher = Watcher()
        asked = {"data": images, "eps": 8 / 255, "out": tmp_path / "out", **ASKED, **given}
        return lrbench.evaluate(model, reporter=watcher, **asked), watcher

    return run


def misclassified(board, model="model"):
    rows = board.results[(board.results["metric"] == "misclassification") & (board.results["model"] == model)]
    return {(row.attack, row.eps): row.value for row in rows.itertuples()}


def test_a_network_is_measured_as_it_is_by_hand(evaluate, net, images):
    board, _ = evaluate(net, eps=[4 / 255, 8 / 255])
    x, y = images
    net.eval()
    found = misclassified(board)
    with torch.no_grad():
        assert found["", 0.0] == (net(x).argmax(1) != y).double().mean()
    for eps in (4 / 255, 8 / 255):
        for label, attack in (("iter-fsgm", IterFSGM(eps)), ("pgd", PGD(eps, steps=3))):
            with torch.no_grad():
                assert found[label, eps] == (net(attack(net, x, y)).argmax(1) != y).double().mean()


def test_it_gives_what_a_registered_model_gives_in_a_suite(evaluate, net, images, tmp_path, monkeypatch):
    board, _ = evaluate({"mine": net})
    monkeypatch.chdir(tmp_path)
    x, y = images
    np.savez(tmp_path / "arrays.npz", x_test=(x * 255).round().byte().numpy(), y_test=y.numpy())
    torch.save(net.state_dict(), tmp_path / "net.pt")
    beside = f"import sys\nsys.path.append({str(Path(__file__).parent)!r})\n"
    (tmp_path / "mine.py").write_text(f"{beside}from test_evaluation import Net\n\n\ndef build():\n    return Net()\n")
    (tmp_path / "same.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "quick",
                "data": {"name": "npz", "path": "arrays.npz", "classes": 4},
                "models": {"mine": {"arch": "mine.py:build", "weights": "net.pt", "normalize": False}},
                "threat_model": {"eps": [8 / 255]},
                **ASKED,
            }
        )
    )
    assert main(["run", "same.yaml", "--out", "other", "--data-dir", str(tmp_path)]) == 0
    assert misclassified(Leaderboard.load(tmp_path / "other"), "mine") == misclassified(board, "mine")


def test_the_network_is_left_as_it_is(evaluate, net):
    net.train()
    net.head.weight.requires_grad_(False)
    before = {name: value.clone() for name, value in net.state_dict().items()}
    evaluate(net)
    assert net.training
    assert not net.head.weight.requires_grad
    assert all(parameter.grad is None for parameter in net.parameters())
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())


def test_the_same_call_takes_nothing_again(evaluate, net):
    first, _ = evaluate(net)
    again, watcher = evaluate(net.train(), device="cpu")
    assert watcher.taken == []
    assert again.results_csv() == first.results_csv()


PAIRS = [
    (1.0, 2.0),
    (np.float32(1), np.float32(2)),
    (deque([1]), deque([2])),
    (Fraction(1), Fraction(2)),
    (SimpleNamespace(a=1), SimpleNamespace(a=2)),
    (Slotted(1), Slotted(2)),
    (np.add, np.multiply),
    (torch.relu, torch.tanh),
]


@pytest.mark.parametrize(("one", "other"), PAIRS, ids=lambda each: type(each).__name__)
def test_whatever_a_network_holds_counts(net, one, other):
    keys = []
    for each in (one, copy.deepcopy(one), other):
        net.extra = each
        keys.append(own_code(Handed(net)).files)
    assert keys[0] == keys[1] != keys[2]


def test_what_a_function_refers_to_counts_in_a_file_as_well(tmp_path, monkeypatch, net):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "wrapped.py").write_text("net = None\nscale = 1\n\n\ndef call(x):\n    return net(x) * scale\n")
    module = importlib.import_module("wrapped")
    keys = []
    for change in ({"net": net}, {"net": copy.deepcopy(net)}, {"scale": 2}, {"net": Net()}):
        vars(module).update(change)
        keys.append(own_code(Handed(module.call)).files[MADE])
    assert keys[0] == keys[1]
    assert len(set(keys)) == 3


REACHED = {
    "by its name": "import zoo\n\n\ndef call(x):\n    return zoo.net(x) * math.pi\n",
    "where it is used": "def call(x):\n    import zoo\n    return zoo.net(x)\n",
    "in a package": "import pkg.zoo\n\n\ndef call(x):\n    return pkg.zoo.net(x)\n",
    "in a closure": "import zoo\n\n\ndef made(z):\n    return lambda x: z.net(x)\n\n\ncall = made(zoo)\n",
    "in an object": "import zoo\n\nclass A:\n    z = zoo\n\nhere = A()\n\ndef call(x):\n    return here.z.net(x)\n",
    "by getattr": "import zoo\n\n\ndef call(x):\n    return getattr(zoo, 'net')(x)\n",
}


@pytest.mark.parametrize("way", REACHED)
def test_a_network_in_a_module_counts_however_it_is_reached(tmp_path, monkeypatch, net, way):
    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "pkg").mkdir()
    (tmp_path / "pkg/__init__.py").write_text("")
    for folder in (tmp_path, tmp_path / "pkg"):
        (folder / "zoo.py").write_text("net = None\nunused = 1\n")
    (tmp_path / "calls.py").write_text(f"import math\n{REACHED[way]}")
    for name in ("zoo", "pkg", "pkg.zoo", "calls"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    zoo, calls = (importlib.import_module(name) for name in ("pkg.zoo" if "package" in way else "zoo", "calls"))
    keys = []
    for change in ({"net": net}, {"net": copy.deepcopy(net)}, {"unused": 2}, {"net": Net()}):
        vars(zoo).update(change)
        keys.append(own_code(Handed(calls.call)).files[MADE])
    assert keys[0] == keys[1] == keys[2] != keys[3]


def test_what_hangs_on_a_function_counts(net):
    def call(x):
        return net(x) * call.scale

    keys = []
    for scale in (1, 1, 2):
        call.scale = scale
        keys.append(own_code(Handed(call)).files[MADE])
    assert keys[0] == keys[1] != keys[2]


def test_what_a_function_counts_or_a_library_hangs_on_it_changes_nothing(net):
    def call(x):
        call.calls += 1
        return net(x)

    call.calls = 0
    before = own_code(Handed(call)).files
    call.calls, call.hung_on_by_a_library = 7, object()
    assert own_code(Handed(call)).files == before


def test_what_holds_itself_is_told_once(net):
    class Holds:
        def __init__(self):
            self.all = {1, self}

    held = Holds()

    def call(x):
        return net(x), held

    assert own_code(Handed(call)).files == own_code(Handed(call)).files


def test_a_patched_method_counts(monkeypatch, net):
    before = own_code(Handed(net)).files
    monkeypatch.setattr(Net, "forward", lambda self, x: self.head(self.body(x)))
    assert own_code(Handed(net)).files != before


@pytest.mark.parametrize("way", [torch.jit.script, lambda net: torch.jit.trace(net, torch.rand(2, 3, 6, 6))])
def test_torchscript_is_measured_as_the_network_is(evaluate, net, way):
    board, _ = evaluate(net.eval())
    for jobs in (1, 2):
        other, _ = evaluate(way(net), jobs=jobs)
        assert misclassified(other) == misclassified(board)
        assert not other.failures


def test_who_is_refused_changes_nothing(evaluate, net, images, tmp_path):
    evaluate(net)
    before = (tmp_path / "out/data.npz").read_bytes()
    with Store(tmp_path / "out").writing(), pytest.raises(UsageError, match="another run is writing"):
        evaluate(net, data=(1 - images[0], images[1]))
    assert (tmp_path / "out/data.npz").read_bytes() == before


@pytest.mark.parametrize("eps", ["8/255", np.float32(8 / 255), torch.tensor(8 / 255), np.array([8 / 255]), [8 / 255]])
def test_radii_are_taken_as_people_write_them(evaluate, net, eps):
    board, _ = evaluate(net, eps=eps, attacks="fgsm", samples=np.int64(20))
    assert board.suite["threat_model"]["eps"] == [pytest.approx(8 / 255)]
    assert board.suite["threat_model"]["samples"] == 20


@pytest.mark.parametrize("part", ["a weight", "a buffer", "an attribute", "a hook", "a class in a notebook", "data"])
def test_what_changes_is_measured_again(evaluate, net, images, part):
    cell = "class Head(nn.Linear):\n    def forward(self, x):\n        return super().forward(x) * {}"
    namespaces = [{"nn": nn, "__name__": "cell"} for _ in range(2)]
    for namespace, factor in zip(namespaces, (1, 2), strict=True):
        exec(cell.format(factor), namespace)  # noqa: S102
    if part == "a class in a notebook":
        net.head.__class__ = namespaces[0]["Head"]
    evaluate(net)
    given = {}
    if part == "a weight":
        net.head.weight.data[0, 0] += 1e-3
    elif part == "a buffer":
        net.body[2].running_mean[0] += 1e-3
    elif part == "an attribute":
        net.scale = 3.0
    elif part == "a hook":
        net.head.register_forward_hook(lambda *seen: seen[-1] * 2)
    elif part == "a class in a notebook":
        net.head.__class__ = namespaces[1]["Head"]
    else:
        given = {"data": (1 - images[0], images[1])}
    _, watcher = evaluate(net, **given)
    assert any(step.startswith("attack/") for step in watcher.taken)


def test_several_processes_give_the_same(evaluate, net, tmp_path):
    board, _ = evaluate(net)
    other, _ = evaluate(net, jobs=2, out=tmp_path / "two")
    assert other.results_csv() == board.results_csv()


@pytest.mark.slow
@pytest.mark.parametrize("way", ["a script", "a session"])
def test_a_script_needs_no_guard(tmp_path, way):
    script = (
        "import torch, lrbench\n"
        "class Mine(torch.nn.Linear):\n"
        "    def forward(self, x):\n        return super().forward(x.flatten(1))\n"
        "net = Mine(12, 3)\n"
        "x, y = torch.randint(256, (9, 3, 2, 2)) / 255, torch.arange(9) % 3\n"
        "board = lrbench.evaluate(net, data=(x, y), eps=8/255, attacks=['fgsm'], diagnostics={'masking': False}, "
        "jobs=2, out='out')\n"
        "print(board.models)\n"
    )
    (tmp_path / "three.py").write_text(script)
    command, given = ([sys.executable, "three.py"], None) if way == "a script" else ([sys.executable, "-"], script)
    done = subprocess.run(command, input=given, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.stdout == "['model']\n", done.stderr
    assert done.stderr.count("0 done already") == 1
    assert (tmp_path / "out/report.html").exists()


def test_networks_stand_beside_each_other_and_a_suite_s_own(evaluate, net, images, tmp_path):
    (tmp_path / "own.yaml").write_text(
        "name: own\ndata: digits\ntraining: {epochs: 1, batch_size: 20}\n"
        "models: {resnet: {arch: resnet18, width: 4}}\nattacks: [fgsm]\n"
    )
    given = {"suite": tmp_path / "own.yaml", "train": images, "beside": ["resnet"], "attacks": ["fgsm"]}
    net.eval()
    board, _ = evaluate({"one": net, "two": lambda x: net(x) * 2}, **given)
    assert list(board.suite["models"]) == ["resnet", "one", "two"]
    assert misclassified(board, "one")["", 0.0] == misclassified(board, "two")["", 0.0]


@pytest.mark.parametrize("form", ["tensors", "arrays", "channels last", "bytes", "lists"])
def test_images_are_taken_as_people_hold_them(evaluate, net, images, form):
    board, _ = evaluate(net)
    x, y = images
    given = {
        "tensors": (x.double(), y.int()),
        "arrays": (x.numpy(), y.numpy()),
        "channels last": (x.permute(0, 2, 3, 1).numpy(), y.tolist()),
        "bytes": ((x * 255).round().byte(), y),
        "lists": [x.tolist(), y.tolist()],
    }[form]
    again, watcher = evaluate(net, data=given)
    assert watcher.taken == []
    assert again.results_csv() == board.results_csv()


def test_what_is_rounded_is_said(evaluate, net, images):
    _, watcher = evaluate(net, data=(images[0] * 0.999, images[1]))
    assert "x_test was rounded to 8 bits, by up to 0.001" in watcher.notes
    _, watcher = evaluate(net, data=(images[0] * 255, images[1]))
    assert "x_test goes up to 255, so that 255 is white; the network is given images in [0, 1]" in watcher.notes


def test_what_needs_training_images_is_left_out_where_there_are_none(evaluate, net, images):
    asked = {"variance_ratio": {"layers": ["body"]}, "clusters": {"layer": "body"}, "masking": False}
    board, watcher = evaluate(net, diagnostics=asked)
    assert "left out variance_ratio: it needs training images" in watcher.notes
    assert "vr" not in set(board.results["metric"])
    board, watcher = evaluate(net, diagnostics=asked, train=images)
    assert {"vr", "pca_share"} <= set(board.results["metric"])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        ({"model": nn.Linear}, "model: expected a network .* got the class Linear"),
        ({"model": 3}, "model: expected a network .* got int"),
        ({"model": {}}, "names no network"),
        ({"model": "resnet81"}, "unknown model 'resnet81'; did you mean"),
        ({"eps": None}, "quick attacks in normalised space.*give `eps` in pixels"),
        ({"space": "normalized"}, "whose unit comes from training images"),
        ({"eps": 8}, "got 8; did you mean 8/255"),
        ({"diagnostics": {"masking": {"eps": 8}}}, r"masking\.eps: pixels span.*did you mean 8/255"),
        ({"diagnostics": {"masking": {"eps": 0.6}}}, r"masking\.eps: .* 0\.5 is the largest; got 0\.6"),
        ({"eps": [0.1, 0.9], "diagnostics": {"masking": {}}}, r"is 0\.9; check at 0\.1 \(`masking: \{eps: 0\.1\}`\)"),
        ({"eps": 0.6, "diagnostics": {"masking": {}}}, r"radius is 0\.6; attack at a smaller one, or leave them out"),
        ({"attacks": ["pdg"]}, "unknown attack 'pdg'; did you mean 'pgd'"),
        ({"diagnostics": {"variance": {}}}, "unknown key"),
        ({"suite": "quik"}, "unknown suite 'quik'; did you mean 'quick'"),
        ({"beside": ["resnet99"]}, "no model 'resnet99'"),
        ({"beside": ["resnet18"]}, "resnet18: needs training images"),
        ({"data": "fashion-minst"}, "no data set, folder or .npz 'fashion-minst'; did you mean 'fashion-mnist'"),
        ({"data": (torch.rand(3, 3, 6, 6), torch.zeros(2))}, "y_test"),
        ({"data": (torch.rand(3, 3, 6, 6) * 3 - 1, torch.tensor([0, 1, 2]))}, r"x_test go .*; give images in \[0, 1\]"),
        (
            {"data": (torch.quantize_per_tensor(torch.rand(3, 3, 6, 6), 1 / 255, 0, torch.quint8), [0, 1, 2])},
            r"x_test holds no numbers that can be read: torch\.quint8",
        ),
        ({"data": (np.zeros((3, 3, 6, 3)), [0, 1, 2])}, r"where its channels are; give .* tensor of shape \(N, C"),
        ({"data": (torch.rand(3, 3, 6, 6), torch.tensor([0, 1, 7]))}, "label 7, but model has 4 outputs"),
        ({"data": (torch.rand(3, 3, 9, 9), torch.tensor([0, 1, 2]))}, "cannot be built or run on 3x9x9 images"),
        ({"data": 3}, "no data set, folder or .npz"),
        ({"data": (torch.rand(3, 3, 6, 6),)}, r"expected a pair \(x, y\)"),
        ({"data": "digits", "train": (1, 2)}, "`train` and `classes` go with"),
        ({"samples": 0}, "samples"),
        ({"jobs": 0}, "jobs must be a number from 1, got 0"),
        ({"eps": "wide"}, "number or a fraction"),
        ({"eps": object()}, "eps: expected a number, or several"),
        ({"data": (torch.rand(0, 3, 6, 6), torch.zeros(0))}, "x_test is empty"),
        (
            {"layers": {"bdy": "head"}, "diagnostics": {"variance_ratio": {"layers": ["body"], "k": [1]}}},
            "the suite names no layer 'bdy'; did you mean 'body'",
        ),
        ({"out": "memory://somewhere"}, "kept beside the results"),
        ({"data": (torch.rand(3, 3, 6, 6), None)}, "y_test: expected a tensor or an array, got None"),
        ({"data": (torch.rand(3, 3, 6, 6), 3)}, "y_test: expected a tensor or an array, got 3"),
        ({"data": (5, 3)}, "x_test: expected a tensor or an array, got 5"),
        ({"data": (torch.rand(3, 3, 6, 6).to_sparse(), torch.tensor([0, 1, 2]))}, "x_test holds no numbers"),
        ({"data": ([torch.rand(3, 6, 6, requires_grad=True)], [0])}, "x_test: expected a tensor or an array, got list"),
        ({"data": (torch.rand(1, 3, 6, 6), [0]), "train": (torch.rand(1, 3, 6, 6) * 255, [0])}, "goes up to 1 alone"),
        ({"diagnostics": False}, "diagnostics: expected a mapping as a suite has it, or {} for none, got False"),
        ({"diagnostics": ["masking"]}, "diagnostics: expected a mapping"),
        ({"attacks": 3}, "attacks: expected a name or a mapping, or several, got 3"),
        ({"attacks": [3]}, "attacks: expected a name or a mapping"),
        ({"attacks": [("name", "fgsm")]}, "attacks: expected a name or a mapping"),
        ({"claims": 3}, "claims: expected a name or a mapping"),
        ({"samples": True}, "samples"),
        ({"eps": True}, "eps: expected a number, or several, got True"),
        ({"beside": "resnet99"}, "no model 'resnet99'"),
        ({"beside": 3}, "beside: expected a name or a mapping, or several, got 3"),
        ({"beside": [{}]}, "beside: expected names of models of the suite"),
        ({"model": {"resnet18": nn.Flatten()}, "beside": ["resnet18"]}, "resnet18 is also what a model of quick"),
    ],
)  # fmt: skip
def test_a_mistake_is_a_line_and_nothing_is_written(evaluate, net, tmp_path, given, says):
    with pytest.raises(UsageError, match=says) as raised:
        evaluate(**{"model": net, **given})
    assert len(str(raised.value).splitlines()) <= 2
    assert not (tmp_path / "out").exists()


def test_a_run_of_objects_is_shown_by_every_command_and_resumed_by_the_call_alone(evaluate, net, tmp_path, capsys):
    evaluate(net)
    out = str(tmp_path / "out")
    assert main(["show", out]) == 0
    assert main(["report", out]) == 0
    assert main(["publish", out, "--to", str(tmp_path / "boards"), "--partial"]) == 0
    capsys.readouterr()
    assert main(["run", f"{out}/suite.yaml", "--out", out, "--data-dir", out]) == 2
    assert "handed over in Python: `lrbench.evaluate({'model': network}, ...)` resumes" in capsys.readouterr().err


def test_a_network_that_cannot_be_copied_is_named(evaluate, net):
    net.lock = (each for each in range(3))
    with pytest.raises(LrbenchError, match=r"cannot be copied: .* register a function that makes it"):
        evaluate(net)
