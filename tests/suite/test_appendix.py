"""The appendix's tables against the boards that they are of: no figure of theirs is another one there."""

import re

import pytest
from support.told import CELL, ROOT, board_of, difference, figure, found_with_power, says, shown_of

APPENDIX = (ROOT / "docs/findings-appendix.md").read_text("utf-8").partition("## Earlier boards")[0]

WORST = "robust_accuracy[worst-case,{}/255]"
LATE = {
    "clean accuracy": "accuracy",
    "withstand Iter-FSGM": "robust_accuracy[iter-fsgm,8/255]",
    "withstand the attack that knows": "robust_accuracy[adaptive-lr,8/255]",
    "withstand fast AutoAttack %": "robust_accuracy[autoattack-fast,8/255]",
    "withstand standard AutoAttack %": "robust_accuracy[autoattack,8/255]",
    "withstand .* and the worst case|(?:the )?worst case (?:and|over)": WORST.format(8),
    "minus on-at-80": "minus " + WORST.format(8),
    "relative D_Adv": "d_adv_relative[avgpool,iter-fsgm,8/255]",
    "VR_10": "centred_vr_10[avgpool]",
}
PIXELS = {
    "clean accuracy": "accuracy",
    r"(\d)/255": WORST,
    r"under PGD alone, (\d)/255": "robust_accuracy[pgd,{}/255]",
    r"under the attack that knows the layer, (\d)/255": "robust_accuracy[adaptive-lr,{}/255]",
    r"VR_(\d+) about the mean, avgpool": "centred_vr_{}[avgpool]",
    r"VR_(\d+) about the mean, before block 4": "centred_vr_{}[layer3]",
    "accuracy of a linear classifier in 5": "embedding_accuracy_5[avgpool]",
    "the same, all dimensions": "embedding_accuracy[avgpool,full]",
    r"D_Adv, PGD at (\d)/255": "d_adv[avgpool,pgd,{}/255]",
    r"relative D_Adv, PGD at (\d)/255": "d_adv_relative[avgpool,pgd,{}/255]",
}
SMOOTHING = {
    "mean certified radius": "mean_certified_radius",
    r"certified % at (?:radius )?([\d.]+)": "certified_accuracy[{}]",
    "withstand the attack at 1": "smoothed_accuracy_attacked[1]",
    "clean accuracy": "accuracy",
    "VR_10": "centred_vr_10[avgpool]",
}
FLAT = {
    "training accuracy": "training_accuracy",
    "training loss": "training_loss",
    "clean accuracy": "accuracy",
    r"PGD-(\d+), (\d+)/255": "robust_accuracy[pgd-{},{}/255]",
    r"PGD-20, margin, (\d+)/255": "robust_accuracy[pgd-20-margin,{}/255]",
    r"fast AutoAttack, (\d+)/255": "robust_accuracy[autoattack-fast,{}/255]",
    r"standard AutoAttack, (\d+)/255": "robust_accuracy[autoattack,{}/255]",
}
RIVALS = {
    "clean accuracy": "accuracy",
    r"(?:robust accuracy %, )?(\d)/255": WORST,
    r"under PGD alone, (\d)/255": "robust_accuracy[pgd,{}/255]",
    r"under standard AutoAttack, (\d)/255": "robust_accuracy[autoattack,{}/255]",
    r"under the attack that knows the layer, (\d)/255": "robust_accuracy[adaptive-lr,{}/255]",
    r"minus normal's, (\d)/255": "minus " + WORST,
    "adjusted p": "p",
    "VR_10": "centred_vr_10[avgpool]",
}
NAMES = {
    "1-LR": ("1-lr", "resnet18-1-lr"),
    "2-LR": ("2-lr", "resnet18-2-lr"),
    "normal": ("normal", "resnet18"),
    "norm penalty": ("norm-penalty",),
    "PGD-trained": ("resnet18-pgd",),
    "PGD-trained 1-LR": ("resnet18-1-lr-pgd",),
    "the network all start from": ("resnet18-warm",),
    "the network both start from": ("resnet18-warm",),
}
TABLES = [
    ("late-confirmation", LATE, 13),
    ("late-controls", LATE, 19),
    ("late-standard", LATE, 12),
    ("late-controls-standard", LATE, 12),
    ("late-replication", LATE, 16),
    ("late-replication-smoothing", LATE, 16),
    ("late-confirmation-cifar10-jpeg", LATE, 13),
    ("late-standard-cifar10-jpeg", LATE, 22),
    ("smoothing", SMOOTHING, 33),
    ("claims-saturation", FLAT, 120),
    ("cifar10-jpeg-pixel-short", PIXELS, 44),
    ("on-at-65-cifar10-jpeg", PIXELS, 40),
    ("lr-on-pgd-cifar10-jpeg", PIXELS, 39),
    ("rivals-short", RIVALS, 132),
    ("rivals-standard", RIVALS, 38),
    ("rivals-standard-others", RIVALS, 110),
    ("rivals-confirmation", RIVALS, 14),
]
"""Boards in the order of the tables, what the tables' headings mean, and how many cells are compared."""


