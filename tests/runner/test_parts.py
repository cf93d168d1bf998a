import pytest

from lrbench.options import OptionError, check_options
from lrbench.registry import Entry
from lrbench.runner import version
from lrbench.runner.plan import CODE, Step
from lrbench.runner.reporter import Costs
from lrbench.runner.run import difference
from lrbench.runner.work import KINDS


def test_code_versions_see_code_and_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(version, "PACKAGE", tmp_path)

    def hashed(text):
        (tmp_path / "module.py").write_text(text)
        version.code_version.cache_clear()
        version._meaning.cache_clear()
        return version.code_version("module.py")

    first = hashed('"""A module."""\n\n\ndef f(x):\n    """Double."""\n    return 2 * x\n')
    assert hashed("# now with a comment\ndef f(x): return (2 * x)\n") == first
    assert hashed("def f(x): return 3 * x\n") != first
    version.code_version.cache_clear()


def test_every_kind_of_step_names_places_that_exist():
    assert set(CODE) == set(KINDS)
    for places in CODE.values():
        for place in places:
            assert (version.PACKAGE / place).exists()


def test_a_user_s_factory_counts_and_lrbench_s_own_does_not():
    assert version.factory_version(Entry("resnet18", "lrbench.models.resnet:resnet18", "")) == ""
    assert version.factory_version(Entry("mine", test_code_versions_see_code_and_nothing_else, ""))


def test_costs_are_learnt_by_kind():
    def step(kind, work):
        return Step(f"{kind}/{work}", kind, "net", 0, {}, work=work)

    costs = Costs()
    assert costs.estimate([step("train", 10)]) is None
    costs.learn(step("train", 10), 20.0)
    costs.learn(step("attack", 10), 5.0)
    assert costs.estimate([step("train", 3), step("attack", 4)]) == pytest.approx(8.0)
    assert costs.estimate([step("variance", 2)]) == pytest.approx(2.5)


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b 1 -> 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "b None -> 2"),
        ({"a": 1, "b": 2}, {"a": 1}, "b 2 -> None"),
        ({"code": "x"}, {"code": "y"}, "the code of this step"),
        ({"data": {"train": "x"}}, {"data": {"train": "y"}}, "the data set"),
        ({"train": "x"}, {"train": "y"}, "the model it measures"),
        ({"start": "x"}, {"start": "y"}, "the network it starts from"),
        ({"factory": "x"}, {"factory": "y"}, "the code of the factory"),
        ({"means": [[0.5]], "b": 1}, {"means": ((0.5,),), "b": 2}, "b 1 -> 2"),
    ],
)
def test_differences_are_named(old, new, expected):
    assert difference(old, new) == expected


def factory(num_classes: int, in_channels: int, width: int = 64, *, name: str) -> None:
    """A factory."""


@pytest.mark.parametrize(
    ("given", "option", "message"),
    [
        ({"widht": 3, "name": "x"}, "widht", "did you mean 'width'"),
        ({"width": "3", "name": "x"}, "width", "valid integer, got '3'"),
        ({"width": 3}, "name", "required"),
        ({"num_classes": 3, "name": "x"}, "num_classes", "unknown key"),
    ],
)
def test_options_are_checked_against_the_signature(given, option, message):
    with pytest.raises(OptionError, match=message) as caught:
        check_options(factory, given, ("num_classes", "in_channels"))
    assert caught.value.option == option


def test_options_that_fit_pass_and_kwargs_take_anything():
    check_options(factory, {"name": "x", "width": 3}, ("num_classes", "in_channels"))
    check_options(lambda **anything: anything, {"what": "ever"}, ())
