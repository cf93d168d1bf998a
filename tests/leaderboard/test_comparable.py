"""What is held against each other was measured alike: in the same unit, by the same attacks, made on the same."""

import json
import shutil
from dataclasses import replace
from types import SimpleNamespace

import pytest
import yaml

from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.paired_text import Wanted, remarks
from lrbench.leaderboard.sides import Side, chosen_in
from lrbench.leaderboard.surrogates import made_on
from lrbench.store import Store


@pytest.fixture
def two(pair_run, tmp_path):
    """Two copies of a run, whose suites can be made to differ."""
    return [shutil.copytree(pair_run, tmp_path / name) for name in ("one", "other")]


def changed(run, change):
    path = run / "suite.yaml"
    suite = yaml.safe_load(path.read_text())
    change(suite)
    path.write_text(json.dumps(suite))


def made_from_something_else(run, model):
    path = run / "plan.json"
    plan = json.loads(path.read_text())
    plan |= {step: "0" * 64 for step in plan if step.startswith(f"train/{model}/")}
    path.write_text(json.dumps(plan))


def compared(first, second, model="lr"):
    (paired,) = compare(f"{first}:{model}", f"{second}:{model}")
    return {each.attack for each in paired.differences}, paired


def starts(suite, name="net", of="lr"):
    suite["models"][of]["init_from"] = name


TRANSFER = {
    "of another training": lambda suite: suite["models"]["net"].update(training={**suite["training"], "epochs": 9}),
    "of another architecture": lambda suite: suite["models"]["net"].update(width=8),
    "of other data": lambda suite: suite["data"].update(train=100),
    "from another start": lambda suite: (
        suite["models"].update(first={**suite["models"]["net"], "width": 8}),
        starts(suite, "first", "net"),
    ),
}


@pytest.mark.parametrize("change", TRANSFER.values(), ids=TRANSFER)
def test_an_attack_made_on_another_network_is_not_compared(two, change):
    for run in two:
        changed(run, lambda suite: suite["attacks"][0].update(surrogate="net"))
    there, paired = compared(*two)
    assert {"iter-fsgm", "worst-case"} <= there
    changed(two[1], change)
    made_from_something_else(two[1], "net")
    there, paired = compared(*two)
    assert {"iter-fsgm", "worst-case"}.isdisjoint(there)
    assert "autoattack" in there
    assert "iter-fsgm at 4/255 (other options, code or surrogate)" in paired.skipped
    assert any(key.startswith(("surrogates.net.", "data.")) for key in paired.configuration)


def test_an_attack_made_on_the_same_network_is_compared_whatever_its_data_is_called(two):
    for run in two:
        changed(run, lambda suite: suite["attacks"][0].update(surrogate="net"))
    changed(two[1], lambda suite: suite["data"].update(path="elsewhere"))
    assert {"iter-fsgm", "worst-case"} <= compared(*two)[0]


@pytest.mark.parametrize(
    ("spec", "alike"),
    [
        ({}, True),
        ({"weights": "net.safetensors"}, False),
        ({"arch": "my.py:build"}, False),
        ({"arch": "object:net"}, False),
        ({"arch": "my-net"}, False),
        ({"arch": "net.onnx"}, False),
    ],
)
def test_networks_that_a_suite_does_not_tell_all_of_are_held_against_each_other(two, spec, alike):
    """Trained alike they differ by chance, as those that are compared do; of a file, or of code, nobody knows."""
    for run in two:
        changed(run, lambda suite: (suite["attacks"][0].update(surrogate="net"), suite["models"]["net"].update(spec)))
    assert {"iter-fsgm", "worst-case"} <= compared(*two)[0]
    made_from_something_else(two[1], "net")
    assert ({"iter-fsgm", "worst-case"} <= compared(*two)[0]) is alike


def test_arrays_of_one_name_may_be_any(two):
    for run in two:
        changed(run, lambda suite: suite["attacks"][0].update(surrogate="net"))
        changed(run, lambda suite: suite["data"].update(name="npz", path="data.npz"))
    assert {"iter-fsgm", "worst-case"} <= compared(*two)[0]
    made_from_something_else(two[1], "net")
    assert {"iter-fsgm", "worst-case"}.isdisjoint(compared(*two)[0])


def test_a_surrogate_may_be_called_otherwise(two):
    for run in two:
        changed(run, lambda suite: suite["attacks"][0].update(surrogate="net"))
    changed(two[1], lambda suite: suite["models"].update(other=dict(suite["models"]["net"])))
    changed(two[1], lambda suite: suite["attacks"][0].update(surrogate="other"))
    assert {"iter-fsgm", "worst-case"} <= compared(*two)[0]
    changed(two[1], lambda suite: suite["models"]["other"].update(width=8))
    assert {"iter-fsgm", "worst-case"}.isdisjoint(compared(*two)[0])