DRAWN = "network, image"
"""How the one table begins that is of no board, but of `benchmarks.authors`."""


def tables():
    """Each table's cells, the first row its head."""
    for block in re.findall(r"(?:^\|.*\|[ ]*$\n?)+", APPENDIX, re.MULTILINE):
        rows = [
            [cell.strip().replace("**", "") for cell in line.strip()[1:-1].split("|")] for line in block.splitlines()
        ]
        if rows[0][0] != DRAWN:
            yield rows[:1] + rows[2:]


def named(text, models):
    """Give the model that a heading names, if it names one."""
    return next((name for name in (text, *NAMES.get(text, ())) if name in models), None)


def meant(text, headings):
    """Give the column of the board that a heading speaks of, if it does."""
    found = ((re.match(pattern, text), column) for pattern, column in headings.items())
    return next((column.format(*match.groups()) for match, column in found if match), None)


def filled(head, rows):
    """Give a table's cells, each with what stands at the head of its row and of its column."""
    for row in rows:
        for heading, cell in zip(head[1:], row[1:], strict=True):
            yield row[0], heading, cell


def upright(board, head, rows, headings):
    """Give the cells of a table with a model a column, and what its board says."""
    models, before = list(board_of(board).suite["models"]), None
    for row, heading, cell in filled(head, rows):
        column, model = meant(row, headings), named(heading, models)
        before = model or before
        if column is None or not CELL.match(cell):
            continue
        if model is not None and column.startswith("minus "):
            yield cell, difference(board, model, column.removeprefix("minus "), models[0])
        elif model is not None:
            yield cell, figure(board, model, column)
        elif re.match("minus|difference", heading):
            yield cell, difference(board, before, column, models[0])
        elif heading == "found with 80 % power":
            yield cell, found_with_power(board, before, column, models[0])


def across(board, head, rows, headings):
    """Give the cells of a table with a model a row, and what its board says."""
    models, last = list(board_of(board).suite["models"]), None
    for row, heading, cell in filled(head, rows):
        column, model = meant(heading, headings), named(row, models)
        if column == "p" and CELL.match(cell):
            yield f"{last.value}, p = {cell}", last
        elif column is not None and CELL.match(cell):
            minus = column.startswith("minus ")
            last = difference(board, model, column[6:], "normal") if minus else figure(board, model, column)
            yield cell, last


@pytest.mark.parametrize(
    ("board", "headings", "compared", "table"),
    [pytest.param(*each, table, id=each[0]) for each, table in zip(TABLES, tables(), strict=True)],
)
def test_a_table_is_that_of_its_board(board, headings, compared, table):
    head, *rows = table
    transposed = named(rows[1][0], list(board_of(board).suite["models"])) is not None
    cells = list((across if transposed else upright)(board, head, rows, headings))
    assert len(cells) == compared
    assert not [(cell, true) for cell, true in cells if not says(cell, true)]


FIRST_RUNS = {
    "late-confirmation-cifar10-jpeg": [
        "-0.1 [-0.3, +0.0]",
        "0.0 [-1.3, +1.3], p = 0.94",
        "-0.4 [-2.2, +1.3], p = 0.52",
        "0.2853 and 0.6268",
        "0.9162 and 0.9926",
    ],
    "claims-saturation": ["0.0", "0.0", "0.0", "0.5", "0.0", "0.0", "11.5", "5.0", "0.0", "4.0", "2.5", "2.0"],
}
"""What boards said that are not published any more: that of 6f2c716, and of 66a0740."""


@pytest.mark.parametrize(("board", "said"), FIRST_RUNS.items())
def test_what_a_first_run_said_stays(board, said):
    head, *rows = dict(zip((name for name, *_ in TABLES), tables(), strict=True))[board]
    assert "first run" in head[-1]
    assert [row[-1] for row in rows] == said


def test_each_verdict_is_that_of_its_board():
    head, *rows = dict(zip((name for name, *_ in TABLES), tables(), strict=True))["rivals-short"]
    found = {row[0]: row[head.index("verdict")] for row in rows}
    assert found == shown_of("rivals-short")["verdict"].to_dict()
