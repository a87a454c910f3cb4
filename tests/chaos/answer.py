"""The batch answer: whole logs in, what the daemon must say of them out.

It knows the rules as ARCHITECTURE.md states them (Time, Verdicts) and nothing of the daemon's code: no
state, no checkpoints, no streaming; every rule is applied to the whole logs at once.

usage: answer.py SETTINGS.json LOGS.jsonl > ANSWER.json

A line of the logs is a record: side (predictions or labels), partition, offset, timestamp_ms, payload
(text or null), in the order of the partition. Times are whole milliseconds. Everything printed is a
count, or a quotient of two counts; so equality is exact.
"""

import hashlib
import json
import struct
import sys
from collections import Counter, defaultdict
from datetime import datetime, timezone

NEVER = -(1 << 60)
RANK = ["matched", "corrected", "duplicate", "beyond_horizon", "no_prediction"]


def main():
    with open(sys.argv[1]) as file:
        rules = json.load(file)
    logs = {"predictions": defaultdict(list), "labels": defaultdict(list)}
    with open(sys.argv[2]) as file:
        for line in file:
            record = json.loads(line)
            logs[record["side"]][record["partition"]].append(record)
    print(json.dumps(Answer(rules, logs).all(), indent=1))


def parse(record, fields):
    """The row of a record, or how it ended."""
    if record["payload"] is None:
        return "tombstone", None
    try:
        row = json.loads(record["payload"])
    except ValueError:
        return "refused", None
    if any(name not in row for name in fields):
        return "refused", None
    return None, row


