"""What has been done so far and how to take it back, newest first."""

from __future__ import annotations

import sys
from contextlib import ExitStack
from typing import TYPE_CHECKING

from calico_routing.cni.errors import CniError
from calico_routing.datastore.interface import DatastoreError
from calico_routing.ipam.errors import IpamError
from calico_routing.kernel.netlink.errors import KernelError

if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import ParamSpec

    P = ParamSpec("P")

#: what a step of ours may fail with on purpose; anything else is a bug and is not hidden.
EXPECTED = (CniError, DatastoreError, IpamError, KernelError, OSError)


class Undo(ExitStack):
    """An ExitStack that is emptied on success; a step that cannot be undone is told and left to the runtime's DEL."""

    def add(self, what: str, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Remember one step."""
        self.callback(_attempt, what, function, *args, **kwargs)

    def succeed(self) -> None:
        """Everything is done and answered: keep it."""
        self.pop_all()


def _attempt(what: str, function: Callable[P, object], /, *args: P.args, **kwargs: P.kwargs) -> None:
    try:
        function(*args, **kwargs)
    except EXPECTED as error:
        sys.stderr.write(f"warning: could not {what}: {error}\n")


class Failures:
    """Several attempts of which none stops the next; the first failure is raised at the end, the others are told."""

    def __init__(self) -> None:
        """Nothing has failed yet."""
        self._errors: list[Exception] = []

    def attempt(self, function: Callable[P, object], *args: P.args, **kwargs: P.kwargs) -> None:
        """Try one step."""
        try:
            function(*args, **kwargs)
        except EXPECTED as error:
            self._errors.append(error)

    def raise_first(self) -> None:
        """The first failure, if any."""
        for further in self._errors[1:]:
            sys.stderr.write(f"error: {further}\n")
        if self._errors:
            raise self._errors[0]
