"""`pybgp-node explain`: the document of a running router, its text, and the command."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from calico_routing.cli.main import main
from calico_routing.control_client import DaemonAnswerError, ask
from calico_routing.explain_document import render_explanation, route_text
from calico_routing.kernel.interface import KernelRoute, NextHop

from .test_reload import NETWORKS, POLICY, Pair, with_pair


def test_what_a_running_router_answers(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario(routers: Pair) -> None:
        socket = str(tmp_path / "10.99.0.2.sock")
        await routers.rewrite("import_policy = 'in'\n" + POLICY.format(refused=NETWORKS[:1], mark=5))

        document = await asyncio.to_thread(ask, socket, f"explain {NETWORKS[3]}")
        (candidate,) = document["candidates"]
        assert (candidate["peer"], candidate["chosen"], candidate["source"]) == ("10.99.0.1", True, "ebgp")
        assert candidate["attributes"]["communities"] == "65000:5"
        assert "communities" not in candidate["received"]
        assert [clause["clause"] for clause in candidate["import_policy"]["clauses"]] == ["clause-2", "default"]
        assert document["exports"] == [
            {
                "peer": "10.99.0.1",
                "path_of": "",
                "path_id": None,
                "sent": None,
                "reason": "rejected by export policy",
                "export_policy": {"policy": "RouterExportPolicy", "accepted": False, "clauses": []},
            }
        ]
        assert document["kernel"] == {
            "wanted": f"{NETWORKS[3]} via 10.99.0.1 dev lan proto 12",
            "installed": f"{NETWORKS[3]} via 10.99.0.1 dev lan proto 12",
            "problem": "",
            "export_policy": None,
        }

        capsys.readouterr()
        assert await asyncio.to_thread(main, ["explain", NETWORKS[0], "--socket", socket]) == 0
        assert capsys.readouterr().out == (
            f"{NETWORKS[0]}\n"
            "    from 10.99.0.1: ebgp, rejected by import policy\n"
            "      preference=100 origin=igp as-path=64601 next-hop=10.99.0.1\n"
            "      import policy in: rejected\n"
            f"        clause clause-1 (prefix {NETWORKS[0]}: reject): reject\n"
            "  to 10.99.0.1: nothing, nothing is selected\n"
            "  kernel: no route\n"
        )
        assert await asyncio.to_thread(main, ["explain", NETWORKS[3], "--socket", socket, "-o", "json"]) == 0
        assert json.loads(capsys.readouterr().out) == document
        assert await asyncio.to_thread(main, ["explain", "10.0.0.1/8", "--socket", socket]) == 1
        assert (
            capsys.readouterr().err
            == "pybgp-node: prefix '10.0.0.1/8': 10.0.0.1/8 has host bits set; did you mean 10.0.0.0/8?\n"
        )
        assert await asyncio.to_thread(ask, socket, f"explain {NETWORKS[3].partition('/')[0]}") == document
        for address, complaint in (("192.0.2.1", "no prefix that contains it"), ("lan", "or an address expected")):
            with pytest.raises(DaemonAnswerError, match=complaint):
                await asyncio.to_thread(ask, socket, f"explain {address}")
        with pytest.raises(DaemonAnswerError, match=r"known are .*explain, .*status"):
            await asyncio.to_thread(ask, socket, "quit")

        own = await asyncio.to_thread(ask, str(tmp_path / "10.99.0.1.sock"), f"explain {NETWORKS[1]}")
        (told,) = own["exports"]
        assert (told["peer"], told["reason"], told["sent"]["as-path"]) == ("10.99.0.2", "", "64601")

    with_pair(tmp_path, scenario)


def test_the_agent_does_not_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "none.sock"
    for command in (["explain", "10.0.0.0/8"], ["peers"]):
        assert main([*command, "--socket", str(path)]) == 1
        assert capsys.readouterr() == ("", f"pybgp-node: no agent answers at {path}: No such file or directory\n")


def test_what_decided_is_told_in_words() -> None:
    candidate = {"label": "", "source": "ebgp", "rejection": "", "preference": 100, "attributes": {}}
    candidate |= {"import_policy": None, "chosen": False, "best": False, "next_hop_way": []}
    values = {"router id": (1, 2**32 - 1), "peer address": (10, (1 << 128) + 1), "AIGP": (7, 1 << 64), "MED": (1, 2)}
    losses = [{"step": step, "winner": winner, "this": this} for step, (winner, this) in values.items()]
    winners = [{**candidate, "peer": "a", "lost_at": None, "chosen": True, "best": best} for best in (True, False)]
    losers = [{**candidate, "peer": "b", "lost_at": loss} for loss in losses]
    exports = [
        {"peer": "c", "path_of": "a", "path_id": 2, "sent": {"origin": "igp"}, "reason": "", "export_policy": None}
    ]
    kernel = {"wanted": None, "installed": None, "problem": "", "export_policy": None}
    document = {"prefix": "192.0.2.0/24", "candidates": [*winners, *losers], "exports": exports, "kernel": kernel}
    lines = [line for line in render_explanation(document).splitlines() if " preference" not in line]
    assert lines == [
        "192.0.2.0/24",
        "  * from a: ebgp, chosen",
        "  * from a: ebgp, shares the traffic of the best path",
        "    from b: ebgp, lost at router id: the best path has 0.0.0.1, this one 255.255.255.255",
        "    from b: ebgp, lost at peer address: the best path has 0.0.0.10, this one ::1",
        "    from b: ebgp, lost at AIGP: the best path has 7, this one none",
        "    from b: ebgp, lost at MED: the best path has 1, this one 2",
        "  to c, path 2 of a: origin=igp",
        "  kernel: no route",
    ]


def test_kernel_routes_as_text() -> None:
    hops = (NextHop("10.0.0.1", "eth0"), NextHop("10.0.0.2", "tunl0", onlink=True))
    text = "192.0.2.0/24 via 10.0.0.1 dev eth0 nexthop via 10.0.0.2 dev tunl0 onlink proto 12"
    assert route_text(KernelRoute("192.0.2.0/24", next_hops=hops)) == text
    assert route_text(KernelRoute("192.0.2.0/24", "blackhole")) == "blackhole 192.0.2.0/24 proto 12"
    sourced = KernelRoute("2001:db8::/32", next_hops=(NextHop("fe80::1", "eth0"),), metric=1024)
    assert route_text(sourced) == "2001:db8::/32 via fe80::1 dev eth0 proto 12"
    sourced = sourced._replace(metric=50, preferred_source="2001:db8::12")
    assert route_text(sourced) == "2001:db8::/32 via fe80::1 dev eth0 proto 12 src 2001:db8::12 metric 50"


def test_losses_changes_and_problems_are_shown() -> None:
    candidate = {
        "peer": "a",
        "label": "tagged",
        "source": "ebgp",
        "chosen": False,
        "rejection": "",
        "lost_at": {"step": "MED", "winner": 1, "this": 2},
        "preference": 100,
        "attributes": {"med": "2"},
        "next_hop_way": [
            {"address": "192.0.2.1", "prefix": "192.0.2.0/24", "source": "bgp"},
            {"address": "10.0.0.1", "prefix": "10.0.0.0/24", "source": "kernel"},
        ],
        "import_policy": {
            "policy": "p",
            "accepted": True,
            "clauses": [
                {
                    "clause": "c",
                    "condition": "anything: next",
                    "verdict": "next",
                    "failure": "c: ValueError()",
                    "changes": [{"name": "med", "before": "", "after": "2"}],
                }
            ],
        },
    }
    export = {"peer": "b", "path_of": "", "sent": {"as-path": "1"}, "reason": "not sent yet", "export_policy": None}
    kernel = {"wanted": "x", "installed": None, "problem": "no such device", "export_policy": None}
    text = render_explanation({"prefix": "p/1", "candidates": [candidate], "exports": [export], "kernel": kernel})
    assert text == (
        "p/1\n"
        "    from a (tagged): ebgp, lost at MED: the best path has 1, this one 2\n"
        "      preference=100 med=2\n"
        "      next hop 192.0.2.1 by 192.0.2.0/24 (bgp), then 10.0.0.1 by 10.0.0.0/24 (kernel)\n"
        "      import policy p: accepted\n"
        "        clause c (anything: next): next, failed: c: ValueError()\n"
        "          med: none -> 2\n"
        "  to b: as-path=1 (not sent yet)\n"
        "  kernel: no route\n"
        "    wanted: x\n"
        "    refused: no such device\n"
    )
    nothing = render_explanation({"prefix": "p/1", "candidates": [], "exports": [], "kernel": kernel})
    assert "nobody announces it" in nothing
