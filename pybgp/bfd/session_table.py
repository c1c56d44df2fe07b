"""Which session a packet is for, and whether it may count at all (RFC 5880 section 6.3, RFC 5881, RFC 5883)."""

from __future__ import annotations

from random import getrandbits, random
from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.bfd.packet import ControlPacket, Discard, DiscardError, decode
from pybgp.bfd.session import Session, StateChanged
from pybgp.errors import LocalError

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.bfd.config import BfdConfig

#: What a packet starts with, and what is left of it after one hop (RFC 5881 section 5).
SENDING_TTL: Final = 255


class Place(NamedTuple):
    """Where packets arrive: our address, its scope, the interface if only one counts, and which of the two ports."""

    address: str
    scope: int = 0
    interface: str = ""
    multihop: bool = False


class Remote(NamedTuple):
    """Where packets come from."""

    address: str
    scope: int = 0


class SessionTable:
    """All sessions of a system, by discriminator and by addresses."""

    def __init__(self, *, random: Callable[[], float] = random, new_number: Callable[[int], int] = getrandbits) -> None:
        """``new_number`` makes discriminators: random ones, so that nobody can guess them."""
        #: Packets that belong to no session, by the rule that says so.
        self.discarded: dict[Discard, int] = {}
        self._random = random
        self._new_number = new_number
        self._by_discriminator: dict[int, Session] = {}
        self._by_addresses: dict[tuple[Place, Remote], Session] = {}
        self._places: dict[Session, tuple[Place, Remote]] = {}

    def __len__(self) -> int:
        """How many sessions there are."""
        return len(self._places)

    def add(self, config: BfdConfig, place: Place, remote: Remote) -> Session:
        """Make a session; LocalError if there is one between these addresses already."""
        if (place, remote) in self._by_addresses:
            raise LocalError(f"BFD session {place.address} to {remote.address}: exists already")
        number = 0
        while not number or number in self._by_discriminator:
            number = self._new_number(32)
        session = Session(config, number, random=self._random)
        self._by_discriminator[number] = session
        self._by_addresses[place, remote] = session
        self._places[session] = (place, remote)
        return session

    def remove(self, session: Session) -> None:
        """Forget a session; what still arrives for it is discarded."""
        del self._by_addresses[self._places.pop(session)]
        del self._by_discriminator[session.local_discriminator]

    def find(self, place: Place, remote: Remote) -> Session | None:
        """Return the session between these addresses."""
        return self._by_addresses.get((place, remote))

    def receive(
        self, octets: bytes, place: Place, remote: Remote, ttl: int, now: float
    ) -> tuple[Session | None, list[StateChanged]]:
        """Give a UDP payload to its session; one that must be discarded is counted and has no other effect."""
        try:
            packet = decode(octets)
            session = self._select(packet, place, remote)
        except DiscardError as error:
            self.discarded[error.rule] = self.discarded.get(error.rule, 0) + 1
            return None, []
        lowest = session.config.minimum_ttl if place.multihop else SENDING_TTL
        if ttl < lowest:
            session.discard(DiscardError(Discard.TTL, f"{ttl}, at least {lowest} expected"))
            return None, []
        return session, session.receive(octets, packet, now)

    def _select(self, packet: ControlPacket, place: Place, remote: Remote) -> Session:
        number = packet.your_discriminator
        if not number:
            session = self._by_addresses.get((place, remote))
        else:
            session = self._by_discriminator.get(number)
            if session is not None and self._places[session][0] != place:
                session = None
        if session is None:
            raise DiscardError(Discard.NO_SESSION, f"discriminator {number} from {remote.address}")
        return session
