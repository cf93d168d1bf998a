"""A measure of a user's own, from the page of the docs: checked, taken, shown, compared, published, made again."""

import re
import sys
from pathlib import Path

import pandas as pd
import pytest
from support.plain import FACTORY

import lrbench
from lrbench.catalogue import MEASURES
from lrbench.cli import main
from lrbench.errors import UsageError
from lrbench.leaderboard.published import check, rebuild
from lrbench.runner import Session
from lrbench.runner.execution import Execution
from lrbench.views import Axis, Chart, Panel

PAGE = Path(__file__).parents[2] / "docs/add-a-measure.md"
CODE = re.search(r"```python\n(.*?)```", PAGE.read_text("utf-8"), re.DOTALL)[1]
SUITE = """\
name: mine
data: {name: digits, train: 60, test: 30}
seeds: [0, 1]
training: {epochs: 1, batch_size: 30}
threat_model: {eps: [8/255], samples: 10}
attacks: [fgsm]
diagnostics:
  masking: false
  brightness: {layer: "1", images: 20}
models:
  net: {arch: "net.py:build"}
  other: {arch: "net.py:build", training: {learning_rate: 0.01}}
"""
TAKEN = ("masking = bright:Brightness", "model_dump = bright:Brightness", "measures = bright:Brightness")
"""Names that are lrbench's, or pydantic's."""

