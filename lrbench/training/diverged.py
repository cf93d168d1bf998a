"""What is said of a training whose loss is not finite."""

from collections.abc import Mapping

from lrbench.errors import TrainingDivergedError
from lrbench.recipes import Training
from lrbench.regularizers import Regularizer


def diverged(epoch: int, config: Training, regularizers: Mapping[str, Regularizer]) -> TrainingDivergedError:
    """Build the error; it names what of this training can make a loss large."""
    named = ["training.learning_rate", "training.gradient_clip"]
    if "lr_layers" in regularizers:
        named.append("low_rank.lambda_1")
    named += [f"regularizers.{name}.weight" for name, each in regularizers.items() if hasattr(each.options, "weight")]
    if config.augment.noise:
        named.append("training.augment.noise")
    if config.adversarial is not None and config.adversarial.trades is not None:
        named.append("training.adversarial.trades")
    listed = f"{', '.join(named[:-1])} or {named[-1]}"
    return TrainingDivergedError(f"the training loss is not finite in epoch {epoch}; lower {listed}")
