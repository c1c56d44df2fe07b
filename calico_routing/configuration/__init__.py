"""The configuration of pybgp-node: a TOML file, over it calico/node's environment variables (spec section 5)."""

from calico_routing.configuration.contradictions import overlap
from calico_routing.configuration.options import DECISION_SWITCHES
from calico_routing.configuration.problems import ConfigurationError, Problem
from calico_routing.configuration.reader import DEFAULT_PATH, load_configuration, load_regular_file, parse_configuration
from calico_routing.configuration.settings import (
    DEFAULT_DATASTORE,
    BgpSettings,
    BmpSettings,
    Configuration,
    KernelSettings,
    MrtSettings,
    NodeSettings,
    PeerSettings,
    PoolSettings,
    RpkiSettings,
)

__all__ = [
    "DECISION_SWITCHES",
    "DEFAULT_DATASTORE",
    "DEFAULT_PATH",
    "BgpSettings",
    "BmpSettings",
    "Configuration",
    "ConfigurationError",
    "KernelSettings",
    "MrtSettings",
    "NodeSettings",
    "PeerSettings",
    "PoolSettings",
    "Problem",
    "RpkiSettings",
    "load_configuration",
    "load_regular_file",
    "overlap",
    "parse_configuration",
]
