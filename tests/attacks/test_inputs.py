"""What people bring to an attack: labels, outputs, arguments, models, contexts. A result, or a sentence."""

import threading
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from lrbench.attacks import (
    APGD,
    FAB,
    FGSM,
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
)
from lrbench.attacks.autoattack import LeftOutWarning
from lrbench.attacks.outputs import OutputError
from lrbench.attacks.regular import LogitsWarning, ModelError
from lrbench.cli import main

EPS = 8 / 255
FEW = {"steps": 5, "targets": 2, "queries": 10}
ATTACKS = {
    "fgsm": FGSM(EPS),
    "iter-fsgm": IterFSGM(EPS),
    "iter-ll-fsgm": IterLLFSGM(EPS),
    "pgd": PGD(EPS, steps=4),
    "pgd-l2": PGD(0.5, steps=4, norm="l2"),
    "apgd-ce": APGD(EPS, steps=5),
    "apgd-t": TargetedAPGD(EPS, steps=5, targets=2),
    "square": Square(EPS, queries=10),
    "square-l2": Square(0.5, queries=10, norm="l2"),
    "fab": FAB(steps=4, targets=2),
    "fab-l2": FAB("l2", steps=4, targets=2),
    "fab-untargeted": FAB(steps=4, targeted=False),
    "deepfool": DeepFool(steps=4),
    "deepfool-linf": DeepFool("linf", steps=4),
    "carlini-wagner": CarliniWagner(steps=5, searches=2, learning_rate=0.05),
    "autoattack": AutoAttack(EPS, **FEW),
    "autoattack-l2": AutoAttack(0.5, norm="l2", **FEW),
    "adaptive-lr": AdaptiveLR(EPS, "1", steps=4),
    "uniform-noise": UniformNoise(EPS, draws=2),
    "gaussian-noise": GaussianNoise(EPS, draws=2),
}
WITHOUT_GRADIENTS = {"square", "square-l2", "uniform-noise", "gaussian-noise"}


@pytest.fixture(params=ATTACKS)
def name(request):
    return request.param


@pytest.fixture
def attack(name):
    return ATTACKS[name]


@pytest.fixture
def net():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(192, 10)).eval()


@pytest.fixture
def x():
    return torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))


def labels(model, x):
    with torch.no_grad():
        return model(x).argmax(dim=1)


FORMS = {
    "int32": lambda y: y.int(),
    "uint8": lambda y: y.to(torch.uint8),
    "a list": lambda y: y.tolist(),
    "a tuple": lambda y: tuple(y.tolist()),
    "numpy": lambda y: y.numpy(),
    "numpy int16": lambda y: y.numpy().astype(np.int16),
    "a column": lambda y: y[:, None],
}


@pytest.mark.parametrize("form", FORMS)
def test_labels_may_be_integers_of_any_kind(attack, net, x, form):
    y = labels(net, x)
    assert torch.equal(attack(net, x, FORMS[form](y)), attack(net, x, y))


WRONG = {
    "float": (lambda y: y.float(), "y must hold classes as integers, got torch.float32"),
    "negative": (lambda y: y - 20, "y must hold classes from 0 to 9, for the model has 10 classes; it holds -"),
    "too large": (lambda y: y + 10, "y must hold classes from 0 to 9, for the model has 10 classes; it holds 1"),
    "one-hot": (lambda y: nn.functional.one_hot(y, 10), "of one-hot labels take y.argmax"),
    "text": (lambda y: [str(each) for each in y], "y must hold one class an input, as integers"),
    "none": (lambda _: None, "y must hold one"),
    "too few": (lambda y: y[:-1], "y must hold one label per example"),
}


@pytest.mark.parametrize("form", WRONG)
def test_what_is_no_label_is_named(attack, net, x, form):
    made, message = WRONG[form]
    with pytest.raises(ValueError, match=message):
        attack(net, x, made(labels(net, x)))


class Wrapped(nn.Module):
    def __init__(self, net, after):
        super().__init__()
        self.net, self.after = net, after

    def forward(self, x):
        return self.after(self.net(x))


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


