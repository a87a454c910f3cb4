"""The dashboard of the daemon itself: does it see everything, and does it keep up."""

from kit import (
    DAEMON, GREEN, ORANGE, PAGE, RED, annotation, dashboard, lines, link, query, row, stat, table,
    thresholds, variables,
)

PIPELINE = [link("The pipeline on the page", f"{PAGE}/pipeline")]
REQUESTS = [link("Requests on the page", f"{PAGE}/requests")]
YES = [{"type": "value", "options": {"0": {"text": "no", "color": RED}, "1": {"text": "yes", "color": GREEN}}}]


def rate(metric, by, extra=""):
    matchers = f"{DAEMON}, {extra}" if extra else DAEMON
    return f"sum by ({by}) (rate({metric}{{{matchers}}}[$__rate_interval]))"


def quantiles(metric, by=""):
    grouping = f"le, {by}" if by else "le"
    name = f"{{{{{by}}}}} " if by else ""
    return [
        query(f"histogram_quantile({q}, sum by ({grouping}) (rate({metric}_bucket{{{DAEMON}}}[$__rate_interval])))", f"{name}{text}")
        for q, text in ((0.5, "median"), (0.99, "99%"))
    ]


def now():
    return row("Now", [
        stat("Ready", "Restored, assigned, polling, nothing fatal: /-/ready.", "short",
             [query(f"min(tidemark_ready{{{DAEMON}}})", "ready")], width=3, mappings=YES, graph="none", links=PIPELINE),
        stat("Connected", "A broker can be reached.", "short",
             [query(f"min(tidemark_consumer_connected{{{DAEMON}}})", "connected")], width=3, mappings=YES, graph="none", links=PIPELINE),
        stat("Configuration", "The last attempt to load the configuration worked.", "short",
             [query(f"min(tidemark_config_last_reload_successful{{{DAEMON}}})", "loaded")], width=3, mappings=YES, graph="none"),
        stat("Records read a second", "Over all topics.", "cps",
             [query(f"sum(rate(tidemark_records_read_total{{{DAEMON}}}[$__rate_interval]))", "records")], width=3),
        stat("Largest lag", "Records between our position and the end of a partition.", "short",
             [query(f"max(tidemark_consumer_lag_records{{{DAEMON}}})", "records")], width=3, thresholds=thresholds((None, GREEN), (10000, ORANGE)), links=PIPELINE),
        stat("Oldest checkpoint", "Age of the last durable checkpoint of the older lineage. It grows when nothing is read: then there is nothing to keep.", "s",
             [query(f"max(time() - tidemark_checkpoint_last_success_timestamp_seconds{{{DAEMON}}})", "age")], width=3, thresholds=thresholds((None, GREEN), (300, RED))),
        stat("Uptime", "Time since the start of the process.", "s",
             [query(f"time() - process_start_time_seconds{{{DAEMON}}}", "{{instance}}")], width=3, graph="none"),
        stat("Requests that wait", "Requests for a retraining that were not delivered yet.", "short",
             [query(f"sum(tidemark_outbox_pending_requests{{{DAEMON}}})", "requests")], width=3, thresholds=thresholds((None, GREEN), (1, ORANGE)), links=REQUESTS),
    ])


def inputs():
    return row("Inputs", [
        lines("Records read", "Kafka records read a second, by topic.", "cps",
              [query(rate("tidemark_records_read_total", "topic"), "{{topic}}")], links=PIPELINE),
        lines("Bytes read", "Bytes of payloads read a second, by topic.", "Bps",
              [query(rate("tidemark_read_bytes_total", "topic"), "{{topic}}")]),
        lines("Consumer lag", "Records between our position and the end of the log, by partition.", "short",
              [query(f"tidemark_consumer_lag_records{{{DAEMON}}}", "{{topic}} {{partition}}")], min=0, links=PIPELINE),
        lines("Consumer lag in time", "How old the last record read is, by its Kafka timestamp; 0 at the end of the log.", "s",
              [query(f"tidemark_consumer_lag_seconds{{{DAEMON}}}", "{{topic}} {{partition}}")], min=0, links=PIPELINE),
        lines("Watermarks behind now", "How far behind the clock event time is up to which windows close, by input. A line that rises stands still.", "s",
              [query(f"time() - tidemark_closing_watermark_timestamp_seconds{{{DAEMON}}}", "{{model}} {{input}}")], links=PIPELINE),
        lines("Watermarks of partitions behind now", "How far behind the clock each partition's own event time is: which one holds the rest back?", "s",
              [query(f"time() - tidemark_own_watermark_timestamp_seconds{{{DAEMON}}}", "{{topic}} {{partition}}")], links=PIPELINE),
        lines("Partitions paused", "Partitions that are not read at the moment, by topic.", "short",
              [query(f"sum by (topic) (tidemark_consumer_paused{{{DAEMON}}})", "{{topic}}")], min=0, width=8),
        lines("Position", "Offset of the next record to be read, by partition.", "short",
              [query(f"tidemark_consumer_offset{{{DAEMON}}}", "{{topic}} {{partition}}")], width=8),
        lines("Rebalances", "Assignments and revocations of partitions, and consumers made anew because they made no progress, in each step of the graph.", "short",
              [query(f"increase(tidemark_consumer_rebalances_total{{{DAEMON}}}[$__rate_interval])", "rebalances"),
               query(f"increase(tidemark_consumer_recreations_total{{{DAEMON}}}[$__rate_interval])", "made anew")], width=8),
    ])


