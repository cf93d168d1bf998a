"""Versions of the libraries that a result depends on."""

from collections.abc import Iterable
from functools import cache
from importlib import metadata

DISTRIBUTIONS = {
    "PIL": "pillow",
    "art": "adversarial-robustness-toolbox",
    "imagecorruptions": "imagecorruptions-imaug",
    "sklearn": "scikit-learn",
}

INERT = {"huggingface_hub", "pandas", "platformdirs", "pydantic", "pydantic_core", "rich", "safetensors", "yaml"}
"""Libraries that carry results and do not make them."""


def versions(libraries: Iterable[str]) -> dict[str, str]:
    """Name of the distribution -> version, of libraries by the name they import by; those not installed are left out.

    The public version: `+cpu` and `+cu126` tell builds of the same source apart, and a board that was made on a GPU is
    looked at on a laptop without making it again. The whole one stands in the environment.
    """
    found = {}
    for name in sorted(set(libraries) - INERT):
        for distribution in _distributions(name):
            version = version_of(distribution)
            if version is not None:
                found[distribution] = version.partition("+")[0]
    return found


def is_installed(name: str) -> bool:
    """Whether a library, by the name it is imported by, belongs to a distribution that has a version."""
    return any(version_of(distribution) is not None for distribution in _distributions(name))


@cache
def version_of(distribution: str) -> str | None:
    """Version of an installed distribution."""
    try:
        return metadata.version(distribution)
    except metadata.PackageNotFoundError:
        return None


def _distributions(name: str) -> list[str]:
    known = DISTRIBUTIONS.get(name, name)
    return [known] if version_of(known) is not None else _all().get(name, [])


@cache
def _all() -> dict[str, list[str]]:
    return {name: sorted(set(found)) for name, found in metadata.packages_distributions().items()}
