"""What a run cannot be begun with, beside faults of its suite."""

from lrbench.catalogue import MEASURES
from lrbench.errors import UsageError
from lrbench.runner.execution import Execution
from lrbench.store import Store, require_folder
from lrbench.suite import Suite, name_of_run


def refuse_own_memory(store: Store, execution: Execution) -> None:
    """Refuse results in memory, which other processes do not share."""
    if str(store.root).startswith("memory:") and execution.out_of_process:
        msg = f"{store.root}: other processes have a memory of their own; name a folder or another URL with --out"
        raise UsageError(msg)


def refuse_measures_of_this_process(suite: Suite, execution: Execution) -> None:
    """Refuse measures that other processes cannot load."""
    for name in suite.diagnostics.measures if execution.out_of_process else ():
        if not (isinstance(MEASURES[name].target, str) or MEASURES.offers(name)):
            msg = (
                f"the measure {name!r} is registered in this process alone, and steps are taken in others: offer it as "
                "an entry point of a package (docs/add-a-measure.md), or take steps here (one job, no step_timeout)"
            )
            raise UsageError(msg)


def refuse_other_suite(store: Store, suite: Suite) -> None:
    """Refuse a folder that holds a run of a suite of another name."""
    require_folder(store.root)
    other = name_of_run(store.root)
    if other not in {None, suite.name}:
        msg = f"{store.root} holds a run of the suite {other!r}, not {suite.name!r}; choose another folder with --out"
        raise UsageError(msg)
