"""Runs a command as root under a User-Mode Linux kernel that sees this machine's files.

For hosts whose kernel lacks a module, and for users who may not use it.  As a program:
`python -m examples.demo.user_mode_linux [-m 512M] [-t 120] [-w DIRECTORY]... -- COMMAND ARGUMENTS`.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

PROGRAM: Final = "linux.uml"
PACKAGE: Final = "user-mode-linux"
MODULES: Final = ("ipv6", "ipip", "veth", "dummy")
GUEST_INIT: Final = Path(__file__).with_name("guest_init.sh")
OUTPUT_POLL_SECONDS: Final = 0.05
TIME_LIMIT_STATUS: Final = 124


class UserModeLinuxError(Exception):
    """The kernel could not be started, or stopped before the command ended."""


@dataclass(frozen=True, slots=True)
class Result:
    """How a command in the guest ended."""

    status: int
    output: str
    seconds: float

    @property
    def timed_out(self) -> bool:
        """Whether the time limit ended it."""
        return self.status == TIME_LIMIT_STATUS


def missing() -> str | None:
    """One line that says what is absent on this machine, or None where a guest can be started."""
    if shutil.which(PROGRAM) is None:
        return f"{PROGRAM} is not installed (apt-get install {PACKAGE})"
    if shutil.which("ip", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        return "ip is not installed (apt-get install iproute2)"
    if shutil.which("modprobe", path="/usr/sbin:/usr/bin:/sbin:/bin") is None:
        return "modprobe is not installed (apt-get install kmod)"
    return None


def run(
    command: Sequence[str],
    *,
    memory_megabytes: int = 512,
    limit_seconds: float = 120,
    shared: Sequence[Path] = (),
    modules: Sequence[str] = MODULES,
    environment: Mapping[str, str] | None = None,
    on_output: Callable[[str], None] | None = None,
) -> Result:
    """Run a command in a fresh guest, hand over its output as it appears, and return how it ended.

    The exit status is the command's own, or 124 past the time limit.
    Directories in `shared` are written for real; everything else the guest writes is gone afterwards.
    """
    absent = missing()
    if absent is not None:
        raise UserModeLinuxError(absent)
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="uml-") as name:
        job = Path(name)
        _describe(job, command, shared, modules, dict(os.environ if environment is None else environment))
        kernel = _start(job, memory_megabytes)
        try:
            output = "".join(_follow(job, kernel, started + limit_seconds, on_output))
            timed_out = kernel.poll() is None
        finally:
            _stop(kernel)
        status = TIME_LIMIT_STATUS if timed_out else _status(job)
        return Result(status, output, time.monotonic() - started)


def _describe(
    job: Path, command: Sequence[str], shared: Sequence[Path], modules: Sequence[str], environment: dict[str, str]
) -> None:
    """Write what the guest is to do into the job directory, which it sees as itself."""
    for variable in ("TMPDIR", "OLDPWD", "SHLVL", "_"):
        environment.pop(variable, None)
    words = [f"{key}={value}" for key, value in environment.items() if re.fullmatch(r"\w+", key)] + list(command)
    job.joinpath("command").write_bytes(b"".join(os.fsencode(word) + b"\0" for word in words))
    job.joinpath("directory").write_text(str(Path.cwd()))
    directories = [job, *(path.resolve() for path in shared)]
    job.joinpath("shared").write_text("".join(f"{path}\n" for path in directories))
    job.joinpath("modules").write_text("".join(f"{module}\n" for module in modules))
    job.joinpath("output").touch()
    shutil.copy(GUEST_INIT, job / "init")
    job.joinpath("init").chmod(0o755)


def _start(job: Path, memory_megabytes: int) -> subprocess.Popen[bytes]:
    words = [f"mem={memory_megabytes}M", "rootfstype=hostfs", "ro", "root=/dev/root", f"init={job}/init"]
    words += [f"RUNNER_JOB={job}", f"uml_dir={job}/", "umid=kernel", "con=null", "con0=null,fd:2", "noreboot", "quiet"]
    with job.joinpath("console").open("wb") as console:
        return subprocess.Popen(
            [PROGRAM, *words],
            stdin=subprocess.DEVNULL,
            stdout=console,
            stderr=console,
            start_new_session=True,
            env={**os.environ, "TMPDIR": str(_memory_directory(memory_megabytes))},
        )


def _memory_directory(megabytes: int) -> Path:
    """Find room for the guest's memory, a file mapped executable; where space runs out, SIGBUS kills the guest."""
    candidates = [os.environ.get("USER_MODE_LINUX_MEMORY"), "/dev/shm", tempfile.gettempdir(), "/tmp", "/var/tmp"]
    for candidate in filter(None, candidates):
        try:
            values = os.statvfs(candidate)
        except OSError:
            continue
        roomy = values.f_bavail * values.f_frsize >= megabytes << 20
        if roomy and not values.f_flag & os.ST_NOEXEC and os.access(candidate, os.W_OK):
            return Path(candidate)
    raise UserModeLinuxError(f"no directory mounted without noexec has {megabytes} MB free for the guest's memory")


