"""SGD with a schedule; LR-Layers join in when the network has reached its warm-up accuracy."""

import io
import math
from collections.abc import Callable, Iterator
from dataclasses import asdict

import torch
from torch import Tensor, nn
from torch.nn import functional
from torch.nn.parallel import DistributedDataParallel

from lrbench.data import Augmentation, Split, to_unit
from lrbench.errors import LrbenchError, TrainingDivergedError
from lrbench.lowrank import LRLayers
from lrbench.recipes import Training
from lrbench.training.adversarial import Statistics, perturbation
from lrbench.training.compiling import compiled
from lrbench.training.graphed import Steps, alike
from lrbench.training.log import EpochLog, LayerLog
from lrbench.training.optimiser import make_optimizer, make_schedule
from lrbench.training.ranks import averaged, own_seed, rank, world

Snapshot = Callable[[], bytes]


def train(  # noqa: PLR0913
    model: nn.Module,
    split: Split,
    config: Training,
    *,
    seed: int,
    penalty_warmup: float = 1.0,
    statistics: Statistics | None = None,
    resume: bytes | None = None,
    on_epoch: Callable[[EpochLog, Snapshot], None] = lambda _log, _snapshot: None,
    on_batch: Callable[[], None] = lambda: None,
) -> list[EpochLog]:
    """Train a classifier in place.

    If the model has LR-Layers (`lrbench.lowrank.attach_lr_layers`), they are off until the training accuracy of
    an epoch reaches `config.warmup_accuracy` (paper, section 4), then on for all later epochs. Within an epoch the host
    never waits for a GPU, but for LR-Layers: a layer with `nystrom` reads its residual each 16th update, and one with
    `exact` decomposes at each.

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
        If there are fewer images than processes.
    """
    if len(split) < world():
        msg = f"{world()} processes cannot share {len(split)} training images; lower training.processes"
        raise LrbenchError(msg)
    run = _Run(model, split, config, seed, penalty_warmup, statistics)
    if resume is not None:
        run.restore(resume)
    for epoch in range(len(run.history) + 1, config.epochs + 1):
        log = run.epoch(epoch, on_batch)
        run.history.append(log)
        if log.accuracy >= config.warmup_accuracy:
            run.switch_on()
        on_epoch(log, run.snapshot)
    return run.history


