"""What a run cannot be begun with, beside faults of its suite."""

from lrbench.catalogue import MEASURES, REGULARIZERS
from lrbench.errors import UsageError
from lrbench.leaderboard.kept import RECORDS
from lrbench.leaderboard.published.read import board_folders
from lrbench.runner.execution import Execution
from lrbench.store import Store, is_remote, require_folder
from lrbench.suite import Suite, name_of_run


def refuse_own_memory(store: Store, execution: Execution) -> None:
    """Refuse results in memory, which other processes do not share."""
    if str(store.root).startswith("memory:") and execution.out_of_process:
        msg = f"{store.root}: other processes have a memory of their own; name a folder or another URL with --out"
        raise UsageError(msg)


def refuse_parts_of_this_process(suite: Suite, execution: Execution) -> None:
    """Refuse measures and regularizers that other processes cannot load."""
    if not execution.out_of_process:
        return
    regularizers = (name for spec in suite.models.values() for name in spec.regularizers.asked)
    named = [(MEASURES, name, "docs/add-a-measure.md") for name in suite.diagnostics.measures]
    named += [(REGULARIZERS, name, "docs/regularizers.md") for name in regularizers]
    for registry, name, page in named:
        if not (isinstance(registry[name].target, str) or registry.offers(name)):
            msg = (
                f"the {registry.kind} {name!r} is registered in this process alone, and steps run in others: provide "
                f"it as an entry point of a package ({page}), or run steps here (one job, no step_timeout)"
            )
            raise UsageError(msg)


def refuse_other_suite(store: Store, suite: Suite) -> None:
    """Refuse a folder that holds a run of a suite of another name, or a published board."""
    require_folder(store.root)
    local = store.root.is_dir() and not is_remote(store.root)
    if (store.root / RECORDS).is_dir() or (local and board_folders(store.root)):
        msg = f"{store.root} holds published boards, not a run; choose another folder with --out"
        raise UsageError(msg)
    other = name_of_run(store.root)
    if other not in {None, suite.name}:
        msg = f"{store.root} holds a run of the suite {other!r}, not {suite.name!r}; choose another folder with --out"
        raise UsageError(msg)
