"""Step 2: the LR-Layer's update."""

from collections.abc import Callable, Iterator
from functools import lru_cache

from torch import Tensor

from benchmarks import lowrank
from benchmarks.gpu.setting import Setting
from benchmarks.gpu.timing import in_turns, seconds_of, waits

SIZES = ((16_384, 1000), (512, 50), (2048, 50), (4096, 250))
"""That of the paper first."""
TOY = ((64, 4), (128, 8))
SLOW, SLOWISH = 0.5, 0.02
"""Seconds of an update from which a form is not timed any further, and from which one call makes but one."""


FORMS = ("subspace", "nystrom", "dense nystrom", "exact")
"""In order of worth. Dense eigenvectors of the whole matrix take seconds and are left out."""


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], object]]]:
    """Time every form at all sizes, then look at their errors."""
    sizes = setting.pick(SIZES, TOY)
    for name in FORMS:
        for m, k in sizes:
            yield f"{m} x {k}, {name}", lambda m=m, k=k, name=name: timed(setting, m, k, name)
    for m, k in sizes:
        # Against a decomposition of the factored form: one of the whole matrix takes minutes.
        yield f"{m} x {k}, errors", lambda m=m, k=k: lowrank.errors(m, k, setting.device, largest_eigh=0)


def timed(setting: Setting, m: int, k: int, name: str) -> dict:
    """Give ms, and how often the host waits."""
    batches = _batches(m, k, setting.device)
    form = lowrank.Form(name, m, k, setting.device)
    # The first update loads kernels, the second comes from W as the first left it.
    for index in range(2):
        seconds_of(lambda index=index: form.update(batches[index]), setting.device)
    once = seconds_of(lambda: form.update(batches[2]), setting.device)
    if once > SLOW:
        return {"n": lowrank.N, "ms": 1000 * once, "updates": 1}
    calls = 1 if once > SLOWISH or setting.rehearse else form.updates
    period = _period(form, batches, calls)
    found = in_turns({name: period}, setting.device, rounds=setting.pick(5, 2), budget=setting.pick(0.3, 0.02))[name]
    waited = waits(period, setting.device, 2)
    return {
        "n": lowrank.N,
        **{key: found[key] / calls for key in ("ms", "ms min", "ms max")},
        "rounds": found["rounds"],
        "updates": found["calls a round"] * calls,
        "waits an update": None if waited is None else waited / calls,
    }


@lru_cache(maxsize=4)
def _batches(m: int, k: int, device: str) -> list[Tensor]:
    return [lowrank.activations(m, k, seed, device) for seed in range(4)]


def _period(form: lowrank.Form, batches: list, calls: int) -> Callable[[], None]:
    """Make so many updates."""

    def work() -> None:
        for index in range(calls):
            form.update(batches[index % len(batches)])

    return work
