"""What somebody's function gives is held against what a data set is: figures would be wrong, and nobody would know."""

import numpy as np
import pytest
import torch

from lrbench.data import ImageData, Split
from lrbench.data.checked import loaded
from lrbench.errors import UsageError

IMAGES = torch.arange(6 * 3 * 4 * 4, dtype=torch.uint8).reshape(6, 3, 4, 4)
LABELS = torch.arange(6) % 2
GOOD = Split(IMAGES, LABELS)


def given(what, train=None, test=None):
    return loaded(lambda *_, **__: what, "mine.py:data", None, {}, train=train, test=test)


def data(train=GOOD, test=GOOD, classes=("a", "b")):
    return ImageData("mine", train, test, classes)


def fine(train, test, classes=("a1", "a2", "b1")):
    return ImageData("mine", Split(IMAGES, LABELS, train), Split(IMAGES, LABELS, test), ("a", "b"), classes)


def test_what_is_a_data_set_is_given_back_as_it_is():
    made = data()
    assert given(made) is made
    assert given(made, 6, 6) is made
    finer = fine(LABELS, LABELS + 1)
    assert given(finer) is finer
    none = data(train=Split(torch.empty(0, 3, 1, 1, dtype=torch.uint8), torch.empty(0, dtype=torch.int64)))
    assert given(none) is none


@pytest.mark.parametrize(
    ("what", "says"),
    [
        (None, "gave nothing, not a lrbench.data.ImageData"),
        ((IMAGES, LABELS), "gave something of type tuple, not a lrbench.data.ImageData"),
        (data(train=(IMAGES, LABELS)), "train is something of type tuple, not a lrbench.data.Split"),
        (
            data(test=Split(IMAGES.numpy(), LABELS)),
            "test images are something of type ndarray; expected a tensor, uint8",
        ),
        (data(test=Split(IMAGES / 255, LABELS)), r"test images are float32 of shape \(6, 3, 4, 4\); expected uint8"),
        (data(train=Split(IMAGES[:, 0], LABELS)), r"train images are uint8 of shape \(6, 4, 4\); expected uint8"),
        (data(train=Split(IMAGES, LABELS.float())), r"train labels are float32 of shape \(6,\); expected an int64"),
        (data(train=Split(IMAGES, LABELS.int())), r"train labels are int32 of shape \(6,\); expected an int64"),
        (data(train=Split(IMAGES, LABELS[:, None])), r"train labels are int64 of shape \(6, 1\); expected an int64"),
        (data(train=Split(IMAGES, np.zeros(6))), "train labels are something of type ndarray; expected an int64"),
        (data(train=Split(IMAGES, LABELS[:3])), "train has 6 images and 3 labels"),
        (data(test=Split(IMAGES, LABELS + 1)), "test labels are 1 to 2, where the 2 classes are 0 to 1"),
        (data(test=Split(IMAGES, LABELS - 1)), "test labels are -1 to 0, where the 2 classes are 0 to 1"),
        (data(test=Split(IMAGES[..., :2], LABELS)), r"= \(3, 4, 4\), and test images \(3, 4, 2\)"),
        (data(test=Split(IMAGES[:, :1], LABELS)), r"= \(3, 4, 4\), and test images \(1, 4, 4\)"),
        (
            data(test=Split(IMAGES.to_sparse(), LABELS)),
            "test images hold no numbers that can be read: torch.sparse_coo",
        ),
        (data(train=Split(IMAGES.to("meta"), LABELS)), "train images hold no numbers .* on meta"),
        (data(train=Split(IMAGES, LABELS.to("meta"))), "train labels hold no numbers .* on meta"),
        (data(test=Split(IMAGES[:, :0], LABELS)), r"test images are \(C, H, W\) = \(0, 4, 4\): of no size"),
        (data(test=Split(IMAGES[:0], LABELS[:0])), "has no test images"),
        (fine(LABELS[:3], LABELS), "train has 6 labels and 3 fine ones"),
        (fine(LABELS, LABELS + 2), "fine test labels are 2 to 3, where the 3 classes are 0 to 2"),
        (fine(LABELS - 1, LABELS), "fine train labels are -1 to 0, where the 3 classes are 0 to 2"),
        (fine(LABELS.float(), LABELS), r"fine train labels are float32 of shape \(6,\); expected an int64"),
        (fine(LABELS, None), "has fine_classes, and no fine labels of test"),
        (fine(LABELS, LABELS, ()), "has fine labels of train, and no names for them"),
        (fine(LABELS, LABELS, 3), "fine_classes must be names, a tuple of str, not something of type int"),
        (data(classes=2), "classes must be names, a tuple of str, not something of type int"),
        (data(classes=(0, 1)), "classes must be names, a tuple of str, not something of type tuple"),
        (data(classes=("a", "a")), "has the class a twice"),
        (data(classes=("a",)), "has 1 class, and two are the least"),
    ],
)
def test_what_is_none_is_refused_in_a_line(what, says):
    with pytest.raises(UsageError, match=says):
        given(what)


def test_as_many_examples_as_are_asked_for_are_what_is_taken():
    with pytest.raises(UsageError, match="gave 6 examples as train, where 4 are asked for"):
        given(data(), train=4)
    with pytest.raises(UsageError, match="gave 6 examples as test, where 8 are asked for"):
        given(data(), test=8)


def _raises(error):
    def source(*_, **__):
        raise error

    return source


@pytest.mark.parametrize(
    "error", [FileNotFoundError("no\nsuch"), ValueError("no such"), AssertionError("no such"), SystemExit("no such")]
)
def test_what_a_function_raises_is_a_line(error):
    with pytest.raises(UsageError, match=f"mine.py:data failed: ({type(error).__name__}: )?no such"):
        loaded(_raises(error), "mine.py:data", None, {}, train=None, test=None)


def test_a_function_that_cannot_be_asked_says_so():
    with pytest.raises(UsageError, match=r"mine.py:data failed: TypeError: .*'train'"):
        loaded(lambda _: None, "mine.py:data", None, {}, train=None, test=None)


def test_a_fault_of_lrbench_s_own_is_not_hidden():
    source = _raises(KeyError("x"))
    source.__module__ = "lrbench.data.sources"
    with pytest.raises(KeyError):
        loaded(source, "digits", None, {}, train=None, test=None)
