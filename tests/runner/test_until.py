"""Images are attacked until the figures are known as closely as asked: no more than that, and the same ones always."""

import json
import shutil
import sys

import numpy as np
import pytest
import torch
from safetensors.numpy import load_file

import lrbench
from lrbench.attacks import FAB, PGD
from lrbench.data import sources
from lrbench.errors import UsageError
from lrbench.leaderboard.kept.contradictions import contradictions
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.paired import compare
from lrbench.leaderboard.published import check, publish, read
from lrbench.leaderboard.published.record import board_of, record_of
from lrbench.leaderboard.render import to_markdown
from lrbench.leaderboard.report import examples
from lrbench.runner import Session
from lrbench.runner.reporter import Costs, Silent
from lrbench.statistics import Stopping, difference_of, discordant
from lrbench.suite import looks

FACTORY = """\
import torch


def net(num_classes, in_channels, width=16):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, width), torch.nn.ReLU(),
                               torch.nn.Linear(width, num_classes))
"""
SUITE = """\
name: until
data: {name: digits, train: 600, test: 360}
seeds: [0, 1]
models: {weak: {arch: "MINE:net", width: 3}, strong: {arch: "MINE:net"}}
training: {epochs: 6, batch_size: 50, learning_rate: 0.05}
threat_model: {eps: [2/255, 8/255], samples: SAMPLES, batch_size: 16}
attacks: [{name: pgd, steps: 2}, {name: fab-t, steps: 2, targets: 2}]
diagnostics: {masking: false, d_adv: {layers: ["1"]}}
"""
LOOKS = [208, 272, 352, 360]


class Stopped(Silent):
    """Ends a run as Ctrl-C does, where a step begins."""

    def __init__(self, where):
        self.where = where

    def start(self, step):
        if step.id == self.where:
            raise KeyboardInterrupt


@pytest.fixture(scope="module", autouse=True)
def no_views():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    found = tmp_path_factory.mktemp("until")
    (found / "mine.py").write_text(FACTORY)
    return found


@pytest.fixture(scope="module")
def run_in(folder):
    def run_it(samples, out, **options):
        path = folder / "until.yaml"
        path.write_text(SUITE.replace("MINE", str(folder / "mine.py")).replace("SAMPLES", samples))
        return lrbench.run(path, out, **options)

    return run_it


@pytest.fixture(scope="module")
def finished(run_in, folder):
    """A run whose models take different numbers of images, and its board."""
    return folder / "out", run_in("{until: 8.5 points}", folder / "out")


@pytest.fixture
def attacked(monkeypatch):
    counts = []
    for attack in (PGD, FAB):
        run = attack.run

        def counted(self, model, x, y, run=run):
            counts.append((type(self).__name__, len(x)))
            return run(self, model, x, y)

        monkeypatch.setattr(attack, "run", counted)
    return counts


def taken(board):
    """Images of each model, which all of its figures under attack are of; a black one has no L2 dissimilarity."""
    rows = board.results[board.results["metric"].isin(["misclassification", "found", "first_to_fool", "median_l2"])]
    found = {model: set(group["n"]) for model, group in rows.groupby("model")}
    assert all(len(each) == 1 for each in found.values())
    return {model: each.pop() for model, each in found.items()}


def worst(out, model, seed=0, eps="8"):
    return load_file(out / f"steps/worst/{model}/seed-{seed}/outcomes.safetensors")[f"by_{eps}"] == -2


def test_each_model_takes_the_images_that_it_needs_and_no_more(finished):
    out, board = finished
    assert not board.failures
    numbers = taken(board)
    assert numbers["weak"] != numbers["strong"]
    stopping = Stopping(0.085, 360)
    for model, n in numbers.items():
        known = {}
        for look in LOOKS[: LOOKS.index(n) + 1]:
            shares = [np.mean([worst(out, model, seed, eps)[:look] for seed in (0, 1)]) for eps in ("2", "8")]
            known[look] = all(stopping.narrow(stopping.proportion(share, look)) for share in shares)
        assert known.pop(n)
        assert not any(known.values())


def test_the_first_images_of_a_fixed_random_order_are_attacked_and_no_others(finished, attacked, run_in, tmp_path):
    out, board = finished
    order = torch.randperm(360, generator=torch.Generator().manual_seed(0)).numpy()
    for model, n in taken(board).items():
        for path in (out / f"steps/attack/{model}").glob("seed-*/*/*/outcomes.safetensors"):
            assert np.array_equal(load_file(path)["index"], order[:n])
    again = run_in("{until: 8.5 points}", tmp_path / "again")
    assert again.results_csv() == board.results_csv()
    expected = sum(2 * n for n in taken(board).values())
    assert sum(n for name, n in attacked if name == "PGD") == 2 * expected
    assert sum(n for name, n in attacked if name == "FAB") == expected


