from __future__ import annotations

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from calico_routing.kernel.netlink import links
from calico_routing.kernel.netlink.codec import HEADER_SIZE, attributes
from calico_routing.kernel.netlink.errors import KernelError
from calico_routing.kernel.netlink.values import InterfaceAddress, Link, Neighbour

#: RTM_NEWADDR of a kernel 6.18 for `ip addr add 192.168.5.0/32 brd 192.168.5.0 dev tunl0`.
ADDRESS = bytes.fromhex(
    "58000000140002000e00000047130000022080000300000008000100c0a8050008000200c0a8050008000400c0a80500"
    "0a00030074756e6c30000000080008008000000014000600ffffffffffffffff39f6030039f60300"
)
#: RTM_NEWNEIGH of the same kernel for `ip neigh replace 10.9.0.3 lladdr 02:00:00:00:00:07 dev tunl0`.
NEIGHBOUR = bytes.fromhex(
    "4c0000001c0002001100000047130000020000000300000080000001080001000a0900030a00020002000000000700000800040000000000"
    "1400030000000000000000000000000000000000"
)

interface_numbers = st.integers(1, 2**31 - 1)
link_addresses = st.binary(min_size=6, max_size=6).map(lambda octets: octets.hex(":"))


def test_a_recorded_address_is_understood() -> None:
    assert links.decode_address(ADDRESS, HEADER_SIZE, len(ADDRESS)) == InterfaceAddress(
        "192.168.5.0/32", 3, label="tunl0", flags=128, broadcast="192.168.5.0"
    )


def test_a_recorded_neighbour_is_understood() -> None:
    expected = Neighbour("10.9.0.3", 3, "02:00:00:00:00:07")
    assert links.decode_neighbour(NEIGHBOUR, HEADER_SIZE, len(NEIGHBOUR)) == expected


@given(
    st.tuples(
        interface_numbers,
        st.from_regex(r"[a-z0-9]{1,15}", fullmatch=True),
        st.just(""),
        st.booleans(),
        st.just(False),
        st.integers(1, 65535),
        link_addresses,
    ).map(lambda fields: Link(*fields))
)
def test_links_round_trip(link: Link) -> None:
    body = links.encode_link(index=link.ifindex, name=link.name, up=link.up, mtu=link.mtu, address=link.address)
    assert links.decode_link(body, 0, len(body)) == link


@given(st.ip_addresses(), interface_numbers)
def test_addresses_round_trip(ip: IPv4Address | IPv6Address, interface: int) -> None:
    address = InterfaceAddress(f"{ip}/24", interface, label="eth0" if ip.version == 4 else "")
    body = links.encode_address(address)
    found = links.decode_address(body, 0, len(body))
    assert found is not None
    assert found._replace(flags=0) == address


def test_the_two_ends_of_a_point_to_point_address_are_told_apart() -> None:
    address = InterfaceAddress("10.0.0.1/32", 3, peer="10.0.0.2/32")
    body = links.encode_address(address)
    assert links.decode_address(body, 0, len(body)) == address


@given(st.ip_addresses(), interface_numbers, link_addresses)
def test_neighbours_round_trip(ip: IPv4Address | IPv6Address, interface: int, link_address: str) -> None:
    neighbour = Neighbour(str(ip), interface, link_address)
    body = links.encode_neighbour(neighbour)
    assert links.decode_neighbour(body, 0, len(body)) == neighbour


def test_a_veth_carries_its_peer_inside() -> None:
    body = links.encode_veth(links.encode_link(name="cali0"), links.encode_link(name="eth0", namespace=7))
    link = links.decode_link(body, 0, len(body))
    assert link is not None
    assert (link.name, link.kind) == ("cali0", "veth")
    information = attributes(body, links.INTERFACE.size, len(body))[links.IFLA_LINKINFO]
    data = attributes(information, 0, len(information))[links.IFLA_INFO_DATA]
    peer = attributes(data, 0, len(data))[links.VETH_INFO_PEER]
    assert links.decode_link(peer, 0, len(peer)) == Link(0, "eth0")
    assert attributes(peer, links.INTERFACE.size, len(peer))[links.IFLA_NET_NS_FD] == b"\x07\0\0\0"


def test_what_a_bridge_says_of_its_ports_is_no_link() -> None:
    body = links.INTERFACE.pack(7, 0, 0, 3, 0, 0)
    assert links.decode_link(body, 0, len(body)) is None


@pytest.mark.parametrize("text", ["ee:ee", "ee:ee:ee:ee:ee:zz", "eeeeeeeeeeee", "ee:ee:ee:ee:ee:ee:ee"])
def test_a_bad_link_address_is_named(text: str) -> None:
    with pytest.raises(ValueError, match=f"link address '{text}'"):
        links.encode_link(name="a", address=text)


@pytest.mark.parametrize("decode", [links.decode_link, links.decode_address, links.decode_neighbour])
@given(octets=st.binary(max_size=100), family=st.sampled_from([0, 2, 10]))
def test_any_octets_are_a_value_or_a_clean_error(decode: object, octets: bytes, family: int) -> None:
    assert callable(decode)
    try:
        decode(bytes([family]) + octets, 0, len(octets) + 1)
    except KernelError as error:
        assert "malformed" in str(error)


def test_every_cut_of_an_address_is_an_error_or_a_value_and_nothing_else() -> None:
    for size in range(HEADER_SIZE, len(ADDRESS)):
        try:
            links.decode_address(ADDRESS, HEADER_SIZE, size)
        except KernelError as error:
            assert "malformed" in str(error)
