"""What the commands do that take steps, or would: each hands what it was given on, and prints what comes back."""

import argparse
import sys
from typing import TYPE_CHECKING, Any

from lrbench.cli.terminal import console, say
from lrbench.errors import UsageError

if TYPE_CHECKING:
    from lrbench.runner import Session
    from lrbench.runner.execution import Execution


def session_of(given: argparse.Namespace) -> "Session":
    """Open the run of a suite; write nothing."""
    from lrbench.suite import load_suite  # noqa: PLC0415

    # Before torch is loaded, which takes seconds: most mistakes are in the suite's text.
    load_suite(given.suite)
    load_ahead_of(given)
    from lrbench.runner import Session  # noqa: PLC0415

    return Session.open(given.suite, given.out, given.device, given.data_dir, say, execution_of(given), given.reuse)


def load_ahead_of(given: argparse.Namespace) -> None:
    """Let what steps are taken in be loaded beside this process."""
    if getattr(given, "engine", None) == "local" and not _in_memory(given):
        from lrbench.child_processes import load_ahead  # noqa: PLC0415

        load_ahead()


def execution_of(given: argparse.Namespace) -> "Execution":
    """Say where steps are taken."""
    from lrbench.runner.execution import Execution  # noqa: PLC0415

    # What is named on the command line can be loaded by name, so that no step has to be taken in this process.
    own_process = not _in_memory(given)
    if not hasattr(given, "engine"):
        return Execution(own_process=own_process)
    if given.address is not None and given.engine != "ray":
        msg = f"--address {given.address} is of a Ray cluster; add --engine ray"
        raise UsageError(msg)
    return Execution(given.engine, given.jobs, given.address, given.gpus, given.step_timeout, own_process)


def _in_memory(given: argparse.Namespace) -> bool:
    """Whether the results lie in the memory of this process."""
    return str(given.out or "").startswith("memory:")


def run_command(given: argparse.Namespace) -> int:
    """Run or resume a suite, or a share of its steps."""
    if given.steps or given.share:
        return _take_share(given)
    return finish(session_of(given))


def _take_share(given: argparse.Namespace) -> int:
    from lrbench.display import display_for  # noqa: PLC0415
    from lrbench.runner.share import Share  # noqa: PLC0415
    from lrbench.store import shown  # noqa: PLC0415

    share = Share.parse(given.steps, given.share or "1/1")
    session = session_of(given)
    with display_for(console()) as display:
        failed = session.run_share(share, display)
    sys.stdout.write(
        f"Steps in {shown(session.store.root)}; without --steps and --share the same command runs the rest\n"
    )
    return _say_failed(failed)


def finish(session: "Session") -> int:
    """Run a session, print its leaderboard, and give the exit status."""
    from lrbench.display import display_for  # noqa: PLC0415
    from lrbench.leaderboard.render import print_board  # noqa: PLC0415
    from lrbench.store import shown  # noqa: PLC0415

    screen = console()
    with display_for(screen) as display:
        board = session.run(display)
    print_board(board, screen)
    screen.print(f"Results in {shown(session.store.root)}", soft_wrap=True, markup=False, highlight=False)
    return _say_failed(board.failures)


def _say_failed(failures: dict[str, str]) -> int:
    if not failures:
        return 0
    first, reason = next(iter(failures.items()))
    more = f", and {len(failures) - 1} more" if len(failures) > 1 else ""
    say(f"{first} failed: {reason}{more}; run the same command to try again")
    return 1


def register_command(given: argparse.Namespace) -> int:
    """Add a model to the project's file."""
    from lrbench.models.external import code_of  # noqa: PLC0415
    from lrbench.runner.environment import data_folder  # noqa: PLC0415
    from lrbench.runner.register import register  # noqa: PLC0415

    options = _options(given.option)
    if "arch" in options:
        msg = f"--option arch={options['arch']}: the architecture is what --factory names"
        raise UsageError(msg)
    spec = {"arch": given.factory, **options}
    if given.weights:
        spec["weights"] = given.weights
    if given.trained:
        spec["train"] = False
    if given.no_normalize:
        spec["normalize"] = False
    # A line of ours: the parser's own would come with the whole usage.
    classes = int(given.classes) if given.classes.isdecimal() and len(given.classes) < 10 else 0
    if code := code_of(given.factory):
        say(f"running {code}")
    findings, replaced = register(
        given.name, spec, data=given.data, shape=given.shape, classes=classes, root=data_folder(given.data_dir)
    )
    for finding in findings:
        sys.stdout.write(f"{'  ' if finding.level == 'good' else '! '}{finding.text}\n")
    sys.stdout.write(
        f"{given.name} {'replaced' if replaced else 'added'} in lrbench.yaml; `lrbench evaluate {given.name}` measures "
        "it, and a suite's models can extend it\n"
    )
    return 0


def _options(pairs: list[str]) -> dict[str, Any]:
    import yaml  # noqa: PLC0415

    found = {}
    for pair in pairs:
        key, equals, value = pair.partition("=")
        if not key or not equals:
            msg = f"--option {pair}: expected KEY=VALUE"
            raise UsageError(msg)
        try:
            found[key] = yaml.safe_load(value)
        except (yaml.YAMLError, ValueError):
            found[key] = value
    return found


def evaluate_command(given: argparse.Namespace) -> int:
    """Run a single model through a suite."""
    load_ahead_of(given)
    from lrbench.names import in_path  # noqa: PLC0415
    from lrbench.runner import Session  # noqa: PLC0415
    from lrbench.runner.derived import spec_of, suite_for  # noqa: PLC0415
    from lrbench.runner.environment import data_folder  # noqa: PLC0415

    layers = {}
    for pair in given.layer:
        old, equals, new = pair.partition("=")
        if not equals:
            msg = f"--layer {pair}: expected OLD=NEW"
            raise UsageError(msg)
        layers[old] = new
    root, execution = data_folder(given.data_dir), execution_of(given)
    announced = set[str]()

    def once(text: str) -> None:
        if text not in announced:
            announced.add(text)
            say(text)

    suite, document, data, left_out = suite_for(
        {given.name: spec_of(given.name)},
        given.suite,
        root,
        given.beside,
        layers,
        once,
        rehearse=execution.out_of_process,
        step_timeout=execution.step_timeout,
    )
    for line in left_out:
        say(f"left out {line}")
    out = given.out or f"runs/{in_path(suite.name)}-{in_path(given.name)}"
    session = Session.of(
        suite, document, out=out, device=given.device, data_dir=root, data=data, announce=once, execution=execution
    )
    return finish(session)
