"""Drives the update groups: the first change leaves in the turn that made it, its followers are gathered briefly."""

from __future__ import annotations

import asyncio
import contextlib
from functools import partial
from math import inf
from typing import TYPE_CHECKING, NamedTuple, Protocol

import structlog

from pybgp.errors import LocalError
from pybgp.rib.group_kinds import DEFAULT_KEY, best_with, looks_at_every_path, make_group
from pybgp.rib.path import BGP_PREFERENCE, Change, Path, Source
from pybgp.rib.path_groups import PathGroup, PathIdentifiers
from pybgp.rib.update_groups import CATCH_UP_SLICE, SEEN_FOR_ONE, SLICE
from pybgp.wire.families import ROUTE_TARGET
from pybgp.wire.iana import RefreshSubtype
from pybgp.wire.messages import RouteRefresh, encode, end_of_rib

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.member import Member
    from pybgp.rib.tables import Rib
    from pybgp.rib.update_groups import UpdateGroup
    from pybgp.wire.families import Family


#: What one turn writes, in octets, so that KEEPALIVEs are never late.
TURN_OCTETS = 8_000_000
#: What a write costs beside its octets, and what bringing a peer to the present costs per octet, in octets written.
WRITE_COST = 16_384
CATCH_UP_COST = 16
#: The same of noting that a peer has missed a prefix.
SEEN_COST = 25

log = structlog.get_logger("pybgp")


class Outlet(Protocol):
    """Where octets for one peer go."""

    @property
    def can_write(self) -> bool:
        """Whether the peer takes octets as fast as we write them."""

    def send(self, octets: bytes) -> None:
        """Write whole messages."""


class Exit:
    """One peer in one family: its place in a group, and what must follow once it is up to date."""

    __slots__ = ("enhanced", "group", "member", "outlet", "owes_end_of_rib", "refresh_again", "refreshing")

    def __init__(self, group: UpdateGroup, member: Member, outlet: Outlet, *, enhanced: bool) -> None:
        """``enhanced``: the peer understands marks around a refresh (RFC 7313)."""
        self.group = group
        self.member = member
        self.outlet = outlet
        self.enhanced = enhanced
        self.owes_end_of_rib = True
        self.refreshing = False
        self.refresh_again = False

    @property
    def is_up_to_date(self) -> bool:
        """Whether the peer holds all that it should hold."""
        return self.group.is_idle and self.member.current

    def write(self, octets: bytes) -> None:
        """Write, and note whether the peer can take more."""
        if octets:
            # The session may have ended in this turn; its SessionDown is on the way, and the rest of the story with it.
            with contextlib.suppress(LocalError):
                self.outlet.send(octets)
        self.member.paused = not self.outlet.can_write


class Delivery(NamedTuple):
    """What is yet to be written of a flush: the octets, and whom they are for."""

    octets: Iterator[tuple[int, bytes]]
    #: the members of the group at that time; another one with the same number is another session.
    members: Mapping[int, Member]


def is_settled(path: Path | None) -> bool:
    """Whether a path is the best whatever peers will still say, so that a restarting speaker may announce it."""
    return path is None or (path.source is Source.LOCAL and path.preference > BGP_PREFERENCE)


def without_default(changes: Sequence[Change]) -> list[Change]:
    """Return what is left for the tables to say to a peer that has a default route of ours."""
    return [
        change._replace(keys=[key for key in change.keys if key != DEFAULT_KEY])
        if DEFAULT_KEY in change.keys
        else change
        for change in changes
    ]


