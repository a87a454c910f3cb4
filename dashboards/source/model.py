"""The dashboard of a model: is it right, since when, for whom."""

from kit import (
    BLUE, DAEMON, GREEN, MODEL, ORANGE, PAGE, RED, VERSION, WINDOW, annotation, bars, dashboard,
    lines, link, looks, of_unit, query, row, stat, states, table, thresholds, variable, variables,
)

SLICE = WINDOW + ', slice=~"$slice"'
MODEL_PAGE = f"{PAGE}/models/${{model}}"
ONE = f"{MODEL_PAGE}?window=${{window}}"


def interval(metric, unit="_ratio", baseline=True):
    """A metric with its 95% interval and its baseline."""
    out = [
        query(f"tidemark_{metric}{unit}{{{WINDOW}}}", "{{version}}"),
        query(f"tidemark_{metric}_lower{unit}{{{WINDOW}}}", "{{version}} lower"),
        query(f"tidemark_{metric}_upper{unit}{{{WINDOW}}}", "{{version}} upper"),
    ]
    if baseline:
        out.append(query(f"tidemark_{metric}_baseline{unit}{{{VERSION}}}", "{{version}} baseline"))
    return out


BANDS = [
    looks("(lower|upper)$", width=1, dash=True),
    looks("baseline$", width=1, color=RED),
]


def now():
    return row("Now", [
        stat("Accuracy now", "Share of right predictions in the newest window with enough labels, of the version that predicted last.",
             "percentunit", [query(f"tidemark_accuracy_ratio{{{WINDOW}}}", "{{version}}")],
             decimals=1, links=[link("The model's page", ONE)]),
        stat("Below its baseline by at least", "How far the whole 95% interval of accuracy lies below what the version reached on held-out data. Negative: as good as its baseline, as far as one can tell.",
             "percentunit", [query(f"model_version_window:tidemark_accuracy_below_baseline:lower{{{WINDOW}}}", "{{version}}")],
             decimals=1, thresholds=thresholds((None, GREEN), (0, ORANGE), (0.02, RED))),
        stat("Labels of the window", "Share of the window's predictions that have their label. Windows with too few (show.coverage_min) are not shown.",
             "percentunit", [query(f"tidemark_label_coverage_ratio{{{WINDOW}}}", "{{version}}")],
             decimals=0, links=[link("Labels on the page", f"{MODEL_PAGE}/labels")]),
        stat("Age of the window", "Time since the end of the window that is shown: the label delay, above all.",
             "s", [query(f"time() - tidemark_window_end_timestamp_seconds{{{WINDOW}}}", "{{version}}")], graph="none"),
        stat("Predictions a second", "Predictions accepted, over all versions.",
             "cps", [query(f"sum(rate(tidemark_predictions_total{{{MODEL}}}[$__rate_interval]))", "all versions")]),
        stat("Policies that fire", "Conditions that hold at the last window that they judged.",
             "short", [query(f"sum(tidemark_policy_firing{{{VERSION}}})", "firing")],
             thresholds=thresholds((None, GREEN), (1, RED)), links=[link("Policies on the page", f"{MODEL_PAGE}/policies")]),
    ])


