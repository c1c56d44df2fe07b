"""What a runtime says through the environment (CNI section 1)."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple

from calico_routing.cni.errors import CniError, ErrorCode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

CONTAINER_ID = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]*")
INTERFACE_NAME = re.compile(r"(?!\.{1,2}$)[^/:\s]+")
INTERFACE_NAME_OCTETS = 15


class Arguments(NamedTuple):
    """The validated environment of one call."""

    command: str
    container_id: str
    netns: str
    ifname: str
    args: dict[str, str]
    plugin_path: tuple[str, ...]
    netns_override: bool
    environment: Mapping[str, str]


class Variable(NamedTuple):
    """One row of the environment table: who needs it and what it must look like."""

    name: str
    required_by: frozenset[str]
    problem: Callable[[str], str]


def _no_problem(_: str) -> str:
    return ""


def _container_id_problem(value: str) -> str:
    return "" if CONTAINER_ID.fullmatch(value) else "must start with a letter or digit, then letters, digits, _ . -"


def _interface_name_problem(value: str) -> str:
    if len(value.encode()) > INTERFACE_NAME_OCTETS:
        return f"must have at most {INTERFACE_NAME_OCTETS} octets"
    return "" if INTERFACE_NAME.fullmatch(value) else "must not be . or .. nor hold / : or white space"


COMMANDS = ("ADD", "DEL", "CHECK", "GC", "STATUS", "VERSION")
ON_ATTACHMENT = frozenset({"ADD", "DEL", "CHECK"})
WITH_NAMESPACE = frozenset({"ADD", "CHECK"})
WITH_PATH = ON_ATTACHMENT | {"GC", "STATUS"}

#: in the order in which missing variables are named.
VARIABLES = (
    Variable("CNI_CONTAINERID", ON_ATTACHMENT, _container_id_problem),
    Variable("CNI_NETNS", WITH_NAMESPACE, _no_problem),
    Variable("CNI_IFNAME", ON_ATTACHMENT, _interface_name_problem),
    Variable("CNI_PATH", WITH_PATH, _no_problem),
)


def parse_arguments(environment: Mapping[str, str]) -> Arguments:
    """Read and check the variables that the command needs; every fault stands in one error (code 4)."""
    command = environment.get("CNI_COMMAND", "")
    if command not in COMMANDS:
        raise CniError(
            ErrorCode.INVALID_ENVIRONMENT, f"unknown CNI_COMMAND: {command}", f"expected one of {' '.join(COMMANDS)}"
        )
    _check_variables(command, environment)
    attached = command in ON_ATTACHMENT
    return Arguments(
        command=command,
        container_id=environment.get("CNI_CONTAINERID", "") if attached else "",
        netns=environment.get("CNI_NETNS", "") if attached else "",
        ifname=environment.get("CNI_IFNAME", "") if attached else "",
        args=parse_pairs(environment.get("CNI_ARGS", "")) if attached else {},
        plugin_path=tuple(part for part in environment.get("CNI_PATH", "").split(":") if part),
        netns_override=environment.get("CNI_NETNS_OVERRIDE", "").upper() in {"1", "TRUE"},
        environment=environment,
    )


def _check_variables(command: str, environment: Mapping[str, str]) -> None:
    needed = [variable for variable in VARIABLES if command in variable.required_by]
    missing = [variable.name for variable in needed if not environment.get(variable.name)]
    problems = [
        f"{variable.name}={value!r} {problem}"
        for variable in needed
        if (value := environment.get(variable.name)) and (problem := variable.problem(value))
    ]
    if missing:
        message = f"required env variables [{','.join(missing)}] missing"
        details = "; ".join([f"{command} needs them, the runtime must set them", *problems])
        raise CniError(ErrorCode.INVALID_ENVIRONMENT, message, details)
    if problems:
        names = [problem.partition("=")[0] for problem in problems]
        raise CniError(ErrorCode.INVALID_ENVIRONMENT, f"invalid env variables [{','.join(names)}]", "; ".join(problems))


def parse_pairs(text: str) -> dict[str, str]:
    """CNI_ARGS: `K=V;K=V` in any order; unknown keys are kept and harm nobody."""
    pairs: dict[str, str] = {}
    for part in filter(None, text.split(";")):
        key, equals, value = part.partition("=")
        if not equals or not key:
            raise CniError(
                ErrorCode.INVALID_ENVIRONMENT,
                "invalid env variables [CNI_ARGS]",
                f"CNI_ARGS: {part!r} is not of the form KEY=VALUE",
            )
        pairs[key] = value
    return pairs
