"""Figures of what every suite measures: accuracy, attacks, the worst case over them, and masked gradients."""

from lrbench.measures.base import Metric

CORE: dict[str, Metric] = {
    "training_accuracy": Metric("training accuracy", "percent", "higher"),
    "training_loss": Metric("training loss", better="lower"),
    "lr_layer_epochs": Metric("epochs with LR-Layers", "count"),
    "accuracy": Metric("clean accuracy", "percent", "higher"),
    "misclassification": Metric("misclassified", "percent", "lower"),
    "robust_accuracy": Metric("robust accuracy", "percent", "higher"),
    "misclassification_at_l2": Metric("misclassified at an L2 dissimilarity", "percent", "lower", ("l2",)),
    "robust_accuracy_at_l2": Metric("robust accuracy at an L2 dissimilarity", "percent", "higher", ("l2",)),
    "l2_dissimilarity": Metric("mean L2 dissimilarity"),
    "auc_l2": Metric("area under the misclassification curve", "percent", "lower"),
    "median_linf": Metric("median Linf", better="higher"),
    "median_l2": Metric("median L2", better="higher"),
    "median_l1": Metric("median L1", better="higher"),
    "found": Metric("found", "percent", "lower"),
    "first_to_fool": Metric("first to fool", "percent"),
    "only_to_fool": Metric("only one to fool", "percent"),
    "optimality": Metric("optimality", "percent"),
    "forward_passes": Metric("forward passes an image", cost=True),
    "backward_passes": Metric("backward passes an image", cost=True),
    "attack_time": Metric("time an image, ms", "milliseconds", time=True),
    "robust_accuracy_difference": Metric("difference of robust accuracy", "points", "higher"),
    "p_value": Metric("p"),
    "p_adjusted": Metric("adjusted p"),
    "verdict": Metric("verdict", worst=True),
    "check": Metric("check for masked gradients", parameters=("check",)),
    "flag": Metric("flagged", parameters=("check",), worst=True),
}