def test_another_network_to_start_from_is_told(two):
    for run in two:
        changed(run, starts)
    assert compared(*two)[1].configuration == {}
    changed(two[1], lambda suite: suite["models"]["net"].update(width=8))
    assert compared(*two)[1].configuration == {"start.model.width": (4, 8)}


def test_all_test_images_are_as_many_as_there_are(two):
    for run in two:
        changed(run, lambda suite: suite["threat_model"].update(samples=None))
    changed(two[1], lambda suite: suite["threat_model"].update(samples=60))
    assert compared(*two)[1].configuration == {"threat_model.samples": (None, 60)}
    changed(two[1], lambda suite: suite["threat_model"].update(samples=59))
    with pytest.raises(UsageError, match=r"number of images attacked \(60 and 59\)"):
        compared(*two)


def test_attacks_within_another_budget_are_not_compared(two):
    changed(two[1], lambda suite: suite["threat_model"].update(budget=2))
    there, paired = compared(*two)
    assert there == {""}
    assert paired.configuration == {"threat_model.budget": (None, 2)}


@pytest.mark.parametrize(
    ("data", "alike"), [({"train": 100}, True), ({"scale": 0.25}, False), ({"name": "fashion-mnist"}, False)]
)
def test_radii_in_deviations_of_other_pixels_are_not_compared(two, data, alike):
    for run in two:
        changed(run, lambda suite: suite["threat_model"].update(space="normalized"))
    changed(two[1], lambda suite: suite["data"].update(data))
    if alike:
        assert "autoattack" in compared(*two)[0]
        return
    with pytest.raises(UsageError, match="the unit of radii, the training images' standard deviation"):
        compared(*two)


@pytest.mark.parametrize(("deviation", "alike"), [(0.3, True), (0.304, True), (0.31, False)])
def test_what_steps_say_of_the_unit_counts_before_what_data_is_called(two, deviation, alike):
    for run, told in zip(two, (0.3, deviation), strict=True):
        changed(run, lambda suite: suite["threat_model"].update(space="normalized"))
        store = Store(run)
        record = store.record("attack/lr/seed-0/iter-fsgm/eps-4")
        files = {name: (store.folder(record.id) / name).read_bytes() for name in record.files}
        store.save(replace(record, config={**record.config, "statistics": [[0.5], [told]]}), files)
    changed(two[1], lambda suite: suite["data"].update(scale=0.25))
    if alike:
        assert "autoattack" in compared(*two)[0]
    else:
        with pytest.raises(UsageError, match="the unit of radii"):
            compared(*two)


def test_what_steps_of_an_earlier_form_of_a_suite_say_of_the_unit_counts_for_nothing(two):
    """As in a folder whose training images were changed, and whose run was cut off before its first radius."""
    for run, told in zip(two, (0.3, 0.31), strict=True):
        changed(run, lambda suite: suite["threat_model"].update(space="normalized"))
        store, path = Store(run), run / "plan.json"
        for radius, deviation in ((4, 0.3), (8, told)):
            record = store.record(f"attack/lr/seed-0/iter-fsgm/eps-{radius}")
            files = {name: (store.folder(record.id) / name).read_bytes() for name in record.files}
            store.save(replace(record, config={**record.config, "statistics": [[0.5], [deviation]]}), files)
        path.write_text(json.dumps({**json.loads(path.read_text()), "attack/lr/seed-0/iter-fsgm/eps-4": "0" * 64}))
    with pytest.raises(UsageError, match="the unit of radii"):
        compared(*two)


@pytest.mark.parametrize(
    ("named", "chosen"),
    [
        ("a", ("a", ())),
        ("a@1", ("a@1", ())),
        ("a@2", ("a", (2,))),
        ("a@1@2", ("a@1", (2,))),
        ("a@0, 1", ("a", (0, 1))),
        ("b@1", ("b", (1,))),
        ("b@x", ("b@x", ())),
        (None, (None, ())),
    ],
)
def test_a_model_whose_name_ends_like_a_seed_is_that_model(named, chosen):
    assert chosen_in(SimpleNamespace(models=["a", "a@1"]), named) == chosen


@pytest.mark.parametrize("seed", ["²", "9" * 5000, "٣", "1,"])
def test_what_is_no_number_is_a_name(pair_run, capsys, seed):
    assert main(["compare", f"{pair_run}:net@{seed}", f"{pair_run}:lr"]) == 2
    error = capsys.readouterr().err
    assert "has no model 'net@" in error
    assert len(error.splitlines()) == 1


