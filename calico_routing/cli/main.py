"""The command `pybgp-node`; loads only what the chosen subcommand needs."""

from __future__ import annotations

import argparse
import errno
import os
import sys
from importlib import import_module
from typing import TYPE_CHECKING

from calico_routing.cli.complaint import complain
from calico_routing.cli.exit_codes import HELP, ExitCode

if TYPE_CHECKING:
    from collections.abc import Sequence

#: Each command, and the function that does it; its module is loaded when it is asked for.
COMMANDS = {
    "run": "calico_routing.cli.run.run",
    "status": "calico_routing.cli.status.status",
    "routes": "calico_routing.cli.routes.routes",
    "peers": "calico_routing.cli.peers.peers",
    "peer": "calico_routing.cli.peers.peer",
    "monitor": "calico_routing.cli.monitor.monitor",
    "history": "calico_routing.cli.monitor.history",
    "explain": "calico_routing.cli.explain.explain",
    "policy": "calico_routing.cli.dry_run.policy",
    "mrt-dump": "calico_routing.cli.mrt_dump.mrt_dump",
    "reload": "calico_routing.cli.peer_command.reload",
    "enable": "calico_routing.cli.peer_command.peer_command",
    "disable": "calico_routing.cli.peer_command.peer_command",
    "refresh": "calico_routing.cli.peer_command.peer_command",
    "reset": "calico_routing.cli.peer_command.peer_command",
    "install-cni": "calico_routing.cli.install_cni.install_cni",
    "check": "calico_routing.cli.check.check",
    "sim": "calico_routing.cli.simulate.simulate",
}
DEFAULT_COMMAND = "run"
#: What only writing can meet with.
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)
LOG_LEVELS = ("debug", "info", "warning", "error")