Named = namedtuple("Named", "logits aux")
SAME = {
    "a tuple of one": lambda z: (z,),
    "a list of one": lambda z: [z],
    "a named tuple": lambda z: Named(z, z * 2),
    "a dict": lambda z: {"logits": z, "hidden": z * 2},
    "a dict of one": lambda z: {"out": z},
    "a dataclass": lambda z: Output(z, z * 2),
    "trailing ones": lambda z: z[:, :, None, None],
}


@pytest.mark.parametrize("form", SAME)
def test_logits_are_taken_out_of_what_holds_them(name, attack, net, x, form):
    y = labels(net, x)
    model = Wrapped(net, SAME[form])
    expected = attack(net, x, y)
    torch.testing.assert_close(attack(model, x, y), expected, msg=name)


@pytest.mark.parametrize(
    ("after", "message"),
    [
        (lambda z: (z, z * 2), "gave a tuple of 2: wrap it so that it gives the logits alone"),
        (lambda z: {"a": z, "b": z}, r"gave a dict of 2 \(a, b\)"),
        (lambda z: z.argmax(dim=1), "gave torch.int64 of shape"),
        (lambda z: z[:, :, None, None].expand(-1, -1, 4, 4), "gave shape"),
        (lambda z: z[:3], "gave shape"),
        (lambda _: None, "gave a NoneType"),
        (lambda z: z * torch.nan, "gives NaN for 4 of the first 4 inputs"),
    ],
)
def test_what_is_no_logits_is_said_to_be_none(attack, net, x, after, message):
    with pytest.raises(OutputError, match=message):
        attack(Wrapped(net, after), x, labels(net, x))


@pytest.mark.parametrize("shape", ["(N, 1)", "(N,)"])
def test_one_logit_is_two_classes(name, attack, x, shape):
    torch.manual_seed(0)
    single = nn.Sequential(nn.Flatten(), nn.Linear(192, 1))
    model = single if shape == "(N, 1)" else Wrapped(single, lambda z: z[:, 0])
    with torch.no_grad():
        y = (single(x)[:, 0] > 0).long()
    if name == "apgd-t":
        with pytest.raises(ValueError, match="needs at least 4 classes; this model has 2"):
            attack(model, x, y)
        return
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x_adv = attack(model, x, y)
    assert any(each.category is LogitsWarning for each in told)
    assert x_adv.shape == x.shape
    if name in {"pgd", "autoattack"}:
        with torch.no_grad():
            assert (single(x_adv)[:, 0] * (2 * y - 1)).mean() < (single(x)[:, 0] * (2 * y - 1)).mean()


@pytest.mark.parametrize(
    "dtype", [torch.float64, torch.float16, torch.bfloat16], ids=lambda each: str(each).removeprefix("torch.")
)
def test_any_precision_of_model_and_input(attack, net, x, dtype):
    model, given = net.to(dtype), x.to(dtype)
    x_adv = attack(model, given, labels(model, given))
    assert x_adv.dtype == dtype
    assert x_adv.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16, torch.bfloat16], ids=str)
@pytest.mark.parametrize("level", [0.0, 1.0])
def test_images_at_the_bounds_in_any_precision(attack, net, x, dtype, level):
    model, given = net.to(dtype), torch.full_like(x, level).to(dtype)
    given[:, :, :4] = 1 - level
    x_adv = attack(model, given, labels(model, given))
    assert x_adv.isfinite().all()
    assert 0 <= x_adv.min() <= x_adv.max() <= 1


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.float16, torch.bfloat16], ids=str)
def test_carlini_wagner_moves_images_at_the_bounds_in_any_precision(net, x, dtype):
    given = (x > 0.5).to(dtype)
    model = net.to(dtype)
    x_adv = CarliniWagner(steps=60, searches=4, learning_rate=0.5, initial_const=1.0)(
        model, given, labels(model, given)
    )
    assert (labels(model, x_adv) != labels(model, given)).all()


