"""A suite from its text to its leaderboard; resumes where an earlier run of the same folder stopped."""

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch

from lrbench.data import ImageData
from lrbench.engines import Worker, simulate
from lrbench.leaderboard import Leaderboard
from lrbench.runner.check import Checker
from lrbench.runner.check_attacks import check_attacks
from lrbench.runner.environment import data_folder, describe_environment, other_threads, pick_device
from lrbench.runner.execution import Execution
from lrbench.runner.external import external_in, objects_of, with_absolute_paths
from lrbench.runner.figures import write_views
from lrbench.runner.follow import Follower
from lrbench.runner.interrupt import Interrupt, interruptible
from lrbench.runner.kept import runs_at, take_over
from lrbench.runner.lacking import without_what_lacks
from lrbench.runner.plan import make_plan
from lrbench.runner.pretrained import fetch, names_checked
from lrbench.runner.refusals import refuse_other_suite, refuse_own_memory, refuse_parts_of_this_process
from lrbench.runner.reporter import Costs, Reporter
from lrbench.runner.share import Share, takable
from lrbench.runner.states import DONE, States
from lrbench.runner.step import Step
from lrbench.runner.tables import Tables
from lrbench.runner.timing import PassTimes
from lrbench.runner.work import Recipe
from lrbench.store import Store, View
from lrbench.suite import Suite, load_suite
from lrbench.suite.document import Document


