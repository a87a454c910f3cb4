"""Makes the files of this directory. Needs nannyml 0.13.1 and lightgbm 4.5, the car price data that
comes with nannyml, and what NannyML printed for it (`DLE(...)` with chunks of 6,000 rows;
`nannyml_dle_carprice.json`).

    NML_DISABLE_USAGE_LOGGING=1 python prepare.py CARPRICE_JSON

`mae.txt.gz`, `mse.txt.gz`: the models of losses that NannyML trains, as LightGBM writes them.
`car_price.json.gz`: rows of one chunk as those models see them, their predictions, and the numbers of
the chunk: as printed, and by these models. `odd.json.gz`: small models with missing values of
each kind and a categorical feature whose values are text (a column of pandas categories).
"""
import gzip, json, sys
import lightgbm, nannyml, numpy as np, pandas as pd

FEATURES = ["car_age", "km_driven", "price_new", "accident_count", "door_count", "fuel", "transmission"]
CHUNK = 15


def write(name, data):
    with gzip.GzipFile(name, "wb", mtime=0) as file:
        file.write(data.encode())


printed = json.load(open(sys.argv[1]))["dle"]
reference, analysis, _ = nannyml.load_synthetic_car_price_dataset()
dle = nannyml.DLE(feature_column_names=FEATURES, y_pred="y_pred", y_true="y_true",
                  metrics=["mae", "mse", "rmse"], chunk_size=6000, timestamp_column_name="timestamp")
dle.fit(reference)
row = printed[CHUNK]
assert row["chunk|period"] == "analysis", row["chunk|period"]
frame = analysis.iloc[row["chunk|start_index"]:row["chunk|end_index"] + 1].copy()
for name, encoder in dle._categorical_encoders.items():
    frame[name] = encoder.transform(frame[name].astype("object").values.reshape(-1, 1)).ravel() + 1
models = {metric.column_name: metric._dee_model for metric in dle.metrics}
inputs = frame[[*FEATURES, "y_pred"]]
out = {"inputs": [*FEATURES, "y_pred"], "rows": inputs.astype(float).values.tolist(), "metrics": {}}
for name in ["mae", "mse"]:
    write(f"{name}.txt.gz", models[name].booster_.model_to_string())
    predicted = models[name].predict(inputs)
    out[name] = [float(p) for p in predicted]
    out["metrics"][name] = {"printed": row[f"{name}|value"], "trained": float(np.clip(predicted, 0, None).mean())}
out["metrics"]["rmse"] = {"printed": row["rmse|value"], "trained": out["metrics"]["mse"]["trained"] ** 0.5}
print(out["metrics"])
write("car_price.json.gz", json.dumps(out, separators=(",", ":")))

rng = np.random.default_rng(3)
n = 2000
frame = pd.DataFrame({
    "x": np.where(rng.random(n) < 0.2, np.nan, rng.normal(size=n)),
    "zero": np.where(rng.random(n) < 0.5, 0.0, rng.normal(size=n)),
    "whole": rng.integers(0, 5, n).astype(float),
    "kind": pd.Categorical(rng.choice(["red", "green", "blue", "é,x"], n)),
    "prediction": rng.normal(size=n),
})
target = (frame.x.fillna(3) + 2 * (frame.kind == "red") - (frame.kind == "blue") * frame.prediction
          + frame.zero.abs() + rng.normal(size=n) * 0.1)
cases = []
for number, options in enumerate([{}, {"zero_as_missing": True}, {"use_missing": False}]):
    model = lightgbm.LGBMRegressor(n_estimators=8, num_leaves=9, min_child_samples=10, verbose=-1, **options)
    model.fit(frame, target)
    text = model.booster_.model_to_string()
    probe = frame.iloc[:60].copy()
    probe.loc[probe.index[:10], "zero"] = np.nan
    probe["kind"] = pd.Categorical([None if i % 7 == 0 else k for i, k in enumerate(probe.kind)],
                                   categories=frame.kind.cat.categories)
    value = lambda v: None if pd.isna(v) else v
    cases.append({"model": text, "rows": [[value(v) for v in r] for r in probe.values.tolist()],
                  "predicted": [float(p) for p in model.predict(probe)]})
write("odd.json.gz", json.dumps({"inputs": [*frame.columns], "cases": cases}))