def rows():
    return row("Rows: where they ended", [
        lines("Prediction rows by outcome", "Rows a second by how they ended, as of the last checkpoint. A prediction that waits for its label has not ended yet.", "cps",
              [query(rate("tidemark_prediction_rows_total", "model, outcome") + " > 0", "{{model}} {{outcome}}")], fill=20, stack=True),
        lines("Label rows by outcome", "Rows a second by how they ended, as of the last checkpoint.", "cps",
              [query(rate("tidemark_label_rows_total", "topic, outcome") + " > 0", "{{topic}} {{outcome}}")], fill=20, stack=True),
        lines("Labels by model and outcome", "A row of a topic that several models share counts for each of them.", "cps",
              [query(rate("tidemark_model_label_rows_total", "model, outcome") + " > 0", "{{model}} {{outcome}}")]),
        lines("Rows read", "Rows a second, by topic. A record may hold several.", "cps",
              [query(rate("tidemark_rows_read_total", "topic"), "{{topic}}")]),
        lines("Refused rows by reason", "Rows a second that could not be read as a prediction or label.", "cps",
              [query(rate("tidemark_rows_refused_total", "topic, reason"), "{{topic}} {{reason}}")], min=0),
        lines("Dead letters", "Refused records that went to the dead letter topic, were withheld by its rate limit, or got lost, a second.", "cps",
              [query(rate("tidemark_dead_letters_total", "topic"), "{{topic}} written"),
               query(rate("tidemark_dead_letters_withheld_total", "topic"), "{{topic}} withheld"),
               query(f"sum(rate(tidemark_dead_letter_failures_total{{{DAEMON}}}[$__rate_interval]))", "lost")], min=0),
        lines("Waiting for the other side", "Predictions that wait for a label, and labels that wait for a prediction.", "short",
              [query(f"tidemark_pending_predictions{{{DAEMON}}}", "{{model}} predictions"), query(f"tidemark_waiting_labels{{{DAEMON}}}", "{{topic}} labels")], min=0, links=PIPELINE),
        lines("Labels in other partitions", "Share of a sample of ids whose label lies in another partition than their prediction, so that they cannot meet.", "percentunit",
              [query(f"tidemark_copartition_mismatch_ratio{{{DAEMON}}}", "{{model}}")], min=0),
        lines("Corrections", "Labels a second that replaced an earlier one of the same prediction.", "cps",
              [query(rate("tidemark_corrections_total", "model, version"), "{{model}} {{version}}")], min=0),
        lines("Windows shown", "Windows emitted a second: on time, late (labels came) and final.", "cps",
              [query(rate("tidemark_window_firings_total", "model, window, firing"), "{{model}} {{window}} {{firing}}")]),
    ])


def state():
    return row("State", [
        lines("Age of the last checkpoint", "By lineage: shards (rows, windows) and models (policies, requests).", "s",
              [query(f"time() - tidemark_checkpoint_last_success_timestamp_seconds{{{DAEMON}}}", "{{lineage}}")], min=0),
        lines("Time to write a checkpoint", "Half, and 99 in 100, took no longer than this; by lineage.", "s", quantiles("tidemark_checkpoint_seconds", "lineage"), min=0),
        lines("Checkpoints written", "Bytes a second, by lineage.", "Bps",
              [query(rate("tidemark_checkpoint_written_bytes_total", "lineage"), "{{lineage}}")], width=8),
        lines("Size of a full checkpoint", "The newest one, by lineage.", "bytes",
              [query(f"tidemark_checkpoint_size_bytes{{{DAEMON}}}", "{{lineage}}")], min=0, width=8),
        lines("Failed checkpoints", "Attempts that failed, and all attempts, in each step of the graph.", "short",
              [query(f"sum by (lineage) (increase(tidemark_checkpoint_failures_total{{{DAEMON}}}[$__rate_interval]))", "{{lineage}} failed"),
               query(f"sum by (lineage) (increase(tidemark_checkpoint_writes_total{{{DAEMON}}}[$__rate_interval]))", "{{lineage}} all")], min=0, width=8),
    ])


