"""Makes the demo's data from the Adult census income data; README.md says what is in it.

    python prepare.py adult.csv.gz FOLDER

Python 3, scikit-learn 1.9.1, pandas. adult.csv.gz: the decoded columns, `label` (1: income over 50k) and
`split` (reference: the 32,561 rows of adult.data; current: the 16,281 rows of adult.test).
FOLDER gets rows.csv.gz, which is embedded, and v7.csv and v8.csv, which profiles are made of.
"""
import sys
import numpy as np, pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

NUMBERS = ["age", "education-num", "capital-gain", "capital-loss", "hours-per-week"]
CATEGORIES = ["workclass", "education", "marital-status", "occupation", "relationship", "race", "sex",
              "native-country"]
FEATURES = NUMBERS + CATEGORIES
ROWS = 2_000
SEED = 1
source, folder = sys.argv[1:]
random = np.random.default_rng(7)


def train(rows):
    columns = make_column_transformer(
        (StandardScaler(), NUMBERS),
        (OneHotEncoder(handle_unknown="ignore", min_frequency=20), CATEGORIES),
    )
    return make_pipeline(columns, LogisticRegression(max_iter=2_000)).fit(rows[FEATURES], rows.label)


def score(model, rows):
    return model.predict_proba(rows[FEATURES])[:, 1]


def drifted(rows, model):
    """Incomes rise: the married work 8 hours a week more, and most of those whom `model` saw below the
    line, but not far, are over it now. Nobody else changes."""
    rows = rows.copy()
    married = rows["marital-status"] == "Married-civ-spouse"
    near = pd.Series(score(model, rows), index=rows.index).between(0.15, 0.5)
    over = married & near & (random.random(len(rows)) < 0.9)
    rows.loc[over, "label"] = 1
    rows.loc[married, "hours-per-week"] = (rows["hours-per-week"] + 8).clip(upper=99)
    return rows


data = pd.read_csv(source)
reference = data[data.split == "reference"].sample(frac=1, random_state=7)
half = len(reference) // 2
training, held_out = reference.iloc[:half], reference.iloc[half:]
v7 = train(training)
v8 = train(drifted(training, v7))
for name, model, rows in [("v7", v7, held_out), ("v8", v8, drifted(held_out, v7))]:
    rows = rows.assign(score=score(model, rows))[FEATURES + ["label", "score"]]
    rows.to_csv(f"{folder}/{name}.csv", index=False)

rows = data[data.split == "current"].sample(ROWS, random_state=SEED)[FEATURES + ["label"]]
after = drifted(rows, v7)
out = rows.assign(**{
    "v7": score(v7, rows), "v8": score(v8, rows),
    "drifted:hours-per-week": after["hours-per-week"], "drifted:label": after.label,
    "drifted:v7": score(v7, after), "drifted:v8": score(v8, after),
})
out.to_csv(f"{folder}/rows.csv.gz", index=False, float_format="%.4f",
           compression={"method": "gzip", "mtime": 0, "compresslevel": 9})

married = rows["marital-status"] == "Married-civ-spouse"
for world, label, column in [("before", rows.label, ""), ("after", after.label, "drifted:")]:
    for version in ["v7", "v8"]:
        right = (out[column + version] >= 0.5) == (label == 1)
        print(f"{world} {version} accuracy {right.mean():.4f} married {right[married].mean():.4f}",
              f"over 50k {label.mean():.3f} married {label[married].mean():.3f}")
