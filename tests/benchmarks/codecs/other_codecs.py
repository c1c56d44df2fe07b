"""ExaBGP, os-ken, YABGP and mrtparse as the codec benchmark uses them, each by its own way of reading and writing.

They are installed in an interpreter of their own (`.ci/bench-peers`), which runs this file; ours need not know them.
All of them read every value at once, so that there is nothing left to read; texts are made of what is not text.
"""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from tests.benchmarks.codecs.stream_file import RECEIVER_AS, SENDER_AS, Stream

HEADER = 19
UPDATE = 2


class ExaBgp:
    """A session with everything ExaBGP needs around it."""

    distribution = "exabgp"

    def __init__(self, stream: Stream) -> None:
        log = import_module("exabgp.logger").log
        log.silence()
        message = import_module("exabgp.bgp.message")
        opens = import_module("exabgp.bgp.message.open")
        capability = import_module("exabgp.bgp.message.open.capability")
        family = import_module("exabgp.protocol.family")
        neighbor = import_module("exabgp.bgp.neighbor").Neighbor()
        sender = RECEIVER_AS if stream.is_internal else SENDER_AS
        neighbor["local-as"], neighbor["peer-as"] = opens.ASN(RECEIVER_AS), opens.ASN(sender)
        neighbor["capability"]["asn4"] = stream.asn4
        for afi in (family.AFI.ipv4, family.AFI.ipv6):
            neighbor.add_family((afi, family.SAFI.unicast))
        capabilities = capability.Capabilities()
        capabilities.new(neighbor, False)
        self._session = capability.Negotiated(neighbor)
        ends = ((RECEIVER_AS, "192.0.2.1"), (sender, "192.0.2.2"))
        ours, theirs = (
            opens.Open(opens.Version(4), opens.ASN(asn), opens.HoldTime(180), opens.RouterID(identifier), capabilities)
            for asn, identifier in ends
        )
        self._session.sent(ours)
        self._session.received(theirs)
        update = import_module("exabgp.bgp.message.update")
        update.Attributes.cache.clear()
        update.Attributes()
        self._update, self._unpack = update.Update, message.Message.unpack
        self._direction = import_module("exabgp.bgp.message.direction").Direction.IN

    def decode(self, message: bytes) -> Any:
        return self._unpack(UPDATE, message[HEADER:], self._direction, self._session)

    def texts(self, update: Any) -> list[Any]:
        return [(nlri.cidr.prefix(), str(nlri.nexthop)) for nlri in update.nlris if hasattr(nlri, "cidr")]

    def prefixes(self, update: Any) -> int:
        return sum(hasattr(nlri, "cidr") for nlri in update.nlris)

    def encode(self, update: Any) -> bytes:
        return b"".join(self._update(update.nlris, update.attributes).messages(self._session))


class OsKen:
    """os-ken guesses the size of AS numbers, so there is no session."""

    distribution = "os-ken"

    def __init__(self, stream: Stream) -> None:
        self._bgp = import_module("os_ken.lib.packet.bgp")

    def decode(self, message: bytes) -> Any:
        found = self._bgp.BGPMessage.parser(message)
        return found[0] if isinstance(found, tuple) else found

    def texts(self, update: Any) -> list[Any]:
        return [nlri.prefix for nlri in self._nlri(update)]

    def prefixes(self, update: Any) -> int:
        return len(self._nlri(update))

    def _nlri(self, update: Any) -> list[Any]:
        found = [*update.nlri, *update.withdrawn_routes]
        for attribute in update.path_attributes:
            found += getattr(attribute, "nlri", ()) or getattr(attribute, "withdrawn_routes", ())
        return found

    def encode(self, update: Any) -> bytes:
        return bytes(update.serialize())


class Yabgp:
    """YABGP reads into text, and writes from it."""

    distribution = "yabgp"

    def __init__(self, stream: Stream) -> None:
        self._update = import_module("yabgp.message.update").Update
        self._asn4 = stream.asn4
        import_module("logging").disable()

    def decode(self, message: bytes) -> Any:
        found = self._update.parse(None, message[HEADER:], self._asn4)
        if found["sub_error"]:
            raise ValueError(found["sub_error"])
        return found

    def texts(self, update: Any) -> list[Any]:
        return [update]

    def prefixes(self, update: Any) -> int:
        attributes = update["attr"] or {}
        reach, unreach = attributes.get(14, {}), attributes.get(15, {})
        multiprotocol = [*reach.get("nlri", ()), *unreach.get("withdraw", ())]
        return len(update["nlri"]) + len(update["withdraw"]) + len(multiprotocol)

    def encode(self, update: Any) -> bytes:
        octets: bytes = self._update.construct(update, self._asn4)
        return octets


class Mrtparse:
    """It reads files only."""

    distribution = "mrtparse"

    @staticmethod
    def mrt_records(path: Path) -> int:
        return sum(1 for _ in import_module("mrtparse").Reader(str(path)))
