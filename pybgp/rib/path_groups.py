"""Update groups whose members take several paths to a prefix (RFC 7911).

Keys here begin with a path identifier of ours.  Everything that an update group knows about members, duplicates, slow
ones and refreshes holds for them as for prefixes; only what is to be sent is found another way.
"""

from __future__ import annotations

from itertools import islice
from typing import TYPE_CHECKING, Final
from weakref import WeakSet

from pybgp.rib.adj_rib_in import split_ids
from pybgp.rib.outbox import Outbox
from pybgp.rib.update_groups import SLICE, UpdateGroup, everything
from pybgp.wire.nlri import PATH_ID_LENGTH

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.export import ExportProfile
    from pybgp.rib.exported import Exported
    from pybgp.rib.path import Change, Path
    from pybgp.rib.path_choice import Offer, PathChoice

    Teller = tuple[int, bytes]

#: Prefixes with identifiers, below which a sweep is not worth its time.
SMALLEST_SWEEP: Final = 4096
#: Prefixes handled in one turn; each costs ten times what one does of which only the best path counts.
PATH_SLICE: Final = 1_000


class PathIdentifiers:
    """Our path identifiers of one family: a path has the same one toward every peer for as long as it lives."""

    def __init__(self) -> None:
        """No path has one."""
        #: prefix -> who tells us the path -> our identifier.
        self._known: dict[bytes, dict[Teller, bytes]] = {}
        self._sweep_at = SMALLEST_SWEEP
        self.groups: WeakSet[PathGroup] = WeakSet()

    def __len__(self) -> int:
        """Return how many prefixes have identifiers."""
        return len(self._known)

    def find(self, prefix: bytes, offer: Offer) -> bytes | None:
        """Return the identifier of a path, None if it has none yet."""
        return self._known.get(prefix, {}).get(offer[:2])

    def assign(self, prefix: bytes, chosen: Sequence[Offer], present: Sequence[Offer]) -> list[bytes]:
        """Return an identifier for each of the chosen paths; ``present`` are all that there are.

        The lowest free one counts from 1; that of a path which is gone is free once no peer can hold it any more.
        """
        known = self._known.get(prefix, {})
        missing = [offer[:2] for offer in chosen if offer[:2] not in known]
        if missing or not present:
            known = self._released(prefix, known, present)
            used = set(known.values())
            free = (one for number in range(1, 2**32) if (one := number.to_bytes(PATH_ID_LENGTH, "big")) not in used)
            known.update(zip(missing, free, strict=False))
            if known:
                self._known[prefix] = known
            else:
                self._known.pop(prefix, None)
        return [known[offer[:2]] for offer in chosen]

    def tidy(self, prefixes: Container[bytes]) -> None:
        """Forget identifiers of prefixes that nobody offers or holds, once there may be many."""
        if len(self._known) <= self._sweep_at:
            return
        for prefix in [prefix for prefix in self._known if prefix not in prefixes]:
            self.assign(prefix, (), ())
        self._sweep_at = max(SMALLEST_SWEEP, 2 * len(self._known))

    def _released(self, prefix: bytes, known: Mapping[Teller, bytes], present: Sequence[Offer]) -> dict[Teller, bytes]:
        alive = {offer[:2] for offer in present}
        return {
            teller: identifier
            for teller, identifier in known.items()
            if teller in alive or any(group.may_hold(identifier + prefix) for group in self.groups)
        }


