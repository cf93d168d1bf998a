"""Step 3: images a second that are learnt and attacked, beside plain loops."""

import time
from collections.abc import Callable, Iterator
from itertools import pairwise, product

import torch
from torch import Tensor, nn

from benchmarks.gpu.setting import LeftOut, Setting
from benchmarks.gpu.timing import settled, spread
from lrbench.data import Augmentation, Split, to_unit
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18
from lrbench.suite import Training
from lrbench.training import seeded, train

EPOCHS = 4
"""The first warms up: there kernels are chosen, or compiled."""


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], dict]]]:
    """Both loops at each batch and precision, and compiled at the end."""
    batches, precisions = setting.pick((1024, 512, 128), (16,)), ("bfloat16", "float32")
    # One that is compiled before those in float32: it is the one that is wanted, and compiling takes half a minute.
    for precision, batch in product(precisions, batches):
        yield f"lrbench, {batch}, {precision}", lambda p=precision, b=batch: ours(setting, b, p, compiled=False)
        yield f"plain loop, {batch}, {precision}", lambda p=precision, b=batch: plain(setting, b, p)
        if (precision, batch) == (precisions[0], batches[-1]):
            name = f"lrbench, {batches[0]}, {precision}, compiled"
            yield name, lambda p=precision: ours(setting, batches[0], p, compiled=True)
    for precision, batch in list(product(precisions, batches))[1:]:
        yield (
            f"lrbench, {batch}, {precision}, compiled",
            lambda p=precision, b=batch: ours(setting, b, p, compiled=True),
        )


def network(setting: Setting, seed: int = 0) -> Classifier:
    """ResNet-18 in CIFAR form, untrained, laid out as convolutions want it."""
    torch.manual_seed(seed)
    data = setting.images
    net = resnet18(len(data.classes), data.channels, setting.pick(64, 4))
    return Classifier(net, *data.statistics).to(setting.place, memory_format=torch.channels_last)


def _split(setting: Setting, batch: int) -> Split:
    """Enough for an epoch of about a second."""
    count = setting.pick(6_400 if batch < 512 else 12_800, 2 * batch)
    return setting.images.train.balanced(count).to(setting.place)


def _rates(ends: list[float], images: int) -> dict:
    seconds = [after - before for before, after in pairwise(ends[1:])]
    return {"images": images, "first epoch s": ends[1] - ends[0]} | spread([images / s for s in seconds], "images/s")


def ours(setting: Setting, batch: int, precision: str, *, compiled: bool) -> dict:
    """lrbench.training.train."""
    if compiled and setting.rehearse:
        msg = "torch.compile takes minutes on a CPU"
        raise LeftOut(msg)
    setting.enough(30 if compiled else 2)
    torch.compiler.reset()
    split = _split(setting, batch)
    config = Training(
        epochs=EPOCHS,
        batch_size=batch,
        augment={"crop": 4, "flip": True},
        precision=precision,
        compile=compiled,
        deterministic=False,
    )
    with seeded(0, deterministic=False):
        ends = [time.perf_counter()]
        train(
            network(setting), split, config, seed=0, on_epoch=lambda _log, _snapshot: ends.append(time.perf_counter())
        )
    return _rates(ends, len(split) // batch * batch)


def plain(setting: Setting, batch: int, precision: str) -> dict:
    """Train as people write it: images on the GPU already, the same augmentation, optimiser and memory layout."""
    setting.enough(2)
    split = _split(setting, batch)
    augment, generator = Augmentation(4, flip=True), torch.Generator(setting.place)
    with seeded(0, deterministic=False):
        model = network(setting).train()
        optimizer = torch.optim.SGD(model.parameters(), 0.1, momentum=0.9, weight_decay=5e-4, fused=True)
        ends = [time.perf_counter()]
        for _ in range(EPOCHS):
            order = torch.randperm(len(split), generator=generator, device=setting.place)
            for chosen in order[: len(split) // batch * batch].split(batch):
                images = to_unit(augment(split.pixels[chosen], generator)).contiguous(memory_format=torch.channels_last)
                _learn(model, optimizer, images, split.labels[chosen], precision)
            settled(setting.device)
            ends.append(time.perf_counter())
    return _rates(ends, len(split) // batch * batch)


def _learn(model: nn.Module, optimizer: torch.optim.Optimizer, images: Tensor, labels: Tensor, precision: str) -> None:
    with torch.autocast(images.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
        loss = nn.functional.cross_entropy(model(images), labels)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
