"""The import rules of the house (docs/architecture.md), read from the source with ``ast``."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("pybgp", "calico_routing")

#: room -> rooms of ours that it may import; a room that is absent here may import nothing of ours.
ALLOWED: dict[str, tuple[str, ...]] = {
    "pybgp": ("pybgp.",),
    "pybgp.wire": ("pybgp.errors", "pybgp.wire"),
    "pybgp.bfd": ("pybgp.errors", "pybgp.wire", "pybgp.bfd"),
    "pybgp.rpki": ("pybgp.errors", "pybgp.wire", "pybgp.rpki"),
    "pybgp.session": ("pybgp.errors", "pybgp.wire", "pybgp.session", "pybgp.bfd.config"),
    "pybgp.rib": ("pybgp.errors", "pybgp.wire", "pybgp.rib"),
    "pybgp.formats": ("pybgp.errors", "pybgp.wire", "pybgp.formats"),
    "pybgp.tools": ("pybgp.errors", "pybgp.wire", "pybgp.session", "pybgp.formats", "pybgp.tools"),
    "pybgp.transport": (
        "pybgp.errors",
        "pybgp.wire",
        "pybgp.session",
        "pybgp.rib",
        "pybgp.bfd",
        "pybgp.rpki",
        "pybgp.formats",
        "pybgp.transport",
    ),
    "pybgp.testing": (
        "pybgp.errors",
        "pybgp.wire",
        "pybgp.session",
        "pybgp.transport",
        "pybgp.simulator",
        "pybgp.testing",
    ),
    "pybgp.simulator": (
        "pybgp.errors",
        "pybgp.wire",
        "pybgp.session",
        "pybgp.rib",
        "pybgp.transport",
        "pybgp.simulator",
    ),
    "calico_routing.model": ("calico_routing.model",),
    "calico_routing.datastore": ("calico_routing.model", "calico_routing.datastore"),
    "calico_routing.ipam": ("calico_routing.model", "calico_routing.datastore", "calico_routing.ipam"),
    "calico_routing.kernel": ("calico_routing.kernel",),
    "calico_routing.cni": (
        "calico_routing.model",
        "calico_routing.datastore",
        "calico_routing.ipam",
        "calico_routing.kernel.netlink",
        "calico_routing.cni",
    ),
    "calico_routing.cli": ("pybgp", "calico_routing"),
}
#: single modules at the top of calico_routing that decide and do no I/O.
PURE = (
    "calico_routing.peering",
    "calico_routing.route_plan",
    "calico_routing.reconcile",
    "calico_routing.export_policy",
    "calico_routing.autodetection",
    "calico_routing.cluster_snapshot",
    "calico_routing.daemon_status",
    "calico_routing.node_plan",
    "calico_routing.reload",
    "calico_routing.explain_document",
    "calico_routing.route_listing",
    "calico_routing.peer_detail",
    "calico_routing.event_lines",
    "calico_routing.preview_lines",
    "calico_routing.router_policy",
    "calico_routing.route_programmer",
)
SANS_IO = (
    "pybgp.errors",
    "pybgp.wire",
    "pybgp.session",
    "pybgp.rib",
    "pybgp.bfd",
    "pybgp.rpki",
    "pybgp.formats",
    "pybgp.tools",
    "pybgp.testing.malformed",
    "pybgp.testing.scripted_peer",
    "pybgp.testing.session_pair",
    "calico_routing.model",
    *PURE,
)
INPUT_OUTPUT = {
    "asyncio",
    "socket",
    "ssl",
    "select",
    "selectors",
    "threading",
    "subprocess",
    "structlog",
    "pyroute2",
    "time",
}
LIGHT = ("calico_routing.model", "calico_routing.datastore", "calico_routing.ipam", "calico_routing.cni")
HEAVY = {"asyncio", "structlog", "pyroute2", "argparse", "logging", "http", "pybgp"}
RUN_TIME_DEPENDENCIES = {"structlog", "pyroute2"}


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def sources() -> list[Path]:
    return [path for package in PACKAGES for path in sorted((ROOT / package).rglob("*.py"))]


def modules_in(rooms: tuple[str, ...]) -> list[Path]:
    return [path for path in sources() if any(within(module_name(path), room) for room in rooms)]


def is_type_checking(node: ast.stmt) -> bool:
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imported_names(node: ast.Import | ast.ImportFrom) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    assert node.level == 0, f"line {node.lineno}: relative import"
    module = node.module or ""
    children = [f"{module}.{alias.name}" for alias in node.names]
    return [child if (ROOT / (child.replace(".", "/") + ".py")).exists() else module for child in children]


def imports(path: Path, *, run_time_only: bool = False) -> Iterator[tuple[int, str]]:
    """Every import in the file with its line; type-checking blocks are left out on request."""
    pending: list[ast.AST] = [ast.parse(path.read_text())]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.Import | ast.ImportFrom):
            for name in imported_names(node):
                yield node.lineno, name
        if run_time_only and isinstance(node, ast.stmt) and is_type_checking(node):
            continue
        pending.extend(ast.iter_child_nodes(node))


def within(name: str, room: str) -> bool:
    return name == room or name.startswith(room if room.endswith(".") else room + ".")


def room_of(module: str) -> str:
    return ".".join(module.split(".")[:2])


@pytest.mark.parametrize("path", sources(), ids=module_name)
def test_a_room_imports_only_what_its_row_allows(path: Path) -> None:
    module = module_name(path)
    room = room_of(module)
    if room in ALLOWED:
        allowed = ALLOWED[room]
    elif module.startswith("pybgp"):
        allowed = ("pybgp.errors",)
    else:
        allowed = ("pybgp", "calico_routing")
    wrong = [
        f"{module}:{line} imports {name}"
        for line, name in imports(path)
        if name.split(".")[0] in PACKAGES and not any(within(name, entry) for entry in allowed)
    ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", modules_in(SANS_IO), ids=module_name)
def test_the_core_does_no_input_or_output(path: Path) -> None:
    wrong = [f"{module_name(path)}:{line} {name}" for line, name in imports(path) if name.split(".")[0] in INPUT_OUTPUT]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("path", modules_in(LIGHT), ids=module_name)
def test_what_a_cni_call_loads_is_light(path: Path) -> None:
    wrong = [
        f"{module_name(path)}:{line} {name}"
        for line, name in imports(path, run_time_only=True)
        if name.split(".")[0] in HEAVY
    ]
    assert not wrong, "\n".join(wrong)


def test_pyroute2_has_one_door() -> None:
    users = {module_name(path) for path in sources() for _, name in imports(path) if name.split(".")[0] == "pyroute2"}
    assert users <= {"calico_routing.kernel.netlink_kernel"}


def test_pybgp_never_imports_calico_routing() -> None:
    wrong = [
        module_name(p)
        for p in sources()
        if p.is_relative_to(ROOT / "pybgp")
        for _, n in imports(p)
        if within(n, "calico_routing")
    ]
    assert not wrong


def test_third_party_imports_are_the_two_of_the_card() -> None:
    foreign = (
        {name.split(".")[0] for path in sources() for _, name in imports(path)}
        - set(PACKAGES)
        - sys.stdlib_module_names
    )
    assert foreign <= RUN_TIME_DEPENDENCIES


def test_no_star_imports() -> None:
    for path in sources():
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom):
                assert all(alias.name != "*" for alias in node.names), f"{path}:{node.lineno}"


def load_time_graph() -> dict[str, set[str]]:
    """Which of our modules each module needs while it loads (imports at top level, type checking left out)."""
    known = {module_name(path) for path in sources()}
    graph: dict[str, set[str]] = {}
    for path in sources():
        names: set[str] = set()
        for node in ast.parse(path.read_text()).body:
            if isinstance(node, ast.Import | ast.ImportFrom):
                names.update(imported_names(node))
            if isinstance(node, ast.ImportFrom):
                names.add(node.module or "")  # a package's own file is loaded too
        graph[module_name(path)] = (names & known) - {module_name(path)}
    return graph


def test_no_import_cycles() -> None:
    graph = load_time_graph()
    done: set[str] = set()

    def visit(module: str, trail: tuple[str, ...]) -> None:
        assert module not in trail, " -> ".join((*trail[trail.index(module) :], module))
        if module not in done:
            for needed in sorted(graph[module]):
                visit(needed, (*trail, module))
            done.add(module)

    for module in sorted(graph):
        visit(module, ())


def test_the_rules_can_fail(tmp_path: Path) -> None:
    """The reader sees an import inside a function and inside a type-checking block."""
    source = tmp_path / "sample.py"
    source.write_text("if TYPE_CHECKING:\n    import asyncio\ndef f():\n    from socket import socket\n")
    assert {name for _, name in imports(source)} == {"asyncio", "socket"}
    assert {name for _, name in imports(source, run_time_only=True)} == {"socket"}
