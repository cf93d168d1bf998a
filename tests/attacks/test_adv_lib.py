"""Attacks of adv-lib, beside what is said of all libraries in test_every_attack."""

import sys
from importlib.util import find_spec

import pytest
import torch

from lrbench.attacks.external import factory_of
from lrbench.attacks.geometry import least_size
from lrbench.attacks.losses import misclassified
from lrbench.runner.code.libraries import versions
from lrbench.runner.threat import make_attack
from lrbench.suite import AttackSpec, ThreatModel

needed = pytest.mark.skipif(find_spec("adv_lib") is None, reason="adv-lib is not installed")


def test_where_it_is_not_installed_that_is_said(monkeypatch):
    monkeypatch.setitem(sys.modules, "adv_lib", None)
    monkeypatch.delitem(sys.modules, "adv_lib.attacks", raising=False)
    with pytest.raises(LookupError, match="adv-lib is not installed; install it with `pip install --no-deps adv-lib`"):
        factory_of("adv-lib:fmn")


@needed
def test_what_stands_in_for_visdom_does_not_stay():
    factory_of("adv-lib:fmn")
    visdom = sys.modules.get("visdom")
    assert visdom is None or visdom.__spec__ is not None


@needed
def test_another_name_gets_the_nearest():
    with pytest.raises(LookupError, match="adv-lib has no attack 'fmm'; did you mean 'fmn'"):
        factory_of("adv-lib:fmm")
    for name in ("fast_minimum_norm", "_apgd", "no such"):
        with pytest.raises(LookupError, match="adv-lib has no attack"):
            factory_of(f"adv-lib:{name}")


@needed
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("apgd", {"n_iter": 5}), ("apgd_targeted", {"n_iter": 5, "num_targets": 2}), ("pgd_linf", {"steps": 5}),
        ("fmn", {"steps": 10}), ("fab", {"n_iter": 5}), ("df", {}), ("tr", {}), ("ddn", {"steps": 10}),
        ("pdpgd", {"num_steps": 10}), ("sdf", {"steps": 10}), ("vfga", {}), ("alma", {"num_steps": 20}),
    ],
)  # fmt: skip
@pytest.mark.parametrize(("norm", "eps"), [("linf", 0.05), ("l2", 0.5), ("l1", 2.0)])
def test_each_stays_where_it_may_in_the_norm_that_is_asked_or_says_which_it_can(
    small_net, batch, name, options, norm, eps
):
    x, y = batch
    factory, spec = factory_of(f"adv-lib:{name}"), AttackSpec(name=f"adv-lib:{name}", **options)
    if norm in {"pgd_linf": ("l2", "l1"), "df": ("l1",), "tr": ("l1",)}.get(name, ()):
        with pytest.raises(ValueError, match=rf"adv-lib:{name} (works|looks) .* linf .*threat_model.norm is {norm}"):
            make_attack(factory, spec, ThreatModel(norm=norm), eps)
        return
    made = make_attack(factory, spec, ThreatModel(norm=norm), eps)
    assert made.kind == ("bounded" if name in {"apgd", "apgd_targeted", "pgd_linf"} else "minimal")
    x_adv = made(small_net, x, y)
    with torch.no_grad():
        fooled = misclassified(small_net(x_adv), y) & ~misclassified(small_net(x), y)
    assert fooled.any()
    if made.kind == "bounded":
        assert (least_size(x_adv, x, norm) <= eps).all()


@needed
def test_it_works_on_pixels_alone_and_its_version_counts():
    with pytest.raises(ValueError, match=r"adv-lib:ddn works on pixels in \[0, 1\] alone"):
        make_attack(factory_of("adv-lib:ddn"), AttackSpec(name="adv-lib:ddn"), ThreatModel(space="normalized"), 1.0)
    assert list(versions(["adv-lib"])) == ["adv-lib"]
