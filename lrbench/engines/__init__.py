"""Where steps run: in one process or in several. Knows nothing of what a step does."""

from lrbench.engines.base import Done, Engine, Task, Watch, Worker
from lrbench.engines.in_process import InProcess
from lrbench.engines.schedule import Schedule, lower_bound, simulate

__all__ = ["Done", "Engine", "InProcess", "Schedule", "Task", "Watch", "Worker", "lower_bound", "simulate"]
