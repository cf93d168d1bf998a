"""What a step's result depends on besides its configuration: lrbench's code, the user's, and versions of libraries."""

from lrbench.runner.code.meaning import file_hash, folder_version
from lrbench.runner.code.steps import Dependencies, dependencies

__all__ = ["Dependencies", "dependencies", "file_hash", "folder_version"]
