"""Gradients of the margin against torch's own Jacobian, and of a linear network."""

import pytest
import torch
from support.measured import board_of, net_of, split_of, subject_of, tables_of, taken, values
from support.nets import conv_net
from torch import nn

from lrbench.data import to_unit


def test_figures_are_those_of_the_jacobian():
    subject = subject_of(conv_net(), split_of(30))
    rows = taken("input_jacobian", subject, samples=20)
    split = subject.test.balanced(20)
    lengths, distances, margins = {"l2": [], "linf": []}, {"l2": [], "linf": []}, []
    for image, label in zip(to_unit(split.pixels), split.labels, strict=True):
        logits = subject.model(image[None])[0].detach()
        jacobian = torch.autograd.functional.jacobian(lambda x: subject.model(x[None])[0], image).flatten(1)
        other = logits.index_fill(0, label, -torch.inf).argmax()
        margin = (logits[label] - logits[other]).item()
        gradient = jacobian[label] - jacobian[other]
        margins.append(margin)
        for norm, order in (("l2", 2), ("linf", 1)):
            lengths[norm].append(gradient.norm(p=order).item())
            if margin > 0:
                distances[norm].append(margin / lengths[norm][-1])
    assert values(rows, "logit_margin") == pytest.approx(sum(margins) / 20, abs=1e-5)
    for norm in ("l2", "linf"):
        assert values(rows, "input_jacobian_norm", "norm")[norm] == pytest.approx(sum(lengths[norm]) / 20, rel=1e-4)
        median = sorted(distances[norm])[(len(distances[norm]) - 1) // 2]
        assert values(rows, "first_order_distance", "norm")[norm] == pytest.approx(median, rel=1e-4)
    (headings,) = tables_of(board_of("input_jacobian", {"net": rows})).values()
    assert headings == ["margin", "gradient against L2", "gradient against Linf", "distance in L2", "distance in Linf"]


def test_a_linear_network_has_one_gradient_and_its_distance_is_exact():
    net = net_of(nn.Linear(4, 2))
    net[1].weight.data, net[1].bias.data = torch.tensor([[1.0] * 4, [-1.0] * 4]), torch.tensor([-2.0, 2.0])
    test = split_of(6, (1, 2, 2), classes=1)
    test.pixels[:] = 204  # 0.8, whose sum of four is 1.2 beyond the plane
    rows = taken("input_jacobian", subject_of(net, test))
    assert values(rows, "input_jacobian_norm", "norm") == {"l2": pytest.approx(4), "linf": pytest.approx(8)}
    assert values(rows, "first_order_distance", "norm") == {"l2": pytest.approx(0.6), "linf": pytest.approx(0.3)}
    # Nearer than the plane lies no image that is wrong.
    test.labels[:] = 1
    assert not values(taken("input_jacobian", subject_of(net, test)), "first_order_distance", "norm")
