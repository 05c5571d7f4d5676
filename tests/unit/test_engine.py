"""What a ModelDeployment becomes."""

from typing import Any

import pytest

from ondol.render.defaults import Defaults
from ondol.render.engine_args import engine_args, mistakes
from ondol.render.engine_deployment import PRE_STOP_SECONDS, engine_deployment
from ondol.render.engine_networkpolicy import engine_networkpolicy
from ondol.render.engine_route import engine_route
from ondol.render.engine_secret import engine_secret
from ondol.render.engine_service import endpoint, engine_service
from ondol.render.meta import STAMP
from tests.objects import model

DEFAULTS = Defaults("vllm:1", "litellm:1", "ui:1", "ondol-system")


def pod(**spec: Any) -> dict[str, Any]:
    rendered = engine_deployment(model(**spec), DEFAULTS)
    result: dict[str, Any] = rendered["spec"]["template"]["spec"]
    return result


def container(**spec: Any) -> dict[str, Any]:
    result: dict[str, Any] = pod(**spec)["containers"][0]
    return result


def value_after(args: list[str], flag: str) -> str | None:
    return args[args.index(flag) + 1] if flag in args else None


def test_a_folder_on_a_claim_is_mounted_read_only_and_served_offline() -> None:
    one = container(source="pvc://weights/a/b")
    assert one["args"][0] == "/models/a/b"
    assert {"name": "model", "mountPath": "/models", "readOnly": True} in one["volumeMounts"]
    assert {"name": "HF_HUB_OFFLINE", "value": "1"} in one["env"]
    volume = next(v for v in pod(source="pvc://weights/a/b")["volumes"] if v["name"] == "model")
    assert volume["persistentVolumeClaim"] == {"claimName": "weights", "readOnly": True}


def test_a_repository_is_named_as_it_is() -> None:
    one = model(source="hf://org/name")
    assert engine_args(one)[0] == "org/name"


def test_the_token_of_a_gated_repository_reaches_the_engine_by_reference_only() -> None:
    spec = {"source": "hf://org/name", "tokenSecretRef": {"name": "hf", "key": "token"}}
    env = container(model=spec)["env"]
    token = next(v for v in env if v["name"] == "HF_TOKEN")
    assert token["valueFrom"]["secretKeyRef"] == {"name": "hf", "key": "token"}


@pytest.mark.parametrize(
    ("engine", "flag", "value"),
    [
        ({"contextLength": 2048}, "--max-model-len", "2048"),
        ({"dtype": "float16"}, "--dtype", "float16"),
        ({"maxConcurrentRequests": 8}, "--max-num-seqs", "8"),
        ({"gpuMemoryUtilization": 0.5}, "--gpu-memory-utilization", "0.5"),
        ({"kvCacheMemory": "256Mi"}, "--kv-cache-memory-bytes", str(256 * 2**20)),
        ({"task": "embed"}, "--runner", "pooling"),
        ({"task": "rerank"}, "--runner", "pooling"),
        ({"task": "generate"}, "--runner", None),
        ({}, "--max-model-len", None),
    ],
)
def test_a_typed_field_becomes_its_flag(
    engine: dict[str, Any], flag: str, value: str | None
) -> None:
    assert value_after(engine_args(model(engine=engine)), flag) == value


@pytest.mark.parametrize(
    ("spec", "size"),
    [
        ({"resources": {"gpu": {"count": 4}}}, "4"),
        ({"resources": {"gpu": {"count": 4}}, "parallelism": {"tensor": 2}}, "2"),
        ({"resources": {"gpu": {"count": 1}}}, None),
        ({"resources": {}}, None),
    ],
)
def test_all_gpus_of_a_replica_share_each_layer_unless_told_otherwise(
    spec: dict[str, Any], size: str | None
) -> None:
    assert value_after(engine_args(model(**spec)), "--tensor-parallel-size") == size


@pytest.mark.parametrize(
    "arg",
    [
        "--tensor-parallel-size", "-tp", "--tensor-parallel-size=2", "--tensor_parallel_size",
        "--tensor-parallel", "--max-model-len", "--served-model-name", "--shutdown-timeout=3",
    ],
)  # fmt: skip
def test_a_flag_that_a_field_sets_is_refused_by_the_name_as_written(arg: str) -> None:
    [message] = mistakes(model(engine={"extraArgs": [arg, "2"]}))
    assert arg in message
    assert "spec." in message.partition("use ")[2]


@pytest.mark.parametrize("arg", ["--api-key", "--port", "--host=0.0.0.0"])
def test_a_flag_that_would_cut_the_operator_off_is_refused(arg: str) -> None:
    [message] = mistakes(model(engine={"extraArgs": [arg]}))
    assert arg in message


@pytest.mark.parametrize("arg", ["--enforce-eager", "--seed", "2", "--enable-lora"])
def test_other_flags_are_passed_on(arg: str) -> None:
    one = model(engine={"extraArgs": [arg]})
    assert not mistakes(one)
    assert engine_args(one)[-1] == arg


def test_environment_that_the_operator_sets_is_refused() -> None:
    [message] = mistakes(model(engine={"env": [{"name": "VLLM_API_KEY", "value": "x"}]}))
    assert "VLLM_API_KEY" in message


def test_gpus_are_asked_for_equally_in_requests_and_limits_and_their_taint_is_accepted() -> None:
    gpu = {"gpu": {"count": 2, "resource": "amd.com/gpu"}}
    resources = container(resources=gpu)["resources"]
    assert resources["requests"]["amd.com/gpu"] == resources["limits"]["amd.com/gpu"] == "2"
    assert {"key": "amd.com/gpu", "operator": "Exists", "effect": "NoSchedule"} in pod(
        resources=gpu
    )["tolerations"]


