import numpy as np
import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.linear_model import SGDClassifier
from sklearn.preprocessing import StandardScaler

from lrbench.data import Split
from lrbench.diagnostics import activations, embedding_accuracies, evaluate
from lrbench.diagnostics.embeddings import embed
from lrbench.diagnostics.principal import principal


def test_embedding_accuracy_equals_scikit_learn_used_directly(digits):
    train = (digits.train.images.flatten(1).float(), digits.train.labels)
    test = (digits.test.images.flatten(1).float(), digits.test.labels)
    found = embedding_accuracies(train, test, [10, 3], seed=4)
    components = principal(train[0], 10, center=True, seed=4)
    ours = [embed(components, images) for images, _ in (train, test)]
    pca = PCA(10).fit(train[0].double().numpy())
    theirs = [pca.transform(images.double().numpy()) for images, _ in (train, test)]
    signs = np.sign((ours[0] * theirs[0]).sum(0))
    for one, other in zip(ours, theirs, strict=True):
        np.testing.assert_allclose(one * signs, other, atol=1e-3)
    # On the same coordinates: SGD takes rounding errors for reasons to stop elsewhere.
    for dim in (10, 3):
        x_train, x_test = (coordinates[:, :dim] for coordinates in ours)
        scaler = StandardScaler().fit(x_train)
        classifier = SGDClassifier(loss="hinge", penalty="l2", max_iter=1000, random_state=4)
        classifier.fit(scaler.transform(x_train), train[1].numpy())
        assert found[dim] == classifier.score(scaler.transform(x_test), test[1].numpy())
    assert found[10] > 0.8 > found[3]


def test_too_many_dimensions_are_refused():
    data = (torch.rand(20, 4), torch.arange(20) % 2)
    with pytest.raises(ValueError, match="5 dimensions"):
        embedding_accuracies(data, data, [5])


@pytest.fixture
def split():
    images = torch.randint(256, (21, 3, 8, 8), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    return Split(images, torch.arange(21) % 10)


@pytest.mark.parametrize("batch_size", [5, 64])
def test_activations_are_the_layers_outputs_in_evaluation_mode(small_net, split, batch_size):
    small_net.train()
    found = activations(small_net, split, ["bn1", "avgpool"], batch_size)
    assert small_net.training
    assert not small_net.bn1._forward_hooks
    small_net.eval()
    x = split.images.float() / 255
    assert torch.allclose(found["bn1"], small_net.bn1(small_net.conv1(x)).flatten(1), atol=1e-5)
    assert found["avgpool"].shape == (21, 16)


def test_evaluate_gives_the_predicted_classes(small_net, split):
    assert torch.equal(evaluate(small_net, split, 4), small_net(split.images.float() / 255).argmax(dim=1))
