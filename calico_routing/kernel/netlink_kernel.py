"""The real kernel for asyncio: routes by our own batched encoder, rare things by pyroute2."""

from __future__ import annotations

import asyncio
import errno
import socket
from collections import deque
from contextlib import closing
from typing import TYPE_CHECKING, Final

from calico_routing.kernel.event_stream import event_stream
from calico_routing.kernel.interface import (
    ADD,
    DELETE,
    REPLACE,
    TABLE_MAIN,
    AddressEvent,
    InterfaceAddress,
    KernelError,
    KernelRoute,
    Link,
    LinkEvent,
    Operation,
    Resync,
    RouteEvent,
    RouteRun,
    Subscriber,
    TunnelUnavailableError,
)
from calico_routing.kernel.netlink.client import CREATE_ONLY, CREATE_OR_REPLACE, NetlinkClient, describe
from calico_routing.kernel.netlink.codec import (
    NLM_F_REPLACE,
    RTM_DELADDR,
    RTM_DELLINK,
    RTM_DELROUTE,
    RTM_GETROUTE,
    RTM_NEWADDR,
    RTM_NEWLINK,
    RTM_NEWROUTE,
    Message,
    split_messages,
)
from calico_routing.kernel.netlink.connection import BATCH_MESSAGES, DUMP_TRIES, NetlinkSocket
from calico_routing.kernel.netlink.errors import DumpInterruptedError, kernel_error
from calico_routing.kernel.netlink.links import decode_address, decode_link
from calico_routing.kernel.netlink.route_runs import (
    FoundRoutes,
    Request,
    RunDecoder,
    by_length,
    destination_of,
    encode_run,
)
from calico_routing.kernel.netlink.routes import RouteEncoder, decode_route, dump_routes
from calico_routing.kernel.netlink.sysctl import write_sysctl

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from calico_routing.kernel.interface import KernelEvent

#: Links, addresses and routes of both families (RTMGRP_*).
EVENT_GROUPS: Final = 0x1 | 0x10 | 0x40 | 0x100 | 0x400
EVENT_BUFFER: Final = 8 << 20
#: Datagrams read in one turn of the loop, so that a storm of events leaves time for the rest.
EVENTS_PER_TURN: Final = 1000
FAMILIES: Final = (socket.AF_INET, socket.AF_INET6)
#: What the kernel says of a route that is to be deleted and is not there.
GONE: Final = frozenset({errno.ESRCH, errno.ENODEV, errno.ENETUNREACH})

FLAGS: Final = {ADD: CREATE_ONLY, REPLACE: CREATE_OR_REPLACE, DELETE: 0}
#: Routes of a run that are sent in one turn of the loop.
RUN_ROUTES: Final = 1024
#: How many of those an operation counts, which is encoded one by one.
OPERATION_COUNTS: Final = 4

TUNNEL_REFUSALS: Final = {
    errno.EOPNOTSUPP: "this kernel has no ipip module",
    errno.EEXIST: "another device takes all IPIP packets already",
    errno.EPERM: "needs CAP_NET_ADMIN (run as root, or grant it)",
}


class _Job:
    """A batch or a run on its way: what is left to send and what has failed."""

    __slots__ = ("errors", "operations", "position", "report", "run", "size")

    def __init__(
        self,
        operations: Sequence[Operation],
        report: Callable[[Sequence[KernelError]], None],
        run: RouteRun | None = None,
    ) -> None:
        self.operations = operations
        self.run = run
        self.report = report
        self.size = len(operations) if run is None else len(run.keys)
        self.position = 0
        self.errors: list[KernelError] = []

    def left(self) -> list[Operation]:
        """What has not been sent yet, one by one."""
        if self.run is None:
            return list(self.operations[self.position :])
        return [_one_of(self.run, key) for key in self.run.keys[self.position :]]


