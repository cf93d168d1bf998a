"""Differences on a board: a row over all seeds, adjusted for its table, and said at a radius chosen beforehand."""

import csv
import json
from io import StringIO
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import yaml
from rich.console import Console
from safetensors.numpy import load

from lrbench.cli import main
from lrbench.leaderboard import Leaderboard, tidy
from lrbench.leaderboard.notes import notes
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published import rebuild
from lrbench.leaderboard.render import print_board, to_markdown
from lrbench.leaderboard.report import report
from lrbench.leaderboard.resolution import ASSUMED, _pooled, resolution
from lrbench.names import in_path
from lrbench.statistics import Components, detectable, difference_of, holm
from lrbench.suite import Suite

EPS = [4 / 255, 8 / 255, 16 / 255]
OLD = sorted((Path(__file__).parent / "older").glob("*.json"))


def suite(seeds=(0, 1, 2), models=("base", "new", "other"), masking=None):
    content = {
        "name": "mine",
        "data": "digits",
        "seeds": list(seeds),
        "models": {name: {"arch": "resnet18"} for name in models},
        "threat_model": {"eps": EPS, "space": "pixel"},
        "attacks": ["iter-fsgm", "autoattack"],
        "diagnostics": {"masking": masking or {}},
    }
    return Suite.model_validate(content).model_dump(mode="json")


def rows(leads, differences, ps, seeds=(0, 1, 2), models=("base", "new", "other")):
    """Rows of a board: leads of "new" under iter-fsgm, and of each model differences of the worst case with their p."""
    common = {"suite": "mine", "dataset": "digits", "space": "pixel", "n": 100}
    for model in models:
        for seed in seeds:
            whose = {**common, "model": model, "seed": seed}
            yield {**whose, "metric": "misclassification", "eps": 0.0, "value": 0.1, "ci_low": 0.0, "ci_high": 0.2}
            for eps, lead in zip(EPS, leads, strict=True):
                error = 0.6 - (lead if model == "new" else 0)
                measured = {"metric": "misclassification", "eps": eps, "value": error, "ci_low": 0.0, "ci_high": 1.0}
                yield {**whose, "attack": "iter-fsgm", **measured}
                yield {**whose, "attack": "worst-case", **measured, "value": 0.7}
    for model, of_model in zip(models[1:], ps, strict=True):
        for eps, difference, p in zip(EPS, differences, of_model, strict=True):
            whose = {**common, "model": model, "seed": None, "attack": "worst-case", "eps": eps}
            bounds = {"ci_low": difference - 0.05, "ci_high": difference + 0.05}
            yield {**whose, "metric": "robust_accuracy_difference", "value": difference, **bounds}
            yield {**whose, "metric": "p_value", "value": p}


def board(**changes):
    given = {"leads": (0.02, 0.05, 0.2), "differences": (0.01, 0.05, 0.2), "ps": ((0.5, 0.03, 0.0001), (0.4, 0.6, 0.9))}
    return Leaderboard(tidy(rows(**(given | changes))), suite())


def shown(what, width=200):
    text = StringIO()
    print_board(what, Console(file=text, width=width))
    return text.getvalue()


def test_p_is_adjusted_over_models_and_radii_and_both_are_in_the_files():
    table = pd.read_csv(StringIO(board().results_csv()))
    raw, adjusted = (table[table["metric"] == metric]["value"].tolist() for metric in ("p_value", "p_adjusted"))
    assert len(raw) == 6
    assert adjusted == pytest.approx(holm(raw))
    assert adjusted[1] == pytest.approx(5 * 0.03)
    assert board().table().loc["new", "p_adjusted[worst-case,8/255]"] == pytest.approx(5 * 0.03)


def test_a_row_over_all_seeds_names_none_and_survives_a_file(tmp_path):
    made = board()
    table = list(csv.DictReader(StringIO(made.results_csv())))
    compared = [row for row in table if row["metric"] in {"robust_accuracy_difference", "p_value", "p_adjusted"}]
    assert len(compared) == 18
    assert {row["seed"] for row in compared} == {""}
    assert {row["seed"] for row in table} == {"", "0", "1", "2"}
    (tmp_path / "results.csv").write_text(made.results_csv())
    (tmp_path / "suite.yaml").write_text(yaml.safe_dump(made.suite))
    again = Leaderboard.load(tmp_path)
    pd.testing.assert_frame_equal(again.results, made.results)
    assert Run.open(tmp_path).seeds("new") == [0, 1, 2]


def test_the_table_of_differences_has_their_own_intervals_and_no_deviation():
    text = shown(board())
    assert "Robust accuracy in the worst case minus that of base, points, n = 100" in text
    assert "[+15.0, +25.0]" in text
    line = next(line for line in text.splitlines() if line.startswith("new") and "+20.0" in line)
    assert "±" not in line


