"""A topology out of a TOML document (what ``tomllib`` returns); every mistake is named by its key and value."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.rib.policy.policy_tables import dotted, read_policies
from pybgp.session.config import GracefulRestartConfig
from pybgp.session.route_options import RouteOptions
from pybgp.simulator.links import LinkQuality
from pybgp.simulator.topology import Happening, LinkPlan, NodePlan, SessionSide, Topology, numbered_prefix
from pybgp.transport.speaker_config import SpeakerConfig, packed_address
from pybgp.wire.families import IPV4_UNICAST
from pybgp.wire.nlri import parse_prefix

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from pybgp.rib.policy import Policy
    from pybgp.rib.policy.policy_tables import TablePath

#: What a session may be told, in [session] for all and in a link for one: seconds.
_TIMES: Final = ("hold_time", "connect_retry_time", "first_retry_time", "idle_hold_time", "graceful_restart")
_QUALITIES: Final = ("latency", "jitter", "loss")
_TOP_KEYS: Final = ("duration", "session", "node", "link", "mesh", "event", "policy", "prefix_set")
_NODE_KEYS: Final = ("as", "address", "networks", "cluster_id", "require_ebgp_policy")
_LINK_KEYS: Final = ("nodes", "passive", "reflector_client", "import_policy", "export_policy", *_QUALITIES, *_TIMES)
_MESH_KEYS: Final = ("nodes", "count", "as", *_QUALITIES, *_TIMES)
_ACTIONS: Final = {"kill": 1, "start": 1, "cut": 2, "heal": 2, "announce": 2, "withdraw": 2}
_LARGEST_MESH: Final = 1000


class TopologyError(LocalError):
    """A mistake in a topology; ``path`` leads to it: keys, with the index of its `[[table]]` behind a name."""

    def __init__(self, text: str, path: TablePath) -> None:
        """``text`` says what is wrong."""
        super().__init__(text)
        self.path = path


class _Place(NamedTuple):
    """A table of the document and where it is there."""

    path: TablePath
    table: Mapping[str, Any]  # what TOML has; each value is checked where it is used

    @property
    def name(self) -> str:
        """What errors call it."""
        return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in self.path)[1:] or "topology"

    def wrong(self, key: str, text: str) -> TopologyError:
        """Return what to raise about one of its keys; without a key it is the table."""
        return TopologyError(f"{self.name}: {text}", (*self.path, key) if key else self.path)

    def refuse_unknown(self, known: Sequence[str]) -> None:
        for key in self.table:
            if key not in known:
                raise self.wrong(key, f"unknown key {key!r}; known are {', '.join(known)}")

    def number(self, key: str, default: float) -> float:
        value = self.table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise self.wrong(key, f"{key} {value!r}: a number expected")
        return value

    def integer(self, key: str, default: int) -> int:
        value = self.table.get(key, default)
        if isinstance(value, bool) or not isinstance(value, int):
            raise self.wrong(key, f"{key} {value!r}: a whole number expected")
        return value

    def text(self, key: str, default: str = "") -> str:
        value = self.table.get(key, default)
        if not isinstance(value, str):
            raise self.wrong(key, f"{key} {value!r}: a text expected")
        return value

    def flag(self, key: str, *, default: bool) -> bool:
        value = self.table.get(key, default)
        if not isinstance(value, bool):
            raise self.wrong(key, f"{key} {value!r}: true or false expected")
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise self.wrong(key, f"{key} {value!r}: a list of texts expected")
        return tuple(value)


def read_topology(document: Mapping[str, Any]) -> Topology:
    """Return what a document describes; TopologyError names the first thing that is wrong with it."""
    top = _Place((), document)
    top.refuse_unknown(_TOP_KEYS)
    paths: dict[str, TablePath] = {}

    def place_of(path: TablePath) -> str:
        text = dotted(path)
        paths[text] = path
        return text

    book = read_policies(document, place=place_of)
    if book.problems:
        where, complaint = book.problems[0]
        raise TopologyError(f"{where}: {complaint.partition(': ')[2]}", paths[where])
    session = _Place(("session",), _table(top, "session"))
    session.refuse_unknown(_TIMES)
    nodes = {name: _node(_Place(("node", name), table)) for name, table in _named(top, "node")}
    links: list[LinkPlan] = []
    for place in _list(top, "mesh"):
        links += _mesh(place, session, nodes)
    links += [_link(place, session, book.policies) for place in _list(top, "link")]
    duration = top.number("duration", Topology(()).duration)
    if duration < 0:
        raise top.wrong("duration", f"duration {duration}: 0 or more seconds expected")
    return Topology(
        tuple(NodePlan(name, *rest) for name, rest in nodes.items()),
        tuple(links),
        tuple(_happening(place) for place in _list(top, "event")),
        duration,
    )


def _table(place: _Place, key: str) -> Mapping[str, Any]:
    table = place.table.get(key, {})
    if not isinstance(table, dict):
        raise TopologyError(f"{key} {table!r}: a table expected", (key,))
    return table


def _named(place: _Place, key: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    if isinstance(place.table.get(key), list):
        raise TopologyError(f"{key}: [{key}.NAME] tables expected, not [[{key}]]", (key, 0))
    for name, table in _table(place, key).items():
        if not isinstance(table, dict):
            raise TopologyError(f"{key}.{name} {table!r}: a table expected", (key, name))
        yield name, table


def _list(place: _Place, key: str) -> list[_Place]:
    tables = place.table.get(key, [])
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise TopologyError(f"{key} {tables!r}: [[{key}]] tables expected", (key,))
    return [_Place((key, number), table) for number, table in enumerate(tables)]


_NodeFields = tuple[int, str, tuple[str, ...], dict[str, Any]]


def _node(place: _Place) -> _NodeFields:
    place.refuse_unknown(_NODE_KEYS)
    address = place.text("address")
    if address:
        _check(place, "address", packed_address, address)
    networks = place.texts("networks")
    for prefix in networks:
        _check(place, "networks", _parse_ipv4_prefix, prefix)
    options: dict[str, Any] = {"require_ebgp_policy": place.flag("require_ebgp_policy", default=False)}
    if "cluster_id" in place.table:
        options["cluster_id"] = place.text("cluster_id")
    local_as = place.integer("as", NodePlan("").local_as)
    try:
        SpeakerConfig(local_as, "192.0.2.1", **options)
    except LocalError as error:
        key = str(error).partition(" ")[0]
        raise place.wrong("as" if key == "local_as" else key, str(error)) from error
    return local_as, address, networks, options


def _check(place: _Place, key: str, read: Any, value: str) -> None:  # a reader of any return type
    try:
        read(value)
    except LocalError as error:
        raise place.wrong(key, f"{key}: {error}") from error


def _parse_ipv4_prefix(text: str) -> None:
    """Refuse what sessions that carry IPv4 only would never tell."""
    if parse_prefix(text)[0] != IPV4_UNICAST:
        raise LocalError(f"prefix {text!r}: an IPv4 prefix expected")


def _quality(place: _Place) -> LinkQuality:
    plain = LinkQuality()
    values = [place.number(key, getattr(plain, key)) for key in _QUALITIES]
    try:
        return LinkQuality(*values)
    except LocalError as error:
        raise place.wrong(str(error).partition(" ")[0], str(error)) from error


def _session_options(place: _Place, session: _Place) -> dict[str, Any]:
    """Return fields of `PeerConfig`: those of the link, else those of all sessions."""
    options: dict[str, Any] = {}
    for key in _TIMES:
        source = place if key in place.table else session
        if key not in source.table:
            continue
        if key == "hold_time":
            options[key] = source.integer(key, 0)
        elif key == "graceful_restart":
            options[key] = GracefulRestartConfig(source.integer(key, 0)) if source.integer(key, 0) else None
        else:
            options[key] = source.number(key, 0)
    return options


def _mesh(place: _Place, session: _Place, nodes: dict[str, _NodeFields]) -> list[LinkPlan]:
    """Return the links between all of some nodes; ``count`` makes the nodes too, each with a /26."""
    place.refuse_unknown(_MESH_KEYS)
    count = place.integer("count", 0)
    if not 0 <= count <= _LARGEST_MESH:
        raise place.wrong("count", f"count {count}: 0 to {_LARGEST_MESH} expected")
    names = list(place.texts("nodes"))
    for number in range(1, count + 1):
        name = f"node{number}"
        if name in nodes:
            raise place.wrong("count", f"count {count}: there is a node {name} already")
        local_as = place.integer("as", NodePlan("").local_as)
        nodes[name] = (local_as, "", (numbered_prefix(len(nodes) + 1),), {"require_ebgp_policy": False})
        names.append(name)
    if not names:
        raise place.wrong("", "nodes (a list of names) or count expected")
    quality, side = _quality(place), SessionSide(_session_options(place, session))
    return [
        LinkPlan(one, other, quality, {one: side, other: side})
        for number, one in enumerate(names)
        for other in names[number + 1 :]
    ]


def _link(place: _Place, session: _Place, policies: Mapping[str, Policy]) -> LinkPlan:
    place.refuse_unknown(_LINK_KEYS)
    ends = place.texts("nodes")
    if len(ends) != 2:
        raise place.wrong("nodes", f"nodes {list(ends)!r}: two names expected")
    options = _session_options(place, session)
    sides: dict[str, SessionSide] = {}
    for name, other in (ends, ends[::-1]):
        of_side = dict(options)
        if _is_end(place, "passive", ends, name):
            of_side["passive"] = True
        if _is_end(place, "reflector_client", ends, other):
            of_side["routes"] = RouteOptions(reflector_client=True)
        sides[name] = SessionSide(
            of_side,
            _policy(place, "import_policy", ends, name, policies),
            _policy(place, "export_policy", ends, name, policies),
        )
    return LinkPlan(*ends, _quality(place), sides)


def _is_end(place: _Place, key: str, ends: Sequence[str], name: str) -> bool:
    """Whether a key of the link names this end of it."""
    value = place.text(key)
    if value and value not in ends:
        raise place.wrong(key, f"{key} {value!r}: {ends[0]!r} or {ends[1]!r} expected")
    return value == name


def _policy(place: _Place, key: str, ends: Sequence[str], name: str, policies: Mapping[str, Policy]) -> Policy | None:
    """Return the policy of one end: ``import_policy = {NODE = "NAME"}``."""
    table = place.table.get(key, {})
    if not isinstance(table, dict):
        raise place.wrong(key, f"{key} {table!r}: a table of policies by node expected")
    for end, policy in table.items():
        if end not in ends:
            raise place.wrong(key, f"{key} {end!r}: {ends[0]!r} or {ends[1]!r} expected")
        if policy not in policies:
            raise place.wrong(key, f"{key} {policy!r}: there is no such policy")
    return policies[table[name]] if name in table else None


def _happening(place: _Place) -> Happening:
    place.refuse_unknown(("at", *_ACTIONS))
    actions = [key for key in place.table if key in _ACTIONS]
    if len(actions) != 1:
        raise place.wrong(actions[1] if actions else "", f"one of {', '.join(_ACTIONS)} expected")
    action = actions[0]
    operands = place.texts(action) if _ACTIONS[action] > 1 else (place.text(action),)
    if len(operands) != _ACTIONS[action]:
        raise place.wrong(action, f"{action} {list(operands)!r}: {_ACTIONS[action]} names expected")
    if action in {"announce", "withdraw"}:
        _check(place, action, _parse_ipv4_prefix, operands[1])
    if "at" not in place.table:
        raise place.wrong("", "at: seconds expected")
    at = place.number("at", -1)
    if at < 0:
        raise place.wrong("at", f"at {at}: 0 or more seconds expected")
    return Happening(at, action, operands)
