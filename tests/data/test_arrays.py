"""Arrays become the images that their maker means, or a line asks: the table of docs/inputs.md."""

import pickle

import numpy as np
import pytest
from support.inputs import rows

from lrbench.data.levels import UnclearError
from lrbench.data.sources import npz
from lrbench.errors import UsageError

RANDOM = np.random.default_rng(0)
N, TESTED = 8, 4


def pixels(*shape, count=N, top=256):
    return RANDOM.integers(top, size=(count, *shape), dtype=np.uint8)


def both(shape, make=lambda array: array, **options):
    """Images of one shape, (n, *shape), in the form that `make` gives them; the pixels that they should become."""
    train, test = pixels(*shape), pixels(*shape, count=TESTED)
    train[0].flat[:2] = 0, 255
    return {"x_train": make(train), "x_test": make(test), "expected": train, "options": options}


def first(array):
    """The channel axis of (N, H, W, C) brought to the front."""
    return array.transpose(0, 3, 1, 2)


def shown(case, convert=lambda array: array):
    """A case whose `expected` is brought to (N, C, H, W)."""
    return {**case, "expected": convert(case["expected"])}


def renamed(**names):
    return {**grey(lambda array: array), "names": names}


GREY = (6, 5)


def grey(make, **options):
    return shown(both(GREY, make, **options), lambda array: array[:, None])


