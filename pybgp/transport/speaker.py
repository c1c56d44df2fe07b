"""The asyncio owner of the peers, the Rib and the order of work between them."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from pybgp.rib.decision import DecisionOptions
from pybgp.rib.path import LOCAL_PREFERENCE, Change, Path

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence

    from pybgp.rib.policy import Policy
    from pybgp.session.config import PeerConfig
    from pybgp.transport.peer import PeerStatus
    from pybgp.wire.families import Family


@dataclass(frozen=True, slots=True)
class SpeakerConfig:
    """What a speaker is; its peers are declared later by `Speaker.configure`."""

    local_as: int
    router_id: str
    listen: tuple[tuple[str, int], ...] = ()
    #: Accept and offer everything unless told otherwise; None toward eBGP means nothing passes (RFC 8212).
    import_policy: Policy | None = None
    export_policy: Policy | None = None
    require_ebgp_policy: bool = True
    decision: DecisionOptions = field(default_factory=DecisionOptions)
    #: How many equal-cost paths `Speaker.paths` may return for a prefix (ECMP).
    maximum_paths: int = 1
    #: This process takes over from one whose routes are still in the kernel (RFC 4724 section 4.1).
    restarting: bool = False
    preserved_families: tuple[Family, ...] = ()
    selection_deferral_time: float = 120.0
    #: How long a restart waits for a configured peer that does not come up at all.
    absent_peer_time: float = 15.0
    #: How long routes of a lost peer are kept at most (RFC 8538 section 4.1).
    stale_time: float = 180.0
    #: After a change was sent at once, its followers are gathered for this long.
    batch_time: float = 0.010


class Speaker:
    """A BGP speaker: declare peers, announce prefixes, watch routes."""

    def __init__(self, config: SpeakerConfig) -> None:
        self.config = config
        #: Set when a restart is over: every kept route was refreshed or is withdrawn now (RFC 4724 section 4.1).
        #: Set from the beginning when the speaker is not restarting.
        self.restart_complete = asyncio.Event()

    async def start(self) -> None:
        """Listen, and start every configured peer."""
        raise NotImplementedError

    async def stop(self, *, communication: str = "", graceful: bool = False) -> None:
        """End all sessions; ``graceful`` closes them so that helpers keep our routes (spec section 15.2)."""
        raise NotImplementedError

    def configure(self, peers: Mapping[str, PeerConfig]) -> None:
        """Declare the wanted set of peers by name; only what changed is restarted, the rest is left alone."""
        raise NotImplementedError

    def announce(
        self,
        prefixes: str | Iterable[str],
        *,
        next_hop: str | None = None,
        preference: int = LOCAL_PREFERENCE,
        label: str = "",
        med: int | None = None,
        local_pref: int | None = None,
        communities: Iterable[int] = (),
    ) -> None:
        """Announce prefixes; several labels may announce one prefix and the higher preference wins.

        BGP paths have preference 100, so a local announcement of 10 yields to them and one of 200 does not.
        """
        raise NotImplementedError

    def withdraw(self, prefixes: str | Iterable[str], *, label: str = "") -> None:
        """Take an announcement back; unknown ones are ignored."""
        raise NotImplementedError

    def set_import_policy(self, policy: Policy | None, *, peer: str | None = None) -> None:
        """Replace the import policy (of one peer, or of all that have none of their own); only differences are felt."""
        raise NotImplementedError

    def set_export_policy(self, policy: Policy | None, *, peer: str | None = None) -> None:
        """Replace the export policy (of one peer, or of all that have none of their own); only differences are sent."""
        raise NotImplementedError

    def on_change(self, callback: Callable[[Sequence[Change]], None]) -> None:
        """Call back with every change of the Loc-RIB, synchronously in the turn that made it, also during a restart."""
        raise NotImplementedError

    def on_peer(self, callback: Callable[[str, PeerStatus], None]) -> None:
        """Call back with the name and status of a peer whenever its state changes."""
        raise NotImplementedError

    def on_restart_complete(self, callback: Callable[[], None]) -> None:
        """Call back once when `restart_complete` is set, before the exports that were held leave."""
        raise NotImplementedError

    def peers(self) -> Mapping[str, PeerStatus]:
        """Return the status of every configured peer by name."""
        raise NotImplementedError

    def best(self, family: Family) -> Mapping[bytes, Path]:
        """Return the Loc-RIB of a family: key to best path; a live view."""
        raise NotImplementedError

    def paths(self, family: Family, key: bytes) -> tuple[Path, ...]:
        """Return the equal-cost paths of one prefix, best first (at most ``maximum_paths``)."""
        raise NotImplementedError

    def changes(self) -> AsyncIterator[Change]:
        """Iterate over changes of the Loc-RIB; a slow reader is given the latest state of each prefix only."""
        raise NotImplementedError

    def watch(self, prefix: str) -> AsyncIterator[Change]:
        """Iterate over everything inside a prefix: what is there now, then every change."""
        raise NotImplementedError
