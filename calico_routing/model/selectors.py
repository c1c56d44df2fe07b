"""Calico's selector language: text to a tree that is evaluated on labels (spec/calico.md section 1.6)."""

from __future__ import annotations

from calico_routing.model.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Final

LONGEST_LABEL = 512
#: deeper nesting is refused, so that no text can exhaust the stack.
DEEPEST_NESTING = 100
LABEL_CHARACTERS: Final = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_./-")


class SelectorError(ValueError):
    """A selector that is not well formed."""


class Selector(Record):
    """A condition on labels."""

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Tell whether the labels meet the condition; a missing label is never an error."""
        raise NotImplementedError

    def __str__(self) -> str:
        """Write the condition as selector text."""
        raise NotImplementedError


class All(Selector):
    """``all()``: every object; ``global()``: objects that have no namespace (as a condition on labels, none fails)."""

    name: str = "all"

    def matches(self, labels: Mapping[str, str]) -> bool:  # noqa: ARG002 - the same for any labels
        """Match anything."""
        return True

    def __str__(self) -> str:
        """Write ``all()`` or ``global()``."""
        return f"{self.name}()"


class Has(Selector):
    """``has(label)``."""

    label: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Match when the label is present."""
        return self.label in labels

    def __str__(self) -> str:
        """Write ``has(label)``."""
        return f"has({self.label})"


class Compare(Selector):
    """``label OPERATOR "value"``; ``!=`` also holds when the label is missing."""

    label: str
    operator: str
    value: str

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Compare the label's value."""
        actual = labels.get(self.label)
        if actual is None:
            return self.operator == "!="
        return COMPARISONS[self.operator](actual, self.value)

    def __str__(self) -> str:
        """Write the comparison."""
        return f"{self.label} {self.operator} {quoted(self.value)}"


class Membership(Selector):
    """``label in {"a", "b"}`` and ``label not in {...}``; the latter also holds when the label is missing."""

    label: str
    values: tuple[str, ...]
    negated: bool = False

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Look the label's value up."""
        return (labels.get(self.label) in self.values) is not self.negated

    def __str__(self) -> str:
        """Write the set in its order."""
        values = ", ".join(map(quoted, self.values))
        return f"{self.label} {'not in' if self.negated else 'in'} {{{values}}}"


class Not(Selector):
    """``!condition``."""

    operand: Selector

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Negate."""
        return not self.operand.matches(labels)

    def __str__(self) -> str:
        """Write the negation; an operand that binds less tightly stands in parentheses."""
        return f"!{parenthesised(self.operand, 2)}"


class Both(Selector):
    """``a && b && c``."""

    operands: tuple[Selector, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Match when all operands do."""
        return all(operand.matches(labels) for operand in self.operands)

    def __str__(self) -> str:
        """Write the conjunction."""
        return " && ".join([parenthesised(operand, 1) for operand in self.operands])


