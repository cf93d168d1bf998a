"""Shares of a plan, as the jobs of an array take them."""

import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.plain import FACTORY

import lrbench
from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.runner.share import Share, takable
from lrbench.runner.step import Step
from lrbench.store import Store

pytestmark = pytest.mark.usefixtures("undrawn")

SUITE = """\
name: shared
data: {name: digits, train: 150, test: 40}
models:
  net: {arch: "FACTORY:build"}
  lr: {extends: net, lr_layers: {"1": 4}}
seeds: [0, 1]
training: {epochs: 2, batch_size: 50, warmup_accuracy: 0.0}
threat_model: {eps: [8/255], samples: 20, batch_size: 10, part: 10}
attacks: [fgsm, {name: pgd, steps: 2, surrogate: net}]
diagnostics: {masking: false}
"""
BROKEN = """\


class Broken(nn.Linear):
    def forward(self, x):
        if self.training:
            raise ArithmeticError("broken")
        return super().forward(x)


def broken(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), Broken(64, num_classes))
"""


@pytest.fixture
def suite(tmp_path):
    (tmp_path / "mine.py").write_text(FACTORY)
    path = tmp_path / "shared.yaml"
    path.write_text(SUITE.replace("FACTORY", str(tmp_path / "mine.py")))
    return str(path)


def steps(works):
    return [Step(f"train/m/{place}", "train", "m", place, {}, (), work) for place, work in enumerate(works)]


@given(st.lists(st.floats(0.1, 1000), min_size=1, max_size=40), st.integers(1, 12))
def test_shares_hold_each_step_once_and_are_as_even_as_the_largest_step_allows(works, count):
    plan = steps(works)
    shares = [Share(("*",), index, count).of(plan) for index in range(1, count + 1)]
    assert sorted(step.id for share in shares for step in share) == sorted(step.id for step in plan)
    totals = [sum(step.work for step in share) for share in shares]
    assert max(totals) <= sum(works) / count + max(works) + 1e-6


def test_a_step_waits_for_what_is_in_another_share():
    train, attack, worst = (
        Step("train/a", "train", "a", 0, {}),
        Step("attack/a", "attack", "a", 0, {}, ("train/a",)),
        Step("worst/a", "worst", "a", 0, {}, ("attack/a",)),
    )
    assert takable([train, attack, worst], set()) == ([train, attack, worst], [])
    assert takable([attack, worst], {"train/a"}) == ([attack, worst], [])
    assert takable([attack, worst], set()) == ([], [attack, worst])


def test_an_array_of_jobs_and_a_last_one_give_what_one_run_gives(suite, tmp_path, capsys):
    out = str(tmp_path / "shared")
    for stage in ("train/*", "attack/*"):
        for share in ("1/3", "2/3", "3/3"):
            assert main(["run", suite, "--out", out, "--steps", stage, "--share", share]) == 0
            assert not (tmp_path / "shared/results.csv").exists()
    capsys.readouterr()
    assert main(["run", suite, "--out", out]) == 0
    lrbench.run(suite, out=tmp_path / "alone")
    assert (tmp_path / "shared/results.csv").read_bytes() == (tmp_path / "alone/results.csv").read_bytes()


def test_tables_of_before_do_not_pass_for_whole_once_a_share_has_changed_the_run(suite, tmp_path, capsys):
    out = str(tmp_path / "shared")
    assert main(["run", suite, "--out", out]) == 0
    Path(suite).write_text(Path(suite).read_text().replace("epochs: 2", "epochs: 1"))
    assert main(["run", suite, "--out", out, "--steps", "train/*"]) == 0
    capsys.readouterr()
    assert main(["show", out]) == 0
    assert re.search(r"OUT OF DATE: .* \d+ to be taken again .* 4 done but not in these figures", one_line(capsys))
    assert main(["publish", out, "--to", str(tmp_path / "to")]) == 2
    assert "is not finished: out of date" in capsys.readouterr().err