def test_every_image_has_the_outcome_that_it_has_among_all(finished, run_in, tmp_path):
    out, board = finished
    everything = run_in("{until: 0.01 points}", tmp_path / "all")
    assert set(taken(everything).values()) == {360}
    for model, n in taken(board).items():
        for path in (out / f"steps/attack/{model}").glob("seed-*/*/*/outcomes.safetensors"):
            whole = load_file(tmp_path / "all" / path.relative_to(out))
            for name, values in load_file(path).items():
                np.testing.assert_allclose(values, whole[name][:n], rtol=1e-3, atol=1e-5)


def test_rows_tell_of_their_intervals_and_means_of_seeds_have_theirs(finished):
    _, board = finished
    stopping, rows = Stopping(0.085, 360), board.results
    shares = rows[rows["metric"].isin(["misclassification", "robust_accuracy", "found"])]
    assert (shares["ci_by"] == str(stopping)).all()
    assert set(rows.loc[rows["ci_by"] == "", "metric"]) >= {"accuracy", "l2_dissimilarity", "first_to_fool"}
    for row in shares.to_dict("records"):
        assert (row["ci_low"], row["ci_high"]) == pytest.approx(stopping.proportion(row["value"], row["n"]), abs=1e-9)
    means = board.aggregated[board.aggregated["metric"] == "robust_accuracy"]
    for row in means.to_dict("records"):
        assert (row["ci_low"], row["ci_high"]) == stopping.proportion(row["value"], row["n"])
    # What is misclassified without an attack is of the same images.
    clean = shares[(shares["attack"] == "") & (shares["metric"] == "misclassification")]
    assert {row["model"]: row["n"] for row in clean.to_dict("records")} == taken(board)
    assert set(rows.loc[rows["metric"] == "accuracy", "n"]) == {360}


def test_models_are_held_against_each_other_on_the_images_that_both_took(finished):
    out, board = finished
    n = min(taken(board).values())
    sides = [np.stack([worst(out, model, seed)[:n] for seed in (0, 1)]) for model in ("strong", "weak")]
    expected = difference_of(*sides, Stopping(0.085, 360))
    rows = board.results[board.results["eps"].round(4) == round(8 / 255, 4)].set_index("metric")
    found = rows.loc["robust_accuracy_difference"]
    assert (found["value"], found["n"]) == (expected.difference, n)
    assert (found["ci_low"], found["ci_high"]) == expected.interval
    assert rows.loc["p_value", "value"] == expected.p
    [paired] = compare(f"{out}:weak", f"{out}:strong")
    assert paired.headline.estimate == expected
    assert {each.n for each in paired.differences} == {n}


def test_more_closely_attacks_the_images_that_are_not_there_yet_and_less_closely_none(
    finished, attacked, run_in, tmp_path
):
    out, board = finished
    shutil.copytree(out, tmp_path / "out")
    before = taken(board)
    now = taken(run_in("{until: 8 points}", tmp_path / "out"))
    assert any(now[model] > before[model] for model in now)
    assert sum(n for name, n in attacked if name == "FAB") == sum(2 * (now[model] - before[model]) for model in now)
    with pytest.raises(UsageError, match=r"number of images attacked \(until 8.5, of accuracy, most None and until 8"):
        compare(f"{out}:weak", f"{tmp_path / 'out'}:strong")
    attacked.clear()
    assert set(taken(run_in("{until: 20 points}", tmp_path / "out")).values()) == {LOOKS[0]}
    assert not attacked


def test_a_lost_part_is_attacked_again_and_the_same_decisions_come_of_it(finished, attacked, run_in, tmp_path):
    out, board = finished
    shutil.copytree(out, tmp_path / "out")
    model = max(taken(board), key=taken(board).get)
    shutil.rmtree(tmp_path / f"out/steps/attack/{model}/seed-0/pgd/eps-8")
    shutil.rmtree(tmp_path / f"out/steps/enough/{model}")
    assert run_in("{until: 8.5 points}", tmp_path / "out").results_csv() == board.results_csv()
    assert {name for name, _ in attacked} == {"PGD"}
    assert sum(n for _, n in attacked) == taken(board)[model]


@pytest.mark.parametrize(
    "where",
    ["enough/weak/all-seeds/208", pytest.param("attack/strong/seed-1/pgd/eps-8/part-208", marks=pytest.mark.slow)],
)
def test_a_run_that_was_interrupted_goes_on_at_the_same_place(finished, attacked, run_in, tmp_path, where):
    out, board = finished
    with pytest.raises(KeyboardInterrupt):
        run_in("{until: 8.5 points}", tmp_path / "out", reporter=Stopped(where))
    assert not (tmp_path / "out/steps" / where / "step.json").exists()
    assert run_in("{until: 8.5 points}", tmp_path / "out").results_csv() == board.results_csv()
    assert (tmp_path / "out/results.csv").read_bytes() == (out / "results.csv").read_bytes()
    assert sum(n for name, n in attacked if name == "FAB") == sum(2 * n for n in taken(board).values())


