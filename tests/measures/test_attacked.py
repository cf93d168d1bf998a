"""A measure of attacks of a user's own, from the page of the docs."""

import re
from pathlib import Path

import pytest
import torch
from support.plain import FACTORY

import lrbench
from lrbench.measures.checked import checked_each
from lrbench.runner import Session

PAGE = Path(__file__).parents[2] / "docs/add-a-measure.md"
CODE = re.findall(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
SUITE = """\
name: mine
data: {name: digits, train: 60, test: 30}
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255, 16/255], samples: 20, batch_size: 5, PARTS}
attacks: [fgsm, {name: deepfool, steps: 1}]
diagnostics: {masking: false, changed_pixels: {}}
models: {net: {arch: "NET"}}
"""


@pytest.fixture
def folder(tmp_path):
    exec(CODE, {"__name__": "notebook"})  # noqa: S102
    (tmp_path / "net.py").write_text(FACTORY)
    return tmp_path


def measured(folder, parts, out):
    path = folder / "mine.yaml"
    path.write_text(SUITE.replace("NET", f"{folder / 'net.py'}:build").replace("PARTS", parts))
    board = lrbench.run(path, folder / out)
    assert not board.failures
    rows = board.results[board.results["metric"] == "changed_pixels:changed"]
    return board, rows


def test_it_is_taken_of_each_attack_at_each_radius_and_shown(folder):
    board, rows = measured(folder, "part: 1000", "out")
    assert rows[["attack", "eps"]].values.tolist() == [["fgsm", 8 / 255], ["fgsm", 16 / 255]]
    assert set(rows["n"]) == {20}
    assert 0 < rows["value"].min() <= 1
    (block,) = [block for block in board.blocks if block.title.startswith("Changed pixels")]
    assert [column.heading for column in block.columns] == [
        "changed entries fgsm 8/255", "changed entries fgsm 16/255",
    ]  # fmt: skip
    assert Session.open(folder / "mine.yaml", folder / "out").pending == []


def test_in_parts_it_is_what_it_is_as_a_whole(folder):
    whole, parts = (measured(folder, f"part: {part}", f"out-{part}")[1] for part in (1000, 5))
    assert whole["value"].tolist() == parts["value"].tolist()


@pytest.mark.parametrize(
    ("each", "said"),
    [
        ([torch.zeros(3)], "gave list: it gives a mapping"),
        ({"a": torch.zeros(2)}, r"gave shape \(2,\) as 'a': a tensor \(3,\) is wanted"),
        ({"a": 1.0}, "gave float as 'a'"),
        ({1: torch.zeros(3)}, "as 1: a tensor"),
    ],
)
def test_what_it_gives_of_a_batch_is_checked(each, said):
    with pytest.raises((TypeError, ValueError), match=said):
        checked_each("mine", each, 3)
