"""Prefix keys: both splits, text, odd ranges, path identifiers."""

from __future__ import annotations

import pytest

from pybgp.errors import ErrorCode, LocalError, RemoteError
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST, Family
from pybgp.wire.nlri import (
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

TEXTS = ["0.0.0.0/0", "10.0.0.0/8", "10.244.64.0/26", "192.0.2.128/25", "198.51.100.7/32", "128.0.0.0/1"]
TEXTS_V6 = ["::/0", "2001:db8::/32", "2001:db8:0:8000::/49", "fd00::1/128", "2000::/3"]


@pytest.mark.parametrize("text", [*TEXTS, *TEXTS_V6])
def test_text_and_back(text: str) -> None:
    family, key = parse_prefix(text)
    assert family == (IPV6_UNICAST if ":" in text else IPV4_UNICAST)
    assert key[0] == int(text.rsplit("/")[1])
    assert len(key) == 1 + (key[0] + 7) // 8
    assert format_prefix(family, key) == text


def test_the_key_of_the_style_guide() -> None:
    assert parse_prefix("10.244.64.0/26") == (IPV4_UNICAST, b"\x1a\x0a\xf4\x40\x00")


@pytest.mark.parametrize(
    "text", ["", "10.0.0.0", "10.0.0.1/8", "10.0.0.0/33", "10.0.0/8", "::/129", "x/8", "2001:db8::1/32", "10.0.0.0/-1"]
)
def test_bad_text_names_itself(text: str) -> None:
    with pytest.raises(LocalError, match="prefix"):
        parse_prefix(text)


def test_other_families_print_in_hexadecimal() -> None:
    assert format_prefix(Family(25, 70), b"\x01\x02") == "0102"


@pytest.mark.parametrize("add_path", [False, True])
@pytest.mark.parametrize(("family", "texts"), [(IPV4_UNICAST, TEXTS), (IPV6_UNICAST, TEXTS_V6)])
def test_both_splits_find_the_keys(family: Family, texts: list[str], add_path: bool) -> None:
    keys = [parse_prefix(text)[1] for text in texts]
    if add_path:
        keys = [with_path_id(key, number) for number, key in enumerate(keys, 0x18000000)]
    field = b"".join(keys)
    assert split_fast(family, field, add_path) == keys
    assert split_careful(family, field, add_path) == keys
    assert split(family, field, add_path=add_path) == keys


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
def test_every_length_with_and_without_stray_bits(family: Family) -> None:
    longest = 32 if family == IPV4_UNICAST else 128
    for length in range(longest + 1):
        octets = (length + 7) // 8
        clean = bytes([length]) + b"\xff" * octets
        masked = clean[:-1] + bytes([0xFF << (-length % 8) & 0xFF]) if octets else clean
        assert split(family, clean) == [masked]
        assert (split_fast(family, clean) is None) == (clean != masked or is_odd(family, masked))


@pytest.mark.parametrize("family", [IPV4_UNICAST, IPV6_UNICAST])
@pytest.mark.parametrize("add_path", [False, True])
def test_every_cut_of_a_field_is_an_error_or_a_shorter_field(family: Family, add_path: bool) -> None:
    texts = TEXTS if family == IPV4_UNICAST else TEXTS_V6
    keys = [parse_prefix(text)[1] for text in texts]
    keys = [with_path_id(key, 1) for key in keys] if add_path else keys
    field = b"".join(keys)
    ends = {len(b"".join(keys[:count])) for count in range(len(keys) + 1)}
    for cut in range(len(field) + 1):
        if cut in ends:
            assert b"".join(split(family, field[:cut], add_path=add_path)) == field[:cut]
        else:
            with pytest.raises(RemoteError) as caught:
                split(family, field[:cut], add_path=add_path)
            assert (caught.value.code, caught.value.subcode) == (ErrorCode.UPDATE_MESSAGE, 10)


@pytest.mark.parametrize(("family", "length"), [(IPV4_UNICAST, 33), (IPV4_UNICAST, 255), (IPV6_UNICAST, 129)])
def test_a_prefix_that_is_too_long(family: Family, length: int) -> None:
    with pytest.raises(RemoteError, match=f"{length} bits"):
        split(family, bytes([length]) + bytes(40))


@pytest.mark.parametrize(
    ("text", "odd"),
    [
        ("127.0.0.0/8", True),
        ("127.0.0.1/32", True),
        ("126.0.0.0/7", False),
        ("224.0.0.0/4", True),
        ("239.1.2.3/32", True),
        ("240.0.0.0/4", True),
        ("255.255.255.255/32", True),
        ("192.0.0.0/3", False),
        ("0.0.0.0/0", False),
        ("::/128", True),
        ("::1/128", True),
        ("::/127", False),
        ("ff02::/16", True),
        ("fe00::/7", False),
        ("2001:db8::/32", False),
    ],
)
def test_odd_prefixes_take_the_careful_way(text: str, odd: bool) -> None:
    family, key = parse_prefix(text)
    assert is_odd(family, key) == odd
    assert is_odd(family, with_path_id(key, 7), add_path=True) == odd
    assert split_fast(family, key) == (None if odd else [key])
    assert split(family, key) == [key]


def test_path_identifiers() -> None:
    key = with_path_id(b"\x08\x0a", 0x01020304)
    assert (path_id(key), strip_path_id(key)) == (0x01020304, b"\x08\x0a")
    assert format_prefix(IPV4_UNICAST, key, add_path=True) == "10.0.0.0/8"


def test_an_identifier_that_looks_like_a_prefix_is_none() -> None:
    """With ADD-PATH on, what reads as plain prefixes must not be taken for them."""
    field = with_path_id(b"\x00", 0x08010803)
    assert split(IPV4_UNICAST, field, add_path=True) == [field]
    assert split(IPV4_UNICAST, b"\x08\x01\x08\x03\x00") == [b"\x08\x01", b"\x08\x03", b"\x00"]
