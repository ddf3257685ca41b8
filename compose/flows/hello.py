"""A small flow with a task and logs. This stack's worker runs it through Lictor."""

from prefect import flow, get_run_logger, task


@task
def greet(name: str) -> str:
    get_run_logger().info("greeting %s", name)
    return f"Hello, {name}!"


@flow(log_prints=True)
def hello(names: tuple[str, ...] = ("Envoy", "Keycloak", "Prefect")) -> list[str]:
    greetings = [greet(name) for name in names]
    print(*greetings, sep="\n")
    return greetings
