import pytest
import torch
from sklearn.decomposition import PCA
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from lrbench.data import to_unit
from lrbench.diagnostics import activations, compressed, cost, linear_classifier
from lrbench.diagnostics.compression import Truncated
from lrbench.models import Classifier
from lrbench.models.resnet import resnet18


@pytest.fixture(scope="module")
def model(digits):
    torch.manual_seed(0)
    return Classifier(resnet18(10, 1, width=4), *digits.statistics).eval()


def test_a_truncated_network_gives_the_layer_and_runs_nothing_behind_it(model, digits):
    images = to_unit(digits.test.images[:5])
    reached = []
    handle = model.get_submodule("layer4").register_forward_hook(lambda *_: reached.append(1))
    try:
        output = Truncated(model, "layer3")(images)
    finally:
        handle.remove()
    assert reached == []
    expected = activations(model, digits.test.balanced(None), ["layer3"])["layer3"][:5]
    assert torch.allclose(output, expected, atol=1e-6)
    assert not model.get_submodule("layer3")._forward_hooks


@pytest.mark.parametrize("dim", [2, 8])
def test_a_compressed_network_decides_as_scikit_learn_does(model, digits, dim):
    train, test = digits.train.balanced(400), digits.test.balanced(200)
    matrix = activations(model, train, ["layer3"])["layer3"]
    small = compressed(model, "layer3", (matrix, train.labels), dim)
    pca = PCA(dim, svd_solver="full").fit(matrix.double().numpy())
    embedded = pca.transform(matrix.double().numpy())
    classifier = linear_classifier().fit(embedded, train.labels.numpy())
    held_out = activations(model, test, ["layer3"])["layer3"].double().numpy()
    with torch.no_grad():
        decided = small(to_unit(test.images)).argmax(dim=1).numpy()
    agreement = (decided == classifier.predict(pca.transform(held_out))).mean()
    assert agreement >= 0.97, "components are the same up to sign, and SGD is all but indifferent to signs"


def test_two_classes_and_missing_ones(model, digits):
    train = digits.train[(digits.train.labels == 3) | (digits.train.labels == 7)]
    matrix = activations(model, train, ["avgpool"])["avgpool"]
    small = compressed(model, "avgpool", (matrix, train.labels), 4)
    with torch.no_grad():
        decided = small(to_unit(train.images)).argmax(dim=1)
    assert set(decided.tolist()) <= {3, 7}
    assert (decided == train.labels).float().mean() > 0.8


def counted_by_hand(net, image):
    """Multiply-adds of convolutions and linear maps from their shapes."""
    total = 0

    def count(module, inputs, output):
        nonlocal total
        if isinstance(module, nn.Conv2d):
            total += output[0].numel() * module.weight[0].numel()
        elif isinstance(module, nn.Linear):
            total += inputs[0].shape[0] * module.weight.numel()

    handles = [module.register_forward_hook(count) for module in net.modules()]
    with torch.no_grad():
        net(image)
    for handle in handles:
        handle.remove()
    return total


def test_costs_are_those_counted_by_hand_and_by_torch(model, digits):
    images = to_unit(digits.test.images[:4])
    train = digits.train.balanced(200)
    small = compressed(model, "layer3", (activations(model, train, ["layer3"])["layer3"], train.labels), 5)
    whole, cut = cost(model, images), cost(small, images)
    assert whole.parameters == sum(parameter.numel() for parameter in model.parameters())
    kept = [model.net.conv1, model.net.bn1, model.net.layer1, model.net.layer2, model.net.layer3]
    before = sum(parameter.numel() for module in kept for parameter in module.parameters())
    features = 16 * 2 * 2
    assert cut.parameters == before + features * 5 + 5 + 5 * 10 + 10
    for network, price in ((model, whole), (small, cut)):
        assert price.multiply_adds == counted_by_hand(network, images[:1])
        with FlopCounterMode(display=False) as counter, torch.no_grad():
            network(images)
        assert counter.get_total_flops() == 2 * len(images) * price.multiply_adds
        assert price.seconds > 0


def test_the_paper_s_network_without_its_fourth_block():
    """ResNet-18 at width 64: block 4 holds three quarters of the parameters and a quarter of the work."""
    net = resnet18(num_classes=10, in_channels=3)
    small = nn.Sequential(Truncated(net, "layer3"), nn.Linear(16_384, 20), nn.Linear(20, 10)).eval()
    whole, cut = cost(net, torch.zeros(1, 3, 32, 32), repeats=1), cost(small, torch.zeros(1, 3, 32, 32), repeats=1)
    assert whole.parameters == 11_173_962
    assert whole.multiply_adds == 555_422_720
    assert cut.parameters == 11_173_962 - 8_393_728 - 5_130 + 16_384 * 20 + 20 + 20 * 10 + 10
    assert cut.multiply_adds == counted_by_hand(small, torch.zeros(1, 3, 32, 32))
