"""The command that audits a claim of one model."""

import argparse

from lrbench.cli.commands import execution_of, finish, load_ahead_of
from lrbench.cli.terminal import say


def audit_command(given: argparse.Namespace) -> int:
    """Climb the ladder of attacks on a model for each of its claims."""
    load_ahead_of(given)
    from lrbench.models.objects import handed_over  # noqa: PLC0415
    from lrbench.runner import Session  # noqa: PLC0415
    from lrbench.runner.audited import Audited  # noqa: PLC0415
    from lrbench.runner.environment import data_folder  # noqa: PLC0415

    options = {"samples": given.samples, "effort": "full" if given.full else "short", "whole": given.full}
    audited = Audited(given.model, given.claim, given.suite, options, given.beside)
    root, execution = data_folder(given.data_dir), execution_of(given)
    with handed_over(audited.networks()):
        suite, document, data, left_out = audited.as_suite(root, say, rehearse=execution.out_of_process)
        for line in left_out:
            say(f"left out {line}")
        out = given.out or audited.folder
        session = Session.of(
            suite, document, out=out, device=given.device, data_dir=root, data=data, announce=say, execution=execution
        )
        return finish(session)
