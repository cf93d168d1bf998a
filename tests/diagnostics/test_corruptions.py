import numpy as np
import pytest
import torch

from lrbench.diagnostics.corruptions import EXTRA, FAMILIES, corrupted


@pytest.fixture(scope="module")
def smooth():
    """Two smooth colour images, (2, 3, 32, 32)."""
    ramp = torch.linspace(40, 200, 32)
    image = torch.stack([ramp[:, None].expand(32, 32), ramp.expand(32, 32), 240 - ramp[:, None].expand(32, 32)])
    return torch.stack([image, image.flip(1)]).to(torch.uint8)


@pytest.mark.parametrize("family", [*FAMILIES, *EXTRA])
def test_every_family_changes_images_repeatably_and_one_by_one(smooth, family):
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    found = corrupted(smooth, family, 3)
    assert found.shape == smooth.shape
    assert found.dtype == torch.uint8
    assert not torch.equal(found, smooth)
    assert torch.equal(found, corrupted(smooth, family, 3))
    assert torch.equal(found[1:], corrupted(smooth[1:], family, 3))
    assert np.array_equal(state, np.random.get_state()[1])  # noqa: NPY002


def test_noise_grows_with_severity(smooth):
    sizes = [(corrupted(smooth, "gaussian_noise", s).float() - smooth.float()).abs().mean() for s in (1, 3, 5)]
    assert sizes == sorted(sizes)


def test_grey_images_stay_grey(smooth):
    assert corrupted(smooth[:, :1], "fog", 2).shape == (2, 1, 32, 32)


def test_small_images_are_refused():
    with pytest.raises(ValueError, match="32x32 or more, got 3x28x28"):
        corrupted(torch.zeros(1, 3, 28, 28, dtype=torch.uint8), "fog", 1)
