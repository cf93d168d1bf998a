"""Which attacks prove little."""

WEAK = frozenset({"iter-fsgm", "iter-ll-fsgm", "fgsm", "uniform-noise", "gaussian-noise"})
"""Attacks that a model may withstand without being robust."""
