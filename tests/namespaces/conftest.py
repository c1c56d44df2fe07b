from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.namespaces.isolation import private_namespace


@pytest.fixture
def own_namespace() -> Iterator[None]:
    with private_namespace():
        yield
