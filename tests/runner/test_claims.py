"""The suites of published claims: each says where its claims stand, and a plan of it audits each model they are of."""

import re

import pytest
from PIL import Image

from lrbench.runner import Session
from lrbench.suite import load_suite, shipped_suites

CLAIMS = [name for name in shipped_suites() if name.startswith("claims/")]
SIMILAR = {"claims/robust-representations", "claims/mean-sparse", "claims/saturation"}
"""To the other: a plan of theirs takes seconds, since it looks at each network."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A folder such as they ask for, as far as a plan looks into it: with a few files, all the same."""
    root = tmp_path_factory.mktemp("data")
    for part, files in (("train", 10), ("test", 20)):
        for index in range(10):
            place = root / "cifar10-jpeg" / part / f"class{index}"
            place.mkdir(parents=True)
            first = place / "0.jpg"
            Image.new("RGB", (32, 32), (25 * index, 0, 0)).save(first)
            for number in range(1, files):
                (place / f"{number}.jpg").hardlink_to(first)
    return root


def test_there_is_a_suite_for_each_published_claim():
    published = {"claims/robust-representations", "claims/figure5", "claims/mean-sparse"}
    assert set(CLAIMS) == published | {"claims/saturation"}


@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.slow) if name in SIMILAR else name for name in CLAIMS]
)
def test_a_plan_audits_every_model_of_which_something_is_claimed(name, folder, tmp_path):
    suite, _ = load_suite(name)
    assert all(claim.source for claim in suite.claims)
    fewer = re.sub(r"train: \d+, test: \d+", "train: 100, test: 200", shipped_suites()[name].read_text())
    (tmp_path / "suite.yaml").write_text(fewer)
    plan = Session.open(tmp_path / "suite.yaml", tmp_path / "out", data_dir=folder).plan
    audited = {step.id.split("/")[1] for step in plan if step.kind == "audit"}
    assert audited == {claim.model for claim in suite.claims}
    # There it is the longest training of which something is claimed.
    assert audited == {model for model in suite.models if name != "claims/saturation" or model.endswith("-200")}
    assert not (tmp_path / "out").exists()
