"""CIFAR-10 and CIFAR-100 in the originals' format, a few random images each, with checksums to match."""

import hashlib
import pickle

import numpy as np
from torchvision.datasets import CIFAR10, CIFAR100

COARSE = [f"group {i}" for i in range(20)]
FINE = [f"class {i}" for i in range(100)]
GROUP_OF = [(7 * i) % 20 for i in range(100)]


def write_cifar(root, monkeypatch, per_file=200):
    """Write both sets under `root` and let torchvision expect their checksums."""
    generator = np.random.default_rng(0)

    def put(folder, name, content):
        (root / folder).mkdir(parents=True, exist_ok=True)
        data = pickle.dumps(content)
        (root / folder / name).write_bytes(data)
        return hashlib.md5(data).hexdigest()  # noqa: S324

    def images():
        return generator.integers(0, 256, (per_file, 3072), dtype=np.uint8)

    ten = CIFAR10.base_folder
    labels = [i % 10 for i in range(per_file)]
    batches = [
        [name, put(ten, name, {"data": images(), "labels": labels})]
        for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]
    ]
    names = [f"thing {i}" for i in range(10)]
    monkeypatch.setattr(CIFAR10, "train_list", batches[:5])
    monkeypatch.setattr(CIFAR10, "test_list", batches[5:])
    meta = put(ten, "batches.meta", {"label_names": names})
    monkeypatch.setattr(CIFAR10, "meta", {"filename": "batches.meta", "key": "label_names", "md5": meta})

    hundred = CIFAR100.base_folder
    fine = [i % 100 for i in range(per_file)]
    content = {"fine_labels": fine, "coarse_labels": [GROUP_OF[label] for label in fine]}
    parts = {name: [[name, put(hundred, name, {"data": images(), **content})]] for name in ("train", "test")}
    monkeypatch.setattr(CIFAR100, "train_list", parts["train"])
    monkeypatch.setattr(CIFAR100, "test_list", parts["test"])
    meta = put(hundred, "meta", {"fine_label_names": FINE, "coarse_label_names": COARSE})
    monkeypatch.setattr(CIFAR100, "meta", {"filename": "meta", "key": "fine_label_names", "md5": meta})
