//! The table of Prefect's operations with the roles that may call them.
//!
//! It is made from the OpenAPI documents of Prefect 3.4.13, 3.6.29 and 3.8.8. Paths are below the
//! API's path and have no trailing slash. An operation that is missing here requires the role
//! admin, which every set of roles includes.

use crate::identity::role::Role;
use crate::identity::role_set::RoleSet;
use crate::prefect::bodies::BodyRule;

/// Roles for reading.
pub(super) const READ: RoleSet = RoleSet::of(&[Role::Viewer, Role::Operator, Role::Worker]);
/// Roles for reading what workers do not need.
const PEOPLE: RoleSet = RoleSet::of(&[Role::Viewer, Role::Operator]);
/// Roles for running existing deployments: people at the UI, and flows that start other flows.
const RUN: RoleSet = RoleSet::of(&[Role::Operator, Role::Worker]);
/// Roles for operating what workers do not need.
const OPERATE: RoleSet = RoleSet::of(&[Role::Operator]);
/// Roles for the calls of workers, runners, flow runs and task workers, with `serve()` and
/// `deploy`.
///
/// Creating deployments and blocks amounts to running code, which workers do anyway.
const WORK: RoleSet = RoleSet::of(&[Role::Worker]);
/// Only the role admin.
pub(super) const ADMIN: RoleSet = RoleSet::of(&[]);