def test_an_engine_without_gpus_asks_for_none() -> None:
    one = pod(resources={"cpu": "2", "memory": "4Gi"})
    assert one["containers"][0]["resources"] == {
        "requests": {"cpu": "2", "memory": "4Gi"},
        "limits": {"memory": "4Gi"},
    }
    assert "tolerations" not in one


def test_shared_memory_is_memory_with_a_bound() -> None:
    volume = next(v for v in pod()["volumes"] if v["name"] == "shm")
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "2Gi"}


def test_the_grace_period_outlasts_the_wait_the_drain_and_the_teardown() -> None:
    one = pod(rollout={"drainSeconds": 900})
    assert value_after(one["containers"][0]["args"], "--shutdown-timeout") == "900"
    assert one["terminationGracePeriodSeconds"] > 900 + PRE_STOP_SECONDS


@pytest.mark.parametrize("seconds", [10, 1800, 3600])
def test_a_model_may_take_as_long_as_it_is_given_to_start(seconds: int) -> None:
    one = model(rollout={"startupSeconds": seconds})
    rendered = engine_deployment(one, DEFAULTS)["spec"]
    engine = rendered["template"]["spec"]["containers"][0]
    probe = engine["startupProbe"]
    assert seconds <= probe["failureThreshold"] * probe["periodSeconds"] <= seconds + 60
    assert rendered["progressDeadlineSeconds"] >= seconds + 600
    assert {"name": "VLLM_ENGINE_READY_TIMEOUT_S", "value": str(seconds)} in engine["env"]


def test_the_key_is_given_by_reference_and_never_as_an_argument() -> None:
    one = model()
    secret = engine_secret(one, "the-key")
    key = next(v for v in container()["env"] if v["name"] == "VLLM_API_KEY")
    assert key["valueFrom"]["secretKeyRef"]["name"] == secret["metadata"]["name"]
    assert "the-key" not in str(engine_deployment(one, DEFAULTS))
    assert "--api-key" not in container()["args"]


def test_pods_are_restricted_and_get_no_service_links_or_token() -> None:
    one = pod()
    assert one["enableServiceLinks"] is False
    assert one["automountServiceAccountToken"] is False
    assert one["securityContext"]["runAsNonRoot"] is True
    assert one["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False


def test_surge_keeps_serving_and_recreate_frees_the_gpu_first() -> None:
    surge = engine_deployment(model(), DEFAULTS)["spec"]["strategy"]
    assert surge["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}
    recreate = engine_deployment(model(rollout={"strategy": "Recreate"}), DEFAULTS)
    assert recreate["spec"]["strategy"] == {"type": "Recreate"}


@pytest.mark.parametrize(
    ("strategy", "failing", "kind"),
    [
        ("Auto", False, "RollingUpdate"),
        ("Auto", True, "Recreate"),
        ("Surge", True, "RollingUpdate"),
        ("Recreate", False, "Recreate"),
    ],
)
def test_a_pod_that_cannot_serve_keeps_no_gpu_from_the_corrected_one(
    strategy: str, failing: bool, kind: str
) -> None:
    one = model(rollout={"strategy": strategy})
    rendered = engine_deployment(one, DEFAULTS, failing=failing)
    assert rendered["spec"]["strategy"]["type"] == kind


def test_only_proxy_pods_of_the_proxys_namespace_may_come_in() -> None:
    rule = engine_networkpolicy(model(), DEFAULTS)["spec"]["ingress"][0]
    [peer] = rule["from"]
    assert peer["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": "ondol-system"
    }
    assert peer["podSelector"]["matchExpressions"][0]["key"] == "ondol.dev/proxy"


def test_the_route_publishes_under_the_public_name_with_its_aliases() -> None:
    published = {"as": "meta-llama/Llama-3.2-3B-Instruct", "aliases": ["llama"]}
    one = model(publish=published)
    spec = engine_route(one)["spec"]
    assert spec["model"] == "meta-llama/Llama-3.2-3B-Instruct"
    assert spec["aliases"] == ["llama"]
    assert spec["backends"] == [{"modelDeploymentRef": {"name": "qwen"}, "weight": 1}]


def test_no_label_holds_a_name_that_labels_cannot_hold() -> None:
    one = model(model={"source": "pvc://w/m", "name": "a/b c"[:3]}, publish={"as": "x/y"})
    for child in (engine_deployment(one, DEFAULTS), engine_service(one), engine_route(one)):
        assert all("/" not in v for v in child["metadata"]["labels"].values())


def test_children_belong_to_their_owner_and_carry_the_stamp_of_what_was_rendered() -> None:
    children = [
        engine_deployment(model(), DEFAULTS), engine_service(model()), engine_route(model()),
        engine_networkpolicy(model(), DEFAULTS), engine_secret(model(), "k"),
    ]  # fmt: skip
    for child in children:
        [owner] = child["metadata"]["ownerReferences"]
        assert owner["uid"] == model().metadata.uid
        assert owner["controller"] is True
        assert child["metadata"]["annotations"][STAMP]
        assert child["metadata"]["labels"]["app.kubernetes.io/managed-by"] == "ondol"


def test_equal_input_gives_equal_output() -> None:
    assert engine_deployment(model(), DEFAULTS) == engine_deployment(model(), DEFAULTS)


def test_a_changed_field_changes_the_stamp() -> None:
    one, two = (engine_deployment(model(replicas=n), DEFAULTS) for n in (1, 2))
    assert one["metadata"]["annotations"][STAMP] != two["metadata"]["annotations"][STAMP]


def test_the_endpoint_is_the_services_address() -> None:
    service = engine_service(model())
    port = service["spec"]["ports"][0]["port"]
    assert endpoint(model()) == f"http://qwen.team-a.svc:{port}/v1"
