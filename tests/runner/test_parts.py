import pytest

from lrbench.options import OptionError, check_options
from lrbench.runner.reasons import difference
from lrbench.runner.reporter import Costs
from lrbench.runner.step import Step


def test_costs_are_learnt_by_kind():
    def step(kind, work):
        return Step(f"{kind}/{work}", kind, "net", 0, {}, work=work)

    costs = Costs()
    assert costs.estimate([step("train", 10)]) is None
    costs.learn(step("train", 10), 20.0)
    costs.learn(step("attack", 10), 5.0)
    assert costs.estimate([step("train", 3), step("attack", 4)]) == pytest.approx(8.0)
    assert costs.estimate([step("variance", 2)]) == pytest.approx(2.5)


def test_before_a_step_of_a_kind_has_finished_a_pass_of_the_model_counts():
    costs = Costs({"slow": 2.0, "fast": 0.5}.get)
    steps = [Step(f"train/{model}", "train", model, 0, {}, work=10) for model in ("slow", "fast")]
    assert costs.estimate(steps) == pytest.approx(25.0)
    costs.learn(steps[0], 5.0)
    assert costs.estimate(steps) == pytest.approx(10.0)
    assert costs.estimate([Step("attack/other", "attack", "other", 0, {}, work=2)]) == pytest.approx(1.0)
    unknown = Costs()
    unknown.learn(Step("load/net", "load", "net", 0, {}, work=1), 5.0)
    assert unknown.estimate(steps) is None


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b 1 -> 2"),
        ({"a": 1}, {"a": 1, "b": 2}, "b None -> 2"),
        ({"a": 1, "b": 2}, {"a": 1}, "b 2 -> None"),
        ({"code": "x"}, {"code": "y"}, "the code of this step"),
        ({"data": {"train": "x"}}, {"data": {"train": "y"}}, "the data set"),
        ({"train": "x"}, {"train": "y"}, "the model it measures"),
        ({"init_from": "x"}, {"init_from": "y"}, "the network it starts from"),
        ({"code": {"a.py": "1", "b.py": "1"}}, {"code": {"a.py": "2", "b.py": "1"}}, "the code of a.py"),
        ({"libraries": {"torch": "1"}}, {"libraries": {"torch": "2"}}, "torch 1 -> 2"),
        ({"libraries": {"torch": "1"}}, {"libraries": {"torch": "1", "timm": "2"}}, "timm not used -> 2"),
        ({"own": {"m.py": {"m.py": "1"}}}, {"own": {"m.py": {"m.py": "2"}}}, "m.py"),
        ({"own": {"m.py": {"h.py": "1"}}}, {"own": {"m.py": {"h.py": "2"}}}, "h.py, which m.py imports"),
        ({"a": 1, "b": 1, "needs": ["x"]}, {"a": 2, "b": 2, "needs": ["y"]}, "a 1 -> 2, b 1 -> 2, its inputs"),
        ({"radii": [8 / 255]}, {"radii": [4 / 255, 8 / 255]}, "4/255 more"),
        ({"radii": [2 / 255, 8 / 255]}, {"radii": [8 / 255, 16 / 255]}, "16/255 more, 2/255 less"),
        (
            {"radii": [8 / 255], "attacks": [1, 1]},
            {"radii": [8 / 255], "attacks": [1]},
            "other attacks or radii",
        ),
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
