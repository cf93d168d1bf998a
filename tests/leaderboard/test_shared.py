import shutil

from support.boards import resealed

from lrbench.leaderboard.published import check, rebuild
from lrbench.leaderboard.published.shared import ABOUT, shared


def _record(*networks):
    return {
        "artefacts": {step: {"weights.safetensors": weights, "model.json": "m"} for step, weights in networks}
        | {"accuracy/net/seed-0": {"outcomes.safetensors": "a"}}
    }


def test_networks_that_boards_share_are_told_by_their_weights():
    boards = {
        "a": [_record(("train/net/seed-0", "w0"), ("train/net/seed-1", "w1")), _record(("load/old/seed-0", "w2"))],
        "b": [_record(("train/net/seed-0", "w0"), ("train/net/seed-1", "w1")), _record(("train/old/seed-0", "x"))],
        "c": [_record(("train/other/seed-7", "w0")), _record(("load/twin/seed-0", "y"), ("load/twin/seed-1", "y"))],
    }
    assert [(each.boards, each.networks) for each in shared(boards)] == [
        (("a", "b"), ("net (seed 1)",)),
        (("a", "b", "c"), ("net / other (seeds 0, 7)",)),
    ]
    assert shared({"a": boards["a"]}) == shared({}) == []


def test_models_of_the_same_seeds_are_told_together():
    board = [_record(*((f"train/{model}/seed-{seed}", f"{model}{seed}") for seed in (3, 4))) for model in ("p", "q")]
    (found,) = shared({"one": board, "two": board})
    assert found.networks == ("p, q (seeds 3, 4)",)


def test_files_that_are_no_networks_are_not_told():
    alike = [{"artefacts": {"accuracy/net/seed-0": {"weights.safetensors": "w", "model.json": "m"}}}]
    unknown = [{"artefacts": {"train/net/seed-0": {"weights.safetensors": "w"}}}]
    assert shared({"a": alike, "b": alike}) == shared({"a": unknown, "b": unknown}) == []


def _of_again(record):
    record["suite"] = record["configuration"]["name"] = "again"
    for row in record["results"]:
        row["suite"] = "again"


def test_the_index_tells_of_networks_on_several_boards(pair_boards, tmp_path):
    to = shutil.copytree(pair_boards, tmp_path / "to")
    before = {name: (to / name).read_text("utf-8") for name in ("README.md", "index.html")}
    assert not any(ABOUT in text for text in before.values())
    shutil.copytree(to / "small", to / "again")
    for path in (to / "again/records").glob("*.json"):
        resealed(path, _of_again)
    rebuild(to)
    for name in before:
        assert "again, small" in (text := (to / name).read_text("utf-8"))
        assert ABOUT in text
    assert check(to) == 4
