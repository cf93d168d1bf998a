"""Randomised smoothing: a bound of robust accuracy from below that no attack can move (Cohen et al., 2019)."""

import math
from collections.abc import Iterator, Mapping
from statistics import NormalDist
from typing import TYPE_CHECKING, Annotated, Any, ClassVar

from pydantic import Field

from lrbench.declared import named
from lrbench.measures.base import Measure, Metric, Options, Progress, Row, Subject, at_most, proportion
from lrbench.strict import Count, Distinct, NonNegative, Number, Positive

if TYPE_CHECKING:
    import pandas as pd

    from lrbench.views import Block, Chart, Shown

CONFIDENCE = 0.999
"""That no more certificates fail than the notes say."""

BOTH = {"certified_accuracy": "certified", "smoothed_accuracy_attacked": "attacked"}
"""The two bounds, as tables call them."""


class SmoothingOptions(Options):
    """The network smoothed by Gaussian noise of `sigma` pixels, certified and attacked in L2 at `radii`.

    Certify takes `n0` draws to guess a class and `n` to certify it (Cohen et al.: 100 and 100,000), at confidence
    1 - `alpha` an image. The attack is PGD of `steps` steps through `draws` draws each. At most `samples` test images
    are looked at (`null`: all).
    """

    sigma: Annotated[Positive, Field(le=1e6)] = 0.25
    radii: Annotated[list[Annotated[NonNegative, Field(le=1e6)]], Field(min_length=1), Distinct] = Field(
        default_factory=lambda: [0.0, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6]
    )
    n0: Count = 100
    n: Count = 1000
    alpha: Annotated[Number, Field(gt=0, lt=1)] = 0.001
    samples: Count | None = 100
    steps: Count = 20
    draws: Count = 8


