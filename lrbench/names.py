"""How steps are called, which is also where they lie on disk. Knows no torch."""

import re
from urllib.parse import quote, unquote

WORST = "worst-case"
"""What stands in an attack's place where all of them together are meant."""

MAKE_NETWORKS = ("train", "load")
"""Kinds of the steps that make networks."""

PART = re.compile(r"(/seed-\d+(?:/.+)?)/part-\d+$")
"""How a part's id ends; a model or an attack may be called so, too, and neither ends an id that a seed is in."""


def in_path(name: str) -> str:
    """Write any text as one component of a path: what is not a letter, a digit or one of `._+-` is percent-encoded."""
    safe = quote(name, safe="+")
    return f"%2E{safe[1:]}" if safe.startswith(".") else safe.replace("~", "%7E")


def eps_digits(eps: float) -> str:
    """Give the name of a radius, in units of 1/255."""
    return f"{255 * eps:.6g}"


def fooled_by(eps: float) -> str:
    """Give the name of the array that says which attack fooled each image first at a radius."""
    return f"by_{eps_digits(eps)}"


def model_path(model: str, seed: int) -> str:
    """Give what the names of all steps on a trained model share."""
    return f"{in_path(model)}/seed-{seed}"


def network_ids(model: str, seed: int) -> list[str]:
    """Give the names of the steps that may make a network: by training it, or by loading it."""
    return [f"{kind}/{model_path(model, seed)}" for kind in MAKE_NETWORKS]


def makes_network(step_id: str) -> bool:
    """Whether a step makes a network."""
    return step_id.partition("/")[0] in MAKE_NETWORKS


def model_in(step_id: str) -> str:
    """Give the model that a step's name tells of."""
    return unquote(step_id.split("/")[1])


def attack_id(model: str, seed: int, label: str, eps: float | None) -> str:
    """Give the name of an attack's step; without a radius, of a search for the smallest perturbation."""
    return f"attack/{model_path(model, seed)}/{label}/" + ("minimal" if eps is None else f"eps-{eps_digits(eps)}")


def whole_of(step_id: str) -> str:
    """Give the id of the step that joins a part with the others, of a part; of any other step its own."""
    return PART.sub(r"\1", step_id)


def eps_label(eps: float, norm: str = "linf") -> str:
    """Write a radius as keys of tables and of files have it: 8/255 in Linf, 0.5 in L2 and L1, whatever the space."""
    return f"{255 * eps:.6g}/255" if norm == "linf" else f"{eps:.6g}"


def radius_text(eps: float, norm: str, space: str) -> str:
    """Write a radius for readers: 8/255 in Linf, 0.5 in L2, 12 in L1 are of pixels, 0.0314 sd in deviations."""
    return f"{eps:.3g} sd" if space == "normalized" else eps_label(eps, norm)
