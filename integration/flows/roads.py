"""What Prefect's own clients reach with the credential that the environment sets: the rows of
docs/clients.md.

Prints one JSON object, `roads`: road -> "ok" or a short reason. "ok" is what a witness confirms,
who asks the API by plain HTTP with the credential in ROADS_WITNESS (an Authorization header): an
event that was sent is stored, an event, a log line, a task run that the witness makes arrives.
Also `tls_settings`: what these clients can be told about TLS.
"""

import asyncio
import json
import logging
import os
import ssl
from contextlib import suppress
from datetime import datetime, timezone
from uuid import uuid4

import anyio
import httpx
import prefect
from prefect.client.orchestration import get_client
from prefect.client.schemas.filters import LogFilter, LogFilterFlowRunId
from prefect.client.schemas.objects import TaskRun
from prefect.client.subscriptions import Subscription
from prefect.events import Event
from prefect.events.clients import get_events_client, get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter
from prefect.logging import clients as log_clients
from prefect.settings import get_current_settings
from websockets.exceptions import ConnectionClosed, InvalidStatus

API = os.environ["PREFECT_API_URL"]
POOL = "roads"
# A refused client hears so at once: what takes this long does not work.
LIMIT = 45


class Witness:
    """Somebody else, who may do all this."""

    def __init__(self):
        trusted = ssl.create_default_context(cafile=os.environ["PREFECT_API_SSL_CERT_FILE"])
        headers = {"authorization": os.environ.pop("ROADS_WITNESS")}
        self.http = httpx.AsyncClient(verify=trusted, headers=headers, timeout=30)

    async def post(self, path, body, also=()):
        answer = await self.http.post(API + path, json=body)
        # SQLite was busy: nothing has been written.
        while answer.status_code == 503:
            await asyncio.sleep(0.5)
            answer = await self.http.post(API + path, json=body)
        if answer.status_code not in also:
            answer.raise_for_status()
        return answer

    async def make_pool(self):
        await self.post("/work_pools/", {"name": POOL, "type": "process"}, also=(409,))

    async def workers(self):
        return (await self.post(f"/work_pools/{POOL}/workers/filter", {})).text

    async def emit(self, resource):
        await self.post("/events", [event(resource).model_dump(mode="json")])

    async def log(self, flow_run):
        now = datetime.now(timezone.utc).isoformat()
        line = {"name": "roads", "level": 20, "message": "seen", "timestamp": now}
        await self.post("/logs/", [{**line, "flow_run_id": flow_run}])

    async def schedule(self, task_key):
        state = {"type": "SCHEDULED", "state_details": {"deferred": True}}
        run = {"task_key": task_key, "dynamic_key": str(uuid4()), "flow_run_id": None}
        await self.post("/task_runs/", {**run, "state": state})

    async def stored(self, resource):
        wanted = {"filter": {"any_resource": {"id": [resource]}}}
        while resource not in (await self.post("/events/filter", wanted)).text:
            await asyncio.sleep(0.5)


def unique(kind):
    return f"roads.{kind}.{uuid4()}"


def event(resource):
    return Event(event="roads.seen", resource={"prefect.resource.id": resource})


async def first(subscriber, make):
    """The first that arrives. It is made again each second, since nobody tells when a
    subscription has begun."""
    arriving = asyncio.ensure_future(subscriber.__anext__())
    try:
        while not arriving.done():
            await make()
            await asyncio.wait([arriving], timeout=1)
        return arriving.result()
    finally:
        arriving.cancel()


async def http(_witness):
    async with get_client() as client:
        pool = await client.read_work_pool(POOL)
    return "ok" if pool.name == POOL else "another pool"


async def events_in(witness):
    resource = unique("in")
    # A checkpoint waits for the pong: by then a refusal has arrived.
    async with get_events_client(reconnection_attempts=0, checkpoint_every=1) as client:
        await client.emit(event(resource))
        await witness.stored(resource)
    return "ok"


