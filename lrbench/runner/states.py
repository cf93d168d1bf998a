"""What is done of a plan, what has to be made, and why."""

from collections.abc import Collection, Iterator
from functools import cached_property

from lrbench.names import whole_of
from lrbench.runner.kept import Kept, found_in
from lrbench.runner.reasons import again, difference
from lrbench.runner.step import Step
from lrbench.store import RECORD, Store, View, shown

DONE = "done"


class States:
    """The states of a plan's steps in a folder, as they were when first asked for.

    Parameters
    ----------
    plan : list of Step
        All steps.
    store : Store
        The run's folder.
    used : collection of str
        Ids of the steps whose files are about to be used: in an object store, too, these are held against their
        checksums, and no others.
    reuse : collection of Store
        Other runs' folders, whose finished steps are taken over.

    Attributes
    ----------
    view : View
        Of the folder's steps.
    used : collection of str
    """

    def __init__(
        self, plan: list[Step], store: Store, used: Collection[str] = (), reuse: Collection[Store] = ()
    ) -> None:
        self._plan, self.used = plan, used
        self.view = store.view()
        self._others = [other.view() for other in reuse]

    @cached_property
    def all(self) -> dict[str, str]:
        """Step id -> "done", or why the step has to be taken.

        Done is also what was finished under another name in the folder, or in another run's, which a run takes over,
        and a part of what is done as a whole, unless its own record is there and damaged.
        """
        found = self._own | dict.fromkeys(self.kept, DONE)
        return found | {step.id: DONE for step in self._plan if self._needless(step, found)}

    @cached_property
    def kept(self) -> dict[str, Kept]:
        """Step id -> a step that was finished under another name, or in another run."""
        return found_in((self.view, *self._others), self._wanted, self.used)

    def done(self, own: Collection[str]) -> set[str]:
        """Give the steps that are done for a share of the plan, whose own ids these are.

        What is called otherwise, or lies elsewhere, is taken over by the share that it belongs to.
        """
        return {step for step, state in self.all.items() if state == DONE and (step not in self.kept or step in own)}

    @property
    def pending(self) -> list[Step]:
        """Steps that are not done, in order."""
        return [step for step in self._plan if self.all[step.id] != DONE]

    def reasons(self) -> list[str]:
        """Say what is made again and why, and which of the other runs has nothing of what is wanted, a line each."""
        return [*again(self.all), *self._unfit()]

    def _unfit(self) -> Iterator[str]:
        for view in self._others if self._wanted else ():
            # Not by what is taken over: of two runs that hold the same step the first one's is.
            if not self._gave(view) and not found_in([view], self._wanted, self.used):
                yield f"nothing in {shown(view.store.root)} can be reused: {self._why(view)}"

    def _gave(self, view: View) -> bool:
        """Whether something that is done here was taken from there, as before a run is resumed: a copy took as long."""
        there = {(record.key, record.seconds) for record in view.records()}
        done = [self.view.record(step.id) for step in self._plan if self._own[step.id] == DONE]
        return any((record.key, record.seconds) in there for record in done if record)

    def _why(self, view: View) -> str:
        # What needs other steps differs because they do.
        for step in (step for step in self._wanted if not step.needs):
            record = view.record(step.id)
            if record is not None:
                same = record.key == step.key
                return f"{step.id}: {'damaged' if same else difference(record.config, step.config, step.kind)}"
        return "it has no finished step of a name that is wanted here"

    @property
    def _wanted(self) -> list[Step]:
        """Steps that are not done in the folder itself, under their names."""
        return [step for step in self._plan if self._own[step.id] != DONE]

    @cached_property
    def _own(self) -> dict[str, str]:
        return {step.id: self._state(step) for step in self._plan}

    def _needless(self, step: Step, states: dict[str, str]) -> bool:
        return step.kind == "part" and states[whole_of(step.id)] == DONE and not states[step.id].startswith("damaged")

    def _state(self, step: Step) -> str:
        record = self.view.record(step.id)
        if record is None:
            return f"damaged: {RECORD}" if self.view.has_damaged_record(step.id) else "new"
        if record.key != step.key:
            return "changed: " + difference(record.config, step.config, step.kind)
        if record.labels != list(step.labels):
            return "renamed"
        damaged = self.view.damaged(record, closely=step.id in self.used)
        return DONE if damaged is None else f"damaged: {damaged}"