def test_other_code_or_another_network_of_the_user_s_is_told(two):
    for run, held in zip(two, ("a", "b"), strict=True):
        store = Store(run)
        for step, own in (("train/lr/seed-0", {"net.py": held}), ("attack/lr/seed-0/iter-fsgm/eps-4", {"m.py": "c"})):
            record = store.record(step)
            files = {name: (store.folder(record.id) / name).read_bytes() for name in record.files}
            store.save(replace(record, config={**record.config, "own": own}), files)
    assert compared(*two)[1].configuration == {"code.network.net.py": ("a", "b")}
    assert compared(two[0], two[0], "net")[1].configuration == {}


@pytest.mark.parametrize(
    ("name", "alike"), [("m.py:Attack", False), ("of-a-package", False), ("art:Attack", False), ("iter-fsgm", True)]
)
def test_an_attack_of_other_code_is_not_compared_whatever_it_is_called(two, name, alike):
    """A package may offer its own under a plain name; what is beside lrbench's is a measure's code."""
    for run, held in zip(two, "ab", strict=True):
        store = Store(run)
        for step in json.loads((run / "plan.json").read_text()):
            if not step.startswith("attack/lr/seed-0/iter-fsgm/"):
                continue
            record = store.record(step)
            files = {each: (store.folder(record.id) / each).read_bytes() for each in record.files}
            attack = {**record.config["attack"], "name": name}
            store.save(replace(record, config={**record.config, "attack": attack, "own": {"m.py": held}}), files)
    there, paired = compared(*two)
    assert ({"iter-fsgm", "worst-case"} <= there) is alike
    assert {"iter-fsgm", "worst-case"}.isdisjoint(there) is not alike
    assert paired.configuration == ({} if alike else {"code.attacks.iter-fsgm.m.py": ("a", "b")})


@pytest.mark.parametrize("other", ["lr", "twin"])
def test_a_surrogate_that_starts_from_one_of_two_counts_by_whatever_name_that_one_has(two, other):
    """The start is in the suite under one name, and what is compared is the same network under another."""
    run, _ = two
    changed(run, lambda suite: suite["models"].update(twin=dict(suite["models"]["lr"])))
    changed(run, lambda suite: (suite["attacks"][0].update(surrogate="net"), starts(suite, "twin", "net")))
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps({**plan, "train/twin/seed-0": plan["train/lr/seed-0"]}))
    assert made_on(*sides(run, other, other)) == {"iter-fsgm"}
    (run / "plan.json").write_text(json.dumps({**plan, "train/twin/seed-0": "0" * 64}))
    assert made_on(*sides(run, "lr", "lr")) == set()


def test_a_surrogate_counts_as_one_of_two_by_whatever_name(two):
    """A twin of the same weights, and the network that one of them starts from."""
    changed(two[0], lambda suite: suite["attacks"][0].update(surrogate="net"))
    store, plan = Store(two[0]), json.loads((two[0] / "plan.json").read_text())
    assert made_on(*sides(two[0], "lr", "lr")) == set()
    twin = store.record("train/net/seed-0")
    files = {name: (store.folder(twin.id) / name).read_bytes() for name in twin.files}
    store.save(replace(twin, id="train/lr/seed-0", key=plan["train/lr/seed-0"]), files)
    assert made_on(*sides(two[0], "lr", "lr")) == {"iter-fsgm"}
    changed(two[1], lambda suite: (suite["attacks"][0].update(surrogate="net"), starts(suite)))
    assert made_on(*sides(two[1], "lr", "lr")) == {"iter-fsgm"}


def test_an_attack_that_meets_each_by_its_own_gradients_treats_both_alike(two):
    for run in two:
        changed(run, lambda suite: suite["attacks"][0].update(surrogate="net"))
    changed(two[1], lambda suite: suite["models"]["net"].update(training={**suite["training"], "epochs": 9}))
    made_from_something_else(two[1], "net")
    assert {"iter-fsgm", "worst-case"} <= compared(*two, "net")[0]
    (paired,) = compare(f"{two[0]}:net", f"{two[0]}:lr")
    assert "iter-fsgm" not in {each.attack for each in paired.differences}


def test_that_only_weak_attacks_are_left_is_said(two):

    for label, weak in (("pgd", False), ("gaussian-noise", True)):
        for run in two:
            changed(run, lambda suite, name=label: suite["attacks"][0].update(name=name, label="iter-fsgm"))
        paired = compared(*two)[1]
        rows = [each for each in paired.differences if each.attack in {"", "iter-fsgm"}]
        found = remarks(replace(paired, differences=rows), Wanted())
        assert any("Only iter-fsgm is compared" in line for line in found) is weak


def sides(run, *models):
    opened = Run.open(run)
    return [Side(opened, model, (0,)) for model in models]
