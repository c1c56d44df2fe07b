"""Names that resources have in the stores, and the values they are made from (spec/calico.md sections 1 and 10)."""

from __future__ import annotations

from calico_routing.model.blocks import Network, parse_network

LONGEST_NAME = 253
HASH_DIGITS = 11


def _short_hash(text: str) -> str:
    # Only names of more than 250 characters need it, and the module takes 3 ms to load.
    from hashlib import sha256  # noqa: PLC0415

    return sha256(text.encode()).hexdigest()[:HASH_DIGITS]


def cidr_name(cidr: str) -> str:
    """Return the name of a block: ``10-9-0-64-30``, ``fd00-9--40-122``."""
    return cidr.replace(".", "-").replace(":", "-").replace("/", "-")


def cidr_of_name(name: str) -> str:
    """Return the CIDR that a block name stands for; ValueError."""
    address, _, length = name.rpartition("-")
    separator = "." if address.count("-") == 3 and "--" not in address else ":"
    network: Network = parse_network(f"{address.replace('-', separator)}/{length}")
    if cidr_name(str(network)) != name:
        raise ValueError(f"{name!r} is not the name of a block")
    return str(network)


def affinity_name(node: str, cidr: str) -> str:
    """Return the name of a node's claim on a block; a long node name is cut and told apart by a hash (section 1.3)."""
    block = cidr_name(cidr)
    name = f"{node}-{block}"
    if len(name) < LONGEST_NAME:
        return name
    return f"{node[: LONGEST_NAME - len(block) - HASH_DIGITS - 3]}-{block}-{_short_hash(f'{node}+{block}')}"


#: a name may lose the block's name (at most 43 characters), a hash and three dashes to the limit.
_PREFIX_THAT_STAYS = LONGEST_NAME - 43 - HASH_DIGITS - 3


def affinity_prefix(node: str) -> str:
    """Return what the names of all claims of a node start with; other nodes' may start so too."""
    return f"{node}-" if len(node) < _PREFIX_THAT_STAYS else node[:_PREFIX_THAT_STAYS]


def handle_name(handle_id: str) -> str:
    """Return the name under which a handle is stored: its id in lower case."""
    name = handle_id.lower()
    if len(name) <= LONGEST_NAME:
        return name
    return f"{name[: LONGEST_NAME - HASH_DIGITS - 1]}-{_short_hash(name)}"


def endpoint_name(node: str, orchestrator: str, workload: str, endpoint: str) -> str:
    """Return the name of a WorkloadEndpoint: ``worker--01-k8s-web--0-eth0`` (``workload`` is pod or container)."""
    parts = (node, orchestrator, workload, endpoint)
    for part in parts:
        if not part or part[0] == "-" or part[-1] == "-":
            raise ValueError(f"{part!r} cannot be part of a workload endpoint name")
    return "-".join([part.replace("-", "--") for part in parts])


def endpoint_prefix(node: str, orchestrator: str, workload: str) -> str:
    """Return what the names of all endpoints of one workload start with."""
    return endpoint_name(node, orchestrator, workload, "x")[:-1]


def endpoint_name_parts(name: str) -> tuple[str, ...]:
    """Return node, orchestrator, workload and endpoint of a WorkloadEndpoint name; ValueError."""
    parts = tuple([part.replace("\0", "-") for part in name.replace("--", "\0").split("-")])
    if len(parts) != 4 or endpoint_name(*parts) != name:
        raise ValueError(f"{name!r} is not the name of a workload endpoint")
    return parts


def hostname_hash(node: str) -> str:
    """Return the value of the label ``projectcalico.org/hostname-hash``."""
    from base64 import b32encode  # noqa: PLC0415 - only Kubernetes objects have the label
    from hashlib import sha3_256  # noqa: PLC0415

    return b32encode(sha3_256(node.encode()).digest()).decode().rstrip("=")


def reverse_uid_bits(uid: str) -> str:
    """Return the UID that Calico shows for a Kubernetes UID, or the reverse (section 1.1)."""
    octets = bytes.fromhex(uid.replace("-", ""))
    mirrored = bytes(
        octet if place in {6, 8} else int(f"{octet:08b}"[::-1], 2) for place, octet in enumerate(octets)
    ).hex()
    return "-".join((mirrored[:8], mirrored[8:12], mirrored[12:16], mirrored[16:20], mirrored[20:]))
