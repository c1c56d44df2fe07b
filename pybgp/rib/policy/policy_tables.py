"""Policies out of TOML tables; every problem is found at once, named by place and key, with a hint."""

from __future__ import annotations

import difflib
import json
import re
import tomllib
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from pybgp.errors import LocalError
from pybgp.rib.policy.as_path_expression import is_too_slow
from pybgp.rib.policy.clause import Clause, Verdict
from pybgp.rib.policy.match import AsPathMatch, FamilyMatch, PrefixMatch
from pybgp.rib.policy.policy_words import ACTIONS, MATCHES, WordError
from pybgp.rib.policy.prefix_set import PrefixSet, parse_range
from pybgp.rib.policy.route_policy import RoutePolicy
from pybgp.rib.policy.shadows import shadowed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from pybgp.rib.policy.prefix_set import PrefixRange

    TablePath = tuple[str | int, ...]

PREFIX_SETS: Final = "prefix_set"
POLICIES: Final = "policy"
SET_KEYS: Final = ("prefixes", "file")
POLICY_KEYS: Final = ("default", "clause")
CLAUSE_KEYS: Final = ("name", "match", "set", "then")
#: A bare key of TOML.
_BARE: Final = re.compile(r"[A-Za-z0-9_-]+")
#: Characters of a wrong value, and of a complaint, that are shown.
LONGEST_SHOWN: Final = 80
LONGEST_TEXT: Final = 400
VERDICTS: Final = {verdict.value: verdict for verdict in Verdict}
DEFAULTS: Final = {word: verdict for word, verdict in VERDICTS.items() if verdict is not Verdict.NEXT}


class PolicyProblem(NamedTuple):
    """What is wrong, or only strange, and where."""

    where: str
    text: str

    def __str__(self) -> str:
        """Return the one line for people."""
        return f"{self.where}: {self.text}"


class PolicyError(LocalError):
    """Policies that cannot be used; the text is the first problem."""

    def __init__(self, problems: Sequence[PolicyProblem]) -> None:
        """Keep them all."""
        super().__init__("; ".join(map(str, problems[:3])))
        self.problems = tuple(problems)


class PolicyBook(NamedTuple):
    """What was read; with problems, only what is right is there."""

    policies: Mapping[str, RoutePolicy]
    problems: tuple[PolicyProblem, ...]
    warnings: tuple[PolicyProblem, ...]


def shown(raw: object) -> str:
    """Print a value as TOML has it, the beginning of a long one."""
    found = str(raw).lower() if isinstance(raw, bool) else repr(raw)
    return found if len(found) <= LONGEST_SHOWN else f"{found[:LONGEST_SHOWN]}..."


def dotted(path: TablePath) -> str:
    """Name a place by its keys: ``policy.upstream.clause[0].match``."""
    text = "".join(f"[{part}]" if isinstance(part, int) else f".{bare(part)}" for part in path)
    return text.lstrip(".")


def refuse_files(name: str) -> str:
    """Read no file."""
    raise FileNotFoundError(f"{name}: files are not read here")


def parse_policies(text: str, *, read_file: Callable[[str], str] = refuse_files) -> Mapping[str, RoutePolicy]:
    """Read a TOML text of ``[prefix_set.NAME]`` and ``[policy.NAME]`` tables; PolicyError names every problem."""
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # besides what is no TOML: numbers too long, brackets too deep
        raise PolicyError([PolicyProblem("policies", str(error))]) from error
    unknown = [PolicyProblem(name, "no such table") for name in document if name not in (PREFIX_SETS, POLICIES)]
    book = read_policies(document, read_file=read_file)
    if problems := (*unknown, *book.problems):
        raise PolicyError(problems)
    return book.policies


def read_policies(
    document: Mapping[str, Any],
    *,
    place: Callable[[TablePath], str] = dotted,
    read_file: Callable[[str], str] = refuse_files,
    clock: Callable[[], float] | None = None,
) -> PolicyBook:
    """Read the policies of a document; ``place`` turns keys into a place that people find, such as file and line.

    With a ``clock`` of CPU time in seconds, expressions are refused that a peer could make run forever.
    """
    reader = _Reader(place, read_file, clock)
    for name, raw in reader.named(PREFIX_SETS, document.get(PREFIX_SETS, {})):
        reader.prefix_sets[name] = reader.prefix_set((PREFIX_SETS, name), raw, name)
    policies = {
        name: reader.policy((POLICIES, name), raw, name)
        for name, raw in reader.named(POLICIES, document.get(POLICIES, {}))
    }
    return PolicyBook(policies, tuple(reader.problems), tuple(reader.warnings))


