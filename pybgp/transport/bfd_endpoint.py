"""BFD on real sockets: one endpoint of a process, shared by all its sessions (RFC 5881, RFC 5883)."""

from __future__ import annotations

import asyncio
import socket
import sys
from dataclasses import dataclass
from random import SystemRandom
from typing import TYPE_CHECKING, Final

import structlog

from pybgp.bfd.session_table import SENDING_TTL, Place, Remote, SessionTable
from pybgp.errors import LocalError
from pybgp.transport.tcp_options import SocketAddress, identity, resolve, set_interface, set_ttl

if TYPE_CHECKING:
    from collections.abc import Callable

    from pybgp.bfd.config import BfdConfig
    from pybgp.bfd.packet import SessionState
    from pybgp.bfd.session import Session, StateChanged

SINGLE_HOP_PORT: Final = 3784
MULTIHOP_PORT: Final = 4784
#: linux/in.h: the socket module has no name for it.
_IP_RECVTTL: Final = 12
#: RFC 5881 section 4; Linux hands out others by itself.
_FIRST_SOURCE_PORT: Final = 49152
_SOURCE_PORTS: Final = 65536 - _FIRST_SOURCE_PORT
_PORT_ATTEMPTS: Final = 64
#: Longer than any packet.
_LONGEST_DATAGRAM: Final = 512
_CONTROL_LENGTH: Final = socket.CMSG_SPACE(4)
#: Datagrams read in one turn, so that timers are never late.
_DATAGRAMS_AT_ONCE: Final = 64
#: Network control (RFC 2474 section 4.2.2.2).
_TRAFFIC_CLASS: Final = 0xC0

log = structlog.get_logger("pybgp")


@dataclass(frozen=True, slots=True)
class BfdStatus:
    """What can be seen of a session; times are seconds."""

    state: SessionState
    diagnostic: int
    remote_state: SessionState
    remote_diagnostic: int
    transmit_interval: float
    detection_time: float
    sent: int
    received: int
    #: By the rule of RFC 5880 section 6.8.6.
    discarded: dict[str, int]


class _Outlet:
    """The sending side of one session, and what its owner wants to hear."""

    __slots__ = ("address", "on_change", "place", "session", "socket", "timer")

    def __init__(
        self,
        session: Session,
        place: Place,
        sending: socket.socket,
        address: SocketAddress,
        on_change: Callable[[StateChanged], None],
    ) -> None:
        self.session = session
        self.place = place
        self.socket = sending
        self.address = address
        self.on_change = on_change
        self.timer: asyncio.TimerHandle | None = None