class Answer:
    def __init__(self, rules, logs):
        self.rules = rules
        self.logs = logs
        self.prediction_rows = Counter()
        self.label_rows = Counter()
        self.rows_read = Counter()

    def all(self):
        accepted = self.accept()
        labels = self.readable()
        ranks = {at: len(RANK) - 1 for at in labels}
        by_id = defaultdict(list)
        for at, label in labels.items():
            by_id[label["id"]].append(at)
        pairs, slice_pairs, corrections = Counter(), Counter(), Counter()
        predictions, slice_predictions = Counter(), Counter()
        for prediction in accepted:
            version, country = prediction["version"], prediction["country"]
            predictions[version] += 1
            slice_predictions[version, country] += 1
            met = self.meet(prediction, by_id[prediction["id"]], labels, ranks, corrections)
            prediction["met"] = met
            if prediction["flush"]:
                continue
            self.prediction_rows["matched" if met else "expired_unlabelled"] += 1
            if met:
                cell = cell_of(prediction, met[0]["label"])
                pairs[version, cell] += 1
                slice_pairs[version, country, cell] += 1
        for at, rank in ranks.items():
            if not labels[at]["flush"]:
                self.label_rows[RANK[rank]] += 1
        judged, requests = self.judge(accepted)
        return {
            "rows_read": dict(self.rows_read),
            "prediction_rows": dict(self.prediction_rows),
            "label_rows": dict(self.label_rows),
            "predictions": named(predictions),
            "pairs": named(pairs),
            "slice_predictions": named(slice_predictions),
            "slice_pairs": named(slice_pairs),
            "corrections": named(corrections),
            "windows": self.windows(accepted),
            "decisions": named(judged),
            "requests": requests,
        }

    def accept(self):
        """Predictions that are in time and the first of their id."""
        rules, accepted = self.rules, []
        for partition, log in sorted(self.logs["predictions"].items()):
            newest, seen = NEVER, defaultdict(list)
            for record in log:
                self.rows_read["predictions"] += 1
                ended, row = parse(record, ["id", "time_ms", "version", "score"])
                if ended:
                    self.prediction_rows[ended] += 1
                    continue
                time = row["time_ms"]
                if time > record["timestamp_ms"] + rules["future_tolerance"]:
                    self.prediction_rows["too_far_in_future"] += 1
                    continue
                own = newest - rules["out_of_orderness"]
                newest = max(newest, time)
                if own > time + rules["allowed_lateness"]:
                    self.prediction_rows["late"] += 1
                    continue
                key = row["id"], row["version"]
                if any(abs(other - time) <= rules["corrections_for"] for other in seen[key]):
                    self.prediction_rows["duplicate"] += 1
                    continue
                seen[key].append(time)
                accepted.append({
                    "id": row["id"],
                    "version": row["version"],
                    "time": time,
                    "decision": row["score"] >= 0.5,
                    "country": row.get("country"),
                    "flush": row["id"].startswith("flush"),
                    "partition": partition,
                    "offset": record["offset"],
                })
        return accepted

    def readable(self):
        """Labels by (partition, offset), each with its partition's own watermark just before it."""
        rules, labels = self.rules, {}
        for partition, log in sorted(self.logs["labels"].items()):
            newest = NEVER
            for record in log:
                self.rows_read["labels"] += 1
                ended, row = parse(record, ["id", "time_ms", "label"])
                if ended:
                    self.label_rows[ended] += 1
                    continue
                time = row["time_ms"]
                if time > record["timestamp_ms"] + rules["future_tolerance"]:
                    self.label_rows["too_far_in_future"] += 1
                    continue
                labels[partition, record["offset"]] = {
                    "id": row["id"],
                    "time": time,
                    "label": row["label"] == 1,
                    "own": newest - rules["out_of_orderness"],
                    "flush": row["id"].startswith("flush"),
                }
                newest = max(newest, time)
        return labels

    def meet(self, prediction, candidates, labels, ranks, corrections):
        """The labels that a prediction meets, in the order of the log."""
        rules, time, met = self.rules, prediction["time"], []
        for at in candidates:
            label = labels[at]
            gap = label["time"] - time
            if label["own"] > time + rules["horizon"] + rules["grace"]:
                continue
            if gap < -rules["lead"] or gap > rules["horizon"] + rules["grace"]:
                continue
            if met and label["own"] > time + rules["corrections_for"]:
                continue
            if gap > rules["horizon"]:
                outcome = "beyond_horizon"
            elif not met:
                outcome = "matched"
            elif met[-1]["label"] != label["label"]:
                outcome = "corrected"
                corrections[(prediction["version"],)] += 1
            else:
                outcome = "duplicate"
            ranks[at] = min(ranks[at], RANK.index(outcome))
            if outcome != "beyond_horizon":
                key = max(label["time"], label["own"])
                met.append({"label": label["label"], "key": key})
        return met

    def windows(self, accepted):
        """[predictions, labelled, right / labelled] by size, version and end, of final windows."""
        counts = defaultdict(lambda: [0, 0, 0])
        for prediction in accepted:
            if prediction["flush"]:
                continue
            for size, every in self.rules["windows"]:
                end = prediction["time"] // every * every + every
                while end - size <= prediction["time"]:
                    count = counts[size, prediction["version"], end]
                    count[0] += 1
                    if prediction["met"]:
                        # One partition holds an id's labels: the last in the log counts.
                        label = prediction["met"][-1]["label"]
                        count[1] += 1
                        count[2] += label == prediction["decision"]
                    end += every
        return named({
            key: [predictions, labelled, right / labelled if labelled else None]
            for key, (predictions, labelled, right) in counts.items()
        })

    def judge(self, accepted):
        """Decisions by reason, and the requests, of all disjoint windows."""
        rules = self.rules["policy"]
        tiles = defaultdict(list)
        for prediction in accepted:
            if not prediction["flush"]:
                end = prediction["time"] // rules["window"] * rules["window"] + rules["window"]
                tiles[end, prediction["version"]].append(prediction)
        decisions, requests = Counter(), {}
        streaks, requested = Counter(), None
        for (end, version), rows in sorted(tiles.items()):
            labelled = right = 0
            for row in rows:
                known = [met for met in row["met"] if met["key"] <= end + rules["label_age"]]
                if known:
                    labelled += 1
                    right += known[-1]["label"] == row["decision"]
            if labelled < rules["min_labels"]:
                decisions["hold", "not_enough_labels"] += 1
                continue
            if not right / labelled < rules["below"]:
                streaks[version] = 0
                decisions["hold", "healthy"] += 1
                continue
            streaks[version] += 1
            if streaks[version] < rules["for"]:
                decisions["hold", "too_few_in_a_row"] += 1
            elif requested is not None and end - requested < rules["cooldown"]:
                decisions["hold", "in_cooldown"] += 1
            else:
                decisions["retrain", rules["reason"]] += 1
                requested = end
                self.request(requests, end, version, rows, labelled, right, streaks[version])
        return decisions, requests

    def request(self, requests, end, version, rows, labelled, right, streak):
        rules = self.rules["policy"]
        spans = defaultdict(lambda: [1 << 60, -1])
        for row in rows:
            span = spans[row["partition"]]
            span[0] = min(span[0], row["offset"])
            span[1] = max(span[1], row["offset"] + 1)
        requests[request_id(rules["name"], self.rules["model"], version, end)] = {
            "version": version,
            "window": [instant(end - rules["window"]), instant(end)],
            "due": instant(end + rules["label_age"]),
            "bad_in_a_row": streak,
            "value": right / labelled,
            "support": labelled,
            "predictions": len(rows),
            "labeled_predictions": labelled,
            "label_coverage": labelled / len(rows),
            "offsets": [[at, *span] for at, span in sorted(spans.items())],
        }


def cell_of(prediction, label):
    return {
        (True, True): "tp", (True, False): "fp", (False, True): "fn", (False, False): "tn",
    }[prediction["decision"], label]


def request_id(policy, model, version, end):
    digest = hashlib.sha256()
    for part in (policy, model, version):
        digest.update(struct.pack("<Q", len(part)) + part.encode())
    digest.update(struct.pack("<q", end * 1000))
    return "retrain-" + digest.hexdigest()[:32]


def instant(millis):
    return datetime.fromtimestamp(millis // 1000, timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")


def named(counts):
    """Keys joined into one text each, sorted."""
    text = lambda key: key if isinstance(key, str) else "/".join(str(part) for part in key)
    return {text(key): counts[key] for key in sorted(counts)}


main()
