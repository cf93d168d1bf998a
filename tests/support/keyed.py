"""A small run with a user's models, for what makes steps again."""

MODELS = """\
import torch
from helpers import sizes


def net(num_classes, in_channels):
    return torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(64, sizes()), torch.nn.ReLU(),
                               torch.nn.Linear(sizes(), num_classes))
"""
HELPERS = """\
def sizes():
    return 12
"""
SUITE = """\
name: keyed
data: {name: digits, train: 150, test: 60}
models:
  first: {arch: "FOLDER/mine.py:net"}
  second: {arch: resnet18, width: 4, lr_layers: {avgpool: 4}}
training: {epochs: 1, batch_size: 50, warmup_accuracy: 0}
threat_model: {eps: [8/255, 32/255], samples: 20}
attacks:
  - {name: pgd, steps: 2}
  - {name: fab-t, steps: 2, targets: 2}
  - {name: pgd, steps: 2, surrogate: first, eps: [32/255]}
diagnostics: {masking: {samples: 10, steps: 2, queries: 4, draws: 2, unbounded: 2}}
"""


def written(folder):
    """Write the suite and the user's modules; give the suite's path."""
    (folder / "mine.py").write_text(MODELS)
    (folder / "helpers.py").write_text(HELPERS)
    path = folder / "keyed.yaml"
    path.write_text(SUITE.replace("FOLDER", str(folder)))
    return path
