//! The decision about one request.

mod auth_request;
mod bodies;
mod clients_that_leave;
mod companion;
mod cross_site;
mod endpoints;
mod ladder;
mod protocol;
mod request_ids;
mod responses;
mod states;
