import pytest
from hypothesis import given
from hypothesis import strategies as st

from lrbench.engines import Schedule, Task, lower_bound, simulate


@st.composite
def plans(draw):
    """Tasks that need only earlier ones."""
    count = draw(st.integers(1, 40))
    tasks = []
    for place in range(count):
        needs = draw(st.sets(st.integers(0, place - 1), max_size=3)) if place else set()
        tasks.append(Task(f"t{place}", tuple(f"t{needed}" for needed in sorted(needs)), draw(st.floats(0.1, 10))))
    return draw(st.permutations(tasks))


@given(plans())
def test_every_task_comes_once_and_after_those_it_needs(tasks):
    schedule, done = Schedule(tasks), []
    needs = {task.id: task.needs for task in tasks}
    while not schedule.empty:
        task = schedule.next().id
        assert set(needs[task]) <= set(done)
        done.append(task)
        schedule.finish(task)
    assert sorted(done) == sorted(needs)
    assert schedule.next() is None


@given(plans(), st.integers(1, 8))
def test_a_schedule_is_between_the_bound_and_graham_s_factor_of_it(tasks, workers):
    seconds, bound = simulate(tasks, workers), lower_bound(tasks, workers)
    assert bound * (1 - 1e-9) <= seconds <= (2 - 1 / workers) * bound * (1 + 1e-9)
    if workers == 1:
        assert seconds == pytest.approx(sum(task.cost for task in tasks))


@given(plans(), st.data())
def test_what_needs_a_failed_task_is_lost_and_nothing_else(tasks, data):
    schedule = Schedule(tasks)
    bad = data.draw(st.sampled_from(tasks)).id
    needs = {task.id: task.needs for task in tasks}

    def behind(task):
        return any(needed == bad or behind(needed) for needed in needs[task])

    done, lost = [], {}
    while not schedule.empty:
        task = schedule.next().id
        if task == bad:
            lost.update(schedule.fail(task))
        else:
            done.append(task)
            schedule.finish(task)
    assert set(lost) == {task for task in needs if behind(task)}
    assert set(done) == set(needs) - set(lost) - {bad}


def test_the_longest_chain_goes_first():
    tasks = [Task("short", (), 1), Task("a", (), 1), Task("b", ("a",), 5), Task("long", (), 3)]
    schedule = Schedule(tasks)
    assert [schedule.next().id for _ in range(3)] == ["a", "long", "short"]


def test_of_the_tasks_that_suit_the_longest_chain_goes_first_and_the_others_wait():
    schedule = Schedule([Task("a", (), 3), Task("b", (), 1), Task("c", (), 2)])
    assert schedule.next(lambda task: task.id != "a").id == "c"
    assert schedule.next(lambda task: task.id == "z") is None
    assert [schedule.next().id for _ in range(2)] == ["a", "b"]


def test_needs_outside_of_the_plan_count_as_done():
    assert Schedule([Task("a", ("gone",))]).next().id == "a"


def leaderboard(models, seeds, attacks):
    """A plan like a leaderboard's: trainings, attacks on each, and what is joined of them."""
    tasks = []
    for model in range(models):
        for seed in range(seeds):
            own = f"{model}/{seed}"
            tasks.append(Task(f"train/{own}", (), 60.0 + 7 * model))
            tasks += [Task(f"attack/{own}/{i}", (f"train/{own}",), 1.0 + i) for i in range(attacks)]
            needs = tuple(f"attack/{own}/{i}" for i in range(attacks))
            tasks.append(Task(f"worst/{own}", needs, 0.1))
    return tasks


@pytest.mark.parametrize("workers", [2, 8, 64])
def test_two_thousand_steps_come_within_a_tenth_of_the_bound(workers):
    tasks = leaderboard(20, 5, 18)
    assert len(tasks) == 2000
    assert simulate(tasks, workers) <= 1.1 * lower_bound(tasks, workers)
