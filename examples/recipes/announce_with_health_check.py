"""Announce prefixes while a health check passes, as an anycast service does.

Announced after RISE passed checks in a row, withdrawn after FALL failed ones, and at the end of the program too.
"""

import argparse
import asyncio
import os
import signal
import sys
from contextlib import suppress

from pybgp import ACCEPT_ALL, REJECT_ALL, BgpError, Speaker, SpeakerConfig


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Announce prefixes while a health check passes.")
    parser.add_argument("neighbor", help="address of the router")
    parser.add_argument("prefixes", nargs="+", metavar="prefix")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    parser.add_argument("--password", help="TCP MD5 key")
    parser.add_argument("--next-hop", help="default: our address on the session")
    parser.add_argument("--community", action="append", default=[], help="may be given several times")
    parser.add_argument("--check", required=True, metavar="COMMAND", help="shell command; exit code 0: healthy")
    parser.add_argument("--interval", type=float, default=2.0, help="seconds between two checks")
    parser.add_argument("--timeout", type=float, default=1.0, help="seconds until a check counts as failed")
    parser.add_argument("--rise", type=int, default=2)
    parser.add_argument("--fall", type=int, default=3)
    return parser.parse_args()


async def is_healthy(command: str, patience: float) -> bool:
    process = await asyncio.create_subprocess_shell(command, start_new_session=True)
    try:
        async with asyncio.timeout(patience):
            return await process.wait() == 0
    except TimeoutError:
        return False
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGKILL)
            await process.wait()


async def follow(speaker: Speaker, options: argparse.Namespace) -> None:
    """Check again and again; announce and withdraw as the results say."""
    is_announced, streak, last = False, 0, None
    while True:
        healthy = await is_healthy(options.check, options.timeout)
        streak = streak + 1 if healthy == last else 1
        last = healthy
        if healthy and not is_announced and streak >= options.rise:
            speaker.announce(options.prefixes, next_hop=options.next_hop, communities=options.community)
            is_announced = True
            print("healthy: announced", *options.prefixes, flush=True)
        elif not healthy and is_announced and streak >= options.fall:
            speaker.withdraw(options.prefixes)
            is_announced = False
            print("unhealthy: withdrawn", *options.prefixes, flush=True)
        await asyncio.sleep(options.interval)


async def run(options: argparse.Namespace) -> None:
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=REJECT_ALL, export_policy=ACCEPT_ALL)
    speaker = Speaker(config)
    peer = speaker.peer(options.neighbor, options.remote_as, port=options.port, password=options.password)
    speaker.configure({"router": peer})
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with speaker:
        await follow(speaker, options)


def main() -> None:
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except BgpError as error:
        sys.exit(f"announce_with_health_check: {error}")


if __name__ == "__main__":
    main()
