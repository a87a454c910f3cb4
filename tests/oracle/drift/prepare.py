"""Reduces the published drift cases and adds what they lack. Python 3, numpy 2.4.6, scipy 1.17.1.

    python prepare.py <folder with the cases> <this folder>

Each case: kind, the values of both sides as [value, count] pairs (null = missing), and `expected`:
numbers that scipy, NannyML and Evidently printed for the rows (copied), and under `other_bin` what scipy
and numpy give when all categories that the reference lacks are one category.
binned.json: numeric cases on fixed bins, computed here with numpy and scipy only.
"""
import collections, glob, json, os, sys
import numpy as np
from scipy.spatial.distance import jensenshannon
from scipy.stats import chi2_contingency

source, target = sys.argv[1:]
BYTES_MAX = 50_000


def pairs(values):
    counts = collections.Counter(values)
    return sorted(([v, n] for v, n in counts.items()), key=lambda p: (p[0] is None, p[0] if p[0] is not None else 0))


def binned(ref, cur):
    """The statistics of two rows of counts over the same bins."""
    ref, cur = np.array(ref, float), np.array(cur, float)
    used = ref + cur > 0
    ref, cur = ref[used], cur[used]
    p, q = ref / ref.sum(), cur / cur.sum()
    ps = (ref + 0.5) / (ref + 0.5).sum()
    qs = (cur + 0.5) / (cur + 0.5).sum()
    if len(ref) > 1:
        chi2 = chi2_contingency(np.array([ref, cur]), correction=False)
        chi = {"chi_square": chi2.statistic, "p_value": chi2.pvalue, "degrees": chi2.dof}
    else:
        chi = {"chi_square": 0.0, "p_value": 1.0, "degrees": 0}
    return {
        "psi": float(((qs - ps) * np.log(qs / ps)).sum()),
        "js": float(np.nan_to_num(jensenshannon(p, q, base=2))),
        "l_infinity": float(np.abs(p - q).max()),
        **{k: float(v) for k, v in chi.items()},
    }


def categorical(case):
    ref = collections.Counter(v for v in case["reference"] if v is not None)
    cur = collections.Counter(v for v in case["current"] if v is not None)
    known = sorted(ref)
    new = sum(n for v, n in cur.items() if v not in ref)
    return binned([ref[v] for v in known] + [0], [cur[v] for v in known] + [new])


on_bins = {}
for path in sorted(glob.glob(os.path.join(source, "*_*.json"))):
    name = os.path.basename(path)[:-5]
    if name == "_calls":
        continue
    case = json.load(open(path))
    scipy, nannyml = case["expected"]["scipy"], case["expected"].get("nannyml", {})
    get = lambda d, *keys: get(d.get(keys[0]) or {}, *keys[1:]) if len(keys) > 1 else d.get(keys[0])
    if case["kind"] == "num":
        expected = {
            "scipy_ks": get(scipy, "ks_2samp_auto", "stat"),
            "nannyml_ks": get(nannyml, "kolmogorov_smirnov", "value"),
            "scipy_wasserstein": get(scipy, "wasserstein_distance", "value"),
            "scipy_wasserstein_over_std": get(scipy, "wasserstein_over_std_ddof0", "value"),
            "evidently_wasserstein": get(case["expected"]["evidently"], "wasserstein", "score"),
        }
        ref = np.array([v for v in case["reference"] if v is not None], float)
        cur = np.array([v for v in case["current"] if v is not None], float)
        edges = np.unique(np.quantile(ref, np.linspace(0, 1, 13)))
        if len(edges) > 2 and len(ref) <= 1000:
            # Bins are [a, b), the last one [a, b], as numpy's are.
            inside = lambda x: np.histogram(x, edges)[0].tolist()
            counts = [[0, *inside(ref), 0], [int((cur < edges[0]).sum()), *inside(cur), int((cur > edges[-1]).sum())]]
            on_bins[name] = {"edges": edges.tolist(), "reference": counts[0], "current": counts[1], "expected": binned(*counts)}
    else:
        expected = {
            "scipy_chi_square": get(scipy, "chi2_contingency", "stat"),
            "scipy_p_value": get(scipy, "chi2_contingency", "p"),
            "scipy_js": scipy.get("js_distance_base2"),
            "nannyml_js": get(nannyml, "jensen_shannon", "value"),
            "nannyml_l_infinity": get(nannyml, "l_infinity", "value"),
            "scipy_l_infinity": scipy.get("l_infinity"),
            "other_bin": categorical(case),
        }
    out = {"kind": case["kind"], "reference": pairs(case["reference"]), "current": pairs(case["current"]), "expected": expected}
    text = json.dumps(out)
    if len(text) <= BYTES_MAX:
        open(os.path.join(target, name + ".json"), "w").write(text + "\n")
    else:
        print("left out, too big:", name, len(text))
keep = ["num_n1000_shift", "num_n1000_lognorm", "num_n1000_zeroinfl", "num_n200_beyond", "num_n1000_disjoint", "num_n1000_missing", "num_n200_same"]
json.dump({k: on_bins[k] for k in keep if k in on_bins}, open(os.path.join(target, "binned.json"), "w"), indent=1)
