"""Small networks that more than one room's tests use."""

import torch
from torch import nn


def conv_net(seed=0, norm=nn.BatchNorm2d):
    """Four classes from (3, 8, 8) images; module "2" gives 216 features and "3.1" 16."""
    torch.manual_seed(seed)
    return nn.Sequential(
        nn.Conv2d(3, 6, 3),
        norm(6),
        nn.ReLU(),
        nn.Sequential(nn.Flatten(), nn.Linear(216, 16)),
        nn.Linear(16, 4),
    )


def images(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.rand(count, 3, 8, 8, generator=generator), torch.randint(0, 4, (count,), generator=generator)


class InPlace(nn.Module):
    """Ten classes from (3, 8, 8) images; what `norm` and `second` give is overwritten by what follows, if `inplace`."""

    def __init__(self, inplace=True):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.norm = nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6)
        self.relu, self.second = nn.ReLU(inplace), nn.Conv2d(6, 6, 3, padding=1)
        self.last, self.inplace = nn.Linear(384, 10), inplace

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))
        out = self.second(x)
        if self.inplace:
            out += x
        else:
            out = out + x
        return self.last(self.relu(out).flatten(1))


class TwoLayers(nn.Module):
    """Ten classes from (3, 8, 8) images; `before` and `after` are what is done to images and logits."""

    def __init__(self, before=lambda x: x, after=lambda logits: logits):
        super().__init__()
        torch.manual_seed(3)
        self.first, self.last, self.before, self.after = nn.Linear(192, 64), nn.Linear(64, 10), before, after

    def forward(self, x):
        x = self.before(x)
        return self.after(self.last(torch.tanh(2 * self.first(x.flatten(1) - 0.5))))


def spread_images(net, count, among=400):
    """Images at all distances from a network's boundary, and the classes that it gives them."""
    x = torch.rand(among, 3, 8, 8, generator=torch.Generator().manual_seed(4))
    with torch.no_grad():
        logits = net(x)
    y = logits.argmax(dim=1)
    top = logits.topk(2, dim=1).values
    chosen = (top[:, 1] - top[:, 0]).argsort()[torch.linspace(0, len(x) - 1, count).long()]
    return x[chosen], y[chosen]


def ten_bits(x):
    """What a GPU does to the factors of products where TF32 is allowed; gradients pass."""
    if not torch.backends.cudnn.allow_tf32:
        return x
    kept = (x.detach().view(torch.int32) + 0x1000).bitwise_and(~0x1FFF).view(torch.float32)
    return x + (kept - x).detach()


class Staged(nn.Module):
    """A tenth of a ResNet-18's passes, under the same names: `conv1`, `bn1`, `layer3`, `layer4`, `avgpool`, `fc`."""

    def __init__(self, num_classes, in_channels, width):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(width)
        self.layer3 = nn.Sequential(nn.Conv2d(width, 4 * width, 3, stride=4, padding=1), nn.ReLU())
        self.layer4 = nn.Sequential(nn.Conv2d(4 * width, 8 * width, 3, padding=1), nn.BatchNorm2d(8 * width), nn.ReLU())
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width, num_classes)

    def forward(self, x):
        x = self.layer4(self.layer3(torch.relu(self.bn1(self.conv1(x)))))
        return self.fc(torch.flatten(self.avgpool(x), 1))


def staged(num_classes, in_channels, width: int = 4):
    """Give a network to suites that run, as `arch: support.nets:staged`."""
    return Staged(num_classes, in_channels, width)
