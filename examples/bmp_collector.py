"""Print what routers report by BMP (RFC 7854), each UPDATE read: python bmp_collector.py [PORT]"""

import asyncio
import sys

from pybgp.formats.bmp_station import Station


async def collect(reader: asyncio.StreamReader, _: asyncio.StreamWriter) -> None:
    station = Station()
    while data := await reader.read(65536):
        print(*station.receive_data(data), sep="\n", flush=True)


async def main(port: str = "11019") -> None:
    await (await asyncio.start_server(collect, port=int(port))).serve_forever()


asyncio.run(main(*sys.argv[1:]))
