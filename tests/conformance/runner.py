"""The whole corpus case by case, and the table of it that ``python -m tests.conformance`` prints."""

from __future__ import annotations

import random
from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from pybgp.errors import BgpError, RemoteError
from pybgp.wire.attributes import Fault
from pybgp.wire.messages import Update

from .corpus import Case
from .facts import VERDICTS, check, check_fragment, has_no_host_for_next_hop
from .reading import DIFFERENT, READERS, WHOLE, damaged, every_damage, read
from .rewriting import rewrite


@dataclass
class Row:
    """What came of the cases of one source."""

    cases: int = 0
    decoded: int = 0
    #: invalid ones, and fragments of unknown standing, that a library error refuses.
    refused: int = 0
    waiting: int = 0
    #: invalid ones with the error or the verdict that their record states.
    verdicts: int = 0
    facts: int = 0
    equal: int = 0
    equivalent: int = 0
    nothing: int = 0
    different: int = 0
    variants: int = 0
    wrong: list[str] = field(default_factory=list)
    reasons: Counter[str] = field(default_factory=Counter)


def outcome(case: Case) -> tuple[Fault | None, tuple[int, int] | None]:
    """The strongest verdict, and the error pair if the session is lost."""
    try:
        message = read(case)
    except RemoteError as error:
        return Fault.RESET, (error.code, error.subcode)
    faults = message.faults if isinstance(message, Update) else ()
    return max((fault.fault for fault in faults), default=None), None


def check_invalid(case: Case) -> None:
    """The error pair, or the verdict of RFC 7606, is one that the record states."""
    expected = case.expect["errors"]
    verdict, pair = outcome(case)
    if pair is not None:
        assert pair in [(error["code"], error["subcode"]) for error in expected], pair
    else:
        assert verdict == VERDICTS[expected[0]["rfc7606"]], verdict


def is_refused_by_its_source(case: Case) -> bool:
    return case.valid is False and case.expect.get("accepted") is False


def has_faults(found: object) -> bool:
    return isinstance(found, Update) and bool(found.faults)


def _run_whole(case: Case, row: Row) -> None:
    message = read(case)
    if message is None:
        row.waiting += 1
        assert "incomplete" in case.expect
        return
    row.decoded += 1
    if case.valid is not True or "doubt" in case.expect:
        return
    row.facts += check(case, message)
    if isinstance(message, Update) and has_no_host_for_next_hop(message):
        row.reasons["a next hop that is no host: withdrawn (section 5.1)"] += 1
    verdict, why = rewrite(case, message)
    setattr(row, verdict, getattr(row, verdict) + 1)
    row.reasons.update(why)
    assert verdict != "different", why


def run(case: Case, row: Row) -> None:
    """Read a case, compare it with its record, write it again; what is wrong is noted by name."""
    row.cases += 1
    if case.id in DIFFERENT:
        row.reasons[f"{case.id}: {DIFFERENT[case.id]}"] += 1
        return
    try:
        if case.valid is False and "errors" in case.expect and case.kind in WHOLE and "incomplete" not in case.expect:
            check_invalid(case)
            row.verdicts += 1
        elif case.kind in WHOLE:
            _run_whole(case, row)
        else:
            found = READERS[case.kind](case, case.octets)
            row.decoded += 1
            if case.kind == "attribute" and case.valid is True and "attributes" in case.expect:
                check_fragment(case)
                row.facts += 1
            assert not is_refused_by_its_source(case) or found is None or has_faults(found), "it was accepted"
    except BgpError as error:
        row.refused += 1
        if case.valid is True:
            row.wrong.append(f"{case.id}: {error}")
    except AssertionError as error:
        row.wrong.append(f"{case.id}: {str(error).splitlines()[:1]}")


def survive(case: Case, row: Row, variants: Iterable[bytes]) -> None:
    """Cut and bit-flipped octets raise nothing but the library's errors."""
    for octets in variants:
        row.variants += 1
        try:
            READERS[case.kind](case, octets)
        except BgpError:
            continue


def run_all(
    found: Iterable[Case], *, variants: int, seed: int = 7606, every: bool = False
) -> dict[tuple[str, str], Row]:
    """Run every case; the rows are by folder and source.  ``every`` damages whole messages in every way."""
    rows: dict[tuple[str, str], Row] = defaultdict(Row)
    chosen = random.Random(seed)
    for case in found:
        row = rows[case.folder, case.source]
        run(case, row)
        if every and case.kind in WHOLE:
            survive(case, row, every_damage(case))
        else:
            survive(case, row, damaged(case, chosen, variants if case.kind in WHOLE else min(variants, 1)))
    return dict(rows)


_COLUMNS = (
    "cases", "decoded", "refused", "waiting", "verdicts", "facts", "equal", "equivalent", "nothing", "variants",
)  # fmt: skip


def table(rows: dict[tuple[str, str], Row]) -> str:
    """The table, the reasons by name, and whatever is wrong."""
    lines = [f"{'folder':20}{'source':22}" + "".join(f"{name:>11}" for name in _COLUMNS) + f"{'wrong':>7}"]
    total, why = Row(), Counter[str]()
    for (folder, source), row in sorted(rows.items()):
        shown = "".join(f"{getattr(row, name):11}" for name in _COLUMNS)
        lines.append(f"{folder:20}{source:22}{shown}{len(row.wrong):7}")
        for name in _COLUMNS:
            setattr(total, name, getattr(total, name) + getattr(row, name))
        total.wrong += row.wrong
        why.update(row.reasons)
    shown = "".join(f"{getattr(total, name):11}" for name in _COLUMNS)
    lines.append(f"{'all':42}{shown}{len(total.wrong):7}")
    lines += ["", "reasons for what is not written octet by octet, or not read as its record says:"]
    lines += [f"{count:7}  {reason}" for reason, count in why.most_common()]
    return "\n".join([*lines, *(f"WRONG  {text}" for text in total.wrong)])
