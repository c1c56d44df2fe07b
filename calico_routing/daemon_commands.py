"""What may be asked of, and told to, a running daemon beside its status: the commands of the control socket."""

from __future__ import annotations

import asyncio
import json
from contextlib import contextmanager
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeVar

import structlog

from calico_routing.configuration import ConfigurationError
from calico_routing.control_socket import Command, RequestError
from calico_routing.daemon_status import peer_document
from calico_routing.event_lines import event_lines, history_lines
from calico_routing.node_plan import PlanError
from calico_routing.peer_detail import count_prefixes, detail_document
from calico_routing.route_listing import RouteLister, query_in
from calico_routing.time_slices import SLICE_SECONDS, in_slices
from pybgp.errors import LocalError
from pybgp.transport.event_stream import LOC
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping, Sequence

    from calico_routing.mrt_files import MrtFiles
    from calico_routing.node_plan import NodePlan
    from pybgp.rib.path import Change
    from pybgp.session.neighbor import Transition
    from pybgp.transport.route_history import Entry
    from pybgp.transport.speaker import Speaker

    T = TypeVar("T")

VERSION: Final = 1
#: The longest text of RFC 9003 section 2, in octets.
LONGEST_MESSAGE: Final = 255
ACTIONS: Final = ("enable", "disable", "refresh", "reset")
#: How long a reload waits between two looks at whether big tables are through with it.
SETTLE_SECONDS: Final = 0.02
DIRECTIONS: Final = ("in", "out", "both")

log = structlog.get_logger(__name__)


class Daemon(Protocol):
    """What the commands need of the daemon."""

    @property
    def speaker(self) -> Speaker | None:
        """The speaker that runs."""

    @property
    def plan(self) -> NodePlan | None:
        """The plan in force."""

    #: Peers that stay down whatever the configuration says.
    disabled: dict[str, str]

    async def reload(self) -> dict[str, Any]:
        """Read the configuration again and take it over; ConfigurationError and the like leave all as it is."""

    @property
    def mrt(self) -> MrtFiles:
        """What writes tables into files."""

    async def preview(self, file: str) -> Iterator[str]:
        """Return lines that tell what a reload, or the policies of a file, would change."""


