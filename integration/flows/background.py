"""A task that is done in the background: `background.py serve` is the task worker,
`background.py COUNT` has it done so often and prints the task runs as JSON."""

import json
import sys

from prefect import task
from prefect.task_worker import serve


@task
def double(number: int) -> int:
    return 2 * number


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(double)
    else:
        futures = [double.delay(number) for number in range(int(sys.argv[1]))]
        print(json.dumps([str(future.task_run_id) for future in futures]), flush=True)