@pytest.mark.parametrize("dtype", [torch.float64, torch.float16], ids=str)
def test_model_and_input_of_different_precision(name, attack, net, x, dtype):
    y = labels(net, x)
    x_adv = attack(net.to(dtype), x, y)
    assert x_adv.dtype == torch.float32, name
    assert x_adv.isfinite().all()


class Inplace(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net

    def forward(self, x):
        return self.net(x.sub_(0.5).div_(0.25))


class Viewing(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net = net[1]

    def forward(self, x):
        return self.net(x.view(len(x), -1))


class Locked(nn.Module):
    def __init__(self, net):
        super().__init__()
        self.net, self.norm, self.lock = net, nn.BatchNorm2d(3).eval(), threading.Lock()
        self.file = open("/dev/null")  # noqa: SIM115

    def forward(self, x):
        return self.net(self.norm(x))


class Odd(nn.Module):
    """A convolution with batch norm, and a parameter of five dimensions."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 10)
        self.w = nn.Parameter(torch.zeros(1, 1, 3, 8, 8))

    def forward(self, x):
        return self.fc(self.norm(self.conv(x + self.w[0])).flatten(1))


def same_as(make, like=lambda net: net):
    return make, like


MODELS = {
    "a function": same_as(lambda net: lambda x: net(x)),  # noqa: PLW0108
    "in place": same_as(Inplace, lambda net: nn.Sequential(Shifted(), *net)),
    "view": same_as(Viewing),
    "traced": same_as(lambda net: torch.jit.trace(net, torch.rand(2, 3, 8, 8))),
    "scripted": same_as(torch.jit.script),
    "frozen script": same_as(lambda net: torch.jit.freeze(torch.jit.script(net))),
    "data parallel": same_as(nn.DataParallel),
    "locks and files": same_as(Locked, lambda net: nn.Sequential(nn.BatchNorm2d(3).eval(), *net)),
}


class Shifted(nn.Module):
    def forward(self, x):
        return (x - 0.5) / 0.25


@pytest.mark.parametrize("kind", MODELS)
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_models_of_any_kind(name, attack, net, x, kind):
    make, like = MODELS[kind]
    y = labels(like(net), x)
    before = x.clone()
    if name == "adaptive-lr" and kind in {"a function", "view", "traced", "scripted", "frozen script"}:
        with pytest.raises((ValueError, RuntimeError)):
            attack(make(net), x, y)
        return
    x_adv = attack(make(net), x, y)
    assert torch.equal(x, before)
    if name != "adaptive-lr":
        torch.testing.assert_close(x_adv, attack(like(net), x, y), rtol=1e-3, atol=1e-4)


def test_a_parameter_of_five_dimensions(attack, x, name):
    torch.manual_seed(0)
    model = Odd().eval()
    given = AdaptiveLR(EPS, "conv", steps=4) if name == "adaptive-lr" else attack
    assert given(model, x, labels(model, x)).isfinite().all()


@pytest.mark.parametrize("context", [torch.inference_mode, torch.no_grad, torch.enable_grad])
def test_the_caller_s_modes_do_not_matter(attack, net, x, context):
    y = labels(net, x)
    expected = attack(net, x, y)
    with context():
        inside = attack(net, x, y)
        made_there = attack(net, x.clone(), y.clone())
    assert torch.equal(inside, expected)
    assert torch.equal(made_there, expected)


def test_a_model_made_in_inference_mode_is_named(attack, x):
    with torch.inference_mode():
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
    with pytest.raises(ModelError, match=r"made inside torch.inference_mode\(\)"):
        attack(model, x, torch.zeros(6, dtype=torch.long))


def test_under_the_caller_s_autocast_the_model_alone_is_cast(attack, net, x):
    seen = []

    def noted(logits):
        seen.append(logits.dtype)
        return logits

    y = labels(net, x)
    with torch.autocast("cpu", torch.bfloat16):
        x_adv = attack(Wrapped(net, noted), x, y)
    assert set(seen) == {torch.bfloat16}
    assert x_adv.dtype == torch.float32


def test_a_quantised_model_has_no_gradients(name, attack, net, x):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        model = torch.ao.quantization.quantize_dynamic(net, {nn.Linear}, torch.qint8)
    y = labels(model, x)
    if name in WITHOUT_GRADIENTS:
        assert attack(model, x, y).shape == x.shape
        return
    with pytest.raises(RuntimeError, match="gradient"):
        attack(model, x, y)


def test_a_model_that_does_not_take_the_input_is_named(attack, net):
    with pytest.raises(ModelError, match=r"the model fails on inputs \(3, 4, 4\) of float32: RuntimeError: "):
        attack(net, torch.rand(2, 3, 4, 4), torch.zeros(2, dtype=torch.long))


SPELT = [
    (lambda: PGD("8/255", norm="Linf", steps="3"), lambda: PGD(8 / 255, norm="linf", steps=3)),
    (lambda: PGD(np.float32(0.5), norm="L2", loss="ce"), lambda: PGD(0.5, norm="l2")),
    (lambda: PGD(torch.tensor(0.25), norm=np.inf, loss="CW"), lambda: PGD(0.25, loss="margin")),
    (lambda: DeepFool("Linf"), lambda: DeepFool("linf")),
    (lambda: DeepFool("L_2"), lambda: DeepFool("l2")),
    (lambda: FAB("L2", steps=np.int64(3)), lambda: FAB("l2", steps=3)),
    (lambda: FAB(2), lambda: FAB("l2")),
    (lambda: AutoAttack(EPS, norm="Linf", version="Standard", **FEW), lambda: AutoAttack(EPS, **FEW)),
    (lambda: Square("0.5", norm="L2", queries=10.0), lambda: Square(0.5, norm="l2", queries=10)),
    (lambda: APGD(EPS, loss="DLR", bounds=[0, "1"]), lambda: APGD(EPS, loss="dlr", bounds=(0.0, 1.0))),
    (lambda: IterFSGM("8/255", precision="bf16"), lambda: IterFSGM(8 / 255, precision="bfloat16")),
]


@pytest.mark.parametrize(("spelt", "meant"), SPELT)
def test_arguments_are_read_as_people_write_them(net, x, spelt, meant):
    y = labels(net, x)
    assert torch.equal(spelt()(net, x, y), meant()(net, x, y))


@pytest.mark.parametrize(
    ("make", "error", "message"),
    [
        (lambda: FAB("l1"), ValueError, "norm must be one of linf, l2, got 'l1'"),
        (lambda: PGD(EPS, norm="l3"), ValueError, "norm must be one of linf, l2, got 'l3'"),
        (lambda: PGD(EPS, loss="crossentropi"), ValueError, "did you mean 'cross-entropy'"),
        (lambda: PGD("8/0"), ValueError, "eps must be a number such as 0.03 or '8/255', got '8/0'"),
        (lambda: PGD(True), ValueError, "eps must be a number"),
        (lambda: PGD(None), ValueError, "eps must be a number"),
        (lambda: PGD(float("nan")), ValueError, "eps must be a number"),
        (lambda: PGD(-1), ValueError, "eps must be a finite number >= 0"),
        (lambda: PGD(EPS, steps=2.5), ValueError, "steps must be a whole number, got 2.5"),
        (lambda: PGD(EPS, steps=0), ValueError, "steps must be at least 1"),
        (lambda: PGD(EPS, random_start="no"), ValueError, "random_start must be True or False"),
        (lambda: PGD(EPS, bounds=3), ValueError, r"bounds must be a pair \(low, high\) or None"),
        (lambda: PGD(EPS, step=2), TypeError, "PGD has no argument 'step'; did you mean 'steps'"),
        (PGD, TypeError, "missing a required argument: 'eps'"),
        (
            lambda: AutoAttack(EPS, version="fast"),
            ValueError,
            "version must be one of standard, plus, rand, got 'fast'",
        ),
    ],
)
def test_what_cannot_be_read_is_named(make, error, message):
    with pytest.raises(error, match=message):
        make()


@pytest.mark.parametrize(("classes", "left_out"), [(2, {"apgd-t"}), (3, {"apgd-t"}), (4, set())])
def test_autoattack_uses_the_members_that_apply(x, classes, left_out):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(192, classes))
    made = AutoAttack(EPS, **FEW)
    assert set(made.left_out(classes, (3, 8, 8))) == left_out
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        x_adv = made(model, x, labels(model, x))
    assert [each.category for each in told] == [LeftOutWarning] * bool(left_out)
    assert all("apgd-t, since the targeted DLR loss needs at least 4 classes" in str(each.message) for each in told)
    assert (labels(model, x_adv) != labels(model, x)).any()


@pytest.mark.parametrize("shape", [(29,), (4, 7), (2, 3, 4, 5)], ids=["tabular", "a sequence", "a volume"])
def test_inputs_that_are_no_images(name, attack, shape):
    torch.manual_seed(0)
    model = nn.Sequential(nn.Flatten(), nn.Linear(int(np.prod(shape)), 5)).eval()
    x = torch.rand(6, *shape)
    if name.startswith("square"):
        with pytest.raises(ValueError, match=r"works on images \(N, C, H, W\), got inputs of shape"):
            attack(model, x, labels(model, x))
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LeftOutWarning)
        assert attack(model, x, labels(model, x)).shape == x.shape


BY_RADIUS = {
    "fgsm": FGSM,
    "iter-fsgm": IterFSGM,
    "iter-ll-fsgm": IterLLFSGM,
    "uniform-noise": UniformNoise,
    "gaussian-noise": GaussianNoise,
    "pgd": lambda eps: PGD(eps, steps=3),
    "apgd-ce": lambda eps: APGD(eps, steps=3),
    "apgd-t": lambda eps: TargetedAPGD(eps, steps=3, targets=2),
    "square": lambda eps: Square(eps, 5),
    "autoattack": lambda eps: AutoAttack(eps, **FEW),
}


@pytest.mark.parametrize("by_radius", BY_RADIUS)
def test_a_radius_of_0_moves_nothing(by_radius, net, x):
    assert torch.equal(BY_RADIUS[by_radius](0)(net, x, labels(net, x)), x)


@pytest.mark.parametrize("case", ["none", "one", "all wrong", "black", "white", "ties", "infinite logits"])
def test_edges(attack, net, x, case):
    y = labels(net, x)
    model = net
    if case == "none":
        x, y = x[:0], y[:0]
    elif case == "one":
        x, y = x[:1], y[:1]
    elif case == "all wrong":
        y = (y + 1) % 10
    elif case in {"black", "white"}:
        x = torch.full_like(x, float(case == "white"))
        y = labels(net, x)
    elif case == "ties":
        model = nn.Sequential(nn.Flatten(), nn.Linear(192, 10))
        nn.init.zeros_(model[1].weight)
        nn.init.zeros_(model[1].bias)
        y = torch.zeros(6, dtype=torch.long)
    else:
        model = nn.Sequential(*net, Scaled())
        y = labels(model, x)
    x_adv = attack(model, x, y)
    assert x_adv.shape == x.shape
    assert x_adv.isfinite().all()


class Scaled(nn.Module):
    def forward(self, z):
        return z * torch.tensor(1e30) * 1e30


def test_a_suite_is_told_before_it_trains(tmp_path, capsys):
    text = """\
name: few
data: {name: npz, path: few.npz}
models: {net: {arch: resnet18, width: 4}}
training: {epochs: 1, batch_size: 4}
threat_model: {norm: L2, eps: [0.5]}
attacks: [ATTACK]
"""
    rng = np.random.default_rng(0)
    y = np.arange(12) % 3
    np.savez(
        tmp_path / "few.npz", x_train=rng.random((12, 8, 8, 3)), y_train=y, x_test=rng.random((12, 8, 8, 3)), y_test=y
    )
    (tmp_path / "few.yaml").write_text(text.replace("ATTACK", "{name: apgd-t, steps: 2}"))
    assert main(["run", str(tmp_path / "few.yaml"), "--data-dir", str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    assert "line 6: attacks.0: the targeted DLR loss needs at least 4 classes; few has 3" in said
    assert not (tmp_path / "out").exists()
