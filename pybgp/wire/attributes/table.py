"""The table of path attributes: one row each (spec section 5.1).

MP_REACH_NLRI and MP_UNREACH_NLRI have none, because they carry routes; BGPSEC_PATH, D-PATH, SFP and the deprecated
codes have none on purpose: they are treated as unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import pybgp.wire.attributes.attribute_set as attribute_set
import pybgp.wire.attributes.basic as basic
import pybgp.wire.attributes.community_kinds as community_kinds
import pybgp.wire.attributes.measures as measures
import pybgp.wire.attributes.segment_routing as segment_routing
import pybgp.wire.attributes.tunnels as tunnels

if TYPE_CHECKING:
    from collections.abc import Mapping

    from pybgp.wire.attributes.row import AttributeCodec

_PLAIN_ROWS: Final = {
    row.code: row for row in (*basic.ROWS, *community_kinds.ROWS, *tunnels.ROWS, *measures.ROWS, *segment_routing.ROWS)
}
_ATTRIBUTE_SET: Final = attribute_set.row(_PLAIN_ROWS)
ATTRIBUTES: Final[Mapping[int, AttributeCodec[Any]]] = {**_PLAIN_ROWS, _ATTRIBUTE_SET.code: _ATTRIBUTE_SET}