def one_line(capsys):
    return " ".join(capsys.readouterr().out.split())


@pytest.mark.slow
def test_shares_are_taken_at_the_same_time(suite, tmp_path):
    out = tmp_path / "shared"
    command = [sys.executable, "-m", "lrbench", "run", suite, "--out", str(out), "--steps", "train/*", "--share"]
    jobs = [subprocess.Popen([*command, f"{index}/2"], stdout=subprocess.DEVNULL) for index in (1, 2)]
    assert [job.wait(300) for job in jobs] == [0, 0]
    assert len(list((out / "steps/train").rglob("step.json"))) == 4


def test_shares_one_after_the_other_take_over_models_whose_names_were_swapped(suite, tmp_path, capsys):
    out = tmp_path / "shared"
    lrbench.run(suite, out=out)
    took = {model: _took(out, model) for model in ("net", "lr")}
    text = Path(suite).read_text()
    swapped = text.replace("  net: {arch", "  new: {arch").replace("  lr: {extends: net", "  net: {extends: new")
    Path(suite).write_text(swapped.replace("  new: {arch", "  lr: {arch").replace("extends: new", "extends: lr"))
    for model in ("net", "lr"):
        assert main(["run", suite, "--out", str(out), "--steps", f"train/{model}/*"]) == 0
    assert {"net": _took(out, "lr"), "lr": _took(out, "net")} == took
    assert "not run again" in capsys.readouterr().out


def _took(out, model):
    return [Store(out).record(f"train/{model}/seed-{seed}").seconds for seed in (0, 1)]


def test_a_failure_is_the_jobs(tmp_path, capsys):
    (tmp_path / "mine.py").write_text(FACTORY + BROKEN)
    path = tmp_path / "shared.yaml"
    path.write_text(SUITE.replace("FACTORY:build", str(tmp_path / "mine.py") + ":broken"))
    out = str(tmp_path / "out")
    assert main(["run", str(path), "--out", out, "--steps", "train/net/*"]) == 1
    assert "train/net/seed-0 failed: ArithmeticError: broken, and 1 more" in capsys.readouterr().err


def test_what_waits_is_said(suite, tmp_path, capsys):
    out = str(tmp_path / "shared")
    assert main(["run", suite, "--out", out, "--steps", "attack/*"]) == 0
    assert "24 steps wait for others, such as attack/net/seed-0/fgsm/eps-8/part-0 for train/net/seed-0" in (
        capsys.readouterr().out
    )
    assert not (tmp_path / "shared/steps").exists()


@pytest.mark.parametrize(
    ("given", "words"),
    [
        (["--share", "3/2"], "expected I/N"),
        (["--share", "0/2"], "expected I/N"),
        (["--share", "half"], "expected I/N"),
        (["--steps", "trian/*"], "no step is called so; there are train/*"),
    ],
)
def test_a_wrong_share_is_refused_in_a_line(suite, tmp_path, capsys, given, words):
    assert main(["run", suite, "--out", str(tmp_path / "out"), *given]) == 2
    error = capsys.readouterr().err.strip()
    assert words in error
    assert not (tmp_path / "out").exists()


def test_names_of_locks_tell_shares_apart():
    names = {Share(("a",), 1, 2).name, Share(("a",), 2, 2).name, Share(("b",), 1, 2).name}
    assert len(names) == 3
    with pytest.raises(UsageError):
        Share.parse([], "1")


def test_a_plan_says_how_long_the_rest_takes_on_more_workers(suite, tmp_path, capsys):
    out = str(tmp_path / "out")
    assert main(["run", suite, "--out", out, "--steps", "train/*"]) == 0
    capsys.readouterr()
    assert main(["plan", suite, "--out", out, "--jobs", "1", "8"]) == 0
    printed = capsys.readouterr().out
    assert "on 1 workers about" in printed
    assert "on 8 workers about" in printed