class Exporter:
    """All update groups of a speaker, and when they are flushed."""

    def __init__(self, rib: Rib, batch_time: float, *, holding: bool) -> None:
        """``holding``: a restart is under way, see `release`."""
        self._rib = rib
        self._batch_time = batch_time
        #: a restart is under way: only settled paths leave, and no End-of-RIB (RFC 4724 section 4.1).
        self._holding = holding
        self._groups: dict[ExportProfile, UpdateGroup] = {}
        self._exits: dict[tuple[int, Family], Exit] = {}
        #: families in which some peer is sent several paths, or another than the best.
        self._identifiers: dict[Family, PathIdentifiers] = {}
        #: exits that are behind or owe a mark; the others need no look.
        self._unfinished: dict[tuple[int, Family], None] = {}
        #: what peers are yet to be given of the last flush of their group, which is not flushed again before.
        self._deliveries: dict[UpdateGroup, Delivery] = {}
        #: what the turn has time to write, in octets.
        self._room: float = TURN_OCTETS
        self._batch: asyncio.TimerHandle | None = None
        self._soon: asyncio.Handle | None = None
        #: profiles that peers are yet to be given.
        self._moves: dict[tuple[int, Family], ExportProfile] = {}
        self._waiting = False

    # Peers

    def join(self, member: Member, outlet: Outlet, profile: ExportProfile, *, enhanced: bool) -> None:
        """Send a new session everything that its profile lets through, then End-of-RIB."""
        group, number = self._group(profile), member.number
        self._exits[number, profile.family] = Exit(group, member, outlet, enhanced=enhanced)
        group.add(member)
        self._look_at(number, profile.family)

    def leave(self, number: int) -> None:
        """Forget a peer whose session is over."""
        for key in [key for key in self._exits if key[0] == number]:
            self._moves.pop(key, None)
            self._detach(self._exits.pop(key))
            self._unfinished.pop(key, None)

    def change_profile(self, number: int, profile: ExportProfile) -> None:
        """Move a peer to another group; it is sent the differences only."""
        place = self._exits.get((number, profile.family))
        if place is None or place.group.profile == profile:
            return
        self._complete(place.group)
        old, place.group = place.group, self._group(profile)
        place.group.add(place.member, old.hand_over(number))
        self._tidy(old)
        self._look_at(number, profile.family)

    def change_profiles(self, wanted: Mapping[tuple[int, Family], ExportProfile]) -> None:
        """Change the profiles of many peers: whole groups where they are, other peers one by one in turns to come."""
        by_group: dict[UpdateGroup, dict[tuple[int, Family], ExportProfile]] = {}
        for key, profile in wanted.items():
            self._moves.pop(key, None)
            place = self._exits.get(key)
            if place is not None and place.group.profile != profile:
                by_group.setdefault(place.group, {})[key] = profile
        for group, moves in by_group.items():
            profile = next(iter(moves.values()))
            is_whole = len(moves) == len(group.members) and all(other == profile for other in moves.values())
            if is_whole and not self._holding and profile not in self._groups and group.can_judge_by(profile):
                del self._groups[group.profile]
                group.change_policy(profile)
                self._groups[profile] = group
                self._pump_soon()
            else:
                self._moves.update(moves)
        self._move()

    @property
    def is_moving(self) -> bool:
        """Whether peers wait for new profiles, or for what is found out about their tables and they could take."""
        return bool(self._moves or self._deliveries) or any(
            not group.is_idle and not all(member.paused for member in group.members.values())
            for group in self._groups.values()
        )

    def _move(self) -> None:
        """Change the profiles of some peers, as many as a turn has time for."""
        room = SLICE
        while self._moves and room > 0:
            (number, family), profile = next(iter(self._moves.items()))
            del self._moves[number, family]
            if (place := self._exits.get((number, family))) is not None:
                room -= len(place.group.sent) + 1
                self.change_profile(number, profile)
        if self._moves:
            self._pump_soon()

    def group_of(self, number: int, family: Family) -> UpdateGroup | None:
        """Return the group that a peer is in."""
        place = self._exits.get((number, family))
        return place.group if place is not None else None

    def holds(self, number: int, family: Family) -> Mapping[bytes, Exported]:
        """Return the Adj-RIB-Out of a peer."""
        place = self._exits.get((number, family))
        return place.group.holds(number) if place else {}

    def held(self, number: int, family: Family, key: bytes) -> Exported | None:
        """Return what a peer holds under one key of `holds`."""
        place = self._exits.get((number, family))
        return place.group.held(number, key) if place else None

    def held_best(self, number: int, family: Family, prefix: bytes) -> Exported | None:
        """Return what a peer holds of the best path to a prefix."""
        place = self._exits.get((number, family))
        return place.group.held_best(number, prefix) if place else None

    def keys(self, number: int, family: Family) -> list[bytes]:
        """Return every key that `holds` may have; `held` tells which it has."""
        place = self._exits.get((number, family))
        return place.group.keys_of(number) if place else []

    def backlog(self, number: int) -> int:
        """Return how many prefixes a peer has yet to be told about, at most."""
        return sum(place.group.backlog(number) for (owner, _), place in self._exits.items() if owner == number)

    def refresh(self, number: int, family: Family) -> None:
        """Answer a ROUTE-REFRESH; one that comes while another runs starts it once more (RFC 2918, RFC 7313)."""
        place = self._exits.get((number, family))
        if place is None:
            return
        if place.refreshing or place.owes_end_of_rib:
            place.refresh_again = True
            return
        self._start_refresh(place)
        self._look_at(number, family)

    def resume(self, number: int) -> None:
        """The peer takes octets again."""
        for (owner, family), place in self._exits.items():
            if owner == number:
                place.member.paused = not place.outlet.can_write
                self._look_at(number, family)

    @property
    def is_idle(self) -> bool:
        """Whether every peer has been sent all that it should have."""
        return not self._unfinished and not self._deliveries and all(group.is_idle for group in self._groups.values())

    def sweeps(self) -> Iterator[Callable[[], bool]]:
        """Yield what makes each group forget what is no longer sent; it says whether there was enough to do."""
        return (group.forget_paths for group in tuple(self._groups.values()))

    # Changes

    @property
    def wants_paths(self) -> bool:
        """Whether some peer is sent more than the best path, or another, so that every change of any path counts."""
        return bool(self._identifiers)

    def publish(self, changes: Sequence[Change]) -> None:
        """Hand changes of the Loc-RIB to the groups; the first leaves at once."""
        if not self._groups:
            return
        is_touched = self._publish_paths() if self._identifiers else False
        if not (changes or is_touched):
            return
        for family in {change.family for change in changes}:
            together = [change for change in changes if change.family == family]
            if self._holding:
                together = [change if is_settled(change.path) else change._replace(path=None) for change in together]
            for group in self._groups.values():
                if group.profile.family == family:
                    if not self._holding and group.may_follow(together) and self._rib.follow(family, group.settle):
                        group.follow()
                    tells_all = group.profile.default_route is None
                    group.enqueue_changes(together if tells_all else without_default(together))
        self._pump_or_wait()

    def settle(self) -> None:
        """Changes will not come in the order any more in which they were made, until those in between have come."""
        for group in self._groups.values():
            group.settle()

    def _publish_paths(self) -> bool:
        is_touched = False
        for family, identifiers in self._identifiers.items():
            keys = self._rib.take_touched(family)
            if keys:
                is_touched = True
                for group in identifiers.groups:
                    group.enqueue(None, keys)
        return is_touched

    def release(self) -> None:
        """End the hold: everything selected leaves now, then End-of-RIB."""
        self._holding = False
        for group in self._groups.values():
            if isinstance(group, PathGroup):
                group.only = None
            group.enqueue_all()
        self._pump_soon()

    def flush(self) -> None:
        """Write what waits now, as far as peers take it; for a speaker that is about to stop."""
        self._pump(inf)

    def close(self) -> None:
        """Stop all timers."""
        for handle in (self._batch, self._soon):
            if handle is not None:
                handle.cancel()
        self._batch = self._soon = None

    # Inside

    def _group(self, profile: ExportProfile) -> UpdateGroup:
        group = self._groups.get(profile)
        if group is None:
            family = profile.family
            if looks_at_every_path(profile) and family not in self._identifiers:
                self._identifiers[family] = PathIdentifiers()
                self._rib.watch_paths(family)
            best, offers = self._rib.best(family), partial(self._rib.offers, family)
            identifiers = self._identifiers.get(family, PathIdentifiers())
            group = self._groups[profile] = make_group(profile, best, offers, identifiers)
            if isinstance(group, PathGroup):
                group.only = is_settled if self._holding else None
                group.enqueue_all()
            elif self._holding:
                for key, path in best_with(best, profile.default_route).items():
                    if is_settled(path):
                        group.enqueue(path, (key,))
            else:
                group.enqueue_all()
        return group

    def _look_at(self, number: int, family: Family) -> None:
        self._unfinished[number, family] = None
        self._pump_soon()

    def _detach(self, place: Exit) -> None:
        place.group.remove(place.member.number)
        self._tidy(place.group)

    def _tidy(self, group: UpdateGroup) -> None:
        if group.members:
            return
        self._groups.pop(group.profile, None)
        self._rib.unfollow(group.profile.family, group.settle)
        self._deliveries.pop(group, None)
        if isinstance(group, PathGroup):
            family = group.profile.family
            self._identifiers[family].groups.discard(group)
            if not self._identifiers[family].groups:
                del self._identifiers[family]
                self._rib.watch_paths(family, active=False)

    def _pump_or_wait(self) -> None:
        if self._batch is not None:
            self._waiting = True
            return
        if self._soon is None:
            # Else it is on its way, and two of them would make one long turn.
            self._pump()
        self._batch = asyncio.get_running_loop().call_later(self._batch_time, self._batch_over)

    def _batch_over(self) -> None:
        self._batch = None
        if self._waiting:
            self._waiting = False
            self._pump_or_wait()

    def _pump_soon(self) -> None:
        if self._soon is None:
            self._soon = asyncio.get_running_loop().call_soon(self._pump_now)

    def _pump_now(self) -> None:
        self._soon = None
        self._pump()

    def _pump(self, room: float = TURN_OCTETS) -> None:
        """Write one slice of everything; come back for the rest, so that no turn is long."""
        self._room, self._waiting = room, False
        if self._moves:
            self._move()
        unfinished = [self._serve(group) for group in tuple(self._groups.values())]
        unfinished += [self._advance(key, self._exits[key]) for key in tuple(self._unfinished)]
        if any(unfinished):
            self._pump_soon()

    def _serve(self, group: UpdateGroup) -> bool:
        """Flush a group, unless the turn is over; who was served waits behind all others."""
        if self._room <= 0:
            return group in self._deliveries or not self._is_quiet(group)
        has_more = self._flush(group)
        if has_more:
            self._groups[group.profile] = self._groups.pop(group.profile)
        return has_more

    @staticmethod
    def _is_quiet(group: UpdateGroup) -> bool:
        return group.is_idle or all(member.paused for member in group.members.values())

    def _flush(self, group: UpdateGroup) -> bool:
        """Write a slice of a group; say whether there is more that somebody could take."""
        delivery = self._deliveries.pop(group, None)
        if delivery is None:
            if self._is_quiet(group):
                return False
            was_complete = not group.held_back
            delivery = Delivery(group.flush(group.slice), group.members)
            if was_complete and group.held_back:
                profile = group.profile
                log.error("send_limit_reached", family=str(profile.family), maximum=profile.prefix_limit)
        if not self._deliver(group, delivery):
            members = delivery.members
            self._deliveries[group] = Delivery(delivery.octets, dict(members) if members is group.members else members)
            return True
        return not group.is_idle

    def _deliver(self, group: UpdateGroup, delivery: Delivery) -> bool:
        """Write what a group has to say, as long as there is time; say whether that is all."""
        family = group.profile.family
        for number, octets in delivery.octets:
            key = number, family
            place = self._exits.get(key)
            if place is None or place.member is not delivery.members.get(number):
                continue
            place.write(octets)
            if place.member.paused:
                self._unfinished[key] = None
            self._room -= len(octets) + WRITE_COST
            if self._room <= 0:
                return False
        return True

    def _complete(self, group: UpdateGroup) -> None:
        """Write the rest of what a group has said: it is what its members hold."""
        if (delivery := self._deliveries.pop(group, None)) is not None:
            room, self._room = self._room, inf
            self._deliver(group, delivery)
            self._room = room

    def _advance(self, key: tuple[int, Family], place: Exit) -> bool:
        """Bring one peer nearer to the present; say whether there is more that it could take."""
        member = place.member
        if member.paused:
            return False
        if self._room <= 0 or place.group in self._deliveries:
            return True
        if member.unseen is not None:
            self._room -= SEEN_COST * min(len(place.group.sent), SEEN_FOR_ONE * CATCH_UP_SLICE)
        if octets := place.group.catch_up(member.number):
            place.write(octets)
            self._room -= CATCH_UP_COST * len(octets)
            # Whoever comes next has not been served in this turn.
            del self._unfinished[key]
            self._unfinished[key] = None
        if not place.is_up_to_date:
            return not member.paused
        # Memberships never wait: a peer that restarts too would wait for them with its VPN routes.
        if not self._holding or key[1] == ROUTE_TARGET:
            self._finish(key[1], place)
            if place.is_up_to_date:
                self._unfinished.pop(key, None)
        return False

    def _finish(self, family: Family, place: Exit) -> None:
        """Say that the table is complete (RFC 4724 section 2, RFC 7313 section 4)."""
        if place.refreshing:
            place.refreshing = False
            if place.enhanced:
                place.write(encode(RouteRefresh(family, RefreshSubtype.END)))
        if place.owes_end_of_rib:
            place.owes_end_of_rib = False
            place.write(end_of_rib(family))
        if place.refresh_again:
            place.refresh_again = False
            self._start_refresh(place)
            self._pump_soon()

    def _start_refresh(self, place: Exit) -> None:
        place.refreshing = True
        if place.enhanced:
            place.write(encode(RouteRefresh(place.group.profile.family, RefreshSubtype.BEGIN)))
        place.group.refresh(place.member.number)
