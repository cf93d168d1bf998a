"""The suite beside a published board is the one that ran: whoever runs it makes all of the board again."""

import pytest

from lrbench.leaderboard.published.page import repeating
from lrbench.leaderboard.published.record import of_model, suite_of
from lrbench.suite import load_suite, shipped_suites


def records(suite, models, environment=None):
    shared = {"baseline": next(iter(suite["models"])), "environment": environment or {}}
    return [
        {"configuration": {**suite, **of_model(suite, model), "reference": None}, "model": model, **shared}
        for model in models
    ]


@pytest.mark.parametrize("name", shipped_suites())
def test_the_suite_of_all_records_is_the_one_that_they_were_cut_from(name):
    suite = load_suite(name)[0].model_dump(mode="json")
    first, *others = suite["models"]
    made = suite_of(records(suite, [first, *reversed(others)]))
    assert made["models"] == suite["models"]
    assert sorted(made["claims"], key=str) == sorted(suite["claims"], key=str)
    asked = {key: value for key, value in suite.items() if key != "question" or value is not None}
    assert {**made, "models": 0, "claims": 0} == {**asked, "models": 0, "claims": 0, "reference": None}
    # Which models an audit attacks by way of hangs on their order, which no record keeps.
    assert ("(suite.yaml)" in repeating(records(suite, [first, *others]))) != bool(suite["claims"])


def test_a_board_that_lacks_what_others_start_from_does_not_say_that_its_suite_can_be_run():
    suite = load_suite("cifar10-jpeg-pixel")[0].model_dump(mode="json")
    said = repeating(records(suite, ["resnet18", "resnet18-pgd"]))
    assert "resnet18-warm" in said
    assert "(suite.yaml)" not in said


def test_a_board_without_its_baseline_or_of_several_suites_does_not_either():
    suite = load_suite("quick")[0].model_dump(mode="json")
    assert "(resnet18)" in repeating(records(suite, ["resnet18-1-lr", "resnet18-2-lr"]))
    for other in ({"seeds": [7]}, {"low_rank": {**suite["low_rank"], "lambda_1": 7.0}}):
        mixed = [*records(suite, ["resnet18"]), *records({**suite, **other}, ["resnet18-1-lr"])]
        assert "put together of several" in repeating(mixed)


def test_the_number_of_threads_on_a_cpu_is_named_where_there_is_one():
    suite = load_suite("quick")[0].model_dump(mode="json")

    def said(*environments):
        first, second = records(suite, ["resnet18", "resnet18-1-lr"])
        *others, last = [{"device": device, "torch_threads": threads} for device, threads in environments]
        return repeating([first | {"environments": others or [last]}, second | {"environments": [last]}])

    assert "with 2 threads (`OMP_NUM_THREADS=2`)" in said(("cpu", 2))
    assert "with 1 thread (`OMP_NUM_THREADS=1`)" in said(("cuda:0", 16), ("cpu", 1), ("cuda:0", 16))
    for others in ([("cuda:0", 1)], [("cpu", 1), ("cpu", 2), ("cpu", 1)], [("cpu", 1), ("cpu", None)]):
        assert "OMP_NUM_THREADS" not in said(*others)


@pytest.mark.parametrize("asked", [[None], [None, "Is it?"], ["Is it?", None], ["Is it?", "Is it not?"]])
def test_a_suite_without_one_question_has_no_key_that_older_commits_refuse(asked):
    suite = load_suite("quick")[0].model_dump(mode="json")
    found = [each for question in asked for each in records({**suite, "question": question}, ["resnet18"])]
    assert "question" not in suite_of(found)
    assert "`question`" not in repeating(found)


def test_a_record_from_before_there_were_claims_makes_no_suite_with_any():
    suite = load_suite("quick")[0].model_dump(mode="json")
    old = records(suite, ["resnet18"])
    del old[0]["configuration"]["claims"]
    assert "claims" not in suite_of(old)
