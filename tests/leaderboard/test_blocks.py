"""Which tables a leaderboard has, and the published figures beside the measured ones."""

import numpy as np
import pytest
import yaml
from rich.console import Console

from lrbench.leaderboard import Leaderboard, tidy, wilson
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.suite import Suite
from lrbench.views import matching

EPS = [8 / 255, 16 / 255]
CURVE = [(0.1, 0.3), (0.2, 0.7)]


def suite(**changes):
    content = {
        "name": "mine",
        "data": "digits",
        "models": {"net": {"arch": "resnet18"}},
        "threat_model": {"eps": EPS, "space": "normalized", "l2_dissimilarities": [0.15, 0.9]},
        "attacks": ["iter-fsgm"],
        "diagnostics": {
            "embeddings": {"layer": "avgpool", "dims": ["full", 5]},
            "linear_probe": {"layer": "avgpool"},
            "compression": {"layer": "layer3", "dim": 20},
        },
        "reference": {
            "source": "the paper",
            "caveat": "Not the same data.",
            "figures": [
                {"model": "net", "metric": "accuracy", "value": 0.925, "where": "table 1"},
                {"model": "net", "metric": "d_adv", "layer": "avgpool", "attack": "iter-fsgm", "eps": "8/255",
                 "value": 1.81, "where": "section 5"},
                {"model": "net", "metric": "misclassification_at_l2", "parameters": {"l2": 0.15},
                     "attack": "iter-fsgm", "value": "almost 90",
                 "where": "figure 5"},
                {"model": "net", "metric": "vr", "parameters": {"k": 20}, "layer": "avgpool", "value": 0.9,
                 "where": "table 2"},
            ],
        },
    }  # fmt: skip
    return Suite.model_validate({**content, **changes}).model_dump(mode="json")


def share(metric, value, **columns):
    low, high = wilson(value, 100)
    return {"metric": metric, "value": value, "ci_low": low, "ci_high": high, "n": 100, **columns}


def board(**changes):
    rows = [share("accuracy", 0.9), share("misclassification", 0.1, eps=0.0, space="normalized")]
    for eps, (distance, error) in zip(EPS, CURVE, strict=True):
        attacked = {"attack": "iter-fsgm", "eps": eps, "space": "normalized"}
        rows.append(share("misclassification", error, **attacked))
        rows.append({"metric": "l2_dissimilarity", "value": distance, "n": 100, **attacked})
        rows.append({"metric": "d_adv", "value": 100 * eps, "layer": "avgpool", "n": 90, **attacked})
    rows += [share("embedding_accuracy", 0.8, layer="avgpool", dimensions=dim) for dim in ("full", 5)]
    rows += [share("linear_probe_accuracy", 0.7, layer="avgpool", labels=kind) for kind in ("coarse", "fine")]
    for kind, scale in (("full", 1.0), ("compressed", 0.25)):
        where = {"layer": "layer3", "part": kind}
        rows.append({"metric": "parameters", "value": 11_173_962 * scale, **where})
        rows.append({"metric": "multiply_adds", "value": 555_422_720 * scale, **where})
        rows.append({"metric": "seconds_per_image", "value": 0.0124 * scale, "n": 32, **where})
        rows.append(share("compression_accuracy", 0.8, **where))
    common = {"suite": "mine", "dataset": "digits", "model": "net", "seed": 0}
    return Leaderboard(tidy({**common, **row} for row in rows), suite(**changes))


def printed(found):
    console = Console(width=200, record=True, file=open("/dev/null", "w"))  # noqa: SIM115
    print_board(found, console)
    return console.export_text()


def test_misclassification_at_an_l2_is_read_off_the_curve():
    found = board()
    (row,) = matching(found.results, {"metric": "misclassification_at_l2"}).to_dict("records")
    assert row["l2"] == "0.15", "no curve reaches 0.9"
    assert row["value"] == pytest.approx(np.interp(0.15, [0, 0.1, 0.2], [0.1, 0.3, 0.7]))
    assert (row["ci_low"], row["ci_high"]) == pytest.approx(wilson(0.5, 100))
    assert "L2 0.15" in printed(found)


def test_tables_for_embeddings_probes_and_compression():
    text = printed(board())
    for title in (
        "Linear classifier on PCA embeddings",
        "Linear classifier on avgpool, trained on coarse labels",
        "Everything behind layer3 replaced by 20 dimensions and a linear classifier",
    ):
        assert title in text
    for figure in ("11.17 M", "2.793 M", "555.4 M", "12.4", "3.1"):
        assert figure in text
    assert "Activations of" not in text, "what was not measured has no table"


def test_published_figures_stand_beside_the_measured_ones():
    for text in (printed(board()), to_markdown(board())):
        assert "Beside the paper" in text
        assert "Not the same data." in text
        assert "92.5" in text
        assert "almost 90" in text
    comparisons = board().comparisons
    assert [each.published for each in comparisons] == [0.925, 1.81, "almost 90", 0.9]
    measured = [None if each.measured is None else each.measured.value for each in comparisons]
    assert measured == [pytest.approx(0.9), pytest.approx(100 * EPS[0]), pytest.approx(0.5), None]
    assert board(reference=None).comparisons == []


def test_times_are_kept_apart_from_what_a_repeated_run_gives_again(tmp_path):
    found = board()
    assert "seconds" not in found.results_csv()
    assert found.timings_csv().count("seconds_per_image") == 2
    (tmp_path / "results.csv").write_text(found.results_csv())
    (tmp_path / "timings.csv").write_text(found.timings_csv())
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(found.suite, sort_keys=False))
    again = Leaderboard.load(tmp_path)
    assert again.results_csv() == found.results_csv()
    assert again.timings_csv() == found.timings_csv()
    assert printed(again) == printed(found)
