"""What takes a step of each kind; imported when one is taken, so that a finished run loads no torchvision."""

KINDS = {
    "train": "lrbench.runner.train:train_step",
    "load": "lrbench.runner.train:load_step",
    "accuracy": "lrbench.runner.measure:accuracy_step",
    "variance": "lrbench.runner.measure:variance_step",
    "embeddings": "lrbench.runner.represent:embeddings_step",
    "transfer": "lrbench.runner.represent:transfer_step",
    "compression": "lrbench.runner.represent:compression_step",
    "clusters": "lrbench.runner.represent:clusters_step",
    "corruptions": "lrbench.runner.measure:corruptions_step",
    "part": "lrbench.runner.attack:part_step",
    "attack": "lrbench.runner.attack:attack_step",
    "minimal": "lrbench.runner.attack:minimal_step",
    "masking": "lrbench.runner.judge:masking_step",
    "worst": "lrbench.runner.judge:worst_step",
    "difference": "lrbench.runner.judge:difference_step",
}