STEPS = {f"brightness/{model}/seed-{seed}" for model in ("net", "other") for seed in (0, 1)}


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with the suite, and an installed package that offers the measure."""
    (tmp_path / "net.py").write_text(FACTORY)
    (tmp_path / "mine.yaml").write_text(SUITE)
    (tmp_path / "bright.py").write_text(re.sub(r"^@.*\n", "", CODE, flags=re.MULTILINE))
    info = tmp_path / "bright-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: bright\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[lrbench.measures]\nbrightness = bright:Brightness\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(MEASURES.__dict__, "_installed", raising=False)
    yield tmp_path
    MEASURES.__dict__.pop("_installed", None)
    sys.modules.pop("bright", None)


@pytest.fixture
def registered():
    """The measure, by its decorator, in this process alone."""
    namespace = {"__name__": "notebook"}
    exec(CODE, namespace)  # noqa: S102
    return namespace["Brightness"]


def test_it_is_short():
    assert len(CODE.splitlines()) <= 30


@pytest.mark.usefixtures("folder", "unpictured")
def test_it_is_taken_shown_compared_published_and_resumed(capsys):
    assert main(["run", "mine.yaml", "--out", "out"]) == 0
    assert Session.open("mine.yaml", "out").pending == []
    capsys.readouterr()
    table = pd.read_csv("out/results.csv", dtype={"layer": str})
    rows = table[table["metric"].str.startswith("brightness:")]
    assert len(rows) == 8
    assert set(rows["n"]) == {20}
    assert set(rows.query("metric == 'brightness:mean_activation'")["layer"]) == {"1"}
    bright = rows.query("metric == 'brightness:brightness'")["value"]
    assert bright.nunique() == 1, "the same images for all"
    assert 0.2 < bright.iloc[0] < 0.5
    assert main(["show", "out"]) == 0
    assert main(["compare", "out:net", "out:other"]) == 0
    assert main(["publish", "out", "--to", "boards", "--check"]) == 0
    shown = capsys.readouterr().out
    for page in (shown, *(Path(each).read_text() for each in ("out/report.html", "boards/mine/README.md"))):
        assert "Brightness" in page
        assert "mean activation" in page
        assert f"{bright.iloc[0]:.4g}" in page


@pytest.mark.usefixtures("undrawn", "unpictured")
def test_a_board_with_a_measure_that_is_not_here_is_not_called_changed(folder):
    assert main(["run", "mine.yaml", "--out", "out"]) == 0
    assert main(["publish", "out", "--to", "boards", "--check"]) == 0
    before = {path: path.read_bytes() for path in Path("boards").rglob("*") if path.is_file()}
    (folder / "bright-1.0.dist-info/entry_points.txt").unlink()
    MEASURES.__dict__.pop("_installed")
    for take in (check, rebuild):
        with pytest.raises(
            UsageError, match=r"boards/mine has figures of the measure 'brightness'; install the package"
        ):
            take(Path("boards"))
    assert {path: path.read_bytes() for path in Path("boards").rglob("*") if path.is_file()} == before


@pytest.mark.usefixtures("undrawn")
def test_a_package_may_use_the_decorator_as_well(folder, monkeypatch):
    (folder / "bright.py").write_text(CODE)
    monkeypatch.setattr(MEASURES, "_entries", dict(MEASURES._entries))
    Path("mine.yaml").write_text(SUITE.replace("seeds: [0, 1]", "seeds: [0]"))
    assert not lrbench.run("mine.yaml", out="out", jobs=2).failures


@pytest.mark.usefixtures("undrawn")
def test_its_code_and_its_options_make_its_steps_again_and_no_others(folder):
    lrbench.run("mine.yaml", out="out")

    def pending(suite="mine.yaml"):
        return {step: why for step, why in Session.open(suite, "out").states.items() if why != "done"}

    assert pending() == {}
    Path("other.yaml").write_text(SUITE.replace("images: 20", "images: 25"))
    assert pending("other.yaml") == dict.fromkeys(STEPS, "changed: images 20 -> 25")
    (folder / "bright.py").write_text((folder / "bright.py").read_text().replace("/ 255", "/ 256"))
    sys.modules.pop("bright")
    MEASURES.__dict__.pop("_installed")
    for cached in ("_own_code", "parsed"):
        module = sys.modules[f"lrbench.runner.code.{'own' if cached == '_own_code' else 'meaning'}"]
        getattr(module, cached).cache_clear()
    assert pending() == dict.fromkeys(STEPS, "changed: bright.py")


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ("images: 20", "imagse: 20", r"line 9: diagnostics\.brightness\.imagse: unknown key; did you mean 'images'"),
        ("images: 20", "images: many", r"line 9: diagnostics\.brightness\.images: should be a valid integer"),
        ('layer: "1"', "layer: conv1", r"line 9: diagnostics\.brightness\.layer: model net has no layer 'conv1'"),
        ('{layer: "1", images: 20}', "{}", r"line 9: diagnostics\.brightness\.layer: .*required"),
        ("  brightness", "  brightnes", r"line 9: diagnostics\.brightnes: unknown key; did you mean 'brightness'"),
    ],
)
def test_what_a_suite_says_of_it_is_checked(folder, old, new, said):
    Path("wrong.yaml").write_text(SUITE.replace(old, new))
    with pytest.raises(UsageError, match=said):
        Session.open("wrong.yaml", "out")
    assert not (folder / "out").exists()


@pytest.mark.usefixtures("undrawn")
def test_other_processes_need_a_package(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    Path("mine.yaml").write_text(SUITE.replace("seeds: [0, 1]", "seeds: [0]"))
    with pytest.raises(UsageError, match=r"measure 'brightness' is registered in this process alone"):
        Session.open("mine.yaml", "out", execution=Execution(jobs=2))
    board = lrbench.run("mine.yaml", out="out")
    assert not board.failures
    assert "brightness:brightness" in board.table()
    assert registered.figures.keys() == {"brightness", "mean_activation"}


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("row", "said"),
    [
        ('{"metric": "brightness", "value": float("nan")}', "ValueError: brightness gave nan as 'brightness'"),
        ('{"metric": "brightnes", "value": 1}', "'brightnes', which is none of its figures: brightness"),
        ('{"metric": "brightness", "valeu": 1}', "TypeError: brightness gave"),
        ('{"metric": "brightness", "value": 1, "model": "net"}', "a row is a mapping with metric and value"),
        ("0.5", "TypeError: brightness gave 0.5"),
        ('{"metric": "brightness", "value": "3.5"}', "TypeError: brightness gave '3.5' as 'brightness': a number is"),
        ('{"metric": "brightness", "value": 1, "n": 0}', "ValueError: brightness gave 'brightness' of 0 images"),
        ('{"metric": "brightness", "value": 1, "n": "10"}', "ValueError: brightness gave 'brightness' of '10' images"),
        ('{"metric": "brightness", "value": 1, "ci_low": 0.5}', "TypeError: brightness gave None as 'brightness'"),
        ('{"metric": "brightness", "value": 1, "ci_low": 2, "ci_high": 3}', "[2, 3], which does not hold its value 1"),
        ('{"metric": "brightness", "value": 1, "layer": 3}', "TypeError: brightness gave 'brightness' at 3: a layer"),
    ],
)
def test_rows_that_are_none_fail_its_steps_and_nothing_else(tmp_path, monkeypatch, registered, row, said):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    Path("mine.yaml").write_text(SUITE.replace("seeds: [0, 1]", "seeds: [0]"))
    monkeypatch.setattr(registered, "take", lambda *_: iter([eval(row)]))  # noqa: S307
    board = lrbench.run("mine.yaml", out="out")
    assert set(board.failures) == {step for step in STEPS if step.endswith("0")}
    assert all(said in reason for reason in board.failures.values())


@pytest.mark.usefixtures("undrawn")
@pytest.mark.parametrize(
    ("take", "said"),
    [
        (lambda *_: None, "brightness gave NoneType: it yields rows"),
        (lambda *_: [{"metric": "brightness", "value": 1}] * 2, "brightness gave 'brightness' twice"),
        (lambda _, subject, __: subject.kept.update({"../up": b""}) or [], "keeps '../up': a plain name is wanted"),
        (lambda _, subject, __: subject.kept.update({"step.json": b""}) or [], "keeps 'step.json': a plain name"),
        (lambda _, subject, __: subject.kept.update(up="text") or [], "keeps up as str: its content is bytes"),
    ],
)
def test_what_a_measure_gives_and_keeps_is_checked(tmp_path, monkeypatch, registered, take, said):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    Path("mine.yaml").write_text(SUITE.replace("seeds: [0, 1]", "seeds: [0]"))
    monkeypatch.setattr(registered, "take", staticmethod(take))
    failures = lrbench.run("mine.yaml", out="out").failures
    assert set(failures) == {step for step in STEPS if step.endswith("0")}
    assert all(said in reason for reason in failures.values())


@pytest.mark.usefixtures("registered", "undrawn")
@pytest.mark.parametrize("figure", ["accuracy", "misclassification", "brightness"])
def test_a_figure_may_be_called_like_any_other(tmp_path, monkeypatch, figure):
    """Of lrbench, or of another measure: its measure's name stands before it."""
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    suite = SUITE.replace("seeds: [0, 1]", "seeds: [0]")
    Path("mine.yaml").write_text(suite.replace('brightness: {layer: "1", images: 20}', "clash: {}"))
    row = {"metric": figure, "value": 7.5, "ci_low": 7.0, "ci_high": 9.0}
    clash = type("Clash", (lrbench.Measure,), {"figures": {figure: lrbench.Metric("x")}, "take": lambda *_: [row]})
    lrbench.register_measure("clash")(clash)
    table = lrbench.run("mine.yaml", out="out").table()
    assert set(table[f"clash:{figure}"]) == {7.5}
    assert set(table[f"clash:{figure}_low"]) == {7.0}, "an interval of a figure that is no share, as it was given"
    assert "Clash" in Path("out/leaderboard.md").read_text(), "without options"
    assert (table["accuracy"] <= 1).all()


