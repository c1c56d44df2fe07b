"""Which routes outlive a session, and which Cease is sent so that the peer decides alike (RFC 4724, RFC 8538)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from pybgp.errors import ErrorCode
from pybgp.session.events import DownReason
from pybgp.wire.iana import CeaseSubcode
from pybgp.wire.messages import Notification

if TYPE_CHECKING:
    from pybgp.session.config import PeerConfig
    from pybgp.wire.families import Family
    from pybgp.wire.negotiated import Negotiated

#: RFC 8538 section 5: ends that are meant to last; a plain Cease would let the peer keep our routes.
_HARD: Final = frozenset(
    {CeaseSubcode.MAXIMUM_PREFIXES, CeaseSubcode.ADMINISTRATIVE_SHUTDOWN, CeaseSubcode.PEER_DECONFIGURED}
)
_SILENT_ENDS: Final = frozenset({DownReason.TCP_FAILED, DownReason.SUPERSEDED})


class Kept(NamedTuple):
    """What the peer asked us to keep."""

    #: for its restart time ...
    families: frozenset[Family] = frozenset()
    #: ... and then, or at once, for so many seconds as a last resort.
    long_lived: tuple[tuple[Family, float], ...] = ()

    def __bool__(self) -> bool:
        """Say whether it is anything at all."""
        return bool(self.families or self.long_lived)


def kept_families(config: PeerConfig, negotiated: Negotiated) -> Kept:
    """Return the families that the peer asked us to keep, by its last capabilities (RFC 4724, RFC 9494)."""
    if config.graceful_restart is None or negotiated.graceful_restart is None:
        return Kept()
    kept = negotiated.families & {family for family, _ in negotiated.graceful_restart.families}
    if config.long_lived is None or negotiated.long_lived is None:
        return Kept(kept)
    most = config.long_lived.maximum_stale_time
    times = [(family, float(min(time, most))) for family, _, time in negotiated.long_lived.families if time]
    return Kept(kept, tuple(pair for pair in times if pair[0] in negotiated.families))


def retained_families(
    config: PeerConfig, negotiated: Negotiated, reason: DownReason, notification: Notification | None
) -> Kept:
    """Return the families whose routes stay as stale; ``notification`` is the one sent or received, if any."""
    if reason in _SILENT_ENDS:
        return kept_families(config, negotiated)
    if not negotiated.notification_in_force or reason is DownReason.STOPPED:
        return Kept()
    if notification is not None and is_hard_reset(notification):
        return Kept()
    return kept_families(config, negotiated)


def is_hard_reset(notification: Notification) -> bool:
    """Whether the sender wants its routes gone (RFC 8538 section 3.1)."""
    return (notification.code, notification.subcode) == (ErrorCode.CEASE, CeaseSubcode.HARD_RESET)


def wrap(notification: Notification, negotiated: Negotiated | None) -> Notification:
    """Return the NOTIFICATION as it must be sent: as a hard reset if routes would outlive an end that lasts."""
    if negotiated is None or not negotiated.notification_in_force:
        return notification
    if notification.code == ErrorCode.CEASE and notification.subcode in _HARD:
        return Notification.hard_reset(notification)
    return notification
