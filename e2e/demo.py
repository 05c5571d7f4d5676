"""`make demo`: the whole service on this machine, ending with an answered question."""

import sys

from e2e.cluster import up
from e2e.cluster.log import ClusterError, say
from e2e.deploy import CHAT_MODEL, FRONTEND, apply_example, forwarded, install_operator, secret
from e2e.kubectl import command, get, kubectl
from e2e.openwebui import PageError, ask, models, sign_in

GPUS = 4
QUESTION = "What is the capital of France?"


def main() -> int:
    """Run the demo and return the exit status."""
    try:
        up.up(gpu_count=GPUS)
        install_operator()
        apply_example()
        _show()
    except (ClusterError, PageError) as error:
        print(f"\ndemo: {error}", file=sys.stderr)
        print("It can be repeated; what is done stays done.", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(
            "\ninterrupted; `make demo` goes on from here, `make down` cleans up", file=sys.stderr
        )
        return 130
    return 0


def _show() -> None:
    _, namespace, name = FRONTEND
    admin = f"{name}-ui-admin"
    email, password = secret(namespace, admin, "email"), secret(namespace, admin, "password")
    with forwarded(namespace, f"{name}-ui", "/health") as url:
        say(f"signing in to Open WebUI as {email}")
        token = sign_in(url, email, password)
        print(f"\nModels in the page: {', '.join(models(url, token))}")
        print(f"Question: {QUESTION}")
        print(f"Answer:   {ask(url, token, CHAT_MODEL[2], QUESTION).strip()}\n")
    print(kubectl("get", "ondol,deployments,services,pods,pvc", "-A"))
    _addresses(namespace, name, admin, email)
    say("done")


def _addresses(namespace: str, name: str, admin: str, email: str) -> None:
    """Print where to go next. The password itself is not printed: terminals are logged."""
    run = " ".join(command())
    page = get("service", f"{name}-ui", "-n", namespace)["spec"]["clusterIP"]
    proxy = get("service", "default-proxy", "-n", "ondol-system")["spec"]["clusterIP"]
    print(f"Chat page:  http://{page} on this machine; from elsewhere forward it:")
    print(f"  {run} port-forward -n {namespace} service/{name}-ui 8080:80 --address 0.0.0.0")
    print(f"  sign in as {email} with the password that this prints:")
    print(f"  {run} get secret {admin} -n {namespace} {_value('password')}")
    print(f"API:        http://{proxy}/v1 on this machine; the administrator's key:")
    print(f"  {run} get secret default-proxy-master -n ondol-system {_value('master-key')}")
    print("Stop:       make down")


def _value(key: str) -> str:
    return f"-o go-template='{{{{index .data \"{key}\" | base64decode}}}}'"


if __name__ == "__main__":
    sys.exit(main())