def webhooks():
    return row("Webhooks", [
        lines("Requests and failures", "HTTP requests to each webhook, retries included, and those that it did not take, in each step of the graph.", "short",
              [query(f"sum by (webhook) (increase(tidemark_webhook_requests_total{{{DAEMON}}}[$__rate_interval]))", "{{webhook}} all"),
               query(f"sum by (webhook) (increase(tidemark_webhook_failures_total{{{DAEMON}}}[$__rate_interval]))", "{{webhook}} failed")], width=8, min=0, links=REQUESTS),
        lines("Time to answer", "Half, and 99 in 100, of its answers took no longer than this.", "s", quantiles("tidemark_webhook_request_seconds", "webhook"), width=8, min=0),
        lines("Oldest request that waits", "Time since it was made. No line: none waits.", "s",
              [query(f"time() - tidemark_outbox_oldest_pending_timestamp_seconds{{{DAEMON}}}", "{{webhook}}")], width=8, min=0, links=REQUESTS),
        table("Deliveries", "Requests for a retraining since the start of the state.", "short", [
            query(f"tidemark_outbox_delivered_total{{{DAEMON}}}", instant=True, table=True),
            query(f"tidemark_outbox_given_up_total{{{DAEMON}}}", instant=True, table=True),
            query(f"tidemark_outbox_pending_requests{{{DAEMON}}}", instant=True, table=True),
            query(f"tidemark_webhook_disabled{{{DAEMON}}}", instant=True, table=True),
        ], columns=["delivered", "given up", "waiting", "disabled"], height=5, links=REQUESTS),
    ])


def process():
    return row("Process", [
        lines("CPU", "Processor cores that are in use.", "short", [query(f"rate(process_cpu_seconds_total{{{DAEMON}}}[$__rate_interval])", "{{instance}}")], width=8, min=0),
        lines("Memory", "Memory that the process holds (resident).", "bytes", [query(f"process_resident_memory_bytes{{{DAEMON}}}", "{{instance}}")], width=8, min=0),
        lines("Open files", "Descriptors in use, and how many there may be.", "short",
              [query(f"process_open_fds{{{DAEMON}}}", "{{instance}} open"), query(f"process_max_fds{{{DAEMON}}}", "{{instance}} at most")], width=8, min=0),
        lines("Time of a batch", "To decode and apply a batch of records.", "s", quantiles("tidemark_batch_seconds"), width=8, min=0),
        lines("Time of a poll", "To get records from librdkafka; waiting included.", "s", quantiles("tidemark_poll_seconds"), width=8, min=0),
        lines("Time of a scrape", "To answer Prometheus.", "s", quantiles("tidemark_scrape_seconds"), width=8, min=0),
        lines("Snapshots", "Age of the numbers in a scrape.", "s",
              [query(f"time() - tidemark_snapshot_timestamp_seconds{{{DAEMON}}}", "{{instance}}")], width=8, min=0),
        lines("Scrapes with an older snapshot", "Because the engine was busy, in each step of the graph.", "short",
              [query(f"increase(tidemark_snapshots_stale_total{{{DAEMON}}}[$__rate_interval])", "{{instance}}")], width=8, min=0),
        lines("Series dropped", "Series of a model left out because it has more than http.series_max.", "short",
              [query(f"tidemark_series_dropped{{{DAEMON}}}", "{{model}}")], width=8, min=0),
        lines("HTTP requests", "Answered a second, by endpoint.", "cps",
              [query(rate("tidemark_http_requests_total", "endpoint"), "{{endpoint}}")], width=12),
        table("Build and configuration", "What runs, and with which configuration.", "short",
              [query(f"tidemark_build_info{{{DAEMON}}}", instant=True, table=True),
               query(f"tidemark_config_info{{{DAEMON}}}", instant=True, table=True)], width=12, hidden=("Value #A", "Value #B")),
    ])


def build():
    annotations = [
        annotation("Start", f"changes(process_start_time_seconds{{{DAEMON}}}[$__rate_interval]) > 0", ORANGE, "{{instance}} was started"),
    ]
    return dashboard(
        "daemon", "tidemark / Daemon", "The daemon itself: inputs, where rows ended, checkpoints, webhooks, process.",
        [now(), inputs(), rows(), state(), webhooks(), process()], variables(), annotations, "/pipeline",
    )
