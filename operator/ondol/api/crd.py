"""CustomResourceDefinitions made from the pydantic models.

The API server takes a structural schema, a subset of what pydantic emits: references are
inlined, `anyOf` with null is unwrapped, titles and keywords it does not know are dropped.
Run `python -m ondol.api.crd DIRECTORY` to write the files.
"""

import sys
from pathlib import Path
from typing import Any

import yaml

from ondol.api import GROUP, KINDS, VERSION, Resource
from ondol.api.base import Column

HEADER = "# Generated from the models in operator/ondol/api by `make generate`; do not edit.\n"
DROPPED = ("title", "additionalItems", "const")


def structural(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Turn a pydantic JSON schema into a structural one.

    Parameters
    ----------
    schema
        The schema of one field or model.
    defs
        The `$defs` that its references point into.

    Raises
    ------
    ValueError
        When the schema has something that a CRD cannot say, such as a union of types.
    """
    schema = dict(schema)
    if "$ref" in schema:
        target = defs[schema.pop("$ref").rsplit("/", 1)[1]]
        schema = {**target, **schema}
    if "anyOf" in schema:
        schema = _unwrap_optional(schema, defs)
        return structural(schema, defs)
    _keywords(schema)
    if "properties" in schema:
        schema.pop("additionalProperties", None)
        schema["properties"] = {k: structural(v, defs) for k, v in schema["properties"].items()}
    elif isinstance(schema.get("additionalProperties"), dict):
        schema["additionalProperties"] = structural(schema["additionalProperties"], defs)
    if "items" in schema:
        schema["items"] = structural(schema["items"], defs)
    if "type" not in schema:
        raise ValueError(f"a CRD needs a type for each field, got {schema}")
    if "description" in schema:
        schema["description"] = " ".join(schema["description"].split())
    return schema


def _keywords(schema: dict[str, Any]) -> None:
    """Rewrite in place the keywords that a CRD spells differently or does not know."""
    if "const" in schema:
        schema["enum"] = [schema["const"]]
        schema.setdefault("type", "string")
    for exclusive, inclusive in (
        ("exclusiveMinimum", "minimum"),
        ("exclusiveMaximum", "maximum"),
    ):
        if not isinstance(schema.get(exclusive, True), bool):
            schema[inclusive] = schema[exclusive]
            schema[exclusive] = True
    for keyword in DROPPED:
        schema.pop(keyword, None)
    if schema.get("default", 0) is None:
        del schema["default"]
    elif "default" in schema:
        schema["default"] = _without_nulls(schema["default"])


def _unwrap_optional(schema: dict[str, Any], defs: dict[str, Any]) -> dict[str, Any]:
    """Replace `anyOf: [X, null]` by X."""
    options = [option for option in schema.pop("anyOf") if option.get("type") != "null"]
    if len(options) != 1:
        raise ValueError(f"a CRD cannot say a union of types: {options}")
    return {**structural(options[0], defs), **schema}


def _without_nulls(value: Any) -> Any:
    """Drop what is null: to the API server a field is there or it is not."""
    if isinstance(value, dict):
        return {k: _without_nulls(v) for k, v in value.items() if v is not None}
    return value


class _Dumper(yaml.SafeDumper):
    """Writes equal lists out instead of pointing from one to the other."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def _column(column: Column) -> dict[str, Any]:
    return column.model_dump(by_alias=True, exclude_none=True)


def crd(kind: type[Resource]) -> dict[str, Any]:
    """Make the CustomResourceDefinition of one kind."""
    schema = kind.model_json_schema(by_alias=True)
    defs = schema["$defs"]
    properties = {name: structural(schema["properties"][name], defs) for name in ("spec", "status")}
    # Defaults of a status would make the API server's answer differ from what was written.
    properties["status"] = _without_defaults(properties["status"])
    root: dict[str, Any] = {
        "type": "object",
        "description": " ".join((kind.__doc__ or "").split()),
        "properties": {
            "apiVersion": {"type": "string"},
            "kind": {"type": "string"},
            "metadata": {"type": "object"},
            **properties,
        },
        "required": ["spec"],
    }
    if kind.name_rule:
        root["x-kubernetes-validations"] = [dict(kind.name_rule)]
    subresources: dict[str, Any] = {"status": {}}
    if kind.scale:
        subresources["scale"] = dict(kind.scale)
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{kind.plural}.{GROUP}",
            "labels": {"app.kubernetes.io/part-of": "ondol"},
        },
        "spec": {
            "group": GROUP,
            "scope": "Namespaced",
            "names": {
                "kind": kind.__name__,
                "listKind": f"{kind.__name__}List",
                "plural": kind.plural,
                "singular": kind.__name__.lower(),
                "shortNames": list(kind.short_names),
                "categories": ["ondol"],
            },
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": root},
                    "subresources": subresources,
                    "additionalPrinterColumns": [_column(c) for c in kind.columns],
                }
            ],
        },
    }


def _without_defaults(schema: Any) -> Any:
    if isinstance(schema, dict):
        return {k: _without_defaults(v) for k, v in schema.items() if k != "default"}
    if isinstance(schema, list):
        return [_without_defaults(v) for v in schema]
    return schema


def file_name(kind: type[Resource]) -> str:
    """Name of the file that holds the kind's CRD."""
    return f"{GROUP}_{kind.plural}.yaml"


def to_yaml(kind: type[Resource]) -> str:
    """Text of the kind's CRD file."""
    return HEADER + yaml.dump(
        crd(kind), Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=100
    )


def main(directory: str) -> None:
    """Write the CRD of every kind into a directory."""
    for kind in KINDS:
        Path(directory, file_name(kind)).write_text(to_yaml(kind))


if __name__ == "__main__":
    main(sys.argv[1])
