"""Replay a recorded session, octet by octet and by its own clock, to see again why it ended.

    python replay_crash.py session.jsonl                         # as written by JsonRecorder
    python replay_crash.py updates.mrt --peer 192.0.2.1          # or a session of an MRT file

Prints what the session reports and what it answers; exit code 1 if it ended by an error.
"""

import argparse
import io
import sys
from pathlib import Path

from pybgp import BgpError, DownReason, Framer, SessionDown, SessionUp, State, UpdateReceived, decode_message
from pybgp.formats.mrt import Ends
from pybgp.formats.mrt_file import decompressed
from pybgp.tools.recording import Moment, What, read_json, read_mrt
from pybgp.tools.replayer import Replayer, Step, config_of, first_open
from pybgp.wire.iana import EXTENDED_LIMIT, MessageType

SHOWN_OCTETS = 64
HARMLESS = (DownReason.STOPPED, DownReason.TCP_FAILED, DownReason.RESET, DownReason.SUPERSEDED)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Replay a recorded BGP session.")
    parser.add_argument("recording", type=Path, help="JSON lines, or MRT")
    parser.add_argument("--peer", default="", help="address of the peer whose session is wanted, in an MRT file")
    parser.add_argument("--quiet", action="store_true", help="only how it ended")
    return parser.parse_args()


def in_words(event: object) -> str:
    """Return one line about an event; empty for what is of no interest here."""
    if isinstance(event, SessionUp):
        return f"up: {', '.join(str(family) for family in sorted(event.negotiated.families))}"
    if isinstance(event, SessionDown):
        return f"down: {event.reason.value}{': ' if event.text else ''}{event.text}"
    if isinstance(event, UpdateReceived):
        update = event.update
        count = [sum(len(one.keys) for one in sets) for sets in (update.announced, update.withdrawn)]
        faults = "".join(f"; {fault.fault.name} {fault.reason}" for fault in update.faults)
        return f"UPDATE: {count[0]} announced, {count[1]} withdrawn{faults}"
    return ""


def sent_in_words(octets: bytes) -> str:
    """Name the messages in what a session sends; a NOTIFICATION in full."""
    framer, names = Framer(EXTENDED_LIMIT), []
    framer.feed(octets)
    while (message := framer.next_message()) is not None:
        kind = MessageType(message[18])
        names.append(str(decode_message(message)) if kind is MessageType.NOTIFICATION else kind.name)
    return ", ".join(names)


class Story:
    """Tells a replay, and remembers how it ended."""

    def __init__(self, *, quiet: bool) -> None:
        self._quiet = quiet
        self._begun: float | None = None
        self._last_received = b""
        self.ended_badly = False

    def tell(self, step: Step) -> None:
        """Print a step; where a session ends by an error, the octets that did it too."""
        if self._begun is None:
            self._begun = step.time
        if step.moment is not None and step.moment.what is What.RECEIVED:
            self._last_received = step.moment.octets
        for event in step.events:
            is_end = isinstance(event, SessionDown)
            if (text := in_words(event)) and (is_end or not self._quiet):
                self._print(step, text)
            if isinstance(event, SessionDown) and event.reason not in HARMLESS:
                self.ended_badly = True
                shown = self._last_received[:SHOWN_OCTETS].hex()
                self._print(step, f"the last {len(self._last_received)} octets received begin {shown}")
        if step.sent and not self._quiet:
            self._print(step, f"sends {sent_in_words(step.sent)}")

    def _print(self, step: Step, text: str) -> None:
        print(f"{step.time - (self._begun or 0.0):12.6f} {text}")


def open_recording(options: argparse.Namespace) -> tuple[Ends, list[Moment]]:
    """Read what the file is: JSON begins with a brace."""
    with options.recording.open("rb") as file:
        if file.peek(1)[:1] == b"{":
            ends, moments = read_json(io.TextIOWrapper(file, encoding="utf-8"))
        else:
            ends, moments = read_mrt(decompressed(file), options.peer)
        return ends, list(moments)


def replay(options: argparse.Namespace) -> bool:
    """Tell the whole story; return whether it ended badly."""
    ends, moments = open_recording(options)
    replayer = Replayer(config_of(ends, first_open(moments, What.SENT)))
    story = Story(quiet=options.quiet)
    for step in replayer.run(moments):
        story.tell(step)
    if replayer.session is not None and replayer.session.state is State.ESTABLISHED:
        print("the recording ends, and the session is still up")
    return story.ended_badly


def main() -> None:
    try:
        ended_badly = replay(arguments())
    except (BgpError, OSError, UnicodeDecodeError) as error:
        sys.exit(f"replay_crash: {error}")
    sys.exit(1 if ended_badly else 0)


if __name__ == "__main__":
    main()
