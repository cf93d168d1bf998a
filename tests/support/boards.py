"""Runs to look at, made once: a normal model and one with an LR-Layer, small, with everything that a page shows."""

import lrbench

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


def made(folder):
    """Run `SUITE` into `folder`/run."""
    (folder / "small.yaml").write_text(SUITE)
    lrbench.run(folder / "small.yaml", out=folder / "run")
    return folder / "run"
