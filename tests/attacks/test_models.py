"""Models of every kind: the table of docs/inputs.md."""

import contextlib
import copy
import os
import threading
import time
import warnings
from functools import cache

import pytest
import torch
from support.forms import CONTEXTS
from support.inputs import rows
from support.models import MODULES, REFUSED_MODULES, Inplace, Shifted, Wrapped, net_of
from support.takers import BLIND, EACH, TAKERS, attack, same
from support.unchanged import differing, everything
from torch import nn

from lrbench.attacks import PGD
from lrbench.attacks import frozen as frozen_module
from lrbench.attacks.frozen import _lent, frozen
from lrbench.attacks.gradients import NoGradientError
from lrbench.attacks.regular import ModelError

X = torch.rand(6, 3, 8, 8, generator=torch.Generator().manual_seed(1))
DTYPES = [torch.float64, torch.float16, torch.bfloat16]
WITHOUT = {*BLIND, "examine", "d_adv"}
"""What needs no gradients; `examine` tells of them instead."""

UNSEEN = {"a function", "a method", "view", "traced", "scripted", "frozen script"}
"""Kinds whose layers have no names, or other names, or are not run through."""


def compiled(net):
    # Else what other tests have compiled decides whether a hook that is added later is run.
    torch.compiler.reset()
    return torch.compile(net, backend="eager")


def shifted(net):
    return nn.Sequential(Shifted(), *net)


KINDS = MODULES | {"compiled": compiled}
TAKEN = {
    "nn.Module, scripted, traced, frozen, compiled, in DataParallel, with locks or files": [
        "a module", "traced", "scripted", "frozen script", "compiled", "data parallel", "locks and files", "hooks",
        "batch norm and dropout"],
    "a function of a batch": ["a function", "a method"],
    "one that writes into its input": ["in place"],
    "one that takes its input for row-major (`view`)": ["view"],
}  # fmt: skip
LIKE = {"in place": shifted, "batch norm and dropout": lambda net: MODULES["batch norm and dropout"](net)}  # noqa: PLW0108
ELSEWHERE = {
    "float64, float16 or bfloat16, x too": "test_any_precision",
    "parameters of another dtype than x": "test_parameters_of_another_dtype",
    "in training mode": "test_training_mode_is_left_for_the_attack_and_given_back",
    "under the caller's `no_grad`, `inference_mode`, autocast, default dtype and device": "test_the_caller_s_modes",
    "made inside `inference_mode`": "test_a_model_made_in_inference_mode_is_named",
    "quantised, or otherwise without gradients": "test_without_gradients",
    "one that fails on x": "test_one_that_fails_is_named",
    "no module and no function": "test_no_model_is_named",
}
"""Rows that have a test of their own."""


@pytest.fixture(params=EACH)
def name(request):
    return request.param


@pytest.fixture
def taker(name):
    return TAKERS[name]


@pytest.fixture
def net():
    return net_of((3, 8, 8), 10)


def right(model, x=X):
    with torch.no_grad():
        return model(x).argmax(dim=1)


def test_the_table_is_what_is_tested_here():
    assert set(dict(rows("Models"))) == TAKEN.keys() | ELSEWHERE.keys()
    assert all(any(each.startswith(test) for each in globals()) for test in ELSEWHERE.values())


@cache
def plain(name, like=None):
    """What a taker gives of a plain network, or of what another kind of model is like."""
    model = net_of((3, 8, 8), 10) if like is None else LIKE[like](net_of((3, 8, 8), 10))
    return TAKERS[name](model, X, right(model))


@cache
def casting(name, kind):
    """What a taker gives of a network whose passes are cast, or not."""
    net = net_of((3, 8, 8), 10)

    def under(x):
        with torch.autocast("cpu", kind):
            return net(x).float()

    return TAKERS[name](Wrapped(net, lambda z: z) if kind is None else Around(net, under), X, right(net))


@pytest.mark.turns("kind", each=3)
@pytest.mark.parametrize("kind", [kind for kinds in TAKEN.values() for kind in kinds])
def test_models_that_are_taken_give_what_the_plain_network_gives(name, taker, net, kind):
    like = LIKE.get(kind, lambda net: net)(net_of((3, 8, 8), 10))
    y = right(like)
    model = KINDS[kind](net)
    before = everything(model, X, y)
    if name in {"adaptive-lr", "d_adv"} and kind in UNSEEN:
        with pytest.raises(ValueError, match="layer"):
            taker(model, X, y)
    elif name == "examine":
        taker(model, X, y)
    else:
        found = taker(model, X, y)
        if name not in {"adaptive-lr", "d_adv"}:
            torch.testing.assert_close(found, plain(name, kind if kind in LIKE else None), rtol=1e-3, atol=1e-4)
    assert not differing(everything(model, X, y), before)


