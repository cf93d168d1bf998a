"""A project's own models: `lrbench.yaml` in the working directory, whose names a suite's models can extend."""

from pathlib import Path
from typing import Any

from pydantic import Field

from lrbench.files import is_file
from lrbench.strict import Strict, Title
from lrbench.suite.document import read_document
from lrbench.suite.faults import validated
from lrbench.suite.training import ModelSpec

PROJECT = Path("lrbench.yaml")


class Project(Strict):
    """What `lrbench.yaml` can say: models by name, each with the keys of a suite's model."""

    models: dict[Title, ModelSpec] = Field(default_factory=dict)


def project_models() -> dict[str, dict[str, Any]]:
    """Give the project's models as they are written; none if there is no such file.

    Raises
    ------
    UsageError
        If the file is not as it should be.
    """
    if not is_file(PROJECT):
        return {}
    document = read_document(PROJECT, str(PROJECT))
    validated(Project, document.content, document)
    models: dict[str, dict[str, Any]] = document.content.get("models", {})
    return models
