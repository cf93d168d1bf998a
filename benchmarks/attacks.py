"""Iter-FSGM and PGD beside ART, foolbox and torchattacks, on the same model and images, in turns.

    python -m benchmarks.attacks [--device cpu] [--width 16] [--images 128] [--steps 10] [--rounds 7] [--data-dir DIR]

All attack the same images of a ResNet-18 trained for the purpose, by `steps` sign gradient steps, in float32 unless a
row says otherwise. The floor is what no attack of this kind can do without: `steps` forward passes and input gradients
of the plain model. A time is the median over rounds after one to warm up. Each peer's images are compared with ours:
accuracy of the model on them, and the share of pixels that differ (folded batch norm rounds differently, which can turn
the sign of a gradient near zero).
"""

import argparse
import statistics
import time
from pathlib import Path

import foolbox
import torch
import torchattacks
from art.attacks.evasion import BasicIterativeMethod, ProjectedGradientDescentPyTorch
from art.estimators.classification import PyTorchClassifier
from torch import nn

from benchmarks.machine import describe
from lrbench.attacks import PGD, IterFSGM
from lrbench.data import to_unit
from lrbench.data.folder import image_folder
from lrbench.data.sources import digits
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

EPS = 8 / 255


def make_model(given: argparse.Namespace):
    if given.data_dir:
        data = image_folder(Path(given.data_dir), train=4000, test=max(given.images, 200), path="cifar10-jpeg")
    else:
        data = digits(Path(), train=None, test=None)
    device = torch.device(given.device)
    with seeded(0, deterministic=False):
        model = Classifier(resnet18(10, data.channels, given.width), *data.statistics)
        model = model.to(device, memory_format=torch.channels_last)
        train(model, data.train.to(device), Training(epochs=4, batch_size=128, precision="bfloat16"), seed=0)
    split = data.test.to(device)
    repeats = -(-given.images // len(split))
    images = to_unit(split.images).repeat(repeats, 1, 1, 1)[: given.images].contiguous()
    return model.eval(), images, split.labels.repeat(repeats)[: given.images]


def attacks_of(model, shape, given: argparse.Namespace):
    """Forms by name: functions of images and labels; peers get a model in the ordinary memory format."""
    step, steps = EPS, given.steps
    plain = Classifier(model.net, model.mean.flatten().tolist(), model.std.flatten().tolist()).to(given.device)
    plain = plain.to(memory_format=torch.contiguous_format).eval()
    peer = foolbox.PyTorchModel(plain, (0, 1), device=given.device)
    art = PyTorchClassifier(
        plain, nn.CrossEntropyLoss(), shape, 10, clip_values=(0.0, 1.0),
        device_type="gpu" if given.device.startswith("cuda") else "cpu",
    )  # fmt: skip

    def floor(x, y):
        for _ in range(steps):
            x = x.detach().requires_grad_()
            torch.autograd.grad(nn.functional.cross_entropy(plain(x), y), x)
        return x.detach()

    def through_foolbox(attack):
        return lambda x, y: attack(peer, x, y, epsilons=EPS)[1]

    def through_art(attack):
        def run(x, y):
            found = attack.generate(x.cpu().numpy(), nn.functional.one_hot(y, 10).cpu().numpy())
            return torch.from_numpy(found).to(x.device)

        return run

    options = {"eps": EPS, "eps_step": step, "max_iter": steps, "batch_size": given.images, "verbose": False}
    half = {"precision": "bfloat16"}
    iterated = {
        "lrbench": lambda x, y: IterFSGM(EPS, step, steps)(model, x, y),
        "lrbench, bfloat16 gradients": lambda x, y: IterFSGM(EPS, step, steps, **half)(model, x, y),
        "torchattacks": torchattacks.BIM(plain, eps=EPS, alpha=step, steps=steps),
        "foolbox": through_foolbox(foolbox.attacks.LinfBasicIterativeAttack(abs_stepsize=step, steps=steps)),
        "ART": through_art(BasicIterativeMethod(art, **options)),
        "floor": floor,
    }
    options |= {"num_random_init": 1, "eps_step": EPS / 4}
    pgd = {
        "lrbench": lambda x, y: PGD(EPS, EPS / 4, steps)(model, x, y),
        "lrbench, bfloat16 gradients": lambda x, y: PGD(EPS, EPS / 4, steps, **half)(model, x, y),
        "torchattacks": torchattacks.PGD(plain, eps=EPS, alpha=EPS / 4, steps=steps),
        "foolbox": through_foolbox(foolbox.attacks.LinfPGD(abs_stepsize=EPS / 4, steps=steps)),
        "ART": through_art(ProjectedGradientDescentPyTorch(art, **options)),
        "floor": floor,
    }
    return {"Iter-FSGM": iterated, "PGD": pgd}


def timed(attack, x, y):
    if x.is_cuda:
        torch.cuda.synchronize()
    start = time.perf_counter()
    found = attack(x, y)
    if x.is_cuda:
        torch.cuda.synchronize()
    return time.perf_counter() - start, found


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--images", type=int, default=128)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--data-dir")
    given = parser.parse_args()
    print(describe(given.device))
    model, x, y = make_model(given)
    shape = tuple(x.shape[1:])
    print(f"ResNet-18, width {given.width}, {given.images} images {shape}, {given.steps} steps, {given.rounds} rounds")
    for title, forms in attacks_of(model, shape, given).items():
        seconds = {name: [] for name in forms}
        found = {}
        for number in range(given.rounds + 1):
            for name, attack in forms.items():
                taken, found[name] = timed(attack, x, y)
                if number:
                    seconds[name].append(taken)
        print(f"\n| {title} | time | against lrbench | accuracy | pixels that differ |")
        print("| --- | ---: | ---: | ---: | ---: |")
        for name in forms:
            ratio = statistics.median(a / b for a, b in zip(seconds[name], seconds["lrbench"], strict=True))
            row = f"| {name} | {1000 * statistics.median(seconds[name]):,.0f} ms | {ratio:.2f} |"
            if name == "floor":
                print(f"{row} | |")
                continue
            with torch.no_grad():
                accuracy = (model(found[name]).argmax(dim=1) == y).float().mean().item()
            differ = ((found[name] - found["lrbench"]).abs() > 1e-6).float().mean().item()
            print(f"{row} {100 * accuracy:.1f} % | {100 * differ:.3f} % |")


if __name__ == "__main__":
    main()
