"""Edge values, for every attack, `examine` and `d_adv`: a result that keeps its promises, or a line that says why."""

import math
import warnings

import numpy as np
import pytest
import torch
from support.forms import INPUTS
from support.models import EXTREME, Wrapped, net_of
from support.takers import LITTLE, MINIMAL, TAKERS, attack, d_adv_of, examined, holds
from torch import nn

from lrbench.attacks import AutoAttack, CarliniWagner, LeftOutWarning
from lrbench.cli import main
from lrbench.diagnostics.masking import CHECKS

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
ATTACKS = sorted(LITTLE)
FEW = {"steps": 3, "targets": 2, "queries": 5}


def right(model, x):
    with torch.no_grad():
        return model(x).argmax(dim=1)


class Counting(nn.Module):
    """A network that refuses a batch of no inputs, as many do."""

    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        assert len(x), "asked for the logits of nothing"
        return self.net(x)


def some(model):
    return X, right(model, X)


CASES = {
    "one example": lambda model: (X[:1], right(model, X[:1])),
    "one misclassified": lambda model: (X[:1], right(model, X[:1]).add(1) % 10),
    "all misclassified": lambda model: (X, right(model, X).add(1) % 10),
    "black": lambda model: (torch.zeros_like(X), right(model, torch.zeros_like(X))),
    "white": lambda model: (torch.ones_like(X), right(model, torch.ones_like(X))),
    "one black image": lambda model: (X * (torch.arange(6) > 0)[:, None, None, None], right(model, X)),
    "all alike": lambda model: (X[:1].repeat(6, 1, 1, 1), right(model, X[:1].repeat(6, 1, 1, 1))),
    "alike but for the label": lambda _: (X[:1].repeat(6, 1, 1, 1), torch.arange(6)),
    "all of one class": lambda _: (X, torch.zeros(6, dtype=torch.long)),
}


@pytest.fixture(params=ATTACKS)
def name(request):
    return request.param


@pytest.fixture
def net():
    return net_of((3, 8, 8), 10)