@named("smoothing")
class Smoothing(Measure):
    """Robust accuracy in L2 of the smoothed network: certified from below, attacked from above."""

    Options = SmoothingOptions
    figures: ClassVar[Mapping[str, Metric]] = {
        "certified_accuracy": Metric("certified robust accuracy", "percent", "higher", ("radius",)),
        "smoothed_accuracy_attacked": Metric("robust accuracy under attack", "percent", "higher", ("radius",)),
        "mean_certified_radius": Metric("mean certified radius", better="higher"),
        "abstained": Metric("abstained", "percent", "lower"),
    }

    def tables(self, options: Any, shown: "Shown") -> Iterator["Block"]:
        """Give both bounds, a row a radius; then the mean radius, and where nothing is certain."""
        from dataclasses import replace

        from lrbench.views import Block

        columns = [
            replace(shown.column(figure, word, "percent", f"{figure}[{radius:g}]", radius=radius), row=f"{radius:g}")
            for radius in sorted(set(options.radii))
            for figure, word in BOTH.items()
        ]
        smoothed = f"Networks smoothed by noise of sigma {options.sigma:g}"
        yield Block(f"{smoothed}: robust accuracy within an L2 radius, in pixels of [0, 1]", columns, by="radius")
        rest = ("mean_certified_radius", "abstained")
        metrics = [(figure, self.figures[figure]) for figure in rest]
        yield Block(smoothed, [shown.column(figure, metric.heading, metric.form) for figure, metric in metrics])

    def notes(self, options: Any, shown: "Shown") -> Iterator[str]:
        """Say what is certain of it, and how."""
        counts = shown.rows("abstained")["n"].dropna()
        if counts.empty:
            return
        images = int(counts.min())
        yield (
            f"A network smoothed by noise is another one than that of the other tables. {options.n:,} draws certify an "
            f"image, at confidence {1 - options.alpha:.6g} each: at most {_failures(images, options.alpha)} of "
            f"{images:,} certificates may be wrong, at confidence {CONFIDENCE:g}. So many draws certify no "
            f"radius above {_limit(options)}, whatever the network. Who abstains is not certified. An attack counts "
            "where the smoothed network is certain of another class; the truth lies between the two."
        )

    def charts(self, options: Any, shown: "Shown") -> Iterator["Chart"]:
        """Draw both bounds by radius, a panel a model; between them is what is not known."""
        import pandas as pd

        from lrbench.views import Axis, Chart, Panel, n_suffix

        lower, upper = (_by_radius(shown, figure) for figure in BOTH)
        if lower.empty or upper.empty:
            return
        keys = ["model", "radius"]
        both = lower.merge(upper[[*keys, "value"]], on=keys, suffixes=("", "_attacked"))
        gap = both.assign(line="certified", low=both["value"], high=both["value_attacked"])
        edge = both.assign(line="attacked", value=both["value_attacked"], low=both["value_attacked"])
        edge = edge.assign(high=edge["low"])
        table = pd.concat([gap, edge], ignore_index=True)[[*keys, "line", "value", "low", "high", "n"]]
        y = Axis("value", f"robust accuracy, %{n_suffix(lower)}", domain=(0, 100))
        x = Axis("radius", "L2 radius, in pixels of [0, 1]")
        ends = pd.concat([_end(lower, "ci_low"), _end(upper, "ci_high")], ignore_index=True)
        panels = [
            Panel(rows, x, y, "line", label, faint=ends[ends["model"] == model])
            for model, label in shown.labels.items()
            if len(rows := table[table["model"] == model])
        ]
        caption = (
            f"Networks smoothed by Gaussian noise of sigma {options.sigma:g}: the lower line is certified, the upper "
            "one is what an attack left, and the truth lies in the shaded gap. Thin: the ends of both bounds' 95 % "
            "Wilson intervals over images. At the radii that are marked; at "
            f"confidence {1 - options.alpha:.6g} an image. {options.n:,} draws certify no radius above "
            f"{_limit(options)}."
        )
        title = "Smoothed networks: certified from below, attacked from above"
        yield Chart("smoothing", title, caption, panels, shown.labels)

    def passes(self, options: Any, train: int, test: int) -> float:
        """Certify, and attack at each radius."""
        attacked = len(options.radii) * (options.steps * options.draws + options.n / 3)
        return float(min(options.samples or test, test) * ((options.n0 + options.n) / 3 + attacked))

    def take(self, options: Any, subject: Subject, progress: Progress) -> Iterator[Row]:
        """Certify, then attack."""
        from lrbench.data import to_unit
        from lrbench.diagnostics.smoothed import bracket

        split = at_most(options.samples, subject.test)
        given = {key: getattr(options, key) for key in ("sigma", "radii", "n0", "n", "alpha", "steps", "draws")}
        images, labels, total = to_unit(split.pixels), split.labels, len(split)
        found = bracket(subject.model, images, labels, **given, done=lambda share: progress(share, "smoothing"))
        for radius, sure, withstood in zip(found.radii, found.certified, found.withstood, strict=True):
            for figure, held in zip(BOTH, (sure, withstood), strict=True):
                yield proportion(figure, held.double().mean().item(), total, radius=radius)
        sure = found.certificates
        lengths = sure.radius.where(sure.certified(labels), 0.0)
        yield {"metric": "mean_certified_radius", "value": lengths.mean(), "n": total}
        yield proportion("abstained", (sure.predicted < 0).double().mean().item(), total)


def _by_radius(shown: "Shown", figure: str) -> "pd.DataFrame":
    import pandas as pd

    rows = shown.rows(figure)
    if rows.empty:
        return rows
    rows = rows.assign(radius=pd.to_numeric(rows["radius"]), value=100 * rows["value"])
    return rows.sort_values("radius", kind="stable")


def _end(rows: "pd.DataFrame", end: str) -> "pd.DataFrame":
    """Give one end of the intervals of a bound as a line."""
    return rows.assign(line=end, value=100 * rows[end])[["model", "radius", "line", "value"]]


def _failures(images: int, alpha: float) -> int:
    from lrbench.statistics import failures

    return failures(images, alpha, CONFIDENCE)


def _limit(options: SmoothingOptions) -> str:
    """Give the largest radius that so many draws can certify, rounded down."""
    limit = options.sigma * NormalDist().inv_cdf(options.alpha ** (1 / options.n))
    if limit <= 0:
        return "0"
    digits = 3 - math.floor(math.log10(limit))
    return f"{math.floor(limit * 10**digits) / 10**digits:g}"
