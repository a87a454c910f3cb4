"""Numbers of the alarm's mathematics, by scipy. Python 3, numpy 2.4.6, scipy 1.17.1.

    python alarm.py > alarm.json

noncentral: P(X > x) and upper quantiles of the noncentral chi-square law (scipy.stats.ncx2, chi2).
drift: the test of engine::alarm::shift on given counts: statistic, cut and p-value with numpy and scipy.
shares: one-sided Clopper-Pearson bounds (scipy.stats.beta.ppf) and binomial tails (binom.sf).
detector: Shiryaev-Roberts sums of e-values, mean over fixed rates, written out directly in logarithms
with numpy.logaddexp.
"""
import json
import numpy as np
from scipy import stats

out = {}
law = []
for degrees in (1, 4, 9, 20):
    for shift in (0.0, 0.3, 2.148, 21.48, 214.8, 2148.0, 21480.0):
        for alpha in (0.05, 1e-3, 1e-6, 1e-9):
            x = stats.ncx2.isf(alpha, degrees, shift) if shift else stats.chi2.isf(alpha, degrees)
            sf = stats.ncx2.sf(x, degrees, shift) if shift else stats.chi2.sf(x, degrees)
            law.append([degrees, shift, float(x), float(sf)])
out["noncentral"] = law

rng = np.random.default_rng(20260)
drift = []
for n, N, k, d, d_ref, delta2, alpha, moved in [
    (130, 10_000, 10, 1, 1, .01, 1e-6, 0), (1_000, 10_000, 10, 1, 1, .01, 1e-6, 0),
    (10_000, 10_000, 10, 1, 1, .01, 1e-6, .02), (100_000, 100_000, 10, 1, 1, .01, 1e-6, .02),
    (1_000_000, 10_000, 10, 1, 1, .01, 1e-6, .03), (5_000, 20_000, 10, 2.5, 1.5, .01, 1e-5, .03),
    (5_000, 20_000, 6, 1, 3, .0, 1e-4, .01), (300, 1_000, 4, 1, 1, .02, .05, .05),
]:
    ref = rng.multinomial(N, np.full(k, 1 / k))
    p = np.full(k, 1 / k)
    p[0] += moved
    p[-1] -= moved
    cur = rng.multinomial(n, p)
    q, f = ref / ref.sum(), cur / cur.sum()
    x = n / d * np.sum((f - q) ** 2 / q)
    r = np.sqrt(d_ref * stats.chi2.isf(.01, k - 1) / N)
    shift = n / d * (np.sqrt(delta2) + r) ** 2
    drift.append(dict(reference=ref.tolist(), current=cur.tolist(), design=d, reference_design=d_ref,
        material=delta2, alpha=alpha, statistic=float(x), radius=float(r),
        cut=float(stats.ncx2.isf(alpha, k - 1, shift)), p_value=float(stats.ncx2.sf(x, k - 1, shift))))
out["drift"] = drift

shares = []
for x, n, ref_x, ref_n, margin in [(0, 100, 0, 10_000, .01), (12, 100, 100, 10_000, .01), (400, 1_000, 3_000, 10_000, .01),
    (60, 1_000, 5, 1_000, .02), (30_000, 100_000, 24_000, 100_000, .0), (5, 5, 0, 100, .0), (3, 1_000, 0, 1_000, 0.)]:
    upper = 1.0 if ref_x == ref_n else float(stats.beta.ppf(.99, ref_x + 1, ref_n - ref_x))
    bound = min(upper + margin, 1.0)
    shares.append(dict(hits=x, rows=n, reference_hits=ref_x, reference_rows=ref_n, margin=margin, upper=upper, bound=bound,
        p_value=float(stats.binom.sf(x - 1, n, bound))))
out["shares"] = shares

detector = []
for null, panes in [(.15, [(100, 12), (80, 20), (0, 0), (120, 15), (100, 31), (100, 33)]),
                    (.5, [(10, 5), (10, 9), (10, 10)]), (.02, [(1_000, 10), (1_000, 25), (2_000, 70)]),
                    (.3, [(50, 17.25), (50, 20.5), (1, 0.125)])]:
    rates = [2.0 ** -(j + 1) / null for j in range(8)]
    m = [-np.inf] * 8
    means = []
    for n, loss in panes:
        m = [float(loss * np.log1p(r * (1 - null)) + (n - loss) * np.log1p(-r * null) + np.logaddexp(0.0, v)) for r, v in zip(rates, m)]
        means.append(float(np.logaddexp.reduce(m) - np.log(8)))
    detector.append(dict(null=null, panes=panes, log_evidence=means))
out["detector"] = detector
print(json.dumps(out, separators=(",", ":")))
