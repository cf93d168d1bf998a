"""`load_model`, `load_data` and `load_adversarial`: what a run saw, back in Python."""

import json
import shutil
from dataclasses import replace

import pytest
import torch
import yaml
from safetensors.torch import load_file, save_file

import lrbench
from lrbench.errors import LrbenchError, UsageError
from lrbench.leaderboard.outcomes import Run
from lrbench.leaderboard.published import check, publish, rebuild
from lrbench.leaderboard.report.examples import strips
from lrbench.runner import Session
from lrbench.runner.work import Recipe
from lrbench.store import Store

SUITE = """\
name: kept
data: {name: digits, train: 120, test: 60}
seeds: [0, 1]
models:
  net: {arch: support.nets:staged, width: 4}
  lr: {extends: net, lr_layers: {avgpool: 5}}
training: {epochs: 2, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.0}
threat_model: {space: normalized, eps: [32/255], samples: 20, batch_size: 8, part: 8, keep_images: true}
attacks: [iter-fsgm, {name: deepfool, steps: 5}]
diagnostics: {masking: false}
"""


@pytest.fixture(scope="module")
def kept(tmp_path_factory):
    folder = tmp_path_factory.mktemp("kept")
    (folder / "kept.yaml").write_text(SUITE)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("lrbench.runner.figures._made", lambda *_, **__: {})
        lrbench.run(folder / "kept.yaml", out=folder / "run")
    return folder / "run"


@pytest.fixture
def run(kept, tmp_path):
    return shutil.copytree(kept, tmp_path / "run")


def context_of(run):
    """What the run's own steps work with."""
    session = Session.open(run / "suite.yaml", out=run)
    recipe = Recipe(session.suite.model_dump_json(), tuple(session.plan), session.data_dir, run, "cpu", 1)
    return recipe.context(torch.device("cpu")), {step.id: step for step in session.plan}


@pytest.mark.turns("seed")
@pytest.mark.parametrize("name", ["net", "lr"])
@pytest.mark.parametrize("seed", [0, 1])
def test_a_network_gives_the_logits_that_the_run_saw(kept, name, seed):
    context, steps = context_of(kept)
    model = lrbench.load_model(kept, name, seed)
    assert not model.training
    x, y = lrbench.load_data(kept)
    before = torch.get_rng_state()
    with torch.no_grad():
        assert torch.equal(model(x), context.trained(steps[f"accuracy/{name}/seed-{seed}"])(x))
        wrong = (model(x).argmax(1) != y).double().mean().item()
    table = lrbench.Leaderboard.load(kept).results
    rows = table[(table["metric"] == "misclassification") & (table["eps"] == 0)]
    assert rows[(rows["model"] == name) & (rows["seed"] == seed)]["value"].item() == wrong
    lrbench.load_model(kept, name, seed)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_images_are_those_that_the_run_saw(kept):
    context, _ = context_of(kept)
    x, y = lrbench.load_data(kept)
    attacked = context.data.test.balanced(20)
    assert torch.equal(x, attacked.pixels.float() / 255)
    assert torch.equal(y, attacked.labels)
    assert len(lrbench.load_data(kept, "test")[0]) == 60
    assert len(lrbench.load_data(kept, "train")[0]) == 120
    with pytest.raises(UsageError, match="unknown part 'trian'; did you mean 'train'"):
        lrbench.load_data(kept, "trian")


@pytest.mark.parametrize(("attack", "eps"), [("iter-fsgm", 32 / 255), ("deepfool", None)])
def test_what_an_attack_left_is_kept_image_by_image(kept, attack, eps):
    x, y = lrbench.load_data(kept)
    left = lrbench.load_adversarial(kept, "lr", attack, eps, seed=1)
    assert torch.equal(left.y, y)
    model = lrbench.load_model(kept, "lr", seed=1)
    with torch.no_grad():
        # Out of the space attacked and back in it rounds; what lies on the boundary may fall to either side.
        assert (model(left.x_adv).argmax(1) == left.predicted).float().mean() >= 0.95
    deviation = float(((lrbench.load_data(kept, "train")[0]).var(correction=0)) ** 0.5)
    if eps is not None:
        assert (left.x_adv - x).abs().max().item() == pytest.approx(eps * deviation, rel=1e-3)


