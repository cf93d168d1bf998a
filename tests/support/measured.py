"""A measure taken by itself, without a run, and a board of what it gave."""

import torch
from torch import nn

from lrbench.data import Split
from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.charts import charts
from lrbench.leaderboard.notes import notes
from lrbench.measures import Subject
from lrbench.measures.checked import checked_rows
from lrbench.measures.registry import measure_of
from lrbench.suite import Suite


def split_of(count, shape=(3, 8, 8), classes=4, seed=0):
    """Random images, their classes in turn."""
    pixels = torch.randint(256, (count, *shape), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))
    return Split(pixels, torch.arange(count) % classes)


def subject_of(model, test, train=None):
    """What a measure is handed."""
    names = tuple(f"class {label}" for label in range(int(test.labels.max()) + 1))
    return Subject(model.eval(), train or test, test, names, torch.device("cpu"), 0)


def taken(name, subject, **options):
    """Rows of a measure, as a run keeps them; what it reports of its progress is looked at, too."""
    measure, told = measure_of(name), []
    given = measure.Options.model_validate(options)
    rows = list(checked_rows(name, measure, measure.take(given, subject, lambda share, _word: told.append(share))))
    assert told == sorted(told)
    assert all(0 <= share <= 1 for share in told)
    assert measure.passes(given, len(subject.train), len(subject.test)) > 0
    return rows


def values(rows, figure, *columns):
    """Values of a figure, by some of its columns."""
    found = [row for row in rows if row["metric"] == figure]
    if not columns:
        (row,) = found
        return row["value"]
    keys = [tuple(row.get(column, "") for column in columns) for row in found]
    return {key[0] if len(key) == 1 else key: row["value"] for key, row in zip(keys, found, strict=True)}


def board_of(name, rows_by_model, **options):
    """A board of models whose rows were taken with some options."""
    raw = {
        "name": "mine", "data": "digits", "models": {model: {"arch": "resnet18"} for model in rows_by_model},
        "diagnostics": {name: options},
    }  # fmt: skip
    common = {"suite": "mine", "dataset": "digits", "seed": 0}
    rows = [{**common, "model": model, **row} for model, found in rows_by_model.items() for row in found]
    return Leaderboard(tidy(rows), Suite.model_validate(raw).model_dump(mode="json"))


def tables_of(board):
    """Title of each table behind the first -> the headings of its columns, none of which lacks a model."""
    assert not [line for line in notes(board) if line.startswith("MISSING")]
    tables = board.blocks[1:]
    assert all(set(column.cells) == set(board.suite["models"]) for block in tables for column in block.columns)
    return {block.title: [column.heading for column in block.columns] for block in tables}


def chart_of(board, name):
    """A chart by name."""
    (chart,) = [each for each in charts(board.shown, board.suite) if each.name == name]
    return chart


def net_of(*modules):
    """A network of such modules, on flat inputs."""
    return nn.Sequential(nn.Flatten(), *modules)
