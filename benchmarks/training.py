"""Training throughput beside a plain PyTorch loop on the same images, in turns.

    python -m benchmarks.training [--data-dir DIR] [--device cpu] [--width 16] [--batch 128] [--images 6400]
                                  [--rounds 5] [--precision float32] [--compile] [--workers 2]

The peer is what people write: a torchvision-style data set of PIL images, RandomCrop, RandomHorizontalFlip, ToTensor
and Normalize in a DataLoader with workers, SGD with momentum, `loss.item()` for the log. Both train the same ResNet-18
with the same augmentation and optimiser in float32, unless --precision or --compile change ours. Images come from
DIR/cifar10-jpeg, or are random without --data-dir. Figures are medians over rounds; the first round warms up.
"""

import argparse
import statistics
import time
from pathlib import Path

import torch
from PIL import Image
from torch import nn
from torch.utils.data import DataLoader, Dataset
from torchvision import transforms

from benchmarks.machine import describe
from lrbench.data import Split
from lrbench.data.folder import image_folder
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

MEAN, STD = (0.49, 0.48, 0.45), (0.25, 0.24, 0.26)


class PilImages(Dataset):
    """Images in memory, handed out as torchvision's CIFAR10 does it."""

    def __init__(self, split: Split) -> None:
        self.images = split.images.permute(0, 2, 3, 1).numpy()
        self.labels = split.labels.tolist()
        self.transform = transforms.Compose(
            [
                transforms.RandomCrop(32, padding=4),
                transforms.RandomHorizontalFlip(),
                transforms.ToTensor(),
                transforms.Normalize(MEAN, STD),
            ]
        )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: int):
        return self.transform(Image.fromarray(self.images[index])), self.labels[index]


def plain(split: Split, given: argparse.Namespace) -> float:
    device = torch.device(given.device)
    torch.manual_seed(0)
    model = resnet18(10, 3, given.width).to(device).train()
    loader = DataLoader(
        PilImages(split), given.batch, shuffle=True, drop_last=True, num_workers=given.workers,
        pin_memory=device.type == "cuda", persistent_workers=given.workers > 0,
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4)
    criterion = nn.CrossEntropyLoss()
    iter(loader)  # the workers are started before the clock is
    start = time.perf_counter()
    running = 0.0
    for images, labels in loader:
        images, labels = images.to(device, non_blocking=True), labels.to(device, non_blocking=True)  # noqa: PLW2901
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        running += loss.item()
    return time.perf_counter() - start


def ours(split: Split, given: argparse.Namespace) -> float:
    device = torch.device(given.device)
    config = Training(
        epochs=2 if given.compile else 1,
        batch_size=given.batch,
        learning_rate=0.1,
        gradient_clip=None,
        augment={"crop": 4, "flip": True},
        precision=given.precision,
        compile=given.compile,
        deterministic=device.type == "cpu",
    )
    with seeded(0, deterministic=config.deterministic):
        model = Classifier(resnet18(10, 3, given.width), MEAN, STD).to(device, memory_format=torch.channels_last)
        split = split.to(device)
        ends = [time.perf_counter()]
        train(model, split, config, seed=0, on_epoch=lambda _log, _snapshot: ends.append(time.perf_counter()))
    # With --compile the first epoch compiles; it is paid once a training and left out here.
    return ends[-1] - ends[-2]


def load(given: argparse.Namespace) -> Split:
    if given.data_dir:
        return image_folder(Path(given.data_dir), train=given.images, test=10, path="cifar10-jpeg").train
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (given.images, 3, 32, 32), dtype=torch.uint8, generator=generator)
    return Split(images, torch.randint(0, 10, (given.images,), generator=generator))


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--data-dir")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--width", type=int, default=16)
    parser.add_argument("--batch", type=int, default=128)
    parser.add_argument("--images", type=int, default=6400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--precision", default="float32", choices=["float32", "bfloat16"])
    parser.add_argument("--compile", action="store_true")
    given = parser.parse_args()
    split = load(given)
    print(describe(given.device))
    used = given.images // given.batch * given.batch
    rates: dict[str, list[float]] = {"plain PyTorch loop": [], "lrbench": []}
    ratios = []
    for number in range(given.rounds + 1):
        seconds = {"plain PyTorch loop": plain(split, given), "lrbench": ours(split, given)}
        if number == 0:
            continue
        for name, taken in seconds.items():
            rates[name].append(used / taken)
        ratios.append(seconds["plain PyTorch loop"] / seconds["lrbench"])
    print(f"\nResNet-18, width {given.width}, batch {given.batch}, {used} images an epoch, {given.rounds} rounds\n")
    print("| loop | images/s | min | max |\n| --- | ---: | ---: | ---: |")
    for name, found in rates.items():
        print(f"| {name} | {statistics.median(found):,.0f} | {min(found):,.0f} | {max(found):,.0f} |")
    print(f"\nratio, median of rounds: {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})")


if __name__ == "__main__":
    main()