@pytest.mark.slow
def test_processes_take_the_same_images(finished, run_in, tmp_path):
    out, _ = finished
    run_in("{until: 8.5 points}", tmp_path / "side", jobs=2)
    assert (tmp_path / "side/results.csv").read_bytes() == (out / "results.csv").read_bytes()


def test_a_model_that_fails_keeps_no_other_from_being_known(run_in, tmp_path, monkeypatch):
    run = FAB.run

    def failing(self, model, x, y):
        if model(x[:1]).shape[1] == 10 and sum(each.numel() for each in model.parameters()) < 300:
            msg = "no"
            raise RuntimeError(msg)
        return run(self, model, x, y)

    monkeypatch.setattr(FAB, "run", failing)
    board = run_in("{until: 20 points}", tmp_path / "out")
    assert any("fab-t" in step for step in board.failures)
    worst_case = board.results[board.results["attack"] == "worst-case"]
    assert set(worst_case["model"]) == {"strong"}


def test_the_difference_can_decide(run_in, tmp_path):
    board = run_in("{until: 9.5 points, of: difference}", tmp_path / "out")
    assert not board.failures
    numbers = taken(board)
    assert len(set(numbers.values())) == 1
    n = numbers["weak"]
    stopping = Stopping(0.095, 360)
    sides = [[worst(tmp_path / "out", model, seed) for seed in (0, 1)] for model in ("strong", "weak")]
    for look in LOOKS[: LOOKS.index(n) + 1]:
        more, less = discordant(*(np.stack([each[:look] for each in side]) for side in sides))
        assert stopping.narrow(stopping.difference(more, less, look)) == (look == n) or look == LOOKS[-1]
    note = next(line for line in to_markdown(board).splitlines() if "Sample size" in line)
    assert "its difference from that of the first model" in note


def test_the_saving_is_said_and_what_is_less_known_too(finished, run_in, tmp_path):
    _, board = finished
    numbers = taken(board)
    text = to_markdown(board)
    share = 100 * (1 - sum(numbers.values()) / 720)
    assert f"weak {numbers['weak']}, strong {numbers['strong']} of 360, in all {share:.0f} % fewer" in text
    assert "known as" not in text
    few = to_markdown(run_in("{until: 4 points, most: 100}", tmp_path / "out"))
    assert "of 100, in all 0 % fewer" in few
    assert "NOT AS CLOSELY as asked: weak, ±" in few


