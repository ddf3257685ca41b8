//! The decision about one request.

mod auth_request;
mod clients_that_leave;
mod companion;
mod cross_site;
mod ladder;
mod responses;
mod states;
