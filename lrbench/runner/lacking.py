"""What a suite asks of models that cannot give it: left out, and said."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from lrbench.catalogue import ATTACKS
from lrbench.runner.threat import needs_gradients
from lrbench.suite import AttackSpec, ModelSpec, Suite
from lrbench.suite.training import Lack

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Probed:
    """A model on two images.

    Attributes
    ----------
    sizes : dict
        Entries an example of every layer's output, shallow modules first.
    logits : tuple of int
        Their shape.
    single : bool
        Whether it gives one logit an image, which was made two.
    gradients : bool
        Whether a gradient of its logits reaches its input.
    trainable : bool
        Whether a gradient of its logits reaches a parameter.
    why : str
        What stops a gradient on its way to the input, where something says so.
    loose : tuple of str
        What of its state is no tensor, and kept by no checkpoint.
    """

    sizes: dict[str, int]
    logits: Shape
    single: bool = False
    gradients: bool = True
    trainable: bool = True
    why: str = ""
    loose: tuple[str, ...] = ()


def without_what_lacks(suite: Suite, looked: Mapping[str, Probed]) -> tuple[Suite, list[str]]:
    """Ask of no model what it cannot give.

    Parameters
    ----------
    suite : Suite
    looked : mapping
        Model -> what it is like; models that are not there are left as they are.

    Returns
    -------
    Suite, list of str
        The suite, whose models say what they lack, and a line for each model of which something was left out.
    """
    models = dict(suite.models)
    for name, found in looked.items():
        spec = suite.models[name]
        said = spec.lacks or []
        lacks: list[Lack] = ["gradients"] if "gradients" in said or not found.gradients else []
        lacks += ["layers"] if "layers" in said or not found.sizes else []
        trained = spec.train and found.trainable
        if lacks != (spec.lacks or []) or trained != spec.train:
            init_from = spec.init_from if trained or not spec.train else None
            models[name] = spec.model_copy(update={"lacks": lacks or None, "train": trained, "init_from": init_from})
    changed = suite.model_copy(update={"models": models})
    parts = {name: "; ".join(_parts(suite.models[name], changed, name, found)) for name, found in looked.items()}
    return changed, [f"{name}: {part}" for name, part in parts.items() if part]


def runs_on(suite: Suite, attack: AttackSpec, name: str) -> bool:
    """Whether an attack can be made for a model: on it, or on its surrogate."""
    victim = suite.models[attack.surrogate or name].lacks or []
    needs = needs_gradients(ATTACKS[attack.name].load())
    layered = isinstance(attack.options.get("layer"), str)
    return not (("gradients" in victim and needs) or ("layers" in victim and layered))


def has_layers(suite: Suite, name: str) -> bool:
    """Whether layers of a model can be named."""
    return "layers" not in (suite.models[name].lacks or [])


def _parts(before: ModelSpec, suite: Suite, name: str, found: Probed) -> Iterator[str]:
    spec = suite.models[name]
    if before.train and not spec.train:
        yield "nothing in it can be trained, so it is evaluated without training"
    out = [attack.label for attack in suite.attacks if not runs_on(suite, attack, name)]
    if out:
        why = f" ({found.why})" if found.why else ""
        reason = (
            "the suite says so (`lacks`)" if found.gradients else f"no gradient of its outputs reaches its input{why}"
        )
        yield f"left out {', '.join(out)}, since {reason}"
    kinds = list(suite.diagnostics.of_layers)
    if kinds and not has_layers(suite, name):
        yield f"left out {', '.join(kinds)}, since it has no named layers"
