"""Between UPDATEs, which speak of NLRI, and tables, which speak of keys: details of an NLRI go with its attributes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.wire.nlri import DETAILED_FAMILIES, divide_nlri, join_nlri
from pybgp.wire.update_encoding import encode_updates
from pybgp.wire.updates import NlriSet

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Sequence

    from pybgp.wire.attributes import Attributes
    from pybgp.wire.families import Family
    from pybgp.wire.update_encoding import SendContext


def routes_of(sets: Iterable[NlriSet], add_path: Collection[Family]) -> Iterable[NlriSet]:
    """Return announced or withdrawn NLRI as routes of a table, one set for each detail that they have."""
    for one in sets:
        family, nlri, attributes = one
        if family not in DETAILED_FAMILIES:
            yield one
            continue
        for details, keys in divide_nlri(family, nlri, add_path=family in add_path).items():
            yield NlriSet(family, keys, attributes.with_details(details) if attributes is not None else None)


def encode_routes(
    family: Family,
    keys: Sequence[bytes],
    attributes: Attributes | None,
    negotiated: SendContext,
    *,
    add_path: bool = False,
    details: bytes | None = None,
) -> list[bytes]:
    """Pack routes of a table into UPDATEs; ``details`` are those of routes that are withdrawn, None if unknown."""
    known = details if attributes is None else attributes.details
    nlri = join_nlri(family, keys, known, add_path=add_path)
    return encode_updates(family, nlri, attributes, negotiated, add_path=add_path)
