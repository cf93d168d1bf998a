from lrbench.verdicts import verdict_of


def test_the_worst_flag_makes_the_verdict():
    assert verdict_of([]) == "held up"
    assert verdict_of(["suspicious"]) == "suspicious"
    assert verdict_of(["suspicious", "broken", "suspicious"]) == "broken"
