//! The one integration test binary: a module a part.
#![allow(clippy::unwrap_used)]

mod alarm;
mod api;
mod cbpe;
mod chaos;
mod checkpoint;
mod compare;
mod config;
mod dashboards;
mod decode;
mod demo;
mod detector;
mod drift;
mod e2e;
mod http;
mod http_alertmanager;
mod http_security;
mod kafka;
mod laws;
mod page;
mod performance;
mod profile;
mod project;
mod ranking;
mod scenarios;
mod simulation;
mod support;
mod telemetry;
mod tidy;
mod webhook;
