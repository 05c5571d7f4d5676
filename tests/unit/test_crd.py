"""The CRDs say what the models say, in the API server's words."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from ondol.api import KINDS, Resource
from ondol.api.crd import crd, file_name, to_yaml

CRDS = Path(__file__).parents[2] / "crds"


def fields(schema: dict[str, Any], path: str) -> Iterator[tuple[str, dict[str, Any]]]:
    for name, child in schema.get("properties", {}).items():
        yield f"{path}.{name}", child
        yield from fields(child, f"{path}.{name}")
    if "items" in schema:
        yield from fields(schema["items"], f"{path}[]")


def all_fields(kind: type[Resource], part: str) -> list[tuple[str, dict[str, Any]]]:
    root = crd(kind)["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    return list(fields(root["properties"][part], part))


@pytest.mark.parametrize("kind", KINDS)
def test_the_files_are_generated_from_the_models(kind: type[Resource]) -> None:
    assert (CRDS / file_name(kind)).read_text() == to_yaml(kind), "run `make generate`"


@pytest.mark.parametrize("kind", KINDS)
def test_every_field_is_explained(kind: type[Resource]) -> None:
    missing = [
        path
        for part in ("spec", "status")
        for path, schema in all_fields(kind, part)
        if not schema.get("description")
    ]
    assert not missing


@pytest.mark.parametrize("kind", KINDS)
def test_every_string_list_and_map_that_people_write_has_a_maximum(kind: type[Resource]) -> None:
    maximum = {"string": "maxLength", "array": "maxItems"}
    unbounded = [
        path
        for path, schema in all_fields(kind, "spec")
        if "enum" not in schema
        and (
            maximum.get(schema["type"], "type") not in schema
            or ("additionalProperties" in schema and "maxProperties" not in schema)
        )
    ]
    assert not unbounded


@pytest.mark.parametrize("kind", KINDS)
def test_a_status_has_no_defaults_that_the_server_would_add(kind: type[Resource]) -> None:
    assert not [path for path, schema in all_fields(kind, "status") if "default" in schema]


@pytest.mark.parametrize("kind", KINDS)
def test_conditions_are_a_map_by_type(kind: type[Resource]) -> None:
    conditions = dict(all_fields(kind, "status"))["status.conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
