"""What of the package, of a user's folder and of libraries a step depends on."""

import functools
import importlib
import sys

import pytest
from support.code import forget, install

import lrbench
from lrbench.catalogue import ATTACKS, MEASURES, MODELS, REGULARIZERS
from lrbench.models.external import factory_of
from lrbench.runner.code import dependencies, meaning
from lrbench.runner.code.closure import INERT
from lrbench.runner.code.modules import WHOLE, _without_showing, definition_of, module
from lrbench.runner.code.own import MADE, own_code
from lrbench.runner.code.steps import AROUND, ELSEWHERE
from lrbench.runner.kinds import KINDS, MEASURE, taker


@pytest.fixture(autouse=True)
def read_anew():
    forget()
    yield
    forget()


def test_every_kind_of_step_rests_on_what_takes_it_and_what_makes_its_model():
    for kind in [*KINDS, "brightness"]:
        found = dependencies(kind)
        path = taker(kind).partition(":")[0].replace(".", "/") + ".py"
        assert {path, "lrbench/global_state.py", "lrbench/runner/context.py"} <= set(found.code), kind
        assert "torch" in found.libraries


def test_what_code_is_looked_for_by_name_is_there():
    targets = [entry.target for registry in (MODELS, ATTACKS, MEASURES, REGULARIZERS) for entry in registry]
    ours = [each for each in targets if isinstance(each, str) and each.startswith("lrbench.")]
    assert "lrbench.attacks.autoattack:AutoAttack" in ours
    for name in [AROUND, MEASURE, *KINDS.values(), *ELSEWHERE.values(), *ours]:
        source, _, attribute = name.partition(":")
        definition = definition_of(source, attribute)
        assert definition is not None, name
        assert definition.name != WHOLE, name


def test_what_cannot_change_a_result_is_there_and_is_followed_nowhere():
    reached = {name for kind in KINDS for name in dependencies(kind).code}
    for name in INERT:
        assert module(name) is not None
        assert not {path for path in reached if path.removesuffix(".py").replace("/", ".").startswith(f"{name}.")}


@pytest.mark.parametrize(
    ("old", "new", "changes"),
    [
        ('yield Block(f"Activations of {layer}", columns)', 'yield Block(f"What {layer} gives", columns)', False),
        ("are of A + b with", "are of A and b with", False),
        ('Metric("stable rank")', 'Metric("stable rank of A")', False),
        ('"value": effective_rank(sample)', '"value": 2 * effective_rank(sample)', True),
        ("return 0.6 * train", "return 0.7 * train", True),
    ],
)
def test_how_a_measure_is_shown_makes_nothing_again(monkeypatch, old, new, changes):
    def key():
        return dependencies("variance_ratio", entries=[MEASURES["variance_ratio"]]).code

    before = key()
    assert "lrbench/measures/variance_ratio.py" in before
    source = meaning.source_of
    assert any(old in source(file) for file in (meaning.PACKAGE / "measures").glob("*.py"))
    monkeypatch.setattr(meaning, "source_of", lambda file: source(file).replace(old, new))
    forget()
    assert (key() != before) == changes


def test_what_its_results_ask_for_counts_though_it_is_shown_as_well(monkeypatch):
    def key():
        return dependencies("embeddings", entries=[MEASURES["embeddings"]]).code

    source = meaning.source_of
    asks = ("        for dim, accuracy in", "        print(self.figures)\n        for dim, accuracy in")
    heading = ('Metric("accuracy", "percent"', 'Metric("share", "percent"')
    keys = []
    for changes in ([asks], [asks, heading], [heading], []):

        def changed(file, changes=changes):
            text = source(file)
            for old, new in changes if file.name == "embeddings.py" and file.parent.name == "measures" else ():
                assert old in text
                text = text.replace(old, new)
            return text

        monkeypatch.setattr(meaning, "source_of", changed)
        forget()
        keys.append(key())
    assert keys[0] != keys[1]
    assert keys[2] == keys[3]


@pytest.mark.parametrize(
    ("attack", "there", "absent"),
    [
        ("pgd", {"pgd"}, {"fab", "square", "apgd", "external"}),
        ("fab-t", {"fab", "hyperplane"}, {"pgd", "square"}),
        ("autoattack", {"autoattack", "apgd", "fab", "square", "patches"}, {"pgd", "external"}),
        ("hopskipjump", {"external"}, {"fab", "pgd"}),
    ],
)
def test_an_attack_rests_on_its_own_modules(attack, there, absent):
    code = dependencies("attack", entries=[ATTACKS[attack]]).code
    found = {path.removesuffix(".py").removeprefix("lrbench/attacks/") for path in code}
    assert there <= found
    assert not absent & found


def test_a_name_with_a_colon_rests_on_the_library_it_calls(monkeypatch):
    entry = MODELS["torchvision:resnet18"]
    install(monkeypatch, "torchvision", "1.2.3+cpu")
    assert dependencies("train", entries=[entry]).libraries["torchvision"] == "1.2.3"
    assert "torchvision" in dependencies("train", entries=[MODELS["resnet18"]]).libraries, "whose layers it is made of"
    assert "torchvision" not in dependencies("accuracy").libraries
    on_the_hub = dependencies("load", entries=[MODELS["hf-hub:me/mine"]]).libraries
    assert set(on_the_hub) - set(dependencies("load").libraries) == {"timm"}
    assert "adversarial-robustness-toolbox" in dependencies("attack", entries=[ATTACKS["hopskipjump"]]).libraries


