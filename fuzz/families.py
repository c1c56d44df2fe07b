"""Any octets as an NLRI field of any family: keys or a clean error; keys split again, and survive text and JSON."""

from __future__ import annotations

import json

from hypothesis import strategies as st

from fuzz.nlri_values import ALL_FAMILIES, any_keys
from fuzz.strategies import any_octets
from fuzz.target import Target, seeds
from pybgp.wire.families import Family
from pybgp.wire.nlri import (
    FAMILIES,
    NlriContext,
    NlriError,
    format_nlri,
    nlri_from_json,
    nlri_to_json,
    parse_nlri,
    split_row,
    strip_path_id,
    with_path_id,
)

CONTEXTS = tuple(
    NlriContext(add_path, labels, withdrawn)
    for add_path in (False, True)
    for labels in (0, 2, 255)
    for withdrawn in (False, True)
)


def check_key(family: Family, key: bytes, context: NlriContext) -> None:
    row = FAMILIES[family]
    nlri = strip_path_id(key) if context.add_path else key
    assert row.identity(nlri) == row.identity(row.withdrawal(nlri))
    if row.judge is not None and not context.withdrawn:
        row.judge(nlri, context, (b"\x06\x03" + nlri[:6].ljust(6, b"\0"),))
    text = format_nlri(family, key, add_path=context.add_path)
    assert parse_nlri(family, text, add_path=context.add_path) == key, text
    data = json.loads(json.dumps(nlri_to_json(family, key, add_path=context.add_path)))
    assert nlri_from_json(family, data, add_path=context.add_path) == key, data


def check(octets: bytes) -> None:
    """The first octet chooses the family and the second the context; the rest is the field."""
    if len(octets) < 2:
        return
    family = ALL_FAMILIES[octets[0] % len(ALL_FAMILIES)]
    context = CONTEXTS[octets[1] % len(CONTEXTS)]
    try:
        keys = split_row(FAMILIES[family], octets[2:], context)
    except NlriError:
        return
    assert split_row(FAMILIES[family], b"".join(keys), context) == keys
    for key in keys:
        check_key(family, key, context)


def _field(place: int, family: Family, context: int) -> st.SearchStrategy[bytes]:
    keys = any_keys(family)
    if CONTEXTS[context].add_path:
        keys = st.builds(with_path_id, keys, st.integers(0, 2**32 - 1))
    return st.lists(keys, max_size=4).map(lambda found: bytes((place, context)) + b"".join(found))


FIELDS = st.one_of(
    [_field(place, family, context) for place, family in enumerate(ALL_FAMILIES) for context in (4, 5, 10)]
)
SEEDS = [
    bytes((place, 4)) + octets
    for octets in seeds("nlri", folders=("evpn-flowspec-bgpls",))[:200]
    for place in range(len(ALL_FAMILIES))
]
TARGET = Target("families", any_octets(FIELDS, SEEDS), check)
