"""SGD with a schedule, and what regularizers do beside it, LR-Layers among them."""

import math
from collections.abc import Callable, Iterator, Mapping
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn.parallel import DistributedDataParallel

from lrbench.data import Augmentation, Split, to_unit
from lrbench.errors import LrbenchError
from lrbench.lowrank import LRLayers
from lrbench.recipes import Training
from lrbench.regularizers import Regularizer, Seen
from lrbench.regularizers.attached import attach
from lrbench.regularizers.lr_layers import LRLayerRegularizer
from lrbench.training.adversarial import Statistics
from lrbench.training.averaging import WeightAverage
from lrbench.training.compiling import compiled
from lrbench.training.diverged import diverged
from lrbench.training.graphed import Steps, alike
from lrbench.training.log import EpochLog, layer_logs
from lrbench.training.objective import Objective
from lrbench.training.optimiser import make_optimizer, make_schedule
from lrbench.training.ranks import agree, averaged, own_seed, rank, world
from lrbench.training.snapshot import restore, snapshot

Snapshot = Callable[[], bytes]


def train(  # noqa: PLR0913
    model: nn.Module,
    split: Split,
    config: Training,
    *,
    seed: int,
    penalty_warmup: float = 1.0,
    statistics: Statistics | None = None,
    regularizers: Mapping[str, Regularizer] | None = None,
    resume: bytes | None = None,
    on_epoch: Callable[[EpochLog, Snapshot], None] = lambda _log, _snapshot: None,
    on_batch: Callable[[], None] = lambda: None,
) -> list[EpochLog]:
    """Train a classifier in place.

    If the model has LR-Layers (`lrbench.lowrank.attach_lr_layers`), they are off until the training accuracy of
    an epoch reaches `config.warmup_accuracy` (paper, section 4), then on for all later epochs. Within an epoch the host
    never waits for a GPU, but for LR-Layers: a layer with `nystrom` reads its residual each 16th update, and one with
    `exact` decomposes at each.

    Regularizers are attached to the model first, and leave a plain one at the end. With `config.averaging` the weights
    at the end are the averages, brought once more to where each regularizer's `after_step` keeps them.

    In each of several processes that `torch.distributed` connects, it trains on an even part of every batch; gradients
    are averaged, LR-Layers see all parts, batch norm sees its process's own.

    Parameters
    ----------
    model : nn.Module
        Takes images in [0, 1]; on the device of `split`.
    split : Split
        Training images and labels.
    config : Training
    seed : int
        Of the order of the examples and their augmentation.
    penalty_warmup : float
        Epochs over which the penalties grow to their full weight.
    statistics : (mean, std), optional
        Of the channels, for images in [0, 1]; needed for adversarial training in normalised space.
    regularizers : mapping, optional
        Name -> regularizer, besides LR-Layers.
    resume : bytes, optional
        A snapshot of the same training: it resumes there and ends as if it had never stopped.
    on_epoch : callable
        Called with the log of each finished epoch, and a function that gives a snapshot.
    on_batch : callable
        Called before each batch; may raise to stop.

    Returns
    -------
    list of EpochLog

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite.
    LrbenchError
        If there are fewer images than processes, a regularizer does not fit the model, or two set the same weight.
    """
    if len(split) < world():
        msg = f"{world()} processes cannot share {len(split)} training images; lower training.processes"
        raise LrbenchError(msg)
    run = _Run(model, split, config, seed, penalty_warmup, statistics, regularizers)
    if resume is not None:
        restore(run, resume)
    for epoch in range(len(run.history) + 1, config.epochs + 1):
        log = run.epoch(epoch, on_batch)
        run.history.append(log)
        for each in run.regularizers.values():
            each.after_epoch(log.accuracy)
        on_epoch(log, partial(snapshot, run))
    run.finish()
    return run.history


