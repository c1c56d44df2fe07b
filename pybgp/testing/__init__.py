"""Peers for tests of your own BGP code: they say what a test wants, misbehave on request, and remember what they heard.

`ScriptedPeer` has no I/O; `SessionPair` joins one with a `Session` in memory, and time passes when you say so.
`FakePeer` is the same peer on asyncio: on a loopback socket, or in a `MemoryNetwork` and virtual time.  None of it
needs a test framework.
"""

from pybgp.testing.fake_peer import FakePeer, NotSeenError
from pybgp.testing.malformed import malformed_update
from pybgp.testing.memory_network import MemoryNetwork, run_in_virtual_time
from pybgp.testing.scripted_peer import ScriptedPeer
from pybgp.testing.session_pair import SessionPair

__all__ = [
    "FakePeer",
    "MemoryNetwork",
    "NotSeenError",
    "ScriptedPeer",
    "SessionPair",
    "malformed_update",
    "run_in_virtual_time",
]