@pytest.mark.turns("dtype")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_any_precision_of_model_and_input(taker, net, dtype):
    model, x = net.to(dtype), X.to(dtype)
    found = taker(model, x, right(model, x))
    if isinstance(found, torch.Tensor):
        assert found.dtype == dtype
        assert found.isfinite().all()


@pytest.mark.turns("dtype")
@pytest.mark.parametrize("dtype", DTYPES, ids=str)
def test_parameters_of_another_dtype_give_what_a_network_that_casts_gives(name, taker, net, dtype):
    y = right(net)
    model = net.to(dtype)

    class Casting(nn.Sequential):
        def forward(self, x):
            return super().forward(x.to(dtype)).to(x)

    found = taker(model, X, y)
    assert same(found, taker(Casting(*model), X, y)), name
    assert not isinstance(found, torch.Tensor) or found.dtype == torch.float32


def test_training_mode_is_left_for_the_attack_and_given_back(name, taker, net):
    model = MODULES["batch norm and dropout"](net)
    y = right(model)
    options = {"layer": "net.1"} if name == "d_adv" else {}
    expected = taker(model, X, y, **options)
    model.train()
    before = everything(model, X, y)
    found = taker(model, X, y, **options)
    assert not differing(everything(model, X, y), before)
    if name == "examine":
        assert ("training-mode", 2.0, True) in found
    else:
        assert same(found, expected)


@pytest.mark.turns("context", each=2)
@pytest.mark.parametrize("context", CONTEXTS)
def test_the_caller_s_modes_do_not_matter(name, taker, net, context):
    y = right(net)
    kind = torch.float16 if context == "autocast to float16" else torch.bfloat16
    expected = casting(name, kind if context.startswith("autocast") else None)
    with CONTEXTS[context]():
        before = everything(net, X, y)
        found = taker(Wrapped(net, lambda z: z), X, y)
        assert not differing(everything(net, X, y), before)
    assert same(found, expected)


class Folding(nn.Module):
    """A convolution with a batch norm, which are folded, and a parameter of five dimensions."""

    def __init__(self):
        super().__init__()
        self.conv, self.norm, self.fc = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Linear(144, 10)
        self.w = nn.Parameter(torch.zeros(1, 1, 3, 8, 8))

    def forward(self, x):
        return self.fc(self.norm(self.conv(x + self.w[0])).flatten(1))


def test_a_parameter_of_five_dimensions_beside_what_is_folded(name):
    torch.manual_seed(0)
    model = Folding().eval()
    taker = attack(name, layer="conv") if name == "adaptive-lr" else TAKERS[name]
    before = everything(model)
    taker(model, X, right(model), **{"layer": "fc"} if name == "d_adv" else {})
    assert not differing(everything(model), before)


class Around(nn.Module):
    """Calls a function, and holds the network that it calls."""

    def __init__(self, net, function):
        super().__init__()
        self.net, self.function = net, function

    def forward(self, x):
        return self.function(x)


def test_inputs_and_labels_made_in_inference_mode(taker, net):
    y = right(net)
    expected = taker(net, X, y)
    with torch.inference_mode():
        x, made = X.clone(), y.clone()
        inside = taker(net, x, made)
    assert same(inside, expected)
    assert same(taker(net, x, made), expected)


def test_what_a_model_holds_that_was_made_in_inference_mode_is_named(net):
    class Lit(nn.Module):
        def __init__(self, *, buffer):
            super().__init__()
            self.net = net
            with torch.inference_mode():
                shift = torch.ones(1, *X.shape[1:])
            if buffer:
                self.register_buffer("shift", shift)
            else:
                self.shift = shift

        def forward(self, x):
            return self.net(x * self.shift)

    for buffer in (True, False):
        with pytest.raises((ModelError, NoGradientError), match=r"made inside torch.inference_mode\(\)"):
            PGD(0.03)(Lit(buffer=buffer), X, right(net))


def test_a_model_made_in_inference_mode_is_named(taker, net):
    with pytest.raises(ModelError, match=r"made inside torch.inference_mode\(\)"):
        taker(REFUSED_MODULES["made in inference mode"](net), X, right(net))