def dark():
    return shown(both(GREY, lambda array: array // 8), lambda array: array[:, None] // 8)


def with_black(case):
    case["x_test"] = case["x_test"].copy()
    case["x_test"][1] = 0
    return case


def labelled(make, **options):
    return {**grey(lambda array: array, **options), "y": make}


NAMED = "the same as `train_x`, `X_train`, `train_images` and `train_labels`, `x_val`, ..."
READ = {
    "`x_train`, `y_train`, `x_test`, `y_test`": [grey(lambda a: a)],
    NAMED: [
        renamed(x_train="train_x", y_train="train_y", x_test="test_x", y_test="test_y"),
        renamed(x_train="X_train", x_test="X_test"),
        renamed(x_train="train_images", y_train="train_labels", x_test="test_images", y_test="test_labels"),
        renamed(x_train="xtrain", y_train="Y-Train"),
        renamed(x_test="x_val", y_test="y_val"),
        renamed(x_train="data_train", y_train="target_train")],
    "images of shape (N, H, W)": [grey(lambda a: a)],
    "images of shape (N, H, W, C), C of 1, 3, 4 and H not": [
        shown(both((6, 5, 3)), first), shown(both((16, 16, 4)), first), shown(both((6, 4, 1)), first)],
    "images of shape (N, C, H, W), C of 1, 3, 4 and W not": [
        both((3, 6, 5)), both((4, 16, 16)), both((1, 4, 6)), both((1, 3, 8))],
    "other shapes with `layout: NHWC` or `NCHW`": [
        shown(both((3, 3, 3), layout="NHWC"), first), both((3, 3, 3), layout="NCHW"), both((5, 8, 8), layout="nchw"),
        shown(both((1, 8, 3), layout="channels_last"), first), shown(both((8, 8, 16), layout="HWC"), first)],
    "uint8": [grey(lambda a: a), dark()],
    "an all-black image among others": [with_black(grey(lambda a: a)), with_black(grey(lambda a: a / 255))],
    "labels of any integer type, (N,)": [
        labelled(lambda y, dtype=dtype: y.astype(dtype))
        for dtype in ("uint8", "int8", "int32", "int64", "uint64", ">i4")],
    "bool images": [shown(both(GREY, lambda a: a > 99), lambda a: 255 * (a > 99)[:, None])],
    "floats from 0 to 1": [
        grey(lambda a: (a / 255).astype(np.float32)), grey(lambda a: a / 255),
        grey(lambda a: (a / np.float32(255) * np.float32(1.0000001)).astype(np.float32)),
        shown(both(GREY, lambda a: (a / 255).astype(np.float16)), lambda a: a[:, None])],
    "floats, or integers of any type but uint16, from 0 to 255, the largest over 127": [
        grey(lambda a, dtype=dtype: a.astype(dtype))
        for dtype in ("float32", "float64", "int64", "int32", "uint32", "int16")],
    "uint16, the largest over 32767": [grey(lambda a: a.astype(np.uint16) * 257)],
    "other values with `data_range: [black, white]`": [
        grey(lambda a: (a / 127.5 - 1).astype(np.float32), data_range=[-1, 1]),
        grey(lambda a: a.astype(np.uint16), data_range=[0, 255]),
        grey(lambda a: a * 16.0, data_range=[0, 4080]),
        shown(both(GREY, lambda a: a // 128, data_range=[0, 1]), lambda a: (a // 128 * 255)[:, None])],
    "big-endian and Fortran-ordered arrays": [
        grey(lambda a: (a / 255).astype(">f4")), grey(lambda a: a.astype(">u2") * 257), grey(np.asfortranarray)],
    "labels of shape (N, 1), or bool": [
        labelled(lambda y: y[:, None]), labelled(lambda y: y.astype(np.uint8)[:, None]),
        labelled(lambda y: y > 1) | {"classes": 2}],
}  # fmt: skip


def asked(shape, make=lambda array: array, words="", **options):
    return {**both(shape, make, **options), "words": words}


def spoilt(value):
    case = grey(lambda a: a / 255)
    case["x_train"][5, 2, 2] = value
    return {**case, "words": r"x_train holds NaN or infinity, first in image 5"}


def alike(case, **changes):
    return {**case, **changes}


def wrong(make, words, **options):
    return {**labelled(make, **options), "words": words}


REFUSED = {
    "other shapes, such as (N, 3, 3, 3), (N, 1, 8, 3), (N, 5, 8, 8)": [
        asked(shape, words=r"x_train has the shape \(8, .* `layout: NHWC`")
        for shape in ((3, 3, 3), (1, 8, 3), (5, 8, 8), (4, 4, 4), (8, 8, 2), (2, 8, 8), (8, 8, 16))]
        + [asked((3, 6, 5), layout="HCW", words="unknown layout 'HCW'")],
    "flattened images, (N, D)": [asked((30,), words=r"x_train must be uint8 .* got uint8 \(8, 30\)")],
    "negative values ([-1, 1], standardised)": [
        asked(GREY, lambda a: a / 127.5 - 1, r"x_train and x_test go from -1 to 1 \(fl.*`data_range: \[-1, 1\]`"),
        asked(GREY, lambda a: a / 60 - 2, r"go from -2 to 2.25 .*data_range"),
        asked(GREY, lambda a: a.astype(np.int16) - 128, "go from -128 to 127 .*data_range")],
    "other ranges: the largest value 2, 16 or 1000": [
        asked(GREY, lambda a: a / 127.5, "go from 0 to 2 .*data_range"),
        asked(GREY, lambda a: a / 250, r"go from 0 to 1.02 .*data_range"),
        asked(GREY, lambda a: a // 16 * 1.0, "go from 0 to 15 .*data_range"),
        asked(GREY, lambda a: a.astype(np.int64) * 4, "go from 0 to 1020 .*data_range"),
        asked(GREY, lambda a: a.astype(np.uint16), r"go from 0 to 255 \(uint16\).*data_range"),
        asked(GREY, lambda a: (a // 128).astype(np.int64), r"go from 0 to 1 \(int64\).*`data_range: \[0, 1\]`")],
    "uint8 of 0 and 1 alone": [asked(GREY, lambda a: a // 128, r"go from 0 to 1 \(uint8\).*`data_range: \[0, 1\]`")],
    "floats up to 1 in one array, and up to 255 in the other": [
        alike(asked(GREY, lambda a: a * 1.0, f"of which {name} goes up to 1 alone"), **{name: pixels(*GREY) / 255})
        for name in ("x_train", "x_test")],
    "values outside `data_range`": [
        asked(GREY, lambda a: a / 100, "outside `data_range", data_range=[0, 1]),
        asked(GREY, words="two numbers", data_range=[1, 0]), asked(GREY, words="two numbers", data_range=[1]),
        asked(GREY, words="two numbers", data_range=[0, float("inf")])],
    "NaN and infinity": [spoilt(np.nan), spoilt(np.inf), spoilt(-np.inf)],
    "training and test images of other types or shapes": [
        alike(grey(lambda a: a), x_test=pixels(*GREY, count=TESTED) / 255, words="x_train must be float64, as"),
        alike(grey(lambda a: a), x_test=pixels(7, 5, count=TESTED), words="differ in shape")],
    "complex numbers, strings, dates, records, Python objects": [
        asked(GREY, lambda a, dtype=dtype: a.astype(dtype), "x_train must be uint8")
        for dtype in ("complex64", "U4", "S4", "datetime64[s]", "timedelta64[s]")]
        + [asked(GREY, lambda a: a.astype([("r", "u1"), ("g", "u1")]), "x_train must be uint8"),
           asked(GREY, lambda a: a.astype(object), "x_train.npy is not the array")],
    "no images": [asked((0, 5), words="x_train must be uint8"), alike(
        grey(lambda a: a), x_test=pixels(*GREY, count=0), words=r"x_test must be uint8 .* \(0, 6, 5\)")],
    "a missing array": [
        alike(renamed(x_train="first"), words="must hold the arrays x_test.*it holds first, x_test, y_test, y_train"),
        alike(renamed(y_test="y_other"), words="must hold the arrays.*y_other")],
    "two arrays that could be one (`x_train`, `train_images`)": [
        alike(grey(lambda a: a), more={"train_images": pixels(*GREY)}, words="holds both x_train and train_images")],
    "labels and images that differ in number": [wrong(lambda y: y[:-1], "x_train holds 8 images and y_train 7 labels")],
    "one-hot labels": [wrong(lambda y: np.eye(4)[y], "y_train must hold integers.*one-hot.*argmax"),
                       wrong(lambda y: np.eye(4, dtype=int)[y], "y_train must hold integers.*one-hot.*argmax")],
    "float labels": [wrong(lambda y: y.astype(float), "y_train must hold integers.*float64.*int64")],
    "labels that are strings": [wrong(lambda y: y.astype(str), "y_train must hold integers.*`classes")],
    "negative labels": [wrong(lambda y: y - 1, "y_train must hold integers >= 0.*from -1")],
    "labels that begin at 1, or leave out most numbers": [
        wrong(lambda y: y + 1, "labels 1, 2, 3, 4; number the classes from 0.*`classes: 5`"),
        wrong(lambda y: y * 100, "labels 0, 100, 200, 300; number")],
    "labels beyond `classes`, or over 100,000": [
        wrong(lambda y: y, "label 3, but `classes` says that there are 3", classes=3),
        wrong(lambda y: y, "label 3, but `classes` says that there are 2", classes=["a", "b"]),
        wrong(lambda y: y, "different names", classes=["a", "b", "a", "c"]),
        wrong(lambda y: y, "classes must be from 1", classes=0),
        wrong(lambda y: y + 2**40, "at most 100,000 classes")],
    "a single class": [wrong(lambda y: y * 0, "only one class")],
}  # fmt: skip


def load(tmp_path, case):
    y = np.arange(N) % 4
    make = case.get("y", lambda y: y)
    content = {"x_train": case["x_train"], "y_train": make(y), "x_test": case["x_test"], "y_test": make(y[:TESTED])}
    names = case.get("names", {})
    np.savez(
        tmp_path / "mine.npz", **{names.get(key, key): value for key, value in content.items()}, **case.get("more", {})
    )
    return npz(tmp_path, train=None, test=None, path="mine.npz", **case["options"])


def flat(cases):
    return [pytest.param(case, id=f"{name}-{n}") for name, found in cases.items() for n, case in enumerate(found)]


def test_the_table_is_what_is_tested_here():
    table = dict(rows("Arrays"))
    assert {name for name, outcome in table.items() if outcome != "refused"} == set(READ)
    assert {name for name, outcome in table.items() if outcome == "refused"} == set(REFUSED)


@pytest.mark.parametrize("case", flat(READ))
def test_arrays_become_the_images_that_they_hold(tmp_path, case):
    data = load(tmp_path, case)
    assert np.array_equal(data.train.images.numpy(), case["expected"])
    assert data.test.images.shape == (TESTED, *data.train.images.shape[1:])
    expected = np.arange(N) % 4 > 1 if "classes" in case else np.arange(N) % 4
    assert data.train.labels.tolist() == expected.tolist()
    assert len(data.classes) == case.get("classes", 4)


@pytest.mark.parametrize("case", flat(REFUSED))
def test_what_is_left_open_is_asked_in_a_line(tmp_path, case):
    with pytest.raises(UsageError, match=case["words"]) as error:
        load(tmp_path, case)
    assert "mine.npz" in str(error.value)
    assert "\n" not in str(error.value)


def test_classes_can_be_named_and_can_be_more_than_there_are_labels(tmp_path):
    names = ["cat", "dog", "cow", "猫", "none"]
    assert load(tmp_path, labelled(lambda y: y, classes=names)).classes == tuple(names)
    assert load(tmp_path, labelled(lambda y: y, classes=["a", 1, 2, 3])).classes == ("a", "1", "2", "3")
    data = load(tmp_path, labelled(lambda y: y + 1, classes=5))
    assert data.classes == ("0", "1", "2", "3", "4")
    assert data.train.labels[0] == 1


def test_a_name_that_would_break_the_line_is_escaped(tmp_path):
    (tmp_path / "bad\nname.npz").write_bytes(b"no archive")
    for path in ("bad\nname.npz", "not\nthere.npz"):
        with pytest.raises(UsageError, match=r"\\n.*\.npz") as error:
            npz(tmp_path, train=None, test=None, path=path)
        assert "\n" not in str(error.value)


def test_what_is_left_open_is_told_the_same_from_another_process():
    error = UnclearError("x go from -1 to 1", "data_range", "say it")
    assert str(pickle.loads(pickle.dumps(error))) == str(error) == "x go from -1 to 1; say it"  # noqa: S301
