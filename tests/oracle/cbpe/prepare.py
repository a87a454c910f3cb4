"""Makes the files of this directory. Needs nannyml 0.13.1 (numpy 2.4, scikit-learn 1.9), the car loan
data that comes with it, and what NannyML printed for that (`CBPE(...).fit(reference).estimate(...)`
with chunks of 5,000 rows; `nannyml_cbpe_carloan_size5000.json`).

    python prepare.py CARLOAN_JSON UNIT_JSON ../../data/adult_scored.csv.gz
"""
import gzip, json, sys
import nannyml, numpy as np, pandas as pd
from nannyml.calibration import IsotonicCalibrator, needs_calibration

# Set NML_DISABLE_USAGE_LOGGING=1: nannyml reports its use otherwise.
METRICS = ["roc_auc", "f1", "precision", "recall", "specificity", "accuracy", "average_precision"]


def write(name, value):
    with gzip.GzipFile(name + ".json.gz", "wb", mtime=0) as file:
        file.write(json.dumps(value, separators=(",", ":")).encode())


def counts(frame, label):
    """[score, decision, label or -1, rows]: nothing of CBPE depends on the order of the rows."""
    frame = frame.assign(label=label if label is not None else -1)
    groups = frame.groupby(["y_pred_proba", "y_pred", "label"]).size()
    return [[s, int(d), int(l), int(n)] for (s, d, l), n in groups.items()]


def car_loan(printed):
    reference, analysis, targets = nannyml.load_synthetic_car_loan_dataset()
    labels = analysis.merge(targets, on="id")["repaid"]
    chunks = []
    for row in printed["cbpe"]:
        period = row["chunk|period"]
        frame = reference if period == "reference" else analysis
        at = slice(row["chunk|start_index"], row["chunk|end_index"] + 1)
        label = reference["repaid"] if period == "reference" else labels
        keep = {m: {f: row[f"{m}|{f}"] for f in ("value", "sampling_error", "realized",
                "lower_confidence_boundary", "upper_confidence_boundary")} for m in METRICS}
        chunks.append({"period": period, "rows": counts(frame.iloc[at], label.iloc[at].values),
                       "metrics": keep})
    write("car_loan", {"reference": counts(reference, reference["repaid"].values),
                       "chunks": chunks})


def adult(path):
    data = pd.read_csv(path)
    data["timestamp"] = pd.date_range("2020-01-01", periods=len(data), freq="min")
    reference = data[data.split == "reference"].reset_index(drop=True)
    current = data[data.split == "current"].reset_index(drop=True)
    cbpe = nannyml.CBPE(y_pred_proba="score", y_pred="prediction", y_true="label",
                        metrics=METRICS, problem_type="classification_binary", chunk_size=5000)
    cbpe.fit(reference)
    found = cbpe.estimate(current).filter(period="analysis").to_df()
    chunks = [{m: float(found.iloc[i][(m, "value")]) for m in METRICS} for i in range(len(found))]
    whole = nannyml.CBPE(y_pred_proba="score", y_pred="prediction", y_true="label",
                         metrics=METRICS, problem_type="classification_binary", chunk_number=1)
    whole.fit(reference)
    whole = whole.estimate(current).filter(period="analysis").to_df()
    y, p = reference.label.values, reference.score.values
    write("adult", {"needs_calibration": bool(needs_calibration(y, p, IsotonicCalibrator())),
                    "whole": {m: float(whole.iloc[0][(m, "value")]) for m in METRICS},
                    "chunk_size": 5000,
                    "ends": [int(v) for v in found[("chunk", "end_index")]], "chunks": chunks})


def multiclass():
    """Three classes; the first is over-confident, the others are not far off."""
    rng = np.random.default_rng(7)

    def rows(n):
        x = rng.normal(size=(n, 3)) * 1.6
        true = np.exp(x) / np.exp(x).sum(1, keepdims=True)
        label = np.array([rng.choice(3, p=p) for p in true])
        said = np.exp(x * [1.9, 1.0, 1.0]) / np.exp(x * [1.9, 1.0, 1.0]).sum(1, keepdims=True)
        said = said.round(6)
        frame = pd.DataFrame(said, columns=["p_a", "p_b", "p_c"])
        frame["y_pred"] = [["a", "b", "c"][i] for i in said.argmax(1)]
        frame["label"] = [["a", "b", "c"][i] for i in label]
        frame["timestamp"] = pd.date_range("2020-01-01", periods=n, freq="min")
        return frame

    reference, current = rows(4000), rows(1500)
    metrics = ["accuracy", "precision", "recall", "f1"]
    probabilities = {"a": "p_a", "b": "p_b", "c": "p_c"}
    cbpe = nannyml.CBPE(y_pred_proba=probabilities, y_pred="y_pred", y_true="label",
                        metrics=metrics, problem_type="classification_multiclass", chunk_size=500)
    cbpe.fit(reference)
    found = cbpe.estimate(current).filter(period="analysis").to_df()
    gates = {k: type(v).__name__ for k, v in cbpe._calibrators.items()}
    chunks = [{m: float(found.iloc[i][(m, "value")]) for m in metrics}
              | {"accuracy_error": float(found.iloc[i][("accuracy", "sampling_error")])}
              for i in range(len(found))]
    table = lambda frame: [[*r] for r in frame[["p_a", "p_b", "p_c", "y_pred", "label"]].values.tolist()]
    write("multiclass", {"gates": gates, "reference": table(reference), "current": table(current),
                         "chunk_size": 500, "chunks": chunks})


unit = json.load(open(sys.argv[2]))["unit"]
write("unit", unit)
car_loan(json.load(open(sys.argv[1])))
adult(sys.argv[3])
multiclass()