@pytest.mark.usefixtures("undrawn")
def test_images_that_were_not_kept_are_attacked_for_when_they_are_asked_for(run):
    suite = yaml.safe_load((run / "suite.yaml").read_text())
    suite["threat_model"]["keep_images"] = False
    (run.parent / "without.yaml").write_text(yaml.safe_dump(suite, sort_keys=False))
    board = lrbench.run(run.parent / "without.yaml", out=run.parent / "other")
    with pytest.raises(UsageError, match="kept no images of iter-fsgm; its suite does not say"):
        lrbench.load_adversarial(run.parent / "other", "net", "iter-fsgm", 32 / 255)
    again = lrbench.run(run / "suite.yaml", out=run.parent / "other")
    assert again.results_csv() == board.results_csv()
    kept, made = (lrbench.load_adversarial(place, "net", "deepfool") for place in (run, run.parent / "other"))
    assert torch.equal(kept.x_adv, made.x_adv)


@pytest.mark.parametrize(
    ("ask", "says"),
    [
        (lambda run: lrbench.load_model(run, "nett"), "no model 'nett' of seed 0; did you mean 'net'"),
        (lambda run: lrbench.load_model(run, "net", seed=7), r"no model 'net' of seed 7; seeds are \[0, 1\]"),
        (lambda run: lrbench.load_model(run / "nowhere", "net"), "no such suite file"),
        (lambda run: lrbench.load_adversarial(run, "net", "pgd", 0.1), "has no net/seed-0/pgd/eps-25.5"),
        (lambda run: lrbench.load_adversarial(run, "net", "iter-fsgm", 0.1), "there are eps-32"),
    ],
)
def test_what_is_not_there_is_a_line(kept, ask, says):
    with pytest.raises(UsageError, match=says):
        ask(kept)


@pytest.mark.parametrize(
    "ask",
    [
        lambda run: lrbench.load_model(run, "net"),
        lambda run: lrbench.load_adversarial(run, "net", "iter-fsgm", 32 / 255),
    ],
)
def test_what_is_of_an_earlier_form_of_the_suite_is_refused(run, ask):
    ask(run)
    plan = json.loads((run / "plan.json").read_text())
    (run / "plan.json").write_text(json.dumps(dict.fromkeys(plan, "0" * 64)))
    with pytest.raises(UsageError, match="is of an earlier form of its suite; run its suite again"):
        ask(run)
    (run / "plan.json").write_text("{}")
    with pytest.raises(UsageError, match="is of an earlier form of its suite"):
        ask(run)
    (run / "plan.json").write_text('{"train')
    with pytest.raises(UsageError, match=r"plan\.json is not as it was written; run the suite again"):
        ask(run)
    (run / "plan.json").unlink()
    ask(run)


def test_a_network_that_was_trained_before_and_is_loaded_now_is_the_one_that_is_loaded(run):
    store = Store(run)
    plan = json.loads((run / "plan.json").read_text())
    trained, other = (store.record(f"train/{name}/seed-0") for name in ("net", "lr"))
    files = {name: (store.folder(other.id) / name).read_bytes() for name in other.files}
    said = json.loads(files["model.json"])
    files["model.json"] = json.dumps(said | {"classes": [f"now {name}" for name in said["classes"]]}).encode()
    store.save(replace(other, id="load/net/seed-0"), files)
    plan["load/net/seed-0"] = other.key
    del plan[trained.id]
    (run / "plan.json").write_text(json.dumps(plan))
    x, _ = lrbench.load_data(run)
    with torch.no_grad():
        assert torch.equal(*(lrbench.load_model(run, name)(x) for name in ("net", "lr")))
    (shown, *_) = strips(Run.open(run))
    assert shown.model == "net"
    assert all(name.startswith("now ") for image in shown.images for name in (image.label, image.before, image.after))


