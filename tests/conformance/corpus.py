"""The byte corpus beside the repository: reading it, and what a case asks of a decoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.negotiated import Negotiated, UpdateOptions

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
FOLDERS = ("updates-hex", "malformed", "evpn-flowspec-bgpls")
#: the corpus judges octets, not policy: sets, confederations and any first AS are fine.
LENIENT = UpdateOptions(allow_as_sets=True, confederation=True, check_first_as=False)


@dataclass(frozen=True)
class Case:
    """One line of the corpus."""

    id: str
    kind: str
    valid: bool | str
    octets: bytes
    context: dict[str, Any]
    expect: dict[str, Any]

    def families(self) -> frozenset[Family]:
        """IPv4 unicast and whatever the message speaks of."""
        found = {IPV4_UNICAST}
        for key in ("mp_reach", "mp_unreach"):
            if key in self.expect and "afi" in self.expect[key]:
                found.add(Family(self.expect[key]["afi"], self.expect[key]["safi"]))
        for name in [*self.expect.get("end_of_rib", "").split(), *self.context.get("addpath_families", [])]:
            found.add(family_of(name))
        return frozenset(found)

    def negotiated(self, *, external: bool = False) -> Negotiated:
        """A session on which the message is acceptable."""
        families = self.families()
        limit = 65535 if self.context.get("extended_message") else 4096
        return Negotiated(
            local_as=65000,
            peer_as=65001 if external else 65000,
            local_id=1,
            peer_id=2,
            families=families,
            asn4=bool(self.context.get("asn4", True)),
            add_path_receive=frozenset(family_of(name) for name in self.context.get("addpath_families", [])),
            receive_limit=limit,
            send_limit=limit,
            enhanced_refresh="enhanced-route-refresh" in self.context.get("needs", []),
            extended_next_hop=families if "extended-next-hop" in self.context.get("needs", []) else frozenset(),
            options=LENIENT,
        )


def family_of(name: str) -> Family:
    afi, safi = name.split("/")
    return Family(int(afi), int(safi))


def address(number: int) -> str:
    return str(IPv4Address(number))


def cases(*kinds: str) -> Iterator[Case]:
    """Every case of these kinds, each octet string in its context once."""
    for folder in FOLDERS:
        for path in sorted((CORPUS / folder).glob("*.jsonl")):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                if record["kind"] in kinds:
                    yield Case(
                        f"{path.stem}:{record['id']}",
                        record["kind"],
                        record["valid"],
                        bytes.fromhex(record["hex"]),
                        record["context"],
                        record["expect"],
                    )


def required() -> None:
    """Skip where the corpus is not beside the repository."""
    if not CORPUS.is_dir():
        pytest.skip("the byte corpus is not beside the repository")
