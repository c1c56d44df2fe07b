"""``python -m fuzz --seconds 60 [target ...]``: run targets for a time, in equal parts; exit 1 at the first failure."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz import (
    almost_valid,
    attribute_forms,
    attributes,
    bfd,
    bmp,
    capabilities,
    families,
    framing,
    messages,
    mrt,
    nlri,
    rtr,
    session,
    text_forms,
)
from fuzz.target import Target

TARGETS = {
    module.TARGET.name: module.TARGET
    for module in (
        framing,
        messages,
        attributes,
        nlri,
        capabilities,
        session,
        mrt,
        bfd,
        bmp,
        rtr,
        families,
        attribute_forms,
        text_forms,
        almost_valid,
    )
}
#: inputs between two looks at the clock.
BATCH = 200


def run_batch(target: Target, number: int) -> None:
    """Check one batch; Hypothesis shrinks what fails before it is raised."""

    @seed(number)
    @settings(
        max_examples=BATCH,
        deadline=None,
        database=None,
        phases=[Phase.generate, Phase.shrink],
        suppress_health_check=list(HealthCheck),
    )
    @given(target.inputs)
    def check(octets: bytes) -> None:
        try:
            target.check(octets)
        except Exception as error:
            error.add_note(f"{target.name}: {octets.hex()}")
            raise

    check()


def run(target: Target, seconds: float, first_seed: int) -> int:
    """Run a target for so many seconds, at least one batch; return how many inputs it saw."""
    end = time.monotonic() + seconds
    batches = 0
    while not batches or time.monotonic() < end:
        run_batch(target, first_seed + batches)
        batches += 1
        print(f"\r{target.name:14}{batches * BATCH:9} inputs", end="", flush=True)
    print()
    return batches * BATCH


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the targets that the command line names, all by default."""
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("targets", nargs="*", choices=[*TARGETS, []], help=f"of {', '.join(TARGETS)}; default all")
    parser.add_argument("--seconds", type=float, help="time for all targets together (default 60)")
    parser.add_argument("--minutes", type=float, help="the same in minutes")
    parser.add_argument("--seed", type=int, default=int(time.time()), help="the first seed (default: the clock)")
    chosen = parser.parse_args(arguments)
    total = chosen.seconds or 60 * (chosen.minutes or 1)
    targets = [TARGETS[name] for name in chosen.targets or TARGETS]
    print(f"seed {chosen.seed}, {total / len(targets):g} s for each target")
    for target in targets:
        run(target, total / len(targets), chosen.seed)
    return 0


if __name__ == "__main__":
    sys.exit(main())
