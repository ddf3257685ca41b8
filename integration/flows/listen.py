"""Prefect's own subscriber: prints each event about LISTEN_TO as it arrives, until it is stopped."""

import asyncio
import os

from prefect.events.clients import get_events_subscriber
from prefect.events.filters import EventAnyResourceFilter, EventFilter


async def main():
    about = EventFilter(any_resource=EventAnyResourceFilter(id=[os.environ["LISTEN_TO"]]))
    async with get_events_subscriber(filter=about) as events:
        print("listening", flush=True)
        async for event in events:
            print("heard", event.event, flush=True)


asyncio.run(main())
