"""What is wrong with a resource, field by field."""

from __future__ import annotations

from calico_routing.model.records import Record

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Problem(Record):
    """One field that breaks a rule."""

    field: str
    reason: str
    value: object = None

    def __str__(self) -> str:
        """Name the field, the rule and the value in one line."""
        return f"{self.field}: {self.reason} (got {self.value!r})"


class ValidationError(ValueError):
    """A resource that the data model refuses; lists every problem found (spec/calico.md section 1)."""

    def __init__(self, subject: str, problems: Sequence[Problem]) -> None:
        """Join the problems into one line."""
        super().__init__(" ".join(f"{subject}: {'; '.join(map(str, problems))}".split()))
        self.subject = subject
        self.problems = tuple(problems)