class _Version(argparse.Action):
    """Prints the version; looking it up costs time that other commands need not spend."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        """Print and leave."""
        from importlib.metadata import version  # noqa: PLC0415 - see above

        print(f"pybgp-node {version('pybgp')}")
        parser.exit()


def build_parser() -> argparse.ArgumentParser:
    """Return the command line's grammar."""
    parser = argparse.ArgumentParser(
        prog="pybgp-node",
        description="A Calico node's routing agent, or a plain BGP router: peers over BGP and writes kernel routes.",
        epilog=HELP,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version")
    commands = parser.add_subparsers(dest="command", metavar=" | ".join(COMMANDS))
    run = _add(commands, "run", "run the agent (the default)")
    run.add_argument("--log-level", choices=LOG_LEVELS, help="how much is logged (default: log.level, info)")
    run.add_argument("--log-format", choices=("console", "json"), help="lines for people or JSON (default: log.format)")
    status = _add(commands, "status", "show the peers of the running agent")
    status.add_argument("-o", "--output", choices=("table", "json"), default="table", help="form of the answer")
    status.add_argument("--socket", metavar="PATH", help="the agent's control socket (default: control.socket)")
    explain = _add(commands, "explain", "say why a prefix is routed as it is, and what each peer hears of it")
    explain.add_argument("prefix", metavar="PREFIX", help="such as 192.168.1.0/26; or an address, for what leads to it")
    explain.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the answer")
    explain.add_argument("--socket", metavar="PATH", help="the agent's control socket (default: control.socket)")
    _add_daemon_commands(commands)
    _add(commands, "check", "check a configuration file and say what is wrong where")
    install = commands.add_parser("install-cni", help="install the CNI plugins and their configuration")
    _add_install_options(install)
    _add_simulation_options(commands.add_parser("sim", help="simulate a network of speakers in virtual time"))
    return parser


def _add_daemon_commands(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Add what looks into a running daemon, and what root may tell it."""
    routes = _ask(commands, "routes", "list the routes in use, or those of a peer")
    routes.add_argument("prefix", metavar="PREFIX", nargs="?", help="this prefix alone, or the one for an address")
    routes.add_argument("--family", metavar="FAMILY", help="such as ipv6-unicast (default: all)")
    side = routes.add_mutually_exclusive_group()
    side.add_argument("--received", metavar="PEER", help="what this peer (name or address) sent, rejected routes too")
    side.add_argument("--sent", metavar="PEER", help="what this peer (name or address) was sent")
    routes.add_argument("--longer", action="store_true", help="everything inside PREFIX")
    routes.add_argument("--rejected", action="store_true", help="only what was rejected, and why")
    _ask(commands, "peers", "list the peers")
    peer = _ask(commands, "peer", "show everything about one peer")
    peer.add_argument("peer", metavar="PEER", help="name or address")
    monitor = _ask(commands, "monitor", "tell what happens, as lines of JSON, until interrupted", output="json")
    monitor.add_argument(
        "--view",
        action="append",
        choices=("pre", "post", "loc", "out"),
        help="routes as received, behind import policy, chosen (the default), as each peer is told",
    )
    history = _ask(commands, "history", "tell what changed lately, when, and because of whom")
    whose = history.add_mutually_exclusive_group()
    whose.add_argument("prefix", metavar="PREFIX", nargs="?", help="of this prefix alone")
    whose.add_argument("--peer", metavar="PEER", help="what a peer caused, its session, and what leads to it")
    policy = _ask(commands, "policy", "tell what other policies would change, without a change (root only)")
    policy.add_argument(
        "--dry-run", metavar="FILE", required=True, help="[policy] and [prefix_set] tables, or a whole configuration"
    )
    dump = _ask(commands, "mrt-dump", "write the tables into an MRT file, on the machine of the daemon (root only)")
    dump.add_argument("file", metavar="FILE", help="replaced once the new one is whole")
    dump.add_argument(
        "--family", action="append", metavar="FAMILY", help="such as ipv6-unicast (default: mrt.families)"
    )
    reload = _ask(commands, "reload", "read policies, peers and networks again, as SIGHUP does (root only)")
    reload.add_argument("--dry-run", action="store_true", help="only tell what would change")
    for name, text in (
        ("enable", "let a peer come up that was disabled"),
        ("disable", "end a peer's session and keep it down"),
        ("reset", "end a peer's session; it comes back"),
        ("refresh", "exchange routes again without a reset"),
    ):
        command = _ask(commands, name, f"{text} (root only)")
        command.add_argument("peer", metavar="PEER", help="name or address")
        if name in {"disable", "reset"}:
            command.add_argument("--message", metavar="TEXT", default="", help="told to the peer (RFC 9003)")
        elif name == "refresh":
            command.add_argument(
                "--direction", choices=("in", "out", "both"), default="both", help="whose routes (default: both)"
            )


def _ask(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str, *, output: str = "table"
) -> argparse.ArgumentParser:
    """Add a command that asks the daemon."""
    command = _add(commands, name, text)
    command.add_argument(
        "-o", "--output", choices=("table", "json"), default=output, help="form of the answer (default: %(default)s)"
    )
    command.add_argument("--socket", metavar="PATH", help="the agent's control socket (default: control.socket)")
    return command


def _add(
    commands: argparse._SubParsersAction[argparse.ArgumentParser], name: str, text: str
) -> argparse.ArgumentParser:
    command = commands.add_parser(
        name, help=text, description=text, epilog=HELP, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    command.add_argument("-c", "--config", metavar="FILE", help="configuration file (default: /etc/pybgp/node.toml)")
    return command


def _add_install_options(install: argparse.ArgumentParser) -> None:
    install.add_argument("-c", "--config", metavar="FILE", help="configuration file (default: /etc/pybgp/node.toml)")
    install.add_argument("--bin-dir", default="/opt/cni/bin", help="where the plugins go (default: %(default)s)")
    install.add_argument("--conf-dir", default="/etc/cni/net.d", help="where the conflist goes (default: %(default)s)")


def _add_simulation_options(simulation: argparse.ArgumentParser) -> None:
    simulation.description = (
        "Simulate a network of speakers in virtual time and print what happens; see docs/simulator.md."
    )
    simulation.add_argument("topology", metavar="TOPOLOGY", help="a TOML file: nodes, links, events")
    simulation.add_argument("--seed", type=int, default=0, help="decides everything random (default: %(default)s)")
    simulation.add_argument("--until", metavar="30s", help="when to end (default: duration of the file, 60s)")
    for action, example, text in (
        ("kill", "NODE@10s", "end the process of a node"),
        ("start", "NODE@20s", "start it again"),
        ("cut", "NODE:NODE@10s", "let nothing through a link"),
        ("heal", "NODE:NODE@20s", "let everything through again"),
    ):
        simulation.add_argument(f"--{action}", action="append", default=[], metavar=example, help=text)
    simulation.add_argument("-o", "--output", choices=("text", "json"), default="text", help="lines for people or JSON")


def with_command(arguments: Sequence[str]) -> list[str]:
    """Put the default command in front unless one is named."""
    if arguments and (arguments[0] in COMMANDS or arguments[0] in {"-h", "--help", "--version"}):
        return list(arguments)
    return [DEFAULT_COMMAND, *arguments]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command and return its exit status."""
    options = build_parser().parse_args(with_command(sys.argv[1:] if arguments is None else arguments))
    module, _, name = COMMANDS[options.command].rpartition(".")
    try:
        status = int(getattr(import_module(module), name)(options))
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever reads us, `head` perhaps, has seen enough; nothing may be flushed to it at the end.
        _write_no_more()
        return 0
    except OSError as error:
        if error.errno not in FULL:
            raise
        _write_no_more()
        return complain(f"standard output: {error.strerror}", ExitCode.FAILURE)
    return status


def _write_no_more() -> None:
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


if __name__ == "__main__":
    sys.exit(main())
