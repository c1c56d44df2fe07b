"""Ask an RPKI cache about a route: python validate_origin.py PREFIX ASN CACHE [PORT]"""

import asyncio
import sys

from pybgp import RtrClient, ValidationTable, parse_prefix


async def main(prefix: str, asn: str, cache: str, port: str = "323") -> None:
    table = ValidationTable()
    async with RtrClient(cache, table, port=int(port)) as client:
        await client.synchronized.wait()
        print(f"{prefix} from AS{asn}: {table.validate(*parse_prefix(prefix), int(asn))}")


asyncio.run(main(*sys.argv[1:]))
