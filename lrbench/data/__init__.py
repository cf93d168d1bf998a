"""Data sets by name: uint8 images on the device, with class names and channel statistics."""

from lrbench.data.augment import Augmentation
from lrbench.data.images import ImageData, Split, to_unit
from lrbench.data.outputs import with_outputs
from lrbench.data.superclasses import with_superclasses

__all__ = ["Augmentation", "ImageData", "Split", "to_unit", "with_outputs", "with_superclasses"]
