"""`pybgp-node check`: is the configuration good?"""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

from calico_routing.autodetection import MethodError, parse_method
from calico_routing.cli.exit_codes import ExitCode
from calico_routing.configuration import DEFAULT_PATH, ConfigurationError, load_configuration
from calico_routing.datastore.interface import DatastoreError
from calico_routing.datastore.open import MEMORY, path_in
from calico_routing.model.errors import ValidationError
from calico_routing.startup import IdentityError, check_settings

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from calico_routing.configuration import Configuration, Problem


def check(options: argparse.Namespace) -> int:
    """Print every problem on a line of its own."""
    warnings: tuple[Problem, ...] = ()
    try:
        configuration = load_configuration(options.config, os.environ)
        warnings = configuration.warnings
        problems = [*_method_problems(configuration), *_start_problems(configuration)]
    except ConfigurationError as error:
        problems = [str(problem) for problem in error.problems]
    for warning in warnings:
        print(f"{warning} (a warning)", file=sys.stderr)
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        return ExitCode.CONFIGURATION
    role = "a plain BGP router" if configuration.datastore_url is None else f"a node of {configuration.datastore_url}"
    print(f"{options.config or DEFAULT_PATH}: good; {role}")
    return ExitCode.OK


def _method_problems(configuration: Configuration) -> Iterator[str]:
    node = configuration.node
    for key in ("ip_autodetection_method", "ip6_autodetection_method"):
        try:
            parse_method(getattr(node, key))
        except MethodError as error:
            place = configuration.sources.get(f"node.{key}", "node")
            yield f"{place}: node.{key}: {error}"


def _start_problems(configuration: Configuration) -> Iterator[str]:
    """Yield what `run` would refuse, as far as it can be told without looking at the host."""
    url = configuration.datastore_url
    try:
        if url is not None and url != MEMORY:
            path_in(url)
    except DatastoreError as error:
        place = configuration.sources.get("datastore.url")
        yield f"{place}: {error}" if place else str(error)
    try:
        check_settings(configuration)
    except (IdentityError, ValidationError) as error:
        yield str(error)
