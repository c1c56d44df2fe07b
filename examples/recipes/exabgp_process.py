"""Run a process that speaks ExaBGP's text API, unchanged: what it prints is announced and withdrawn by a speaker here.

    python exabgp_process.py 192.0.2.1 --local-as 64512 --remote-as 64513 --router-id 192.0.2.10 -- ./healthcheck.sh

It may print, for example:

    announce route 198.51.100.0/24 next-hop self med 100 community [64512:1 64512:2]
    announce attributes next-hop 192.0.2.10 as-path [64512 64512] nlri 198.51.100.0/24 203.0.113.0/24
    withdraw route 198.51.100.0/24
"""

import argparse
import asyncio
import os
import shlex
import signal
import sys
from contextlib import suppress
from typing import Any

from pybgp import ACCEPT_ALL, REJECT_ALL, BgpError, LocalError, Origin, Speaker, SpeakerConfig

#: what ExaBGP calls an attribute -> (what `Speaker.announce` calls it, how one value of it is read).
WORDS: dict[str, tuple[str, Any]] = {
    "next-hop": ("next_hop", str),
    "origin": ("origin", lambda text: Origin[text.upper()]),
    "med": ("med", int),
    "local-preference": ("local_pref", int),
    "as-path": ("as_path", int),
    "community": ("communities", str),
    "large-community": ("large_communities", str),
    "extended-community": ("extended_communities", str),
}
LISTS = ("as-path", "community", "large-community", "extended-community")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Run a process of ExaBGP's text API.")
    parser.add_argument("neighbor", help="address of the router")
    parser.add_argument("command", nargs="+", help="the process; -- in front of it if it has options")
    parser.add_argument("--local-as", type=int, required=True)
    parser.add_argument("--remote-as", type=int, required=True)
    parser.add_argument("--router-id", required=True, help="in dotted form")
    parser.add_argument("--port", type=int, default=179)
    return parser.parse_args()


def read_line(line: str) -> tuple[str, list[str], dict[str, Any]]:
    """Return a command's verb, its prefixes, and the words of `Speaker.announce`; LocalError says what is not known."""
    tokens = shlex.split(line.replace("[", " [ ").replace("]", " ] "))
    if tokens[:1] == ["neighbor"]:
        tokens = tokens[2:]
    if len(tokens) < 3 or tokens[0] not in ("announce", "withdraw") or tokens[1] not in ("route", "attributes"):
        raise LocalError(f"command {line!r}: announce or withdraw, then route or attributes expected")
    prefixes = [tokens[2]] if tokens[1] == "route" else []
    rest, found = tokens[3:] if prefixes else tokens[2:], dict[str, Any]()
    while rest:
        name = rest.pop(0)
        if name == "nlri":
            prefixes, rest = prefixes + rest, []
        elif name not in WORDS or not rest:
            raise LocalError(f"command {line!r}: {name!r} is not known here, or has no value")
        else:
            take_value(name, rest, found)
    return tokens[0], prefixes, found


def take_value(name: str, rest: list[str], found: dict[str, Any]) -> None:
    """Move one attribute from the tokens to the words; a list stands in brackets, or is one value."""
    word, read = WORDS[name]
    values = [rest.pop(0)]
    if values == ["["]:
        stop = rest.index("]") if "]" in rest else len(rest)
        values, rest[: stop + 1] = rest[:stop], []
    try:
        typed = [read(value) for value in values]
    except (KeyError, ValueError) as error:
        raise LocalError(f"{name} {' '.join(values)!r}: {error}") from error
    if name in LISTS:
        found[word] = typed
    elif (name, values) != ("next-hop", ["self"]):
        found[word] = typed[0]


def obey(speaker: Speaker, line: str) -> None:
    """Do what one line says; a line that makes no sense costs a message, and nothing else."""
    try:
        verb, prefixes, words = read_line(line)
        if verb == "announce":
            speaker.announce(prefixes, **words)
        else:
            speaker.withdraw(prefixes)
    except (BgpError, ValueError) as error:
        print(f"exabgp_process: {error}", file=sys.stderr, flush=True)


async def run(options: argparse.Namespace) -> int:
    config = SpeakerConfig(options.local_as, options.router_id, import_policy=REJECT_ALL, export_policy=ACCEPT_ALL)
    speaker = Speaker(config)
    speaker.configure({"router": speaker.peer(options.neighbor, options.remote_as, port=options.port)})
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    process = await asyncio.create_subprocess_exec(
        *options.command, stdout=asyncio.subprocess.PIPE, start_new_session=True
    )
    try:
        async with speaker:
            while process.stdout is not None and (line := await process.stdout.readline()):
                if text := line.decode(errors="replace").strip():
                    obey(speaker, text)
            return await process.wait()
    finally:
        if process.returncode is None:
            os.killpg(process.pid, signal.SIGTERM)
            await process.wait()


def main() -> None:
    try:
        with suppress(asyncio.CancelledError):
            sys.exit(asyncio.run(run(arguments())))
    except (BgpError, OSError) as error:
        sys.exit(f"exabgp_process: {error}")


if __name__ == "__main__":
    main()
