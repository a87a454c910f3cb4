"""Makes the sample of the Adult data in tests/data and what pandas and scipy say of it.

    python prepare.py adult_scored.csv.gz <tests folder>

Python 3, pandas 3.1.1, pyarrow 26.0.1, numpy 2.4.6, scipy 1.17.1. Every 16th row; see tests/data/README.md.
"""
import json, sys
import numpy as np, pandas as pd
from scipy.stats import mannwhitneyu

source, tests = sys.argv[1:]
sample = pd.read_csv(source).iloc[::16]
base = f"{tests}/data/adult_sample"
sample.to_csv(base + ".csv.gz", index=False, compression={"method": "gzip", "mtime": 0})
sample.to_json(base + ".jsonl.gz", orient="records", lines=True, double_precision=15, compression={"method": "gzip", "mtime": 0})
sample.to_parquet(base + ".parquet", index=False, compression="zstd")

rows = sample[sample.split == "reference"]
out = {"rows": len(rows), "numeric": {}, "categorical": {}}
for name in rows.columns.drop(["label", "prediction", "split"]):
    column = rows[name]
    if column.dtype.kind in "if":
        counts = column.value_counts()
        out["numeric"][name] = {
            "mean": float(column.mean()), "std": float(column.std(ddof=0)),
            "min": float(column.min()), "max": float(column.max()),
            "distinct": int(column.nunique()),
            "counts": sorted([float(v), int(n)] for v, n in counts.items()) if len(counts) <= 256 else None,
        }
    else:
        out["categorical"][name] = {str(v): int(n) for v, n in column.value_counts().items()}
label, decision, score = rows.label == 1, rows.prediction == 1, rows.score
tp, fp, fn = int((label & decision).sum()), int((~label & decision).sum()), int((label & ~decision).sum())
u = mannwhitneyu(score[label], score[~label]).statistic
p = np.clip(score, np.finfo(float).eps, 1 - np.finfo(float).eps)
out["baseline"] = {
    "accuracy": float((label == decision).mean()),
    "precision": tp / (tp + fp), "recall": tp / (tp + fn), "f1": 2 * tp / (2 * tp + fp + fn),
    "roc_auc": float(u / (label.sum() * (~label).sum())),
    "log_loss": float(-np.where(label, np.log(p), np.log(1 - p)).mean()),
    "brier": float(((score - label) ** 2).mean()),
    "prevalence": float(label.mean()),
}
weight = rows["hours-per-week"]
out["weighted_accuracy"] = float(((label == decision) * weight).sum() / weight.sum())
out["regression_age_on_hours"] = {
    "mae": float((rows.age - rows["hours-per-week"]).abs().mean()),
    "bias": float((rows["hours-per-week"] - rows.age).mean()),
}
json.dump(out, open(f"{tests}/oracle/profile/adult_sample.json", "w"), indent=1)
