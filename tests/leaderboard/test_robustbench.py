import json
import shutil

import pytest
import yaml

from lrbench.cli import main

# Keys and types of the project's own records, model_info/cifar10/Linf/Wang2023Better_WRN-28-10.json among them.
THEIRS = {
    "link": str, "name": str, "authors": str, "additional_data": bool, "number_forward_passes": int, "dataset": str,
    "venue": str, "architecture": str, "eps": str, "clean_acc": str, "reported": str, "autoattack_acc": str,
    "footnote": str, "unreliable": bool,
}  # fmt: skip


def exported(run, *more):
    return main(["export", f"{run}:net", "--robustbench", *more])


def test_a_record_has_the_keys_and_types_of_theirs(pair_run, capsys):
    assert exported(pair_run, "--name", "A net", "--authors", "A, B", "--venue", "arXiv, Nov 2026") == 0
    info = json.loads(capsys.readouterr().out)
    assert {key: type(value) for key, value in info.items()} == THEIRS
    assert info["eps"] == "8/255"
    assert info["name"] == "A net"
    assert float(info["autoattack_acc"]) <= float(info["clean_acc"])
    assert (
        "AutoAttack on 20 test images; not the standard version of AutoAttack: steps = 3, targets = 2, queries = 5"
        in info["footnote"]
    )


def test_the_robust_accuracy_is_that_of_autoattack(pair_run, capsys):
    import pandas as pd  # noqa: PLC0415

    assert exported(pair_run) == 0
    info = json.loads(capsys.readouterr().out)
    table = pd.read_csv(pair_run / "results.csv")
    row = table[(table["model"] == "net") & (table["seed"] == 0) & (table["attack"] == "autoattack")]
    row = row[(row["metric"] == "misclassification") & (row["eps"] > 0.03)]
    assert float(info["autoattack_acc"]) == pytest.approx(100 * (1 - row["value"].iloc[0]), abs=0.01)


@pytest.mark.parametrize(("lines", "unreliable"), [(("verdict",), True), ((), False)], ids=["not checked", "as it is"])
def test_a_model_that_was_not_checked_is_unreliable(pair_run, tmp_path, capsys, lines, unreliable):
    run = tmp_path / "run"
    shutil.copytree(pair_run, run)
    kept = [
        line.replace(",verdict,1.0,", ",verdict,0.0,").replace(",verdict,2.0,", ",verdict,0.0,")
        for line in (run / "results.csv").read_text().splitlines()
        if not (line.startswith("small,net,0,") and any(f",{each}," in line for each in lines))
    ]
    (run / "results.csv").write_text("\n".join(kept) + "\n")
    assert exported(run) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["unreliable"] is unreliable
    assert ("not checked" in info["footnote"]) is unreliable


def test_figures_of_an_unfinished_run_or_without_accuracy_say_so(pair_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(pair_run, run)
    (run / "status.json").write_text('{"done": 6, "planned": 46, "environments": []}')
    assert exported(run) == 0
    info = json.loads(capsys.readouterr().out)
    assert info["unreliable"]
    assert "6 of 46 steps done" in info["footnote"]
    kept = [line for line in (run / "results.csv").read_text().splitlines() if ",accuracy," not in line]
    (run / "results.csv").write_text("\n".join(kept) + "\n")
    assert exported(run) == 2
    assert "has no accuracy of net, seed 0" in capsys.readouterr().err


def test_another_space_is_refused(pair_run, tmp_path, capsys):
    run = tmp_path / "run"
    shutil.copytree(pair_run, run)
    suite = yaml.safe_load((run / "suite.yaml").read_text())
    suite["threat_model"]["space"] = "normalized"
    (run / "suite.yaml").write_text(yaml.safe_dump(suite))
    assert exported(run) == 2
    assert "eps is in pixels" in capsys.readouterr().err


@pytest.mark.parametrize(("asked", "seed"), [("", 0), ("@0", 0), ("@1", 1)])
def test_the_figures_are_of_the_seed_that_is_asked_for(pair_run, capsys, asked, seed):
    import pandas as pd  # noqa: PLC0415

    assert main(["export", f"{pair_run}:net{asked}", "--robustbench"]) == 0
    info = json.loads(capsys.readouterr().out)
    table = pd.read_csv(pair_run / "results.csv")
    row = table[(table["model"] == "net") & (table["seed"] == seed) & (table["metric"] == "accuracy")]
    assert float(info["clean_acc"]) == pytest.approx(100 * row["value"].iloc[0], abs=0.01)
    assert f"seed {seed} of the 2 training seeds 0, 1" in info["footnote"]


@pytest.mark.parametrize(
    ("asked", "says"), [("@7", "has no seed 7 of net; name one of the seeds 0, 1"), ("@0,1", "is about one network")]
)
def test_a_seed_that_is_not_there_is_refused(pair_run, capsys, asked, says):
    assert main(["export", f"{pair_run}:net{asked}", "--robustbench"]) == 2
    assert says in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda attacks: attacks[1].update(name="pgd"), "has no figures of `autoattack`"),
        (lambda attacks: attacks[1].update(surrogate="lr"), "has no figures of `autoattack`"),
        (lambda attacks: attacks.pop(1), "has no figures of `autoattack`"),
    ],
)
def test_what_only_goes_by_the_name_of_autoattack_is_refused(pair_run, tmp_path, capsys, change, says):
    run = shutil.copytree(pair_run, tmp_path / "run")
    suite = yaml.safe_load((run / "suite.yaml").read_text())
    change(suite["attacks"])
    (run / "suite.yaml").write_text(yaml.safe_dump(suite))
    assert exported(run) == 2
    assert says in capsys.readouterr().err
