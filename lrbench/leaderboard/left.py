"""What a run's tables do not show of its plan: steps that are not done, and tables that are older than the plan."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from lrbench.errors import some
from lrbench.names import whole_of
from lrbench.store import Store

PLAN = "plan.json"
"""Step -> key of each step that the suite takes, in a run's folder; it is written before the first of them is taken."""


@dataclass(frozen=True)
class Left:
    """The steps of a plan by what the folder holds of them.

    Attributes
    ----------
    done : int
        How many need not be taken, be it that the tables lack them.
    again : list of str
        Done for another suite, other data or by other code.
    new : list of str
        Never done.
    """

    done: int = 0
    again: list[str] = field(default_factory=list)
    new: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, folder: Path) -> "Left":
        """Hold a folder's plan against its steps.

        Raises
        ------
        OSError, ValueError, AttributeError
            If there is no plan.
        """
        plan: dict[str, str] = json.loads((folder / PLAN).read_text("utf-8"))
        records = list(Store(folder).view().records())
        # Whatever it is called: what was renamed is not done again.
        keys, ids = {record.key for record in records}, {record.id for record in records}
        done = {step for step, key in plan.items() if key in keys}
        rest = [step for step in plan if not {step, whole_of(step)} & done]
        again = [step for step in rest if step in ids]
        return cls(len(plan) - len(rest), again, [step for step in rest if step not in ids])

    @property
    def of_another_plan(self) -> str:
        """Say that tables are of another plan than this one, and how far this one has come."""
        total = self.done + len(self.again) + len(self.new)
        counts = [f"{len(self.again)} to be taken again ({some(self.again)})"] if self.again else []
        counts += [f"{len(self.new)} new ({some(self.new)})"] if self.new else []
        counts += [f"{self.done} done but not in these figures"] if self.done else []
        return (
            "these figures are from before the suite, its data or the code of its steps changed; of the "
            f"{total} steps as they are now, {', '.join(counts)}"
        )

    @property
    def unfinished(self) -> str:
        """Name the steps that are not done; empty if there are none."""
        return some([*self.again, *self.new])
