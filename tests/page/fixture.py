#!/usr/bin/env python3
"""Answers the page's API with made-up data, for work on the page and for its test with large and hostile names.

  tests/page/fixture.py [--port 8700] [--models 50] [--features 200] [--slices 500] [--delay 0]

Serves the page's files from src/page as they are on disk, with the headers of the daemon, so that a change is seen by
reloading. Prints the port on its first line.
"""
import argparse
import hashlib
import json
import math
import os
import pathlib
import random
import sys
import threading
import time
import urllib.parse
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

PAGE = pathlib.Path(__file__).resolve().parents[2] / "src" / "page"
TYPES = {".html": "text/html; charset=utf-8", ".css": "text/css; charset=utf-8",
         ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
CSP = ("default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; connect-src 'self'; "
       "base-uri 'none'; form-action 'none'; frame-ancestors 'none'")
HOSTILE = ["<script>alert(1)</script>", "\"><img src=x onerror=alert(2)>", "new\nline\ttab", "'; DROP TABLE--",
           "x" * 199 + "…", "\u202egnirts desrever", "a&b=c?d#e/f%2Fg", "__proto__", "..", "constructor"]
STARTED = time.time()
SIZE = 60.0
POINTS = 90


class World:
    def __init__(self, arguments):
        self.models = ["income"] + [f"model-{n:02}" for n in range(1, arguments.models)]
        self.features = ["hours-per-week", "education"] + HOSTILE
        self.features += [f"feature_{n:03}" for n in range(len(self.features), arguments.features)]
        self.features = self.features[:arguments.features]
        pairs = ["marital-status=Married-civ-spouse", "marital-status=Never-married", "sex=Male", "sex=Female"]
        pairs += [f"name={text}" for text in HOSTILE]
        pairs += [f"zip={n:03},device={'phone' if n % 2 else 'desk'}" for n in range(len(pairs), arguments.slices)]
        self.slices = pairs[:arguments.slices]

    def kind(self, feature):
        return "categorical" if self.features.index(feature) % 3 == 1 else "numeric"

    def condition(self, model):
        """bad, warning, ok, unknown: and how far through its story it is."""
        if model == "income":
            return "bad"
        number = int(model.split("-")[1])
        return ["warning", "ok", "ok", "unknown", "ok", "ok", "bad", "ok"][number % 8]

    def ends(self, now):
        last = math.floor(now / SIZE) * SIZE
        return [last - SIZE * n for n in range(POINTS - 1, -1, -1)]

    def fall(self, model, end, now):
        """0 to 1: how far the model has fallen at this window."""
        if self.condition(model) not in ("bad", "warning"):
            return 0.0
        depth = 1.0 if self.condition(model) == "bad" else 0.35
        since = end - (now - 25 * SIZE)
        return depth * min(max(since / (4 * SIZE), 0), 1)

    def estimate(self, model, end, now, base=0.86, drop=0.1, support=1000, salt=""):
        noise = random.Random(f"{model}{end}{salt}").gauss(0, 0.004)
        value = base - drop * self.fall(model, end, now) + noise
        half = 1.96 * math.sqrt(value * (1 - value) / support)
        return {"value": value, "lower": value - half, "upper": min(value + half, 1), "support": support, "error_max": 0}


def summary(world, model, now):
    condition = world.condition(model)
    ends = world.ends(now)
    fresh = condition == "unknown"
    estimate = None if fresh else world.estimate(model, ends[-3], now)
    reasons = []
    if condition == "bad":
        reasons = [{"kind": "policy_firing", "policy": "accuracy-fell", "version": "v7",
                    "text": f"accuracy-fell is firing for v7: accuracy {estimate['value']:.3f} is below 0.83"},
                   {"kind": "drift", "feature": world.features[0], "version": "v7",
                    "text": f"{world.features[0]} has drifted: js 0.21"},
                   {"kind": "request_given_up", "text": "the webhook trainer was given up after 3 days"}]
    if condition == "warning":
        reasons = [{"kind": "labels_silent", "text": "no labels for 2 hours"}]
    if fresh:
        reasons = [{"kind": "waiting", "text": "no window has closed yet"}]
    slices = world.slices[0] if world.slices else None
    return {
        "name": model, "task": "binary", "health": condition, "reasons": reasons,
        "headline": None if fresh else {
            "metric": "accuracy", "window": "1m", "window_end": ends[-3], "version": "v7", "estimate": estimate,
            "baseline": {"value": 0.86, "source": "profile"}, "coverage": 0.96},
        "versions": [
            {"version": "v1", "first_prediction_at": now - 20, "last_prediction_at": now - 2, "predictions": 400,
             "labeled": 12, "profile_hash": None, "reference": None, "baseline": {}}] if fresh else [
            {"version": "v7", "first_prediction_at": now - 90 * SIZE, "last_prediction_at": now - 2,
             "predictions": 120000, "labeled": 115000, "profile_hash": "a1b2c3d4", "reference": "own",
             "baseline": {"accuracy": 0.86, "roc_auc": 0.91}},
            {"version": HOSTILE[0], "first_prediction_at": now - 900 * SIZE, "last_prediction_at": now - 60 * SIZE,
             "predictions": 999, "labeled": 900, "profile_hash": None, "reference": "inherited", "baseline": {}}],
        "pending_predictions": 743, "predictions_closing": now - 65, "labels_closing": now - 70,
        "labels_silent": condition == "warning",
        "worst_feature": None if fresh else {"feature": world.features[0], "version": "v7", "window": "1m",
                                             "statistic": "js", "value": 0.213, "material": True},
        "worst_slice": None if fresh or not slices else {
            "slice": slice_of(slices), "version": "v7", "window": "1m", "window_end": ends[-3], "metric": "accuracy",
            "value": world.estimate(model, ends[-3], now, 0.78, 0.25, 300)["value"], "labeled": 300, "gap": 0.19,
            "gap_lower": 0.15},
        "firing": [{"policy": "accuracy-fell", "version": "v7", "since": now - 24 * SIZE}] if condition == "bad" else [],
        "last_request": {"id": "retrain-00ff", "at": now - 23 * SIZE, "policy": "accuracy-fell",
                         "state": "delivered"} if condition == "bad" else None,
        "sparkline": {"ends": [], "values": []} if fresh else {
            "ends": ends[-60:], "values": [world.estimate(model, end, now)["value"] for end in ends[-60:]]},
    }


def slice_of(name):
    pairs = [pair.split("=", 1) for pair in name.split(",")] if not name.startswith("name=") else [name.split("=", 1)]
    return {"name": name, "conditions": [{"feature": pair[0], "value": pair[1]} for pair in pairs if len(pair) == 2]}


def detail(world, model, now):
    answer = summary(world, model, now)
    fresh = answer["headline"] is None
    end = world.ends(now)[-3]
    metrics = {"accuracy": world.estimate(model, end, now),
               "roc_auc": world.estimate(model, end, now, 0.91, 0.05),
               "log_loss": {"value": 0.412, "lower": None, "upper": None, "support": 1000, "error_max": 0},
               "precision": world.estimate(model, end, now, 0.74, 0.1, 240),
               "recall": world.estimate(model, end, now, 0.62, 0.2, 240)}
    answer.update({
        "windows": [{"window": window, "size": size, "every": 60, "keep": 660,
                     "closed_through": None if fresh else end, "next_end": None if fresh else end + 60}
                    for window, size in (("1m", 60), ("5m", 300))],
        "metrics": [{"name": name, "label": f"What {name} says.", "higher_is_better": name != "log_loss",
                     "unit": None if name == "log_loss" else "ratio",
                     "interval": "95% interval: Wilson's."} for name in metrics],
        "features": [{"name": name, "kind": world.kind(name)} for name in world.features],
        "slices": ["marital-status", "sex", "zip,device"],
        "current": [] if fresh else [
            {"version": "v7", "window": window, "end": end, "predictions": 1200, "labeled": 1158, "coverage": 0.965,
             "metrics": metrics} for window in ("1m", "5m")]})
    return answer


def points_of(columns):
    return [0.8 if value is None else value for value in columns["value"]]


def estimates_of(values, coverage):
    """Estimates that are a little too high, and the one line from there to what is measured."""
    estimated = [min(value + 0.02, 1.0) for value in values]
    combined = [share * value + (1 - share) * guess for share, value, guess in zip(coverage, values, estimated)]
    half = [0.002 + 0.05 * (1 - share) for share in coverage]
    return {"estimated": estimated, "estimated_lower": [value - 0.03 for value in estimated],
            "estimated_upper": [min(value + 0.03, 1.0) for value in estimated], "combined": combined,
            "combined_lower": [value - part for value, part in zip(combined, half)],
            "combined_upper": [value + part for value, part in zip(combined, half)],
            "grade": {"windows": 24, "bias": -0.02, "band_held": 21, "band_windows": 24, "trusted": True,
                      "reason": "the graded windows bear the estimates out"}}


def history(world, model, now, query):
    ends = [] if world.condition(model) == "unknown" else world.ends(now)
    names = query.get("metric", "accuracy").split(",")
    base, drop = (0.78, 0.25) if query.get("slice") else (0.86, 0.1)

    def series(version, ends):
        metrics = {}
        for name in names:
            points = [world.estimate(model, end, now, base, drop, 300 if query.get("slice") else 1000, name)
                      for end in ends]
            metrics[name] = {key: [point[key] for point in points] for key in ("value", "lower", "upper")}
            if len(ends) > 40:
                for key in metrics[name]:
                    metrics[name][key][33] = None
        count = len(ends)
        coverage = [0.96] * (count - 3) + [0.9, 0.6, 0.2] if count > 3 else [0.9] * count
        estimates = {name: estimates_of(points_of(metrics[name]), coverage) for name in names
                     if name == "accuracy" and not query.get("slice")}
        return {"version": version, "slice": query.get("slice") and slice_of(query["slice"]), "ends": ends,
                "predictions": [1200] * count, "labeled": [round(1200 * share) for share in coverage],
                "coverage": coverage, "state": ["final"] * max(count - 3, 0) + ["on_time"] * min(3, count),
                "metrics": metrics, "baseline": {} if query.get("slice") else {"accuracy": 0.86},
                "estimates": estimates}
    marks = []
    if ends:
        marks = [{"at": ends[20], "kind": "version", "version": "v7", "text": "v7 appears"},
                 {"at": now - 24 * SIZE, "kind": "firing", "version": "v7", "policy": "accuracy-fell",
                  "text": "accuracy-fell fires for v7"},
                 {"at": now - 24 * SIZE + 2, "kind": "request", "version": "v7", "policy": "accuracy-fell",
                  "text": "a retraining is requested"},
                 {"at": now - 23.8 * SIZE, "kind": "delivered", "version": "v7", "policy": "accuracy-fell",
                  "text": "trainer took the request"}]
    all_series = [series("v7", ends[20:]), series(HOSTILE[0], ends[:21])] if ends else []
    if query.get("version"):
        all_series = [one for one in all_series if one["version"] == query["version"]]
    return {"window": query.get("window", "1m"), "size": 60, "every": 60, "series": all_series, "marks": marks}


def page_of(items, query):
    offset, limit = int(query.get("offset", 0)), int(query.get("limit", 100))
    return items[offset:offset + limit]


def drift_of(world, model, feature, end, now):
    rank = world.features.index(feature)
    seed = random.Random(f"{feature}{end}").random()
    strength = world.fall(model, end, now) * 0.25 / (1 + rank * 0.6)
    return 0.004 + 0.012 * seed + strength


def drift(world, model, now, query):
    fresh = world.condition(model) == "unknown"
    ends = [] if fresh else world.ends(now)[-60:]
    shown = [] if fresh else page_of(world.features, query)
    effects = {name: [drift_of(world, model, name, end, now) for end in ends] for name in shown}
    return {"window": query.get("window", "1m"), "version": None if fresh else "v7", "reference": "own",
            "end": ends[-1] if ends else None, "predictions": 1200, "statistic": "js",
            "total": 0 if fresh else len(world.features),
            "features": [{
                "feature": name, "kind": world.kind(name), "output": False, "rank": number + 1,
                "effect": effects[name][-1], "material": effects[name][-1] > 0.1,
                "statistics": {"psi": effects[name][-1] * 1.4, "js": effects[name][-1], "ks": 0.11,
                               "wasserstein": 0.3},
                "missing_share": 0.02 * (number % 3), "invalid_share": 0.0,
                "out_of_range_share": None if world.kind(name) == "categorical" else 0.004 * (number % 5),
                "new_share": 0.01 if world.kind(name) == "categorical" else None,
                "reference_missing_share": 0.02} for number, name in enumerate(shown)],
            "heat": {"ends": ends, "features": [
                {"feature": name, "effect": effects[name], "missing": [0.02] * len(ends)} for name in shown]}}


def feature(world, model, name, now, query):
    if name not in world.features:
        return None
    ends = world.ends(now)[-60:]
    effects = [drift_of(world, model, name, end, now) for end in ends]
    moved = world.fall(model, ends[-1], now)
    if world.kind(name) == "numeric":
        edges = [None] + [10 * n for n in range(13)] + [None]

        def numeric(center, count, missing):
            weight = [math.exp(-((n - center) / 2.4) ** 2) for n in range(14)]
            total = sum(weight)
            return {"count": count, "missing": missing, "min": 0.5, "max": 131.25, "mean": center * 10 - 5,
                    "bins": [{"lower": edges[n], "upper": edges[n + 1], "share": weight[n] / total}
                             for n in range(14)],
                    "quantiles": {key: 10 * (center + shift) for key, shift in
                                  (("0.05", -3.2), ("0.25", -1.4), ("0.5", -0.5), ("0.75", 0.6), ("0.95", 2.3))}}
        reference, current = numeric(5.0, 20000, 400), numeric(5.0 + 2.4 * moved, 1200, 24)
    else:
        values = ["HS-grad", "Bachelors"] + HOSTILE[:5] + [f"value {n}" for n in range(8)]

        def categorical(first, count, missing):
            weight = [1 / (n + 1) for n in range(len(values))]
            weight[0] *= first
            total = sum(weight) * 1.03
            return {"count": count, "missing": missing, "other_share": 0.03,
                    "values": [{"value": value, "share": weight[n] / total} for n, value in enumerate(values)]}
        reference, current = categorical(1, 20000, 400), categorical(1 + 1.2 * moved, 1200, 24)
    return {"feature": name, "kind": world.kind(name), "window": query.get("window", "1m"), "version": "v7",
            "end": ends[-1], "statistics": {"psi": effects[-1] * 1.4, "js": effects[-1], "ks": 0.11},
            "missing_share": 0.02, "invalid_share": 0.0, "out_of_range_share": 0.004, "new_share": 0.01,
            "reference_missing_share": 0.018, "reference": reference, "current": current,
            "history": {"ends": ends, "effect": effects, "missing": [0.02] * 60,
                        "new": [0.0] * 40 + [0.01] * 20, "out_of_range": [0.004] * 60}}


def slices(world, model, now, query):
    fresh = world.condition(model) == "unknown"
    ends = world.ends(now)
    end = ends[-3]
    rows = []
    for number, name in enumerate([] if fresh else world.slices):
        base, drop = (0.78, 0.25) if number == 0 else (0.86 + 0.0002 * number, 0.05 / (number + 1))
        support = 300 if number < 20 else 20
        estimate = world.estimate(model, end, now, min(base, 0.97), drop, support)
        rest = world.estimate(model, end, now, 0.87, 0.02, 900)
        rows.append({"slice": slice_of(name), "predictions": support, "labeled": support - 4, "coverage": 0.97,
                     "estimate": estimate, "rest": rest, "gap": rest["value"] - estimate["value"],
                     "gap_lower": rest["value"] - estimate["value"] - 0.03,
                     "gap_upper": rest["value"] - estimate["value"] + 0.03,
                     "share": support / 1200,
                     "history": {"ends": ends[-30:], "values": [
                         world.estimate(model, at, now, min(base, 0.97), drop, support, name)["value"]
                         for at in ends[-30:]]}})
    return {"window": query.get("window", "1m"), "version": None if fresh else "v7", "end": None if fresh else end,
            "metric": query.get("metric", "accuracy"),
            "whole": {"predictions": 1200, "labeled": 1158, "estimate": world.estimate(model, end, now)},
            "total": len(rows), "slices": page_of(rows, query)}


def labels(world, model, now):
    ends = world.ends(now)
    bounds = [1, 5, 10, 30, 60, 300, 600, 3600, None]
    counts = [120, 900, 2400, 9000, 22000, 8000, 900, 80, 3]
    coverage = [0.965] * (POINTS - 4) + [0.93, 0.8, 0.5, 0.1]
    return {"delay": {"buckets": [{"le": le, "count": count} for le, count in zip(bounds, counts)],
                      "count": sum(counts), "mean": 48.2},
            "maturity": [{"window": "1m", "version": "v7", "ends": ends, "coverage": coverage}],
            "expected": {"horizon": 600, "lead": 0, "grace": 60, "silent_after": 3600, "absent_after": None,
                         "coverage_min": 0.8, "support_min": 200},
            "outcomes": {"rows": {"matched": 115000, "never_labeled": 4257, "late": 12, "duplicate": 3},
                         "labels": {"matched": 115000, "beyond_horizon": 40, "waiting": 3}}}


def policies(world, model, now):
    bad = world.condition(model) == "bad"
    return {"policies": [
        {"name": "accuracy-fell", "window": "1m", "measure": "accuracy",
         "condition": "accuracy surely below baseline - 0.03, from 500 labels, for 2 windows in a row",
         "action": "retrain", "webhook": "trainer",
         "cooldown": 900, "for": 2, "label_age": 60,
         "firing": [{"version": "v7", "since": now - 24 * SIZE}] if bad else [],
         "cooldown_until": now + 600 if bad else None,
         "last": [{"version": "v7", "window_end": now - 130, "decision": "hold", "reason": "cooldown",
                   "text": "accuracy 0.7354 [0.7094, 0.7599] on 1168 labeled of 1200 predictions (bound 0.8191)"}],
         "decisions": [{"decision": "retrain", "reason": "beyond_bound", "count": 1},
                       {"decision": "hold", "reason": "cooldown", "count": 21},
                       {"decision": "hold", "reason": "healthy", "count": 66}]},
        {"name": "inputs-moved", "window": "5m", "measure": "drift",
         "condition": "inputs moved by more than is material (phi^2 0.01, shares 0.01), at 0.5 false alarms a week at most",
         "action": "alert", "webhook": None, "cooldown": None, "for": 1, "label_age": None, "firing": [],
         "budget": {"episodes_per_week": 0.5, "alpha": 2.4e-6, "run_length": None, "episodes": 2 if bad else 0, "versions": [
             {"version": "v7", "evidence": 1.31 if bad else 0.12, "tests": [
                 {"feature": "age", "test": "distribution", "since": now - 24 * SIZE, "calm": 1},
                 {"feature": None, "test": "loss", "since": now - 12 * SIZE, "calm": 0}] if bad else []},
             {"version": "v8", "evidence": None, "tests": []}]},
         "cooldown_until": None, "last": [], "decisions": []}]}


def requests(world, now, query):
    def one(number, state, attempts):
        return {"id": f"retrain-{hashlib.sha256(str(number).encode()).hexdigest()[:32]}", "model": "income",
                "version": "v7", "policy": "accuracy-fell", "webhook": "trainer",
                "window": {"start": now - 25 * SIZE, "end": now - 24 * SIZE}, "created_at": now - (23 + number) * SIZE,
                "state": state, "next_attempt_at": now + 40 if state == "waiting" else None, "attempts": attempts,
                "given_up": "not taken for 3 days" if state == "given_up" else None,
                "evidence": {"type": "model.retraining.requested", "timestamp": "2026-01-31T09:30:00Z", "data": {
                    "model": "income", "version": "v7", "task": "binary", "policy": "accuracy-fell",
                    "reason": "accuracy 0.7354 [0.7094, 0.7599] on 1168 labeled of 1200 predictions (bound 0.8191)",
                    "window": {"start": "2026-01-31T09:29:00Z", "end": "2026-01-31T09:30:00Z", "size_seconds": 60,
                               "bad_in_a_row": 2},
                    "metric": {"name": "accuracy", "value": 0.7354, "lower": 0.7094, "upper": 0.7599,
                               "support": 1168, "baseline": 0.8491, "bound": 0.8191},
                    "predictions": 1200, "labeled_predictions": 1168, "label_coverage": 0.973,
                    "drifting_features": [{"name": name, "statistics": [{"name": "psi", "value": 0.29}]}
                                          for name in world.features[:4]],
                    "offsets": [{"topic": "income.predictions",
                                 "partitions": [{"partition": 0, "from": 100, "to": 700}]}]}}}
    rows = [one(0, "delivered", [{"at": now - 1380, "status": 503, "error": "the trainer is busy"},
                                 {"at": now - 1370, "status": 204, "error": None}]),
            one(1, "waiting", [{"at": now - 100, "status": None, "error": HOSTILE[0] + ": connection refused"}]),
            one(2, "given_up", [{"at": now - 2000 + n, "status": 500, "error": None}
                                for n in range(8)])]
    rows = [row for row in rows if query.get("model", "income") == row["model"]]
    return {"total": len(rows), "requests": page_of(rows, query)}


def pipeline(world, now):
    def partitions(lag):
        return [{"partition": n, "assigned": True, "position": 60200 + n, "end": 60200 + n + lag * n,
                 "lag_records": lag * n, "lag_seconds": 0.4 * n, "watermark": now - 3 - n, "paused": n == 3}
                for n in range(4)]
    return {"connected": True, "last_error": None,
            "topics": [{"topic": "income.predictions", "role": "predictions", "group": "tidemark", "missing": False,
                        "partitions": partitions(12)},
                       {"topic": "income.labels", "role": "labels", "group": "tidemark", "missing": False,
                        "partitions": partitions(0)}],
            "watermarks": [{"model": name, "predictions_closing": now - 65, "labels_closing": now - 70,
                            "labels_silent": world.condition(name) == "warning", "pending": 743,
                            "waiting_labels": 12} for name in world.models],
            "dead_letters": [{"topic": "income.predictions", "reason": "not_json", "count": 4}],
            "rows": [{"topic": "income.predictions", "outcome": "joined", "count": 115000},
                     {"topic": "income.predictions", "outcome": "late", "count": 12},
                     {"topic": "income.labels", "outcome": "matched", "count": 115000}],
            "checkpoints": {"last_durable_at": now - 4, "last_duration": 0.031, "last_bytes": 1834022,
                            "failures": 0, "last_error": None, "every": 10},
            "memory": {"resident_bytes": 83 << 20}}


def answer(world, path, query, now):
    parts = [urllib.parse.unquote(part) for part in path.split("/")]
    match parts:
        case ["status"]:
            return {"version": "0.1.0", "started_at": STARTED, "now": now, "ready": True, "not_ready_reason": None,
                    "config": {"file": "tidemark.yaml", "hash": "9f2c", "loaded_at": STARTED, "last_reload": None},
                    "show_values": True}
        case ["models"]:
            order = ["bad", "warning", "unknown", "ok"]
            names = sorted(world.models, key=lambda name: order.index(world.condition(name)))
            return {"total": len(names), "models": [summary(world, name, now) for name in page_of(names, query)]}
        case ["requests"]:
            return requests(world, now, query)
        case ["pipeline"]:
            return pipeline(world, now)
        case ["models", model, *rest] if model in world.models:
            match rest:
                case []:
                    return detail(world, model, now)
                case ["history"]:
                    return history(world, model, now, query)
                case ["drift"]:
                    return drift(world, model, now, query)
                case ["features", name]:
                    return feature(world, model, name, now, query)
                case ["slices"]:
                    return slices(world, model, now, query)
                case ["labels"]:
                    return labels(world, model, now)
                case ["policies"]:
                    return policies(world, model, now)
    return None


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    world = None
    delay = 0.0

    def do_GET(self):
        url = urllib.parse.urlsplit(self.path)
        if url.path.startswith("/api/v1/"):
            time.sleep(self.delay)
            now = time.time()
            query = dict(urllib.parse.parse_qsl(url.query))
            found = answer(self.world, url.path[len("/api/v1/"):], query, now)
            if found is None:
                found = {"error": {"code": "not_found", "message": f"nothing is at {url.path[:100]}"}}
                self.send(404, "application/json", json.dumps(found).encode())
            else:
                found["generated_at"] = now
                self.send(200, "application/json", json.dumps(found).encode())
            return
        name = "index.html" if url.path == "/" else url.path.removeprefix("/page/")
        file = (PAGE / name).resolve()
        if not file.is_relative_to(PAGE) or not file.is_file():
            self.send(404, "text/plain", b"not found")
            return
        self.send(200, TYPES.get(file.suffix, "text/plain"), file.read_bytes())

    def send(self, status, kind, body):
        tag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
        if status == 200 and self.headers.get("If-None-Match") == tag:
            status, body = 304, b""
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("ETag", tag)
        try:
            self.end_headers()
            self.wfile.write(body)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # The page went on to another view meanwhile.

    def log_message(self, *arguments):
        pass


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--models", type=int, default=50)
    parser.add_argument("--features", type=int, default=200)
    parser.add_argument("--slices", type=int, default=500)
    parser.add_argument("--end-with-input", action="store_true", help="end when standard input is closed")
    parser.add_argument("--delay", type=float, default=0.0)
    arguments = parser.parse_args()
    Handler.world, Handler.delay = World(arguments), arguments.delay
    server = ThreadingHTTPServer(("127.0.0.1", arguments.port), Handler)
    print(server.server_address[1], flush=True)
    if arguments.end_with_input:
        threading.Thread(target=lambda: (sys.stdin.read(), os._exit(0)), daemon=True).start()
    server.serve_forever()


main()