class _Run:
    """State of one training: optimiser, schedule, generator, regularizers, and the average of the weights."""

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        config: Training,
        seed: int,
        penalty_warmup: float,
        statistics: Statistics | None,
        regularizers: Mapping[str, Regularizer] | None = None,
    ) -> None:
        self.model, self.split, self.config = model, split, config
        self.device = split.labels.device
        # The last, partial batch is left out: batch norm and LR-Layers see one size, and the order changes anyway.
        self.batch_size = min(config.batch_size, len(split) - len(split) % world())
        self.batches = len(split) // self.batch_size
        self.lr = _of_lr_layers(model, config, max(1, round(penalty_warmup * self.batches)))
        self.regularizers = ({} if self.lr is None else {"lr_layers": self.lr}) | dict(regularizers or {})
        attach(model, self.regularizers)
        network = compiled(model) if config.compile else model
        self.network = network if world() == 1 else DistributedDataParallel(network)
        share = self.batch_size // world()
        self.rows = slice(rank() * share, (rank() + 1) * share)
        self.seed = seed
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.augment = Augmentation(**config.augment.model_dump())
        asks = any(each.needs_input_gradient for each in self.regularizers.values())
        self.objective = Objective(self.network, network, config, statistics or ((0.0,), (1.0,)), input_gradient=asks)
        self.optimizer = make_optimizer(model, config)
        self.schedule = make_schedule(self.optimizer, config, self.batches * config.epochs)
        self.average = None
        if config.averaging is not None:
            self.average = WeightAverage(model, config.averaging, self.batches * config.epochs)
        self.totals = torch.zeros(2, device=self.device)
        self.penalties = torch.zeros(len(self.regularizers), device=self.device)
        recordable = all(each.recordable for each in self.regularizers.values()) and alike(model, self.device)
        self.steps = Steps(self.learn, self.optimizer, self.generator) if recordable else None
        self.history: list[EpochLog] = []

    def epoch(self, epoch: int, on_batch: Callable[[], None]) -> EpochLog:
        """One pass over the data; figures stay on the device until it ends."""
        self.model.train()
        agree(self.model)
        own_seed(self.seed, epoch)
        order = torch.randperm(len(self.split), generator=self.generator, device=self.device)
        if not isinstance(self.split.images, Tensor):
            order = order.cpu()  # once, not for each batch that is read
        self.totals.zero_()
        self.penalties.zero_()
        if self.lr is not None:
            self.lr.totals.zero_()
        rate = self.optimizer.param_groups[0]["lr"]
        on = self.lr is not None and self.lr.on
        try:
            chosen = torch.split(order[: self.batches * self.batch_size], self.batch_size)
            try:
                for pixels, labels in self.split.stream(batch[self.rows] for batch in chosen):
                    on_batch()
                    self.step(pixels, labels)
            finally:
                if self.steps is not None:
                    self.steps.finish()
        except (FloatingPointError, torch.linalg.LinAlgError):  # type: ignore[attr-defined]
            raise diverged(epoch, self.config, self.regularizers) from None
        loss, correct = averaged(self.totals / self.batches).tolist()
        if not math.isfinite(loss):
            raise diverged(epoch, self.config, self.regularizers)
        means = averaged(self.penalties / self.batches).tolist()
        penalties = {name: mean for name, mean in zip(self.regularizers, means, strict=True) if name != "lr_layers"}
        layers = {} if self.lr is None else layer_logs(self.lr.layers, averaged(self.lr.totals / self.batches))
        return EpochLog(epoch, loss, correct, rate, on, layers, penalties)

    def step(self, raw: Tensor, labels: Tensor) -> None:
        """One optimiser step on uint8 images; adds loss, accuracy and penalties to the epoch's."""
        ramp, layers = 1.0, None
        if self.lr is not None:
            layers = self.lr.active
            self.lr.penalised_steps += self.lr.on
            ramp = self.lr.ramp
        if self.steps is not None:
            self.steps(raw, labels, ramp, layers)
        else:
            for _ in self.learn(raw, labels, ramp):
                pass
        for each in self.regularizers.values():
            # `Steps` makes the updates of LR-Layers, in part while the network learns from the next batch.
            if each is not self.lr or self.steps is None:
                each.after_step(self.model)
        if self.average is not None:
            self.average.after_step()
        self.schedule.step()

    def learn(self, raw: Tensor, labels: Tensor, ramp: float | Tensor) -> Iterator[None]:
        """All of a step but what follows the optimiser; LR-Layers' update may come in where it yields."""
        augmented = self.augment(raw, self.generator, self.rows, self.batch_size)
        unit = to_unit(augmented).contiguous(memory_format=torch.channels_last)
        noisy = partial(self.augment.noisy, generator=self.generator, rows=self.rows, count=self.batch_size)
        images, logits, loss = self.objective(unit, labels, noisy)
        yield
        seen = Seen(images, logits, labels, self.generator, ramp)
        for index, each in enumerate(self.regularizers.values()):
            penalty = each.penalty(seen)
            if penalty is not None:
                self.penalties[index] += penalty.detach()
                loss = loss + penalty
        yield
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        with torch.no_grad():
            self.totals += torch.stack([loss, (logits.argmax(dim=1) == labels).float().mean()])

    def finish(self) -> None:
        """Leave the network that is evaluated."""
        if self.average is not None:
            self.average.apply()
            for each in self.regularizers.values():
                if each is not self.lr:
                    each.after_step(self.model)
        for each in self.regularizers.values():
            each.finish(self.model)


def _of_lr_layers(model: nn.Module, config: Training, ramp_steps: int) -> LRLayerRegularizer | None:
    layers = getattr(model, "lr_layers", None)
    return LRLayerRegularizer(layers, config.warmup_accuracy, ramp_steps) if isinstance(layers, LRLayers) else None