class BfdEndpoint:
    """Sends, receives and keeps time for BFD sessions; they decide everything."""

    def __init__(self, *, single_hop_port: int = SINGLE_HOP_PORT, multihop_port: int = MULTIHOP_PORT) -> None:
        """Nothing is opened before the first session is added."""
        self._ports = {False: single_hop_port, True: multihop_port}
        self._random = SystemRandom()
        self._table = SessionTable(random=self._random.random, new_number=self._random.getrandbits)
        self._listeners: dict[Place, socket.socket] = {}
        self._outlets: dict[Session, _Outlet] = {}

    def add(
        self,
        config: BfdConfig,
        local_address: str,
        remote_address: str,
        *,
        interface: str = "",
        on_change: Callable[[StateChanged], None],
    ) -> Session:
        """Start a session between two addresses; ``on_change`` is called in the turn of the loop that made the change.

        LocalError if a socket cannot be had, or if there is such a session already.  One that is just being
        stopped is taken up again.
        """
        family, local = resolve(local_address, 0)
        _, remote = resolve(remote_address, self._ports[config.multihop])
        if len(local) == 4 and len(remote) == 4 and not local[3]:
            local = (*local[:3], remote[3])
        place = Place(*identity(local), interface, config.multihop)
        now = _now()
        stopping = self._table.find(place, Remote(*identity(remote)))
        if stopping is not None and stopping.is_stopping and stopping.config == config:
            outlet = self._outlets[stopping]
            outlet.on_change = on_change
            self._pump(outlet, stopping.resume(now))
            return stopping
        if stopping is not None and stopping.is_stopping:
            self._forget(self._outlets[stopping])
        session = self._table.add(config, place, Remote(*identity(remote)))
        try:
            self._listen(place, family, local)
            sending = self._source(family, local, interface)
        except (OSError, LocalError) as error:
            self._table.remove(session)
            self._stop_listening(place)
            raise LocalError(f"BFD from {local_address} to {remote_address}: {error}") from error
        outlet = self._outlets[session] = _Outlet(session, place, sending, remote, on_change)
        session.start(now)
        self._pump(outlet, [])
        return session

    def remove(self, session: Session) -> None:
        """Stop a session; the remote system is told for a detection time, so that it counts no failure."""
        outlet = self._outlets.get(session)
        if outlet is not None:
            outlet.on_change = _ignore
            self._pump(outlet, session.stop(_now()))

    def status(self, session: Session) -> BfdStatus:
        """Return what can be seen of a session now."""
        return BfdStatus(
            state=session.state,
            diagnostic=session.diagnostic,
            remote_state=session.remote_state,
            remote_diagnostic=session.remote_diagnostic,
            transmit_interval=session.transmit_interval,
            detection_time=session.detection_time,
            sent=session.sent,
            received=session.received,
            discarded={str(rule): count for rule, count in session.discarded.items()},
        )

    def close(self) -> None:
        """End all sessions at once; each remote system is told once."""
        for outlet in tuple(self._outlets.values()):
            outlet.on_change = _ignore
            outlet.session.stop(_now())
            self._send(outlet)
            self._forget(outlet)

    # Sockets.

    def _listen(self, place: Place, family: socket.AddressFamily, local: SocketAddress) -> None:
        if place in self._listeners:
            return
        listener = socket.socket(family, socket.SOCK_DGRAM)
        self._listeners[place] = listener
        listener.setblocking(False)
        if family == socket.AF_INET6:
            listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVHOPLIMIT, 1)
        else:
            listener.setsockopt(socket.IPPROTO_IP, _IP_RECVTTL, 1)
        if place.interface:
            set_interface(listener, place.interface)
        listener.bind(_with_port(local, self._ports[place.multihop]))
        asyncio.get_running_loop().add_reader(listener, self._readable, place, listener)

    def _stop_listening(self, place: Place) -> None:
        """Close the listener of a place without sessions."""
        if place in self._listeners and all(outlet.place != place for outlet in self._outlets.values()):
            listener = self._listeners.pop(place)
            asyncio.get_running_loop().remove_reader(listener)
            listener.close()

    def _source(self, family: socket.AddressFamily, local: SocketAddress, interface: str) -> socket.socket:
        """Return a socket with a source port of its own (RFC 5881 section 4)."""
        sending = socket.socket(family, socket.SOCK_DGRAM)
        try:
            sending.setblocking(False)
            set_ttl(sending, SENDING_TTL)
            if family == socket.AF_INET6:
                sending.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, _TRAFFIC_CLASS)
            else:
                sending.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, _TRAFFIC_CLASS)
            if interface:
                set_interface(sending, interface)
            self._bind_source(sending, local)
        except BaseException:
            sending.close()
            raise
        return sending

    def _bind_source(self, sending: socket.socket, local: SocketAddress) -> None:
        for _ in range(_PORT_ATTEMPTS - 1):
            port = _FIRST_SOURCE_PORT + self._random.randrange(_SOURCE_PORTS)
            try:
                return sending.bind(_with_port(local, port))
            except OSError:
                continue
        return sending.bind(_with_port(local, _FIRST_SOURCE_PORT + self._random.randrange(_SOURCE_PORTS)))

    # The pump.

    def _readable(self, place: Place, listener: socket.socket) -> None:
        for _ in range(_DATAGRAMS_AT_ONCE):
            try:
                octets, control, _, source = listener.recvmsg(_LONGEST_DATAGRAM, _CONTROL_LENGTH)
            except BlockingIOError:
                return
            except OSError as error:
                log.warning("bfd_receive_failed", address=place.address, error=str(error))
                return
            session, events = self._table.receive(octets, place, Remote(*identity(source)), _ttl(control), _now())
            if session is not None:
                self._pump(self._outlets[session], events)

    def _pump(self, outlet: _Outlet, events: list[StateChanged]) -> None:
        self._send(outlet)
        self._rearm(outlet)
        for event in events:
            outlet.on_change(event)

    def _send(self, outlet: _Outlet) -> None:
        for packet in outlet.session.packets_to_send():
            try:
                outlet.socket.sendto(packet, outlet.address)
            except OSError as error:
                # No route or no carrier: the same as a lost packet, and the detection time of both sides judges it.
                log.debug("bfd_send_failed", address=outlet.address[0], error=str(error))

    def _rearm(self, outlet: _Outlet) -> None:
        if outlet.timer is not None:
            outlet.timer.cancel()
        at = outlet.session.next_timer()
        loop = asyncio.get_running_loop()
        outlet.timer = None if at is None else loop.call_at(at, self._handle_timer, outlet)

    def _handle_timer(self, outlet: _Outlet) -> None:
        now = _now()
        if outlet.session.is_over(now):
            self._forget(outlet)
        else:
            self._pump(outlet, outlet.session.handle_timer(now))

    def _forget(self, outlet: _Outlet) -> None:
        if outlet.timer is not None:
            outlet.timer.cancel()
        outlet.socket.close()
        self._table.remove(outlet.session)
        del self._outlets[outlet.session]
        self._stop_listening(outlet.place)


def _now() -> float:
    return asyncio.get_running_loop().time()


def _ignore(_: StateChanged) -> None:
    """Nobody wants to hear of a session that is being stopped."""


def _with_port(address: SocketAddress, port: int) -> SocketAddress:
    return (address[0], port, address[2], address[3]) if len(address) == 4 else (address[0], port)


def _ttl(control: list[tuple[int, int, bytes]]) -> int:
    """Return the TTL or hop limit that a datagram arrived with; 0 if the kernel did not say."""
    for level, kind, value in control:
        if (level, kind) in ((socket.IPPROTO_IP, socket.IP_TTL), (socket.IPPROTO_IPV6, socket.IPV6_HOPLIMIT)):
            return int.from_bytes(value[:4], sys.byteorder)
    return 0
