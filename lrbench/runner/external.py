"""Code of others: models that a suite names by a file, a module or a package's entry point."""

import io
import os
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path

from lrbench.catalogue import MODELS
from lrbench.errors import UsageError, printable
from lrbench.global_state import preserved
from lrbench.models.external import code_of
from lrbench.models.objects import PREFIX, Handed, object_named
from lrbench.names import makes_network
from lrbench.registry import Registry
from lrbench.runner.code.own import named_file, own_code
from lrbench.runner.step import Step
from lrbench.suite import ModelSpec, Suite
from lrbench.user_code import LIBRARIES, code_behind, with_absolute_path


@contextmanager
def guarded() -> Iterator[None]:
    """Call code of others while a suite is looked at: it changes nothing here, and a line tells of what it prints."""
    heard = io.StringIO()
    try:
        with preserved(), redirect_stdout(heard), redirect_stderr(heard), _descriptor_redirected():
            yield
    finally:
        if lines := [line for line in heard.getvalue().splitlines() if line.strip()]:
            more = f" (and {len(lines) - 1} lines more)" if len(lines) > 1 else ""
            sys.stderr.write(f"lrbench: its code printed: {printable(lines[0])[:200]}{more}\n")


@contextmanager
def _descriptor_redirected() -> Iterator[None]:
    """Send what libraries print from below Python to standard error, too."""
    try:
        before = os.dup(1)
    except OSError:  # nobody listens
        yield
        return
    try:
        os.dup2(2, 1)
        yield
    finally:
        os.dup2(before, 1)
        os.close(before)


def is_external(arch: str) -> bool:
    """Whether an architecture is code that nobody looked over for lrbench."""
    if arch not in MODELS:
        return code_of(arch) is not None or ":" not in arch
    target = MODELS[arch].target
    return not (isinstance(target, str) and target.startswith("lrbench."))


def code_named(registry: Registry, name: str) -> str | None:
    """Give the file or module that a name makes us run; None where it is a library's."""
    return code_of(name) if registry is MODELS else code_behind(name, LIBRARIES)


def exit_reason(error: SystemExit) -> str:
    """Say what a SystemExit asked for, as Python takes it."""
    status = error.code if isinstance(error.code, int) else int(error.code is not None)
    return f"it asked its process to exit with status {status}"


def import_code(suite: Suite, trainings: Iterable[Step]) -> None:
    """Import the code of the models that some steps train or load; what importing it changes is put back.

    So a step finds the same state whether or not its process had imported the code before.

    Raises
    ------
    UsageError
        If it is not what the plan was made with.
    """
    for step in trainings:
        arch = suite.models[step.model].arch
        if not is_external(arch):
            continue
        with preserved():
            entry = MODELS[arch]
            factory = entry.load()
        planned: dict[str, str] = next(iter(step.config.get("own", {}).values()), {})
        if own_code(factory, named_file(entry)).files != planned:
            msg = f"the code of {step.model} has changed since this run began; run the command again to use it"
            raise UsageError(msg)


def external_in(step: Step, steps: Mapping[str, Step]) -> frozenset[str]:
    """Give the code of others that a step runs: models by their names, attacks by their files."""
    trained = [steps[each] for each in (step.id, *step.needs) if makes_network(each)]
    models = {each.model for each in trained if "own" in each.config}
    return frozenset(models if step in trained else models.union(step.config.get("own", ())))


def objects_of(suite: Suite) -> dict[str, Handed]:
    """Give the networks of a suite that were handed over in Python."""
    named = (spec.arch.removeprefix(PREFIX) for spec in suite.models.values() if spec.arch.startswith(PREFIX))
    return {name: object_named(name) for name in named}


def with_absolute_paths(suite: Suite) -> Suite:
    """Name the user's own files by absolute paths: other processes may stand, or be sent, elsewhere."""
    models = {name: _absolute(spec) for name, spec in suite.models.items()}
    attacks = [each.model_copy(update={"name": with_absolute_path(each.name)}) for each in suite.attacks]
    data = suite.data.model_copy(update={"name": with_absolute_path(suite.data.name)})
    return suite.model_copy(update={"models": models, "attacks": attacks, "data": data})


def _absolute(spec: ModelSpec) -> ModelSpec:
    onnx = spec.arch.endswith(".onnx")
    update = {"arch": str(Path(spec.arch).expanduser().absolute()) if onnx else with_absolute_path(spec.arch)}
    if spec.weights_file is not None:
        update["weights"] = str(Path(spec.weights_file).expanduser().absolute())
    return spec.model_copy(update=update)
