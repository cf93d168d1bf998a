"""A change of code that stands in no file, or of what it holds, is noticed; what stays as it was hashes the same."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

from lrbench.models.objects import Handed
from lrbench.runner.code.made import digest_of_made
from lrbench.runner.code.own import own_code

HEAD = """
import abc, collections, decimal, enum, functools, io, random, torch
import numpy as np
from collections.abc import Mapping
from typing import NamedTuple
from torch import nn
torch.manual_seed(0)
"""

DERIVED = {
    "a named tuple": ("NamedTuple", "a: int = 1", "H()"),
    "a named tuple that a call made": ("collections.namedtuple('N', 'a')", "pass", "H(1)"),
    "tuple": ("tuple", "pass", "H([1])"),
    "list": ("list", "pass", "H([1])"),
    "dict": ("dict", "pass", "H(a=1)"),
    "an ordered dict": ("collections.OrderedDict", "pass", "H(a=1)"),
    "a defaultdict": ("collections.defaultdict", "pass", "H(list, a=1)"),
    "set": ("set", "pass", "H([1])"),
    "frozenset": ("frozenset", "pass", "H([1])"),
    "int": ("int", "pass", "H(1)"),
    "float": ("float", "pass", "H(1)"),
    "str": ("str", "pass", "H('a')"),
    "bytes": ("bytes", "pass", "H(b'a')"),
    "an enumeration": ("enum.IntEnum", "A = 1", "H.A"),
    "Tensor": ("torch.Tensor", "pass", "torch.ones(2).as_subclass(H)"),
    "Parameter": ("nn.Parameter", "pass", "H(torch.ones(2))"),
    "ndarray": ("np.ndarray", "pass", "np.ones(2).view(H)"),
    "partial": ("functools.partial", "pass", "H(max, 1)"),
    "deque": ("collections.deque", "pass", "H([1])"),
    "Decimal": ("decimal.Decimal", "pass", "H(1)"),
    "an error": ("Exception", "pass", "H(1)"),
    "Random": ("random.Random", "pass", "H(1)"),
    "Mapping": (
        "Mapping",
        "__getitem__ = lambda self, key: 1\n    __len__ = lambda self: 1\n    __iter__ = lambda self: iter('a')",
        "H()",
    ),
}  # fmt: skip
"""What a class is derived from -> its base, its body, and how one of it is made."""
NO_ATTRIBUTES = {"a named tuple", "an enumeration"}
NO_SLOTS = NO_ATTRIBUTES | {"a named tuple that a call made", "tuple", "int", "bytes"}


def made(source, name="notebook"):
    """Hash what a cell calls f."""
    namespace = {"__name__": name}
    exec(compile(HEAD + source, "<cell>", "exec"), namespace)  # noqa: S102
    return digest_of_made(namespace["f"])


def method_of(kind):
    base, body, new = DERIVED[kind]
    return f"class H({base}):\n    {body}\n    def go(self, x): return x * {{}}\nh = {new}\ndef f(x): return h.go(x)"


def attribute_of(kind, slots=""):
    base, body, new = DERIVED[kind]
    return f"class H({base}):\n    {slots}\n    {body}\nh = {new}\nh.k = {{}}\ndef f(x): return x * h.k"


HELD = {
    "deque": "class H(collections.deque): pass\nh = H([{}])",
    "Decimal": "class H(decimal.Decimal): pass\nh = H({})",
    "an error": "class H(Exception): pass\nh = H({})",
    "Random": "class H(random.Random): pass\nh = H({})",
    "float": "class H(float): pass\nh = H({})",
    "a list that iterates otherwise": "class H(list):\n    def __iter__(self): return iter(())\nh = H([{}])",
    "a dict that lists otherwise": "class H(dict):\n    def items(self): return []\nh = H(a={})",
    "a set that iterates otherwise": "class H(set):\n    def __iter__(self): return iter(())\nh = H([{}])",
    "an ordered dict's order": "h = collections.OrderedDict(a=1, b=1, c=1)\nh.move_to_end('bac'[{}-1])",
    "a partial's attribute": "h = functools.partial(max)\nh.k = {}",
    "a mangled slot": "class H:\n    __slots__ = ('__k',)\n    def __init__(self, k): self.__k = k\nh = H({})",
    "a slot of the same name below": "class A:\n    __slots__ = ('k',)\nclass H(A):\n    __slots__ = ('k',)\nh = H()\n"
    "h.k = 1\nA.k.__set__(h, {})",
    "a metaclass's method": "class M(abc.ABCMeta):\n    def __call__(cls): return {}\nclass h(metaclass=M): pass",
    "a function's attribute": "def h(): return getattr(h, 'k')\nh.k = {}",
}  # fmt: skip

TRY = "def g(x): return x\ndef f(x):\n    try:\n        y = g(x)\n{}    return z\n"
CODE = {
    "else": (TRY, "        z = g(y)\n    except ValueError:\n        z = x\n",
             "    except ValueError:\n        z = x\n    else:\n        z = g(y)\n"),
    "all positional arguments": ("def f({}): return x", "*x", "x"),
    "all keyword arguments": ("def f({}): return x", "**x", "x"),
    "by position alone": ("def f({}): return x", "x, /", "x"),
    "by keyword alone": ("def f({}): return x", "*, x", "x"),
    "a wrapper of a library's function": ("def w(v):\n    @functools.wraps(nn.functional.relu)\n"
                                          "    def g(x): return x * v\n    return g\nf = w({})", "1", "2"),
    "a function in a library's wrapper": ("@torch.no_grad()\ndef f(x): return x * {}", "1", "2"),
    "another function's attribute": ("def g(x): return x\ng.k = {}\ndef f(x): return g.k", "1", "2"),
    "another function's attribute by its name": ("def g(x): return x\ng.k = {}\ndef f(x): return getattr(g, 'k')",
                                                 "1", "2"),
}  # fmt: skip

NETWORKS = {
    "its mode": "net = nn.Dropout()\nnet.train({} > 1)",
    "its part's mode": "net = nn.Sequential(nn.Linear(2, 2), nn.Dropout())\nnet[1].train({} > 1)",
    "a traced one's mode": "net = nn.Sequential(torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2)))\nnet.train({} > 1)",
    "a traced one's weights": "torch.manual_seed({})\nnet = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))",
    "a traced one's code": "net = torch.jit.trace(nn.Threshold(float({}), 0.0), torch.ones(1, 2))",
    "a traced function's code": "net = torch.jit.trace(lambda x: x * {}.123456789, torch.ones(1, 2))",
    "what a traced function holds": "w = torch.ones(50, 50)\nw[20, 20] = {}\n"
    "net = torch.jit.trace(lambda x: x @ w, torch.ones(1, 50))",
    "a scripted one's code": "net = torch.jit.script(nn.LeakyReLU(float({})))",
    "a scripted one's weights": "torch.manual_seed({})\n"
    "net = torch.jit.script(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 3)))",
    "a frozen one's weights": "torch.manual_seed({})\nnet = torch.jit.freeze(torch.jit.script(nn.Linear(2, 2).eval()))",
    "a loaded one's weights": "torch.manual_seed({})\nfile = io.BytesIO()\n"
    "torch.jit.save(torch.jit.script(nn.Linear(2, 2)), file)\nfile.seek(0)\nnet = torch.jit.load(file)",
}

CASES = (
    {f"a method, of {kind}": (method_of(kind), "2", "3") for kind in DERIVED}
    | {f"an attribute, of {kind}": (attribute_of(kind), "2", "3") for kind in DERIVED.keys() - NO_ATTRIBUTES}
    | {f"a slot, of {kind}": (attribute_of(kind, "__slots__ = ('k',)"), "2", "3") for kind in DERIVED.keys() - NO_SLOTS}
    | {f"held: {what}": (f"{cell}\ndef f(): return h", "1", "2") for what, cell in HELD.items()}
    | {f"code: {what}": case for what, case in CODE.items()}
    | {f"network: {what}": (f"{cell}\ndef f(x): return net(x)", "1", "2") for what, cell in NETWORKS.items()}
)


@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("case", sorted(CASES))
def test_a_change_is_noticed_and_the_same_is_the_same(case):
    source, one, other = CASES[case]
    found = [made(source.replace("{}", each)) for each in (one, one, other)]
    assert found[0] == found[1] != found[2]


def test_what_is_typed_into_a_library_s_program_counts(monkeypatch):
    monkeypatch.setattr(sys.modules["__main__"], "__file__", pytest.__file__, raising=False)
    cell = "class H:\n    def go(self): return {}\nh = H()\ndef f(): return h.go()"
    found = [made(cell.replace("{}", each), "__main__") for each in "112"]
    assert found[0] == found[1] != found[2]


def test_another_process_finds_the_same():
    script = (
        "import sys\nsys.path[:0] = sys.argv[1:]\nfrom test_made_changes import *\n"
        "for case in sorted(CASES):\n    print(case, made(CASES[case][0].replace('{}', CASES[case][1])))\n"
    )
    folder = os.path.dirname(__file__)
    printed = []
    for seed in ("1", "2"):
        done = subprocess.run(
            [sys.executable, "-W", "ignore", "-c", script, folder], capture_output=True, text=True, check=False,
            env={**os.environ, "PYTHONHASHSEED": seed},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        printed.append(done.stdout.splitlines())
    assert printed[0] == printed[1]
    assert len(printed[0]) == len(CASES)


def handed(model):
    return own_code(Handed(model)).files


def times(factor):
    return lambda *seen: tuple(each * factor for each in seen[1])


HOOKS = {
    "register_forward_pre_hook": lambda factor: lambda _, x: x[0] * factor,
    "register_forward_hook": lambda factor: lambda *seen: seen[2] * factor,
    "register_full_backward_hook": times,
    "register_full_backward_pre_hook": times,
    "register_backward_hook": times,
}


@pytest.mark.parametrize("inside", [False, True])
@pytest.mark.parametrize("way", HOOKS)
def test_a_hook_counts(way, inside):
    nets = [nn.Sequential(nn.Identity()) for _ in range(5)]
    for net, factor in zip(nets[1:], (1, 1, 2, 2), strict=True):
        handle = getattr(net[0], way)(HOOKS[way](factor))
    handle.remove()
    found = [handed((lambda x, net=net: net(x)) if inside else net) for net in nets]
    assert found[1] == found[2]
    assert found[0] == found[4]
    assert found[0] != found[1] != found[3] != found[0]


@pytest.mark.parametrize(
    ("way", "how"),
    [("register_forward_pre_hook", "with_kwargs"), ("register_forward_hook", "with_kwargs"),
     ("register_forward_hook", "always_call")],
)  # fmt: skip
def test_how_a_hook_is_called_counts(way, how):
    def hook(*_):
        return None

    found = []
    for value in (False, False, True):
        net = nn.Identity()
        getattr(net, way)(hook, **{how: value})
        found.append(handed(net))
    assert found[0] == found[1] != found[2]


@pytest.mark.parametrize("way", [lambda net: net, torch.jit.script])
def test_the_mode_of_what_is_handed_over_does_not_count(way):
    net = way(nn.Sequential(nn.Linear(2, 2), nn.Dropout()))
    assert handed(net.train()) == handed(net.eval())


def test_torchscript_hashes_the_same_after_it_was_used():
    net = torch.jit.trace(nn.Linear(2, 2), torch.ones(1, 2))
    before = handed(net.__call__)
    for _ in range(3):
        net(torch.ones(1, 2)).sum().backward()
    assert handed(net.__call__) == before


def test_a_count_that_a_function_keeps_by_name_changes_nothing():
    def f(x):
        setattr(f, "calls", getattr(f, "calls", 0) + 1)  # noqa: B010
        return x

    before = handed(f)
    f(1)
    assert handed(f) == before


class _Refuses(dict):
    @property
    def __dict__(self):
        msg = "no"
        raise RuntimeError(msg)


def _deep():
    held = []
    for _ in range(5000):
        held = [held]
    return held


@pytest.mark.parametrize("hold", [_Refuses, _deep])
def test_what_cannot_be_hashed_is_measured_anew(hold):
    held = hold()
    assert digest_of_made(lambda: held) != digest_of_made(lambda: held)
