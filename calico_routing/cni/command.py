"""The part that every command shares: read and check, act, answer in JSON (CNI sections 2 and 5)."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from calico_routing.cni import call_log
from calico_routing.cni.arguments import Arguments, parse_arguments
from calico_routing.cni.config import (
    NetworkConfig,
    decode,
    parse_config,
    require_version_of,
    supported_version,
)
from calico_routing.cni.errors import CniError, ErrorCode
from calico_routing.cni.networking import is_own_namespace, open_namespace
from calico_routing.cni.result import Result, render_result
from calico_routing.cni.versions import NEWEST_VERSION
from calico_routing.datastore.interface import DatastoreError
from calico_routing.ipam.errors import AffinityError, AlreadyAssignedError, IpamError
from calico_routing.kernel.netlink.errors import CapabilityMissingError, KernelError
from calico_routing.model.errors import ValidationError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

STDIN, STDOUT = 0, 1
READ_OCTETS = 1 << 16


class Call(NamedTuple):
    """One command with everything the runtime said."""

    arguments: Arguments
    config: NetworkConfig

    def reply(self, result: Result) -> None:
        """Print the result in the version of the configuration."""
        write_answer(render_result(result, self.config.cni_version))

    @property
    def outer_environment(self) -> Mapping[str, str]:
        """The environment as it was inherited."""
        return self.arguments.environment


def run(plugin: str, handlers: Mapping[str, Callable[[Call], None]]) -> int:
    """Serve the command in the environment; the exit status. Every failure is one JSON object on stdout."""
    started = time.monotonic()
    said = _Said(os.environ)
    failure: CniError | None = None
    try:
        handlers[said.listen().arguments.command](said.call)
    except Exception as error:  # noqa: BLE001 - whatever it is, the runtime gets an error object
        failure = _for_command(as_cni_error(error), os.environ.get("CNI_COMMAND", ""))
        _write_failure(failure, said.cni_version)
    call_log.write(plugin, os.environ, said.document, failure, time.monotonic() - started)
    return 1 if failure else 0


class _Said:
    """What the runtime said, as far as it was understood when something failed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        self.environment = environment
        self.cni_version = NEWEST_VERSION
        self.document: Mapping[str, Any] = {}
        self.call: Call

    def listen(self) -> Call:
        """Read and check everything, in the order of the specification."""
        arguments = parse_arguments(self.environment)
        self.document = decode(_read_stdin())
        self.cni_version = supported_version(self.document)
        require_version_of(arguments.command, self.cni_version)
        _refuse_own_namespace(arguments)
        self.call = Call(arguments, parse_config(dict(self.document)))
        return self.call


def _read_stdin() -> bytes:
    chunks = []
    try:
        while chunk := os.read(STDIN, READ_OCTETS):
            chunks.append(chunk)
    except OSError as error:
        raise CniError(
            ErrorCode.INPUT_OUTPUT,
            f"cannot read the network configuration: {error.strerror}",
            "the runtime must pass it on stdin",
        ) from error
    return b"".join(chunks)


def _refuse_own_namespace(arguments: Arguments) -> None:
    """Before anything is done to it (code 8)."""
    if not arguments.netns or arguments.netns_override:
        return
    try:
        descriptor = open_namespace(arguments.netns)
    except CniError:
        if arguments.command == "DEL":
            return
        raise
    try:
        if is_own_namespace(descriptor):
            raise CniError(
                ErrorCode.INVALID_NAMESPACE,
                f"network namespace {arguments.netns} is the plugin's own",
                "the runtime must name the container's; set CNI_NETNS_OVERRIDE=1 if this is meant",
            )
    finally:
        os.close(descriptor)


def write_answer(document: Mapping[str, Any]) -> None:
    """The whole object in one write, so that a runtime never sees a part of it."""
    octets = json.dumps(document, separators=(",", ":")).encode() + b"\n"
    while octets:
        octets = octets[os.write(STDOUT, octets) :]


def _write_failure(failure: CniError, cni_version: str) -> None:
    try:
        write_answer(failure.document(cni_version))
    except OSError as error:
        sys.stderr.write(f"{failure} (stdout: {error.strerror})\n")


def _for_command(failure: CniError, command: str) -> CniError:
    """STATUS answers with 50 whatever it is that would make an ADD fail."""
    if command != "STATUS" or not (failure.code >= ErrorCode.INTERNAL or failure.code == ErrorCode.UNSUPPORTED_FIELD):
        return failure
    return CniError(ErrorCode.NOT_READY, failure.message, failure.details)


def as_cni_error(error: Exception) -> CniError:
    """The code and the next step that fit an exception of a lower layer."""
    if isinstance(error, CniError):
        return error
    for kind, code, advice in TRANSLATIONS:
        if isinstance(error, kind):
            return CniError(code, str(error), advice)
    sys.excepthook(type(error), error, error.__traceback__)
    return CniError(
        ErrorCode.INTERNAL,
        f"internal error: {type(error).__name__}: {error}",
        "the traceback is on the plugin's stderr",
    )


#: exception -> (code, next step); the first row that fits.
TRANSLATIONS: tuple[tuple[type[Exception], ErrorCode, str], ...] = (
    (
        CapabilityMissingError,
        ErrorCode.UNAUTHORIZED,
        "run the runtime as root in the host's namespaces",
    ),
    (KernelError, ErrorCode.NETLINK, "the kernel refused; what ADD did was undone, the runtime may try again"),
    (AlreadyAssignedError, ErrorCode.ADDRESS_REFUSED, "choose another address or delete the workload that has it"),
    (AffinityError, ErrorCode.ADDRESS_REFUSED, "the address lies in another node's block; choose another one"),
    (IpamError, ErrorCode.NO_FREE_ADDRESS, "check the IP pools: enabled, big enough, and selecting this node"),
    (DatastoreError, ErrorCode.DATASTORE, "check datastore_type and datastore_path, and that pybgp-node has run here"),
    (ValidationError, ErrorCode.INTERNAL, "the datastore refuses the value"),
    (OSError, ErrorCode.INPUT_OUTPUT, "check the file system and permissions"),
)
