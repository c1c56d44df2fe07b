"""IPPool and IPReservation: which addresses may be given out (spec/calico.md section 1.2)."""

from __future__ import annotations

from calico_routing.model.blocks import is_ipv6
from calico_routing.model.fields import flag, number, text, texts
from calico_routing.model.resource import Resource

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import ClassVar

NEVER = "Never"
ALWAYS = "Always"
CROSS_SUBNET = "CrossSubnet"
ENCAPSULATION_MODES = (NEVER, ALWAYS, CROSS_SUBNET)
WORKLOAD = "Workload"
TUNNEL = "Tunnel"
LOAD_BALANCER = "LoadBalancer"
AUTOMATIC = "Automatic"
MANUAL = "Manual"
DEFAULT_BLOCK_SIZE = {False: 26, True: 122}
BLOCK_SIZES = {False: range(20, 33), True: range(116, 129)}


class IPPool(Resource):
    """A range of addresses, cut into blocks, and how packets between its members travel."""

    KIND: ClassVar = "IPPool"
    PLURAL: ClassVar = "ippools"
    FIELDS: ClassVar = (
        text("cidr", "spec.cidr", always=True),
        text("vxlan_mode", "spec.vxlanMode", always=True),
        text("ipip_mode", "spec.ipipMode", always=True),
        flag("nat_outgoing", "spec.natOutgoing"),
        flag("disabled", "spec.disabled"),
        flag("disable_bgp_export", "spec.disableBGPExport"),
        number("block_size", "spec.blockSize", always=True),
        text("node_selector", "spec.nodeSelector", always=True),
        text("namespace_selector", "spec.namespaceSelector"),
        texts("allowed_uses", "spec.allowedUses", always=True),
        text("assignment_mode", "spec.assignmentMode", always=True),
    )
    cidr: str = ""
    ipip_mode: str = NEVER
    vxlan_mode: str = NEVER
    nat_outgoing: bool = False
    disabled: bool = False
    disable_bgp_export: bool = False
    #: 0 stands for the default of the family; every value that a store returns has the number.
    block_size: int = 0
    node_selector: str = "all()"
    namespace_selector: str = ""
    allowed_uses: tuple[str, ...] = (WORKLOAD, TUNNEL)
    assignment_mode: str = AUTOMATIC

    @property
    def is_ipv6(self) -> bool:
        """Whether the range is of IPv6 addresses."""
        return is_ipv6(self.cidr)

    @property
    def encapsulation(self) -> str:
        """The tunnel device that packets may take: ``ipip``, ``vxlan`` or nothing."""
        if self.ipip_mode != NEVER:
            return "ipip"
        return "vxlan" if self.vxlan_mode != NEVER else ""


class IPReservation(Resource):
    """Ranges from which no address is given out automatically."""

    KIND: ClassVar = "IPReservation"
    PLURAL: ClassVar = "ipreservations"
    FIELDS: ClassVar = (texts("reserved_cidrs", "spec.reservedCIDRs", always=True),)
    reserved_cidrs: tuple[str, ...] = ()
