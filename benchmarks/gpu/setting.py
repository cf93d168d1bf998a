"""What a step knows: the device, the images, how much time is left, and what is there already."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from lrbench.data import ImageData


@dataclass
class Setting:
    """Of one step.

    Attributes
    ----------
    work : Path
        Folder for what is kept but not part of the record: weights.
    deadline : float
        On the monotonic clock: when the step ends, done or not.
    done : set of str
        Rows that are not made again.
    tell : callable
        Takes what is known of a row that is not over yet.
    """

    device: str
    rehearse: bool
    data: ImageData | None
    out: Path
    work: Path
    commit: str
    deadline: float
    done: set[str]
    tell: Callable[[dict], None] = field(default=print)

    def left(self) -> float:
        """Seconds."""
        return self.deadline - time.monotonic()

    def pick(self, full: object, toy: object) -> object:
        """Give the size in earnest or that of a rehearsal."""
        return toy if self.rehearse else full

    @property
    def cuda(self) -> bool:
        """Whether it is measured on a GPU."""
        return self.device.startswith("cuda")

    @property
    def images(self) -> ImageData:
        """The images; only steps that ask for them are run with any."""
        assert self.data is not None  # noqa: S101
        return self.data

    @property
    def place(self) -> torch.device:
        """The device, as torch has it."""
        return torch.device(self.device)

    def enough(self, seconds: float) -> None:
        """Stop a row for which too little time is left, unless it is one of a rehearsal."""
        if not self.rehearse and self.left() < seconds:
            msg = f"{self.left():.0f} s are left, and it takes {seconds:.0f}"
            raise NotNow(msg)


class NotNow(Exception):  # noqa: N818
    """A row that was not made, and why; another call of the program tries again."""


class LeftOut(Exception):  # noqa: N818
    """A row that is never made here, and why; no error."""
