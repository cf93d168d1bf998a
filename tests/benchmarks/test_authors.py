import re
import sys
from argparse import ArgumentTypeError
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from support.told import ROOT
from torch import nn

from benchmarks.authors import (
    Named,
    as_both_see,
    left,
    lrbench_attack,
    main,
    missed,
    radius,
    require_right,
    statistics_of,
)
from lrbench.errors import UsageError
from lrbench.names import WORST


@pytest.fixture
def model():
    torch.manual_seed(0)
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 4 * 4, 5)).eval()


@pytest.fixture
def images():
    return torch.rand(6, 3, 4, 4, generator=torch.Generator().manual_seed(0)) * torch.tensor([1, 0.5, 0.2]).view(
        3, 1, 1
    )


@pytest.mark.parametrize("eps", [1e-3, 8 / 255, 2.0])
def test_both_codes_see_the_same_logits_and_the_same_ball_of_normalised_images(model, images, eps):
    statistics = statistics_of(images)
    attacked = as_both_see(model, images, torch.zeros(6, dtype=torch.long), eps, statistics)
    (ours, z, _), (theirs, u, scaled) = attacked.ours, attacked.theirs
    torch.testing.assert_close(ours(z), model(images), atol=1e-5, rtol=1e-4)
    assert float(u.min()) >= scaled - 1e-6, "the authors' clipping to [0, 1] never binds"
    assert float(u.max()) <= 1 - scaled + 1e-6
    for sign in (-1, 1):
        pixels = images + sign * eps * torch.tensor(statistics[1]).view(3, 1, 1)
        torch.testing.assert_close(theirs(u + sign * scaled), model(pixels), atol=1e-4, rtol=1e-3)


def test_pixels_are_attacked_as_they_are(model, images):
    y = torch.zeros(6, dtype=torch.long)
    attacked = as_both_see(model, images, y, 8 / 255, None)
    assert attacked.ours == attacked.theirs == (model, images, 8 / 255)


def test_an_attack_says_which_rows_it_fools(model, images):
    y = model(images).argmax(1)
    rows = torch.tensor([4, 1])
    assert lrbench_attack(as_both_see(model, images, y, 0.9, None), rows, 0).tolist() == [True, True]
    assert lrbench_attack(as_both_see(model, images, y, 0.0, None), rows, 0).tolist() == [False, False]
    assert lrbench_attack(as_both_see(model, images, y, 5.0, statistics_of(images)), rows, 0).tolist() == [True, True]


def test_an_image_that_needs_no_attack_is_refused(model, images):
    y = model(images).argmax(1)
    y[2] = (y[2] + 1) % 5
    for statistics in (None, statistics_of(images)):
        attacked = as_both_see(model, images, y, 0.01, statistics)
        require_right(Named("a", 0), attacked, torch.tensor([0, 1]))
        require_right(Named("a", 0), attacked, torch.tensor([], dtype=torch.long))
        with pytest.raises(UsageError, match="a@0: misclassified without an attack: image 2"):
            require_right(Named("a", 0), attacked, torch.tensor([1, 2]))


def test_missed_is_what_standard_autoattack_leaves_and_another_attack_fools():
    autoattack, worst = np.array([1, 0, 0, 1], dtype=bool), np.array([1, 1, 0, 1], dtype=bool)
    wrong = {("aa", 0.1): autoattack, (WORST, 0.1): worst}
    run = SimpleNamespace(models=["a"], seeds=lambda _: [3], wrong=lambda *_: wrong, board=board({}))
    assert list(missed(run, 0.1)) == [Named("a", 3, 1)]
    assert left(run, Named("a", 3), 0.1).tolist() == [2]


@pytest.mark.parametrize(
    ("options", "eps", "says"),
    [
        ({"steps": 3}, 0.1, "has no standard AutoAttack"),
        ({"version": "fast"}, 0.1, "has no standard AutoAttack"),
        ({}, 0.2, "aa did not run on a@3 at 51/255"),
    ],
)
def test_where_standard_autoattack_did_not_run_nothing_is_called_missed(options, eps, says):
    none = np.zeros(2, dtype=bool)
    wrong = {("aa", 0.1): none, (WORST, 0.1): none, (WORST, 0.2): none}
    run = SimpleNamespace(models=["a"], seeds=lambda _: [3], wrong=lambda *_: wrong, board=board(options))
    with pytest.raises(UsageError, match=says):
        list(missed(run, eps))


def board(options):
    attacks = [{"name": "pgd", "label": "autoattack"}, {"name": "autoattack", "label": "aa", "steps": None} | options]
    return SimpleNamespace(suite={"name": "mine", "attacks": attacks})


@pytest.mark.parametrize(
    ("said", "args"),
    [
        (r"nothing\.csv|no .*results", ["nowhere", "left", "a@0", "--reference", "ok"]),
        ("is no clone of https", ["late-replication", "left", "a@0", "--reference", "nowhere"]),
        ("expected MODEL@SEED", ["late-replication", "left", "a", "--reference", "ok"]),
        ("left takes at least one", ["late-replication", "left", "--reference", "ok"]),
        ("missed MODEL@SEED:IMAGE", ["late-replication", "missed", "a@0", "--reference", "ok"]),
        ("goes with left", ["late-replication", "missed", "--members", "square", "--reference", "ok"]),
    ],
)
def test_what_cannot_be_asked_is_a_line(said, args, tmp_path, monkeypatch, capsys):
    (tmp_path / "ok/autoattack").mkdir(parents=True)
    (tmp_path / "ok/autoattack/__init__.py").write_text("AutoAttack = None")
    places = {"nowhere": "nowhere", "ok": "ok", "late-replication": ROOT / "leaderboards/late-replication"}
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "argv", ["authors", *(str(places.get(each, each)) for each in args), "--data-dir", "data"])
    monkeypatch.setattr(sys, "path", sys.path[:])
    with pytest.raises(SystemExit) as error:
        main()
    assert re.search(said, f"{error.value}{capsys.readouterr().err}")


@pytest.mark.parametrize("text", ["a", "a@", "@3", "a@3:4:5", "a@x", "a@-3"])
def test_what_names_no_network_is_refused(text):
    with pytest.raises(ArgumentTypeError, match=r"expected MODEL@SEED or MODEL@SEED:IMAGE, got"):
        Named.named(text)


def test_networks_images_and_radii_are_named_as_they_are_written():
    assert Named.named("on-at-80@12:7") == Named("on-at-80", 12, 7)
    assert str(Named("on-at-80", 12, 7)) == "on-at-80@12:7"
    assert radius([4 / 255, 8 / 255], None) == 8 / 255
    with pytest.raises(UsageError, match=r"no radius 0.1; it has 3.136/255"):
        radius([0.0123], 0.1)