@pytest.mark.parametrize("kind", ["quantised", "detached"])
def test_without_gradients_those_that_need_them_refuse(name, taker, net, kind):
    model = REFUSED_MODULES["quantised"](net) if kind == "quantised" else Wrapped(net, lambda z: z.detach())
    y = right(model)
    gradients = pytest.raises(NoGradientError, match="no gradient") if name not in WITHOUT else contextlib.nullcontext()
    with warnings.catch_warnings(), gradients:
        warnings.simplefilter("error")
        found = taker(model, X, y)
    if name == "examine":
        assert ("gradients", 1.0, True) in found


def test_one_that_fails_on_the_way_back_is_said_to(name, taker, net):
    class Failing(torch.autograd.Function):
        @staticmethod
        def forward(_ctx, z):
            return z * 1

        @staticmethod
        def backward(_ctx, _gradient):
            msg = "no way\nback"
            raise RuntimeError(msg)

    model = Wrapped(net, Failing.apply)
    y = right(model)
    if name in WITHOUT:
        found = taker(model, X, y)
        assert name != "examine" or ("gradients", 1.0, True) in found
        return
    with pytest.raises(NoGradientError, match="the model fails in its backward pass: RuntimeError: no way back"):
        taker(model, X, y)


def test_one_that_fails_is_named(taker, net):
    with pytest.raises(ModelError, match=r"the model fails on inputs \(3, 4, 4\) of float32: RuntimeError: "):
        taker(net, torch.rand(2, 3, 4, 4), torch.zeros(2, dtype=torch.long))


@pytest.mark.parametrize("model", ["resnet18", None, {"weight": 1}])
def test_no_model_is_named(taker, model):
    with pytest.raises(TypeError, match=r"model must be a torch\.nn\.Module or a function of a batch, got "):
        taker(model, X, torch.zeros(6, dtype=torch.long))


def test_writing_into_its_input_changes_no_input(taker, net):
    x, y = X.clone(), right(shifted(net_of((3, 8, 8), 10)))
    with contextlib.suppress(ValueError):
        taker(Inplace(net), x, y)
    assert torch.equal(x, X)


class Stubborn(nn.Module):
    """Refuses to be put into evaluation mode, or is interrupted there."""

    def __init__(self, error):
        super().__init__()
        self.first, self.error = nn.Sequential(nn.Linear(2, 2), nn.Dropout()), error

    def train(self, mode=True):
        super().train(mode)
        if not mode:
            raise self.error
        return self


@pytest.mark.parametrize("error", [KeyboardInterrupt(), ValueError("no")], ids=repr)
def test_a_model_is_given_back_though_lending_it_was_interrupted(error):
    model = Stubborn(error)
    with pytest.raises(type(error)), frozen(model):
        pass
    assert all(module.training for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
    assert not _lent


@pytest.mark.skipif(not hasattr(os, "fork"), reason="nothing is forked here")
def test_a_forked_process_waits_for_no_thread_of_the_other():
    with frozen_module._lock:
        holder = threading.Thread(target=frozen_module._lock.acquire)
        holder.start()
    holder.join(10)  # it has the lock, and will never release it
    process = os.fork()
    if not process:
        with frozen(nn.Linear(2, 2)):
            os._exit(7)
    deadline = time.monotonic() + 20
    while (ended := os.waitpid(process, os.WNOHANG)) == (0, 0) and time.monotonic() < deadline:
        time.sleep(0.01)
    if ended == (0, 0):
        os.kill(process, 9)
        os.waitpid(process, 0)
    frozen_module._forget()
    assert os.waitstatus_to_exitcode(ended[1]) == 7
    assert ended != (0, 0)


def test_threads_that_have_a_model_at_the_same_time_give_it_back_as_it_was(small_net):
    model = small_net.train()
    model.bn1.eval()
    model.fc.bias.requires_grad_(False)
    before = copy.deepcopy(model.state_dict())
    modes = [module.training for module in model.modules()]
    flags = [parameter.requires_grad for parameter in model.parameters()]
    seen, inside, may_leave = [], threading.Event(), threading.Event()

    def first():
        with frozen(nn.Sequential(model)):
            inside.set()
            may_leave.wait(10)

    def second():
        inside.wait(10)
        with frozen(model):
            may_leave.set()
            other.join(10)
            seen.append(any(module.training for module in model.modules()))
            model(torch.rand(4, 3, 8, 8))
            with frozen(model):
                pass
            seen.append(any(parameter.requires_grad for parameter in model.parameters()))

    other, one = threading.Thread(target=first), threading.Thread(target=second)
    other.start()
    one.start()
    one.join(20)
    assert seen == [False, False]
    assert [module.training for module in model.modules()] == modes
    assert [parameter.requires_grad for parameter in model.parameters()] == flags
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not _lent
