"""ResNets in CIFAR form, on torchvision's blocks (He et al., 2016; paper, section 4)."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torchvision.models.resnet import BasicBlock, Bottleneck

Block = type[BasicBlock] | type[Bottleneck]


class CifarResNet(nn.Module):
    """A ResNet for small images: 3x3 stem with stride 1 and no max-pool, four stages, global average pool.

    Module names are torchvision's (`conv1`, `layer1`..`layer4`, `avgpool`, `fc`). On 32x32 images at width 64 the
    output of `layer3` has 256 x 8 x 8 = 16,384 entries with `BasicBlock`.

    Parameters
    ----------
    block : type
        torchvision's `BasicBlock` or `Bottleneck`.
    depths : sequence of 4 ints
        Blocks in each stage.
    num_classes : int
    in_channels : int
    width : int
        Channels of the first stage; 64 in the paper. Each later stage doubles them.
    """

    def __init__(self, block: Block, depths: Sequence[int], num_classes: int, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = _stage(block, width, width, depths[0], stride=1)
        self.layer2 = _stage(block, width * block.expansion, 2 * width, depths[1], stride=2)
        self.layer3 = _stage(block, 2 * width * block.expansion, 4 * width, depths[2], stride=2)
        self.layer4 = _stage(block, 4 * width * block.expansion, 8 * width, depths[3], stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(8 * width * block.expansion, num_classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        """Logits, (N, num_classes), of images, (N, in_channels, H, W)."""
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        logits: Tensor = self.fc(torch.flatten(self.avgpool(x), 1))
        return logits


def _stage(block: Block, inputs: int, planes: int, depth: int, stride: int) -> nn.Sequential:
    outputs = planes * block.expansion
    shortcut = None
    if stride != 1 or inputs != outputs:
        shortcut = nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride=stride, bias=False), nn.BatchNorm2d(outputs))
    first = block(inputs, planes, stride, shortcut)
    return nn.Sequential(first, *(block(outputs, planes) for _ in range(depth - 1)))


def resnet18(num_classes: int, in_channels: int, width: int = 64) -> CifarResNet:
    """ResNet-18 in CIFAR form."""
    return CifarResNet(BasicBlock, (2, 2, 2, 2), num_classes, in_channels, width)


def resnet50(num_classes: int, in_channels: int, width: int = 64) -> CifarResNet:
    """ResNet-50 in CIFAR form."""
    return CifarResNet(Bottleneck, (3, 4, 6, 3), num_classes, in_channels, width)
