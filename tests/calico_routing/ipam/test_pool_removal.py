from __future__ import annotations

import pytest

from calico_routing.datastore.interface import Datastore, NotFoundError
from calico_routing.ipam.errors import NoPoolError
from calico_routing.ipam.pool_removal import remove_pool
from calico_routing.model.resources import IPPool
from tests.calico_routing.ipam.cluster import Cluster
from tests.properties.faulty_datastore import FaultyDatastore


def test_a_pool_is_disabled_before_its_blocks_are_given_up(store: Datastore) -> None:
    cluster = Cluster(store)
    cluster.add_pool("10.0.0.0/28", block_size=29)
    (address,) = cluster.assign("a", 1, "pod")
    cluster.assign("b", 1, "gone")
    cluster.allocator.release_by_handle("gone")
    pauses: list[float] = []

    def pause(seconds: float) -> None:
        pauses.append(seconds)
        assert store.get(IPPool, "pool").disabled
        with pytest.raises(NoPoolError):
            cluster.assign()

    faulty = FaultyDatastore(store, conflicts={1, 3})
    remove_pool(faulty, cluster.allocator, "pool", pause=pause)
    assert pauses == [0.5]
    assert store.list(IPPool).items == ()
    assert cluster.affinities() == {}
    assert [block.affinity for block in cluster.blocks().values()] == [None]
    assert cluster.allocator.release_by_handle("pod") == (address,)
    assert cluster.blocks() == {}
    cluster.assert_sound()


def test_an_unknown_pool_is_not_found(store: Datastore) -> None:
    with pytest.raises(NotFoundError):
        remove_pool(store, Cluster(store).allocator, "pool")
