"""The launcher and the key check that run inside the proxy pod, as text."""

from collections.abc import Mapping
from importlib.resources import files
from types import MappingProxyType

CODE: Mapping[str, str] = MappingProxyType(
    {
        entry.name: entry.read_text()
        for entry in sorted(files("ondol.proxy").iterdir(), key=lambda entry: entry.name)
        if entry.name.endswith(".py") and entry.name != "__init__.py"
    }
)
"""File name -> content, read once: it is a part of this version of the operator."""
