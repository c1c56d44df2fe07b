"""What a plan means to a speaker: its configuration, and the policies for its peers; pure."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from calico_routing.export_policy import CalicoExportPolicy
from calico_routing.router_policy import RouterExportPolicy
from pybgp.rib.policy import ACCEPT_ALL, InOrder
from pybgp.transport.bmp_config import BmpConfig
from pybgp.transport.speaker_config import SpeakerConfig
from pybgp.wire.families import IPV4_UNICAST, IPV6_UNICAST

if TYPE_CHECKING:
    from collections.abc import Callable

    from calico_routing.configuration import BmpSettings, Configuration
    from calico_routing.node_plan import NodePlan
    from pybgp.rib.policy import Policy
    from pybgp.transport.peering import PeerPolicies

FAMILIES: Final = (IPV4_UNICAST, IPV6_UNICAST)
MAXIMUM_PATHS: Final = 64


def speaker_config(
    plan: NodePlan,
    configuration: Configuration,
    name: str,
    *,
    restarting: bool,
    next_hop_cost: Callable[[bytes], int | None],
) -> SpeakerConfig:
    """Return the configuration of the speaker that a plan needs, on the node of this name."""
    bgp = configuration.bgp
    return SpeakerConfig(
        local_as=plan.speaker.local_as,
        router_id=plan.speaker.router_id,
        cluster_id=plan.speaker.cluster_id,
        decision=plan.speaker.decision,
        confederation=plan.speaker.confederation,
        confederation_members=plan.speaker.confederation_members,
        listen=plan.speaker.listen,
        local_addresses=plan.speaker.addresses,
        maximum_paths=MAXIMUM_PATHS,
        restarting=restarting,
        preserved_families=FAMILIES if bgp.graceful_restart and configuration.kernel.export else (),
        selection_deferral_time=float(bgp.restart_time),
        history=bgp.history,
        next_hop_cost=next_hop_cost,
        bmp_stations=tuple(bmp_station(station, name) for station in configuration.bmp),
    )


def declared(plan: NodePlan) -> tuple[Policy, Policy, dict[str, PeerPolicies]]:
    """Return the policies for all peers, and those of some by name."""
    policies = plan.policies
    peers = {
        name: own._replace(export_policy=export_policy(plan, own.export_policy) if own.export_policy else None)
        for name, own in policies.peers.items()
    }
    return policies.import_policy or ACCEPT_ALL, export_policy(plan, policies.export_policy), peers


def export_policy(plan: NodePlan, configured: Policy | None) -> Policy:
    """Return what judges exports: on a Calico node its own rules come first and cannot be lifted."""
    if plan.export is not None:
        rules = CalicoExportPolicy(plan.export)
        return rules if configured is None else InOrder(rules, configured)
    return configured or RouterExportPolicy(transit=plan.policies.transit)


def bmp_station(settings: BmpSettings, name: str) -> BmpConfig:
    """Return a monitoring station as the library wants it; it is told our name."""
    return BmpConfig(
        settings.host,
        settings.port,
        system_name=name or "pybgp",
        system_description="pybgp-node",
        adj_rib_in=settings.adj_rib_in,
        loc_rib=settings.loc_rib,
        statistics_interval=settings.statistics_interval,
    )
