"""What every datastore promises (calico_routing/datastore/interface.py); each test runs on each store."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from calico_routing.datastore.interface import (
    AlreadyExistsError,
    ConflictError,
    Datastore,
    DatastoreError,
    NotFoundError,
    Watch,
    WatchEvent,
    WatchExpired,
)
from calico_routing.model.errors import ValidationError
from calico_routing.model.resources import (
    BGPConfiguration,
    IPPool,
    Metadata,
    Node,
    OpaqueResource,
    WorkloadEndpoint,
)


def node(name: str, **fields: object) -> Node:
    return Node(metadata=Metadata(name=name), **fields)  # type: ignore[arg-type]


def pool(name: str, cidr: str) -> IPPool:
    return IPPool(metadata=Metadata(name=name), cidr=cidr)


def endpoint(namespace: str, name: str) -> WorkloadEndpoint:
    return WorkloadEndpoint(metadata=Metadata(name=name, namespace=namespace))


def test_what_is_created_is_got(store: Datastore) -> None:
    created = store.create(node("a", ipv4_address="10.0.0.1/24"))
    assert created.resource_version
    assert created.metadata.creation_timestamp
    assert len(created.metadata.uid) == 36
    assert store.get(Node, "a") == created


def test_names_are_unique_within_kind_and_namespace(store: Datastore) -> None:
    store.create(node("a"))
    with pytest.raises(AlreadyExistsError, match="Node a exists already"):
        store.create(node("a"))
    store.create(BGPConfiguration(metadata=Metadata(name="node.a")))
    store.create(endpoint("one", "a"))
    store.create(endpoint("two", "a"))
    assert store.get(WorkloadEndpoint, "a", "two").namespace == "two"


def test_what_is_not_there_is_not_found(store: Datastore) -> None:
    for action in (
        lambda: store.get(Node, "a"),
        lambda: store.get(WorkloadEndpoint, "a", "default"),
        lambda: store.update(node("a").replace(metadata=Metadata(name="a", resource_version="7"))),
        lambda: store.delete(node("a").replace(metadata=Metadata(name="a", resource_version="7"))),
    ):
        with pytest.raises(NotFoundError, match="does not exist"):
            action()


def test_update_is_compare_and_swap(store: Datastore) -> None:
    first = store.create(node("a"))
    second = store.update(first.replace(ipv4_address="10.0.0.1/24"))
    assert second.resource_version != first.resource_version
    assert (second.metadata.uid, second.ipv4_address) == (first.metadata.uid, "10.0.0.1/24")
    with pytest.raises(ConflictError, match="Node a was changed"):
        store.update(first.replace(ipv4_address="10.0.0.2/24"))
    assert store.get(Node, "a") == second


def test_delete_is_compare_and_swap(store: Datastore) -> None:
    first = store.create(node("a"))
    second = store.update(first.replace(as_number=65000))
    with pytest.raises(ConflictError):
        store.delete(first)
    store.delete(second)
    with pytest.raises(NotFoundError):
        store.get(Node, "a")
    again = store.create(node("a"))
    assert again.metadata.uid != first.metadata.uid
    with pytest.raises(ConflictError):
        store.delete(second)


def test_a_revision_is_required_to_change(store: Datastore) -> None:
    store.create(node("a"))
    for action in (store.update, store.delete):
        with pytest.raises(ValidationError, match=r"metadata\.resourceVersion: is required"):
            action(node("a"))


def test_identity_cannot_be_changed_by_an_update(store: Datastore) -> None:
    created = store.create(node("a"))
    forged = created.replace(metadata=created.metadata.replace(uid="other", creation_timestamp="never"))
    assert store.update(forged).metadata.uid == created.metadata.uid
    assert store.get(Node, "a").metadata.creation_timestamp == created.metadata.creation_timestamp


def test_lists_are_in_order_and_filtered(store: Datastore) -> None:
    for name in ("node-2", "node-10", "node-1", "other", "node.1", "no"):
        store.create(node(name))
    assert [item.name for item in store.list(Node).items] == ["no", "node-1", "node-10", "node-2", "node.1", "other"]
    assert [item.name for item in store.list(Node, prefix="node-").items] == ["node-1", "node-10", "node-2"]
    assert store.list(Node, prefix="zzz").items == ()
    for namespace in ("b", "a"):
        store.create(endpoint(namespace, "x"))
    assert [item.namespace for item in store.list(WorkloadEndpoint).items] == ["a", "b"]
    assert [item.namespace for item in store.list(WorkloadEndpoint, namespace="b").items] == ["b"]


def test_defaults_are_stored(store: Datastore) -> None:
    assert store.create(pool("p", "10.0.0.0/16")).block_size == 26
    assert store.get(IPPool, "p").block_size == 26


def test_wrong_values_are_refused_and_change_nothing(store: Datastore) -> None:
    created = store.create(pool("p", "10.0.0.0/16"))
    before = store.list(IPPool)
    for action in (
        lambda: store.create(pool("q", "10.1.0.1/16")),
        lambda: store.create(pool("q", "10.0.1.0/24")),
        lambda: store.update(created.replace(cidr="10.1.0.0/16")),
        lambda: store.update(created.replace(block_size=28)),
        lambda: store.update(created.replace(ipip_mode="Sometimes")),
    ):
        with pytest.raises(ValidationError):
            action()
    assert store.list(IPPool) == before


def test_unknown_fields_survive(store: Datastore) -> None:
    created = store.create(node("a").replace(extra={"spec": {"later": {"x": [1]}}, "status": {}}))
    store.update(created.replace(ipv4_address="10.0.0.1/24"))
    assert store.get(Node, "a").extra == {"spec": {"later": {"x": [1]}}, "status": {}}


def test_values_are_isolated_from_the_caller(store: Datastore) -> None:
    labels = {"zone": "a"}
    store.create(Node(metadata=Metadata(name="a", labels=labels)))
    labels["zone"] = "b"
    assert store.get(Node, "a").metadata.labels == {"zone": "a"}


def test_kinds_that_are_not_kept_are_refused(store: Datastore) -> None:
    with pytest.raises(TypeError, match="OpaqueResource is not a kind"):
        store.get(OpaqueResource, "x")


def test_a_watch_delivers_every_change_in_order(store: Datastore) -> None:
    with store.watch([Node], store.list(Node).revision) as watch:
        first = store.create(node("a"))
        second = store.update(first.replace(as_number=65000))
        store.create(pool("p", "10.0.0.0/16"))
        store.delete(second)
        events = collect(watch, 3)
    assert [(event.type, event.kind, event.resource.name) for event in events] == [
        ("ADDED", Node, "a"),
        ("MODIFIED", Node, "a"),
        ("DELETED", Node, "a"),
    ]
    assert events[0].resource == first
    assert events[0].revision == first.resource_version
    assert events[2].resource.as_number == 65000  # type: ignore[attr-defined]


def collect(watch: Watch, count: int) -> list[WatchEvent]:
    events: list[WatchEvent] = []
    deadline = time.monotonic() + 10
    while len(events) < count and time.monotonic() < deadline:
        events += watch.wait(0.5)
    assert len(events) == count
    return events


def test_a_watch_goes_on_where_a_list_ended(store: Datastore) -> None:
    store.create(node("a"))
    listing = store.list(Node)
    store.create(node("b"))
    watch = store.watch([Node, IPPool], listing.revision)
    assert [event.resource.name for event in watch.wait(1)] == ["b"]
    assert watch.wait(0) == []


def test_a_watch_may_start_in_the_past(store: Datastore) -> None:
    revision = store.list(Node).revision
    for number in range(5):
        store.create(node(f"n{number}"))
    assert len(collect(store.watch([Node], revision), 5)) == 5


def test_a_forgotten_past_expires_the_watch(open_store: Callable[..., Datastore]) -> None:
    store = open_store(history=4)
    revision = store.list(Node).revision
    watch = store.watch([Node], revision)
    current = store.create(node("a"))
    for number in range(1, 20):
        current = store.update(current.replace(as_number=number))
    with pytest.raises(WatchExpired, match="are forgotten"):
        watch.wait(0)
    for wrong in (revision, "1000000", "abc", "-1"):
        with pytest.raises(WatchExpired), store.watch([Node], wrong) as stale:
            stale.wait(0)
    fresh = store.watch([Node], store.list(Node).revision)
    store.update(current.replace(as_number=65000))
    assert len(collect(fresh, 1)) == 1


def test_a_watch_keeps_up_with_bounded_history(open_store: Callable[..., Datastore]) -> None:
    store = open_store(history=4)
    watch = store.watch([Node], store.list(Node).revision)
    current = store.create(pool("p", "10.0.0.0/16"))
    for _ in range(20):
        current = store.update(current)
        assert watch.wait(0) == []
    store.create(node("a"))
    assert len(collect(watch, 1)) == 1


def test_closing_wakes_who_waits(store: Datastore) -> None:
    watch = store.watch([Node], store.list(Node).revision)
    results: list[list[WatchEvent]] = []
    thread = threading.Thread(target=lambda: results.append(watch.wait(30)))
    thread.start()
    watch.close()
    thread.join(5)
    assert not thread.is_alive()
    assert results == [[]]
    assert watch.closed
    watch.close()


def test_closing_the_store_ends_its_watches(store: Datastore) -> None:
    watch = store.watch([Node], store.list(Node).revision)
    thread = threading.Thread(target=lambda: watch.wait(30))
    thread.start()
    store.close()
    thread.join(5)
    assert not thread.is_alive()
    assert watch.wait(0) == []
    with pytest.raises(DatastoreError, match="is closed"):
        store.get(Node, "a")
    with pytest.raises(DatastoreError, match="is closed"):
        store.create(node("a"))


def test_a_waiting_thread_gets_the_change_at_once(store: Datastore) -> None:
    watch = store.watch([Node], store.list(Node).revision)
    received: list[float] = []
    ready = threading.Event()

    def follow() -> None:
        for _ in range(20):
            ready.set()
            assert watch.wait(10)
            received.append(time.monotonic())

    thread = threading.Thread(target=follow)
    thread.start()
    delays = []
    current = store.create(node("a"))
    for number in range(20):
        if number:
            current = store.update(current.replace(as_number=number))
        sent = time.monotonic()
        deadline = sent + 5
        while len(received) <= number and time.monotonic() < deadline:
            time.sleep(0.0005)
        delays.append(received[number] - sent)
    thread.join(5)
    assert sorted(delays)[len(delays) // 2] < 0.02


def test_threads_may_share_a_store(store: Datastore) -> None:
    store.create(node("a", as_number=1))
    failures: list[Exception] = []

    def count_up() -> None:
        done = 0
        while done < 25:
            current = store.get(Node, "a")
            try:
                store.update(current.replace(as_number=(current.as_number or 0) + 1))
            except ConflictError:
                continue
            except Exception as error:  # noqa: BLE001 - reported below
                failures.append(error)
                return
            done += 1

    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert not failures
    assert store.get(Node, "a").as_number == 101
