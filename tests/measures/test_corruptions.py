"""Accuracy under common corruptions, as a measure."""

import torch

from lrbench.data import Split
from lrbench.measures import Subject, corruptions


def test_corrupted_images_stay_off_the_device_and_within_their_bound(monkeypatch):
    made = []

    class OnDevice(torch.Tensor):
        """Stands for images on another device: whoever keeps one of these keeps the device's memory."""

        def cpu(self):
            return self.as_subclass(torch.Tensor)

    def corrupt(images, family, severity):
        made.append((family, severity))
        assert not isinstance(images, OnDevice)
        return images.clone()

    monkeypatch.setattr("lrbench.diagnostics.corruptions.corrupted", corrupt)
    monkeypatch.setattr(corruptions, "KEPT_BYTES", 3 * 10 * 3 * 32 * 32)
    images = torch.zeros(10, 3, 32, 32, dtype=torch.uint8).as_subclass(OnDevice)
    split = Split(images, torch.zeros(10, dtype=torch.int64))
    subject = Subject(None, None, split, (), torch.device("cpu"), 0)
    moved = [corruptions._corrupted(subject, split, "fog", severity) for severity in (0, 1, 2, 3, 4, 0, 1, 2, 3, 4)]
    assert len(subject.shared["corruptions"]) == 3
    assert not any(isinstance(images, OnDevice) for images in moved)
    assert made == [("fog", each) for each in (0, 1, 2, 3, 4, 3, 4)]
