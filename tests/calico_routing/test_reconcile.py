from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.interface import ADD, DELETE, PROTOCOL_BIRD, REPLACE, KernelRoute, NextHop, Operation
from calico_routing.reconcile import Slot, plan, slot_of

FIRST = (NextHop("10.0.0.12", "tunl0", onlink=True),)
SECOND = (NextHop("10.0.0.13", "tunl0", onlink=True),)


def route(number: int, hops: tuple[NextHop, ...] = FIRST, **changes: int) -> KernelRoute:
    return KernelRoute(f"192.168.{number}.0/26", "unicast", hops)._replace(**changes)


def wanted(*routes: KernelRoute) -> dict[str, KernelRoute]:
    return {one.destination: one for one in routes}


def test_missing_ones_are_added_wrong_ones_replaced_stale_ones_deleted_last() -> None:
    actual = [route(9), route(2, SECOND), route(3)]
    assert plan(wanted(route(1), route(2), route(3)), actual) == [
        Operation(ADD, route(1)),
        Operation(REPLACE, route(2)),
        Operation(DELETE, route(9)),
    ]


def test_what_is_equal_needs_nothing() -> None:
    assert plan(wanted(route(1), route(2)), [route(2), route(1)]) == []


def test_a_blackhole_that_should_be_a_way_is_replaced_in_place() -> None:
    hole = KernelRoute("192.168.1.0/26", "blackhole")
    assert plan(wanted(route(1)), [hole]) == [Operation(REPLACE, route(1))]


def test_foreign_routes_are_left_alone_and_so_is_their_slot() -> None:
    foreign = [route(1, SECOND, protocol=3), route(5, protocol=4)]
    assert plan(wanted(route(1)), foreign) == []


def test_a_foreign_route_of_another_metric_is_no_obstacle() -> None:
    assert plan(wanted(route(1)), [route(1, protocol=3, metric=50)]) == [Operation(ADD, route(1))]


def test_a_leftover_of_another_metric_goes_after_the_right_one_is_there() -> None:
    leftover = route(1, metric=32)
    assert plan(wanted(route(1)), [leftover]) == [Operation(ADD, route(1)), Operation(DELETE, leftover)]


def test_a_second_route_in_one_slot_is_deleted_by_its_next_hop() -> None:
    assert plan(wanted(route(1)), [route(1), route(1, SECOND)]) == [Operation(DELETE, route(1, SECOND))]


def test_the_wanted_one_of_two_in_one_slot_stays_wherever_it_stands() -> None:
    assert plan(wanted(route(1)), [route(1, SECOND), route(1)]) == [Operation(DELETE, route(1, SECOND))]


def test_leftovers_are_kept_while_restarting_but_wrong_ones_are_mended() -> None:
    actual = [route(9), route(1, SECOND), route(1, metric=32)]
    assert plan(wanted(route(1)), actual, keep_stale=True) == [
        Operation(REPLACE, route(1)),
        Operation(DELETE, route(1, metric=32)),
    ]


routes = st.builds(
    route,
    st.integers(1, 4),
    st.sampled_from([FIRST, SECOND]),
    protocol=st.sampled_from([12, 12, 3]),
    metric=st.sampled_from([0, 0, 32]),
)


def applied(table: dict[Slot, KernelRoute], operations: list[Operation]) -> dict[Slot, KernelRoute]:
    """What a kernel makes of the operations."""
    after = dict(table)
    for operation in operations:
        slot = slot_of(operation.route)
        if operation.action == DELETE:
            assert after[slot].protocol == operation.route.protocol
            del after[slot]
        else:
            assert (operation.action == REPLACE) == (slot in after)
            after[slot] = operation.route
    return after


@given(st.lists(routes), st.lists(st.builds(route, st.integers(1, 4), st.sampled_from([FIRST, SECOND]))))
def test_one_pass_is_enough_and_the_second_is_empty(present: list[KernelRoute], desired: list[KernelRoute]) -> None:
    table = {slot_of(one): one for one in present}
    goal = wanted(*desired)
    after = applied(table, plan(goal, table.values()))
    assert plan(goal, after.values()) == []
    foreign = {slot: one for slot, one in table.items() if one.protocol != PROTOCOL_BIRD}
    assert {slot: one for slot, one in after.items() if one.protocol != PROTOCOL_BIRD} == foreign
    ours = {one for one in after.values() if one.protocol == PROTOCOL_BIRD}
    assert ours == {one for one in goal.values() if slot_of(one) not in foreign}


@given(st.lists(routes), st.lists(st.builds(route, st.integers(1, 4))))
def test_nothing_is_withdrawn_before_everything_wanted_is_there(
    present: list[KernelRoute], desired: list[KernelRoute]
) -> None:
    actions = [operation.action for operation in plan(wanted(*desired), present)]
    assert actions == sorted(actions, key=lambda action: action == DELETE)
