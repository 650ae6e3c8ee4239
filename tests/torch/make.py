"""Writes small networks as PyTorch has them: their weights, and their answers.

    python -m venv venv && venv/bin/pip install numpy safetensors
    venv/bin/python tests/torch/make.py

PyTorch itself is not needed: names and shapes are those of the state of a torch.nn.Sequential as its
documentation has them (Linear: [out, in]; Conv2d: [out, in, height, width]; Conv1d: [out, in, length]), and the
answers come from plain loops over NCHW below. The networks are those of the YAML files here. Made with NumPy
2.4.6 and safetensors 0.8.0.
"""

import json
import pathlib

import numpy
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
random = numpy.random.default_rng(7)


def normal(*shape, scale=0.5):
    return random.normal(0, scale, shape).astype("float32")


def conv2d(x, weight, bias, stride=(1, 1), padding=((0, 0), (0, 0))):
    x = numpy.pad(x, ((0, 0), (0, 0), *padding))
    n, _, height, width = x.shape
    out, _, kh, kw = weight.shape
    rows, columns = (height - kh) // stride[0] + 1, (width - kw) // stride[1] + 1
    y = numpy.zeros((n, out, rows, columns))
    for i in range(rows):
        for j in range(columns):
            part = x[:, :, i * stride[0] :, j * stride[1] :][:, :, :kh, :kw]
            y[:, :, i, j] = numpy.einsum("nchw,ochw->no", part, weight) + bias
    return y


def conv1d(x, weight, bias):
    return conv2d(x[:, :, None], weight[:, :, None], bias)[:, :, 0]


def max_pool(x, size):
    height, width = x.shape[-2] // size[0], x.shape[-1] // size[1]
    x = x[..., : height * size[0], : width * size[1]]
    x = x.reshape(*x.shape[:-2], height, size[0], width, size[1])
    return x.max(axis=(-3, -1))


def batch_norm(x, state, module, epsilon=1e-5):
    def of(name, otherwise):
        value = state.get(f"{module}.{name}", numpy.full(x.shape[1], otherwise))
        return value.reshape(1, -1, *[1] * (x.ndim - 2))

    x = (x - of("running_mean", 0)) / numpy.sqrt(of("running_var", 1) + epsilon)
    return x * of("weight", 1) + of("bias", 0)


def elu(x):
    return numpy.where(x > 0, x, numpy.exp(numpy.minimum(x, 0)) - 1)


def softmax(x):
    x = numpy.exp(x - x.max(axis=1, keepdims=True))
    return x / x.sum(axis=1, keepdims=True)


def images():
    """Conv2d, ReLU, BatchNorm2d, MaxPool2d, Conv2d, Tanh, Flatten, Dropout, Linear, BatchNorm1d, ELU, Linear, Softmax"""
    state = {
        "0.weight": normal(4, 3, 3, 2),
        "0.bias": normal(4),
        "2.weight": 1 + normal(4),
        "2.bias": normal(4),
        "2.running_mean": normal(4),
        "2.running_var": numpy.abs(normal(4)) + 0.1,
        "2.num_batches_tracked": numpy.array(17, dtype="int64"),
        "4.weight": normal(5, 4, 3, 3),
        "4.bias": normal(5),
        "8.weight": normal(6, 10),
        "9.running_mean": normal(6),
        "9.running_var": numpy.abs(normal(6)) + 0.1,
        "11.weight": normal(3, 6),
        "11.bias": normal(3),
    }
    x = random.uniform(-1, 1, (4, 3, 8, 8)).astype("float32")
    # `padding="same"` of PyTorch: where the kernel is even, one more at the end.
    y = conv2d(x, state["0.weight"], state["0.bias"], padding=((1, 1), (0, 1)))
    y = batch_norm(numpy.maximum(y, 0), state, 2)
    y = numpy.tanh(conv2d(max_pool(y, (2, 2)), state["4.weight"], state["4.bias"], stride=(1, 2)))
    y = y.reshape(len(y), -1)
    y = elu(batch_norm(y @ state["8.weight"].T, state, 9))
    y = softmax(y @ state["11.weight"].T + state["11.bias"])
    save_file(state, here / "images.safetensors")
    return x, y


def steps():
    """Conv1d over one channel, ReLU, MaxPool1d, Conv1d, Tanh, Flatten, Linear, Softmax; of 64 bits"""
    state = {
        "0.weight": normal(3, 1, 4),
        "0.bias": normal(3),
        "3.weight": normal(2, 3, 2),
        "3.bias": normal(2),
        "6.weight": normal(3, 6),
        "6.bias": normal(3),
    }
    x = random.uniform(-1, 1, (4, 1, 12)).astype("float32")
    y = numpy.maximum(conv1d(x, state["0.weight"], state["0.bias"]), 0)
    y = numpy.tanh(conv1d(max_pool(y[:, :, None], (1, 2))[:, :, 0], state["3.weight"], state["3.bias"]))
    y = softmax(y.reshape(len(y), -1) @ state["6.weight"].T + state["6.bias"])
    save_file({name: value.astype("float64") for name, value in state.items()}, here / "steps.safetensors")
    return x, y


def channels():
    """Conv1d over 4 channels of 6 steps, ReLU, Flatten, Linear, Softmax; named as attributes, of 16 bits, in npz"""
    state = {
        "conv.weight": normal(3, 4, 3),
        "conv.bias": normal(3),
        "out.weight": normal(3, 12),
        "out.bias": normal(3),
    }
    state = {name: value.astype("float16") for name, value in state.items()}
    numpy.savez(here / "channels.npz", **state)
    # A row of our data is an image whose rows are steps and whose columns are channels.
    x = random.uniform(-1, 1, (4, 4, 6)).astype("float32")
    y = numpy.maximum(conv1d(x, state["conv.weight"].astype("float64"), state["conv.bias"].astype("float64")), 0)
    y = softmax(y.reshape(len(y), -1) @ state["out.weight"].T.astype("float64") + state["out.bias"].astype("float64"))
    return x.transpose(0, 2, 1), y


cases = {}
for network in (images, steps, channels):
    rows, answers = network()
    cases[network.__name__] = {"rows": rows.reshape(4, -1).tolist(), "answers": answers.tolist()}
(here / "cases.json").write_text(json.dumps(cases) + "\n")
print(f"NumPy {numpy.__version__}: {list(cases)}")