def test_a_broken_measure_of_a_package_stops_nobody_who_does_not_ask_for_it(folder, capsys):
    points = ("brightness = bright:Brightness", "gone = bright:Gone", *TAKEN)
    (folder / "bright-1.0.dist-info/entry_points.txt").write_text("\n".join(["[lrbench.measures]", *points, ""]))
    assert main(["plan", "mine.yaml"]) == 0
    assert main(["plan", "quick"]) == 0
    assert main(["measures"]) == 0
    said = capsys.readouterr().out
    assert "from the package bright; options: layer, images (100)" in said
    assert re.search(r"^gone .*not known, since", said, re.MULTILINE)
    Path("wrong.yaml").write_text(SUITE.replace('brightness: {layer: "1", images: 20}', "gone: {}"))
    assert main(["plan", "wrong.yaml"]) == 2
    assert "bright:Gone" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("kind", "default"), [(set[str], {"a"}), (tuple[int, float], (1, 2.5)), (float, float("inf")), (Path, Path("a"))]
)
def test_options_that_do_not_come_back_are_refused_before_anything_runs(
    tmp_path, monkeypatch, registered, kind, default
):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    spec = {"__annotations__": {"layer": lrbench.Layer, "odd": kind}, "odd": default, "__module__": __name__}
    registered.Options = type("Options", (lrbench.Options,), spec)
    (tmp_path / "mine.yaml").write_text(SUITE.replace(", images: 20", ""))
    with pytest.raises(UsageError, match=r"diagnostics\.brightness: its options do not come back"):
        Session.open(tmp_path / "mine.yaml", tmp_path / "out")


