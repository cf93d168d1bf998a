import csv
import io
import json
import shutil

import numpy as np
import pandas as pd
import pytest
from safetensors.numpy import load
from scipy.stats import binomtest

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.paired_text import FORMATS, rows


def test_a_run_against_itself_shows_no_difference(shown_run, capsys):
    for paired in compare(str(shown_run), str(shown_run)):
        assert len(paired.differences) > 5
        for each in paired.differences:
            assert each.difference == 0
            assert each.interval == (0, 0)
            assert each.p == 1
            assert not any(each.only_first)
            assert not any(each.only_second)
        assert paired.configuration == paired.environment == {}
        assert not paired.skipped
    assert main(["compare", str(shown_run), str(shown_run)]) == 0
    assert "No difference: both get the same images wrong everywhere." in capsys.readouterr().out


def test_two_seeds_of_a_model_have_intervals(shown_run):
    (paired,) = compare(f"{shown_run}:net@0", f"{shown_run}:net@1")
    assert (paired.first.seeds, paired.second.seeds) == ((0,), (1,))
    assert any(each.only_first[0] or each.only_second[0] for each in paired.differences)
    for each in paired.differences:
        assert each.interval[0] <= each.difference <= each.interval[1]
        assert each.interval[0] < each.interval[1] or not (each.only_first[0] or each.only_second[0])


def test_figures_are_those_of_the_outcomes_and_p_is_scipy_s(shown_run):
    (paired,) = compare(f"{shown_run}:net", f"{shown_run}:lr")
    seen = 0
    for each in paired.differences:
        if each.attack not in {"iter-fsgm", "autoattack"}:
            continue
        ps = []
        for seed in (0, 1):
            wrong = []
            for model in ("net", "lr"):
                step = shown_run / f"steps/attack/{model}/seed-{seed}/{each.attack}/eps-{255 * each.eps:g}"
                outcomes = load((step / "outcomes.safetensors").read_bytes())
                wrong.append(outcomes["predicted"] != outcomes["label"])
            assert each.only_first[seed] == np.flatnonzero(wrong[0] & ~wrong[1]).tolist()
            discordant = (wrong[0] & ~wrong[1]).sum(), (wrong[1] & ~wrong[0]).sum()
            ps.append(binomtest(int(discordant[0]), int(sum(discordant))).pvalue if sum(discordant) else 1.0)
        assert each.p == pytest.approx(max(ps))
        seen += 1
    assert seen == 4


def test_shares_are_those_of_the_board(shown_run):
    table = pd.read_csv(shown_run / "results.csv").fillna({"attack": ""})
    (paired,) = compare(f"{shown_run}:net", f"{shown_run}:lr")
    assert {each.attack for each in paired.differences} == {"", "iter-fsgm", "autoattack", "deepfool", "worst-case"}
    for each in paired.differences:
        for model, share in (("net", each.first), ("lr", each.second)):
            found = table[(table["model"] == model) & (table["attack"] == each.attack)]
            found = found[(found["metric"] == "misclassification") & np.isclose(found["eps"], each.eps)]
            assert share == pytest.approx(found["value"].mean())


def test_what_differs_in_the_making_is_told(shown_run):
    (paired,) = compare(f"{shown_run}:net", f"{shown_run}:lr")
    assert list(paired.configuration) == ["model.lr_layers.avgpool", "low_rank"]


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (lambda s: s["threat_model"].update(space="normalized"), "space (pixel and normalized)"),
        (lambda s: s["threat_model"].update(norm="l2"), "norm (linf and l2)"),
        (lambda s: s["threat_model"].update(samples=10), "number of images attacked (20 and 10)"),
        (lambda s: s["threat_model"].update(eps=[0.5]), "radii (4/255, 8/255 and 127.5/255)"),
    ],
)
def test_what_is_not_comparable_is_refused(shown_run, tmp_path, change, reason, capsys):
    import yaml  # noqa: PLC0415

    other = tmp_path / "other"
    shutil.copytree(shown_run, other)
    suite = yaml.safe_load((other / "suite.yaml").read_text())
    change(suite)
    (other / "suite.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    assert main(["compare", f"{shown_run}:net", f"{other}:net"]) == 2
    said = capsys.readouterr().err
    assert "cannot be compared" in said
    assert reason in said


def test_other_images_are_refused(shown_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(shown_run, other)
    from dataclasses import replace  # noqa: PLC0415

    from lrbench.store import Store  # noqa: PLC0415

    store = Store(other)
    record = store.record("accuracy/net/seed-0")
    files = {name: (store.folder(record.id) / name).read_bytes() for name in record.files}
    store.save(replace(record, config={**record.config, "data": {"test": "other"}}), files)
    with pytest.raises(UsageError, match=r"test images \(digits and digits, other examples\)"):
        compare(f"{shown_run}:net", f"{other}:net")


def test_an_attack_with_other_options_is_not_compared(shown_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(shown_run, other)
    text = (other / "suite.yaml").read_text()
    assert "queries: 5\n" in text
    (other / "suite.yaml").write_text(text.replace("  targets: 2\n  queries: 5\n", "  targets: 2\n  queries: 9\n"))
    (paired,) = compare(f"{shown_run}:net", f"{other}:net")
    assert "autoattack" not in {each.attack for each in paired.differences}
    assert "autoattack at 4/255 (other options)" in paired.skipped


@pytest.mark.parametrize(
    ("sides", "message"),
    [
        (("RUN:net", "RUN:nett"), "did you mean 'net'"),
        (("RUN:net", "nowhere"), "no results in nowhere"),
        (("RUN:net@0", "RUN:net@7"), "with the seeds 0, 1, not 7"),
        (("RUN:net@0,1", "RUN:net@0"), "2 seeds against 1"),
    ],
)
def test_wrong_sides_are_a_line(shown_run, capsys, sides, message):
    assert main(["compare", *(side.replace("RUN", str(shown_run)) for side in sides)]) == 2
    assert message in capsys.readouterr().err


def test_damaged_outcomes_are_refused(shown_run, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(shown_run, other)
    path = other / "steps/accuracy/net/seed-0/outcomes.safetensors"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    with pytest.raises(UsageError, match="is damaged"):
        compare(f"{other}:net", f"{other}:lr")


def test_every_format_says_the_same(shown_run):
    found = compare(f"{shown_run}:net", f"{shown_run}:lr")
    count = len(found[0].differences)
    table = list(csv.DictReader(io.StringIO(FORMATS["csv"](found))))
    assert [float(row["difference"]) for row in table] == [each.difference for each in found[0].differences]
    (content,) = json.loads(FORMATS["json"](found))
    assert [row["p"] for row in content["differences"]] == [each.p for each in found[0].differences]
    assert FORMATS["markdown"](found).count("\n| ") == count + 2
    assert FORMATS["latex"](found).count(r" \\") == count + 1
    assert all(len(row) == 9 for row in rows(found[0]))
