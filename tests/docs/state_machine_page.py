"""Prints docs/state-machine.md from the table that sessions run on: ``python -m tests.docs.state_machine_page``."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from pybgp.session.state_machine import STEPS, Guard, Input, State, Step

PAGE = Path(__file__).parents[2] / "docs" / "state-machine.md"
HEADER = """# The state machine of a session

Written by `python -m tests.docs.state_machine_page` from `STEPS` in `pybgp/session/state_machine.py`, the table that
every session runs on (RFC 4271 section 8.2.2; input 29 is RFC 9687). A test keeps this page and the table equal.
"""
GUARDS = {Guard.DELAYING_OPEN: "while OPEN is delayed", Guard.GRACEFUL: "if the peer offered graceful restart"}


def words(name: str) -> str:
    return name.lower().replace("_", " ")


def describe(state: State, step: Step) -> str:
    acts = ", ".join(words(act.name) for act in step.actions)
    target = "" if step.state is state else f"→ **{step.state}**"
    text = ": ".join(part for part in (target, acts) if part) or "-"
    if step.guard is None or step.instead is None:
        return text
    return f"{text}; {GUARDS[step.guard]}: {describe(state, step.instead)}"


def diagram() -> str:
    edges: dict[tuple[State, State], list[str]] = defaultdict(list)
    for (state, happened), step in STEPS.items():
        for target in {step.state, step.instead.state if step.instead else step.state} - {state, State.IDLE}:
            edges[state, target].append(words(happened.name))
    lines = [f"    {start} --> {end}: {', '.join(names)}" for (start, end), names in sorted(edges.items())]
    return "\n".join(["```mermaid", "stateDiagram-v2", "    [*] --> Idle", *lines, "```"])


def table() -> str:
    lines = ["| input | " + " | ".join(map(str, State)) + " |", "|---|" + "---|" * len(State)]
    for happened in Input:
        cells = " | ".join(describe(state, STEPS[state, happened]) for state in State)
        lines.append(f"| {happened.value} {words(happened.name)} | {cells} |")
    return "\n".join(lines)


def page() -> str:
    forward = "## The way forward\n\nEvery state falls back to Idle on errors; those arrows are left out here."
    return f"{HEADER}\n{forward}\n\n{diagram()}\n\n## Every pair\n\n{table()}\n"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
