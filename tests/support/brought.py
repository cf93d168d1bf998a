"""What people bring as a model: a factory for each oddity, in a file of a user's. Copied to where a test works."""

# ruff: noqa: ARG001, ARG005, PLW0108

import os
import threading
import warnings
from collections import namedtuple
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

warnings.filterwarnings("ignore", message=".*torch.jit")


def net(classes=10):
    """The same network each time, from (N, 1, 8, 8)."""
    with torch.random.fork_rng():
        torch.manual_seed(0)
        return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, classes))


class Around(nn.Module):
    """The network, with something done to what it gives or is given, or something held."""

    def __init__(self, inner=None, after=lambda z: z, before=lambda x: x, held=None):
        super().__init__()
        self.net, self.after, self.before, self.held = net() if inner is None else inner, after, before, held

    def forward(self, x):
        return self.after(self.net(self.before(x)))


@dataclass
class Output:
    logits: torch.Tensor
    hidden: torch.Tensor


Named = namedtuple("Named", "logits aux")


class Volume(Around):
    """Parameters of three and five dimensions beside a batch norm."""

    def __init__(self):
        super().__init__()
        self.norm = nn.BatchNorm2d(1)
        self.volume, self.sequence = nn.Parameter(torch.zeros(1, 1, 4, 8, 8)), nn.Parameter(torch.zeros(2, 3, 4))

    def forward(self, x):
        return self.net(self.norm(x)) + self.volume.sum() + self.sequence.sum()


class Forced(Around):
    def forward(self, x):
        self.train()
        return super().forward(x)


class Buffers(nn.Module):
    def __init__(self):
        super().__init__()
        for name, parameter in net().named_parameters():
            self.register_buffer(name.replace(".", "_"), parameter.detach())

    def forward(self, x):
        return (x.flatten(1) @ self.get_buffer("1_weight").T + self.get_buffer("1_bias")).relu() @ self.get_buffer(
            "3_weight"
        ).T + self.get_buffer("3_bias")


class Tied(Around):
    def __init__(self):
        super().__init__()
        self.twin = nn.Linear(64, 16)
        self.twin.weight = self.net[1].weight


class Extra(Around):
    def get_extra_state(self):
        return {"seen": 3}

    def set_extra_state(self, state):
        pass


class Own(Around):
    """Answers for its modules itself."""

    def get_submodule(self, target):
        raise RuntimeError(target)


class Endless(Around):
    def forward(self, x):
        return self.forward(x)


def predict(x, inner=net()):  # noqa: B008
    return inner(x)


def decide(x):
    """Decides, and has no gradients."""
    with torch.no_grad():
        return torch.from_numpy(np.eye(10, dtype=np.float32)[predict(x).argmax(dim=1).numpy()])


def hooked():
    found = Around()
    found.net[1].register_forward_hook(lambda module, given, output: output * 1.0)
    found.net[1].register_full_backward_pre_hook(lambda module, gradients: None)
    return found


def parametrised():
    found = Around()
    nn.utils.parametrizations.weight_norm(found.net[1])
    return found


def raising(error):
    def act(*_, **__):
        raise error

    return act


def given(make):
    return lambda num_classes, in_channels: make()


def forward(act):
    """Acts in its forward pass."""
    return given(lambda: Around(before=lambda x: (act(x), x)[1]))


def output(change):
    return given(lambda: Around(after=change))


def needs_more(width, num_classes, in_channels):
    return net()


def one_argument(images):
    return net()(images)


def without_arguments():
    return Around()


def of_classes_alone(num_classes):
    return Around(net(num_classes))


GLOBAL = net()
NUMBER = 7


def quantise():
    with warnings.catch_warnings(action="ignore", category=DeprecationWarning):
        return Around(torch.ao.quantization.quantize_dynamic(net(), {nn.Linear}, torch.qint8))


SAME = {
    "plain": given(Around),
    "trailing": output(lambda z: z[:, :, None, None]),
    "tuple-of-one": output(lambda z: (z,)),
    "dict": output(lambda z: {"logits": z, "hidden": z * 2}),
    "dataclass": output(lambda z: Output(z, z)),
    "named-tuple": output(lambda z: Named(z, z)),
    "numpy": output(lambda z: z.detach().numpy()),
    "numpy-float64": output(lambda z: z.detach().numpy().astype(float)),
    "probabilities": output(lambda z: z.softmax(dim=1)),
    "detached": output(lambda z: z.detach()),
    "float64": given(lambda: Around().double()),
    "scripted": given(lambda: torch.jit.script(net())),
    "traced": given(lambda: torch.jit.trace(net(), torch.zeros(2, 1, 8, 8))),
    "frozen-script": given(lambda: torch.jit.freeze(torch.jit.script(net().eval()))),
    "compiled": given(lambda: torch.compile(Around())),
    "parallel": given(lambda: nn.DataParallel(Around())),
    "without-requires-grad": given(lambda: Around().requires_grad_(False)),
    "holds-lock": given(lambda: Around(held=threading.Lock())),
    "holds-file": given(lambda: Around(held=open(os.devnull))),  # noqa: SIM115
    "holds-generator": given(lambda: Around(held=(each for each in "ab"))),
    "holds-torch-generator": given(lambda: Around(held=torch.Generator())),
    "holds-local": given(lambda: Around(held=threading.local())),
    "volume": given(Volume),
    "writes-to-its-input": given(lambda: Around(before=lambda x: x.mul_(2).div_(2))),
    "function": given(lambda: predict),
    "lambda": given(lambda: lambda x: predict(x)),
    "decision": given(lambda: decide),
    "numpy-of-its-input": given(lambda: lambda x: predict(torch.from_numpy(x.numpy())).detach().numpy()),
    "buffers-alone": given(Buffers),
    "hooked": given(hooked),
    "tied": given(Tied),
    "parametrised": given(parametrised),
    "extra-state": given(Extra),
    "own-submodules": given(Own),
    "forced-to-train": given(Forced),
    "prints": forward(lambda x: print("hello\nand more")),
    "warns": forward(lambda x: warnings.warn("look out", stacklevel=1)),
    "no-arguments": without_arguments,
    "classes-alone": of_classes_alone,
}
"""What computes what the plain network does, and is measured as that is."""

