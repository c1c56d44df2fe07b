"""``python -m fuzz --seconds 60 [target ...]``: run targets for a time, in equal parts; exit 1 if one failed.

An input that breaks a promise is minimised and kept in ``tests/regressions/finds``, where the tests run it for ever.
"""

from __future__ import annotations

import argparse
import sys
import time
import traceback
from collections.abc import Sequence

from hypothesis import HealthCheck, Phase, given, seed, settings

from fuzz import (
    almost_valid,
    almost_valid_open,
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
from fuzz.finds import FINDS, keep
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
        almost_valid_open,
    )
}
#: inputs between two looks at the clock.
BATCH = 200


def run_batch(target: Target, number: int) -> None:
    """Check one batch; Hypothesis shrinks what fails, and runs the smallest last, which is then kept."""
    last: list[tuple[bytes, Exception]] = []

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
            last[:] = [(octets, error)]
            raise

    try:
        check()
    except Exception:
        if last:
            path = keep(target.name, *last[0], FINDS)
            print(f"\n{target.name}: {last[0][0].hex()} is kept as {path.name}")
        raise


def run(target: Target, seconds: float, first_seed: int) -> int:
    """Run a target for so many seconds, at least one batch; return how many inputs it saw."""
    end = time.monotonic() + seconds
    batches = 0
    while not batches or time.monotonic() < end:
        run_batch(target, first_seed + batches)
        batches += 1
        print(f"\r{target.name:18}{batches * BATCH:9} inputs", end="", flush=True)
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
    failed = []
    for target in targets:
        try:
            run(target, total / len(targets), chosen.seed)
        except Exception:  # noqa: BLE001  # whatever a decoder raises is the find; the other targets have their time
            traceback.print_exc()
            failed.append(target.name)
    if failed:
        print(f"failed: {', '.join(failed)}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
