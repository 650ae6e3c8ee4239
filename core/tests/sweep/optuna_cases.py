"""Writes optuna.json beside it: decisions and densities of Optuna 5.0.0 (numpy 2.x), which the tests replay.

    python3 -m venv VENV && VENV/bin/pip install optuna==5.0.0
    VENV/bin/python core/tests/sweep/optuna_cases.py

`asha`: trials report values with ties and NaN in a random order, SuccessiveHalvingPruner decides.
`median`: the same trials under Golovin et al. 2017, section 3.2.1, written down below in plain Python, as
Ray's MedianStoppingRule has it (Optuna's MedianPruner compares with values, not with running means).
`tpe`: log densities of Optuna's Parzen estimator, of whose modules the names may change in other versions.
"""

import json
import math
import pathlib
import random
import statistics
import warnings

import numpy as np
import optuna
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from optuna.samplers._tpe.parzen_estimator import _ParzenEstimator, _ParzenEstimatorParameters
from optuna.samplers._tpe.sampler import default_weights

optuna.logging.set_verbosity(optuna.logging.ERROR)
warnings.simplefilter("ignore")


def curves(rng, trials, epochs):
    """Falling values with few digits, so that some are equal; one in thirty is NaN."""
    for _ in range(trials):
        level, rate = rng.choice([3, 4, 5]), rng.choice([0.0, 0.2, 0.5])
        yield [
            math.nan if rng.random() < 1 / 30
            else round(level - rate * epoch + rng.choice([-0.5, 0, 0.5]), 1)
            for epoch in range(epochs)
        ]


def replay(rng, trials, epochs, decide):
    """Every report in a random order of trials, each with the decision about it."""
    values = list(curves(rng, trials, epochs))
    ahead, events = {task: 0 for task in range(trials)}, []
    while ahead:
        task = rng.choice(sorted(ahead))
        epoch = ahead[task] + 1
        stop = decide(task, epoch, values[task][:epoch])
        value = values[task][epoch - 1]
        events.append([task, epoch, None if math.isnan(value) else value, stop])
        ahead[task] = epoch
        if stop or epoch == epochs:
            del ahead[task]
    return events


def asha(rng, grace_period, reduction_factor, trials, epochs):
    pruner = optuna.pruners.SuccessiveHalvingPruner(grace_period, reduction_factor)
    study = optuna.create_study(pruner=pruner)
    asked = [study.ask() for _ in range(trials)]

    def decide(task, epoch, seen):
        asked[task].report(seen[-1], epoch)
        return asked[task].should_prune()

    events = replay(rng, trials, epochs, decide)
    return {"rule": {"type": "asha", "grace_period": grace_period, "reduction_factor": reduction_factor},
            "events": events}


def median(rng, grace_period, min_trials, trials, epochs):
    means = {}  # epoch -> task -> mean up to it

    def decide(task, epoch, seen):
        others = [mean for other, mean in means.get(epoch, {}).items() if other != task]
        means.setdefault(epoch, {})
        if not any(math.isnan(value) for value in seen):
            means[epoch][task] = sum(seen) / len(seen)
        if epoch < grace_period:
            return False
        if math.isnan(seen[-1]):
            return True
        best = min(value for value in seen if not math.isnan(value))
        return len(others) >= min_trials and best > statistics.median(others)

    events = replay(rng, trials, epochs, decide)
    return {"rule": {"type": "median", "grace_period": grace_period, "min_trials": min_trials},
            "events": events}


def tpe(rng, count):
    """Densities over an axis of each kind, from so many trials.

    Numbers of more than 16 trials all differ: numpy sorts them by a method that leaves equal ones in any order,
    which decides the widths of their kernels.
    """
    last = 6 if count <= 16 else 9999
    space = {
        "uniform": FloatDistribution(-1.0, 2.0),
        "log": FloatDistribution(1e-4, 1.0, log=True),
        "whole": IntDistribution(0, last),
        "category": CategoricalDistribution(["a", "b", "c"]),
    }

    def draw():
        return [rng.uniform(-1, 2), 10 ** rng.uniform(-4, 0), rng.randint(0, last), rng.randrange(3)]

    def columns(rows):
        return {name: np.array([row[i] for row in rows], dtype=float) for i, name in enumerate(space)}

    parameters = _ParzenEstimatorParameters(1.0, True, False, default_weights, True)
    trials, points = [draw() for _ in range(count)], [draw() for _ in range(6)]
    assert count <= 16 or all(len({trial[i] for trial in trials}) == count for i in range(3))
    estimator = _ParzenEstimator(columns(trials), space, parameters)
    return {"last": last, "trials": trials, "points": points, "log_densities": estimator.log_pdf(columns(points)).tolist()}


rng = random.Random(5)
cases = {
    "optuna": optuna.__version__,
    "asha": [asha(rng, *case) for case in
             [(1, 2, 12, 9), (1, 3, 14, 10), (1, 4, 20, 17), (2, 2, 10, 9), (3, 3, 9, 10), (2, 4, 6, 9)]],
    "median": [median(rng, *case) for case in [(1, 5, 14, 6), (1, 1, 10, 6), (3, 2, 11, 6), (2, 4, 12, 6)]],
    "tpe": [tpe(rng, count) for count in [1, 2, 3, 9, 24, 26, 27, 40]],
}
lines = ["{"]
for key, value in cases.items():
    items = value if isinstance(value, list) else None
    body = json.dumps(value) if items is None else "[\n" + ",\n".join(json.dumps(i) for i in items) + "\n]"
    lines.append(f'"{key}": {body}' + ("," if key != "tpe" else ""))
lines.append("}")
pathlib.Path(__file__).with_name("optuna.json").write_text("\n".join(lines) + "\n")
