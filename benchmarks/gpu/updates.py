"""Step 2: the LR-Layer's update, and what LR-Layers add to a training step."""

from collections.abc import Callable, Iterator

from benchmarks import lowrank
from benchmarks.gpu.setting import LeftOut, Setting
from benchmarks.gpu.timing import in_turns, seconds_of, waits

SIZES = ((16_384, 1000), (512, 50), (2048, 50), (4096, 250))
"""That of the paper first."""
TOY = ((64, 4), (128, 8))
SLOW = 2.0
"""Seconds of an update from which a form is not timed any further."""


def rows(setting: Setting) -> Iterator[tuple[str, Callable[[], object]]]:
    """Times of all sizes, then their errors."""
    sizes = setting.pick(SIZES, TOY)
    for m, k in sizes:
        yield f"{m} x {k}", lambda m=m, k=k: timed(setting, m, k)
    for m, k in sizes:
        yield f"{m} x {k}, errors", lambda m=m, k=k: lowrank.errors(m, k, setting.device, largest_eigh=0)


def timed(setting: Setting, m: int, k: int) -> list[dict]:
    """One row a form: ms, and how often the host waits."""
    batches = [lowrank.activations(m, k, seed, setting.device) for seed in range(4)]
    forms, slow = {}, []
    # Dense eigenvectors of the whole matrix are in docs/performance.md for the CPU; here they cost what the rest does.
    for name in ("nystrom", "exact", "subspace", "dense nystrom"):
        form = lowrank.Form(name, m, k, setting.device)
        seconds_of(lambda form=form: form.update(batches[0]), setting.device)
        once = seconds_of(lambda form=form: form.update(batches[1]), setting.device)
        if once > SLOW:
            slow.append({"form": name, "ms": 1000 * once, "rounds": 1, "calls a round": 1})
        else:
            forms[name] = form
    found = in_turns(
        {name: _period(form, batches) for name, form in forms.items()},
        setting.device,
        rounds=setting.pick(5, 2),
        budget=setting.pick(0.8, 0.02),
    )
    for name, values in found.items():
        calls = forms[name].updates
        for key in ("ms", "ms min", "ms max"):
            values[key] /= calls
        values["waits"] = waits(_period(forms[name], batches), setting.device, 2)
        if values["waits"] is not None:
            values["waits"] /= calls
        values["ratio"] = values["ms"] / found["nystrom"]["ms"] if "nystrom" in found else None
    ordered = [{"form": name, "n": lowrank.N} | values for name, values in found.items()]
    return ordered + slow


def _period(form: lowrank.Form, batches: list) -> Callable[[], None]:
    """As many updates as it takes until the factor is refreshed; of a dense form, one."""

    def work() -> None:
        for index in range(form.updates):
            form.update(batches[index % len(batches)])

    return work


WEAK = {"lambda_1": 0.003, "lambda_2": 0.003}
RANKS = {
    "normal": {},
    "1-LR": {"avgpool": {"rank": 50, "lambda_1": 0.1}},
    "2-LR": {"layer3": {"rank": 1000, **WEAK}, "avgpool": {"rank": 50, "lambda_1": 0.1}},
}
TOY_RANKS = {
    "normal": {},
    "1-LR": {"avgpool": {"rank": 4}},
    "2-LR": {"layer3": {"rank": 8, **WEAK}, "avgpool": {"rank": 4}},
}


def training_rows(setting: Setting) -> Iterator[tuple[str, Callable[[], object]]]:
    """Forms of a step from the fastest on; those that are compiled last, since compiling takes minutes."""
    for compiled in (False, True):
        for mixed in (True, False):
            for batch in setting.pick((512, 128), (16,)):
                name = f"batch {batch}, {'bfloat16' if mixed else 'float32'}{', compiled' if compiled else ''}"
                yield name, lambda batch=batch, mixed=mixed, compiled=compiled: stepped(setting, batch, mixed, compiled)


def stepped(setting: Setting, batch: int, mixed: bool, compiled: bool) -> list[dict]:
    """One row each for 0, 1 and 2 LR-Layers."""
    if compiled and setting.rehearse:
        msg = "torch.compile takes minutes on a CPU"
        raise LeftOut(msg)
    ranks = setting.pick(RANKS, TOY_RANKS)
    width = setting.pick(64, 4)
    trainings = {
        name: lowrank.Training(each, setting.device, batch, width=width, mixed=mixed, compiled=compiled)
        for name, each in ranks.items()
    }
    for training in trainings.values():
        training.seconds(setting.pick(5, 1))
    found = in_turns(
        {name: training.step for name, training in trainings.items()},
        setting.device,
        rounds=setting.pick(7, 2),
        budget=setting.pick(1.5, 0.02),
    )
    for name, training in trainings.items():
        found[name]["waits"] = waits(training.step, setting.device, 16)
    return [{"network": name, "images/s": 1000 * batch / each["ms"]} | each for name, each in found.items()]
