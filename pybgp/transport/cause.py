"""Because of whom routes change, for those who watch and for the history."""

from __future__ import annotations

from typing import Final, NamedTuple


class Cause(NamedTuple):
    """What happened, and the peer that it is about; empty if it is about none."""

    kind: str
    peer: str = ""


#: This speaker's own announcements.
LOCAL: Final = Cause("local")
NEXT_HOP: Final = Cause("next-hop")
#: Kinds that are about a peer.
UPDATE: Final = "update"
SESSION_UP: Final = "session-up"
SESSION_DOWN: Final = "session-down"
PEER_REMOVED: Final = "peer-removed"
STALE: Final = "stale"
LONG_LIVED: Final = "long-lived"
IMPORT_POLICY: Final = "import-policy"
VALIDATION: Final = "validation"