NEAR = {
    "float16": given(lambda: Around().half()),
    "bfloat16": given(lambda: Around().bfloat16()),
    "quantised": given(quantise),
    "dropout": given(lambda: Around(nn.Sequential(*net(), nn.Dropout(0.5)))),
    "random": output(lambda z: z + 1e-3 * torch.rand_like(z)),
    "no-parameters": given(
        lambda: Around(nn.Sequential(nn.Flatten(), *(nn.Identity() for _ in range(3))), after=lambda z: z[:, 20:30])
    ),
}
"""What is measured, with figures of its own."""

REFUSED = {
    "constructor-raises": (raising(ValueError("bad\nconstructor")), "bad constructor"),
    "forward-raises": (forward(raising(KeyError("nowhere"))), "KeyError: 'nowhere'"),
    "forward-asserts": (forward(raising(AssertionError())), "AssertionError"),
    "endless": (given(Endless), "maximum recursion depth"),
    "seven-classes": (given(lambda: net(7)), "(2, 7)"),
    "one-logit": (output(lambda z: z[:, :1]), "(2, 2)"),
    "three-dimensions": (output(lambda z: z[:, :, None].expand(-1, -1, 5)), "gave shape (2, 10, 5)"),
    "one-too-few": (output(lambda z: z[1:]), "gave shape (1, 10)"),
    "a-number": (output(lambda z: z.sum()), "gave shape ()"),
    "tuple-of-two": (output(lambda z: (z, z)), "gave a tuple of 2"),
    "dict-without-logits": (output(lambda z: {"a": z, "b": z}), "gave a dict of 2 (a, b)"),
    "nothing": (output(lambda z: None), "gave a NoneType"),
    "text": (output(lambda z: "cat"), "gave a str"),
    "classes": (output(lambda z: z.argmax(dim=1)), "classes rather than logits?"),
    "bool": (output(lambda z: z > 0), "gave torch.bool"),
    "complex": (output(lambda z: z.to(torch.complex64)), "gave torch.complex64"),
    "generates": (given(lambda: lambda x: (each for each in x)), "gave a generator"),
    "a-class": (given(lambda: Around), "gives the class Around"),
    "gives-none": (given(lambda: None), "gives NoneType"),
    "gives-text": (given(lambda: "resnet18"), "gives str"),
    "gives-list": (given(lambda: [net()]), "gives list"),
    "gives-state": (given(lambda: net().state_dict()), "gives OrderedDict"),
    "no-forward": (given(lambda: nn.ModuleList([net()])), "missing the required"),
    "lazy": (given(lambda: nn.Sequential(nn.Flatten(), nn.LazyLinear(10))), "run it once before giving it back"),
    "meta": (given(lambda: net().to("meta")), "meta"),
    "inference": (given(lambda: torch.inference_mode()(net)()), "made inside torch.inference_mode()"),
    "other-size": (given(lambda: nn.Sequential(nn.Flatten(), nn.Linear(3072, 10))), "2x64 and 3072x10"),
    "other-channels": (given(lambda: nn.Sequential(nn.Conv2d(3, 10, 8), nn.Flatten())), "to have 3 channels"),
    "needs-more": (needs_more, "width: is required here"),
    "one-argument": (one_argument, "images: is required here"),
    "a-network": (GLOBAL, "is a network; name a function that makes one"),
    "a-number-of-a-file": (NUMBER, "has no function"),
    "built-in": (print, "cannot be built"),
}
"""What is refused, and words of the line that says so."""

if not torch.cuda.is_available():
    REFUSED["needs-cuda"] = (given(lambda: net().cuda()), "NVIDIA")
    REFUSED["moves-to-cuda"] = (forward(lambda x: x.cuda()), "NVIDIA")

for name, made in (SAME | NEAR | {name: made for name, (made, _) in REFUSED.items()}).items():
    globals()[name.replace("-", "_")] = made
