"""An application that has its work done by Prefect: lets deployments run, waits for each run's end.

    app.py [--events] ROUNDS FLOW/DEPLOYMENT...

Prints one JSON object, run -> how it ended. With --events it also waits until it has heard of each
end on the socket of events.
"""

import asyncio
import json
import sys

from prefect.deployments import run_deployment
from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventFilter, EventNameFilter

COMPLETED = "prefect.flow-run.Completed"
# A run takes seconds; this is for a machine with other things to do.
LIMIT = 180


async def run(deployment, rounds, ends):
    for _ in range(rounds):
        ended = await run_deployment(deployment, timeout=LIMIT, poll_interval=1)
        ends[str(ended.id)] = ended.state.type.value


async def run_all(deployments, rounds):
    ends = {}
    await asyncio.gather(*(run(deployment, rounds, ends) for deployment in deployments))
    return ends


async def heard_of(subscriber, count):
    heard = set()
    while len(heard) < count:
        event = await subscriber.__anext__()
        heard.add(event.resource.id.removeprefix("prefect.flow-run."))
    return heard


async def main(events, rounds, deployments):
    if not events:
        return await run_all(deployments, rounds)
    wanted = EventFilter(event=EventNameFilter(name=[COMPLETED]))
    async with get_events_subscriber(filter=wanted) as subscriber:
        hearing = asyncio.ensure_future(heard_of(subscriber, rounds * len(deployments)))
        ends = await run_all(deployments, rounds)
        heard = await asyncio.wait_for(hearing, LIMIT)
    if heard != set(ends):
        sys.exit(f"heard of {heard}, not of {set(ends)}")
    return ends


if __name__ == "__main__":
    arguments = sys.argv[1:]
    events = arguments[0] == "--events"
    rounds, *deployments = arguments[events:]
    print(json.dumps(asyncio.run(main(events, int(rounds), deployments))), flush=True)
