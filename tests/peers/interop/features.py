"""The rows of the matrix."""

from __future__ import annotations

from typing import Final

#: Key, what it is called in the document, and where it is defined.
FEATURES: Final = {
    "ipv4": ("IPv4 unicast", "RFC 4271"),
    "ipv6": ("IPv6 unicast", "RFC 4760, RFC 2545"),
    "four_octet": ("4-octet AS numbers", "RFC 6793"),
    "two_octet": ("2-octet session, 4-octet paths", "RFC 6793"),
    "communities": ("Communities, extended communities", "RFC 1997, RFC 4360"),
    "large_communities": ("Large communities", "RFC 8092"),
    "add_path_in": ("ADD-PATH: several paths from it", "RFC 7911"),
    "add_path_out": ("ADD-PATH: several paths to it", "RFC 7911"),
    "extended_next_hop": ("IPv4 with IPv6 next hops", "RFC 8950"),
    "extended_message": ("Messages beyond 4096 octets", "RFC 8654"),
    "refresh": ("Route refresh", "RFC 2918"),
    "enhanced_refresh": ("Enhanced route refresh", "RFC 7313"),
    "md5": ("TCP MD5", "RFC 2385"),
    "gtsm": ("TTL security", "RFC 5082"),
    "role": ("Roles and Only To Customer", "RFC 9234"),
    "evpn": ("EVPN", "RFC 7432, RFC 9136"),
    "flowspec": ("Flowspec", "RFC 8955"),
    "vpn": ("L3VPN", "RFC 4364"),
    "their_restart": ("Graceful restart: it restarts, we help", "RFC 4724"),
    "our_restart": ("Graceful restart: we restart, it helps", "RFC 4724"),
    "their_long_restart": ("Long-lived restart: it is away, we keep", "RFC 9494"),
    "our_long_restart": ("Long-lived restart: we are away, it keeps", "RFC 9494"),
    "hard_reset": ("Restart over NOTIFICATIONs, hard reset", "RFC 8538"),
    "their_text": ("Shutdown text from it", "RFC 9003"),
    "our_text": ("Shutdown text to it", "RFC 9003"),
    "bfd": ("BFD ends the session", "RFC 5880 to 5882"),
    "policy_reload": ("Policy reload, watched by a third party", "RFC 2918"),
}