class _Reader:
    """Walks tables; whatever is wrong is reported and left out."""

    def __init__(
        self,
        place: Callable[[TablePath], str],
        read_file: Callable[[str], str],
        clock: Callable[[], float] | None,
    ) -> None:
        self.problems: list[PolicyProblem] = []
        self.warnings: list[PolicyProblem] = []
        self.prefix_sets: dict[str, PrefixSet] = {}
        self._place = place
        self._read_file = read_file
        self._clock = clock

    def report(self, path: TablePath, text: str) -> None:
        shown_text = text if len(text) <= LONGEST_TEXT else f"{text[:LONGEST_TEXT]}..."
        self.problems.append(PolicyProblem(self._place(path), f"{key_of(path)}: {shown_text}"))

    def warn(self, path: TablePath, text: str) -> None:
        self.warnings.append(PolicyProblem(self._place(path), f"{key_of(path)}: {text}"))

    def named(self, kind: str, raw: object) -> Iterator[tuple[str, dict[str, Any]]]:
        """Yield the tables of ``[KIND.NAME]``."""
        if not isinstance(raw, dict):
            self.report((kind,), f"expected [{kind}.NAME] tables, not {shown(raw)}")
            return
        for name, table in raw.items():
            if not name.strip():
                self.report((kind, name), "expected a name that is not empty")
            elif isinstance(table, dict):
                yield name, table
            else:
                self.report((kind, name), f"expected a table, not {shown(table)}")

    def known(self, path: TablePath, table: Mapping[str, Any], keys: Iterable[str]) -> Iterator[tuple[str, Any]]:
        """Yield the keys that are known, and report the others."""
        expected = list(keys)
        for key, raw in table.items():
            if key in expected:
                yield key, raw
                continue
            near = difflib.get_close_matches(key, expected, 1)
            hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(expected)}"
            self.report((*path, key), f"no such key; {hint}")

    def word(self, path: TablePath, raw: object, words: Mapping[str, Verdict], default: Verdict) -> Verdict:
        if isinstance(raw, str) and raw in words:
            return words[raw]
        self.report(path, f"expected one of {', '.join(map(repr, words))}, not {shown(raw)}")
        return default

    # Prefix sets

    def prefix_set(self, path: TablePath, table: dict[str, Any], name: str) -> PrefixSet:
        entries: list[PrefixRange] = []
        for key, raw in self.known(path, table, SET_KEYS):
            if key == "file":
                entries += self.file((*path, key), raw)
            elif isinstance(raw, list):
                entries += self.ranges((*path, key), enumerate(raw))
            else:
                self.report((*path, key), f"expected a list of prefixes, not {shown(raw)}")
        if not entries:
            self.warn(path, "the set is empty: nothing is in it")
        return PrefixSet(entries, name)

    def ranges(self, path: TablePath, numbered: Iterable[tuple[int, object]]) -> Iterator[PrefixRange]:
        for index, raw in numbered:
            if not isinstance(raw, str):
                self.report((*path, index), f"expected a prefix as text, not {shown(raw)}")
                continue
            try:
                yield parse_range(raw)
            except LocalError as error:
                self.report((*path, index), str(error))

    def file(self, path: TablePath, raw: object) -> Iterator[PrefixRange]:
        """Read a file of one prefix range per line; ``#`` begins a comment."""
        if not isinstance(raw, str):
            self.report(path, f"expected the name of a file, not {shown(raw)}")
            return
        try:
            text = self._read_file(raw)
        except (OSError, ValueError) as error:
            reason = error.strerror or error if isinstance(error, OSError) else error
            self.report(path, f"{raw if raw.isprintable() else shown(raw)}: cannot be read: {reason}")
            return
        for number, line in enumerate(text.splitlines(), 1):
            bare = line.partition("#")[0].strip()
            if bare:
                try:
                    yield parse_range(bare)
                except LocalError as error:
                    self.problems.append(PolicyProblem(f"{raw}:{number}", str(error)))

    # Policies

    def policy(self, path: TablePath, table: dict[str, Any], name: str) -> RoutePolicy:
        default, clauses = Verdict.REJECT, []
        for key, raw in self.known(path, table, POLICY_KEYS):
            if key == "default":
                default = self.word((*path, key), raw, DEFAULTS, default)
            elif isinstance(raw, list):
                clauses = [self.clause((*path, key, index), item, index) for index, item in enumerate(raw)]
            else:
                self.report((*path, key), f"expected [[policy.{name}.clause]] tables, not {shown(raw)}")
        names = [clause.name for clause in clauses]
        for index, clause in enumerate(clauses):
            if clause.name in names[:index]:
                self.warn((*path, "clause", index), f"another clause is called {clause.name} too")
            self.see_families((*path, "clause", index), clause)
        for later, earlier in shadowed(clauses):
            text = f"never reached: clause {clauses[earlier].name} decides all that it matches"
            self.warn((*path, "clause", later), text)
        return RoutePolicy(name, clauses, default=default)

    def clause(self, path: TablePath, raw: object, index: int) -> Clause:
        if not isinstance(raw, dict):
            self.report(path, f"expected a table, not {shown(raw)}")
            return Clause(f"clause-{index + 1}")
        found = dict(self.known(path, raw, CLAUSE_KEYS))
        name = found.get("name", f"clause-{index + 1}")
        if not isinstance(name, str) or not name:
            self.report((*path, "name"), f"expected a text, not {shown(name)}")
            name = f"clause-{index + 1}"
        then = self.word((*path, "then"), found.get("then", "next"), VERDICTS, Verdict.NEXT)
        matches = self.words((*path, "match"), found.get("match", {}), MATCHES)
        actions = self.words((*path, "set"), found.get("set", {}), ACTIONS)
        if then is Verdict.REJECT and actions:
            self.warn((*path, "set"), 'nothing is set beside then = "reject"')
        if then is Verdict.NEXT and not actions:
            self.warn(path, f'clause {name} does nothing: neither "set" nor "then" is there')
        return Clause(name, matches, actions, then)

    def see_families(self, path: TablePath, clause: Clause) -> None:
        """Warn of a clause whose families its prefixes are not of."""
        for match in clause.path_matches:
            for other in clause.key_matches:
                if isinstance(match, FamilyMatch) and isinstance(other, PrefixMatch) and other.prefixes.entries:
                    there = {entry.family for entry in other.prefixes.entries}
                    if there.isdisjoint(match.families):
                        self.warn((*path, "match"), f"never matches: {other} has nothing of {match}")

    def see_expression(self, path: TablePath, match: AsPathMatch) -> None:
        """Report an expression that a peer could make run forever."""
        for expression, compiled in zip(match.expressions, match.patterns, strict=True):
            if self._clock is not None and is_too_slow(compiled, self._clock):
                text = f"{shown(expression)} takes too long on long paths; avoid * or + behind a group that ends in one"
                self.report(path, text)

    def words(self, path: TablePath, table: object, words: Mapping[str, Callable[..., Any]]) -> tuple[Any, ...]:
        """Turn the keys of a table into conditions or actions, in the order of the vocabulary for actions."""
        if not isinstance(table, dict):
            self.report(path, f"expected a table, not {shown(table)}")
            return ()
        found = []
        for key, raw in self.known(path, table, words):
            try:
                made = words[key](raw, self.prefix_sets)
                found.append((list(words).index(key), made))
                if isinstance(made, AsPathMatch):
                    self.see_expression((*path, key), made)
            except WordError as error:
                self.report((*path, key, *error.where), str(error))
            except LocalError as error:
                self.report((*path, key), str(error))
        return tuple(one for _, one in sorted(found, key=lambda pair: pair[0]))


def key_of(path: TablePath) -> str:
    """Name a key without the numbers of list items."""
    return ".".join(bare(part) for part in path if not isinstance(part, int))


def bare(key: str) -> str:
    """Return a key as TOML has it: in quotes if it is no word."""
    return key if _BARE.fullmatch(key) else json.dumps(key)
