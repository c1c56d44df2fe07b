"""What the exit status of pybgp-node says."""

from __future__ import annotations

from enum import IntEnum


class ExitCode(IntEnum):
    """One number per kind of cause; each is documented in ``pybgp-node run --help``."""

    OK = 0
    #: Something failed while running; of `status`: the agent does not run.
    FAILURE = 1
    #: The configuration or the command line is wrong.
    CONFIGURATION = 2
    #: The node has no name or address of its own, or another node has it.
    IDENTITY = 3
    #: The datastore cannot be used.
    DATASTORE = 4
    #: The kernel refuses: no CAP_NET_ADMIN, no ipip module.
    KERNEL = 5
    #: The BGP port cannot be listened on.
    LISTEN = 6
    #: Another agent already answers on the control socket, or the socket cannot be made.
    CONTROL_SOCKET = 7


HELP = """\
exit status:
  0  success
  1  failure at run time; of `status`: the agent is not running
  2  wrong configuration or command line (file, line and key are named)
  3  no node name or address, or another node has the address
  4  the datastore cannot be used
  5  the kernel refuses (no CAP_NET_ADMIN, no ipip module)
  6  the BGP port cannot be listened on
  7  another agent runs here, or the control socket cannot be made
"""
