"""Books of very many routes in little memory: of each the octets of its destination and what it shares with others."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import chain, repeat
from typing import TYPE_CHECKING, Final

from calico_routing.kernel.interface import FAMILY_IPV4, FAMILY_IPV6
from calico_routing.kernel.netlink.route_runs import destination_of, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from calico_routing.kernel.interface import KernelRoute

FAMILIES: Final = (FAMILY_IPV4, FAMILY_IPV6)
#: Up to so many different routes, destination aside, are remembered even if none is in use any more.
SHAPES_KEPT: Final = 4096


class FamilyBook:
    """What is wanted and what is there in one address family, by key; the routes' own destinations are empty."""

    __slots__ = ("strays", "wanted")

    def __init__(self) -> None:
        """Nothing is wanted, nothing is there."""
        self.wanted: Final[dict[bytes, KernelRoute]] = {}
        #: What is there where it is not what is wanted; None: nothing is, though a route is wanted.
        self.strays: Final[dict[bytes, KernelRoute | None]] = {}

    def present(self, key: bytes) -> KernelRoute | None:
        """What is there."""
        return self.strays[key] if key in self.strays else self.wanted.get(key)

    def present_keys(self) -> Iterator[bytes]:
        """Where something is."""
        yield from (key for key in self.wanted if self.strays.get(key, ...) is not None)
        yield from self.strays.keys() - self.wanted.keys()

    def note(self, key: bytes, shape: KernelRoute | None) -> None:
        """This is there, or nothing is."""
        if shape == self.wanted.get(key):
            self.strays.pop(key, None)
        else:
            self.strays[key] = shape

    def want(self, key: bytes, shape: KernelRoute) -> None:
        """Want a route; what is there stays."""
        found = self.present(key)
        self.wanted[key] = shape
        self.note(key, found)

    def set_run(self, keys: Iterable[bytes], shape: KernelRoute) -> tuple[Sequence[bytes], Mapping[bytes, KernelRoute]]:
        """Want a route and take it for written; return where nothing was, and what else was in its place."""
        changed = dict.fromkeys(keys, shape)
        if self.wanted.keys().isdisjoint(changed) and not self._strays_among(changed):
            self.wanted.update(changed)
            return list(changed), {}
        found = {key: self.present(key) for key in changed}
        self.wanted.update(changed)
        self.settle(changed)
        new = [key for key, one in found.items() if one is None]
        return new, {key: one for key, one in found.items() if one is not None and one != shape}

    def remove_run(self, keys: Sequence[bytes]) -> Mapping[KernelRoute, Sequence[bytes]]:
        """Want no route and take what is there for deleted; return what was there of those that were wanted."""
        places: dict[KernelRoute, list[bytes]] = {}
        if astray := self._strays_among(keys):
            keys = [key for key in keys if key not in astray]
            for key in astray & self.wanted.keys():
                del self.wanted[key]
                found = self.strays.pop(key)
                if found is not None:
                    places.setdefault(found, []).append(key)
        shapes = list(map(self.wanted.pop, keys, repeat(None)))
        if not places and shapes and shapes[0] is not None and shapes.count(shapes[0]) == len(shapes):
            return {shapes[0]: keys}
        for key, shape in zip(keys, shapes, strict=True):
            if shape is not None:
                places.setdefault(shape, []).append(key)
        return places

    def settle(self, keys: Iterable[bytes]) -> None:
        """What is wanted is there."""
        for key in self._strays_among(keys):
            del self.strays[key]

    def _strays_among(self, keys: Iterable[bytes]) -> set[bytes]:
        return self.strays.keys() & keys if self.strays else set()


class WantedRoutes(Mapping[str, "KernelRoute"]):
    """What should be there, by destination as text; a destination that is no prefix raises ValueError."""

    __slots__ = ("_books",)

    def __init__(self, books: Mapping[int, FamilyBook]) -> None:
        """A live view."""
        self._books = books

    def __getitem__(self, destination: str) -> KernelRoute:
        """The route to a destination."""
        family, key = key_of(destination)
        shape = self._shape(self._books[family], key)
        if shape is None:
            raise KeyError(destination)
        return shape._replace(destination=destination)

    def __iter__(self) -> Iterator[str]:
        """Every destination."""
        return (destination_of(family, key) for family, book in self._books.items() for key in self._keys(book))

    def __len__(self) -> int:
        """How many routes."""
        return sum(len(book.wanted) for book in self._books.values())

    def _shape(self, book: FamilyBook, key: bytes) -> KernelRoute | None:
        return book.wanted.get(key)

    def _keys(self, book: FamilyBook) -> Iterable[bytes]:
        return book.wanted


class PresentRoutes(WantedRoutes):
    """What is there, by destination."""

    __slots__ = ()

    def __len__(self) -> int:
        """How many routes."""
        return sum(1 for _ in self)

    def _shape(self, book: FamilyBook, key: bytes) -> KernelRoute | None:
        return book.present(key)

    def _keys(self, book: FamilyBook) -> Iterable[bytes]:
        return book.present_keys()


class RouteBooks:
    """What should be in the kernel and what is: kept once where both are the same, which is nearly everywhere."""

    __slots__ = ("_shapes", "_shapes_kept", "by_family", "present", "wanted")

    def __init__(self) -> None:
        """Nothing is wanted, nothing is there."""
        self.by_family: Final = {family: FamilyBook() for family in FAMILIES}
        self.wanted: Final = WantedRoutes(self.by_family)
        self.present: Final = PresentRoutes(self.by_family)
        #: One object for all equal routes without destination, so that most comparisons are of identities.
        self._shapes: dict[KernelRoute, KernelRoute] = {}
        self._shapes_kept = SHAPES_KEPT

    def shape_of(self, route: KernelRoute) -> KernelRoute:
        """What a route shares with others."""
        shape = route._replace(destination="")
        return self._shapes.setdefault(shape, shape)

    def want(self, route: KernelRoute) -> None:
        """Want a route; what is there stays."""
        family, key = key_of(route.destination)
        self.by_family[family].want(key, self.shape_of(route))

    def drop(self, destination: str) -> KernelRoute | None:
        """Want a route no more and take it for deleted; return what was there if it was wanted."""
        family, key = key_of(destination)
        shape = next(iter(self.by_family[family].remove_run((key,))), None)
        return shape and shape._replace(destination=destination)

    def note(self, route: KernelRoute) -> None:
        """This is there."""
        family, key = key_of(route.destination)
        self.by_family[family].note(key, self.shape_of(route))

    def note_gone(self, destination: str) -> None:
        """Nothing is there."""
        family, key = key_of(destination)
        self.by_family[family].note(key, None)

    def forget_shapes(self) -> None:
        """Drop what no route shares any more, where that may be much."""
        if len(self._shapes) <= self._shapes_kept:
            return
        books = self.by_family.values()
        shapes = chain.from_iterable(chain(book.wanted.values(), book.strays.values()) for book in books)
        used = {id(shape): shape for shape in shapes if shape is not None}
        self._shapes = {shape: shape for shape in used.values()}
        self._shapes_kept = max(SHAPES_KEPT, 2 * len(self._shapes))
