"""The RPKI caches of the configuration: they keep one table, which every policy asks for validation states."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from pybgp.rpki.validation_table import AffectedRoutes, ValidationTable
from pybgp.transport.rtr_client import RtrClient

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from calico_routing.configuration import Configuration, RpkiSettings
    from pybgp.rpki.pdu import Vrp
    from pybgp.wire.families import Family

    Concerned = Callable[[Family, Sequence[bytes]], list[bytes]]


class RpkiWatch:
    """Asks the caches, and says which routes a change concerns; without caches it does nothing."""

    def __init__(self, caches: Sequence[RpkiSettings], on_change: Callable[[Concerned], None]) -> None:
        """``on_change`` is given what picks the prefixes that policies should be asked about again."""
        self.table = ValidationTable()
        self._on_change = on_change
        self._caches = caches
        self._clients = [
            RtrClient(cache.host, self.table, port=cache.port, version=cache.version, on_change=self._changed)
            for cache in caches
        ]

    def start(self) -> None:
        """Connect to all caches; each is tried again whenever it is lost."""
        for client in self._clients:
            client.start()

    def stop(self) -> None:
        """Ask nobody any more; nothing is told of what then is missing."""
        self._on_change = _ignore
        for client in self._clients:
            client.stop()

    def applied(self, configuration: Configuration) -> Configuration:
        """Return a configuration whose policies ask this table; without caches all stays "not-found"."""
        if not self._clients:
            return configuration
        validate = self.table.validate
        policies = {name: policy.validated_by(validate) for name, policy in configuration.policies.items()}
        return replace(configuration, policies=policies)

    def status(self) -> list[dict[str, Any]]:
        """Return what is known of each cache."""
        return [
            {
                "host": cache.host,
                "port": cache.port,
                "synchronized": client.synchronized.is_set(),
                "serial": client.session.serial,
                "payloads": len(client.session.payloads),
            }
            for cache, client in zip(self._caches, self._clients, strict=True)
        ]

    def _changed(self, changed: Sequence[Vrp]) -> None:
        self._on_change(AffectedRoutes(changed).among)


def _ignore(concerned: Concerned) -> None:
    del concerned
