"""A user's file with a plain network, for suites that other processes load."""

FACTORY = """\
from torch import nn


def build(num_classes, in_channels):
    return nn.Sequential(nn.Flatten(), nn.Linear(64, 16), nn.ReLU(), nn.Linear(16, num_classes))
"""
