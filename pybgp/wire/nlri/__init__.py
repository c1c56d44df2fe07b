"""Network layer reachability information: one file per kind of family, one table of all of them."""

from __future__ import annotations

from pybgp.wire.nlri.forms import (
    decode_nlri,
    encode_nlri,
    format_nlri,
    nlri_from_json,
    nlri_to_json,
    parse_nlri,
)
from pybgp.wire.nlri.keys import DETAILED_FAMILIES, divide_nlri, format_key, join_nlri, key_from_json, parse_key
from pybgp.wire.nlri.prefixes import (
    PREFIX_FAMILIES,
    format_prefix,
    is_odd,
    parse_prefix,
    path_id,
    split,
    split_careful,
    split_fast,
    strip_path_id,
    with_path_id,
)
from pybgp.wire.nlri.row import PATH_ID_LENGTH, NlriContext, NlriDetails, NlriError, NlriFamily, NlriFault, split_row
from pybgp.wire.nlri.table import FAMILIES

__all__ = [
    "DETAILED_FAMILIES",
    "FAMILIES",
    "PATH_ID_LENGTH",
    "PREFIX_FAMILIES",
    "NlriContext",
    "NlriDetails",
    "NlriError",
    "NlriFamily",
    "NlriFault",
    "decode_nlri",
    "divide_nlri",
    "encode_nlri",
    "format_key",
    "format_nlri",
    "format_prefix",
    "is_odd",
    "join_nlri",
    "key_from_json",
    "nlri_from_json",
    "nlri_to_json",
    "parse_key",
    "parse_nlri",
    "parse_prefix",
    "path_id",
    "split",
    "split_careful",
    "split_fast",
    "split_row",
    "strip_path_id",
    "with_path_id",
]
