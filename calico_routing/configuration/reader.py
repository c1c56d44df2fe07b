"""Reads a configuration: a TOML file, over it calico/node's environment variables (spec section 5)."""

from __future__ import annotations

import difflib
import re
import tomllib
from errno import EFBIG, EINVAL
from pathlib import Path
from time import thread_time
from typing import TYPE_CHECKING, Any, Final

from calico_routing.configuration.contradictions import contradictions
from calico_routing.configuration.kinds import PASSWORD, Kind
from calico_routing.configuration.options import (
    GROUP,
    GROUP_OPTIONS,
    LINK_ADDRESS,
    LISTS,
    LOG_LEVELS,
    OPTIONS,
    POLICY_TABLES,
    REQUIRED,
    SECTIONS,
    Option,
)
from calico_routing.configuration.policy_uses import policy_uses
from calico_routing.configuration.problems import ConfigurationError, Origins, Problem
from calico_routing.configuration.settings import (
    AggregateSettings,
    BgpSettings,
    BmpSettings,
    Configuration,
    ControlSettings,
    DatastoreSettings,
    DynamicSettings,
    KernelSettings,
    LinkSettings,
    LogSettings,
    MrtSettings,
    NodeSettings,
    PeerSettings,
    PoolSettings,
    RpkiSettings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from pybgp.rib.policy import RoutePolicy

DEFAULT_PATH: Final = "/etc/pybgp/node.toml"
#: Octets of a file of prefixes; ten million fit in.
LARGEST_FILE: Final = 1 << 28
#: Octets of a configuration; a million prefixes fit in.
LARGEST_CONFIGURATION: Final = 1 << 26
LINE_BREAK: Final = b"\n"
Values = dict[str, dict[str, Any]]


class _Reader:
    """Collects values and problems while it walks a file's tables and the environment."""

    def __init__(self, file_name: str, text: str) -> None:
        self.origins = Origins(file_name, text)
        self.place = self.origins.place
        self.problems: list[Problem] = []
        self.policy_tables: dict[str, Any] = {}
        self.groups: dict[str, dict[str, Any]] = {}

    def report(self, path: tuple[str | int, ...], text: str) -> None:
        dotted = ".".join(str(part) for part in path if not isinstance(part, int))
        self.problems.append(Problem(self.place(path), f"{dotted}: {text}"))

    def unknown(self, path: tuple[str | int, ...], known: Sequence[str]) -> None:
        near = difflib.get_close_matches(str(path[-1]), known, 1)
        self.report(path, f"no such key{f'; did you mean {near[0]!r}?' if near else ''}")

    def value(self, path: tuple[str | int, ...], kind: Kind, raw: object) -> Any:
        try:
            return kind.check(raw)
        except (ValueError, TypeError):
            self.report(path, kind.refusal(raw))
            return None

    def table(self, path: tuple[str | int, ...], raw: object, options: Sequence[Option]) -> dict[str, Any]:
        if not isinstance(raw, dict):
            self.report(path, f"expected a table, not {raw!r}")
            return {}
        known = {option.key: option for option in options}
        found: dict[str, Any] = {}
        for key, item in raw.items():
            if key not in known:
                self.unknown((*path, key), list(known))
            elif (value := self.value((*path, key), known[key].kind, item)) is not None:
                found[key] = value
                self.origins.sources[".".join(map(str, (*path, key)))] = self.place((*path, key))
        return found

    def document(self, document: dict[str, Any]) -> tuple[Values, dict[str, list[dict[str, Any]]]]:
        values: Values = {section: {} for section in (*SECTIONS, "")}
        lists: dict[str, list[dict[str, Any]]] = {name: [] for name in LISTS}
        plain = {option.key: option for option in OPTIONS if not option.section}
        for name, raw in document.items():
            if name in SECTIONS:
                values[name] = self.table((name,), raw, [option for option in OPTIONS if option.section == name])
            elif name == "secrets":
                values[name] = self.texts(name, raw)
            elif name in plain:
                values[""] |= self.table((), {name: raw}, list(plain.values()))
            elif name in LISTS:
                lists[name] = self.tables(name, raw)
            elif name in POLICY_TABLES:
                self.policy_tables[name] = raw
            elif name == GROUP:
                self.groups = self.named_tables(name, raw)
            else:
                self.unknown((name,), [*SECTIONS, *plain, *LISTS, *POLICY_TABLES, GROUP, "secrets"])
        return values, lists

    def texts(self, name: str, raw: object) -> dict[str, str]:
        if not isinstance(raw, dict):
            self.report((name,), f"expected a table, not {raw!r}")
            return {}
        found = {key: self.value((name, key), PASSWORD, item) for key, item in raw.items()}
        return {key: value for key, value in found.items() if value is not None}

    def tables(self, name: str, raw: object) -> list[dict[str, Any]]:
        if not isinstance(raw, list):
            self.report((name,), f"expected [[{name}]] tables")
            return []
        return [self.table((name, index), item, LISTS[name]) for index, item in enumerate(raw)]

    def named_tables(self, name: str, raw: object) -> dict[str, dict[str, Any]]:
        if not isinstance(raw, dict) or not all(isinstance(item, dict) for item in raw.values()):
            self.report((name,), f"expected [{name}.NAME] tables")
            return {}
        return {key: self.table((name, key), item, GROUP_OPTIONS) for key, item in raw.items()}

    def inherited(self, path: tuple[str | int, ...], table: dict[str, Any]) -> dict[str, Any]:
        """Return a table with what its group says where it says nothing itself."""
        group = table.get(GROUP)
        own = {key: value for key, value in table.items() if key != GROUP}
        if group is None:
            return own
        if group not in self.groups:
            near = difflib.get_close_matches(group, list(self.groups), 1)
            hint = f"; did you mean {near[0]!r}?" if near else ""
            self.report((*path, GROUP), f"expected the name of a [group.NAME] table, not {group!r}{hint}")
            return own
        known = {option.key for option in LISTS[str(path[0])]}
        return {key: value for key, value in self.groups[group].items() if key in known} | own

    def complete(self, name: str, index: int, table: dict[str, Any]) -> bool:
        """Report what a table lacks, unless what it has there is wrong and was reported already."""
        missing = [key for key in REQUIRED[name] if key not in table]
        places = {self.place((name, index, key)) for key in missing}
        if missing and not any(problem.where in places for problem in self.problems):
            needed = " and ".join(REQUIRED[name])
            self.report((name, index), f"{' and '.join(missing)} missing; a {name} table needs {needed}")
        return not missing

    def dynamic(self, index: int, table: dict[str, Any]) -> DynamicSettings | None:
        table = self.inherited(("dynamic", index), table)
        if not self.complete("dynamic", index, table):
            return None
        own = {key: table.pop(key) for key in ("name", "prefix", "limit") if key in table}
        address = own["prefix"].partition("/")[0]
        return DynamicSettings(**own, peer=PeerSettings(address=address, name=own["name"], **table))

    def link(self, index: int, table: dict[str, Any]) -> LinkSettings | None:
        table = self.inherited(("link", index), table)
        if not self.complete("link", index, table):
            return None
        name, interface = table.pop("name"), table.pop("interface")
        return LinkSettings(name, interface, PeerSettings(address=LINK_ADDRESS, name=name, **table))

    def policies(self) -> tuple[Mapping[str, RoutePolicy], tuple[Problem, ...]]:
        """Read the policies, whose files lie beside the configuration's; return what is only strange too."""
        if not self.policy_tables:
            return {}, ()
        from pybgp.rib.policy import read_policies  # noqa: PLC0415 - the library, which most commands do without

        directory = Path(self.origins.file_name).parent
        book = read_policies(
            self.policy_tables,
            place=self.place,
            read_file=lambda name: read_prefixes(directory / name),
            clock=thread_time,
        )
        self.problems.extend(Problem(*problem) for problem in book.problems)
        return book.policies, tuple(Problem(*warning) for warning in book.warnings)

    def see_uses(self, configuration: Configuration) -> None:
        """Refuse what a policy sets in vain where it is used."""
        for use in policy_uses(configuration):
            for index, clause in enumerate(self.policy_tables["policy"][use.policy].get("clause", ())):
                for word, value in clause.get("set", {}).items():
                    if refusal := use.refusal(word, value):
                        path = ("policy", use.policy, "clause", index, "set", word)
                        self.report(path, f"{refusal}, and {use.key} names this policy")

    def environment(self, values: Values, environment: Mapping[str, str]) -> None:
        for option in OPTIONS:
            text = environment.get(option.variable, "") if option.variable else ""
            if not text.strip():
                continue
            if option.key == "level":
                text = LOG_LEVELS.get(text.lower(), text)
            where = f"environment variable {option.variable}"
            try:
                values[option.section][option.key] = option.kind.check(option.kind.parse(text.strip()))
            except (ValueError, TypeError):
                self.problems.append(Problem(where, option.kind.refusal(text)))
            self.origins.sources[f"{option.section}.{option.key}".lstrip(".")] = where

    def finish(self, values: Values, lists: dict[str, list[dict[str, Any]]]) -> Configuration:
        peers = [self.peer(index, table) for index, table in enumerate(lists["peer"])]
        dynamic = [self.dynamic(index, table) for index, table in enumerate(lists["dynamic"])]
        links = [self.link(index, table) for index, table in enumerate(lists["link"])]
        caches = [table for index, table in enumerate(lists["rpki"]) if self.complete("rpki", index, table)]
        stations = [table for index, table in enumerate(lists["bmp"]) if self.complete("bmp", index, table)]
        policies, warnings = self.policies()
        configuration = Configuration(
            node=NodeSettings(**values["node"]),
            datastore=DatastoreSettings(**values["datastore"]),
            ipv4_pool=PoolSettings(**values["ipv4_pool"]),
            ipv6_pool=PoolSettings(**values["ipv6_pool"]),
            pools=tuple(PoolSettings(**table) for table in lists["pool"]),
            bgp=BgpSettings(**values["bgp"]),
            kernel=KernelSettings(**values["kernel"]),
            control=ControlSettings(**values["control"]),
            log=LogSettings(**values["log"]),
            mrt=MrtSettings(**values["mrt"]),
            peers=tuple(peer for peer in peers if peer is not None),
            dynamic=tuple(one for one in dynamic if one is not None),
            links=tuple(one for one in links if one is not None),
            rpki=tuple(RpkiSettings(**table) for table in caches),
            bmp=tuple(BmpSettings(**table) for table in stations),
            aggregates=self.aggregates(lists["aggregate"]),
            secrets=values.get("secrets", {}),
            policies=policies,
            warnings=warnings,
            sources=self.origins.sources,
            **values[""],
        )
        self.problems.extend(contradictions(self.origins, configuration))
        if not self.problems:
            self.see_uses(configuration)
        if self.problems:
            raise ConfigurationError(self.problems)
        return configuration

    def aggregates(self, tables: list[dict[str, Any]]) -> tuple[AggregateSettings, ...]:
        found: dict[str, AggregateSettings] = {}
        for index, table in enumerate(tables):
            if not self.complete("aggregate", index, table):
                continue
            prefix = table["prefix"]
            if prefix in found:
                self.report(("aggregate", index, "prefix"), f"expected each once, but {prefix} stands twice")
            elif prefix.endswith(("/32", "/128")[":" in prefix]):
                self.report(("aggregate", index, "prefix"), f"expected more than one address, not {prefix}")
            else:
                found[prefix] = AggregateSettings(**table)
        return tuple(found.values())

    def peer(self, index: int, table: dict[str, Any]) -> PeerSettings | None:
        table = self.inherited(("peer", index), table)
        return PeerSettings(**table) if self.complete("peer", index, table) else None


def read_text(path: Path) -> str:
    """Read a file, or a pipe; OSError if it has no end, UnicodeDecodeError if it is no UTF-8."""
    with path.open("rb") as stream:
        octets = stream.read(LARGEST_CONFIGURATION + 1)
    if len(octets) > LARGEST_CONFIGURATION:
        raise OSError(EFBIG, f"it has more than {LARGEST_CONFIGURATION} octets")
    return octets.decode().replace("\r\n", "\n")


def read_prefixes(path: Path) -> str:
    """Read a file of prefixes; OSError if it is none that has an end."""
    if path.exists() and not path.is_file():
        raise OSError(EINVAL, "it is no regular file")
    if path.stat().st_size > LARGEST_FILE:
        raise OSError(EFBIG, f"it has more than {LARGEST_FILE} octets")
    return path.read_text("utf-8")


def parse_configuration(text: str, file_name: str, environment: Mapping[str, str]) -> Configuration:
    """Read a TOML text and an environment; raises ConfigurationError with every problem found."""
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ConfigurationError([_syntax_problem(file_name, text, str(error))]) from error
    except (RecursionError, ValueError) as error:  # Python reads no number of more than 4300 digits
        nested = isinstance(error, RecursionError)
        cause = "brackets are nested too deeply" if nested else "a number has too many digits"
        rows = [row.count("[") + row.count("{") if nested else len(row) for row in text.split("\n")]
        place = f"{file_name}:{rows.index(max(rows)) + 1}"
        raise ConfigurationError([Problem(place, f"expected TOML, but: {cause}")]) from error
    reader = _Reader(file_name, text)
    values, lists = reader.document(document)
    reader.environment(values, environment)
    return reader.finish(values, lists)


def load_configuration(path: str | None, environment: Mapping[str, str]) -> Configuration:
    """Read a file; without a path the default one, which need not exist."""
    name = path or DEFAULT_PATH
    try:
        text = read_text(Path(name))
    except FileNotFoundError as error:
        if path is not None:
            raise ConfigurationError([Problem(name, "no such file")]) from error
        text = ""
    except (OSError, UnicodeDecodeError) as error:
        place, reason = name, error.strerror if isinstance(error, OSError) else f"not UTF-8: {error.reason}"
        if isinstance(error, UnicodeDecodeError):
            place = f"{name}:{error.object.count(LINE_BREAK, 0, error.start) + 1}"
        raise ConfigurationError([Problem(place, f"cannot be read: {reason}")]) from error
    return parse_configuration(text, name, environment)


def load_regular_file(path: str) -> Configuration:
    """Read a file that somebody named to a daemon, without an environment; a pipe might keep it waiting for ever."""
    if Path(path).exists() and not Path(path).is_file():
        raise ConfigurationError([Problem(path, "cannot be read: it is no regular file")])
    return load_configuration(path, {})


def _syntax_problem(file_name: str, text: str, message: str) -> Problem:
    place = re.search(r"\s*\(at (?:line (\d+), column (\d+)|end of document)\)", message)
    line = int(place[1]) if place and place[1] else text.rstrip("\n").count("\n") + 1
    cause = message[: place.start()] if place else message
    key = re.match(r"\s*([^\s=\[\]#]+)\s*=", text.split("\n")[line - 1])
    return Problem(f"{file_name}:{line}", f"{key[1] + ': ' if key else ''}expected TOML, but: {cause.lower()}")
