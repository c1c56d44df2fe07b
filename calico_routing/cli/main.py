"""The command `pybgp-node`; loads only what the chosen subcommand needs."""

from __future__ import annotations

import argparse
import sys
from typing import TYPE_CHECKING

from calico_routing.cli.exit_codes import HELP

if TYPE_CHECKING:
    from collections.abc import Sequence

COMMANDS = ("run", "status", "explain", "install-cni", "check", "sim")
DEFAULT_COMMAND = "run"
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
    explain.add_argument("prefix", metavar="PREFIX", help="such as 192.168.1.0/26")
    explain.add_argument("-o", "--output", choices=("text", "json"), default="text", help="form of the answer")
    explain.add_argument("--socket", metavar="PATH", help="the agent's control socket (default: control.socket)")
    _add(commands, "check", "check a configuration file and say what is wrong where")
    install = commands.add_parser("install-cni", help="install the CNI plugins and their configuration")
    _add_install_options(install)
    _add_simulation_options(commands.add_parser("sim", help="simulate a network of speakers in virtual time"))
    return parser


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
    if options.command == "status":
        from calico_routing.cli.status import status  # noqa: PLC0415 - each command loads its own part only

        return status(options)
    if options.command == "explain":
        from calico_routing.cli.explain import explain  # noqa: PLC0415 - as above

        return explain(options)
    if options.command == "check":
        from calico_routing.cli.check import check  # noqa: PLC0415 - as above

        return check(options)
    if options.command == "install-cni":
        from calico_routing.cli.install_cni import install_cni  # noqa: PLC0415 - as above

        return install_cni(options)
    if options.command == "sim":
        from calico_routing.cli.simulate import simulate  # noqa: PLC0415 - as above

        return simulate(options)
    from calico_routing.cli.run import run  # noqa: PLC0415 - as above

    return run(options)


if __name__ == "__main__":
    sys.exit(main())
