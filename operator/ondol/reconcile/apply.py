"""Bring one child to what was rendered, with as few writes as can be."""

from collections.abc import Callable
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from ondol.cluster.client import ApiError, Client
from ondol.cluster.kinds import BY_NAME
from ondol.cluster.store import Key, Store, key_of
from ondol.render.match import Difference, first_difference
from ondol.render.meta import STAMP

MAX_TRIES = 3
"""Writes of the same manifest before a field that admission changes is left alone."""


Wrote = Callable[[dict[str, Any], Key], None]
"""Told the API server's answer to a write, and the key for whose sake it was made."""


@dataclass(frozen=True)
class Refused:
    """A child that is not as rendered, and will not become so without a person."""

    reason: str
    message: str


class Applier:
    """Writes children; remembers only what saves writes, never what correctness needs."""

    def __init__(self, client: Client, store: Store, wrote: Wrote) -> None:
        self._client = client
        self._store = store
        self._wrote = wrote
        self._tries: dict[Key, tuple[str, int]] = {}

    async def ensure(self, manifest: dict[str, Any]) -> Refused | None:
        """Make the child what the manifest says; None when it is.

        Raises
        ------
        ApiError
            When the API server cannot do it now; worth another try.
        """
        key = key_of(manifest)
        live = self._store.get(key)
        stamp = manifest["metadata"]["annotations"][STAMP]
        ours = live is not None and _owner(live) == _owner(manifest)
        if live is not None and ours:
            same = live["metadata"].get("annotations", {}).get(STAMP) == stamp
            found = first_difference(manifest, live)
            if same and not found:
                self._tries.pop(key, None)
                return None
            if same and found and self._tries.get(key) == (stamp, MAX_TRIES):
                return _changed(key, found)
        return await self._write(key, manifest, stamp, force=ours)

    async def _write(
        self, key: Key, manifest: dict[str, Any], stamp: str, *, force: bool
    ) -> Refused | None:
        try:
            answer = await self._client.apply(BY_NAME[key[0]], manifest, force=force)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT and not force:
                return _taken(key)
            if error.is_permanent:
                return _refused(key, error)
            raise
        self._wrote(answer, _owner_key(manifest))
        found = first_difference(manifest, answer)
        if not found:
            self._tries.pop(key, None)
            return None
        known, count = self._tries.get(key, ("", 0))
        self._tries[key] = (stamp, count + 1 if known == stamp else 1)
        return _changed(key, found)

    async def ensure_created(self, manifest: dict[str, Any]) -> Refused | None:
        """Create a child whose content is never overwritten, such as a drawn key."""
        key = key_of(manifest)
        if live := self._store.get(key):
            return None if _owner(live) == _owner(manifest) else _taken(key)
        try:
            answer = await self._client.create(BY_NAME[key[0]], manifest)
        except ApiError as error:
            if error.status == HTTPStatus.CONFLICT:
                return await self._adopt(key, manifest)
            if error.is_permanent:
                return _refused(key, error)
            raise
        self._wrote(answer, _owner_key(manifest))
        return None

    async def _adopt(self, key: Key, manifest: dict[str, Any]) -> Refused | None:
        """Take an existing child into the store if it is the same owner's."""
        live = await self._client.get(BY_NAME[key[0]], key[1], key[2])
        if live and _owner(live) != _owner(manifest):
            return _taken(key)
        if live:
            self._wrote(live, _owner_key(manifest))
        return None

    async def remove(self, key: Key, owner: str) -> None:
        """Delete a child that is no longer wanted, if it exists and is the owner's."""
        live = self._store.get(key)
        if live and _owner(live) == owner and not live["metadata"].get("deletionTimestamp"):
            await self._client.delete(BY_NAME[key[0]], key[1], key[2], live["metadata"]["uid"])


def _owner_key(manifest: dict[str, Any]) -> Key:
    meta = manifest["metadata"]
    reference = meta["ownerReferences"][0]
    return (reference["kind"], meta["namespace"], reference["name"])


def _taken(key: Key) -> Refused:
    return Refused(
        "NameTaken",
        f"{key[0]} {key[1]}/{key[2]} exists and belongs to somebody else: "
        "rename this object or delete that one",
    )


def _refused(key: Key, error: ApiError) -> Refused:
    return Refused("ChildRefused", f"{key[0]} {key[1]}/{key[2]}: {error}")


def _owner(obj: dict[str, Any]) -> str:
    """UID of the controlling owner, or nothing."""
    for reference in obj["metadata"].get("ownerReferences", []):
        if reference.get("controller"):
            return str(reference["uid"])
    return ""


def _changed(key: Key, found: Difference) -> Refused:
    return Refused(
        "ChangedByAdmission",
        f"{key[0]} {key[1]}/{key[2]}: admission changes {found.path} "
        f"(wanted {found.wanted!r}, found {found.found!r})",
    )
