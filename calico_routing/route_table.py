"""Very many routes in little memory: of each only the octets of its destination and what it shares with others."""

from __future__ import annotations

from collections.abc import MutableMapping
from itertools import chain
from typing import TYPE_CHECKING, Final

from calico_routing.kernel.interface import FAMILY_IPV4, FAMILY_IPV6
from calico_routing.kernel.netlink.route_runs import destination_of, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from calico_routing.kernel.interface import KernelRoute

FAMILIES: Final = (FAMILY_IPV4, FAMILY_IPV6)


class RouteTable(MutableMapping[str, "KernelRoute"]):
    """Routes by destination as text, one by one; whoever changes many at a time works on the tables by key.

    A destination that is no prefix raises ValueError.
    """

    __slots__ = ("_shapes", "tables")

    def __init__(self, shapes: dict[KernelRoute, KernelRoute]) -> None:
        """Equal routes without destination are kept once: in ``shapes``, which several tables may share."""
        self._shapes = shapes
        #: By address family and key; the routes' own destinations are empty.
        self.tables: Final[dict[int, dict[bytes, KernelRoute]]] = {family: {} for family in FAMILIES}

    def __getitem__(self, destination: str) -> KernelRoute:
        """The route to a destination."""
        family, key = key_of(destination)
        return self.tables[family][key]._replace(destination=destination)

    def __setitem__(self, destination: str, route: KernelRoute) -> None:
        """Set the route to a destination."""
        family, key = key_of(destination)
        shape = route._replace(destination="")
        self.tables[family][key] = self._shapes.setdefault(shape, shape)

    def __delitem__(self, destination: str) -> None:
        """Forget the route to a destination."""
        family, key = key_of(destination)
        del self.tables[family][key]

    def __contains__(self, destination: object) -> bool:
        """Whether there is a route to this very destination."""
        if not isinstance(destination, str):
            return False
        family, key = key_of(destination)
        return key in self.tables[family]

    def __iter__(self) -> Iterator[str]:
        """Every destination."""
        return chain.from_iterable(
            (destination_of(family, key) for key in table) for family, table in self.tables.items()
        )

    def __len__(self) -> int:
        """How many routes."""
        return sum(map(len, self.tables.values()))
