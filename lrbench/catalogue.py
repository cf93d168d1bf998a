"""Everything that a suite can name: models, attacks and data sets. Imports none of them."""

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
    elsewhere="lrbench.models.external:factory_of",
    forms={
        "torchvision:NAME": "any classification model of torchvision",
        "timm:NAME": "any model of timm (pip install 'lrbench[timm]')",
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
    {
        "iter-fsgm": (
            "lrbench.attacks:IterFSGM",
            "the paper's Iter-FSGM: sign gradient steps of size eps away from the label",
        ),
        "iter-ll-fsgm": (
            "lrbench.attacks:IterLLFSGM",
            "the paper's Iter-LL-FSGM: sign gradient steps of size eps to the least likely class",
        ),
        "fgsm": (
            "lrbench.attacks:FGSM",
            "a single sign gradient step of size eps; weak, for comparison",
        ),
        "apgd-ce": (
            "lrbench.attacks:APGD",
            "Auto-PGD, sets its own step size; options: steps (100), restarts (1), loss (cross-entropy, margin, dlr)",
        ),
        "apgd-t": (
            "lrbench.attacks:TargetedAPGD",
            "Auto-PGD towards the likeliest wrong classes with the DLR loss; options: steps (100), targets (9)",
        ),
        "square": (
            "lrbench.attacks:Square",
            "random search with square patches, needs no gradients; options: queries (5000), patch (0.8)",
        ),
        "pgd": (
            "lrbench.attacks:PGD",
            "PGD with random starts; options: steps (20), step_size, restarts (1), eot (1), loss (or margin, dlr)",
        ),
        "autoattack": (
            "lrbench.attacks:AutoAttack",
            "APGD-CE, APGD-T, FAB-T and Square in turn; options: steps (100), targets (9), queries (5000), eot (1)",
        ),
        "fab-t": (
            "lrbench.attacks:FAB",
            "smallest perturbation, by projections onto linearised boundaries; options: steps (100), targets (9)",
        ),
        "deepfool": (
            "lrbench.attacks:DeepFool",
            "smallest perturbation, step by step to the nearest linearised boundary; options: steps (50), overshoot",
        ),
        "carlini-wagner": (
            "lrbench.attacks:CarliniWagner",
            "smallest L2 perturbation, by Adam; options: steps (200), searches (9), learning_rate (0.01)",
        ),
        "hopskipjump": (
            "lrbench.attacks.foreign:hopskipjump",
            "smallest perturbation from decisions alone, through ART; options: max_iter (50), max_eval, init_eval",
        ),
        "boundary": (
            "lrbench.attacks.foreign:boundary",
            "smallest L2 perturbation from decisions alone, through ART; options: max_iter (5000), num_trial, delta",
        ),
        "adaptive-lr": (
            "lrbench.attacks:AdaptiveLR",
            "PGD that also leaves an LR-Layer's subspace; options: layer, weight (1), steps (40), restarts (2), loss",
        ),
        "uniform-noise": (
            "lrbench.attacks:UniformNoise",
            "a control: the worst of some draws from the ball; options: draws (1)",
        ),
        "gaussian-noise": (
            "lrbench.attacks:GaussianNoise",
            "normal noise with eps as its standard deviation, held to no ball; options: draws (1)",
        ),
    },
    elsewhere="lrbench.attacks.foreign:factory_of",
    forms={
        "art:CLASS": "any evasion attack of the Adversarial Robustness Toolbox, with its options",
        "foolbox:CLASS": "any attack of foolbox (pip install 'lrbench[foolbox]')",
        "torchattacks:CLASS": "any attack of torchattacks, in pixel space (pip install --no-deps torchattacks)",
    },
    group="lrbench.attacks",
)

DATASETS = Registry(
    "data set",
    {
        "digits": (
            "lrbench.data.sources:digits",
            "scikit-learn's 8x8 grey digits, embedded; 1,437 train, 360 test",
        ),
        "fashion-mnist": (
            "lrbench.data.sources:fashion_mnist",
            "Fashion-MNIST, 28x28 grey; 60,000 train, 10,000 test; options: download (false)",
        ),
        "cifar10": (
            "lrbench.data.cifar:cifar10",
            "CIFAR-10, 32x32 colour; 50,000 train, 10,000 test; options: download (false)",
        ),
        "cifar100": (
            "lrbench.data.cifar:cifar100",
            "CIFAR-100, 32x32 colour; 50,000 train, 10,000 test; options: download (false)",
        ),
        "cifar100-coarse": (
            "lrbench.data.cifar:cifar100_coarse",
            "CIFAR-100 with its 20 superclasses as labels, its 100 classes as fine ones; options: download (false)",
        ),
        "image-folder": (
            "lrbench.data.folder:image_folder",
            "your own images: PATH/{train,test}/CLASS/*; options: path, channels (3), size, resize, keep",
        ),
        "npz": (
            "lrbench.data.sources:npz",
            "your own arrays x_train, y_train, x_test, y_test in one .npz; options: path, layout, data_range, classes",
        ),
    },
    group="lrbench.datasets",
)

MEASURES = Registry(
    "measure",
    {
        "d_adv": (
            "lrbench.measures.d_adv:DAdv",
            "how far attacks move a layer's activations",
        ),
        "variance_ratio": (
            "lrbench.measures.variance_ratio:VarianceRatio",
            "VR_k of the training activations at each layer, class-wise VR_1, stable and effective rank",
        ),
        "embeddings": (
            "lrbench.measures.embeddings:Embeddings",
            "accuracy of a linear classifier on PCA embeddings of a layer",
        ),
        "linear_probe": (
            "lrbench.measures.linear_probe:LinearProbe",
            "accuracy of a linear classifier on a layer, for the labels trained on and for finer ones",
        ),
        "compression": (
            "lrbench.measures.compression:Compression",
            "parameters, multiply-adds, time and accuracy with a network's end replaced by PCA and a linear classifier",
        ),
        "clusters": (
            "lrbench.measures.clusters:Clusters",
            "the first two principal components of a layer's test activations, as a picture",
        ),
        "corruptions": (
            "lrbench.measures.corruptions:Corruptions",
            "accuracy under the common corruptions of CIFAR-10-C",
        ),
    },
    group="lrbench.measures",
)
