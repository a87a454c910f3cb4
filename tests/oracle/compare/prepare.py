"""Reduces the published drift cases to what the dialects are compared with. Python 3.

    python prepare.py <folder with the cases> <output file.json.gz> [all]

Each line of the output is a case: id, kind, both sides' values in the order of the rows (null =
missing), and what the tools printed for them: evidently 0.7.23, nannyml 0.13.1 (one chunk),
tensorflow-data-validation 1.16.1, scipy 1.17.1. Without `all` the cases of 20,000 rows but a few are
left out.
"""
import glob, gzip, json, os, sys

source, target = sys.argv[1:3]
BIG = {"num_n20000_shift", "num_n20000_ties", "num_unequal_20000_200", "cat_n20000_missing",
       "cat_unequal_20000_200"}
lines = []
for path in sorted(glob.glob(os.path.join(source, "*_*.json"))):
    name = os.path.basename(path)[:-5]
    if name == "_calls" or ("20000" in name and name not in BIG and "all" not in sys.argv):
        continue
    case = json.load(open(path))
    tools = case["expected"]
    keep = ["ks_2samp_auto", "wasserstein_distance", "energy_distance", "cramervonmises_2samp",
            "anderson_ksamp", "chi2_contingency", "g_test_contingency", "tvd", "hellinger"]
    expected = {
        "evidently": {k: v if k == "_default" else {n: v[n] for n in ("score", "drifted", "threshold", "error") if n in v}
                      for k, v in tools["evidently"].items()
                      if k == "_default" or not k.lower().startswith(("tvd", "mmd"))},
        "nannyml": {k: {n: v[n] for n in ("value", "p") if n in v} for k, v in tools["nannyml"].items()},
        "tfdv": {d["name"]: d["value"] for d in tools["tfdv"]["drift"]},
        "scipy": {k: tools["scipy"][k] for k in keep if k in tools["scipy"]},
    }
    lines.append(json.dumps({"id": name, "kind": case["kind"], "reference": case["reference"],
                             "current": case["current"], "expected": expected}))
with gzip.GzipFile(target, "wb", mtime=0) as out:
    out.write(("\n".join(lines) + "\n").encode())