def test_a_network_that_is_not_as_it_was_written_is_refused(run):
    weights = run / "steps/train/net/seed-0/weights.safetensors"
    state = load_file(weights)
    state["net.fc.bias"][0] += 1e-3
    save_file(state, weights)
    with pytest.raises(LrbenchError, match="is not as it was written"):
        lrbench.load_model(run, "net")


def test_networks_are_published_with_their_board_where_asked(run, tmp_path):
    to = tmp_path / "boards"
    publish(run, to)
    with pytest.raises(UsageError, match="published without the weights of net"):
        lrbench.load_model(to / "kept", "net")
    publish(run, to, weights=True)
    rebuild(to)
    assert check(to) == 2
    x, _ = lrbench.load_data(run)
    with torch.no_grad():
        for name in ("net", "lr"):
            assert torch.equal(*(lrbench.load_model(place, name, 1)(x) for place in (run, to / "kept")))
    weights = to / "kept/weights/net/seed-0/weights.safetensors"
    state = load_file(weights)
    state["net.fc.bias"][0] += 1e-3
    save_file(state, weights)
    for ask in (lambda: lrbench.load_model(to / "kept", "net"), lambda: check(to)):
        with pytest.raises(UsageError, match="does not match the checksum in its record"):
            ask()
    weights.unlink()
    with pytest.raises(UsageError, match=r"seed-0/weights.safetensors is missing; publish its run with --weights"):
        check(to)
    ours = to / "kept/weights/lr/NOTES.md"
    ours.write_text("mine")
    told = []
    publish(run, to, announce=told.append)
    assert told == ["removed the weights of net, which were of other networks; --weights publishes these"]
    assert ours.read_text() == "mine"
    ours.unlink()
    assert check(to) == 2
    with pytest.raises(UsageError, match="published without the weights of net"):
        lrbench.load_model(to / "kept", "net")
    lrbench.load_model(to / "kept", "lr")
    publish(run, to, weights=True)
    assert check(to) == 2
    (to / "kept/weights/net/seed-0/more").write_text("")
    with pytest.raises(UsageError):
        check(to)


@pytest.mark.parametrize("part", ["train", "test"])
def test_images_that_are_others_in_another_process_are_refused(part, tmp_path, monkeypatch):
    (tmp_path / "mine.py").write_text(
        "import torch\nfrom lrbench.data import ImageData, Split\nCALLS = []\n\n\n"
        "def drawn(root, *, train, test):\n"
        "    CALLS.append(1)\n"
        "    def split(part):\n"
        f"        draw = len(CALLS) if part == {part!r} else 0\n"
        "        made = torch.Generator().manual_seed(draw)\n"
        "        images = torch.randint(0, 256, (20, 1, 8, 8), dtype=torch.uint8, generator=made)\n"
        "        return Split(images, torch.arange(20) % 2)\n"
        "    return ImageData('drawn', split('train'), split('test'), ('a', 'b'))\n"
    )
    suite = "name: drawn\ndata: {name: 'mine.py:drawn'}\nmodels: {net: {arch: resnet18, width: 4}}\n"
    (tmp_path / "drawn.yaml").write_text(suite)
    monkeypatch.chdir(tmp_path)
    session = Session.open("drawn.yaml", out=tmp_path / "run")
    recipe = Recipe(session.suite.model_dump_json(), tuple(session.plan), session.data_dir, tmp_path / "run", "cpu", 1)
    with pytest.raises(UsageError, match=f"drawn gave other {part} images than where the run began"):
        recipe.context(torch.device("cpu"))
