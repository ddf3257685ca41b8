//! Starts the real Envoy, Keycloak and Prefect with Lictor between them: the library behind
//! `lictor-stack` (`make up`) and the end-to-end tests.
//!
//! A [`layout::Layout`] says where a stack keeps its files and which ports it uses; it is handed to
//! everything, so that a test can run a second stack beside the first. [`stack`] has the order of
//! things; `keycloak`, `prefect` and `envoy` each know how to start one part and when it is
//! ready; [`stack_file::StackFile`] is what scripts and tests read.

#![cfg_attr(test, allow(clippy::unwrap_used, clippy::indexing_slicing))]

pub mod cache;
pub mod cli;
pub mod command;
pub mod download;
pub mod envoy;
pub mod error;
pub mod go;
pub mod http;
pub mod keycloak;
pub mod launch;
pub mod layout;
pub mod logs;
pub mod module;
pub mod npm;
pub mod pki;
pub mod ports;
pub mod postgres;
pub mod prefect;
pub mod prefect_replicas;
pub mod process;
mod process_table;
pub mod progress;
pub mod ready;
pub mod redis;
pub mod report;
pub mod secrets;
pub mod stack;
pub mod stack_file;
pub mod status;
pub mod template;
pub mod tools;
