"""The byte corpus beside the repository: reading it, and what a case asks of a decoder."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest

from pybgp.wire.families import IPV4_UNICAST, Family
from pybgp.wire.negotiated import Negotiated, UpdateOptions
from pybgp.wire.nlri import FAMILIES

CORPUS = Path(__file__).parents[2].parent / "shared" / "corpus"
FOLDERS = ("updates-hex", "malformed", "evpn-flowspec-bgpls")
WHOLE = ("open", "update", "notification", "keepalive", "route-refresh", "other")
#: the corpus judges octets, not policy: sets, confederations and any first AS are fine.
LENIENT = UpdateOptions(
    allow_as_sets=True, confederation=True, check_first_as=False, aigp=True, external_prefix_sid=True
)


@dataclass(frozen=True)
class Case:
    """One line of the corpus."""

    folder: str
    source: str
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

    @property
    def is_whole(self) -> bool:
        """Whether the octets are one message with its header."""
        return self.kind in WHOLE

    @property
    def takes_long_next_hops(self) -> bool:
        """Whether an IPv4 family may have an IPv6 next hop; a fragment does not say."""
        return not self.is_whole or "extended-next-hop" in self.context.get("needs", [])

    def has_label_stacks(self) -> bool:
        """Whether a prefix is announced with more than one label (RFC 8277 section 2.1)."""
        nlri = self.expect.get("mp_reach", {}).get("nlri", [])
        return any(len(item.get("labels", [])) > 1 for item in nlri if isinstance(item, dict))

    def negotiated(self) -> Negotiated:
        """A session on which the message is acceptable."""
        return self._session

    @cached_property
    def _session(self) -> Negotiated:
        families = self.families() if self.is_whole else frozenset(FAMILIES)
        limit = 65535 if self.context.get("extended_message") else 4096
        return Negotiated(
            local_as=65000,
            peer_as=65000,
            local_id=1,
            peer_id=2,
            families=families,
            asn4=bool(self.context.get("asn4", True)),
            add_path_receive=frozenset(family_of(name) for name in self.context.get("addpath_families", [])),
            add_path_send=frozenset(family_of(name) for name in self.context.get("addpath_families", [])),
            label_limits=tuple((family, 255) for family in families) if self.has_label_stacks() else (),
            receive_limit=limit,
            send_limit=limit,
            enhanced_refresh="enhanced-route-refresh" in self.context.get("needs", []),
            extended_next_hop=families if self.takes_long_next_hops else frozenset(),
            options=LENIENT,
        )


def family_of(name: str) -> Family:
    afi, safi = name.split("/")
    return Family(int(afi), int(safi))


def address(number: int) -> str:
    return str(IPv4Address(number))


def cases(*kinds: str) -> Iterator[Case]:
    """Every case of these kinds, or of all."""
    for folder in FOLDERS:
        for path in sorted((CORPUS / folder).glob("*.jsonl")):
            for line in path.read_text().splitlines():
                record = json.loads(line)
                if not kinds or record["kind"] in kinds:
                    yield Case(
                        folder,
                        path.stem,
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
