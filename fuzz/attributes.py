"""Any octets as a block of path attributes: judged, and its canonical form is judged clean and stays as it is."""

from __future__ import annotations

from fuzz.strategies import any_octets, attributes
from fuzz.target import Target, seeds
from pybgp.errors import RemoteError
from pybgp.wire.attribute_block import read_block, walk_block
from pybgp.wire.attributes import Attributes, Fault
from pybgp.wire.negotiated import UpdateOptions, decoding_context

OPTIONS = UpdateOptions(allow_as_sets=True, confederation=True)
INTERNAL = decoding_context(asn4=True, external=False, first_as=0, options=OPTIONS)
OLD_EXTERNAL = decoding_context(asn4=False, external=True, first_as=65001, options=UpdateOptions())


def check(octets: bytes) -> None:
    for context in (OLD_EXTERNAL, INTERNAL):
        try:
            block = read_block(octets, context)
            walked = walk_block(octets, context)
        except RemoteError:
            continue
        assert (block.canonical, block.next_hop, block.faults) == (walked.canonical, walked.next_hop, walked.faults)
        assert all(fault.fault < Fault.RESET for fault in block.faults)
        again = read_block(block.canonical, INTERNAL)
        assert again.canonical == block.canonical, f"{block.canonical.hex()} became {again.canonical.hex()}"
        assert not again.faults, again.faults
        value = Attributes(block.canonical)
        again_built = value.replace({code: value.get(code) for code in value.codes() if code < 33 and code in KNOWN})
        assert again_built.codes() == value.codes()
        assert repr(value)


KNOWN = frozenset({1, 2, 4, 5, 6, 7, 8, 9, 10, 16, 32})
TARGET = Target(
    "attributes",
    any_octets(attributes().map(lambda found: found.encoded(classic_next_hop=True)), seeds("attribute")),
    check,
)
