"""ClusterInformation and the part of FelixConfiguration that routing reads (spec/calico.md section 1.6)."""

from __future__ import annotations

from calico_routing.model.fields import flag, number, text
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar


class ClusterInformation(Resource):
    """What the cluster says of itself; the only one is named ``default``."""

    KIND: ClassVar = "ClusterInformation"
    PLURAL: ClassVar = "clusterinformations"
    FIELDS: ClassVar = (
        text("cluster_guid", "spec.clusterGUID"),
        text("cluster_type", "spec.clusterType"),
        text("calico_version", "spec.calicoVersion"),
        flag("datastore_ready", "spec.datastoreReady", optional=True),
    )
    cluster_guid: str = ""
    cluster_type: str = ""
    calico_version: str = ""
    datastore_ready: bool | None = None


class FelixConfiguration(Resource):
    """Dataplane settings, cluster-wide (``default``) or of one node (``node.<name>``); None means not set here."""

    KIND: ClassVar = "FelixConfiguration"
    PLURAL: ClassVar = "felixconfigurations"
    FIELDS: ClassVar = (
        flag("ipip_enabled", "spec.ipipEnabled", optional=True),
        number("ipip_mtu", "spec.ipipMTU"),
        text("mtu_interface_pattern", "spec.mtuIfacePattern"),
        text("interface_prefix", "spec.interfacePrefix"),
        number("device_route_protocol", "spec.deviceRouteProtocol"),
        flag("remove_external_routes", "spec.removeExternalRoutes", optional=True),
        text("route_refresh_interval", "spec.routeRefreshInterval"),
    )
    ipip_enabled: bool | None = None
    ipip_mtu: int | None = None
    mtu_interface_pattern: str = ""
    interface_prefix: str = ""
    device_route_protocol: int | None = None
    remove_external_routes: bool | None = None
    #: a Go duration such as ``90s``.
    route_refresh_interval: str = ""
