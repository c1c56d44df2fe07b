"""What the plugin finds out about a namespace before it does anything in it; the rest needs real kernels."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.networking import is_own_namespace, open_namespace


def test_a_namespace_is_opened() -> None:
    descriptor = open_namespace("/proc/self/ns/net")
    try:
        assert is_own_namespace(descriptor)
    finally:
        os.close(descriptor)


def test_what_is_no_network_namespace_is_refused(tmp_path: Path) -> None:
    """A container that has gone leaves its file behind; a runtime may name the wrong kind."""
    (tmp_path / "left-over").touch()
    for path in (tmp_path / "left-over", tmp_path, tmp_path / "absent", Path("/dev/null"), Path("/proc/self/ns/mnt")):
        before = len(list(Path("/proc/self/fd").iterdir()))
        with pytest.raises(CniError) as caught:
            open_namespace(str(path))
        assert caught.value.code == ErrorCode.INVALID_NAMESPACE
        assert str(path) in str(caught.value)
        assert len(list(Path("/proc/self/fd").iterdir())) == before