def test_a_plan_says_how_many_images_at_most(folder, tmp_path, capsys):
    path = folder / "planned.yaml"
    path.write_text(SUITE.replace("MINE", str(folder / "mine.py")).replace("SAMPLES", "{until: 1 point, most: 300}"))
    session = Session.open(path, tmp_path / "out")
    assert looks(300, 16) == [208, 272, 300]
    parts = [step.config["part"] for step in session.plan if step.id.startswith("attack/weak/seed-0/pgd/eps-8/part")]
    assert parts == [[0, 208], [208, 272], [272, 300]]
    assert lrbench.cli.main(["plan", str(path), "--out", str(tmp_path / "out")]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "the rest takes at most about" in said or "no estimate" in said
    assert "robust accuracy in the worst case to ±1 point at every radius: at most 300 images of each model" in said


def test_parts_that_were_not_needed_say_nothing_of_the_cost_of_others(finished):
    out, _ = finished
    session = Session.open(out / "suite.yaml", out)
    costs = Costs()
    for step in session.plan:
        record = session.view.record(step.id)
        if step.kind == "part":
            assert (record.seconds == 0) == (not record.files)
            costs.learn(step, record.seconds)
    session.costs.learn(session.plan[0], 0.0)
    some = next(step for step in session.plan if step.kind == "part")
    assert costs.estimate([some]) > 0


def test_a_large_part_between_two_looks_is_split_like_any_other(folder, tmp_path):
    path = folder / "split.yaml"
    text = SUITE.replace("MINE", str(folder / "mine.py")).replace("SAMPLES", "{until: 1 point}, part: 100")
    path.write_text(text)
    plan = Session.open(path, tmp_path / "out").plan
    parts = [step.config["part"] for step in plan if step.id.startswith("attack/weak/seed-0/pgd/eps-8/part")]
    assert parts == [[0, 112], [112, 208], [208, 272], [272, 352], [352, 360]]
    looked = next(step for step in plan if step.id == "enough/weak/all-seeds/208")
    assert {f"attack/weak/seed-{seed}/pgd/eps-8/part-{at}" for seed in (0, 1) for at in (0, 112)} <= {*looked.needs}


def test_noise_alone_is_no_worst_case_and_is_tried_on_all_images(folder, tmp_path):
    path = folder / "noise.yaml"
    text = SUITE.replace("MINE", str(folder / "mine.py")).replace("SAMPLES", "{until: 30 points}")
    attacks = next(line for line in text.splitlines() if line.startswith("attacks"))
    path.write_text(text.replace(attacks, "attacks: [gaussian-noise]"))
    assert taken(lrbench.run(path, tmp_path / "out")) == {"weak": 360, "strong": 360}


def test_what_checks_for_masked_gradients_look_at_is_what_was_attacked(folder, tmp_path):
    path = folder / "masking.yaml"
    masking = "masking: {samples: 230, steps: 2, queries: 4, draws: 2, unbounded: 2}"
    text = SUITE.replace("MINE", str(folder / "mine.py")).replace("SAMPLES", "{until: 30 points}")
    path.write_text(text.replace("masking: false", masking).replace("seeds: [0, 1]", "seeds: [0]"))
    board = lrbench.run(path, tmp_path / "out")
    assert not board.failures
    # As many as the checks look at, in whole batches.
    assert set(taken(board).values()) == {240}
    figures = board.results[board.results["metric"] == "verdict"]
    assert set(figures["n"]) == {230}


def test_a_board_is_published_checked_and_refused_where_it_stops_too_early(finished, tmp_path):
    out, board = finished
    publish(out, tmp_path / "boards", as_is=True)
    assert check(tmp_path / "boards") == 2
    records = read.sound_records(tmp_path / "boards/until")
    again = board_of(records)
    common = ["model", "metric", "attack", "eps", "seed", "value", "ci_low", "ci_high"]
    differences = [each.results[each.results["seed"].isna()][common] for each in (again, board)]
    assert differences[0].reset_index(drop=True).equals(differences[1].reset_index(drop=True))
    [of_runs], [of_boards] = (compare(f"{at}:weak", f"{at}:strong") for at in (out, tmp_path / "boards/until"))
    assert of_runs.differences == of_boards.differences
    assert Run.open(tmp_path / "boards/until").board.aggregated["ci_by"].any()


def narrower(record):
    """Ask for more than what was found, and call all intervals what they then are."""
    stopping = Stopping(0.04, 360)
    record["configuration"]["threat_model"]["samples"]["until"] = 4.0
    for row in record["results"]:
        if "ci_by" in row:
            row["ci_by"] = str(stopping)
            row["ci_low"], row["ci_high"] = stopping.proportion(row["value"], row["n"])


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda record: record["configuration"]["threat_model"]["samples"].update(until=4.0), "of another kind"),
        (lambda record: record["configuration"]["threat_model"].update(samples=None), "of another kind"),
        (lambda record: [row.pop("ci_by", None) for row in record["results"]], "of another kind"),
        (lambda record: [row.update(ci_low=0.0) for row in record["results"] if "ci_by" in row], "its interval"),
        (narrower, "stops after"),
    ],
)
def test_a_record_that_says_otherwise_is_refused(finished, change, says):
    record = record_of(Run.open(finished[0]), "weak")
    assert not list(contradictions(record))
    record = json.loads(json.dumps(record))
    change(record)
    assert any(says in each for each in contradictions(record))


def test_a_call_from_python_asks_for_it_too(tmp_path, monkeypatch):
    monkeypatch.setattr(sys.modules[Session.__module__], "write_views", lambda *_, **__: None)
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, 10))
    images = sources.digits(tmp_path, train=10, test=None).test
    board = lrbench.evaluate(
        model,
        data=(images.pixels, images.labels),
        eps=8 / 255,
        samples={"until": "20 points"},
        attacks=["fgsm"],
        diagnostics={},
        out=tmp_path / "out",
        reporter=Silent(),
    )
    assert taken(board) == {"model": looks(len(images), 128)[0]}
    with pytest.raises(UsageError, match=r"threat_model\.samples: `of: difference` is of two models"):
        lrbench.evaluate(model, samples={"until": 3, "of": "difference"}, out=tmp_path / "other", reporter=Silent())


def test_what_was_attacked_can_be_loaded(finished):
    out, _ = finished
    x, y = lrbench.load_data(out)
    order = torch.randperm(360, generator=torch.Generator().manual_seed(0))
    everything, labels = lrbench.load_data(out, "test")
    assert torch.equal(x, everything[order])
    assert torch.equal(y, labels[order])
    # Pictures of the report are captioned by these.
    kept = examples._kept(Run.open(out), "weak", 0, "attack/weak/seed-0/pgd/eps-8")
    assert np.array_equal(kept["label"], labels[kept["index"]])
    assert np.array_equal(kept["index"], order[: len(kept["index"])])