def performance():
    return row("Performance", [
        lines("Accuracy", "Share of right predictions by version, its 95% interval (dashed) and its baseline: what the version reached on held-out data.",
              "percentunit", interval("accuracy"), width=24, height=10, overrides=BANDS, links=[link("The model's page", ONE)]),
        lines("Area under the ROC curve", "The chance that a positive scores above a negative; 0.5 is chance. Does not depend on the threshold. Binary models.",
              "percentunit", interval("roc_auc"), overrides=BANDS),
        lines("Precision, recall and F1", "Of the positive predictions, how many were right; of the positives, how many were found; and their harmonic mean. Binary models.",
              "percentunit", [query(f"tidemark_{m}_ratio{{{WINDOW}}}", f"{{{{version}}}} {m}") for m in ("precision", "recall", "f1")]),
        lines("Log loss", "Mean of minus the logarithm of the probability given to the true class, in nats, with its interval and baseline. Lower is better; it punishes confident errors.",
              "short", interval("log_loss", ""), overrides=BANDS),
        lines("Calibration", "Brier score and calibration error: whether stated probabilities are met. Lower is better.",
              "percentunit", [query(f"tidemark_brier_ratio{{{WINDOW}}}", "{{version}} brier"),
                              query(f"tidemark_calibration_error_ratio{{{WINDOW}}}", "{{version}} calibration error")]),
        lines("Positive rate and prevalence", "How often the model says positive, and how often that is the truth, among labelled predictions. They part when one of them shifts.",
              "percentunit", [query(f"tidemark_positive_rate_ratio{{{WINDOW}}}", "{{version}} predicted"),
                              query(f"tidemark_prevalence_ratio{{{WINDOW}}}", "{{version}} true")]),
        lines("Accuracy of labels as they come", "Of the labels that came within an hour, for predictions of whatever time. Reacts at once, from counters, and may be summed over versions.",
              "percentunit", [query(f"model_version:tidemark_accuracy:ratio_rate1h{{{VERSION}}}", "{{version}}")]),
    ])


def slices():
    to_slices = [link("Slices on the page", f"{MODEL_PAGE}/slices?window=${{window}}")]
    return row("For whom: slices", [
        bars("Worst slices now", "The ten slices with the lowest accuracy in the newest window.",
             "percentunit", [query(f"bottomk(10, tidemark_slice_accuracy_ratio{{{WINDOW}}})", "{{slice}} ({{version}})", instant=True)],
             min=0, max=1, links=to_slices),
        lines("Accuracy by slice", "Share of right predictions in each of the chosen slices.",
              "percentunit", [query(f"tidemark_slice_accuracy_ratio{{{SLICE}}}", "{{slice}} ({{version}})")], links=to_slices),
        table("Slices in numbers", "Accuracy of the chosen slices in the newest window, with the 95% interval and the labelled rows that it rests on.",
              "percentunit", [
                  query(f"tidemark_slice_accuracy_ratio{{{SLICE}}}", instant=True, table=True),
                  query(f"tidemark_slice_accuracy_lower_ratio{{{SLICE}}}", instant=True, table=True),
                  query(f"tidemark_slice_accuracy_upper_ratio{{{SLICE}}}", instant=True, table=True),
                  query(f"tidemark_slice_accuracy_support_rows{{{SLICE}}}", instant=True, table=True),
                  query(f"tidemark_slice_label_coverage_ratio{{{SLICE}}}", instant=True, table=True),
              ], columns=["accuracy", "lower", "upper", "labelled", "coverage"], hidden=("model", "window"),
              overrides=[of_unit("labelled", "short")], width=12, links=to_slices),
        lines("Predictions by slice", "Predictions a second in each of the chosen slices: did the population change?",
              "cps", [query(f'sum by (slice) (rate(tidemark_slice_predictions_total{{{VERSION}, slice=~"$slice"}}[$__rate_interval]))', "{{slice}}")], links=to_slices),
    ])


def labels():
    return row("Labels", [
        lines("Predictions", "Predictions accepted a second, by version: when a version came and went.",
              "cps", [query(f"sum by (version) (rate(tidemark_predictions_total{{{VERSION}}}[$__rate_interval]))", "{{version}}")], fill=20, stack=True),
        lines("First labels", "Predictions that got their first label, a second, by version and outcome (tp, fp, tn, fn; right, wrong; measured).",
              "cps", [query(f"sum by (version, outcome) (rate(tidemark_labeled_predictions_total{{{VERSION}}}[$__rate_interval]))", "{{version}} {{outcome}}")], fill=20, stack=True),
        lines("Label delay", "From a prediction to its first label, in event time: half, nine in ten, and 99 in 100 came within this time.",
              "s", [query(f"histogram_quantile({q}, sum by (le) (rate(tidemark_label_delay_seconds_bucket{{{MODEL}}}[$__rate_interval])))", name)
                    for q, name in ((0.5, "median"), (0.9, "90%"), (0.99, "99%"))], links=[link("Labels on the page", f"{MODEL_PAGE}/labels")]),
        lines("Predictions that never got a label", "Of the predictions that were settled within a day. Lags behind by the label horizon.",
              "percentunit", [query(f"model:tidemark_predictions_unlabeled:ratio_rate1d{{{MODEL}}}", "unlabelled")], min=0),
    ])


