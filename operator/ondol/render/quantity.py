"""Kubernetes quantities."""

import re
from decimal import Decimal

_FACTOR = {
    "": Decimal(1), "m": Decimal("0.001"), "k": Decimal(10**3), "M": Decimal(10**6),
    "G": Decimal(10**9), "T": Decimal(10**12), "Ki": Decimal(2**10), "Mi": Decimal(2**20),
    "Gi": Decimal(2**30), "Ti": Decimal(2**40),
}  # fmt: skip
_QUANTITY = re.compile(r"^([0-9]+(?:\.[0-9]+)?)(m|k|Ki|M|Mi|G|Gi|T|Ti)?$")


def parse(text: str) -> Decimal | None:
    """Value of a quantity in its base unit (cores, bytes), or None when it is none."""
    match = _QUANTITY.match(text)
    return Decimal(match[1]) * _FACTOR[match[2] or ""] if match else None


def to_bytes(text: str) -> int:
    """Whole bytes of a memory quantity.

    Raises
    ------
    ValueError
        When the text is not a quantity.
    """
    value = parse(text)
    if value is None:
        raise ValueError(f"{text!r} is not a quantity such as 512Mi or 4Gi")
    return int(value)
