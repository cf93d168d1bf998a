import numpy as np
import pytest
import torch

from lrbench.attacks import IterFSGM, d_adv, l2_dissimilarity


def test_l2_dissimilarity_equals_numpy(batch):
    x, _ = batch
    x_adv = x + 0.1 * torch.randn(x.shape, generator=torch.Generator().manual_seed(0))
    a, b = x_adv.numpy().reshape(len(x), -1), x.numpy().reshape(len(x), -1)
    expected = np.linalg.norm(a - b, axis=1) / np.linalg.norm(b, axis=1)
    assert np.allclose(l2_dissimilarity(x_adv, x).numpy(), expected, rtol=1e-5)


def test_a_black_image_has_no_l2_dissimilarity():
    x = torch.rand(3, 1, 2, 2)
    x[:2] = 0
    x_adv = x.clone()
    x_adv[1:] += 0.1
    found = l2_dissimilarity(x_adv, x)
    assert found[:2].isnan().all()
    assert found[2].isfinite()


def test_an_image_without_activations_has_no_relative_d_adv():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.ReLU(), torch.nn.Linear(4, 2))
    x = torch.rand(3, 1, 2, 2)
    x[0] = 0
    y = model(x).argmax(dim=1)
    found = d_adv(model, "1", x_adv=x + 0.1, x=x, y=y)
    assert found.value == pytest.approx(0.04, rel=1e-5)
    assert np.isfinite(found.relative)


@pytest.mark.parametrize("batch_size", [3, 100])
def test_d_adv_equals_its_definition(small_net, batch, batch_size):
    x, _ = batch
    y = small_net(x).argmax(dim=1)
    y[:4] = (y[:4] + 1) % 10  # four that the model gets wrong before the attack
    x_adv = IterFSGM(8 / 255)(small_net, x, y)

    def f(images):
        h = torch.relu(small_net.bn1(small_net.conv1(images)))
        return small_net.bn2(small_net.conv2(h)).flatten(1).detach().double().numpy()

    difference = ((f(x_adv) - f(x)) ** 2).sum(axis=1)[4:]
    scale = (f(x) ** 2).sum(axis=1)[4:]
    found = d_adv(small_net, "bn2", x_adv=x_adv, x=x, y=y, batch_size=batch_size)
    assert found.n == 8
    assert found.value == pytest.approx(difference.mean(), rel=1e-5)
    assert found.relative == pytest.approx((difference / scale).mean(), rel=1e-5)
    same = d_adv(small_net, small_net.bn2, x_adv=x_adv, x=x, y=y, batch_size=batch_size)
    assert same == found


def test_d_adv_relative_is_free_of_scale(small_net, batch):
    x, _ = batch
    y = small_net(x).argmax(dim=1)
    x_adv = (x + 0.05).clamp(0, 1)
    before = d_adv(small_net, "avgpool", x_adv=x_adv, x=x, y=y)
    with torch.no_grad():
        small_net.bn2.weight.mul_(3)
        small_net.bn2.bias.mul_(3)
        small_net.fc.weight.div_(3)
    after = d_adv(small_net, "avgpool", x_adv=x_adv, x=x, y=y)
    assert after.value == pytest.approx(9 * before.value, rel=1e-4)
    assert after.relative == pytest.approx(before.relative, rel=1e-4)


def test_d_adv_without_a_correct_example_is_nan(small_net, batch):
    x, _ = batch
    y = (small_net(x).argmax(dim=1) + 1) % 10
    result = d_adv(small_net, "avgpool", x_adv=x, x=x, y=y)
    assert result.n == 0
    assert np.isnan(result.value)


def test_d_adv_leaves_no_hook_and_no_mode_behind(small_net, batch):
    x, y = batch
    small_net.train()
    d_adv(small_net, "avgpool", x_adv=x, x=x, y=y)
    assert small_net.training
    assert not small_net.avgpool._forward_hooks


def test_an_unknown_layer_is_named(small_net, batch):
    x, y = batch
    with pytest.raises(ValueError, match="the model has no layer 'layer9'"):
        d_adv(small_net, "layer9", x_adv=x, x=x, y=y)
