"""Writes a small network as Keras has it: its weights, its answers, and its weights after two steps.

    python -m venv venv && venv/bin/pip install keras jax numpy safetensors
    KERAS_BACKEND=jax venv/bin/python tests/keras/make.py

Made with Keras 3.15.1 on jax. The network is the one of case.yaml.
"""

import json
import pathlib

import keras
import numpy
from keras import layers
from safetensors.numpy import save_file

here = pathlib.Path(__file__).parent
keras.utils.set_random_seed(7)
model = keras.Sequential(
    [
        keras.Input((8, 8, 1)),
        layers.Conv2D(3, (3, 2), padding="same", activation="relu", name="first"),
        layers.BatchNormalization(epsilon=0.01, name="normal"),
        layers.MaxPooling2D(2, name="largest"),
        layers.Conv2D(5, 3, strides=(1, 2), padding="same", activation="tanh", name="second"),
        layers.AveragePooling2D((3, 2), strides=1, padding="same", name="mean"),
        layers.BatchNormalization(center=False, name="pooled"),
        layers.Activation("sigmoid"),
        layers.Conv2D(4, 2, use_bias=False, activation="leaky_relu", name="third"),
        layers.Flatten(),
        layers.Dense(6, use_bias=False, name="full"),
        layers.BatchNormalization(scale=False, name="linear"),
        layers.Activation("elu"),
        layers.Dense(3, activation="softmax", name="out"),
    ]
)
# Biases that are not all zero.
random = numpy.random.default_rng(7)
model.set_weights([w + random.normal(0, 0.1, w.shape).astype("float32") for w in model.get_weights()])


def save(name):
    tensors = {}
    for layer in model.layers:
        for variable in layer.variables:
            tensors[f"{layer.name}/{variable.name}"] = numpy.asarray(variable)
    save_file(tensors, here / name)
    return tensors


tensors = save("case.safetensors")
rows = random.uniform(-1, 1, (4, 8, 8, 1)).astype("float32")
answers = model.predict(rows, verbose=0)
case = {"rows": rows.reshape(4, 64).tolist(), "answers": answers.tolist(), "classes": [0, 2, 1, 2]}
(here / "case.json").write_text(json.dumps(case) + "\n")
# Two steps, on three rows and then on one.
model.compile(keras.optimizers.SGD(0.1, momentum=0.9), "sparse_categorical_crossentropy")
model.fit(rows, numpy.array(case["classes"]), batch_size=3, epochs=1, shuffle=False, verbose=0)
save("trained.safetensors")
print(f"Keras {keras.__version__}, {keras.backend.backend()}: {sorted(tensors)}")
