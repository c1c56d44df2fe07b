"""`pybgp-node sim TOPOLOGY`: what real speakers would do in a network of this shape, in virtual time."""

from __future__ import annotations

import json
import logging
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Final

import structlog

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.configuration.lines import key_lines, line_of
from pybgp.errors import LocalError
from pybgp.simulator import Moment, Simulation
from pybgp.simulator.topology_file import TopologyError, read_topology

if TYPE_CHECKING:
    import argparse

_SECONDS: Final = re.compile(r"(\d+(?:\.\d+)?)s?")
#: The widest column of node names, so that texts stand below each other.
_WIDEST_NAME: Final = 20


def simulate(options: argparse.Namespace) -> int:
    """Run the simulation and print its time line; the status is 1 if packets end nowhere at the end."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    try:
        content = Path(options.topology).read_text(encoding="utf-8")
        topology = read_topology(tomllib.loads(content))
        simulation = Simulation(topology, seed=options.seed)
    except TopologyError as error:
        line = line_of(key_lines(content), error.path)
        return complain(f"{options.topology}:{line}: {error}", ExitCode.CONFIGURATION)
    except (OSError, ValueError, RecursionError, LocalError) as error:
        reason = error.strerror or error if isinstance(error, OSError) else error
        return complain(f"{options.topology}: {reason}", ExitCode.CONFIGURATION)
    try:
        with simulation:
            end = topology.duration if options.until is None else seconds(options.until)
            for action in ("kill", "start", "cut", "heal"):
                for text in getattr(options, action):
                    time, operands = event(action, text)
                    simulation.at(time, action, *operands)
            width = min(_WIDEST_NAME, max((len(name) for name in simulation.nodes), default=0))
            is_json = options.output == "json"
            simulation.on_moment(lambda moment: print(as_json(moment) if is_json else as_text(moment, width)))
            try:
                simulation.run_until(end)
            except LocalError as error:
                return complain(f"{options.topology}: {error}", ExitCode.CONFIGURATION)
            return report(simulation, is_json=is_json)
    except LocalError as error:
        return complain(error, ExitCode.CONFIGURATION)


def seconds(text: str) -> float:
    """Read a time such as "10s"; LocalError if it is none."""
    match = _SECONDS.fullmatch(text)
    if match is None:
        raise LocalError(f"time {text!r}: seconds expected, such as 10s")
    return float(match[1])


def event(action: str, text: str) -> tuple[float, list[str]]:
    """Read when something shall happen and to whom, such as "a:b@10s"; LocalError names what is missing."""
    names, at, time = text.rpartition("@")
    if not at:
        raise LocalError(f"{action} {text!r}: a time expected behind it, such as {text}@10s")
    return seconds(time), names.split(":")


def as_text(moment: Moment, width: int) -> str:
    """Return a line of the time line for people."""
    return f"{moment.time:10.3f}  {moment.node:{width}}  {moment.kind:9} {moment.text}".rstrip()


def as_json(moment: Moment) -> str:
    """Return the same as a JSON line."""
    return json.dumps({"time": round(moment.time, 6), **dict(zip(Moment._fields[1:], moment[1:], strict=True))})


def report(simulation: Simulation, *, is_json: bool) -> int:
    """Say what has become of the network."""
    status = [peer for node in simulation.nodes.values() if node.speaker for peer in node.speaker.peers().values()]
    up = sum(peer.protocol_state == "up" for peer in status)
    running = sum(node.is_running for node in simulation.nodes.values())
    problems = simulation.problems()
    if is_json:
        summary = {"nodes": running, "sessions_up": up, "sessions": len(status), "problems": problems}
        print(json.dumps({"time": round(simulation.now, 6), "kind": "end", **summary}))
    else:
        print(f"\nafter {simulation.now:g} s: {running} nodes run, {up} of their {len(status)} session ends are up")
        print("\n".join(problems) if problems else "every chosen route leads to its destination")
    return int(ExitCode.FAILURE if problems else ExitCode.OK)
