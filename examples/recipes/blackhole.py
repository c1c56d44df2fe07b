"""Drop attack traffic at the routers by Flowspec (RFC 8955): one rule a line in a file, read again on SIGHUP.

    198.51.100.7/32                                                      # an address alone: all traffic to it
    destination=198.51.100.0/24 protocol==17 source-port==53             # the answers of open resolvers
    destination=2001:db8:7::/48 protocol==6 destination-port=>=8000&<=8080

The rules stand as long as this program runs; who ends it takes all of them back.
"""

import argparse
import asyncio
import signal
import sys
from contextlib import suppress
from pathlib import Path

from pybgp import (
    ACCEPT_ALL,
    IPV4_FLOWSPEC,
    IPV6_FLOWSPEC,
    REJECT_ALL,
    BgpError,
    Family,
    LocalError,
    Speaker,
    SpeakerConfig,
    format_nlri,
    parse_nlri,
)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Drop traffic at routers by Flowspec rules.")
    parser.add_argument("neighbor", help="address of the router")
    parser.add_argument("rules", type=Path, help="file with one rule a line; SIGHUP reads it again")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    parser.add_argument("--rate", type=int, default=0, help="octets per second that may pass; default: none")
    return parser.parse_args()


def read_rules(path: Path) -> set[tuple[Family, str]]:
    """Return the rules of a file in their one form; LocalError names the line that is none."""
    rules = set()
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise LocalError(f"{path}: {error}") from error
    for number, line in enumerate(lines, 1):
        text = line.partition("#")[0].strip()
        if not text:
            continue
        rule = text if "=" in text else f"destination={text}"
        family = IPV6_FLOWSPEC if ":" in rule else IPV4_FLOWSPEC
        try:
            rules.add((family, format_nlri(family, parse_nlri(family, rule))))
        except LocalError as error:
            raise LocalError(f"{path}:{number}: {error}") from error
    return rules


class Blackhole:
    """Keeps what a speaker announces equal to what stands in a file."""

    def __init__(self, speaker: Speaker, path: Path, rate: int) -> None:
        self._speaker = speaker
        self._path = path
        self._action = f"rate-bytes:0:{rate}"
        self._rules: set[tuple[Family, str]] = set()

    def read(self) -> None:
        """Announce rules that are new and withdraw those that are gone."""
        wanted = read_rules(self._path)
        for family, rule in sorted(self._rules - wanted):
            self._speaker.withdraw_nlri(family, rule)
            print("withdrawn", rule, flush=True)
        for family, rule in sorted(wanted - self._rules):
            self._speaker.announce_nlri(family, rule, extended_communities=[self._action])
            print("announced", rule, flush=True)
        self._rules = wanted

    def read_again(self) -> None:
        """Do so on SIGHUP: a file that cannot be read changes nothing."""
        try:
            self.read()
        except (BgpError, OSError) as error:
            print(f"blackhole: {error}; the rules stay as they are", file=sys.stderr, flush=True)


async def run(options: argparse.Namespace) -> None:
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=REJECT_ALL, export_policy=ACCEPT_ALL)
    speaker = Speaker(config)
    families = (IPV4_FLOWSPEC, IPV6_FLOWSPEC)
    peer = speaker.peer(options.neighbor, options.remote_as, port=options.port, families=families)
    speaker.configure({"router": peer})
    blackhole = Blackhole(speaker, options.rules, options.rate)
    blackhole.read()
    loop = asyncio.get_running_loop()
    loop.add_signal_handler(signal.SIGHUP, blackhole.read_again)
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, task.cancel)
    async with speaker:
        await asyncio.Event().wait()


def main() -> None:
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except (BgpError, OSError) as error:
        sys.exit(f"blackhole: {error}")


if __name__ == "__main__":
    main()
