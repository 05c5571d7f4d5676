"""Whether a live object already says what was rendered.

Rendered fields have to be there with equal values; everything else belongs to others
(defaults, autoscalers, admission, people) and is not looked at.
"""

from dataclasses import dataclass
from typing import Any

from ondol.render.quantity import parse

QUANTITY_PARENTS = frozenset({"requests", "limits"})
QUANTITY_FIELDS = frozenset({"sizeLimit", "storage"})
LIST_KEYS = ("name", "mountPath", "containerPort", "port", "uid", "key", "type")
"""Fields that tell the items of a list of maps apart."""


@dataclass(frozen=True)
class Difference:
    """A rendered field whose live value is another."""

    path: str
    wanted: Any
    found: Any


def first_difference(wanted: Any, live: Any, path: str = "") -> Difference | None:
    """Find the first rendered value that the live object has not, or None."""
    if isinstance(wanted, dict):
        if not isinstance(live, dict):
            return Difference(path, wanted, live)
        for key, value in wanted.items():
            if found := first_difference(value, live.get(key), f"{path}.{key}" if path else key):
                return found
        return None
    if isinstance(wanted, list):
        return _list_difference(wanted, live, path)
    if wanted == live or _equal_quantities(wanted, live, path):
        return None
    return Difference(path, wanted, live)


def _list_difference(wanted: list[Any], live: Any, path: str) -> Difference | None:
    if not isinstance(live, list):
        return Difference(path, wanted, live)
    if not wanted or not isinstance(wanted[0], dict):
        return None if wanted == live else Difference(path, wanted, live)
    for index, item in enumerate(wanted):
        key = next((k for k in LIST_KEYS if k in item), None)
        label = item[key] if key else index
        where = f"{path}[{label}]"
        same = [i for i in live if key and isinstance(i, dict) and i.get(key) == item[key]]
        differences = [first_difference(item, candidate, where) for candidate in same or live]
        if not differences or all(differences):
            return differences[0] if same else Difference(where, item, None)
    return None


def _equal_quantities(wanted: Any, live: Any, path: str) -> bool:
    if not (isinstance(wanted, str) and isinstance(live, str)):
        return False
    *parents, field = path.split(".")
    if field not in QUANTITY_FIELDS and not QUANTITY_PARENTS & set(parents):
        return False
    value = parse(wanted)
    return value is not None and value == parse(live)
