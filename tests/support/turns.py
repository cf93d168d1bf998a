"""Parameters that take turns: of a product, `make test` takes a part that covers all values; the rest is slow."""

from collections import Counter, defaultdict

import pytest


def take_turns(items):
    """Mark what is left of each test with `turns` as slow, always the same.

    `@pytest.mark.turns("space", "dtype", each=2)`: each combination of the other parameters is tried with two
    combinations of these (one unless told otherwise), each time with those that were tried least, and no value is left
    out. Cases that are slow anyway have no part in it.
    """
    tests = defaultdict(list)
    for item in items:
        if item.get_closest_marker("turns") and not item.get_closest_marker("slow"):
            tests[item.nodeid.partition("[")[0]].append(item)
    for name, cases in tests.items():
        mark = cases[0].get_closest_marker("turns")
        assert cases[0].callspec.params.keys() >= {*mark.args}, f"{name} has other parameters than {mark.args}"
        taken = _taken([(case, *_parted(case.callspec, mark.args)) for case in cases], **mark.kwargs)
        for case in cases:
            if case not in taken:
                case.add_marker(pytest.mark.slow)


def _parted(callspec, names):
    """Values that take turns, and the others: texts as they are, and of what need not be hashable which one it is."""
    found = {
        name: value if isinstance(value, str) else id(value)
        for name, value in sorted(callspec.params.items(), key=lambda pair: pair[0])
    }
    return (
        tuple((name, value) for name, value in found.items() if name in names),
        tuple((name, value) for name, value in found.items() if name not in names),
    )


def _taken(cases, each=1):
    groups = defaultdict(list)
    for case, values, others in cases:
        groups[others].append((case, values))
    used, taken = Counter(), set()

    def take(case, values):
        used.update([*values, values])
        taken.add(case)

    def seldom(case):
        """How much of what a case tries was tried before."""
        _, values = case
        return sum(used[value] > 0 for value in values), sum(used[value] for value in values) + used[values]

    for group in groups.values():
        for _ in range(min(each, len(group))):
            take(*min((case for case in group if case[0] not in taken), key=seldom))
    while left := [(case, values) for case, values, _ in cases if not all(used[value] for value in values)]:
        take(*min(left, key=seldom))
    return taken