def policies():
    firing = [{"type": "value", "options": {"0": {"text": "quiet", "color": GREEN}, "1": {"text": "firing", "color": RED}}}]
    to_policies = [link("Policies on the page", f"{MODEL_PAGE}/policies")]
    return row("Policies and retraining", [
        states("Policies", "When each policy's condition held, by version.",
               [query(f"tidemark_policy_firing{{{VERSION}}}", "{{policy}} ({{version}})")], mappings=firing, links=to_policies),
        table("Decisions of policies", "Windows judged since the start of the state, by decision and reason: also why nothing was done.",
              "short", [query(f"sum by (policy, decision, reason) (tidemark_policy_decisions_total{{{MODEL}}})", instant=True, table=True)],
              columns=["windows"], width=12, links=to_policies),
        lines("Retrainings asked for", "Requests that this model's policies made, in each step of the graph.",
              "short", [query(f'sum by (policy) (increase(tidemark_policy_decisions_total{{{MODEL}, decision="retrain"}}[$__rate_interval]))', "{{policy}}")],
              links=[link("Requests on the page", f"{PAGE}/requests")]),
    ])


def regression():
    return row("Regression", [
        lines("Root mean squared error", "In the label's unit, with its 95% interval and its baseline. Lower is better; large errors weigh most.",
              "short", interval("rmse", ""), overrides=BANDS),
        lines("Mean and median absolute error", "In the label's unit. The median does not see outliers.",
              "short", [query(f"tidemark_mae{{{WINDOW}}}", "{{version}} mean"), query(f"tidemark_median_absolute_error{{{WINDOW}}}", "{{version}} median")]),
        lines("Bias", "Mean of prediction minus label, in the label's unit: above 0 the model predicts too much.",
              "short", interval("bias", "", baseline=False), overrides=BANDS),
        lines("Explained variance (R2)", "Share of the labels' variance that is explained; below 0: worse than their mean.",
              "percentunit", [query(f"tidemark_r2{{{WINDOW}}}", "{{version}}")]),
    ], collapsed=True)


def multiclass():
    return row("Several classes", [
        lines("Macro averages", "Precision, recall and F1 of each class, averaged over the classes: small classes weigh as much as large ones.",
              "percentunit", [query(f"tidemark_{m}_macro_ratio{{{WINDOW}}}", f"{{{{version}}}} {m}") for m in ("precision", "recall", "f1")]),
        lines("Top-k accuracy", "Share whose true class was among the k most probable.",
              "percentunit", [query(f"tidemark_top_k_accuracy_ratio{{{WINDOW}}}", "{{version}} top {{k}}")]),
    ], collapsed=True)


def build():
    matchers = DAEMON
    templating = variables(
        variable("model", "Model", "tidemark_pending_predictions", matchers),
        variable("version", "Version", "tidemark_model_info", MODEL, multi=True, sort=2),
        variable("window", "Window", "tidemark_window_end_timestamp_seconds", MODEL, sort=3),
        variable("slice", "Slice", "tidemark_slice_window_predictions", MODEL, multi=True),
    )
    annotations = [
        annotation("Retraining asked for", f'sum by (policy) (increase(tidemark_policy_decisions_total{{{MODEL}, decision="retrain"}}[$__rate_interval])) > 0', ORANGE, "Retraining asked for by {{policy}}"),
        annotation("New version", f"tidemark_model_info{{{VERSION}}} unless tidemark_model_info{{{VERSION}}} offset $__rate_interval", BLUE, "{{version}} is there"),
    ]
    return dashboard(
        "model", "tidemark / Model", "Whether a model is right: performance with intervals and baseline, slices, labels, policies.",
        [now(), performance(), slices(), labels(), policies(), regression(), multiclass()],
        templating, annotations, "/models/${model}?window=${window}",
    )
