"""The LR-Layer's update in dense and in factored form, side by side; and what LR-Layers add to a training step.

    python -m benchmarks.lowrank [--device cpu] [--rounds 3] [--sizes 512x50 2048x50 ...] [--no-training]

Every form makes the whole update: from W and a batch X (n = 512 rows) to the gradient step to the projected W. Forms
take turns in each round; a time is the median over rounds of the mean of 16 updates (dense forms: of one, and none
where their m x m matrices do not fit), 16 being the period after which the factor is refreshed. Memory is what a fresh
process needs beyond W and X. Errors are relative, in Frobenius norm, of one update from the same W and X: of `exact`
and `subspace` against a decomposition in float64 (of the m x m matrix up to m = 4,096, of the factored form beyond), of
`nystrom` against the dense form with the same columns.
"""

import argparse
import multiprocessing
import statistics
import time

import torch
from torch import nn

from benchmarks import dense
from benchmarks.machine import describe, peak_memory
from lrbench.lowrank import attach_lr_layers
from lrbench.lowrank.factors import LowRank
from lrbench.lowrank.interpolation import followed
from lrbench.lowrank.layer import REFRESH
from lrbench.lowrank.projection import Exact, Nystrom, Subspace
from lrbench.lowrank.step import gradient_step
from lrbench.models.resnet import resnet18

N = 512
FORMS = ("dense nystrom", "dense eigh", "nystrom", "exact", "subspace")
LARGEST_EIGH = 4096
LARGEST_DENSE = 16_384


def activations(m, k, seed, device, n=N):
    """Rectified rows around a 2k-dimensional subspace, norms of about 30."""
    mixing = torch.randn(2 * k, m, generator=torch.Generator().manual_seed(1)).to(device)
    generator = torch.Generator().manual_seed(seed)
    X = torch.randn(n, 2 * k, generator=generator).to(device) @ mixing / (2 * k) ** 0.5
    X = (X + 0.3 * torch.randn(n, m, generator=generator).to(device)).relu()
    return 30 * X / X.norm(dim=1).mean()


def start(m, k, device):
    """Give a projector onto k random directions, as a layer that has seen many batches nearly is."""
    directions = torch.randn(m, k, generator=torch.Generator().manual_seed(0)).to(device)
    return LowRank.from_factor(torch.linalg.qr(directions)[0])


def columns_of(m, k, device):
    return torch.randperm(m, generator=torch.Generator().manual_seed(2))[: min(2 * k, m)].to(device)


def factored_update(W, X, projection, count):
    step = gradient_step(W, X, X @ W.rows.T, 1.0)
    projected = projection(step, count)
    W = followed(step, projected.coefficients, projected.gram)
    return W.refreshed() if count % REFRESH == 0 else W


class Form:
    """One form of the update with a W of its own."""

    def __init__(self, name, m, k, device):
        self.name, self.rank = name, k
        self.columns = columns_of(m, k, device)
        self.count = 0
        self.is_dense = name.startswith("dense")
        self.updates = 1 if self.is_dense else REFRESH
        projections = {
            "nystrom": Nystrom(len(self.columns)),
            "exact": Exact(),
            "subspace": Subspace(bound=float("inf")),
        }
        self.projection = projections.get(name)
        W = start(m, k, device)
        self.W = W.dense() if self.is_dense else W

    def update(self, X):
        self.count += 1
        if self.name == "dense nystrom":
            self.W = dense.nystrom_update(self.W, X, self.columns, self.rank)
        elif self.name == "dense eigh":
            self.W = dense.eigh_update(self.W, X, self.rank)
        else:
            self.W = factored_update(self.W, X, self.projection, self.count)

    def seconds(self, batches, device):
        synchronise(device)
        begin = time.perf_counter()
        for index in range(self.updates):
            self.update(batches[index % len(batches)])
        synchronise(device)
        return (time.perf_counter() - begin) / self.updates


def synchronise(device):
    if device == "cuda":
        torch.cuda.synchronize()


def times(m, k, device, rounds):
    batches = [activations(m, k, seed, device) for seed in range(4)]
    largest = {"dense eigh": LARGEST_EIGH, "dense nystrom": LARGEST_DENSE}
    found = {name: [] for name in FORMS if m <= largest.get(name, m)}
    forms = {name: Form(name, m, k, device) for name in found}
    for form in forms.values():
        form.update(batches[0])
    for _ in range(rounds):
        for name, form in forms.items():
            found[name].append(form.seconds(batches, device))
    return {name: statistics.median(seconds) for name, seconds in found.items()}


def memory_of(name, m, k, device, answers):
    """Peak memory of one update beyond W and X, MiB."""
    X = activations(m, k, 0, device)
    small = Form(name, 256, 8, device)
    small.update(activations(256, 8, 0, device))
    form = Form(name, m, k, device)
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
        before = torch.cuda.memory_allocated()
        form.update(X)
        answers.put((torch.cuda.max_memory_allocated() - before) / 1024**2)
        return
    with open("/proc/self/clear_refs", "w", encoding="ascii") as file:
        file.write("5")  # resets VmHWM to what is resident now
    before = peak_memory()
    form.update(X)
    answers.put(1024 * (peak_memory() - before))


