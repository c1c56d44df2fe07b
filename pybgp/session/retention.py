"""Which routes outlive a session, and which Cease is sent so that the peer decides alike (RFC 4724, RFC 8538)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

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


def kept_families(config: PeerConfig, negotiated: Negotiated) -> frozenset[Family]:
    """Return the families that the peer asked us to keep, by its last capability (RFC 4724 section 4.2)."""
    if config.graceful_restart is None or negotiated.graceful_restart is None:
        return frozenset()
    return negotiated.families & {family for family, _ in negotiated.graceful_restart.families}


def retained_families(
    config: PeerConfig, negotiated: Negotiated, reason: DownReason, notification: Notification | None
) -> frozenset[Family]:
    """Return the families whose routes stay as stale; ``notification`` is the one sent or received, if any."""
    if reason in _SILENT_ENDS:
        return kept_families(config, negotiated)
    if not negotiated.notification_in_force or reason is DownReason.STOPPED:
        return frozenset()
    if notification is not None and is_hard_reset(notification):
        return frozenset()
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