def quiet(call, *given):
    """Call without a warning, but for AutoAttack's."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", LeftOutWarning)
        return call(*given)


@pytest.mark.turns("dtype")
@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_edges_of_inputs_and_labels(name, net, case, dtype):
    x, y = CASES[case](net)
    x, model = x.to(dtype), Counting(net.to(dtype))
    x_adv = quiet(TAKERS[name], model, x, y)
    holds(TAKERS[name], x_adv, x)
    if name in MINIMAL:
        wrong, still = right(model, x) != y, right(model, x_adv) == y
        assert torch.equal(x_adv[wrong], x[wrong]), "what is misclassified is not moved"
        assert torch.equal(x_adv[still], x[still]), "nor is what is not fooled"


@pytest.mark.turns("case", each=4)
@pytest.mark.parametrize("case", EXTREME)
def test_edges_of_logits(name, net, case):
    model = Wrapped(net, EXTREME[case])
    y = right(model, X)
    if case in {"detached", "a constant"} and name not in {
        "square",
        "hopskipjump",
        "boundary",
        "uniform-noise",
        "gaussian-noise",
    }:
        with pytest.raises(RuntimeError, match="no gradient"):
            quiet(TAKERS[name], model, X, y)
        return
    holds(TAKERS[name], quiet(TAKERS[name], model, X, y), X)


def test_a_library_keeps_its_warnings_to_itself(net, caplog):
    model = Wrapped(net, torch.zeros_like)
    for each in ("hopskipjump", "boundary"):
        assert torch.equal(quiet(TAKERS[each], model, X, right(model, X)), X)
    assert not caplog.records


@pytest.mark.parametrize("case", EXTREME)
def test_what_the_checks_make_of_extreme_logits(net, case):
    model = Wrapped(net, EXTREME[case])
    found = quiet(examined, model, X, right(model, X))
    assert len(found) == len(CHECKS)
    if case in {"ties", "a constant", "detached"}:
        assert ("gradients", 1.0, True) in found
    found = quiet(d_adv_of, model, X, right(model, X))
    assert found[2] == 6
    assert math.isfinite(found[0])


@pytest.mark.parametrize("case", CASES)
def test_what_the_checks_make_of_edges(net, case):
    model = Counting(net)
    x, y = CASES[case](net)
    assert len(quiet(examined, model, x, y)) == len(CHECKS)
    value, relative, n = quiet(d_adv_of, model, x, y)
    assert n == int((right(model, x) == y).sum())
    assert math.isnan(value) == math.isnan(relative) == (n == 0)


@pytest.mark.parametrize("form", [lambda y: y, lambda y: y.tolist(), lambda y: y.numpy(), lambda y: y[:, None]])
def test_of_no_examples_comes_nothing(name, net, form):
    x, y = X[:0], torch.zeros(0, dtype=torch.long)
    x_adv = quiet(TAKERS[name], Counting(net), x, form(y))
    assert x_adv.shape == x.shape
    assert x_adv.dtype == x.dtype
    assert quiet(TAKERS[name], Counting(net), x.double(), y).dtype == torch.float64


def test_no_examples_cannot_be_examined_and_do_not_move(net):
    x, y = X[:0], torch.zeros(0, dtype=torch.long)
    with pytest.raises(ValueError, match="masking checks need images, x holds none"):
        examined(Counting(net), x, y)
    value, relative, n = d_adv_of(Counting(net), x, y)
    assert math.isnan(value)
    assert math.isnan(relative)
    assert n == 0


@pytest.mark.turns("count")
@pytest.mark.parametrize("count", [1, 6])
@pytest.mark.parametrize("form", ["plain", "channels last", "a slice", "expanded", "backwards in memory"])
def test_the_result_lies_in_memory_as_the_inputs_do(name, net, form, count):
    x = {**INPUTS, "backwards in memory": lambda x: x.permute(3, 2, 1, 0).contiguous().permute(3, 2, 1, 0)}[form](
        X[:count]
    )
    x_adv = TAKERS[name](net, x, right(net, x))
    if form == "channels last":
        assert x_adv.is_contiguous(memory_format=torch.channels_last)
    else:
        assert x_adv.is_contiguous()


@pytest.mark.parametrize("norm", ["linf", "l2", "l1"])
@pytest.mark.parametrize("bounds", [(0.0, 1.0), None])
@pytest.mark.parametrize("bounded", sorted(set(LITTLE) - MINIMAL))
def test_a_radius_of_0_moves_nothing(bounded, net, norm, bounds):
    y = right(net, X)
    try:
        made = attack(bounded, eps=0, norm=norm, bounds=bounds)
    except TypeError:
        made = attack(bounded, eps=0, bounds=bounds)
    assert torch.equal(quiet(made, net, X, y), X)


def test_a_radius_of_0_cannot_be_examined(net):
    with pytest.raises(ValueError, match="eps must be a finite number > 0"):
        examined(net, *some(net), eps=0)


def test_a_radius_in_other_units_than_the_images_is_named(net):
    for bounded in sorted(set(LITTLE) - MINIMAL - {"gaussian-noise"}):
        with pytest.raises(ValueError, match=r"eps is 8, .* that is eps=8/255"):
            attack(bounded, eps=8)
        attack(bounded, eps=8, bounds=None)
        attack(bounded, eps=1)
    with pytest.raises(ValueError, match=r"eps is 8, .* that is eps=8/255"):
        examined(net, *some(net), eps=8)


@pytest.mark.parametrize(("eps", "kind"), [(256, "float16"), (1e18, "bfloat16"), (1e18, "float32")])
def test_a_radius_that_the_inputs_dtype_cannot_square_is_named(net, eps, kind):
    dtype = getattr(torch, kind)
    beyond = eps**2 > torch.finfo(dtype).max
    for bounded in sorted(set(LITTLE) - MINIMAL):
        if beyond:
            with pytest.raises(ValueError, match=f"eps must be at most .* for inputs x of {kind}"):
                attack(bounded, eps=eps, bounds=None)(net.to(dtype), X.to(dtype), right(net, X.to(dtype)))
        else:
            made = attack(bounded, eps=eps, bounds=None)
            holds(made, quiet(made, net.to(dtype), X.to(dtype), right(net, X.to(dtype))), X.to(dtype))


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_carlini_wagner_moves_images_at_the_bounds_in_any_precision(net, dtype):
    x, model = (X > 0.5).to(dtype), net.to(dtype)
    made = CarliniWagner(steps=60, searches=4, learning_rate=0.5, initial_const=1.0)
    assert (right(model, made(model, x, right(model, x))) != right(model, x)).all()


@pytest.mark.parametrize(("classes", "left_out"), [(2, {"apgd-t"}), (3, {"apgd-t"}), (4, set())])
def test_autoattack_uses_the_members_that_apply(classes, left_out):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, classes))
    made = AutoAttack(8 / 255, **FEW)
    assert set(made.left_out(classes, (3, 8, 8))) == left_out
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        x_adv = made(model, *some(model))
    assert [each.category for each in warned] == [LeftOutWarning] * bool(left_out)
    assert all("apgd-t, since the targeted DLR loss needs at least 4 classes" in str(each.message) for each in warned)
    assert (right(model, x_adv) != right(model, X)).any()


@pytest.mark.parametrize("shape", [(29,), (4, 7), (2, 3, 4, 5)], ids=["tabular", "a sequence", "a volume"])
def test_inputs_that_are_no_images(name, shape):
    x, model = torch.rand(6, *shape, generator=torch.Generator().manual_seed(2)), net_of(shape, 5)
    if name == "square":
        with pytest.raises(ValueError, match=r"works on images \(N, C, H, W\), got inputs of shape"):
            TAKERS[name](model, x, right(model, x))
        return
    holds(TAKERS[name], quiet(TAKERS[name], model, x, right(model, x)), x)


def test_a_suite_is_told_before_it_trains(tmp_path, capsys):
    text = """\
name: few
data: {name: npz, path: few.npz}
models: {net: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 4}
threat_model: {norm: L2, eps: [0.5]}
attacks: [{name: apgd-t, steps: 2}]
"""
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    images = {"x_train": rng.random((12, 8, 8, 3)), "x_test": rng.random((12, 8, 8, 3))}
    np.savez(tmp_path / "few.npz", y_train=y, y_test=y, **images)
    (tmp_path / "few.yaml").write_text(text)
    assert main(["run", str(tmp_path / "few.yaml"), "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "line 6: attacks.0: the targeted DLR loss needs at least 4 classes; few has 3" in said
    assert not (tmp_path / "out").exists()
