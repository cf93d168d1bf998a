"""A folder that somebody takes away during a run."""

import shutil
import uuid

import pytest
from support.plain import FACTORY

from lrbench.cli import main
from lrbench.runner import figures
from lrbench.runner.follow import Follower
from lrbench.store import Hold, Store, StoreError, as_path

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: removed
data: {name: digits, train: 100, test: 30}
models:
  net: {arch: "FACTORY:build"}
  other: {extends: net}
training: {epochs: 2, batch_size: 50}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics: {masking: false}
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "removed.yaml"
    path.write_text(SUITE.replace("FACTORY", str(tmp_path / "mine.py")))
    return str(path)


def remove(location):
    root = as_path(location)
    if isinstance(location, str) and "://" in location:
        root.fs.rm(root.path, recursive=True)
    else:
        shutil.rmtree(root, ignore_errors=True)


def stopped_with_a_line(capsys, out):
    complaints = [line for line in capsys.readouterr().err.splitlines() if not line.startswith("lrbench: running")]
    assert len(complaints) == 1
    assert complaints[0].startswith(
        f"lrbench: {out} was removed or moved while this run was writing to it; it writes no"
    )


@pytest.mark.parametrize("given", [[], ["--jobs", "2"], ["--steps", "*"]])
def test_a_run_ends_with_what_happened_and_writes_no_more(suite, tmp_path, monkeypatch, capsys, given):
    out, finished = tmp_path / "run", Follower.finished

    def then_it_goes(self, done):
        finished(self, done)
        remove(out)

    monkeypatch.setattr(Follower, "finished", then_it_goes)
    assert main(["run", suite, "--out", str(out), *given]) == 1
    stopped_with_a_line(capsys, out)
    assert not (out / "results.csv").exists()


@pytest.mark.parametrize("location", ["memory", "s3"], indirect=True)
def test_it_does_in_an_object_store(suite, location, monkeypatch, capsys):
    finished = Follower.finished

    def then_it_goes(self, done):
        finished(self, done)
        remove(location)

    monkeypatch.setattr(Follower, "finished", then_it_goes)
    assert main(["run", suite, "--out", location]) == 1
    stopped_with_a_line(capsys, location)
    assert not (as_path(location) / "results.csv").exists()


def test_it_does_while_the_report_is_made(suite, tmp_path, monkeypatch, capsys):
    out, made = tmp_path / "run", figures._made

    def then_it_goes(*given, **options):
        remove(out)
        return made(*given, **options)

    monkeypatch.setattr(figures, "_made", then_it_goes)
    assert main(["run", suite, "--out", str(out)]) == 1
    stopped_with_a_line(capsys, out)
    assert not out.exists()


def test_another_folder_under_its_name_is_not_taken_for_it(tmp_path):
    store = Store(tmp_path / "run")
    with store.writing():
        (tmp_path / "run").rename(tmp_path / "moved")
        with Store(tmp_path / "run").writing(), pytest.raises(StoreError, match="was removed or moved"):
            store.write("results.csv", "old")
    assert not (tmp_path / "run/results.csv").exists()


@pytest.mark.parametrize("hold", [Hold(), Hold("1-of-2", uuid.uuid4().hex)])
def test_who_writes_for_a_holder_makes_no_folder_anew(tmp_path, hold):
    with pytest.raises(StoreError, match="was removed or moved"):
        Store(tmp_path / "run", hold).save_failure("train/net/seed-0", "old")
    assert not (tmp_path / "run").exists()