class Either(Selector):
    """``a || b || c``."""

    operands: tuple[Selector, ...]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Match when any operand does."""
        return any(operand.matches(labels) for operand in self.operands)

    def __str__(self) -> str:
        """Write the disjunction."""
        return " || ".join([parenthesised(operand, 0) for operand in self.operands])


COMPARISONS: Final[Mapping[str, Callable[[str, str], bool]]] = {
    "==": lambda actual, value: actual == value,
    "!=": lambda actual, value: actual != value,
    "contains": lambda actual, value: value in actual,
    "starts with": lambda actual, value: actual.startswith(value),
    "ends with": lambda actual, value: actual.endswith(value),
}


def binding(selector: Selector) -> int:
    """Tell how tightly a selector holds together: 0 for ``||``, 1 for ``&&``, 2 for the rest."""
    if isinstance(selector, Either):
        return 0
    return 1 if isinstance(selector, Both) else 2


def parenthesised(selector: Selector, around: int) -> str:
    """Write an operand, in parentheses unless it binds more tightly than what is around it."""
    text = str(selector)
    return f"({text})" if binding(selector) < 2 and binding(selector) <= around else text


def quoted(value: str) -> str:
    """Write a string literal; there are no escapes, so a value can hold one kind of quote only."""
    return f"'{value}'" if '"' in value else f'"{value}"'


def parse_selector(text: str) -> Selector:
    """Read a selector; empty text selects everything; SelectorError names the place."""
    tokens = tokenize(text)
    if tokens == [END]:
        return All()
    parser = _Parser(text, tokens)
    selector = parser.either()
    parser.expect("end")
    return selector


class Token(Record):
    """A symbol, word, string or the end, and where it stands."""

    kind: str
    text: str
    place: int


END = Token(kind="end", text="", place=0)


def tokenize(text: str) -> list[Token]:
    """Cut selector text into tokens; the last one is the end."""
    tokens: list[Token] = []
    place = 0
    while place < len(text):
        if text[place] in " \t":
            place += 1
            continue
        token = _token_at(text, place)
        tokens.append(token)
        place += len(token.text) + (2 if token.kind == "string" else 0)
    return [*tokens, END.replace(place=len(text)) if tokens else END]


def _token_at(text: str, place: int) -> Token:
    for symbol in ("==", "!=", "&&", "||", "!", "(", ")", "{", "}", ","):
        if text.startswith(symbol, place):
            return Token(kind=symbol, text=symbol, place=place)
    if text[place] in "\"'":
        end = text.find(text[place], place + 1)
        if end < 0:
            raise SelectorError(f"selector {text!r}: string at {place} does not end")
        return Token(kind="string", text=text[place + 1 : end], place=place)
    end = place
    while end < len(text) and text[end] in LABEL_CHARACTERS:
        end += 1
    if end == place:
        raise SelectorError(f"selector {text!r}: unexpected {text[place]!r} at {place}")
    if end - place > LONGEST_LABEL:
        raise SelectorError(f"selector: label at {place} is longer than {LONGEST_LABEL} characters")
    return Token(kind="word", text=text[place:end], place=place)


class _Parser:
    """Recursive descent over the tokens; ``&&`` binds tighter than ``||``."""

    def __init__(self, text: str, tokens: list[Token]) -> None:
        self._text = text
        self._tokens = tokens
        self._next = 0
        self._depth = 0

    def _peek(self, ahead: int = 0) -> Token:
        return self._tokens[min(self._next + ahead, len(self._tokens) - 1)]

    def _take(self) -> Token:
        token = self._peek()
        self._next += 1
        return token

    def _accept(self, kind: str) -> bool:
        if self._peek().kind == kind:
            self._next += 1
            return True
        return False

    def _fail(self, wanted: str) -> SelectorError:
        token = self._peek()
        found = "the end" if token.kind == "end" else repr(token.text)
        return SelectorError(f"selector {self._text!r}: expected {wanted} at {token.place}, found {found}")

    def expect(self, kind: str, wanted: str = "") -> Token:
        if self._peek().kind != kind:
            raise self._fail(wanted or kind)
        return self._take()

    def either(self) -> Selector:
        operands = [self._both()]
        while self._accept("||"):
            operands.append(self._both())
        return operands[0] if len(operands) == 1 else Either(operands=tuple(operands))

    def _both(self) -> Selector:
        operands = [self._operation()]
        while self._accept("&&"):
            operands.append(self._operation())
        return operands[0] if len(operands) == 1 else Both(operands=tuple(operands))

    def _operation(self) -> Selector:
        self._depth += 1
        if self._depth > DEEPEST_NESTING:
            raise SelectorError(f"selector is nested more than {DEEPEST_NESTING} deep")
        try:
            if self._accept("!"):
                return Not(operand=self._operation())
            if self._accept("("):
                selector = self.either()
                self.expect(")")
                return selector
            return self._condition()
        finally:
            self._depth -= 1

    def _condition(self) -> Selector:
        word = self.expect("word", "a condition")
        if self._peek().kind == "(" and word.text in {"all", "global", "has"}:
            return self._call(word.text)
        token = self._take()
        if token.kind in {"==", "!="}:
            return Compare(label=word.text, operator=token.kind, value=self._string())
        phrase = token.text if token.kind == "word" else ""
        following = self._peek().text if self._peek().kind == "word" else ""
        if phrase == "contains":
            return Compare(label=word.text, operator=phrase, value=self._string())
        if phrase == "in":
            return Membership(label=word.text, values=self._set())
        if (phrase, following) in {("starts", "with"), ("ends", "with")}:
            self._take()
            return Compare(label=word.text, operator=f"{phrase} with", value=self._string())
        if (phrase, following) == ("not", "in"):
            self._take()
            return Membership(label=word.text, values=self._set(), negated=True)
        self._next -= 1
        raise self._fail("an operator")

    def _call(self, name: str) -> Selector:
        self.expect("(")
        label = self.expect("word", "a label").text if name == "has" else ""
        self.expect(")")
        return Has(label=label) if name == "has" else All(name=name)

    def _string(self) -> str:
        return self.expect("string", "a string").text

    def _set(self) -> tuple[str, ...]:
        self.expect("{")
        values: list[str] = []
        if self._accept("}"):
            return ()
        while True:
            values.append(self._string())
            if not self._accept(","):
                break
        self.expect("}")
        return tuple(values)
