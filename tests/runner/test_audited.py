"""Which network of a run is audited, and that it is called by its seed."""

from pathlib import Path

import pytest

from lrbench.errors import UsageError
from lrbench.runner import Session
from lrbench.runner.audited import Audited

SUITE = "name: ran\ndata: digits\nseeds: [3, 4]\nmodels: {net: {arch: resnet18}}\n"
CLAIM = "pgd, steps 3, 8/255: 50"


@pytest.fixture
def run(tmp_path):
    """A run's folder, of which only the suite matters here."""
    (tmp_path / "suite.yaml").write_text(SUITE)
    return tmp_path


@pytest.mark.parametrize(
    ("named", "seed", "folder"),
    [("net", 3, "audit-ran-net"), ("net@3", 3, "audit-ran-net-seed-3"), ("net@4", 4, "audit-ran-net-seed-4")],
)
def test_the_seed_of_the_network_is_that_of_the_audit_and_of_its_folder(run, named, seed, folder):
    audited = Audited(f"{run}:{named}", [CLAIM])
    assert audited.of_run == (run, "net", seed)
    assert Path(audited.folder).name == folder
    raw = {"seeds": [3, 4]}
    audited(raw)
    assert raw["seeds"] == [seed]
    assert raw["claims"][0]["model"] == "net"


@pytest.mark.parametrize(
    ("named", "name", "seed", "folder"),
    [("net@4", "net@4", 3, "audit-ran-net%404"), ("net@4@4", "net@4", 4, "audit-ran-net%404-seed-4"),
     ("net@3", "net", 3, "audit-ran-net-seed-3")],
)  # fmt: skip
def test_a_model_whose_name_ends_like_a_seed_is_that_model(run, named, name, seed, folder):
    (run / "suite.yaml").write_text(SUITE.replace("}}", "}, net@4: {arch: resnet18, width: 4}}"))
    audited = Audited(f"{run}:{named}", [CLAIM])
    assert audited.of_run == (run, name, seed)
    assert Path(audited.folder).name == folder


def test_of_a_suite_s_model_the_first_seed_is_trained():
    raw = {"seeds": [5, 6]}
    Audited("resnet18", [CLAIM])(raw)
    assert raw["seeds"] == [5]


def test_a_seed_of_a_model_of_no_run_is_refused(tmp_path):
    with pytest.raises(UsageError, match="a seed is named of a run's model alone, such as runs/quick:resnet18@1"):
        Audited("resnet18@1", [CLAIM]).as_suite(tmp_path, print, rehearse=False)


@pytest.mark.parametrize("seed", ["x", "0,1", "-1"])
def test_what_is_no_seed_is_refused(run, seed):
    with pytest.raises(UsageError, match="expected DIR:MODEL or DIR:MODEL@SEED, one seed"):
        _ = Audited(f"{run}:net@{seed}", [CLAIM]).of_run


@pytest.mark.parametrize("beside", [[], ["a"], ["a", "b", "c"]])
def test_attacks_are_made_on_every_model_that_is_named_beside(beside, tmp_path):
    models = "".join(f"  {name}: {{arch: resnet18, width: 4}}\n" for name in ("net", "a", "b", "c"))
    (tmp_path / "s.yaml").write_text(f"name: s\ndata: {{name: digits, train: 50, test: 50}}\nmodels:\n{models}")
    audited = Audited("net", [CLAIM], tmp_path / "s.yaml", {"samples": 5}, beside)
    suite, document, data, _ = audited.as_suite(tmp_path, print, rehearse=False)
    plan = Session.of(suite, document, out=tmp_path / "out", data_dir=tmp_path, data=data).plan
    (step,) = (step for step in plan if step.kind == "audit")
    assert [need.split("/")[1] for need in step.needs] == ["net", *beside]