def test_an_advantage_is_judged_at_a_radius_that_the_figures_do_not_choose():
    # The lead is largest, and surest, at 16/255; the suite is summed up at 8/255, where it is within chance.
    (line,) = [line for line in notes(board()) if line.startswith("Robust accuracy of new")]
    assert "at 8/255: +5.0 points under iter-fsgm, +5.0 [+0.0, +10.0] in the worst case" in line
    assert "adjusted p = 0.15" in line
    assert line.endswith("In the worst case the advantage is within chance.")
    assert "16/255" not in line


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"leads": (0.0, -0.02, 0.3)}, "Under this attack it has no advantage."),
        ({"leads": (0.0, 0.005, 0.3)}, "it leads by a point or less, which is held against nothing."),
        ({"differences": (0.0, 0.01, 0.0)}, "In the worst case the advantage is lost."),
        ({"ps": ((0.5, 0.001, 0.5), (0.4, 0.6, 0.9))}, "the advantage stays, on this board."),
        ({"differences": (0.0, 0.03, 0.0), "ps": ((0.5, 0.001, 0.5), (0.4, 0.6, 0.9))}, "shrinks, on this board."),
    ],
)
def test_what_becomes_of_an_advantage(changes, says):
    (line,) = [line for line in notes(board(**changes)) if line.startswith("Robust accuracy of new")]
    assert line.endswith(says)


def test_it_is_told_of_what_trainings_and_images_differences_speak():
    several = " ".join(notes(board()))
    assert "They generalise to other images and other trainings, as far as 3 trainings can tell." in several
    assert "over the 6 differences of that table" in several
    one = Leaderboard(tidy(rows((0, 0, 0), (0, 0, 0), ((1, 1, 1), (1, 1, 1)), seeds=(0,))), suite(seeds=(0,)))
    assert "other images for this one training; another training may differ by more" in " ".join(notes(one))


def test_a_run_holds_a_model_against_the_first_one_over_all_its_seeds(pair_run):
    def withstood(model):
        steps = [pair_run / f"steps/worst/{model}/seed-{seed}/outcomes.safetensors" for seed in (0, 1)]
        return np.array([load(step.read_bytes())["by_8"] == -2 for step in steps])

    expected = difference_of(withstood("lr"), withstood("net"))
    results = Leaderboard.load(pair_run).results
    found = results[(results["model"] == "lr") & (results["eps"] == 8 / 255)].set_index("metric")
    difference = found.loc["robust_accuracy_difference"]
    assert difference["value"] == pytest.approx(expected.difference)
    assert (difference["ci_low"], difference["ci_high"]) == pytest.approx(expected.interval)
    assert found.loc["p_value", "value"] == pytest.approx(expected.p)
    assert [path.name for path in (pair_run / "steps/difference/lr").iterdir()] == ["all-seeds"]


@pytest.mark.parametrize("record", OLD, ids=lambda path: path.stem)
@pytest.mark.usefixtures("unpictured")
def test_boards_published_before_there_were_such_differences_are_still_read(record, tmp_path):
    content = json.loads(record.read_bytes())
    kept = tmp_path / content["suite"] / "records" / f"{in_path(content['model'])}.json"
    kept.parent.mkdir(parents=True)
    kept.write_bytes(record.read_bytes())
    rebuild(tmp_path)
    old = Leaderboard.load(tmp_path / content["suite"])
    assert not set(old.aggregated["metric"]) & {"difference", "mcnemar_p", "p_value"}
    assert not any("minus that of" in block.title for block in old.blocks)
    assert "Differences of robust accuracy" not in shown(old)
    assert to_markdown(old).startswith("# ")


def test_there_are_such_boards():
    rows = [row for record in OLD for row in json.loads(record.read_bytes())["results"]]
    assert {"difference", "mcnemar_p"} & {row["metric"] for row in rows}


def test_plan_says_what_the_suite_can_show(pair_run, tmp_path, capsys):
    content = yaml.safe_load((pair_run / "suite.yaml").read_text())
    (assumed,) = resolution(content, 10, tmp_path)
    assert assumed.startswith(
        "10 images and 2 seeds: too few to tell two models apart in 80 % of cases (p < 0.05, not adjusted), even where "
        "all outcomes that differ favour one of them, if 20 % of the images are discordant"
    )
    (assumed,) = resolution({**content, "seeds": [0, 1, 2, 3, 4]}, 500, tmp_path)
    assert f"of {100 * detectable(5, 500, ASSUMED):.1f} points and more are found" in assumed
    (measured,) = resolution({**content, "seeds": [0, 1, 2, 3, 4]}, 500, pair_run)
    assert measured.endswith("by what is measured at 8/255 in this folder")
    assert measured != assumed
    assert resolution({**content, "attacks": []}, 500, tmp_path) == []
    assert main(["plan", str(pair_run / "suite.yaml"), "--out", str(pair_run)]) == 0
    assert "by what is measured at 8/255 in this folder" in " ".join(capsys.readouterr().out.split())


def test_one_seed_s_scatter_is_assumed_and_that_is_said(pair_run):
    content = yaml.safe_load((pair_run / "suite.yaml").read_text())
    alone = [Components(None, 0.1, 0.0)]
    components, source = _pooled(alone, 3, content)
    assert components == Components(ASSUMED.seeds, 0.1, 0.0)
    assert source.endswith("and if each model scatters by 3 points over seeds, which one seed does not show")
    assert "scatters" not in _pooled(alone, 1, content)[1]


def test_the_report_shows_them(pair_run):
    assert "Robust accuracy in the worst case minus that of net, points" in report(pair_run)