class DaemonCommands:
    """One method per command; each yields lines of JSON."""

    def __init__(self, daemon: Daemon) -> None:
        """Nothing is asked of the daemon before a command comes."""
        self._daemon = daemon

    def table(self) -> Mapping[str, Command]:
        """Return the commands by name."""
        return {
            "routes": Command(self.routes),
            "peers": Command(self.peers),
            "peer": Command(self.peer),
            "monitor": Command(self.monitor),
            "history": Command(self.history),
            "reload": Command(self.reload, root_only=True),
            "dry-run": Command(self.dry_run, root_only=True),
            "mrt-dump": Command(self.mrt_dump, root_only=True),
            **{action: Command(self._act(action), root_only=True) for action in ACTIONS},
        }

    async def routes(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """List routes, in slices."""
        speaker = self._speaker()
        try:
            query = query_in(arguments)
            received, sent = (self._called(whom) if whom else "" for whom in (query.received, query.sent))
            lines = RouteLister(speaker, query._replace(received=received, sent=sent), list(speaker.peers())).lines()
            async for bundle in in_slices(lines):
                yield bundle
        except LocalError as error:
            raise RequestError(str(error)) from error

    async def peers(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Tell of every peer what fits in a line."""
        del arguments
        speaker, configs = self._speaker(), self._configs()
        families = speaker.families()
        yield line({"version": VERSION})
        for name, status in speaker.peers().items():
            received = sum(len(speaker.received(name, family)) for family in families)
            document = peer_document(name, status, configs.get(name))
            yield line({**document, "prefixes_received": received, "disabled": name in self._daemon.disabled})
        yield line({"end": True})

    async def peer(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Tell everything about one peer."""
        name, speaker = self._name(arguments), self._speaker()
        negotiated = speaker.peers()[name].negotiated
        in_use = negotiated.families if negotiated is not None else ()
        counts = await finish(count_prefixes(speaker, name, in_use))
        status = speaker.peers()[self._name(arguments)]
        config = self._configs().get(name)
        yield line(detail_document(name, status, config, counts, speaker.backlog(name)))

    async def monitor(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Tell what happens from now on, until the client leaves or is too slow."""
        views = arguments.get("views", [LOC])
        if not isinstance(views, list):
            raise RequestError(f"views {views!r}: a list expected")
        speaker = self._speaker()
        try:
            stream = speaker.events(views)
        except LocalError as error:
            raise RequestError(str(error)) from error
        try:
            yield line({"version": VERSION, "views": views})
            async for happening in stream:
                async for bundle in in_slices(event_lines(happening)):
                    yield bundle
        finally:
            stream.close()

    async def history(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Tell the latest changes of a prefix, of a peer, or of all."""
        speaker, prefix = self._speaker(), _text(arguments, "prefix")
        kept = speaker.history
        if kept is None:
            raise RequestError("there is no history: bgp.history is 0")
        names, only = speaker.names(), None
        transitions: Sequence[Transition] = ()
        found: Iterable[tuple[Entry, Change] | None]
        try:
            if prefix:
                family, only = parse_prefix(prefix)
                found = kept.of_prefix(family, only)
            elif _text(arguments, "peer"):
                name = self._name(arguments)
                transitions = speaker.peers()[name].history
                found = kept.of_peer(name, names)
            else:
                found = ((entry, change) for entry in kept.entries() for change in entry.changes)
        except LocalError as error:
            raise RequestError(str(error)) from error
        yield line({"version": VERSION, "kept": len(kept), "limit": kept.limit})
        async for bundle in in_slices(history_lines(found, names, transitions, only)):
            yield bundle

    async def reload(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Take the configuration over as it now is."""
        del arguments
        with refusals():
            result = await self._daemon.reload()
        while (speaker := self._daemon.speaker) is not None and speaker.is_judging:  # noqa: ASYNC110 - it has no event
            await asyncio.sleep(SETTLE_SECONDS)
        yield line({"version": VERSION, **result})

    async def dry_run(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Tell what a reload, or the policies of a file, would change."""
        self._speaker()
        with refusals():
            lines = await self._daemon.preview(_text(arguments, "file"))
        # Each empty line stands for many routes that were judged.
        async for bundle in in_slices(lines, look_every=1):
            yield bundle

    async def mrt_dump(self, arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
        """Write the tables into a file of the daemon's machine."""
        name, families = _text(arguments, "file"), arguments.get("families", [])
        if not name.startswith("/"):
            raise RequestError(f"file {name!r}: an absolute name expected")
        if not isinstance(families, list) or not all(isinstance(family, str) for family in families):
            raise RequestError(f"families {families!r}: a list of names expected")
        self._speaker()
        try:
            done = await self._daemon.mrt.dump(Path(name), families)
        except OSError as error:
            raise RequestError(f"{error.filename or name}: {error.strerror or error}") from error
        except LocalError as error:
            raise RequestError(str(error)) from error
        if done is None:
            raise RequestError("the speaker is not running")
        yield line({"version": VERSION, **done._asdict()})

    def _act(self, action: str) -> Callable[[Mapping[str, Any]], AsyncIterator[bytes]]:
        async def act(arguments: Mapping[str, Any]) -> AsyncIterator[bytes]:
            name, speaker = self._name(arguments), self._speaker()
            message = _text(arguments, "message")
            if len(message.encode()) > LONGEST_MESSAGE:
                raise RequestError(f"message: at most {LONGEST_MESSAGE} octets expected (RFC 9003)")
            disabled = self._daemon.disabled
            try:
                if action == "enable":
                    disabled.pop(name, None)
                    speaker.start_peer(name)
                elif action == "disable":
                    disabled[name] = message
                    speaker.shut_down_peer(name, message)
                elif action == "reset":
                    speaker.reset_peer(name, message)
                else:
                    direction = arguments.get("direction", "both")
                    if direction not in DIRECTIONS:
                        raise RequestError(f"direction {direction!r}: one of {', '.join(DIRECTIONS)} expected")
                    if direction != "out":
                        speaker.refresh_peer(name)
                    if direction != "in":
                        speaker.send_again(name)
            except LocalError as error:
                raise RequestError(str(error)) from error
            log.info("peer_command", command=action, peer=name, message=message)
            yield line({"version": VERSION, "peer": name, "done": action})

        return act

    # Inside

    def _speaker(self) -> Speaker:
        if self._daemon.speaker is None:
            raise RequestError("the speaker is not running")
        return self._daemon.speaker

    def _configs(self) -> Mapping[str, Any]:
        return self._daemon.plan.peers if self._daemon.plan is not None else {}

    def _name(self, arguments: Mapping[str, Any]) -> str:
        """Return the name of the peer that a command is about."""
        return self._called(_text(arguments, "peer"))

    def _called(self, wanted: str) -> str:
        """Return the name of a peer that is called by it, or by its address."""
        peers = self._speaker().peers()
        if wanted in peers:
            return wanted
        for name, status in peers.items():
            if status.address == wanted:
                return name
        raise RequestError(f"peer {wanted!r}: no such peer; known are {', '.join(sorted(peers)) or 'none'}")


@contextmanager
def refusals() -> Iterator[None]:
    """Tell whoever asked what is wrong with a configuration."""
    try:
        yield
    except ConfigurationError as error:
        raise RequestError(f"nothing was changed: {'; '.join(map(str, error.problems))}") from error
    except (PlanError, LocalError, ValueError) as error:
        raise RequestError(f"nothing was changed: {error}") from error


async def finish(steps: Generator[None, None, T]) -> T:
    """Run a generator to its end in slices, and return what it returns."""
    began = thread_time()
    while True:
        try:
            next(steps)
        except StopIteration as end:
            result: T = end.value
            return result
        if thread_time() - began >= SLICE_SECONDS:
            await asyncio.sleep(0)
            began = thread_time()


def line(document: Mapping[str, Any]) -> bytes:
    """Return a document as one line."""
    return json.dumps(document).encode() + b"\n"


def _text(arguments: Mapping[str, Any], key: str) -> str:
    value = arguments.get(key, "")
    if not isinstance(value, str):
        raise RequestError(f"{key} {value!r}: a text expected")
    return value
