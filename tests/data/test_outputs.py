"""Which outputs of a network that knows more classes are a data set's."""

import pytest
import torch
from torchvision.models import ResNet18_Weights

from lrbench.data import ImageData, Split, with_outputs
from lrbench.data.outputs import _wnids
from lrbench.errors import UsageError


def data_of(*classes):
    labels = torch.arange(len(classes))
    split = Split(torch.zeros(len(classes), 1, 2, 2, dtype=torch.uint8), labels)
    return ImageData("mine", split, split, classes)


IMAGENETTE = {"n01440764": 0, "n02102040": 217, "n02979186": 482, "n03000684": 491, "n03028079": 497, "n03394916": 566,
              "n03417042": 569, "n03425413": 571, "n03445777": 574, "n03888257": 701}  # fmt: skip
"""As fast.ai's Imagenette lists them, with the numbers that ILSVRC 2012 gives them."""


def test_imagenette_s_folders_are_found_by_their_wordnet_ids():
    outputs = with_outputs(data_of(*IMAGENETTE), "imagenet", {}).outputs
    assert outputs.chosen == tuple(IMAGENETTE.values())
    assert outputs.count == 1000


def test_all_ids_and_names_stand_for_their_own_output():
    names = ResNet18_Weights.IMAGENET1K_V1.meta["categories"]
    assert sorted(set(_wnids())) == list(_wnids())
    for listed in (_wnids(), names):
        assert with_outputs(data_of(*listed), "imagenet", {}).outputs.chosen == tuple(range(1000))


@pytest.mark.parametrize(
    ("name", "number"),
    [("tench", 0), ("English springer", 217), ("english_springer", 217), ("Cassette-Player", 482), ("N03000684", 491),
     ("cardigan", 474), ("Cardigan", 264)],
)  # fmt: skip
def test_names_are_found_as_people_write_them(name, number):
    assert with_outputs(data_of(name, "goldfish"), "imagenet", {}).outputs.chosen == (number, 1)


@pytest.mark.parametrize(
    ("classes", "of", "mapping", "words"),
    [
        (
            ("Englisch springer", "tench"),
            "imagenet",
            {},
            "'Englisch springer' is none.*did you mean 'English springer'",
        ),
        (("CARDIGAN", "tench"), "imagenet", {}, "may be 264 and 474 .*classes: {CARDIGAN: 264}"),
        (("tench", "n01440764"), "imagenet", {}, "'tench' and 'n01440764' are both output 0"),
        (("cat", "dog"), 1000, {"cat": 281}, "'dog' has no output"),
        (("cat", "dog"), 1000, {"cat": 281, "dog": 281}, "'cat' and 'dog' are both output 281"),
        (("cat", "dog"), 10, {"cat": 3, "dog": 10}, "'dog' is output 10, but there are 10"),
    ],
)
def test_what_has_no_output_is_named(classes, of, mapping, words):
    with pytest.raises(UsageError, match=words) as error:
        with_outputs(data_of(*classes), of, mapping)
    assert "\n" not in str(error.value)


def test_a_mapping_comes_before_the_names_and_may_name_more():
    outputs = with_outputs(data_of("a b", "tench"), "imagenet", {"a b": 7, "elsewhere": 9}).outputs
    assert outputs.chosen == (7, 0)
    assert with_outputs(data_of("x", "y"), 5, {"y": 0, "x": 4, "z": 2}).outputs.chosen == (4, 0)


def test_without_a_mapping_a_network_has_an_output_for_each_class():
    assert data_of("x", "y", "z").network_outputs == 3
    assert with_outputs(data_of("x", "y"), 5, {"y": 0, "x": 4}).network_outputs == 5
