"""The newest thing known wins, from wherever it came."""

from typing import Any

import pytest

from ondol.cluster.store import Store

KEY = ("Service", "team-a", "x")


def service(version: int, uid: str = "u", name: str = "x", **more: Any) -> dict[str, Any]:
    meta = {"namespace": "team-a", "name": name, "uid": uid, "resourceVersion": str(version)}
    return {"kind": "Service", "apiVersion": "v1", "metadata": {**meta, **more}}


@pytest.fixture
def store() -> Store:
    return Store()


def test_a_newer_object_replaces_an_older_one_and_not_the_other_way(store: Store) -> None:
    assert store.put(service(5))
    assert not store.put(service(4))
    assert not store.put(service(5))
    assert store.put(service(6))
    found = store.get(KEY)
    assert found is not None
    assert found["metadata"]["resourceVersion"] == "6"


def test_a_late_delete_of_an_earlier_object_does_not_take_the_new_one(store: Store) -> None:
    store.put(service(9, uid="new"))
    assert not store.remove(service(5, uid="old"))
    assert store.get(KEY) is not None


def test_a_list_removes_what_vanished_while_nobody_watched(store: Store) -> None:
    store.put(service(1, name="gone"))
    store.put(service(2))
    changed, gone = store.replace("Service", [service(2)], started=2)
    assert changed == []
    assert [obj["metadata"]["name"] for obj in gone] == ["gone"]
    assert store.keys("Service") == [KEY]


def test_a_list_does_not_remove_what_was_made_after_it_was_asked_for(store: Store) -> None:
    store.put(service(1))
    started = store.newest_version()
    store.put(service(2, name="newer"))
    _, gone = store.replace("Service", [service(1)], started)
    assert gone == []


def test_a_list_of_one_namespace_says_nothing_of_the_others(store: Store) -> None:
    store.put(service(1))
    _, gone = store.replace("Service", [], started=1, namespace="team-b")
    assert gone == []


def test_pods_are_found_by_our_labels_until_they_go(store: Store) -> None:
    pod = {**service(1, labels={"ondol.dev/model": "m", "x": "y"}), "kind": "Pod"}
    store.put(pod)
    assert len(store.pods("ondol.dev/model", "team-a", "m")) == 1
    assert store.pods("ondol.dev/model", "team-b", "m") == []
    store.remove(pod)
    assert store.pods("ondol.dev/model", "team-a", "m") == []


def test_what_the_server_says_of_field_owners_is_not_kept(store: Store) -> None:
    store.put(service(1, managedFields=[{"manager": "x"}]))
    found = store.get(KEY)
    assert found is not None
    assert "managedFields" not in found["metadata"]
