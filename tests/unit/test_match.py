"""A child is written only when it does not say what was rendered."""

from typing import Any

import pytest

from ondol.render.match import first_difference
from ondol.render.quantity import parse, to_bytes

WANTED: dict[str, Any] = {
    "metadata": {"labels": {"a": "1"}},
    "spec": {
        "replicas": 1,
        "template": {
            "spec": {
                "containers": [
                    {
                        "name": "engine",
                        "image": "vllm:1",
                        "args": ["a", "b"],
                        "env": [{"name": "X", "value": "1"}],
                        "resources": {"limits": {"memory": "2048Mi", "nvidia.com/gpu": "1"}},
                    }
                ],
                "volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "1024Mi"}}],
                "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            }
        },
    },
}


def live(**changes: Any) -> dict[str, Any]:
    """Return the object as the API server keeps it: defaults, canonical quantities."""
    container = {
        "name": "engine",
        "image": "vllm:1",
        "args": ["a", "b"],
        "env": [{"name": "X", "value": "1"}],
        "resources": {"limits": {"memory": "2Gi", "nvidia.com/gpu": "1"}},
        "imagePullPolicy": "IfNotPresent",
        **changes.pop("container", {}),
    }
    return {
        "metadata": {"labels": {"a": "1", "team": "red"}, "uid": "u", "resourceVersion": "9"},
        "spec": {
            "replicas": 1,
            "paused": False,
            "template": {
                "metadata": {"annotations": {"kubectl.kubernetes.io/restartedAt": "now"}},
                "spec": {
                    "containers": [*changes.pop("sidecars", []), container],
                    "volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "1Gi"}}],
                    "tolerations": [
                        {"key": "other", "operator": "Exists"},
                        {"key": "nvidia.com/gpu", "operator": "Exists"},
                    ],
                },
            },
        },
        "status": {"readyReplicas": 1},
    }


def test_what_the_server_and_others_add_is_no_difference() -> None:
    assert first_difference(WANTED, live()) is None


def test_a_sidecar_that_admission_adds_is_no_difference() -> None:
    assert first_difference(WANTED, live(sidecars=[{"name": "mesh", "image": "m"}])) is None


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"image": "mirror/vllm:1"}, "image"),
        ({"args": ["a"]}, "args"),
        ({"args": ["b", "a"]}, "args"),
        ({"env": []}, "env[X]"),
        ({"env": [{"name": "X", "value": "2"}]}, "env[X].value"),
        ({"resources": {"limits": {"memory": "3Gi", "nvidia.com/gpu": "1"}}}, "memory"),
        ({"resources": {}}, "resources.limits"),
    ],
)
def test_a_rendered_field_with_another_value_is_found_by_its_path(
    change: dict[str, Any], path: str
) -> None:
    difference = first_difference(WANTED, live(container=change))
    assert difference is not None
    assert difference.path.startswith("spec.template.spec.containers[engine]")
    assert difference.path.endswith(path)


def test_the_difference_tells_both_values() -> None:
    difference = first_difference(WANTED, live(container={"image": "mirror/vllm:1"}))
    assert difference is not None
    assert (difference.wanted, difference.found) == ("vllm:1", "mirror/vllm:1")


def test_a_missing_container_is_a_difference() -> None:
    assert first_difference(WANTED, live(container={"name": "other"})) is not None


def test_equal_numbers_are_equal_only_where_quantities_stand() -> None:
    assert first_difference({"limits": {"cpu": "1000m"}}, {"limits": {"cpu": "1"}}) is None
    assert first_difference({"value": "1000m"}, {"value": "1"}) is not None


@pytest.mark.parametrize(
    ("text", "value"),
    [("500m", "0.5"), ("2", "2"), ("1Ki", "1024"), ("1k", "1000"), ("1.5Gi", str(3 * 2**29))],
)
def test_quantities_have_a_value(text: str, value: str) -> None:
    assert str(parse(text).normalize()) == str(parse(value).normalize())  # type: ignore[union-attr]


@pytest.mark.parametrize("text", ["", "x", "1 Gi", "-1", "1e3x"])
def test_what_is_no_quantity_has_none(text: str) -> None:
    assert parse(text) is None
    with pytest.raises(ValueError, match="not a quantity"):
        to_bytes(text)