/// The operations: method, path template and roles.
///
/// They are sorted by the first segment of the template, which is never a parameter.
#[rustfmt::skip]
pub(crate) const OPERATIONS: &[(&str, &str, RoleSet)] = &[
    ("POST", "/admin/database/clear", ADMIN),
    ("POST", "/admin/database/create", ADMIN),
    ("POST", "/admin/database/drop", ADMIN),
    ("GET", "/admin/settings", PEOPLE),
    ("DELETE", "/admin/storage", ADMIN),
    ("GET", "/admin/storage", READ),
    ("PUT", "/admin/storage", ADMIN),
    ("GET", "/admin/version", READ),
    ("POST", "/artifacts", WORK),
    ("POST", "/artifacts/count", READ),
    ("POST", "/artifacts/filter", READ),
    ("POST", "/artifacts/latest/count", READ),
    ("POST", "/artifacts/latest/filter", READ),
    ("DELETE", "/artifacts/{id}", ADMIN),
    ("GET", "/artifacts/{id}", READ),
    ("PATCH", "/artifacts/{id}", WORK),
    ("GET", "/artifacts/{key}/latest", READ),
    ("POST", "/automations", WORK),
    ("POST", "/automations/count", READ),
    ("POST", "/automations/filter", READ),
    ("DELETE", "/automations/owned-by/{resource_id}", WORK),
    ("GET", "/automations/related-to/{resource_id}", READ),
    ("POST", "/automations/templates/validate", READ),
    ("DELETE", "/automations/{id}", ADMIN),
    ("GET", "/automations/{id}", READ),
    ("PATCH", "/automations/{id}", WORK),
    ("PUT", "/automations/{id}", WORK),
    ("GET", "/block_capabilities", READ),
    ("POST", "/block_documents", WORK),
    ("POST", "/block_documents/count", READ),
    ("POST", "/block_documents/filter", WORK),
    ("DELETE", "/block_documents/{id}", ADMIN),
    ("GET", "/block_documents/{id}", READ),
    ("PATCH", "/block_documents/{id}", WORK),
    ("POST", "/block_schemas", WORK),
    ("GET", "/block_schemas/checksum/{checksum}", READ),
    ("POST", "/block_schemas/filter", READ),
    ("DELETE", "/block_schemas/{id}", ADMIN),
    ("GET", "/block_schemas/{id}", READ),
    ("POST", "/block_types", WORK),
    ("POST", "/block_types/filter", READ),
    ("POST", "/block_types/install_system_block_types", ADMIN),
    ("GET", "/block_types/slug/{slug}", READ),
    ("GET", "/block_types/slug/{slug}/block_documents", READ),
    ("GET", "/block_types/slug/{slug}/block_documents/name/{block_document_name}", READ),
    ("DELETE", "/block_types/{id}", ADMIN),
    ("GET", "/block_types/{id}", READ),
    ("PATCH", "/block_types/{id}", WORK),
    ("GET", "/collections/views/{view}", READ),
    ("POST", "/concurrency_limits", ADMIN),
    ("POST", "/concurrency_limits/decrement", WORK),
    ("POST", "/concurrency_limits/filter", READ),
    ("POST", "/concurrency_limits/increment", WORK),
    ("DELETE", "/concurrency_limits/tag/{tag}", ADMIN),
    ("GET", "/concurrency_limits/tag/{tag}", READ),
    ("POST", "/concurrency_limits/tag/{tag}/reset", ADMIN),
    ("DELETE", "/concurrency_limits/{id}", ADMIN),
    ("GET", "/concurrency_limits/{id}", READ),
    ("GET", "/csrf-token", READ),
    ("POST", "/deployments", WORK),
    ("POST", "/deployments/bulk_delete", ADMIN),
    ("POST", "/deployments/count", READ),
    ("POST", "/deployments/filter", READ),
    // The operation marks deployments as ready.
    ("POST", "/deployments/get_scheduled_flow_runs", WORK),
    ("GET", "/deployments/name/{flow_name}/{deployment_name}", READ),
    ("POST", "/deployments/paginate", READ),
    ("DELETE", "/deployments/{id}", ADMIN),
    ("GET", "/deployments/{id}", READ),
    ("PATCH", "/deployments/{id}", WORK),
    ("POST", "/deployments/{id}/create_flow_run", RUN),
    ("POST", "/deployments/{id}/create_flow_run/bulk", RUN),
    ("POST", "/deployments/{id}/pause_deployment", RUN),
    ("POST", "/deployments/{id}/resume_deployment", RUN),
    ("POST", "/deployments/{id}/schedule", RUN),
    ("GET", "/deployments/{id}/schedules", READ),
    ("POST", "/deployments/{id}/schedules", RUN),
    ("DELETE", "/deployments/{id}/schedules/{schedule_id}", RUN),
    ("PATCH", "/deployments/{id}/schedules/{schedule_id}", RUN),
    ("GET", "/deployments/{id}/work_queue_check", READ),
    ("GET", "/docs", READ),
    ("GET", "/docs/oauth2-redirect", READ),
    ("POST", "/events", WORK),
    ("POST", "/events/count-by/{countable}", READ),
    ("POST", "/events/filter", READ),
    ("GET", "/events/filter/next", READ),
    ("GET", "/flow_run_states", READ),
    ("GET", "/flow_run_states/{id}", READ),
    ("POST", "/flow_runs", RUN),
    ("POST", "/flow_runs/bulk_delete", ADMIN),
    ("POST", "/flow_runs/bulk_set_state", RUN),
    ("POST", "/flow_runs/count", READ),
    ("POST", "/flow_runs/filter", READ),
    ("POST", "/flow_runs/history", READ),
    ("POST", "/flow_runs/lateness", READ),
    ("POST", "/flow_runs/paginate", READ),
    ("DELETE", "/flow_runs/{id}", ADMIN),
    ("GET", "/flow_runs/{id}", READ),
    ("PATCH", "/flow_runs/{id}", RUN),
    ("GET", "/flow_runs/{id}/graph", READ),
    ("GET", "/flow_runs/{id}/graph-v2", READ),
    ("POST", "/flow_runs/{id}/input", WORK),
    ("POST", "/flow_runs/{id}/input/filter", READ),
    ("DELETE", "/flow_runs/{id}/input/{key}", WORK),
    ("GET", "/flow_runs/{id}/input/{key}", READ),
    ("PATCH", "/flow_runs/{id}/labels", RUN),
    ("GET", "/flow_runs/{id}/logs/download", READ),
    ("POST", "/flow_runs/{id}/resume", RUN),
    ("POST", "/flow_runs/{id}/set_state", RUN),
    ("POST", "/flows", WORK),
    ("POST", "/flows/bulk_delete", ADMIN),
    ("POST", "/flows/count", READ),
    ("POST", "/flows/filter", READ),
    ("GET", "/flows/name/{name}", READ),
    ("POST", "/flows/paginate", READ),
    ("DELETE", "/flows/{id}", ADMIN),
    ("GET", "/flows/{id}", READ),
    ("PATCH", "/flows/{id}", RUN),
    ("GET", "/health", READ),
    ("GET", "/hello", READ),
    ("POST", "/logs", WORK),
    ("POST", "/logs/filter", READ),
    ("GET", "/openapi.json", READ),
    ("GET", "/ready", READ),
    ("GET", "/redoc", READ),
    ("PUT", "/saved_searches", OPERATE),
    ("POST", "/saved_searches/filter", READ),
    ("DELETE", "/saved_searches/{id}", OPERATE),
    ("GET", "/saved_searches/{id}", READ),
    ("GET", "/static/{file}", READ),
    ("GET", "/task_run_states", READ),
    ("GET", "/task_run_states/{id}", READ),
    ("POST", "/task_runs", WORK),
    ("POST", "/task_runs/count", READ),
    ("POST", "/task_runs/filter", READ),
    ("POST", "/task_runs/history", READ),
    ("POST", "/task_runs/paginate", READ),
    // Task workers delete task runs that they could not start.
    ("DELETE", "/task_runs/{id}", WORK),
    ("GET", "/task_runs/{id}", READ),
    ("PATCH", "/task_runs/{id}", WORK),
    ("POST", "/task_runs/{id}/set_state", RUN),
    ("POST", "/task_workers/filter", READ),
    ("POST", "/templates/validate", READ),
    ("POST", "/ui/flow_runs/count-task-runs", READ),
    ("POST", "/ui/flow_runs/history", READ),
    ("POST", "/ui/flows/count-deployments", READ),
    ("POST", "/ui/flows/next-runs", READ),
    // Prefect before 3.8 fetches any URL in the schema.
    ("POST", "/ui/schemas/validate", OPERATE),
    ("POST", "/ui/task_runs/count", READ),
    ("POST", "/ui/task_runs/dashboard/counts", READ),
    ("GET", "/ui/task_runs/{id}", READ),
    ("POST", "/v2/concurrency_limits", ADMIN),
    ("POST", "/v2/concurrency_limits/decrement", WORK),
    ("POST", "/v2/concurrency_limits/decrement-with-lease", WORK),
    ("POST", "/v2/concurrency_limits/filter", READ),
    ("POST", "/v2/concurrency_limits/increment", WORK),
    ("POST", "/v2/concurrency_limits/increment-with-lease", WORK),
    ("POST", "/v2/concurrency_limits/leases/{lease_id}/renew", WORK),
    ("DELETE", "/v2/concurrency_limits/{id_or_name}", ADMIN),
    ("GET", "/v2/concurrency_limits/{id_or_name}", READ),
    ("PATCH", "/v2/concurrency_limits/{id_or_name}", ADMIN),
    ("POST", "/variables", WORK),
    ("POST", "/variables/count", READ),
    ("POST", "/variables/filter", READ),
    ("DELETE", "/variables/name/{name}", WORK),
    ("GET", "/variables/name/{name}", READ),
    ("PATCH", "/variables/name/{name}", WORK),
    ("DELETE", "/variables/{id}", ADMIN),
    ("GET", "/variables/{id}", READ),
    ("PATCH", "/variables/{id}", WORK),
    ("GET", "/version", READ),
    ("POST", "/work_pools", WORK),
    ("POST", "/work_pools/count", READ),
    ("POST", "/work_pools/filter", READ),
    ("DELETE", "/work_pools/{name}", ADMIN),
    ("GET", "/work_pools/{name}", READ),
    ("PATCH", "/work_pools/{name}", WORK),
    ("POST", "/work_pools/{name}/concurrency_status", READ),
    ("POST", "/work_pools/{name}/get_scheduled_flow_runs", WORK),
    ("POST", "/work_pools/{work_pool_name}/queues", WORK),
    ("POST", "/work_pools/{work_pool_name}/queues/filter", READ),
    ("DELETE", "/work_pools/{work_pool_name}/queues/{name}", ADMIN),
    ("GET", "/work_pools/{work_pool_name}/queues/{name}", READ),
    ("PATCH", "/work_pools/{work_pool_name}/queues/{name}", WORK),
    ("POST", "/work_pools/{work_pool_name}/workers/filter", READ),
    ("POST", "/work_pools/{work_pool_name}/workers/heartbeat", WORK),
    ("DELETE", "/work_pools/{work_pool_name}/workers/{name}", ADMIN),
    ("POST", "/work_queues", WORK),
    ("POST", "/work_queues/filter", READ),
    ("GET", "/work_queues/name/{name}", READ),
    ("DELETE", "/work_queues/{id}", ADMIN),
    ("GET", "/work_queues/{id}", READ),
    ("PATCH", "/work_queues/{id}", WORK),
    ("POST", "/work_queues/{id}/concurrency_status", READ),
    ("POST", "/work_queues/{id}/get_runs", WORK),
    ("GET", "/work_queues/{id}/status", READ),
];

/// An operation that more roles may call if its body satisfies a rule.
pub(crate) struct ByBody {
    pub(crate) method: &'static str,
    /// Path template.
    pub(crate) template: &'static str,
    /// The rule for the body.
    pub(crate) rule: BodyRule,
    /// The roles that may call the operation with such a body.
    pub(crate) roles: RoleSet,
}

/// The operations with a rule for their body. With any other body [`OPERATIONS`] applies.
pub(crate) const BODIES: &[ByBody] = &[
    ByBody {
        method: "POST",
        template: "/block_documents/filter",
        rule: BodyRule::AsksForNoSecrets,
        roles: READ,
    },
    // Both UIs pause and resume deployments in this way. Other members of the body decide which
    // code runs.
    ByBody {
        method: "PATCH",
        template: "/deployments/{id}",
        rule: BodyRule::OnlyPauses,
        roles: RUN,
    },
];

/// The sockets: path template and roles.
pub(crate) const SOCKETS: &[(&str, RoleSet)] = &[
    // An event can write task runs and trigger automations.
    ("/events/in", WORK),
    ("/events/out", READ),
    ("/logs/out", READ),
    ("/task_runs/subscriptions/scheduled", WORK),
    ("/work_pools/{name}/workers/connect", WORK),
];
