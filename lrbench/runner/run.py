"""A suite by one call: run, or resumed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from lrbench.leaderboard import Leaderboard
from lrbench.runner.execution import Execution
from lrbench.runner.reporter import Reporter, Silent
from lrbench.runner.session import Session


def run(  # noqa: PLR0913
    suite: str | Path,
    out: str | Path | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    reporter: Reporter | None = None,
    jobs: int = 1,
    engine: Literal["local", "ray"] = "local",
    address: str | None = None,
    *,
    step_timeout: float | None = None,
    reuse: Sequence[str | Path] = (),
) -> Leaderboard:
    """Run or resume a suite, and give its leaderboard.

    Parameters
    ----------
    suite : str or Path
        Path of a YAML file, or the name of a shipped suite.
    out : str or Path, optional
        Folder of the results. Default: runs/NAME.
    device : str
        "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1", ...
    data_dir : str or Path, optional
        Folder of the data sets. Default: $LRBENCH_DATA, else the platform's cache folder.
    reporter : Reporter, optional
        Told how the run goes. Default: nobody is.
    jobs : int, >= 1
        Processes that take steps side by side, each with its share of the cores. With more than one, models must be
        loadable by name in other processes: from a file, a package or an entry point.
    engine : {"local", "ray"}
        Processes of this machine, or a Ray cluster, whose machines all see `out` and the data under the same paths.
    address : str, optional
        Of a running cluster, such as "auto" or "ray://HOST:10001". Default: one that is started for the run.
    step_timeout : float, optional
        Seconds that a step may take; one that takes longer has failed. Models must be loadable as with more `jobs`.
        Default: as long as it likes.
    reuse : sequence of str or Path
        Folders of other runs, whose finished steps are taken over where this suite has the very same.

    Raises
    ------
    LrbenchError
        For every fault that the user can mend.
    """
    watcher = reporter or Silent()
    execution = Execution(engine, jobs, address, step_timeout=step_timeout)
    return Session.open(suite, out, device, data_dir, watcher.note, execution, reuse).run(watcher)
