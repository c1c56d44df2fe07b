"""A network of real speakers in virtual time, decided by one seed: for tests, and for asking what would happen."""

from pybgp.simulator.links import LinkQuality
from pybgp.simulator.simulation import Moment, Simulation, Trace
from pybgp.simulator.topology import (
    Happening,
    LinkPlan,
    NodePlan,
    SessionSide,
    Topology,
    external,
    mesh,
    reflector_tree,
)
from pybgp.simulator.virtual_loop import VirtualLoop

__all__ = [
    "Happening",
    "LinkPlan",
    "LinkQuality",
    "Moment",
    "NodePlan",
    "SessionSide",
    "Simulation",
    "Topology",
    "Trace",
    "VirtualLoop",
    "external",
    "mesh",
    "reflector_tree",
]