class PathGroup(UpdateGroup):
    """Sans-I/O: prefixes whose paths have changed go in; octets with their audience come out."""

    def __init__(
        self,
        profile: ExportProfile,
        choice: PathChoice,
        best: Mapping[bytes, Path],
        offers: Callable[[bytes], Sequence[Offer]],
        identifiers: PathIdentifiers,
    ) -> None:
        """``offers`` returns the paths of a prefix that may be selected; ``best`` is the live Loc-RIB."""
        super().__init__(profile, best)
        #: only such paths are sent for the time being; None: all.
        self.only: Callable[[Path], bool] | None = None
        self._choice = choice
        self._offers = offers
        self._identifiers = identifiers
        self._dirty: dict[bytes, None] = {}
        #: prefix -> identifiers under which members may have been told of it, joined.
        self._told: dict[bytes, bytes] = {}
        identifiers.groups.add(self)

    def may_follow(self, changes: Sequence[Change]) -> bool:
        """Say that the Loc-RIB does not stand for what is told here."""
        del changes
        return False

    def may_hold(self, raw: bytes) -> bool:
        """Say whether some member may hold a path under this key."""
        return raw in self.sent or any(raw in member.behind for member in self.members.values())

    def held_best(self, number: int, key: bytes) -> Exported | None:
        """Return what a member holds of the best path to a prefix, as far as is known."""
        best = self._best.get(key)
        for offer in self._offers(key):
            if offer.path is best and (identifier := self._identifiers.find(key, offer)) is not None:
                return self.held(number, identifier + key)
        return None

    def paths(self, prefix: bytes) -> list[tuple[Path, bytes | None]]:
        """Return the paths to a prefix that members shall have, each with its key once it has one."""
        return [(offer.path, self.key_of(prefix, offer)) for offer in self.wanted(prefix)]

    def wanted(self, prefix: bytes) -> Sequence[Offer]:
        """Return the paths to a prefix that members shall have, as far as their policy lets them."""
        return self._wanted(prefix, self._offers(prefix))

    def key_of(self, prefix: bytes, offer: Offer) -> bytes | None:
        """Return the key of a path here; None if it has none yet."""
        identifier = self._identifiers.find(prefix, offer)
        return None if identifier is None else identifier + prefix

    def told(self) -> Iterable[bytes]:
        """Return the prefixes that members may have been told of."""
        return self._told

    def keys_under(self, prefix: bytes) -> list[bytes]:
        """Return the keys under which members may have been told of a prefix."""
        return [identifier + prefix for identifier in split_ids(self._told.get(prefix, b""))]

    def enqueue_changes(self, changes: Sequence[Change]) -> None:
        """Note that the paths of prefixes have changed, whichever of them is the best now."""
        if not self._is_silent:
            for _, _, keys in changes:
                self._dirty.update(dict.fromkeys(keys))

    def enqueue_all(self) -> None:
        """Look at every prefix again, slice by slice; what was sent already is not repeated."""
        if not self._is_silent:
            self._backlog = everything(self._best, self._told)

    def backlog(self, number: int) -> int:
        """Return how many prefixes wait for a member, at most; a table that is looked at anew is not counted."""
        return len(self._dirty) + self._missed(number)

    @property
    def slice(self) -> int:
        """How many prefixes one turn has time for, each with all its paths."""
        return PATH_SLICE

    @property
    def is_idle(self) -> bool:
        """Whether nothing waits to be sent to members that keep up."""
        return not self._dirty and self._backlog is None

    def flush(self, limit: int = SLICE) -> Iterator[tuple[int, bytes]]:
        """Turn at most ``limit`` waiting prefixes into octets for the members that keep up."""
        self._refill(limit)
        members, outbox = self._begin()
        gone: list[bytes] = []
        chosen: dict[tuple[Path, bytes], list[bytes]] = {}
        for prefix in list(islice(self._dirty, limit)):
            del self._dirty[prefix]
            gone += self._choose(prefix, chosen)
        self._store(outbox, None, self._within_limit(None, gone))
        for (path, identifier), prefixes in chosen.items():
            for exported, keys in self.decide(path, prefixes):
                raw_keys = [identifier + key for key in keys]
                self._store(outbox, exported, self._within_limit(exported, raw_keys))
        self._fill_up()
        self._identifiers.tidy(self._best)
        return outbox.deliveries(members)

    def _choose(self, prefix: bytes, chosen: dict[tuple[Path, bytes], list[bytes]]) -> list[bytes]:
        """Sort the paths to send into ``chosen``, and return the keys that are sent no more."""
        present = self._offers(prefix)
        wanted = self._wanted(prefix, present)
        identifiers = self._identifiers.assign(prefix, wanted, present)
        for offer, identifier in zip(wanted, identifiers, strict=True):
            chosen.setdefault((offer.path, identifier), []).append(prefix)
        gone = [one + prefix for one in split_ids(self._told.pop(prefix, b"")) if one not in identifiers]
        if identifiers:
            self._told[prefix] = b"".join(identifiers)
        return gone

    def _wanted(self, prefix: bytes, present: Sequence[Offer]) -> Sequence[Offer]:
        """Return those of the paths that are there which members shall have, as far as their policy lets them."""
        shown = present if self.only is None else [offer for offer in present if self.only(offer.path)]
        return self._choice.choose(shown, self._best.get(prefix)) if shown else ()

    def _outbox(self) -> Outbox:
        return Outbox(self.profile, path_id=b"")

    def _refill(self, limit: int) -> None:
        if self._backlog is not None:
            keys = list(islice(self._backlog, limit))
            self._dirty.update(dict.fromkeys([key for key in keys if key is not None]))
            if len(keys) < limit:
                self._backlog = None

    def _fill_up(self) -> None:
        """Look again at what was held back, as far as there is room now."""
        room = self.profile.prefix_limit - len(self.sent)
        if self.held_back and room > 0 and not self._dirty:
            for raw in list(islice(self.held_back, room)):
                del self.held_back[raw]
                self.enqueue(None, (raw[PATH_ID_LENGTH:],))
