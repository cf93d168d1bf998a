"""What boards know of attacks: of lrbench's own what stands in their files, of others' what a run wrote down."""

from collections.abc import Mapping
from typing import Any

from lrbench.catalogue import ATTACKS

Said = dict[str, bool]
"""`weak`: whether a model may withstand it without being robust. `noise`: whether it stays within no radius."""


def is_ours(attack: str) -> bool:
    """Whether an attack comes with lrbench, and not from a package or the code of somebody else."""
    return attack in ATTACKS and isinstance(ATTACKS[attack].target, str)


def said_of(attack: str, recorded: Mapping[str, Said]) -> Said | None:
    """Give what an attack says of itself; None of one that is not lrbench's own, and that was not written down.

    Parameters
    ----------
    attack : str
        Its name, not its label.
    recorded : mapping
        Name -> what a run wrote down.
    """
    if not is_ours(attack):
        return recorded.get(attack)
    entry = ATTACKS[attack]
    return {"weak": entry.says("weak", otherwise=False), "noise": entry.says("kind", "bounded") == "noise"}


def is_weak(attack: str, recorded: Mapping[str, Said]) -> bool:
    """Whether an attack is known to prove little."""
    return (said_of(attack, recorded) or {}).get("weak", False)


def is_noise(attack: str, recorded: Mapping[str, Said]) -> bool:
    """Whether an attack is known to stay within no radius, so that no worst case is over it."""
    return (said_of(attack, recorded) or {}).get("noise", False)


def needs_gradients(attack: str) -> bool:
    """Whether an attack is known to run on models with gradients alone, or, of one that is not here, may be."""
    return bool(ATTACKS[attack].says("needs_gradients", otherwise=True)) if attack in ATTACKS else True


def class_of(attack: str) -> str:
    """Name an attack of lrbench's by its class, as people do."""
    return str(ATTACKS[attack].target).rpartition(":")[2]


def other_than_standard(attack: dict[str, Any]) -> dict[str, Any]:
    """Give the options that make an attack another than the one which is known by its name.

    Parameters
    ----------
    attack : dict
        As it stands in a suite.
    """
    entry = ATTACKS[attack["name"]] if is_ours(attack["name"]) else None
    standard = None if entry is None else entry.says("standard", None)
    if entry is None or entry.signature is None or standard is None:
        return {}
    usual = {name: each.default for name, each in entry.signature.parameters.items()} | standard
    return {
        key: value
        for key, value in attack.items()
        if key not in {"name", "label", "eps", "surrogate"} and value is not None and usual.get(key) != value
    }
