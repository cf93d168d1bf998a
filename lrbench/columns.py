"""The columns of `results.csv`. Loads no pandas, so that suites are read without it."""

COLUMNS = (
    "suite",
    "model",
    "seed",
    "dataset",
    "layer",
    "attack",
    "eps",
    "space",
    "metric",
    "value",
    "ci_low",
    "ci_high",
    "n",
)
TEXT = ("suite", "model", "dataset", "layer", "attack", "space", "metric")
CELL = ("model", "layer", "attack", "eps", "space", "metric")
"""With the parameters, what a figure is a figure of, over seeds."""

INTERVAL = "ci_by"
"""Parameter that names what an interval is by, where that is not Wilson's method for a given number of images."""

WHOLE = 1e15
"""Below it whole numbers are written without a point or an exponent."""


def as_text(value: object) -> str:
    """Write a parameter as tables hold it: 10, 0.1, full."""
    if isinstance(value, float):
        return str(int(value)) if value.is_integer() and abs(value) < WHOLE else repr(value)
    return str(value)