def test_a_user_s_file_rests_on_what_it_imports_from_beside_it(tmp_path):
    files = {
        "mine.py": "import json\nimport numpy as np\nfrom torch import nn\nfrom pieces.blocks import block\n"
        "import plain\nfrom lrbench.models import Classifier\n\n"
        "def net(num_classes, in_channels):\n    from late import x\n",
        "plain.py": "",
        "late.py": "x = 1\n",
        "unused.py": "",
        "pieces/__init__.py": "",
        "pieces/blocks.py": "from . import shapes\nfrom .deep.er import y\n\ndef block():\n    pass\n",
        "pieces/shapes.py": "",
        "pieces/deep/__init__.py": "",
        "pieces/deep/er.py": "y = 2\n",
    }
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(text)
    factory = factory_of(f"{tmp_path / 'mine.py'}:net")
    for each in (factory, functools.partial(factory, in_channels=1)):
        found = own_code(each)
        made = {MADE} if isinstance(each, functools.partial) else set()
        assert set(found.files) == set(files) - {"unused.py"} | made
        assert next(iter(found.files)) == "mine.py"
        assert found.libraries == {"numpy", "torch"}
        assert found.lrbench == {"lrbench.models:Classifier"}
    for name in ("plain", "pieces", "pieces.blocks", "pieces.shapes", "pieces.deep", "pieces.deep.er"):
        sys.modules.pop(name, None)


@pytest.mark.parametrize(
    "how",
    [
        'importlib.import_module("helper")',
        'from importlib import import_module as load\nload("helper")',
        'load = importlib.import_module\nload("helper")',
        '__import__("helper")',
        "try:\n    import helper\nexcept ImportError:\n    pass",
    ],
)
def test_a_helper_is_found_however_its_name_is_imported(tmp_path, monkeypatch, how):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helper.py").write_text("x = 1\n")
    (tmp_path / "mine.py").write_text(f"import importlib\n{how}\n\ndef net(num_classes, in_channels):\n    pass\n")
    assert set(own_code(factory_of(f"{tmp_path / 'mine.py'}:net")).files) == {"mine.py", "helper.py"}
    sys.modules.pop("helper", None)


def test_what_stands_in_no_file_is_not_taken_for_its_metaclass():
    namespace = {"__name__": "notebook"}
    exec("import lrbench\nclass Bright(lrbench.Measure):\n    def take(self, *_): ...", namespace)  # noqa: S102
    assert set(own_code(namespace["Bright"]).files) == {MADE}


def test_a_class_that_a_call_makes_is_none_of_python_s_own_files():
    made = type("Odd", (lrbench.Measure,), {"take": lambda *_: iter(())})
    assert made.__module__ == "abc"
    files = set(own_code(made).files)
    assert {MADE, "test_code.py"} <= files
    assert not {"abc.py", "typing.py"} & files


@pytest.mark.parametrize(
    "how", ["abc.ABCMeta('Net', (object,), B)", "types.new_class('Net', (object,), {}, lambda d: d.update(B))"]
)
def test_a_helper_of_a_class_that_a_call_makes_counts(tmp_path, monkeypatch, how):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "helping.py").write_text("x = 1\n")
    (tmp_path / "calls.py").write_text(
        f"import abc, types, helping\nB = {{'__call__': lambda self, x: helping.x}}\nNet = {how}\n"
    )
    net = importlib.import_module("calls").Net
    assert {"calls.py", "helping.py"} <= set(own_code(net).files)
    for name in ("calls", "helping"):
        sys.modules.pop(name)


@pytest.mark.parametrize("library", ["pandas", "yaml", "rich"])
def test_libraries_that_make_no_result_are_not_followed(tmp_path, library):
    importlib.import_module(library)
    (tmp_path / "mine.py").write_text(f"import {library}\n\ndef net(num_classes, in_channels):\n    pass\n")
    assert set(own_code(factory_of(f"{tmp_path / 'mine.py'}:net")).files) == {"mine.py"}


def test_lrbench_s_own_factories_are_no_user_s_code():
    assert own_code(MODELS["resnet18"].load()).files == {}


DEFINITIONS = """
class Board:
    def row(self, number, digits):
        return f"{number:0{digits}}", [], lambda: None

    async def rows(self):
        async with self as found:
            yield found

class Shown(Measure):
    'What is shown counts for nothing.'
    unit = "\U0001fae8 \u2ffc \u00b1"

    def notes(self):
        yield "a line"
"""


def test_a_digest_is_the_same_in_every_version_of_python():
    """The digest is that of Python 3.11.7, 3.12.1 and 3.13.0, whose `ast.dump` gives three texts."""
    board, shown = meaning._tree(DEFINITIONS).body
    assert meaning.digest_of([board, _without_showing(shown)]) == "911a1c00643e87de"
