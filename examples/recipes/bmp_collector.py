"""Take what routers report by BMP (RFC 7854, 8671, 9069), and print it as JSON lines."""

import argparse
import asyncio
import json
import signal
import sys
from contextlib import suppress
from ipaddress import ip_address

from pybgp import BgpError, FormatError, Update, attributes_to_json, format_nlri
from pybgp.formats.bmp import Initiation, PeerDown, PeerHeader, PeerUp, RouteMonitoring, StatisticsReport, Termination
from pybgp.formats.bmp_station import Heard, Station


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Print what routers report by BMP as JSON lines.")
    parser.add_argument("--listen", default="0.0.0.0", metavar="ADDRESS")
    parser.add_argument("--port", type=int, default=11019)
    return parser.parse_args()


def whose(peer: PeerHeader) -> dict[str, object]:
    """Return whose routes a message is about."""
    if peer.is_loc_rib:
        return {"table": "loc-rib", "peer_as": peer.asn}
    table = "adj-rib-out" if peer.is_adj_rib_out else "adj-rib-in"
    return {"table": table, "peer": str(ip_address(peer.address)), "peer_as": peer.asn}


def routes(update: Update) -> dict[str, object]:
    """Return what an UPDATE announces and withdraws."""
    found: dict[str, object] = {}
    for name, sets in (("announced", update.announced), ("withdrawn", update.withdrawn)):
        if sets:
            found[name] = {str(family): [format_nlri(family, key) for key in keys] for family, keys, _ in sets}
    if update.announced and update.attributes is not None:
        found["attributes"] = attributes_to_json(update.attributes)
    if update.end_of_rib is not None:
        found["end_of_rib"] = str(update.end_of_rib)
    return found


def facts(heard: Heard) -> dict[str, object]:
    """Return what a line says about a message."""
    message = heard.message
    if isinstance(message, Initiation | Termination):
        kind = "initiation" if isinstance(message, Initiation) else "termination"
        return {"type": kind, "information": [item.text for item in message.information if item.kind in (0, 1, 2)]}
    found = {"type": type(message).__name__, "time": message.peer.seconds, **whose(message.peer)}
    if heard.error is not None:
        return {**found, "error": str(heard.error)}
    if isinstance(message, RouteMonitoring) and heard.update is not None:
        return {**found, "type": "routes", **routes(heard.update)}
    if isinstance(message, PeerUp):
        return {**found, "type": "peer_up"}
    if isinstance(message, PeerDown):
        return {**found, "type": "peer_down", "reason": message.reason}
    if isinstance(message, StatisticsReport):
        numbers = message.numbers().items()
        named = {str(kind) if family is None else f"{kind} {family}": number for (kind, family), number in numbers}
        return {**found, "type": "statistics", "numbers": named}
    return found


async def collect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Follow one router until it closes, or sends what cannot be followed."""
    router = writer.get_extra_info("peername")[0]
    station = Station()
    try:
        while data := await reader.read(65536):
            for heard in station.receive_data(data):
                print(json.dumps({"router": router, **facts(heard)}), flush=True)
    except (FormatError, OSError) as error:
        print(f"bmp_collector: {router}: {error}", file=sys.stderr, flush=True)
    finally:
        writer.close()


async def run(options: argparse.Namespace) -> None:
    if task := asyncio.current_task():
        for number in (signal.SIGINT, signal.SIGTERM):
            asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    async with await asyncio.start_server(collect, options.listen, options.port) as server:
        await server.serve_forever()


def main() -> None:
    try:
        with suppress(asyncio.CancelledError):
            asyncio.run(run(arguments()))
    except (BgpError, OSError) as error:
        sys.exit(f"bmp_collector: {error}")


if __name__ == "__main__":
    main()