class _Run:
    """State of one training: optimiser, schedule, generator, and the LR-Layers' ramp."""

    def __init__(
        self,
        model: nn.Module,
        split: Split,
        config: Training,
        seed: int,
        penalty_warmup: float,
        statistics: Statistics | None,
    ) -> None:
        self.model, self.split, self.config = model, split, config
        self.device = split.labels.device
        network = compiled(model) if config.compile else model
        self.network = network if world() == 1 else DistributedDataParallel(network)
        self.batch_size = min(config.batch_size, len(split)) // world() * world()
        share = self.batch_size // world()
        self.rows = slice(rank() * share, (rank() + 1) * share)
        self.seed = seed
        # The last, partial batch is left out: batch norm and LR-Layers see one size, and the order changes anyway.
        self.batches = len(split) // self.batch_size
        self.generator = torch.Generator(self.device).manual_seed(seed)
        self.augment = Augmentation(**config.augment.model_dump())
        self.perturb = None
        if config.adversarial is not None:
            self.perturb = perturbation(network, config.adversarial, statistics or ((0.0,), (1.0,)), config.precision)
        self.optimizer = make_optimizer(model, config)
        self.schedule = make_schedule(self.optimizer, config, self.batches * config.epochs)
        layers = getattr(model, "lr_layers", None)
        self.layers: LRLayers | None = layers if isinstance(layers, LRLayers) else None
        self.ramp_steps = max(1, round(penalty_warmup * self.batches))
        self.penalised_steps = 0
        self.on = False
        self.totals = torch.zeros(2, device=self.device)
        self.penalty_totals = torch.zeros(len(self.layers or ()), 2, device=self.device)
        self.steps = Steps(self.learn, self.optimizer, self.generator) if alike(model, self.device) else None
        self.history: list[EpochLog] = []
        if self.layers is not None:
            self.layers.enable(enabled=False)
        if config.warmup_accuracy == 0:
            self.switch_on()

    def switch_on(self) -> None:
        """Turn the LR-Layers on, if there are any."""
        if self.layers is not None and not self.on:
            self.on = True
            self.layers.enable()

    def epoch(self, epoch: int, on_batch: Callable[[], None]) -> EpochLog:
        """One pass over the data; figures stay on the device until it ends."""
        self.model.train()
        own_seed(self.seed, epoch)
        order = torch.randperm(len(self.split), generator=self.generator, device=self.device)
        if not isinstance(self.split.images, Tensor):
            order = order.cpu()  # once, not for each batch that is read
        self.totals.zero_()
        self.penalty_totals.zero_()
        rate = self.optimizer.param_groups[0]["lr"]
        on = self.on
        try:
            chosen = torch.split(order[: self.batches * self.batch_size], self.batch_size)
            try:
                for pixels, labels in self.split.stream(batch[self.rows] for batch in chosen):
                    on_batch()
                    self.step(pixels, labels)
            finally:
                if self.steps is not None:
                    self.steps.finish()
        except FloatingPointError:
            raise _diverged(epoch) from None
        loss, correct = averaged(self.totals / self.batches).tolist()
        if not math.isfinite(loss):
            raise _diverged(epoch)
        means = averaged(self.penalty_totals / self.batches).tolist()
        states = {name: self.layers[name].state() for name in self.layers} if self.layers is not None else {}
        layers = {
            name: LayerLog(reconstruction, norm, **state._asdict())
            for (name, state), (reconstruction, norm) in zip(states.items(), means, strict=True)
        }
        return EpochLog(epoch, loss, correct, rate, on, layers)

    def step(self, raw: Tensor, labels: Tensor) -> None:
        """One optimiser step on uint8 images; adds loss, accuracy and penalties to the epoch's."""
        layers = self.layers if self.on else None
        self.penalised_steps += layers is not None
        weight = min(1.0, self.penalised_steps / self.ramp_steps)
        if self.steps is not None:
            self.steps(raw, labels, weight, layers)
        else:
            for _ in self.learn(raw, labels, weight):
                pass
            if layers is not None:
                layers.update()
        self.schedule.step()

    def learn(self, raw: Tensor, labels: Tensor, weight: float | Tensor) -> Iterator[None]:
        """All of a step but LR-Layers' update, which may come in before the penalties and before the gradients."""
        augmented = self.augment(raw, self.generator, self.rows, self.batch_size)
        images = to_unit(augmented).contiguous(memory_format=torch.channels_last)
        if self.perturb is not None:
            images = self.perturb(images, labels)
        images = self.augment.noisy(images, self.generator, self.rows, self.batch_size)
        with torch.autocast(self.device.type, dtype=torch.bfloat16, enabled=self.config.precision == "bfloat16"):
            logits = self.network(images)
            loss = functional.cross_entropy(logits, labels, label_smoothing=self.config.label_smoothing)
        yield
        if self.layers is not None and self.on:
            penalties = torch.stack([torch.stack(pair) for pair in self.layers.penalties().values()])
            self.penalty_totals += penalties.detach()
            loss = loss + weight * penalties.sum()
        yield
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        if self.config.gradient_clip is not None:
            nn.utils.clip_grad_norm_(self.model.parameters(), self.config.gradient_clip)
        self.optimizer.step()
        with torch.no_grad():
            self.totals += torch.stack([loss, (logits.argmax(dim=1) == labels).float().mean()])

    def snapshot(self) -> bytes:
        """Everything that the epochs to come depend on."""
        state = {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "schedule": self.schedule.state_dict(),
            "generator": self.generator.get_state(),
            "random": torch.get_rng_state(),
            "device_random": torch.cuda.get_rng_state(self.device) if self.device.type == "cuda" else None,
            "penalised_steps": self.penalised_steps,
            "on": self.on,
            "history": [asdict(log) for log in self.history],
        }
        buffer = io.BytesIO()
        torch.save(state, buffer)
        return buffer.getvalue()

    def restore(self, snapshot: bytes) -> None:
        """Counterpart of `snapshot`."""
        state = torch.load(io.BytesIO(snapshot), map_location="cpu", weights_only=True)
        self.model.load_state_dict(state["model"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.schedule.load_state_dict(state["schedule"])
        self.generator.set_state(state["generator"])
        torch.set_rng_state(state["random"])
        if state["device_random"] is not None:
            torch.cuda.set_rng_state(state["device_random"], self.device)
        self.penalised_steps, self.on = state["penalised_steps"], state["on"]
        self.history = [EpochLog.from_dict(log) for log in state["history"]]


def _diverged(epoch: int) -> TrainingDivergedError:
    return TrainingDivergedError(
        f"the training loss is not finite in epoch {epoch}; lower training.learning_rate, "
        "training.gradient_clip or low_rank.lambda_1"
    )
