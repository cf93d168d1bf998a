"""SGD with a schedule; LR-Layers join in when the network has reached its warm-up accuracy."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.optim import SGD
from torch.optim.lr_scheduler import CosineAnnealingLR, LambdaLR, LRScheduler, OneCycleLR

from lrbench.data import Augmentation, Split, to_unit
from lrbench.errors import TrainingDivergedError
from lrbench.lowrank import LRLayers
from lrbench.suite import Training


@dataclass(frozen=True)
class LayerLog:
    """What one LR-Layer did in an epoch: mean penalties L_c and L_N, and its state at the epoch's end.

    All zero before the LR-Layers are on. `rank`, `largest_eigenvalue`, `residual` and `projection_error` are those
    of `lrbench.lowrank.layer.LayerState`.
    """

    reconstruction: float
    norm: float
    rank: int
    largest_eigenvalue: float
    residual: float
    projection_error: float


@dataclass(frozen=True)
class EpochLog:
    """Means over an epoch's batches, and what each LR-Layer did."""

    epoch: int
    loss: float
    accuracy: float
    learning_rate: float
    lr_layers_on: bool
    layers: dict[str, LayerLog] = field(default_factory=dict)


def train(
    model: nn.Module,
    split: Split,
    config: Training,
    *,
    seed: int,
    penalty_warmup: float = 1.0,
    on_epoch: Callable[[EpochLog], None] = lambda _log: None,
) -> list[EpochLog]:
    """Train a classifier in place.

    If the model has LR-Layers (`lrbench.lowrank.attach_lr_layers`), they are off until the training accuracy of
    an epoch reaches `config.warmup_accuracy` (paper, section 4), then on for all later epochs.

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
    on_epoch : callable
        Called with the log of each finished epoch.

    Returns
    -------
    list of EpochLog

    Raises
    ------
    TrainingDivergedError
        If the loss is not finite.
    """
    run = _Run(model, split, config, seed, penalty_warmup)
    history = []
    for epoch in range(1, config.epochs + 1):
        log = run.epoch(epoch)
        if not math.isfinite(log.loss):
            raise _diverged(epoch)
        history.append(log)
        on_epoch(log)
        if log.accuracy >= config.warmup_accuracy:
            run.switch_on()
    return history


class _Run:
    """State of one training: optimiser, schedule, generator, and the LR-Layers' ramp."""

    def __init__(self, model: nn.Module, split: Split, config: Training, seed: int, penalty_warmup: float) -> None:
        self.model, self.split, self.config = model, split, config
        self.batch_size = min(config.batch_size, len(split))
        # The last, partial batch is left out: batch norm and LR-Layers see one size, and the order changes anyway.
        self.batches = len(split) // self.batch_size
        self.generator = torch.Generator(split.images.device).manual_seed(seed)
        self.augment = Augmentation(config.augment.crop, config.augment.flip)
        self.optimizer = SGD(
            model.parameters(),
            config.learning_rate,
            config.momentum,
            weight_decay=config.weight_decay,
            fused=True,
        )
        self.schedule = _schedule(self.optimizer, config, self.batches * config.epochs)
        layers = getattr(model, "lr_layers", None)
        self.layers: LRLayers | None = layers if isinstance(layers, LRLayers) else None
        self.ramp_steps = max(1, round(penalty_warmup * self.batches))
        self.penalised_steps = 0
        self.on = False
        if self.layers is not None:
            self.layers.enable(enabled=False)
        if config.warmup_accuracy == 0:
            self.switch_on()

    def switch_on(self) -> None:
        """Turn the LR-Layers on, if there are any."""
        if self.layers is not None and not self.on:
            self.on = True
            self.layers.enable()

    def epoch(self, epoch: int) -> EpochLog:
        """One pass over the data; figures stay on the device until it ends."""
        self.model.train()
        device = self.split.images.device
        order = torch.randperm(len(self.split), generator=self.generator, device=device)
        totals = torch.zeros(2, device=device)
        penalty_totals = torch.zeros(len(self.layers or ()), 2, device=device)
        rate = self.optimizer.param_groups[0]["lr"]
        try:
            for index in range(self.batches):
                chosen = order[index * self.batch_size : (index + 1) * self.batch_size]
                images = to_unit(self.augment(self.split.images[chosen], self.generator))
                penalties = self.step(images, self.split.labels[chosen], totals)
                penalty_totals += penalties
        except FloatingPointError:
            raise _diverged(epoch) from None
        loss, correct = (totals / self.batches).tolist()
        means = (penalty_totals / self.batches).tolist()
        states = {name: self.layers[name].state() for name in self.layers} if self.layers is not None else {}
        layers = {
            name: LayerLog(reconstruction, norm, **state._asdict())
            for (name, state), (reconstruction, norm) in zip(states.items(), means, strict=True)
        }
        return EpochLog(epoch, loss, correct, rate, self.on, layers)

    def step(self, images: Tensor, labels: Tensor, totals: Tensor) -> Tensor:
        """One optimiser step; adds loss and accuracy to `totals`, gives the penalties, (layers, 2)."""
        logits = self.model(images)
        loss = functional.cross_entropy(logits, labels)
        penalties = torch.zeros(0, 2, device=images.device)
        if self.layers is not None and self.on:
            self.penalised_steps += 1
            penalties = torch.stack([torch.stack(pair) for pair in self.layers.penalties().values()])
            loss = loss + min(1.0, self.penalised_steps / self.ramp_steps) * penalties.sum()
        elif self.layers is not None:
            penalties = torch.zeros(len(self.layers), 2, device=images.device)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        self.schedule.step()
        if self.layers is not None:
            self.layers.update()
        with torch.no_grad():
            totals += torch.stack([loss, (logits.argmax(dim=1) == labels).float().mean()])
        return penalties.detach()


def _schedule(optimizer: SGD, config: Training, steps: int) -> LRScheduler:
    if config.schedule == "cosine":
        return CosineAnnealingLR(optimizer, T_max=steps)
    if config.schedule == "one-cycle":
        return OneCycleLR(optimizer, config.learning_rate, total_steps=steps + 1, cycle_momentum=False)
    return LambdaLR(optimizer, lambda _step: 1.0)


def _diverged(epoch: int) -> TrainingDivergedError:
    return TrainingDivergedError(
        f"the training loss is not finite in epoch {epoch}; lower training.learning_rate, "
        "training.gradient_clip or low_rank.lambda_1"
    )
