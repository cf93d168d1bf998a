"""Neural collapse against plain numpy, on features that have collapsed, and as a measure."""

import numpy as np
import pytest
import torch
from support.measured import board_of, net_of, split_of, subject_of, tables_of, taken, values
from torch import nn

from lrbench.catalogue import DATASETS
from lrbench.data import to_unit
from lrbench.measures.neural_collapse import around, class_means, duality, simplex
from lrbench.measures.registry import faults_of
from lrbench.suite import Suite


def network(seed=0, hidden=12):
    torch.manual_seed(seed)
    return net_of(nn.Linear(192, hidden), nn.ReLU(), nn.Linear(hidden, 4))


def transcribed(features, labels, weight, predicted):
    """The figures of Papyan, Han and Donoho, from whole covariance matrices."""
    classes, m = len(weight), features.shape[1]
    means = np.stack([features[labels == c].mean(axis=0) for c in range(classes)])
    centred = means - means.mean(axis=0)
    within, between = np.zeros((m, m)), centred.T @ centred / classes
    for row, label in zip(features, labels, strict=True):
        within += np.outer(row - means[label], row - means[label]) / len(features)
    found = {"nc1": np.trace(within @ np.linalg.pinv(between, rcond=1e-10)) / classes}
    for name, vectors in (("means", centred), ("classifier", weight)):
        norms = np.linalg.norm(vectors, axis=1)
        cosines = [
            vectors[i] @ vectors[j] / norms[i] / norms[j] for i in range(classes) for j in range(classes) if i != j
        ]
        found["nc2_norms", name] = norms.std() / norms.mean()
        found["nc2_cosines", name] = np.std(cosines)
        found["nc2_angle", name] = np.mean(np.abs(np.array(cosines) + 1 / (classes - 1)))
    difference = weight / np.linalg.norm(weight) - centred / np.linalg.norm(centred)
    found["nc3"] = (difference**2).sum()
    distances = np.linalg.norm(features[:, None] - means, axis=2)
    found["nc4"] = np.mean(distances.argmin(axis=1) != predicted)
    return found


def test_figures_are_those_of_the_paper():
    net = network().eval()
    subject = subject_of(net, split_of(8), train=split_of(90, seed=1))
    rows = taken("neural_collapse", subject, layer="2")
    train = subject.train
    with torch.no_grad():
        features = net[:3](to_unit(train.pixels))
        predicted = net(to_unit(train.pixels)).argmax(dim=1)
    expected = transcribed(
        features.double().numpy(), train.labels.numpy(), net[3].weight.detach().double().numpy(), predicted.numpy()
    )
    for key, value in expected.items():
        found = values(rows, key) if isinstance(key, str) else values(rows, key[0], "of")[key[1]]
        assert found == pytest.approx(value, rel=1e-4), key
    assert len(rows) == len(expected)
    (headings,) = tables_of(board_of("neural_collapse", {"net": rows}, layer="2")).values()
    assert headings == [
        "NC1", "NC2 norms, means", "NC2 cosines, means", "NC2 angle, means", "NC2 norms, classifier",
        "NC2 cosines, classifier", "NC2 angle, classifier", "NC3", "NC4 %",
    ]  # fmt: skip


def test_features_that_have_collapsed_have_zeros_everywhere():
    corners = torch.eye(4, dtype=torch.float64) - 0.25
    labels = torch.arange(20) % 4
    features = 3 * corners[labels] + 7
    means = class_means(features, labels, 4)
    nc1, nearest = around(features, labels, means)
    assert nc1 == pytest.approx(0, abs=1e-12)
    assert torch.equal(nearest, labels)
    assert list(simplex(means - means.mean(dim=0)).values()) == pytest.approx([0, 0, 0], abs=1e-12)
    assert duality(5 * corners, means - means.mean(dim=0)) == pytest.approx(0, abs=1e-12)


def test_nc1_is_the_noise_around_the_means_in_their_units():
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(40_000) % 4
    corners = torch.eye(4, dtype=torch.float64) - 0.25
    features = corners[labels] + 0.1 * torch.randn(40_000, 4, generator=generator, dtype=torch.float64)
    # S_B is 1/4 of the projection on a space of three dimensions; S_W is 0.01 in each.
    assert around(features, labels, class_means(features, labels, 4))[0] == pytest.approx(0.01 * 4 * 3 / 4, rel=0.03)


def test_without_a_classifier_there_is_what_needs_none():
    net = net_of(nn.Linear(192, 12), nn.ReLU(), nn.Linear(12, 5, bias=False), nn.Linear(5, 4))
    rows = taken("neural_collapse", subject_of(net, split_of(40)), layer="2")
    assert {row["metric"] for row in rows} == {"nc1", "nc2_norms", "nc2_cosines", "nc2_angle", "nc4"}
    assert {row.get("of") for row in rows} == {None, "means"}


def test_features_that_are_all_one_have_no_figures_but_nc4():
    net = net_of(nn.Linear(192, 12), nn.Linear(12, 4))
    nn.init.zeros_(net[1].weight)
    rows = taken("neural_collapse", subject_of(net, split_of(40)), layer="1")
    assert [row["metric"] for row in rows if row.get("of") != "classifier"] == ["nc4"]


def test_a_class_without_images_is_an_error():
    with pytest.raises(ValueError, match="every class needs at least one image"):
        class_means(torch.rand(4, 3), torch.tensor([0, 1, 1, 0]), 3)


@pytest.mark.parametrize("offset", [0.0, 100.0])
def test_directions_of_rounding_are_none_of_the_class_means(offset):
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(10).repeat(40)
    spread = torch.randn(10, 3, generator=generator)[labels] + 0.1 * torch.randn(400, 3, generator=generator)
    basis = torch.linalg.qr(torch.randn(40, 3, generator=generator)).Q
    exact = (spread.double() @ basis.double().T + offset, spread.double())
    features = exact[0].float()
    expected, _ = around(exact[1], labels, class_means(exact[1], labels, 10))
    found, _ = around(features, labels, class_means(features, labels, 10))
    assert found == pytest.approx(expected, rel=1e-3)


def test_classes_with_one_mean_have_no_nc1():
    generator = torch.Generator().manual_seed(0)
    half = torch.randn(50, 6, generator=generator)
    features, labels = 100 + torch.cat([half, half]), torch.arange(2).repeat_interleave(50)
    assert around(features, labels, class_means(features, labels, 2))[0] is None


def test_fewer_images_than_classes_are_refused_before_anything_is_trained(tmp_path):
    suite = Suite.model_validate(
        {
            "name": "few",
            "data": "digits",
            "models": {"net": {"arch": "resnet18"}},
            "diagnostics": {"neural_collapse": {"layer": "avgpool", "samples": 5}},
        }
    )
    data = DATASETS["digits"].load()(tmp_path, train=20, test=10)
    faults = list(faults_of("neural_collapse", suite.diagnostics.measures["neural_collapse"], data))
    assert faults == [(("samples",), "asks for 5 images of 10 classes; each needs one")]
