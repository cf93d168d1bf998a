"""Suites for tests: everything once, as small as it can be."""

TINY = """\
name: tiny
data: {name: digits, train: 200, test: 60}
seeds: [0, 1]
models:
  net: {arch: support.nets:staged, width: 4}
  lr: {extends: net, lr_layers: {avgpool: 5}}
training: {epochs: 2, batch_size: 50, learning_rate: 0.05, warmup_accuracy: 0.0}
threat_model: {space: normalized, eps: [8/255, 32/255], samples: 20}
attacks: [iter-fsgm, {name: iter-ll-fsgm, steps: 3}]
diagnostics:
  variance_ratio: {layers: [layer3, avgpool], k: [1, 10]}
  embeddings: {layer: avgpool, dims: [8, 3]}
  masking: {samples: 20, steps: 4, queries: 10, draws: 2, unbounded: 4}
"""