async def events_out(witness):
    resource = unique("out")
    wanted = EventFilter(any_resource=EventAnyResourceFilter(id=[resource]))
    async with get_events_subscriber(filter=wanted, reconnection_attempts=0) as subscriber:
        seen = await first(subscriber, lambda: witness.emit(resource))
    return "ok" if seen.resource.id == resource else "another event"


async def logs_out(witness):
    if not hasattr(log_clients, "get_logs_subscriber"):
        return "no such client"
    run = str(uuid4())
    wanted = LogFilter(flow_run_id=LogFilterFlowRunId(any_=[run]))
    subscribing = log_clients.get_logs_subscriber(filter=wanted, reconnection_attempts=0)
    async with subscribing as subscriber:
        seen = await first(subscriber, lambda: witness.log(run))
    return "ok" if str(seen.flow_run_id) == run else "another line"


async def scheduled_task_runs(witness):
    key = unique("task")
    subscription = Subscription(
        model=TaskRun,
        path="/task_runs/subscriptions/scheduled",
        keys=[key],
        client_id=unique("client"),
        base_url=API,
    )
    seen = await first(subscription, lambda: witness.schedule(key))
    return "ok" if seen.task_key == key else "another task run"


async def worker_channel(witness):
    try:
        from prefect.workers._worker_channel import WorkPoolWorkerChannel
    except ImportError:
        return "no such client"
    name = unique("worker")

    async def no_metadata():
        return None

    async with get_client() as client, anyio.create_task_group() as tasks:
        channel = WorkPoolWorkerChannel(
            client=client,
            api_url=API,
            work_pool_name=POOL,
            worker_name=name,
            worker_type="process",
            heartbeat_interval_seconds=30,
            work_queue_names=[],
            create_pool_if_not_found=False,
            default_base_job_template={},
            worker_metadata=no_metadata,
            work_pool_is_available=lambda: True,
            logger=logging.getLogger("roads"),
        )
        # Beside the channel, and instead of it, a worker uses HTTP: a road of its own.
        with suppress(httpx.HTTPStatusError):
            await channel.sync(tasks)
        # It is tried again, too, where SQLite was busy when the worker was to be written down.
        while not (channel.state.healthy or channel.state.terminal):
            await asyncio.sleep(0.1)
        healthy, why = channel.state.healthy, channel.state.reason
        known = name in await witness.workers()
        channel.stop()
        tasks.cancel_scope.cancel()
    if not healthy:
        return str(why)
    return "ok" if known else "Prefect knows no such worker"


ROADS = {
    "HTTP": http,
    "/events/in": events_in,
    "/events/out": events_out,
    "/logs/out": logs_out,
    "/task_runs/subscriptions/scheduled": scheduled_task_runs,
    "/work_pools/{name}/workers/connect": worker_channel,
}


def causes(error):
    while error is not None:
        yield error
        inner = getattr(error, "exceptions", None)
        error = inner[0] if inner else error.__cause__ or error.__context__


def reason(error):
    """The status or close code at the bottom of an error: never its text, which may hold more."""
    for cause in causes(error):
        if isinstance(cause, ConnectionClosed):
            return f"closed {cause.rcvd.code if cause.rcvd else 1006}"
        if isinstance(cause, (InvalidStatus, httpx.HTTPStatusError)):
            return f"HTTP {cause.response.status_code}"
        if isinstance(cause, asyncio.TimeoutError):
            return "nothing came"
    return type(error).__name__


async def measure(road, witness):
    try:
        return await asyncio.wait_for(road(witness), LIMIT)
    except Exception as error:
        return reason(error)


def tls_settings():
    settings = get_current_settings()
    return sorted(
        f"{group}.{name}"
        for group in ("api", "client")
        for name in type(getattr(settings, group)).model_fields
        if any(word in name for word in ("cert", "ssl", "tls"))
    )


async def main():
    witness = Witness()
    await witness.make_pool()
    measured = await asyncio.gather(*(measure(road, witness) for road in ROADS.values()))
    with suppress(Exception):
        await witness.http.aclose()
    found = {"version": prefect.__version__, "roads": dict(zip(ROADS, measured))}
    print(json.dumps({**found, "tls_settings": tls_settings()}), flush=True)


asyncio.run(main())
