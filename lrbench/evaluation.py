"""Networks and images of one's own through a suite, by one call in Python."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console

from lrbench.data import ImageData
from lrbench.data.handed import handed_data, save_data
from lrbench.display import display_for
from lrbench.errors import UsageError
from lrbench.leaderboard import Leaderboard
from lrbench.models.objects import PREFIX, Handed, handed_over
from lrbench.names import in_path
from lrbench.runner.asked import Asked, claim_of, data_spec, listed, radii_of
from lrbench.runner.derived import spec_of, suite_for
from lrbench.runner.environment import data_folder
from lrbench.runner.execution import Execution
from lrbench.runner.probe import probe
from lrbench.runner.reporter import Reporter
from lrbench.runner.session import Session
from lrbench.store import as_path, is_remote
from lrbench.suite import ModelSpec, load_suite

Raw = dict[str, Any]

MODEL = "model"
"""What a network is called that nobody named."""


def evaluate(  # noqa: PLR0913
    model: Any,  # noqa: ANN401
    suite: str | Path = "quick",
    *,
    data: Any = None,  # noqa: ANN401
    train: Any = None,  # noqa: ANN401
    classes: Sequence[str] | None = None,
    eps: float | Sequence[float] | None = None,
    norm: str | None = None,
    space: str | None = None,
    samples: int | Raw | None = None,
    attacks: Sequence[str | Raw] | None = None,
    diagnostics: Raw | None = None,
    claims: Sequence[str | Raw] = (),
    beside: Sequence[str] = (),
    layers: Mapping[str, str] | None = None,
    out: str | Path | None = None,
    device: str = "auto",
    data_dir: str | Path | None = None,
    jobs: int = 1,
    reporter: Reporter | None = None,
) -> Leaderboard:
    """Measure networks that are trained already, and give their leaderboard.

    Writes the same folder as `lrbench run`, so that every command works on it; the same call resumes it. What was
    measured counts as long as the network's weights, all else that it holds, the code of its classes, the images and
    what is asked stay the same.

    Parameters
    ----------
    model : nn.Module, callable or str, or a mapping of names to them
        Pixels in [0, 1], (N, C, H, W) float32, to logits (N, classes). It is left as it is. A text names a registered
        model, or one such as "timm:resnet18".
    suite : str or Path
        Path of a YAML file, or the name of a shipped suite: what is asked, unless said otherwise below.
    data : str, Path, mapping or (x, y), optional
        Name of a data set; a folder of images; a suite's `data`; or images and labels, tensors or arrays, x as uint8 or
        in [0, 1], which are kept with 8 bits a value. Default: the suite's.
    train : (x, y), optional
        Training images, for what needs them: diagnostics of training activations, attacks in normalised space, and
        networks that are trained beside.
    classes : sequence of str, optional
        Names of the classes of (x, y). Default: their numbers.
    eps : float or sequence of float, optional
        Radii, in pixels of [0, 1] unless `space` says otherwise. Default: the suite's, in its space.
    norm : {"linf", "l2", "l1"}, optional
    space : {"pixel", "normalized"}, optional
    samples : int or mapping, optional
        Images to attack, or how closely the figures are to be known, such as {"until": "2 points"}.
    attacks : sequence of str or mapping, optional
        Names, or names and options as a suite has them.
    diagnostics : mapping, optional
        As a suite has them; {} for none.
    claims : sequence of str or mapping
        What is claimed of the networks, to be audited: as a suite has it or, of a single network, as text such as
        "pgd, steps 20, 8/255: 78.5". Radii are in `norm` and `space`, as given here or by the suite.
    beside : sequence of str
        Models of the suite to train and measure along with it, the first of them the baseline.
    layers : mapping, optional
        Layer that the suite names -> layer of these networks to take instead.
    out : str or Path, optional
        Folder of the results. Default: runs/SUITE-NAME.
    device : str
        "auto" (CUDA where there is one), "cpu", "cuda", "cuda:1", ...
    data_dir : str or Path, optional
        Folder of the data sets. Default: $LRBENCH_DATA, else the platform's cache folder.
    jobs : int, >= 1
        Processes that take steps side by side.
    reporter : Reporter, optional
        Told how it goes, and what is left out and why. Default: a progress display on standard error.

    Raises
    ------
    LrbenchError
        For every fault that the user can mend.
    """
    if not isinstance(jobs, int) or jobs < 1:
        msg = f"jobs must be a number from 1, got {jobs!r:.40}"
        raise UsageError(msg)
    given = _named(model)
    networks = {name: Handed(each) for name, each in given.items() if not isinstance(each, str)}
    specs = {name: {"arch": f"{PREFIX}{name}"} if name in networks else spec_of(str(given[name])) for name in given}
    written = load_suite(suite)[0]
    folder = as_path(str(out if out is not None else Path("runs") / in_path(f"{written.name}-{next(iter(given))}")))
    with _watched(reporter) as watcher, handed_over(networks):
        images = None
        if _is_pair(data):
            images = _images(data, train, classes, networks, watcher.note)
            _require_local(folder)
            if not len(images.train) and (space or (eps is None and written.threat_model.space)) == "normalized":
                msg = (
                    f"{suite} attacks in normalised space, whose unit comes from training images: give `eps` in "
                    "pixels, such as 8/255, or `train=(x, y)`"
                )
                raise UsageError(msg)
        elif train is not None or classes is not None:
            msg = "`train` and `classes` go with `data=(x, y)`; a data set that is named has its own"
            raise UsageError(msg)
        execution, root = Execution(jobs=jobs), data_folder(data_dir) if images is None else folder
        radii = None if eps is None else radii_of(eps)
        threat = {"eps": radii, "norm": norm, "space": space or ("pixel" if radii else None), "samples": samples}
        stated = [claim_of(each, next(iter(given))) for each in listed(claims, "claims")]
        beside = _names(beside)
        asked = Asked(data_spec(data, images), threat, attacks, diagnostics, alone=not beside, claims=stated)
        checked, document, loaded, left_out = suite_for(
            specs,
            suite,
            root,
            beside,
            layers,
            watcher.note,
            changes=asked,
            data=images,
            rehearse=execution.out_of_process,
        )
        for line in left_out:
            watcher.note(f"left out {line}")
        session = Session.of(
            checked,
            document,
            out=folder,
            device=device,
            data_dir=root,
            announce=watcher.note,
            execution=execution,
            data=loaded,
        )
        return session.run(watcher, lambda: None if images is None else save_data(images, folder))


@contextmanager
def _watched(reporter: Reporter | None) -> Iterator[Reporter]:
    if reporter is not None:
        yield reporter
        return
    with display_for(Console(stderr=True)) as display:
        yield display


def _named(model: Any) -> dict[str, Any]:  # noqa: ANN401
    given = dict(model) if isinstance(model, Mapping) else {model if isinstance(model, str) else MODEL: model}
    if not given:
        msg = "`model` names no network; give one, or a mapping of names to networks"
        raise UsageError(msg)
    for name, each in given.items():
        if not isinstance(name, str) or isinstance(each, type) or not (callable(each) or isinstance(each, str)):
            what = f"the class {each.__name__}" if isinstance(each, type) else f"{type(each).__name__}"
            msg = f"{name!s:.60}: expected a network (torch.nn.Module), a function or a registered name, got {what}"
            raise UsageError(msg)
    return given


def _names(beside: Any) -> list[str]:  # noqa: ANN401
    found = listed(beside or (), "beside")
    if not all(isinstance(each, str) for each in found):
        msg = f"beside: expected names of models of the suite, got {beside!r:.60}"
        raise UsageError(msg)
    return [str(each) for each in found]


def _is_pair(data: object) -> bool:
    return isinstance(data, tuple | list)


def _images(
    pair: Any,  # noqa: ANN401
    train: Any,  # noqa: ANN401
    classes: Sequence[str] | None,
    networks: Mapping[str, Handed],
    announce: Callable[[str], None],
) -> ImageData:
    """Make a data set of arrays; a network says how many classes there are."""
    pairs = {"test": pair} if train is None else {"train": train, "test": pair}
    data, lines = handed_data(pairs, None if classes is None else list(classes))
    for line in lines:
        announce(line)
    return data if classes is not None else _with_all_outputs(data, networks)


def _with_all_outputs(data: ImageData, networks: Mapping[str, Handed]) -> ImageData:
    """Take a class for each output of the first network, of which there may be more than labels."""
    for name, network in networks.items():
        found = probe(network, ModelSpec(arch=f"{PREFIX}{name}"), len(data.classes), tuple(data.test.images.shape[1:]))
        outputs = 2 if found.single else found.logits[1]
        if outputs < len(data.classes):
            msg = f"y holds the label {len(data.classes) - 1}, but {name} has {outputs} outputs, numbered from 0"
            raise UsageError(msg)
        return replace(data, classes=tuple(map(str, range(outputs))))
    return data


def _require_local(folder: Path) -> None:
    if is_remote(folder):
        msg = f"{folder}: arrays are kept beside the results, in a folder on this machine; name one by `out`"
        raise UsageError(msg)