def _follow(
    job: Path, kernel: subprocess.Popen[bytes], deadline: float, on_output: Callable[[str], None] | None
) -> Iterator[str]:
    """Yield the command's output as it grows, until the guest halts or its time is up."""
    with job.joinpath("output").open(encoding="utf-8", errors="replace", newline="") as output:
        while True:
            ended = kernel.poll() is not None
            text = output.read()
            if text:
                if on_output is not None:
                    on_output(text)
                yield text
            if ended or time.monotonic() >= deadline:
                return
            try:
                kernel.wait(OUTPUT_POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue


def _stop(kernel: subprocess.Popen[bytes]) -> None:
    """End the guest with all its processes, which form one process group of the host."""
    if kernel.poll() is None:
        kernel.terminate()
        try:
            kernel.wait(2)
        except subprocess.TimeoutExpired:
            kernel.kill()
    with contextlib.suppress(ProcessLookupError):
        os.killpg(kernel.pid, signal.SIGKILL)
    kernel.wait()


def _status(job: Path) -> int:
    """Read the command's own exit status; the kernel's is 0 whatever happened."""
    try:
        return int(job.joinpath("status").read_text())
    except (OSError, ValueError) as error:
        failure = job / "failure"
        last_words = failure if failure.exists() else job / "console"
        lines = last_words.read_text(errors="replace").strip().splitlines()
        cause = next((line for line in lines if "panic" in line), lines[-1] if lines else "it said nothing")
        raise UserModeLinuxError(f"the guest stopped before the command ended: {cause}") from error


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line's command in a guest."""
    parser = argparse.ArgumentParser(prog="user_mode_linux", description=(__doc__ or "").splitlines()[0])
    parser.add_argument("-m", "--memory", type=int, default=512, metavar="MEGABYTES")
    parser.add_argument("-t", "--time-limit", type=float, default=120, metavar="SECONDS")
    parser.add_argument("-w", "--shared", type=Path, action="append", default=[], metavar="DIRECTORY")
    parser.add_argument("-k", "--modules", default=" ".join(MODULES))
    parser.add_argument("command", nargs="+")
    options = parser.parse_args(arguments)

    def write(text: str) -> None:
        sys.stdout.write(text)
        sys.stdout.flush()

    try:
        result = run(
            options.command,
            memory_megabytes=options.memory,
            limit_seconds=options.time_limit,
            shared=options.shared,
            modules=options.modules.split(),
            on_output=write,
        )
    except UserModeLinuxError as error:
        print(f"user_mode_linux: {error}", file=sys.stderr)
        return 125
    return result.status


if __name__ == "__main__":
    # Whoever ends us ends the guest.
    signal.signal(signal.SIGTERM, lambda number, _: sys.exit(128 + number))
    sys.exit(main())
