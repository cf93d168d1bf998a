"""Runs to look at, made once: a normal model and one with an LR-Layer, small, with everything that a page shows."""

import json
import shutil

import yaml

import lrbench
from lrbench.leaderboard.kept import as_written, checksum
from lrbench.names import in_path
from lrbench.runner import Session
from lrbench.runner.tables import Tables

STAND_INS = {"figures/training.png": b"a picture", "figures/training.svg": b"a picture", "report.html": b"a report"}
"""Of what a run draws, for tests that look at none of it."""

NASTY = "<script>alert(1)</script>"
SPECIAL = 'a & b_50% $x$ #1, "q" \\'

SUITE = """\
name: small
data: {name: digits, train: 200, test: 60}
seeds: [0, 1]
models:
  net: {arch: resnet18, width: 4}
  lr: {extends: net, lr_layers: {avgpool: 5}}
  '<script>alert(1)</script>': {extends: net, training: {learning_rate: 0.02}}
  'a & b_50% $x$ #1, "q" \\': {extends: net, training: {learning_rate: 0.03}}
training: {epochs: 2, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.0}
threat_model: {space: pixel, eps: [4/255, 8/255], samples: 20}
attacks: [iter-fsgm, {name: autoattack, steps: 3, targets: 2, queries: 5}, {name: deepfool, steps: 3}]
diagnostics:
  variance_ratio: {layers: [avgpool], k: [1, 10]}
  embeddings: {layer: avgpool, dims: [full, 5]}
  compression: {layer: avgpool, dim: 5}
  masking: {samples: 20, steps: 3, queries: 5, draws: 2, unbounded: 2}
"""


def resealed(path, change):
    """Change a record, and make its checksum anew, as somebody would who wants to deceive."""
    content = json.loads(path.read_text())
    change(content)
    path.write_bytes(as_written({**content, "sha256": checksum(content)}))


def renamed(content, name):
    """Make a record one of another model, as if it had been called so in its run."""
    old, place = content["model"], f"/{in_path(content['model'])}/"
    content["model"] = name
    content["configuration"]["models"] = {name: content["configuration"]["models"][old]}
    for key in ("artefacts", "keys"):
        content[key] = {step.replace(place, f"/{name}/"): of for step, of in content[key].items()}
    for row in content["results"]:
        row["model"] = name


def made(folder):
    """Run `SUITE` into `folder`/run."""
    (folder / "small.yaml").write_text(SUITE)
    lrbench.run(folder / "small.yaml", out=folder / "run")
    return folder / "run"


def alone(folder, to, *models):
    """Copy a run of `SUITE` as one of these models would be, whose suite has no other."""
    shutil.copytree(folder, to)
    suite = yaml.safe_load(SUITE)
    whole = lrbench.leaderboard.Leaderboard.load(folder).suite["models"]
    suite["models"] = {model: whole[model] for model in models}
    retabled(to, suite)
    return to


def retabled(run, suite):
    """Write the tables of a run's folder as they are for the steps that are there."""
    path = run.parent / f"{run.name}.yaml"
    path.write_text(yaml.safe_dump(suite, sort_keys=False))
    session = Session.open(path, out=run)
    tables = Tables(session.suite, session.data.name, session.plan, session.store)
    tables.begin(None)
    tables.write({})
