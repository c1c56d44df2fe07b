"""What one flush of a group has to say, and to whom: each bucket of prefixes is encoded once for all who hear it."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.rib.exported import UNKNOWN, Audience
from pybgp.wire.routes import encode_routes
from pybgp.wire.update_encoding import announcements, reaching

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.member import Member
    from pybgp.wire.attributes import Attributes


class Outbox:
    """Collects what is to be said by attributes and audience."""

    def __init__(self, profile: ExportProfile, *, path_id: bytes) -> None:
        """Empty; ``path_id`` goes in front of every key."""
        self._profile = profile
        self._path_id = path_id
        self._withdrawn: dict[tuple[bytes | None, Audience], list[bytes]] = {}
        self._announced: dict[tuple[Attributes, Audience], list[bytes]] = {}
        self._written: dict[tuple[Audience, bytes], list[tuple[bytes, Sequence[bytes]]]] = {}
        #: members that do not take what is said here.
        self.lagging: Sequence[Member] = ()

    def withdraw(self, audience: Audience, keys: Iterable[bytes], held: Exported | None) -> None:
        """Withdraw prefixes from an audience, with the details of what it ``held``, if that is known."""
        if not audience.is_empty:
            details = None if held is None or held is UNKNOWN else held.details
            self._withdrawn.setdefault((details, audience), []).extend(keys)

    def announce(self, attributes: Attributes, audience: Audience, keys: Iterable[bytes]) -> None:
        """Announce prefixes to an audience."""
        if not audience.is_empty:
            self._announced.setdefault((attributes, audience), []).extend(keys)

    def written(self, audience: Audience, front: bytes) -> list[tuple[bytes, Sequence[bytes]]]:
        """Return the list of what is announced behind attribute fields that are ready to send: there is more to add.

        ``front`` is what MP_REACH_NLRI says before the prefixes, in families that have it.
        """
        return self._written.setdefault((audience, front), [])

    def deliveries(self, members: Sequence[int]) -> Iterator[tuple[int, bytes]]:
        """Encode, withdrawals first; members that are told the same share one object, the others get theirs in turn."""
        told: dict[Audience, list[bytes]] = {}
        for (found, audience), keys in self._withdrawn.items():
            told.setdefault(audience, []).append(self._encode(keys, None, found))
        parts = [(audience, b"".join(octets)) for audience, octets in told.items()]
        limit = self._profile.send_limit
        told = {}
        for (audience, front), routes in self._written.items():
            told.setdefault(audience, []).append(
                reaching(front, routes, limit) if front else announcements(routes, limit)
            )
        for (attributes, audience), keys in self._announced.items():
            told.setdefault(audience, []).append(self._encode(keys, attributes))
        parts += [(audience, b"".join(octets)) for audience, octets in told.items()]
        for_all = [octets if audience.everyone else b"" for audience, octets in parts]
        #: where a member is told something else than all.
        named: dict[int, list[int]] = {}
        for place, (audience, _) in enumerate(parts):
            for number in audience.numbers:
                named.setdefault(number, []).append(place)
        to_everyone = b"".join(for_all)
        for number in members:
            octets = to_everyone
            if number in named:
                slots = for_all.copy()
                for place in named[number]:
                    audience, octets = parts[place]
                    slots[place] = b"" if audience.everyone else octets
                octets = b"".join(slots)
            if octets:
                yield number, octets

    def _encode(self, keys: Sequence[bytes], attributes: Attributes | None, details: bytes | None = None) -> bytes:
        profile = self._profile
        add_path, path_id = profile.add_path, self._path_id
        if path_id:
            keys = [path_id + key for key in keys]
        return b"".join(encode_routes(profile.family, keys, attributes, profile, add_path=add_path, details=details))
