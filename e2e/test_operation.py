"""What an administrator asks of the operator: few rights, no leaks, silence when all is settled."""

import base64
import json
from datetime import datetime

import pytest

from e2e.bench.measure.audit import Record, parse_line
from e2e.cluster import kind
from e2e.cluster.control_plane import AUDIT_LOG
from e2e.deploy import CHAT_MODEL, PROXY
from e2e.kubectl import Object, get, items, kubectl, never, wait_for

NAMESPACES = (PROXY[1], CHAT_MODEL[1])
ACCOUNT = f"system:serviceaccount:{PROXY[1]}:ondol"
KINDS = (
    "modeldeployments,proxyroutes,modelproxies,chatfrontends,deployments,replicasets,services,"
    "endpointslices,secrets,configmaps,persistentvolumeclaims,networkpolicies,"
    "poddisruptionbudgets,pods"
)
QUIET_SECONDS = 35

audited = pytest.mark.skipif(kind.wanted(), reason="kind keeps no audit log")


def test_nothing_is_written_when_all_is_settled() -> None:
    _settle()
    before, offset = _versions(), AUDIT_LOG.stat().st_size if AUDIT_LOG.exists() else 0
    never("a resourceVersion moved", lambda: _moved(before), QUIET_SECONDS, every=5)
    if not kind.wanted():
        records = [r for r in _records(offset) if r.user == ACCOUNT]
        assert any(r.resource == "leases" for r in records), "the operator is not in the audit log"
        written = {(r.verb, *r.target) for r in records if r.is_write}
        assert {target for target in written if target[1] != "leases.coordination.k8s.io"} == set()


def test_secrets_are_in_secrets_only() -> None:
    values = _secret_values()
    assert {"api-key", "chat-key", "embedding-key", "session-key", "password", "master-key"} <= {
        place.rsplit("/", 1)[1] for place in values.values()
    }
    everything = f"{KINDS.replace('secrets,', '')},events,controllerrevisions"
    places = {f"objects in {n}": kubectl("get", everything, "-n", n, "-o", "json")
              for n in NAMESPACES}  # fmt: skip
    for namespace in NAMESPACES:
        for secret in items("secrets", "-n", namespace):
            name = secret["metadata"]["name"]
            places[f"metadata of Secret {namespace}/{name}"] = str(secret["metadata"])
        for pod in items("pods", "-n", namespace):
            name = pod["metadata"]["name"]
            log = kubectl("logs", name, "-n", namespace, "--all-containers")
            places[f"log of {namespace}/{name}"] = log
    leaks = [
        f"{origin} in {place}"
        for value, origin in values.items()
        for place, text in places.items()
        if value in text or base64.b64encode(value.encode()).decode() in text
    ]
    assert leaks == []


def test_the_operator_asks_for_nothing_that_its_role_refuses() -> None:
    pod = _operator_pod()
    log = kubectl("logs", "-n", PROXY[1], pod["metadata"]["name"])
    assert "acting" in log
    assert "forbidden" not in log.lower()
    assert [line for line in log.splitlines() if "Traceback" in line or " ERROR " in line] == []


@audited
def test_no_request_of_the_operator_is_refused() -> None:
    since = datetime.fromisoformat(_operator_pod()["status"]["startTime"]).timestamp()
    mine = [r for r in _records(0) if r.user == ACCOUNT and r.received >= since]
    assert mine
    assert [(r.verb, *r.target) for r in mine if r.code in (401, 403)] == []


@pytest.mark.parametrize(
    ("verb", "group", "resource"),
    [
        ("*", "*", "*"),
        ("delete", "", "secrets"),
        ("delete", "", "pods"),
        ("create", "", "pods/exec"),
        ("get", "", "nodes/proxy"),
        ("create", "rbac.authorization.k8s.io", "clusterrolebindings"),
        ("update", "ondol.dev", "modeldeployments"),
    ],
)
def test_the_operator_may_not(verb: str, group: str, resource: str) -> None:
    assert _may("patch", "ondol.dev", "proxyroutes")
    assert not _may(verb, group, resource)


def test_pods_keep_to_the_restricted_standard() -> None:
    enforce = "pod-security.kubernetes.io/enforce"
    labels = get("namespace", PROXY[1])["metadata"]["labels"]
    assert labels.get(enforce) == "restricted"
    # The API server warns of each pod that the standard would not let in.
    for namespace in NAMESPACES:
        label = ("label", "namespace", namespace, f"{enforce}=restricted", "--overwrite")
        kubectl(*label, "--dry-run=server", "--warnings-as-errors")


def _may(verb: str, group: str, resource: str) -> bool:
    """Whether the operator's account may do it, in the namespace of the models."""
    name, _, subresource = resource.partition("/")
    wanted = {"namespace": CHAT_MODEL[1], "verb": verb, "group": group, "resource": name}
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SubjectAccessReview",
        "spec": {
            "user": ACCOUNT,
            "resourceAttributes": {**wanted, "subresource": subresource},
        },
    }
    answer = kubectl("create", "-f", "-", "-o", "json", stdin=json.dumps(review))
    return bool(json.loads(answer)["status"]["allowed"])


def _operator_pod() -> Object:
    """The pod that acts: the only one that is not on its way out."""
    pods = items("pods", "-n", PROXY[1], "-l", "app.kubernetes.io/component=operator")
    [pod] = [pod for pod in pods if not pod["metadata"].get("deletionTimestamp")]
    return pod


def _versions() -> dict[tuple[str, ...], str]:
    """Object -> resourceVersion, for all that the operator reads or writes, and their children."""
    return {
        (found["kind"], meta["namespace"], meta["name"]): meta["resourceVersion"]
        for found in items(KINDS, "-A")
        for meta in [found["metadata"]]
    }


def _moved(before: dict[tuple[str, ...], str]) -> list[tuple[str, ...]]:
    return sorted(key for key, _ in set(before.items()) ^ set(_versions().items()))


def _settle() -> None:
    """Wait until nothing moves between two looks: earlier tests may still echo."""
    last: list[dict[tuple[str, ...], str]] = [{}]

    def same() -> bool:
        last.append(_versions())
        return last[-1] == last[-2]

    wait_for("a settled cluster", same, 120, every=8)


def _records(offset: int) -> list[Record]:
    """Requests in the API server's audit log, from a place in the file on."""
    with AUDIT_LOG.open("rb") as file:
        file.seek(offset)
        lines = [line for line in file if line.endswith(b"\n")]
    return [record for line in lines if (record := parse_line(line))]


def _secret_values() -> dict[str, str]:
    """Value -> place, for all that the operator has drawn. An email is no secret."""
    managed = "app.kubernetes.io/managed-by=ondol"
    return {
        base64.b64decode(value).decode(): f"{namespace}/{found['metadata']['name']}/{key}"
        for namespace in NAMESPACES
        for found in items("secrets", "-n", namespace, "-l", managed)
        for key, value in found["data"].items()
        if key not in ("email", "keys.json")
    }
