"""Prints the environment and the volumes of a flow run's job: `job_template.py TYPE VARIABLES`.

TYPE is docker or kubernetes, VARIABLES are job variables as JSON. Prefect's own code fills in its own
base job template of that type, in the environment of a worker."""

import asyncio
import json
import os
import sys
from importlib.resources import files
from uuid import uuid4

from prefect.client.schemas.objects import FlowRun
from prefect.workers.base import BaseJobConfiguration


class Job(BaseJobConfiguration):
    """The parts of a job that the documentation speaks of."""

    volumes: list[str] | None = None


def template(kind: str) -> dict:
    data = files("prefect.server.api.collections_data.views") / "aggregate-worker-metadata.json"
    for types in json.loads(data.read_text()).values():
        if kind in types:
            return types[kind]["default_base_job_configuration"]
    raise SystemExit(f"no worker of type {kind}")


async def main(kind: str, variables: str) -> None:
    job = await Job.from_template_and_values(template(kind), json.loads(variables))
    job.prepare_for_flow_run(FlowRun(id=uuid4(), flow_id=uuid4(), name="a-run"))
    # Not the credential itself: logs have none.
    own = os.environ["PREFECT_API_AUTH_STRING"]
    env = {name: "the worker's" if value == own else value for name, value in job.env.items()}
    print("job", json.dumps({"env": env, "volumes": job.volumes}))


asyncio.run(main(*sys.argv[1:]))
