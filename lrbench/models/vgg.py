"""VGG-19 in CIFAR form: 16 convolutions and three fully connected layers, dropout before each (paper, section 4)."""

from collections import OrderedDict
from itertools import pairwise

from torch import nn
from torchvision.models.vgg import cfgs, make_layers

FULL_WIDTH = 64


def vgg19(
    num_classes: int,
    in_channels: int,
    width: int = 64,
    hidden: int = 512,
    dropout: float = 0.5,
    *,
    batch_norm: bool = True,
) -> nn.Sequential:
    """VGG-19 (Simonyan and Zisserman, 2015) for small images.

    Modules: `features`, `pool`, `flatten` (8 * width entries: what the paper's first LR-Layer sees, before the first
    fully connected layer), `dropout1`, `fc1`, `relu1`, `dropout2`, `fc2`, `relu2` (`hidden` entries: the second
    LR-Layer, before the third), `dropout3`, `fc3`.

    Parameters
    ----------
    num_classes, in_channels : int
    width : int
        Channels of the first convolution; 64 in the paper.
    hidden : int
        Width of the two hidden fully connected layers. The paper does not give it; 512 is usual on CIFAR.
    dropout : float in [0, 1)
        Before each fully connected layer. The paper does not give it.
    batch_norm : bool
        Without it the network does not train from scratch at ordinary learning rates.
    """
    plan = [width * channels // FULL_WIDTH if isinstance(channels, int) else channels for channels in cfgs["E"]]
    features = make_layers(plan, batch_norm=batch_norm)
    features[0] = nn.Conv2d(in_channels, plan[0], 3, padding=1)
    for module in features:
        if isinstance(module, nn.MaxPool2d):
            module.ceil_mode = True  # images smaller than 32x32 would vanish before the fifth pooling
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
    layers = OrderedDict[str, nn.Module](features=features, pool=nn.AdaptiveAvgPool2d(1), flatten=nn.Flatten())
    sizes = [8 * width, hidden, hidden, num_classes]
    for index, (inputs, outputs) in enumerate(pairwise(sizes), 1):
        layers[f"dropout{index}"] = nn.Dropout(dropout)
        layers[f"fc{index}"] = nn.Linear(inputs, outputs)
        if index < 3:
            layers[f"relu{index}"] = nn.ReLU()
    return nn.Sequential(layers)
