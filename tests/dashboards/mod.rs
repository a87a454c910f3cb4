//! What is shipped for Grafana, Prometheus, Alertmanager and docker compose: that it names only
//! what exists, keeps the rules of its trades, and works on the real programs.

mod compose;
mod files;
mod grafana;
mod labels;
mod live;
mod names;
mod programs;
mod rules;
mod unit;
