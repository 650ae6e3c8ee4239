"""Writes cases.json: labels and answers of networks, and what scikit-learn scores them.

    python -m venv venv && venv/bin/pip install scikit-learn
    venv/bin/python core/tests/score/make.py

Made with scikit-learn 1.9.1 and NumPy 2.4.6.
"""

import json
import pathlib
import warnings

import numpy
from sklearn import dummy, metrics

# Classes without rows are among the cases on purpose.
warnings.simplefilter("ignore")
rng = numpy.random.default_rng(7)
cases = []


def finite(score):
    score = float(score)
    return score if numpy.isfinite(score) else None


def classes_of(p):
    """Classes of answers [rows, outputs]."""
    return (p[:, 0] > 0.5).astype(int) if p.shape[1] == 1 else p.argmax(axis=1)


def auc(labels, classes, p):
    if len(set(labels.tolist())) < classes:
        return None
    if classes == 2:
        return finite(metrics.roc_auc_score(labels, p[:, -1]))
    # Answers that do not add up to 1 are refused, so each class against the rest by itself.
    areas = [metrics.roc_auc_score(labels == c, p[:, c]) for c in range(classes)]
    if numpy.allclose(p.sum(axis=1), 1):
        whole = metrics.roc_auc_score(labels, p, multi_class="ovr", average="macro")
        assert abs(whole - numpy.mean(areas)) < 1e-12
    return finite(numpy.mean(areas))


def class_scores(labels, classes, p, answered):
    in_range = p.min() >= 0 and p.max() <= 1
    loss = metrics.log_loss(labels, p, labels=list(range(classes))) if in_range else None
    return {
        "accuracy": finite(metrics.accuracy_score(labels, answered)),
        "balanced_accuracy": finite(metrics.balanced_accuracy_score(labels, answered)),
        "f1": finite(metrics.f1_score(labels, answered, average="macro", zero_division=0)),
        "auc": auc(labels, classes, p),
        "log_loss": loss,
    }


def number_scores(targets, answers):
    constant = len(set(targets.tolist())) == 1
    return {
        "mse": finite(metrics.mean_squared_error(targets, answers)),
        "mae": finite(metrics.mean_absolute_error(targets, answers)),
        # The convention for constant targets is another one in Cuttlefish.
        "r2": None if constant else finite(metrics.r2_score(targets, answers)),
    }


def classification(name, labels, classes, p):
    """`p` is [rows, outputs]."""
    labels, p = numpy.asarray(labels), numpy.asarray(p, dtype=numpy.float32)
    train = rng.integers(0, classes, 37) ** 2 // classes
    model = dummy.DummyClassifier(strategy="prior").fit(numpy.zeros((37, 1)), train)
    prior = numpy.zeros((len(labels), classes), dtype=numpy.float32)
    prior[:, model.classes_] = model.predict_proba(numpy.zeros((len(labels), 1)))
    cases.append({
        "name": name,
        "labels": labels.tolist(),
        "classes": classes,
        "answers": [[float(str(v)) for v in row] for row in p.T],
        "scores": class_scores(labels, classes, p, classes_of(p)),
        "train": train.tolist(),
        "baseline": class_scores(
            labels, classes, prior, model.predict(numpy.zeros((len(labels), 1)))
        ),
    })


def regression(name, targets, answers):
    single = [numpy.asarray(values, dtype=numpy.float32) for values in (targets, answers)]
    targets, answers = (values.astype(float) for values in single)
    train = (rng.normal(size=23) * 3 + targets.mean()).astype(numpy.float32)
    model = dummy.DummyRegressor().fit(numpy.zeros((23, 1)), train.astype(float))
    mean = model.predict(numpy.zeros((len(targets), 1)))
    cases.append({
        "name": name,
        "targets": [float(str(v)) for v in single[0]],
        "answers": [[float(str(v)) for v in single[1]]],
        "scores": number_scores(targets, answers),
        "train": [float(str(v)) for v in train],
        "baseline": number_scores(targets, mean),
    })


def softmax(z):
    e = numpy.exp(z - z.max(axis=1, keepdims=True))
    return e / e.sum(axis=1, keepdims=True)


def guesses(labels, classes, sharpness):
    z = rng.normal(size=(len(labels), classes))
    z[numpy.arange(len(labels)), labels] += sharpness
    return softmax(z * 2)


labels = rng.integers(0, 2, 40)
classification("one output", labels, 2, 1 / (1 + numpy.exp(-(labels * 2 - 1 + rng.normal(size=40))[:, None])))
classification("one output, of exactly a half too", [0, 1, 0, 1, 1], 2, [[0.5], [0.5], [0.2], [0.7], [0.1]])
classification("two outputs", labels, 2, guesses(labels, 2, 0.7))
labels = rng.integers(0, 4, 60)
classification("four classes", labels, 4, guesses(labels, 4, 1))
classification("answers that do not add up to 1", labels, 4, rng.random((60, 4)))
classification("answers beyond 0 and 1", labels, 4, rng.normal(size=(60, 4)))
labels = (rng.random(60) < 0.08).astype(int)
classification("few of the second class", labels, 2, guesses(labels, 2, 0.5))
labels = rng.choice(3, 60, p=[0.9, 0.05, 0.05])
labels[:3] = [0, 1, 2]
classification("most of one class", labels, 3, guesses(labels, 3, 0.5))
labels = rng.choice([0, 2, 3], 40)
classification("a class without rows", labels, 5, guesses(labels, 5, 1))
classification("a class without rows or answers", labels, 5, guesses(labels, 5, 1) * [1, 1, 1, 1, 0])
classification("rows of one class", [1] * 12, 2, guesses(numpy.ones(12, int), 2, 1))
labels = rng.integers(0, 3, 50)
classification("ties", labels, 3, numpy.round(guesses(labels, 3, 1) * 4) / 4)
classification("all answers the same", labels, 3, numpy.full((50, 3), 1 / 3))
certain = numpy.eye(3)[rng.permutation(labels)]
classification("answers of 0 and 1", labels, 3, certain)
labels = rng.integers(0, 2, 20)
classification("extreme probabilities", labels, 2, 10.0 ** -rng.integers(0, 30, 20)[:, None])
targets = rng.normal(size=50) * 3 + 2
regression("numbers", targets, targets + rng.normal(size=50))
regression("numbers of a large mean", targets + 1e5, targets + 1e5 + rng.normal(size=50))
regression("worse than the mean", targets, -targets)
regression("right answers", targets, targets)
regression("targets that are all the same", [3.0] * 9, rng.normal(size=9))
regression("one number", [2.0], [3.0])

text = ",\n".join(json.dumps(case) for case in cases)
pathlib.Path(__file__).with_name("cases.json").write_text(f"[\n{text}\n]\n")
