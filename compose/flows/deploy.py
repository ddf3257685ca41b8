"""Creates the work pool and the deployment through Lictor, with the machines' API key.

This job can run any number of times. It keeps or updates what exists.
"""

import os
import ssl
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

from prefect import flow

POOL = "lictor"
FLOWS = Path(__file__).parent


def wait_for_lictor(url: str, limit: float = 180) -> None:
    """Waits until Lictor has Keycloak's keys. Before that, clients get 503."""
    context = ssl.create_default_context(cafile=os.environ["PREFECT_API_SSL_CERT_FILE"])
    end = time.monotonic() + limit
    while True:
        try:
            urllib.request.urlopen(url, timeout=5, context=context).close()
            return
        except urllib.error.URLError as problem:
            if time.monotonic() > end:
                sys.exit(f"{url} is not ready after {limit:.0f} s: {problem}")
        time.sleep(1)


def main() -> None:
    api = os.environ["PREFECT_API_URL"]
    wait_for_lictor(f"{api.removesuffix('/api')}/oauth2/ready")
    create = [sys.executable, "-m", "prefect", "--no-prompt", "work-pool", "create", POOL]
    subprocess.run([*create, "--type", "process", "--overwrite"], check=True)
    hello = flow.from_source(source=str(FLOWS), entrypoint="hello.py:hello")
    hello.deploy(name="compose", work_pool_name=POOL)


if __name__ == "__main__":
    main()
