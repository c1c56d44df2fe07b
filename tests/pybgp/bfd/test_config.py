from __future__ import annotations

from typing import Any

import pytest

from pybgp.bfd.config import BfdConfig
from pybgp.errors import LocalError


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ({"transmit_interval": 0.049}, "bfd.transmit_interval 0.049: 0.05 to 4294.0 seconds expected"),
        ({"receive_interval": 5000.0}, "bfd.receive_interval 5000.0: 0.05 to 4294.0 seconds expected"),
        ({"multiplier": 0}, "bfd.multiplier 0: 1 to 255 expected"),
        ({"multiplier": 256}, "bfd.multiplier 256: 1 to 255 expected"),
        ({"minimum_ttl": 0}, "bfd.minimum_ttl 0: 1 to 255 expected"),
        ({"passive": True}, "bfd.passive: only with bfd.multihop"),
    ],
)
def test_what_cannot_work_is_refused_by_name_and_value(values: dict[str, Any], text: str) -> None:
    with pytest.raises(LocalError) as caught:
        BfdConfig(**values)
    assert str(caught.value).startswith(text)
