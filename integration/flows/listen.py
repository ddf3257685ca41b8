"""Prefect's own subscriber, for as long as it takes: prints each event about LISTEN_TO as it arrives, and ends
with the one that is called `last`."""

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
            if event.event == "last":
                return


asyncio.run(main())