def in_fresh_process(function, *arguments):
    context = multiprocessing.get_context("spawn")
    answers = context.Queue()
    process = context.Process(target=function, args=(*arguments, answers))
    process.start()
    answer = answers.get()
    process.join()
    return answer


def relative(found, expected):
    return (torch.linalg.matrix_norm(found - expected) / torch.linalg.matrix_norm(expected)).item()


def errors(m, k, device, largest_eigh=LARGEST_EIGH):
    X, columns = activations(m, k, 0, device), columns_of(m, k, device)
    if m <= largest_eigh:
        truth = dense.eigh_update(start(m, k, device).dense().double(), X.double(), k)
    else:
        W = start(m, k, device)
        W = LowRank(W.rows.double(), W.mix.double(), W.gram.double())
        truth = factored_update(W, X.double(), Exact(), 1).dense()
    found = {
        name: relative(factored_update(start(m, k, device), X, projection, 1).dense().double(), truth)
        for name, projection in {"exact": Exact(), "subspace": Subspace(bound=float("inf"))}.items()
    }
    del truth
    expected = dense.nystrom_update(start(m, k, device).dense(), X, columns, k)
    found["nystrom"] = relative(factored_update(start(m, k, device), X, Nystrom(columns), 1).dense(), expected)
    return found


def update_table(sizes, device, rounds):
    print("| m, k | form | time | against dense nystrom | memory | error |\n| --- | --- | ---: | ---: | ---: | ---: |")
    for m, k in sizes:
        found = times(m, k, device, rounds)
        error = errors(m, k, device) if m <= LARGEST_DENSE else {}
        for name, seconds in found.items():
            memory = in_fresh_process(memory_of, name, m, k, device)
            ratio = f"{found['dense nystrom'] / seconds:.1f}x" if "dense nystrom" in found else ""
            shown = f"{error[name]:.0e}" if name in error else ""
            print(f"| {m:,}, {k:,} | {name} | {1000 * seconds:,.1f} ms | {ratio} | {memory:,.0f} MiB | {shown} |")


class Training:
    """Training steps of ResNet-18 (width 64) on random images, with LR-Layers or without."""

    def __init__(self, ranks, device, batch, *, width=64, mixed=None, compiled=False):
        torch.manual_seed(0)
        self.device = device
        self.mixed = device == "cuda" if mixed is None else mixed
        self.net = resnet18(10, 3, width).to(device, memory_format=torch.channels_last).train()
        if ranks:
            attach_lr_layers(self.net, ranks, projection="subspace" if device == "cuda" else "exact")
        self.run = torch.compile(self.net) if compiled else self.net
        self.optimizer = torch.optim.SGD(self.net.parameters(), 0.01, momentum=0.9)
        self.x = torch.randn(batch, 3, 32, 32, device=device).to(memory_format=torch.channels_last)
        self.y = torch.randint(10, (batch,), device=device)

    def step(self):
        with torch.autocast(self.device, torch.bfloat16, enabled=self.mixed):
            loss = nn.functional.cross_entropy(self.run(self.x), self.y)
        layers = getattr(self.net, "lr_layers", None)
        if layers is not None:
            loss = loss + layers.penalty()
        self.optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(self.net.parameters(), 5.0)
        self.optimizer.step()
        if layers is not None:
            layers.update()

    def seconds(self, count):
        synchronise(self.device)
        begin = time.perf_counter()
        for _ in range(count):
            self.step()
        synchronise(self.device)
        return (time.perf_counter() - begin) / count


def training_table(device, rounds):
    batch = 512 if device == "cuda" else 128
    count = 32 if device == "cuda" else 2
    variants = {
        "normal": Training({}, device, batch),
        "1-LR (avgpool: 512, 50)": Training({"avgpool": 50}, device, batch),
        "2-LR (layer3: 16,384, 1,000 as well)": Training({"layer3": 1000, "avgpool": 50}, device, batch),
    }
    for training in variants.values():
        training.seconds(3 if device == "cuda" else 1)
    seconds = {name: [] for name in variants}
    for _ in range(rounds):
        for name, training in variants.items():
            seconds[name].append(training.seconds(count))
    print(f"\n| step of ResNet-18, width 64, batch {batch} | time | against normal |\n| --- | ---: | ---: |")
    for name, values in seconds.items():
        ratios = [value / normal for value, normal in zip(values, seconds["normal"], strict=True)]
        print(f"| {name} | {1000 * statistics.median(values):,.1f} ms | {statistics.median(ratios):.3f} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--sizes", nargs="*", default=["512x50", "2048x50", "4096x250", "16384x1000"], metavar="MxK")
    parser.add_argument("--no-training", action="store_true")
    arguments = parser.parse_args()
    print(describe(arguments.device), end="\n\n")
    sizes = [tuple(int(part) for part in size.split("x")) for size in arguments.sizes]
    if sizes:
        update_table(sizes, arguments.device, arguments.rounds)
    if not arguments.no_training:
        training_table(arguments.device, 2 * arguments.rounds + 1)


if __name__ == "__main__":
    main()
