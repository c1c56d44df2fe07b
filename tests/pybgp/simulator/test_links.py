from __future__ import annotations

import asyncio
from random import Random

import pytest

from pybgp.errors import LocalError
from pybgp.simulator import LinkQuality, VirtualLoop
from pybgp.simulator.links import End, Link, join


class Listener(asyncio.BufferedProtocol):
    """Notes what arrives, with the time."""

    def __init__(self, loop: VirtualLoop) -> None:
        self.loop = loop
        self.octets = b""
        self.arrivals: list[float] = []
        self.lost: list[BaseException | None] = []
        self.has_ended = False
        self.pauses = 0
        self.buffer = bytearray(3)

    def get_buffer(self, sizehint: int) -> bytearray:
        return self.buffer

    def buffer_updated(self, nbytes: int) -> None:
        self.octets += self.buffer[:nbytes]
        self.arrivals.append(self.loop.time())

    def eof_received(self) -> None:
        self.has_ended = True

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.append(exc)

    def pause_writing(self) -> None:
        self.pauses += 1

    def resume_writing(self) -> None:
        self.pauses -= 1


Side = tuple[End, Listener]


def connected(loop: VirtualLoop, quality: LinkQuality, seed: int = 1) -> tuple[Link, Side, Side]:
    link = Link(quality, loop, Random(seed))
    there = join(link, "10.0.0.1", "10.0.0.2")
    here = there.other
    assert here is not None
    listeners = Listener(loop), Listener(loop)
    here.connect(listeners[0])  # type: ignore[arg-type]  # what a connection needs of its protocol is there
    there.connect(listeners[1])  # type: ignore[arg-type]
    return link, (here, listeners[0]), (there, listeners[1])


def test_octets_arrive_after_the_latency_and_through_small_buffers(loop: VirtualLoop) -> None:
    _, (here, _), (_, there) = connected(loop, LinkQuality(0.25))
    here.write(b"octets")
    loop.run_for(0.2)
    assert there.octets == b""
    loop.run_for(0.1)
    assert there.octets == b"octets"
    assert there.arrivals == [0.25, 0.25]


@pytest.mark.parametrize("seed", range(20))
def test_loss_and_jitter_delay_but_never_reorder(loop: VirtualLoop, seed: int) -> None:
    _, (here, _), (_, there) = connected(loop, LinkQuality(0.01, jitter=0.5, loss=0.4), seed)
    sent = bytes(range(100))
    for octet in sent:
        here.write(bytes([octet]))
    loop.run_for(3600)
    assert there.octets == sent
    assert there.arrivals == sorted(there.arrivals)
    assert there.arrivals[-1] > 0.21, "nothing was lost"


def test_a_cut_tells_nobody_and_a_healed_link_delivers_what_was_sent(loop: VirtualLoop) -> None:
    link, (here, hears), (_, there) = connected(loop, LinkQuality(0.01))
    here.write(b"before ")
    loop.run_for(1)
    link.cut()
    here.write(b"during ")
    loop.run_for(1000)
    assert (there.octets, there.lost, hears.lost) == (b"before ", [], [])
    link.heal()
    here.write(b"after")
    loop.run_for(1)
    assert there.octets == b"before during after"


def test_an_end_is_heard_after_the_last_octets(loop: VirtualLoop) -> None:
    _, (here, hears), (_, there) = connected(loop, LinkQuality(0.01))
    here.write(b"last")
    here.close()
    loop.run_for(1)
    assert (there.octets, there.has_ended, there.lost, hears.lost) == (b"last", True, [None], [None])


def test_a_reset_is_an_error_on_the_other_side_only(loop: VirtualLoop) -> None:
    _, (here, hears), (_, there) = connected(loop, LinkQuality(0.01))
    here.abort()
    loop.run_for(1)
    assert hears.lost == [None]
    assert isinstance(there.lost[0], ConnectionResetError)


def test_what_comes_for_a_dead_process_is_answered_with_a_reset(loop: VirtualLoop) -> None:
    link, (here, hears), (there_end, there) = connected(loop, LinkQuality(0.01))
    link.cut()
    here.die()
    loop.run_for(1)
    link.heal()
    there_end.write(b"are you there?")
    loop.run_for(1)
    assert hears.octets == b""
    assert isinstance(there.lost[0], ConnectionResetError)


def test_a_writer_that_is_too_fast_is_asked_to_pause(loop: VirtualLoop) -> None:
    link, (here, hears), (_, there) = connected(loop, LinkQuality(0.01))
    there.buffer = bytearray(1 << 20)
    link.cut()
    here.write(bytes(2 << 20))
    assert hears.pauses == 1
    assert here.get_write_buffer_size() == 1 << 20
    link.heal()
    loop.run_for(1)
    assert (hears.pauses, here.get_write_buffer_size()) == (0, 0)


@pytest.mark.parametrize("values", [{"loss": 1.0}, {"loss": -0.1}, {"latency": -1}, {"jitter": -1}])
def test_what_cannot_be_is_refused_by_name(values: dict[str, float]) -> None:
    with pytest.raises(LocalError, match=next(iter(values))):
        LinkQuality(**values)
