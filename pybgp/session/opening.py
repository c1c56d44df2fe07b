"""Our OPEN, made from the configuration (RFC 4271 section 4.2, RFC 5492)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pybgp.wire.capabilities import (
    AddPath,
    Capability,
    EnhancedRouteRefresh,
    ExtendedMessage,
    ExtendedNextHop,
    FourOctetAs,
    GracefulRestart,
    Hostname,
    LongLivedGracefulRestart,
    MultipleLabels,
    MultiprotocolCapability,
    RoleCapability,
    RouteRefresh,
)
from pybgp.wire.families import IPV6_UNICAST
from pybgp.wire.messages import Open

if TYPE_CHECKING:
    from pybgp.session.config import GracefulRestartConfig, LongLivedConfig, PeerConfig, RestartState
    from pybgp.wire.families import Family


def restart_families(config: PeerConfig) -> tuple[Family, ...]:
    """Return the families for which we ask the peer to keep our routes while we restart."""
    restart = config.graceful_restart
    if restart is None:
        return ()
    return config.families if restart.families is None else restart.families


def long_lived_families(config: PeerConfig) -> tuple[Family, ...]:
    """Return the families for which we ask the peer to keep our routes long after we are gone."""
    long_lived = config.long_lived
    if long_lived is None:
        return ()
    return config.families if long_lived.families is None else long_lived.families


def kept_in_restart(config: PeerConfig) -> frozenset[Family]:
    """Return the families that go on forwarding while only the session is lost (RFC 8538 section 4)."""
    return frozenset((*restart_families(config), *long_lived_families(config)))


def build_open(config: PeerConfig, restart_state: RestartState) -> Open:
    """Return the OPEN that we send to this neighbour."""
    capabilities: list[Capability] = [MultiprotocolCapability(family) for family in config.families]
    if config.route_refresh:
        capabilities.append(RouteRefresh())
    if config.extended_next_hop:
        hops = ((family, IPV6_UNICAST.afi) for family in config.extended_next_hop)
        capabilities.append(ExtendedNextHop(tuple(hops)))
    if config.multiple_labels:
        capabilities.append(MultipleLabels(config.multiple_labels))
    if config.extended_message:
        capabilities.append(ExtendedMessage())
    if config.graceful_restart is not None:
        capabilities.append(_graceful_restart(config, config.graceful_restart, restart_state))
    if config.long_lived is not None:
        capabilities.append(_long_lived(config, config.long_lived, restart_state))
    if config.four_octet_as or config.local_as > 0xFFFF:
        capabilities.append(FourOctetAs(config.local_as))
    if config.add_path:
        capabilities.append(AddPath(config.add_path))
    if config.route_refresh and config.enhanced_refresh:
        capabilities.append(EnhancedRouteRefresh())
    if config.role is not None:
        capabilities.append(RoleCapability(config.role))
    if config.hostname:
        capabilities.append(Hostname(config.hostname))
    return Open(config.local_as, config.hold_time, config.router_id, tuple(capabilities))


def _graceful_restart(config: PeerConfig, restart: GracefulRestartConfig, state: RestartState) -> GracefulRestart:
    """RFC 4724 section 3: R says that we restarted, F that a family kept on forwarding."""
    families = tuple((family, family in state.preserved) for family in restart_families(config))
    return GracefulRestart(state.restarting, restart.notification, restart.restart_time, families)


def _long_lived(config: PeerConfig, long_lived: LongLivedConfig, state: RestartState) -> LongLivedGracefulRestart:
    """RFC 9494 section 3: like the above, with a time for each family."""
    times = ((family, family in state.preserved, long_lived.stale_time) for family in long_lived_families(config))
    return LongLivedGracefulRestart(tuple(times))
