"""Attacks of other libraries that ask a model for its outputs alone, by the names of their classes.

No library says so of all of its classes. An attack that is not named here counts as one that needs gradients.
"""

GRADIENT_FREE: dict[str, frozenset[str]] = {
    "art": frozenset({
        "BoundaryAttack", "GRAPHITEBlackbox", "GeoDA", "HopSkipJump", "PixelAttack", "SignOPTAttack", "SimBA",
        "SpatialTransformation", "SquareAttack", "ThresholdAttack", "ZooAttack",
    }),
    "foolbox": frozenset({
        "BinarizationRefinementAttack", "BinarySearchContrastReductionAttack", "BoundaryAttack", "DatasetAttack",
        "GaussianBlurAttack", "GenAttack", "HopSkipJumpAttack", "InversionAttack", "L2AdditiveGaussianNoiseAttack",
        "L2AdditiveUniformNoiseAttack", "L2ClippingAwareAdditiveGaussianNoiseAttack",
        "L2ClippingAwareAdditiveUniformNoiseAttack", "L2ClippingAwareRepeatedAdditiveGaussianNoiseAttack",
        "L2ClippingAwareRepeatedAdditiveUniformNoiseAttack", "L2ContrastReductionAttack",
        "L2RepeatedAdditiveGaussianNoiseAttack", "L2RepeatedAdditiveUniformNoiseAttack",
        "LinearSearchBlendedUniformNoiseAttack", "LinearSearchContrastReductionAttack",
        "LinfAdditiveUniformNoiseAttack", "LinfRepeatedAdditiveUniformNoiseAttack", "PointwiseAttack",
        "SaltAndPepperNoiseAttack", "SpatialAttack",
    }),
    "adv-lib": frozenset(),
    "torchattacks": frozenset({"GN", "OnePixel", "Pixle", "SPSA", "Square", "VANILA"}),
}  # fmt: skip
