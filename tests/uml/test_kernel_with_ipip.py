"""The kernel tests that a host without ipip has to skip, run where there is ipip."""

from __future__ import annotations

import sys

import pytest

from examples.demo import user_mode_linux
from tests.uml.guest import REPOSITORY

pytestmark = [
    pytest.mark.uml,
    pytest.mark.skipif(user_mode_linux.missing() is not None, reason=str(user_mode_linux.missing())),
]


def test_the_tunnel_tests_pass_on_a_kernel_with_ipip() -> None:
    tests = REPOSITORY / "tests" / "namespaces" / "test_netlink_kernel.py"
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", "-k", "tunnel", str(tests)]
    result = user_mode_linux.run(command, limit_seconds=120)
    assert result.status == 0, result.output
    assert "passed" in result.output
    assert "skipped" not in result.output.splitlines()[-1], result.output
