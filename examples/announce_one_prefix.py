"""Announce a prefix within an AS: python announce_one_prefix.py NEIGHBOUR ASN PREFIX [PORT]"""

import asyncio
import sys

from pybgp import Speaker, SpeakerConfig


async def main(neighbour: str, asn: str, prefix: str, port: str = "179") -> None:
    speaker = Speaker(SpeakerConfig(local_as=int(asn), router_id="192.0.2.254"))
    speaker.configure({"neighbour": speaker.peer(neighbour, int(asn), port=int(port))})
    speaker.announce(prefix, next_hop="192.0.2.254")
    async with speaker:
        await asyncio.Event().wait()


asyncio.run(main(*sys.argv[1:]))
