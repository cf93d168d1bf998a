"""A network as an ONNX graph, for tests that have onnx."""

import numpy as np

RNG = np.random.default_rng(0)
WEIGHTS = {"w": RNG.normal(size=(10, 64)).astype(np.float32), "b": RNG.normal(size=10).astype(np.float32)}


def graph(operator="Gemm", batch="n", opset=17, **options):
    """Flatten, then a linear layer, for the digits."""
    import onnx  # noqa: PLC0415 - an extra

    value = onnx.helper.make_tensor_value_info
    nodes = [
        onnx.helper.make_node("Flatten", ["x"], ["flat"], name="net/Flatten"),
        onnx.helper.make_node(operator, ["flat", "w", "b"], ["y"], name="net/Gemm", **options),
    ]
    made = onnx.helper.make_graph(
        nodes,
        "net",
        [value("x", onnx.TensorProto.FLOAT, [batch, 1, 8, 8])],
        [value("y", onnx.TensorProto.FLOAT, [batch, 10])],
        [onnx.numpy_helper.from_array(array, name) for name, array in WEIGHTS.items()],
    )
    return onnx.helper.make_model(made, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8)