@dataclass(frozen=True)
class Session:
    """A checked suite, its data, its plan, and the folder that holds what is done of it."""

    suite: Suite
    data: ImageData
    plan: list[Step]
    store: Store
    device: torch.device
    data_dir: Path
    execution: Execution = Execution()  # noqa: RUF009
    reuse: tuple[Store, ...] = ()

    @classmethod
    def open(
        cls,
        source: str | Path,
        out: str | Path | None = None,
        device: str = "auto",
        data_dir: str | Path | None = None,
        announce: Callable[[str], None] = lambda _: None,
        execution: Execution | None = None,
        reuse: Sequence[str | Path] = (),
    ) -> "Session":
        """Load and check everything; write nothing. External code is announced; steps of runs in `reuse` count as done.

        Raises
        ------
        UsageError
            If the suite, its data, the device or the folder is not as it should be.
        """
        loaded, others = load_suite(source), runs_at(reuse)
        session = cls.of(*loaded, out=out, device=device, data_dir=data_dir, announce=announce, execution=execution)
        return replace(session, reuse=others) if others else session  # a new one would read its folder again

    @classmethod
    def of(
        cls,
        suite: Suite,
        document: Document,
        *,
        out: str | Path | None = None,
        device: str = "auto",
        data_dir: str | Path | None = None,
        announce: Callable[[str], None] = lambda _: None,
        execution: Execution | None = None,
        data: ImageData | None = None,
    ) -> "Session":
        """Check a suite that is loaded already, as `open`; its data, too, where that is given.

        Raises
        ------
        UsageError
            As `open`.
        """
        chosen = pick_device(device)
        execution = execution or Execution()
        refuse_parts_of_this_process(suite, execution)
        checker = names_checked(Checker(suite, document, execution.out_of_process, execution.step_timeout), announce)
        suite = checker.suite
        root = data_folder(data_dir).absolute()
        data = checker.load_data(root) if data is None else data
        check_attacks(suite, document, data)
        store = Store(out if out is not None else Path("runs") / suite.name, device=chosen.type)
        refuse_other_suite(store, suite)
        refuse_own_memory(store, execution)
        plan = make_plan(suite, data)
        store.require_room(step.id for step in plan)
        session = cls(suite, data, plan, store, chosen, root, execution)
        if not session.pending:
            return session
        sizes = fetch(suite, document, data)
        asked, left_out = without_what_lacks(suite, checker.check_models(data, announce))
        for line in [*sizes, *left_out]:
            announce(line)
        return session if asked == suite else replace(session, suite=asked, plan=make_plan(asked, data))

    @cached_property
    def _tables(self) -> Tables:
        return Tables(self.suite, self.data.name, self.plan, self.store)

    @cached_property
    def known(self) -> States:
        """What is done and what is not, as it was when first looked at."""
        return States(self.plan, self.store, reuse=self.reuse)

    @property
    def view(self) -> View:
        """The steps in the folder."""
        return self.known.view

    @property
    def states(self) -> dict[str, str]:
        """Step id -> "done", or why the step has to be taken."""
        return self.known.all

    @cached_property
    def costs(self) -> Costs:
        """What a unit of work took in the steps that are done, on such a device; a GPU says nothing of a CPU."""
        costs = Costs(PassTimes(self.suite, self.data, self.device, self.execution.out_of_process))
        for step in self.plan:
            record = self.view.record(step.id)
            if record and self.states[step.id] == DONE and self.view.taken_on(record) in {"", self.device.type}:
                costs.learn(step, record.seconds)
        return costs

    def seconds_on(self, workers: int) -> float:
        """Seconds that the pending steps will take on so many workers."""
        return simulate(self.costs.tasks(self.pending), workers)

    @property
    def pending(self) -> list[Step]:
        """Steps that are not done, in order."""
        return self.known.pending

    def run(self, reporter: Reporter, prepare: Callable[[], None] = lambda: None) -> Leaderboard:
        """Take the pending steps, write the tables, and give the leaderboard; `prepare` once the folder is held.

        A step that fails is put down in `failures`, its traceback in its folder; steps that do not need it continue.

        Raises
        ------
        LrbenchError
            If the folder cannot be written, or the device is lost.
        KeyboardInterrupt
            If the run was asked to stop (Ctrl-C, SIGTERM).
        """
        with self.store.writing() as before:
            prepare()
            self._look_again({step.id for step in self.plan})
            if before is not None:
                reporter.note(f"resuming after {before}, which ended without finishing")
            self._begin(self.plan, reporter)
            with interruptible(reporter.note) as interrupt:
                follower = self._follower(self.plan, self.pending, reporter, interrupt)
                try:
                    self.execution.open(self.device).run(follower.tasks(), self._opener(), follower)
                finally:
                    board = self._tables.write(follower.missing)
            beside = self.execution.jobs > 1
            write_views(self.store, board, self._tables.finished(), self.data.classes, side_by_side=beside)
        return board

    def run_share(self, share: Share, reporter: Reporter) -> dict[str, str]:
        """Take those pending steps of a share whose needs are done; give what failed. Writes no tables.

        Other shares may be taken in the same folder at the same time, here or elsewhere.

        Raises
        ------
        UsageError
            If nothing is called as the share says, or the run, or this share, is taken by another process.
        LrbenchError, KeyboardInterrupt
            As `run`.
        """
        mine = share.of(self.plan)
        own = {step.id for step in mine}
        with self.store.writing(share.name):
            self._look_again(own.union(*(step.needs for step in mine)))
            self._begin(mine, reporter)
            done = self.known.done(own)
            ready, waiting = takable([step for step in mine if step.id not in done], done)
            if waiting:
                needed = next(need for need in waiting[0].needs if need not in done)
                reporter.note(f"{len(waiting)} steps wait for others, such as {waiting[0].id} for {needed}")
            with interruptible(reporter.note) as interrupt:
                counted = [step for step in mine if step not in waiting]
                follower = self._follower(counted, ready, reporter, interrupt)
                self.execution.open(self.device).run(follower.tasks(), self._opener(), follower)
        return follower.missing

    def _follower(self, counted: list[Step], pending: list[Step], reporter: Reporter, interrupt: Interrupt) -> Follower:
        steps = {step.id: step for step in self.plan}
        external = {step.id: external_in(step, steps) for step in pending}
        return Follower(counted, pending, reporter, self.costs, interrupt, external, self.store, self.execution.jobs)

    def _look_again(self, used: Collection[str]) -> None:
        """Forget what was in the folder before it was held: others may have written there."""
        self.__dict__.pop("costs", None)
        self.__dict__["known"] = States(self.plan, self.store, used, self.reuse)

    def _begin(self, steps: list[Step], reporter: Reporter) -> None:
        """Say what is made again and why, take over what was called otherwise, and write what the run is."""
        for line in [*self.known.reasons(), *take_over(self.store, steps, self.known.kept)]:
            reporter.note(line)
        if self.known.kept:
            self._look_again(self.known.used)  # what was there a moment ago may be gone
        if self.pending:
            for line in other_threads(self._tables.environments(self._tables.finished()), self._environment):
                reporter.note(line)
        self._tables.begin(self._environment if self.pending else None)

    def _opener(self) -> Callable[[], Worker]:
        """Give what makes a worker: of what is here, or, in other processes, of what they can load."""
        suite = with_absolute_paths(self.suite)
        recipe = Recipe(
            suite.model_dump_json(),
            tuple(self.plan),
            self.data_dir,
            self.store.root,
            str(self.device),
            self.execution.threads,
            self.execution.jobs,
            self.store.hold,
            objects=objects_of(self.suite),
        )
        return recipe if self.execution.out_of_process else lambda: recipe.worker(suite, self.data, self.store)

    @cached_property
    def _environment(self) -> dict[str, Any]:
        """What this run's steps are taken under, but for what a process on another machine would say."""
        return describe_environment(self.device, self.execution.threads, self.execution.jobs)
