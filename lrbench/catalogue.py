"""Everything that a suite can name: models, attacks, data sets, measures and regularizers. Imports none of them."""

from lrbench.registry import Registry

MODELS = Registry(
    "model",
    {
        "resnet18": (
            "lrbench.models.resnet:resnet18",
            "ResNet-18 in CIFAR form (3x3 stem, no max-pool); options: width (64)",
        ),
        "resnet50": (
            "lrbench.models.resnet:resnet50",
            "ResNet-50 in CIFAR form (3x3 stem, no max-pool); options: width (64)",
        ),
        "vgg19": (
            "lrbench.models.vgg:vgg19",
            "VGG-19 with three fully connected layers; options: width (64), hidden (512), dropout (0.5), batch_norm",
        ),
    },
    supplied=("num_classes", "in_channels"),
    elsewhere="lrbench.models.external:factory_of",
    forms={
        "torchvision:NAME": "any classification model of torchvision, with its weights by `weights: DEFAULT`",
        "timm:NAME": "any model of timm (pip install 'lrbench[timm]'), with its weights by `pretrained: true`",
        "hf-hub:ORG/NAME": "a trained network of the Hugging Face hub that timm builds",
        "robustbench:DATASET/THREAT/NAME": "a trained model of RobustBench, such as cifar10/Linf/Standard",
        "FILE.py:FUNCTION": "yours: (num_classes, in_channels, **options) -> nn.Module; running a suite runs FILE.py",
        "PACKAGE.MODULE:FUNCTION": "the same from an installed package",
        "FILE.onnx": "a trained network as an ONNX file (pip install 'lrbench[onnx]')",
    },
    group="lrbench.models",
    ending=".onnx",
)

ATTACKS = Registry(
    "attack",
    # Of another library; their options are those of its classes.
    {
        "hopskipjump": (
            "lrbench.attacks.external:hopskipjump",
            "The smallest perturbation from decisions alone: `art:HopSkipJump`, image by image.",
        ),
        "boundary": (
            "lrbench.attacks.external:boundary",
            "The smallest perturbation in L2 from decisions alone: `art:BoundaryAttack`, image by image.",
        ),
    },
    declared=("attacks", "named"),
    supplied=("eps", "bounds", "norm", "subspace"),
    elsewhere="lrbench.user_code:attack_of",
    forms={
        "art:CLASS": "any evasion attack of the Adversarial Robustness Toolbox, with its options",
        "foolbox:CLASS": "any attack of foolbox (pip install 'lrbench[foolbox]')",
        "torchattacks:CLASS": "any attack of torchattacks, in pixel space (pip install --no-deps torchattacks)",
        "adv-lib:FUNCTION": "any attack of adv-lib, in pixel space (pip install --no-deps adv-lib)",
        "FILE.py:CLASS": "yours: a subclass of lrbench.attacks.Attack; running a suite runs FILE.py",
        "PACKAGE.MODULE:CLASS": "the same from an installed package",
    },
    group="lrbench.attacks",
)

DATASETS = Registry(
    "data set",
    declared=("data", "DATASETS.register"),
    supplied=("root", "train", "test"),
    elsewhere="lrbench.user_code:data_set_of",
    forms={
        "FILE.py:FUNCTION": "yours: (root, *, train, test, **options) -> lrbench.data.ImageData; it is run",
        "PACKAGE.MODULE:FUNCTION": "the same from an installed package",
    },
    group="lrbench.datasets",
)

MEASURES = Registry(
    "measure",
    declared=("measures", "named"),
    group="lrbench.measures",
)

REGULARIZERS = Registry(
    "regularizer",
    declared=("regularizers", "REGULARIZERS.register"),
    group="lrbench.regularizers",
)
