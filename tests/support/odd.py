"""Models that do what a model should not, one way each, and one that would notice: as a user's files."""

FILE = '''\
import os
import random
import signal
import sys
import threading
import time
import warnings

import numpy as np
import torch
from torch import nn


def net(classes):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Dropout(0.2), nn.Linear(16, classes))


class Fine(nn.Module):
    """Everything that the others change changes what it computes, or fails it."""

    def __init__(self, classes):
        super().__init__()
        self.net = net(classes)

    def forward(self, x):
        warnings.warn("of no weight", stacklevel=1)
        with open("shift.txt") as file:
            shift = float(file.read()) + float(os.environ.get("LRBENCH_ODD", 0))
        noise = random.random() + np.random.rand() + torch.rand(1).item()
        more = torch.get_num_threads() + torch.are_deterministic_algorithms_enabled() + sys.getrecursionlimit()
        more += sys.path.count("odd")
        np.log(np.zeros(1))
        tenth = float(torch.full((1,), 0.1).sum())
        return self.net(x * (1 + 0.01 * noise + shift)) + 1e-3 * tenth + 1e-6 * more


class Odd(nn.Module):
    def __init__(self, classes, how):
        super().__init__()
        self.net, self.how = net(classes), how

    def forward(self, x):
        if self.training:
            (DEADLY | LASTING).get(self.how, lambda: None)()
        CHANGES.get(self.how, lambda: None)()
        return self.net(x.to(self.net[1].weight.dtype))


def loop():
    while True:
        time.sleep(0.01)


def seeds():
    random.seed(5)
    np.random.seed(5)
    torch.manual_seed(5)


def leave():
    os.chdir(os.path.join(os.path.dirname(__file__), "elsewhere"))


def output():
    print("one line\\\\rand another")
    print("an error", file=sys.stderr)
    os.write(1, b"from below\\n")
    sys.stdout = open(os.devnull, "w")


def arithmetic():
    np.seterr(all="raise")
    torch.set_flush_denormal(True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.enabled = False


def interpreter():
    sys.setrecursionlimit(5000)
    sys.path.insert(0, "odd")
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def thread():
    def reseed():
        while True:
            random.seed(0)
            time.sleep(0.0001)

    threading.Thread(target=reseed, daemon=True).start()


CHANGES = {
    "prints": output,
    "chdir": leave,
    "dtype": lambda: torch.set_default_dtype(torch.float64),
    "threads": lambda: torch.set_num_threads(3),
    "deterministic": lambda: torch.use_deterministic_algorithms(True),
    "seeds": seeds,
    "gradients": lambda: torch.set_grad_enabled(False),
    "warnings": lambda: warnings.simplefilter("error"),
    "environment": lambda: os.environ.update(LRBENCH_ODD="1", OMP_NUM_THREADS="7"),
    "arithmetic": arithmetic,
    "interpreter": interpreter,
}
LASTING = {"replaces": lambda: setattr(np.random, "rand", lambda: 0.5), "thread": thread}
DEADLY = {
    "exit-0": lambda: sys.exit(0),
    "exit-1": lambda: sys.exit(1),
    "os-exit": lambda: os._exit(0),
    "segfault": lambda: os.kill(os.getpid(), signal.SIGSEGV),
    "loop": loop,
    "interrupt": lambda: (_ for _ in ()).throw(KeyboardInterrupt),
}
BUILDING = {"build-exit": lambda: sys.exit(0), "build-os-exit": lambda: os._exit(3)}


def fine(num_classes, in_channels):
    return Fine(num_classes)


def odd(num_classes, in_channels, how: str):
    (BUILDING | CHANGES).get(how, lambda: None)()
    return Odd(num_classes, how)
'''

IMPORTED = """\
import os
import random
import warnings

import numpy as np
import torch

warnings.simplefilter("error")
torch.set_default_dtype(torch.float64)
torch.set_num_threads(3)
os.environ["LRBENCH_ODD"] = "1"
random.seed(5)
np.random.seed(5)
np.seterr(all="raise")
print("imported")


def build(num_classes, in_channels):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, num_classes))
"""

ONLY_ELSEWHERE = """\
import multiprocessing
import sys

from torch import nn

if multiprocessing.parent_process() is not None:
    WHAT


def build(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, num_classes))
"""
