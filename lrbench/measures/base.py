"""What a measure says of itself, and what it is handed. Loads no torch, so that suites are read without it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Annotated, Any, ClassVar, Literal, get_args

from lrbench.columns import INTERVAL
from lrbench.strict import KeyPath, Strict

if TYPE_CHECKING:
    import torch
    from torch import nn

    from lrbench.data import ImageData, Split
    from lrbench.views import Block, Chart, Column, Shown

Row = dict[str, Any]
Progress = Callable[[float, str], None]

Form = Literal["percent", "points", "number", "count", "milliseconds"]


class Options(Strict):
    """Options of a measure or a regularizer: the keys below its name in a suite, with their types and defaults."""


class NamesLayer:
    """Marks an option that names a layer of every model."""


Layer = Annotated[str, NamesLayer()]
"""Name of a layer, or in a list of several. Checked against every model before anything is trained."""


@dataclass(frozen=True)
class Within:
    """Marks an option, or a list, of numbers of dimensions: at most those that a layer has.

    Attributes
    ----------
    layer : str
        The option that names the layer.
    otherwise : str, optional
        What takes the place of numbers that are all too large, where a suite is taken to other models.
    """

    layer: str
    otherwise: str | None = None


@dataclass(frozen=True)
class Metric:
    """A figure of a measure, as tables show it.

    Attributes
    ----------
    heading : str
    form : {"number", "percent", "points", "count", "milliseconds"}
        Values are shares for percent and points, and seconds for milliseconds.
    better : {"higher", "lower"} or None
        Which direction is better; None if neither is.
    parameters : tuple of str
        What else its rows name, each a column of `results.csv`: the k of VR_k, a class.
    worst : bool
        Whether the largest of the seeds counts, and not their mean.
    mean_of : str
        The figure that it is the mean of, over its parameters, at the same layer.
    time : bool
        Whether it is a measured time, which no second run gives again: it stands in `timings.csv`.
    cost : bool
        Whether it is what something took in units that are no machine's. It stands beside the times, since it may
        depend on how many images were taken at once, and is published.
    """

    heading: str
    form: Form = "number"
    better: Literal["higher", "lower"] | None = None
    parameters: tuple[str, ...] = ()
    worst: bool = False
    mean_of: str = ""
    time: bool = False
    cost: bool = False

    def __post_init__(self) -> None:
        """Refuse a form or a direction that there is none of."""
        for name, value, known in (
            ("form", self.form, get_args(Form)),
            ("better", self.better, ("higher", "lower", None)),
        ):
            if value not in known:
                msg = f"{name} of a metric is {value!r:.60}; it is one of {', '.join(map(str, known))}"
                raise ValueError(msg)


@dataclass(frozen=True)
class Subject:
    """A trained model, and what it is measured on.

    Attributes
    ----------
    model : nn.Module
        In evaluation mode, on the device: pixels in [0, 1], (N, C, H, W) float32, to logits (N, classes).
    train, test : Split
        All images of the suite's data.
    classes : tuple of str
    device : torch.device
    seed : int
        Of the training, for what a measure draws.
    alone : bool
        Whether nothing else runs on the machine meanwhile, so that times mean something.
    shared : dict
        Lives as long as the process: for what every model is measured with, such as corrupted images.
    kept : dict
        Name -> content, bytes, of files that are kept beside the rows.
    claims : tuple of mapping
        What is claimed of this model, for a measure `of_claims`: `attack`, its `options`, `eps`, `norm`, `space`, the
        `statistics` of normalised space, `robust_accuracy` in percent, `source`.
    others : mapping
        Name -> other models of the suite, for a measure `of_claims`.
    unfinished, save : bytes, optional; callable
        What it gave to `save` before it was stopped; takes bytes that say how far it has come.
    """

    model: "nn.Module"
    train: "Split"
    test: "Split"
    classes: tuple[str, ...]
    device: "torch.device"
    seed: int
    alone: bool = True
    shared: dict[Any, Any] = field(default_factory=dict)
    kept: dict[str, bytes] = field(default_factory=dict)
    claims: tuple[Mapping[str, Any], ...] = ()
    others: Mapping[str, "nn.Module"] = field(default_factory=dict)
    unfinished: bytes | None = None
    save: Callable[[bytes], object] = lambda _content: None


class BaseMeasure:
    """What a measure says of itself, whatever it is taken of. All there is to say of it is said in its class.

    Attributes
    ----------
    Options : type
        What a suite can say of it.
    figures : mapping
        Metric -> what it is, and how it is shown.
    """

    Options: ClassVar[type[Options]] = Options
    figures: ClassVar[Mapping[str, Metric]] = {}

    def unfit(self, options: Any, data: "ImageData") -> Iterator[tuple[KeyPath, str]]:
        """Say what of the options does not fit the data: the place below the measure's name, and why."""
        yield from ()

    def unasked(self, asked: Mapping[str, Any]) -> Any:
        """Give the options that it is taken with where a suite does not name it; None: then it is not taken.

        Parameters
        ----------
        asked : mapping
            Measure -> its options, of those that the suite names.
        """
        return None

    def summary(self, options: Any, shown: "Shown") -> Iterator["Column"]:
        """Give what the first table of a leaderboard shows of it: nothing, unless overridden."""
        yield from ()

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give the tables that show it: one, of its figures, unless overridden."""
        from lrbench.views import Block

        columns = [
            column
            for figure, metric in self.figures.items()
            for column in shown.columns(figure, metric.heading, metric.form, metric.parameters)
        ]
        yield Block(shown.title, columns)

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say how its tables are to be read: nothing, unless overridden."""
        yield from ()

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Give the charts that show it, for a run's pictures, its report and notebooks: none, unless overridden."""
        yield from ()


class Measure(BaseMeasure, ABC):
    """One thing to be known of a trained model.

    Attributes
    ----------
    needs_train : bool
        Whether it looks at training images, which a network that came trained may have come without.
    of_claims : bool
        Whether it is taken of what a suite claims, and of the models alone that something is claimed of; unasked.
    """

    needs_train: ClassVar[bool] = False
    of_claims: ClassVar[bool] = False

    def beside(self, options: Any) -> int:
        """Give how many of the suite's other models one `of_claims` is handed, the first ones."""
        return 0

    def passes(self, options: Any, train: int, test: int) -> float:
        """Give the rough cost, in forward-and-backward passes of one image, on so many images."""
        return 0.4 * test

    @abstractmethod
    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Give the rows: `metric`, `value`, and where they apply `layer`, `n`, `ci_low`, `ci_high` and parameters.

        `progress` is called with the share that is done, and of what.
        """


def at_most(samples: int | None, split: "Split") -> "Split":
    """Give so many images of a split, as `Split.balanced` chooses them; all where there are fewer, and for None."""
    return split.balanced(None if samples is None else min(samples, len(split)))


def proportion(metric: str, value: float, n: int, **columns: object) -> Row:
    """Give a row for a proportion of n images, with its 95 % interval: Wilson's, or what `interval` names."""
    from lrbench.statistics import interval_of

    low, high = interval_of(value, n, str(columns.get(INTERVAL, "")))
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": n, **columns}