class NetlinkKernel:
    """Kernel (kernel/interface.py) over three netlink sockets: requests, dumps, events.

    Route events that our own requests cause are dropped by a filter inside the kernel.
    """

    def __init__(self, *, event_buffer: int = EVENT_BUFFER) -> None:
        """Nothing is opened yet."""
        self._event_buffer = event_buffer
        self._names: dict[int, str] = {}
        self._indexes: dict[str, int] = {}
        self._encoder = RouteEncoder(self._indexes)
        self._jobs: deque[_Job] = deque()
        self._is_due = False
        self._room = RUN_ROUTES
        self._subscribers: list[Subscriber] = []
        self._dump_lock = asyncio.Lock()
        self._requests: NetlinkClient | None = None
        self._dumps: NetlinkClient | None = None
        self._events: NetlinkSocket | None = None
        self._loop: asyncio.AbstractEventLoop | None = None

    async def open(self) -> None:
        """Open the sockets in the namespace of this process; events are delivered from now on."""
        self._loop = asyncio.get_running_loop()
        self._requests = NetlinkClient()
        self._dumps = NetlinkClient()
        self._events = NetlinkSocket(groups=EVENT_GROUPS, receive_buffer=self._event_buffer)
        self._events.drop_messages_from(self._requests.port)
        self._events.set_blocking(False)
        self._loop.add_reader(self._events.fileno(), self._on_readable)
        self._learn_names(self._requests.links())

    async def close(self) -> None:
        """Close the sockets; what is still queued is refused, routes stay."""
        if self._loop is not None and self._events is not None:
            self._loop.remove_reader(self._events.fileno())
        for opened in (self._requests, self._dumps, self._events):
            if opened is not None:
                opened.close()
        self._requests = self._dumps = self._events = None
        jobs, self._jobs = self._jobs, deque()
        for job in jobs:
            refused = (_refused(operation, errno.EBADF, "closed meanwhile") for operation in job.left())
            job.report([*job.errors, *refused])

    async def routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> list[KernelRoute]:
        """Every route of one table, of one protocol where named (the kernel filters)."""
        found = await self.found_routes(protocol=protocol, table=table)
        return list(found.by_destination())

    async def found_routes(self, *, protocol: int | None = None, table: int = TABLE_MAIN) -> FoundRoutes:
        """The same by key, for tables of any size."""
        found = FoundRoutes()
        async with self._dump_lock:
            for family in FAMILIES:
                await self._find_routes_of(family, protocol, table, found)
        return found

    async def _find_routes_of(self, family: int, protocol: int | None, table: int, found: FoundRoutes) -> None:
        """One family; a dump that is interrupted each time is taken as it is, and events or a resync mend it."""
        for _ in range(DUMP_TRIES):
            found.forget(family)
            try:
                await self._dump_routes(family, protocol, table, found)
                break
            except DumpInterruptedError:
                continue

    async def _dump_routes(self, family: int, protocol: int | None, table: int, found: FoundRoutes) -> None:
        request = dump_routes(family, protocol=protocol, table=table)
        decoder = RunDecoder(family, self._names)
        try:
            with closing(self._dump_client.dump_slices(RTM_GETROUTE, request, "list routes")) as slices:
                for datagram, answers in slices:
                    for one in answers:
                        decoder.decode(datagram, one.start, one.end, found)
                    await asyncio.sleep(0)
        except KernelError as error:
            if error.error_number != errno.ENOENT:
                raise

    async def links(self) -> list[Link]:
        """Every device."""
        async with self._dump_lock:
            return self._dump_client.links()

    async def addresses(self) -> list[InterfaceAddress]:
        """Every address of every device."""
        async with self._dump_lock:
            return self._dump_client.addresses()

    def apply_now(self, operations: Sequence[Operation], report: Callable[[Sequence[KernelError]], None]) -> None:
        """Send up to 256 operations within this call, the rest in slices of the loop, all in order.

        Where this turn of the loop has sent much already, all of them wait for the next.
        """
        self._enqueue(_Job(operations, report))

    def apply_run(self, run: RouteRun, report: Callable[[Sequence[KernelError]], None]) -> None:
        """Send up to 1,024 routes within this turn, the rest in slices of the loop, in order with all else."""
        self._enqueue(_Job((), report, run))

    def _enqueue(self, job: _Job) -> None:
        idle = not self._jobs
        self._jobs.append(job)
        if idle:
            self._work()

    async def apply(self, operations: Sequence[Operation]) -> dict[str, KernelError]:
        """Do all of it and return what failed, by destination."""
        answered: asyncio.Future[Sequence[KernelError]] = self._running_loop.create_future()

        def report(errors: Sequence[KernelError]) -> None:
            if not answered.done():
                answered.set_result(errors)

        self.apply_now(operations, report)
        return {error.destination: error for error in await answered}

    def _work(self) -> None:
        """What this turn has room for, the oldest jobs first; the loop brings us back while there is more."""
        try:
            while self._jobs and self._room > 0 and self._requests is not None:
                self._room -= self._work_on(self._jobs[0], self._room)
        finally:
            if (self._jobs or self._room < RUN_ROUTES // 2) and not self._is_due:
                self._is_due = True
                self._running_loop.call_soon(self._work_again)

    def _work_again(self) -> None:
        """A new turn has room again; one that took little has left its rest to those after it."""
        self._is_due = False
        self._room = RUN_ROUTES
        self._work()

    def _work_on(self, job: _Job, room: int) -> int:
        """One batch of a job; return what it counts, at most about ``room``."""
        start = job.position
        try:
            if job.run is None:
                job.position += BATCH_MESSAGES
                job.errors += self._send(job.operations[start : job.position])
            else:
                job.position += room
                job.errors += self._send_run(job.run, job.run.keys[start : job.position])
        except BaseException:
            self._jobs.popleft()
            raise
        if job.position >= job.size:
            self._jobs.popleft()
            job.report(job.errors)
        return (min(job.position, job.size) - start) * (OPERATION_COUNTS if job.run is None else 1) + 1

    def _send(self, operations: Sequence[Operation]) -> list[KernelError]:
        """One batch to the kernel and its verdicts; deleting what is gone is a success."""
        errors: list[KernelError] = []
        sent: list[Operation] = []
        messages: list[tuple[int, int, bytes]] = []
        for operation in operations:
            try:
                messages.append(self._encode(operation))
                sent.append(operation)
            except (KernelError, ValueError) as error:
                if operation.action != DELETE:
                    errors.append(_not_encoded(operation, error))
        errors += self._exchange(sent, messages)
        self._publish_displaced(operations, errors)
        return errors

    def _send_run(self, run: RouteRun, keys: Sequence[bytes]) -> list[KernelError]:
        """Some routes of a run to the kernel and its verdicts."""
        deletes = run.action == DELETE
        request = Request(
            RTM_DELROUTE if deletes else RTM_NEWROUTE, FLAGS[run.action], run.family, run.route, deletes=deletes
        )
        errors: list[KernelError] = []
        at_once = min(RUN_ROUTES, self._request_client.refusals_held)
        for start in range(0, len(keys), at_once):
            errors += self._exchange_run(run, request, by_length(keys[start : start + at_once]))
        return errors

    def _exchange_run(self, run: RouteRun, request: Request, groups: Sequence[Sequence[bytes]]) -> list[KernelError]:
        keys = groups[0] if len(groups) == 1 else [key for group in groups for key in group]
        first = self._request_client.next_sequence(len(keys))
        try:
            messages = self._encode_run(request, groups, first)
        except (KernelError, ValueError) as error:
            return [] if request.deletes else [_not_encoded(_one_of(run, key), error) for key in keys]
        try:
            refusals = self._request_client.exchange(messages, first, first + len(keys) - 1)
        except OSError as error:
            return [_refused(_one_of(run, key), error.errno or 0, "") for key in keys]
        except KernelError as error:
            return [_refused(_one_of(run, key), error.error_number, error.reason) for key in keys]
        return [
            _refused(_one_of(run, keys[refusal.position]), refusal.error_number, refusal.text)
            for refusal in refusals
            if not request.deletes or refusal.error_number not in GONE
        ]

    def _encode_run(self, request: Request, groups: Sequence[Sequence[bytes]], first: int) -> bytearray:
        try:
            return encode_run(self._encoder, request, groups, first)
        except KernelError:
            self._look_for_devices(request.route)
            return encode_run(self._encoder, request, groups, first)

    def _encode(self, operation: Operation) -> tuple[int, int, bytes]:
        route = operation.route
        if operation.action == DELETE:
            return RTM_DELROUTE, FLAGS[DELETE], self._encoder.encode_deletion(route)
        flags = FLAGS[operation.action]
        try:
            body = self._encoder.encode(route)
        except KernelError:
            self._look_for_devices(route)
            body = self._encoder.encode(route)
        return RTM_NEWROUTE, flags, body

    def _look_for_devices(self, route: KernelRoute) -> None:
        """A device may be so new that its event is still unread."""
        for hop in route.next_hops:
            if hop.device and hop.device not in self._indexes:
                link = self._request_client.link(hop.device)
                if link is not None:
                    self._learn_name(link)

    def _exchange(self, sent: Sequence[Operation], messages: Sequence[tuple[int, int, bytes]]) -> list[KernelError]:
        if not messages:
            return []
        try:
            refusals = self._request_client.send_batch(messages)
        except OSError as error:
            return [_refused(operation, error.errno or 0, "") for operation in sent]
        except KernelError as error:
            return [_refused(operation, error.error_number, error.reason) for operation in sent]
        verdicts = [(sent[refusal.position], refusal) for refusal in refusals]
        return [
            _refused(operation, refusal.error_number, refusal.text)
            for operation, refusal in verdicts
            if operation.action != DELETE or refusal.error_number not in GONE
        ]

    def _publish_displaced(self, operations: Sequence[Operation], errors: Sequence[KernelError]) -> None:
        failed = {error.destination for error in errors}
        displaced = [one.displaced for one in operations if one.displaced and one.route.destination not in failed]
        if displaced:
            self._publish([RouteEvent(route, deleted=True) for route in displaced])

    def subscribe(self, subscriber: Subscriber) -> Callable[[], None]:
        """Call ``subscriber`` within the loop turn in which events arrive; the result ends the subscription."""
        self._subscribers.append(subscriber)

        def unsubscribe() -> None:
            if subscriber in self._subscribers:
                self._subscribers.remove(subscriber)

        return unsubscribe

    def events(self) -> AsyncIterator[KernelEvent]:
        """The same events, one by one."""
        return event_stream(self.subscribe)

    def _publish(self, events: Sequence[KernelEvent]) -> None:
        for subscriber in tuple(self._subscribers):
            subscriber(events)

    def _on_readable(self) -> None:
        """Everything that has arrived; what the socket had no room for becomes one Resync."""
        events: list[KernelEvent] = []
        opened = self._events
        assert opened is not None  # noqa: S101 - the reader is removed before the socket is closed
        for _ in range(EVENTS_PER_TURN):
            try:
                datagram = opened.receive()
            except BlockingIOError:
                break
            except OSError as error:
                if error.errno != errno.ENOBUFS:
                    raise
                events.append(self._after_loss())
                continue
            for one in split_messages(datagram):
                event = self._decode_event(datagram, one)
                if event is not None:
                    events.append(event)
        if events:
            self._publish(events)

    def _after_loss(self) -> Resync:
        """Device names are needed to read what follows, so they are learnt anew at once."""
        self._learn_names(self._request_client.links())
        return Resync("the kernel had more events than the socket has room for")

    def _decode_event(self, datagram: bytes, one: Message) -> KernelEvent | None:
        if one.kind in (RTM_NEWROUTE, RTM_DELROUTE):
            route = decode_route(datagram, one.start, one.end, self._names)
            replaces = bool(one.flags & NLM_F_REPLACE) and one.kind == RTM_NEWROUTE
            return route and RouteEvent(route, one.kind == RTM_DELROUTE, replaces)
        if one.kind in (RTM_NEWLINK, RTM_DELLINK):
            link = decode_link(datagram, one.start, one.end)
            return link and self._link_event(link, deleted=one.kind == RTM_DELLINK)
        if one.kind in (RTM_NEWADDR, RTM_DELADDR):
            address = decode_address(datagram, one.start, one.end)
            return address and AddressEvent(address, one.kind == RTM_DELADDR)
        return None

    def _link_event(self, link: Link, *, deleted: bool) -> LinkEvent:
        if not deleted:
            self._learn_name(link)
        elif self._names.pop(link.ifindex, None) is not None:
            self._indexes.pop(link.name, None)
            self._encoder.forget()
        return LinkEvent(link, deleted)

    def _learn_names(self, links: Sequence[Link]) -> None:
        self._names.clear()
        self._indexes.clear()
        self._encoder.forget()
        for link in links:
            self._learn_name(link)

    def _learn_name(self, link: Link) -> None:
        known = self._names.get(link.ifindex)
        if known == link.name and self._indexes.get(link.name) == link.ifindex:
            return
        if known is not None and self._indexes.get(known) == link.ifindex:
            del self._indexes[known]
        self._names[link.ifindex] = link.name
        self._indexes[link.name] = link.ifindex
        self._encoder.forget()

    async def make_tunnel(self, name: str) -> None:
        """Make the IPIP device exist; one that is there is left as it is."""
        if self._request_client.link(name) is None:
            self._learn_name(await self._create_tunnel(name))

    async def ensure_tunnel(self, name: str, mtu: int, address: str | None) -> None:
        """Make the IPIP device exist, up, with this mtu and exactly this one /32; None removes all its addresses."""
        client = self._request_client
        link = client.link(name)
        if link is None and address is None:
            return
        if link is None:
            link = await self._create_tunnel(name)
        self._learn_name(link)
        _set_only_address(client, link, address)
        if address is not None and link.mtu != mtu:
            client.set_link(link.ifindex, mtu=mtu)
        if address is not None and not link.up:
            client.set_link(link.ifindex, up=True)

    async def _create_tunnel(self, name: str) -> Link:
        """Asking for the device loads the module; that alone may create it (then it exists already, which is fine)."""
        refusal = await _create_ipip_device(name)
        link = self._request_client.link(name)
        if link is not None:
            return link
        number = refusal.error_number if refusal is not None else errno.EOPNOTSUPP
        reason = TUNNEL_REFUSALS.get(number, str(refusal))
        raise TunnelUnavailableError(number, f"create tunnel device {name}", reason) from refusal

    async def write_sysctl(self, path: str, value: str) -> None:
        """Set ``net/ipv4/ip_forward`` and the like; the path is below /proc/sys."""
        write_sysctl(path, value)

    @property
    def _running_loop(self) -> asyncio.AbstractEventLoop:
        if self._loop is None:
            raise RuntimeError("NetlinkKernel is used before open()")
        return self._loop

    @property
    def _request_client(self) -> NetlinkClient:
        if self._requests is None:
            raise RuntimeError("NetlinkKernel is not open")
        return self._requests

    @property
    def _dump_client(self) -> NetlinkClient:
        if self._dumps is None:
            raise RuntimeError("NetlinkKernel is not open")
        return self._dumps


def _one_of(run: RouteRun, key: bytes) -> Operation:
    return Operation(run.action, run.route._replace(destination=destination_of(run.family, key)))


def _refused(operation: Operation, error_number: int, text: str) -> KernelError:
    route = operation.route
    return kernel_error(
        error_number, f"{operation.action} route {describe(route)}", text, destination=route.destination
    )


def _not_encoded(operation: Operation, error: KernelError | ValueError) -> KernelError:
    if isinstance(error, KernelError):
        return _refused(operation, error.error_number, f"{error.attempted}: {error.reason}")
    return _refused(operation, errno.EINVAL, str(error))


def _set_only_address(client: NetlinkClient, link: Link, address: str | None) -> None:
    """The new one first: without any address the kernel would drop every route through the device."""
    wanted = None if address is None else f"{address}/32"
    present = [one for one in client.addresses(link.ifindex) if ":" not in one.address]
    if address is not None and wanted not in [one.address for one in present]:
        client.add_address(InterfaceAddress(f"{address}/32", link.ifindex, label=link.name, broadcast=address))
    for one in present:
        if one.address != wanted:
            client.delete_address(one)


async def _create_ipip_device(name: str) -> KernelError | None:
    """A device that tunnels to whatever gateway a route names; the refusal where there is one.

    The socket is ours, because pyroute2 leaves one that it opens itself to the garbage collector.
    """
    from pyroute2 import AsyncIPRoute, NetlinkError  # noqa: PLC0415 - 0.2 s, and rarely needed

    with socket.socket(socket.AF_NETLINK, socket.SOCK_DGRAM, socket.NETLINK_ROUTE) as opened:
        try:
            async with AsyncIPRoute(use_socket=opened) as rtnetlink:
                await rtnetlink.link("add", ifname=name, kind="ipip")
        except NetlinkError as error:
            return kernel_error(error.code, f"create tunnel device {name}")
        finally:
            await asyncio.sleep(0)
    return None