def test_a_layer_may_be_left_out(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    spec = {"__annotations__": {"layer": lrbench.Layer | None}, "layer": None, "__module__": __name__}
    registered.Options = type("Options", (lrbench.Options,), spec)
    Path("mine.yaml").write_text(SUITE.replace('{layer: "1", images: 20}', "{}"))
    assert Session.open("mine.yaml", "out").plan


@pytest.mark.parametrize(
    ("found", "said"),
    [
        (lambda: None, r"is no subclass of lrbench\.Measure"),
        (type("Nothing", (lrbench.Measure,), {}), "has no `take`, which gives its rows"),
    ],
)
def test_what_is_no_measure_is_named(tmp_path, found, said):
    lrbench.register_measure("nothing")(found)
    (tmp_path / "mine.yaml").write_text(SUITE.replace("brightness", "nothing"))
    with pytest.raises(UsageError, match=f"the measure 'nothing' {said}"):
        Session.open(tmp_path / "mine.yaml", tmp_path / "out")


def test_it_may_have_a_chart(tmp_path, monkeypatch, registered):
    monkeypatch.chdir(tmp_path)
    Path("net.py").write_text(FACTORY)
    Path("mine.yaml").write_text(SUITE)
    take, kept = registered.take, {}

    def keep(self, options, subject, progress):
        subject.kept["seed.txt"] = str(subject.seed).encode()
        yield from take(self, options, subject, progress)

    def charts(_, __, shown):
        kept.update({model: dict(files) for model, files in shown.kept.get("brightness", {}).items()})
        rows = shown.rows("mean_activation")
        panel = Panel(rows, Axis("layer", "layer", "category", order=["1"]), Axis("value", "mean"), "bars")
        yield Chart("means", "What a layer makes of them", "Bars.", [panel], shown.labels)

    monkeypatch.setattr(registered, "take", keep)
    monkeypatch.setattr(registered, "charts", charts, raising=False)
    board = lrbench.run("mine.yaml", out="out")
    assert board.failures == {}
    assert kept == {model: {"seed.txt": b"0"} for model in ("net", "other")}, "of the first seed"
    assert Path("out/figures/brightness-means.png").stat().st_size > 1000
    assert "What a layer makes of them" in Path("out/report.html").read_text()
    assert board.plot("brightness-means").to_dict()["title"]
