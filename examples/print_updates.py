"""Print every change of the routes of a neighbour in the same AS: python print_updates.py NEIGHBOUR ASN [PORT]"""

import asyncio
import sys

from pybgp import Speaker, SpeakerConfig


async def main(neighbour: str, asn: str, port: str = "179") -> None:
    speaker = Speaker(SpeakerConfig(local_as=int(asn), router_id="192.0.2.253"))
    speaker.configure({"neighbour": speaker.peer(neighbour, int(asn), port=int(port))})
    async with speaker:
        async for change in speaker.changes():
            print(change, flush=True)


asyncio.run(main(*sys.argv[1:]))
