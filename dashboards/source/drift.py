"""The dashboard of a model's inputs: what they are compared with what the model was made for."""

from kit import (
    DAEMON, GREEN, MODEL, ORANGE, PAGE, RED, WINDOW, annotation, bars, dashboard, lines, link,
    of_unit, query, row, stat, table, thresholds, variable, variables,
)

FEATURE = WINDOW + ', feature=~"$feature"'
MODEL_PAGE = f"{PAGE}/models/${{model}}"
DRIFT_PAGE = f"{MODEL_PAGE}/drift?window=${{window}}"
# {__field.labels.feature} is the feature of the line or bar that is clicked.
TO_FEATURE = [link("The feature on the page", f"{MODEL_PAGE}/features/${{__field.labels.feature}}?window=${{window}}")]
TO_DRIFT = [link("Drift on the page", DRIFT_PAGE)]
PSI = thresholds((None, GREEN), (0.1, ORANGE), (0.25, RED))


def now():
    return row("Now", [
        stat("Largest PSI", "Of all features in the newest window. Above 0.25 is called a large shift, from about 1,000 predictions on; with fewer it is large by chance.",
             "short", [query(f"max(tidemark_drift_psi{{{WINDOW}}})", "PSI")], decimals=2, width=5, thresholds=PSI, links=TO_DRIFT),
        stat("Features above 0.25", "Features with a PSI above 0.25 in a window of at least 1,000 predictions.",
             "short", [query(f"count(model_version_window_feature:tidemark_drift_psi:material{{{WINDOW}}}) or 0 * count(tidemark_build_info{{{DAEMON}}})", "features")],
             width=5, thresholds=thresholds((None, GREEN), (1, RED)), links=TO_DRIFT),
        stat("Largest PSI of an output", "Of scores, predicted classes and labels in the newest window.",
             "short", [query(f"max(tidemark_output_drift_psi{{{WINDOW}}})", "PSI")], decimals=2, width=5, thresholds=PSI, links=TO_DRIFT),
        stat("Predictions of the window", "How many predictions the numbers below rest on.",
             "short", [query(f"tidemark_drift_window_predictions{{{WINDOW}}}", "{{version}}")], width=5),
        stat("Age of the drift window", "Time since the end of the window that is shown. Drift needs no labels, so it is younger than performance.",
             "s", [query(f"time() - tidemark_drift_window_end_timestamp_seconds{{{WINDOW}}}", "{{version}}")], graph="none"),
    ])


def features():
    return row("Features", [
        bars("PSI by feature, newest window", "Population stability index of the 20 features that lie farthest from their reference.",
             "short", [query(f"topk(20, tidemark_drift_psi{{{WINDOW}}})", "{{feature}} ({{version}})", instant=True)], height=12, min=0, thresholds=PSI, links=TO_FEATURE),
        lines("PSI by feature", "Population stability index of the chosen features over time: since when?",
              "short", [query(f"tidemark_drift_psi{{{FEATURE}}}", "{{feature}} ({{version}})")], height=12, links=TO_FEATURE),
        lines("Jensen-Shannon distance", "From 0 (alike) to 1 (disjoint), base 2. Bounded, so features can be compared.",
              "short", [query(f"tidemark_drift_js{{{FEATURE}}}", "{{feature}} ({{version}})")], min=0, links=TO_FEATURE),
        lines("Kolmogorov-Smirnov statistic", "Largest distance of the cumulative shares, from 0 to 1. Numeric features.",
              "short", [query(f"tidemark_drift_ks{{{FEATURE}}}", "{{feature}} ({{version}})")], min=0, links=TO_FEATURE),
        lines("Wasserstein distance", "How far values moved on average, in standard deviations of the reference. Numeric features.",
              "short", [query(f"tidemark_drift_wasserstein{{{FEATURE}}}", "{{feature}} ({{version}})")], min=0, links=TO_FEATURE),
        table("Statistics by feature", "All of the newest window, with the worst first if sorted by PSI.",
              "short", [query(f"tidemark_drift_{name}{{{FEATURE}}}", instant=True, table=True)
                        for name in ("psi", "js", "ks", "wasserstein", "chi_square", "l_infinity")],
              columns=["PSI", "JS", "KS", "Wasserstein", "chi-square", "L-infinity"], hidden=("model", "window"), width=12, links=TO_DRIFT),
    ])


def quality():
    def share(title, text, metric):
        return lines(title, text, "percentunit", [query(f"tidemark_feature_{metric}{{{FEATURE}}}", "{{feature}} ({{version}})")], min=0, links=TO_FEATURE)
    return row("Quality of the inputs", [
        share("Missing values", "Share of the window's predictions without the feature.", "missing_ratio"),
        share("Values out of range", "Share of the values outside of the reference's range. Numeric features.", "out_of_range_ratio"),
        share("New values", "Share of the values in categories that the reference does not have. Categorical features.", "new_value_ratio"),
        share("Invalid values", "Share of the window's predictions whose feature is of another type, or not finite.", "invalid_ratio"),
    ])


def outputs():
    return row("Outputs", [
        lines("Drift of outputs", "PSI of scores, predicted classes and labels against the reference.",
              "short", [query(f"tidemark_output_drift_psi{{{WINDOW}}}", "{{output}} ({{version}})")], min=0, links=TO_DRIFT),
        table("Statistics by output", "All of the newest window.",
              "short", [query(f"tidemark_output_drift_{name}{{{WINDOW}}}", instant=True, table=True) for name in ("psi", "js")],
              columns=["PSI", "JS"], hidden=("model", "window"), width=12, links=TO_DRIFT, overrides=[of_unit("JS", "short")]),
    ])


def build():
    templating = variables(
        variable("model", "Model", "tidemark_pending_predictions", DAEMON),
        variable("version", "Version", "tidemark_model_info", MODEL, multi=True, sort=2),
        variable("window", "Window", "tidemark_drift_window_end_timestamp_seconds", MODEL, sort=3),
        variable("feature", "Feature", "tidemark_feature_missing_ratio", MODEL, multi=True),
    )
    annotations = [
        annotation("Drift alert", f'sum by (policy) (increase(tidemark_policy_decisions_total{{{MODEL}, decision=~"alert|retrain"}}[$__rate_interval])) > 0', RED, "{{policy}} acted"),
    ]
    return dashboard(
        "drift", "tidemark / Drift", "How far a model's inputs and outputs lie from their reference, and how clean they are.",
        [now(), features(), quality(), outputs()], templating, annotations, "/models/${model}/drift?window=${window}",
    )
