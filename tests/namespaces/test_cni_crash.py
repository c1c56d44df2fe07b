"""A failure or a SIGKILL at every single step of ADD and DEL: afterwards one DEL leaves nothing behind."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.calico_routing.cni.runtime import Attachment, PluginError
from tests.calico_routing.cni.testbed import NodeBed, Pod, needs_root, one_node

pytestmark = [pytest.mark.namespaces, needs_root]
ROOT = Path(__file__).parents[2]
SIGKILLED = -9


@pytest.fixture
def nodes(tmp_path: Path) -> Iterator[list[NodeBed]]:
    """Two clusters of one node that has its block already, so that every ADD takes the same steps."""
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
    with one_node(tmp_path / "one") as one, one_node(tmp_path / "two") as two:
        for node in (one, two):
            first = node.bed.pod("first")
            node.runtime.add(first.attachment)
            delete(node, first)
        yield [one, two]


@pytest.fixture
def node(nodes: list[NodeBed]) -> NodeBed:
    """The first of them."""
    return nodes[0]


def at_every_step(nodes: list[NodeBed], label: str, steps: int, attempt: Callable[[NodeBed, Pod, int], None]) -> None:
    """Make an attempt for each step, on all nodes at the same time, each with a pod of its own."""
    left = iter(range(1, steps + 1))

    def work(node: NodeBed) -> None:
        pod = node.bed.pod(label)
        for step in left:
            attempt(node, pod, step)
            assert_nothing_is_left(node, pod, f"step {step} of {steps}")

    with ThreadPoolExecutor(len(nodes)) as pool:
        list(pool.map(work, nodes))


def faulty(node: NodeBed, command: str, attachment: Attachment, fault: str) -> subprocess.CompletedProcess[bytes]:
    """The plugin with a fault; never a clean run by accident."""
    runtime = node.runtime
    config = runtime.derive(runtime.conflist["plugins"][0], attachment.capabilities, None)
    code = f"import sys; sys.path.append({str(ROOT)!r}); from runpy import run_module; "
    code += "run_module('tests.namespaces.cni_faults', run_name='__main__')"
    return subprocess.run(
        ["nsenter", f"--net={node.namespace.path}", sys.executable, "-IS", "-c", code],
        input=json.dumps(config).encode(),
        env=runtime.environment(command, attachment) | {"CNI_FAULT": fault},
        capture_output=True,
        check=False,
        timeout=60,
    )


def delete(node: NodeBed, pod: Pod) -> None:
    config = node.runtime.derive(node.runtime.conflist["plugins"][0], {}, None)
    assert node.runtime.execute("DEL", "calico", config, pod.attachment) == ""


def assert_nothing_is_left(node: NodeBed, pod: Pod, where: str) -> None:
    assert node.bed.leftovers() == [], where
    assert pod.namespace.link("eth0") is None, where


def steps_of(node: NodeBed, command: str, pod: Pod) -> int:
    process = faulty(node, command, pod.attachment, "count")
    assert process.returncode == 0, process
    return int(process.stderr.split()[-1])


def steps_of_add(node: NodeBed) -> int:
    pod = node.bed.pod("counted")
    steps = steps_of(node, "ADD", pod)
    delete(node, pod)
    return steps


def test_add_fails_at_every_step(nodes: list[NodeBed]) -> None:
    steps = steps_of_add(nodes[0])
    assert steps > 20
    tolerated = []

    def attempt(node: NodeBed, pod: Pod, step: int) -> None:
        process = faulty(node, "ADD", pod.attachment, f"fail:{step}")
        if process.returncode == 0:
            tolerated.append(step)
            delete(node, pod)
        else:
            assert json.loads(process.stdout)["code"] >= 5, process

    at_every_step(nodes, "failing", steps, attempt)
    assert len(tolerated) <= 3, "the lock and two settings are good to have; the rest is needed"


@pytest.mark.parametrize("kind", ["kill", "kill-after"])
def test_add_is_killed_at_every_step(kind: str, nodes: list[NodeBed]) -> None:
    def attempt(node: NodeBed, pod: Pod, step: int) -> None:
        process = faulty(node, "ADD", pod.attachment, f"{kind}:{step}")
        assert process.returncode == SIGKILLED, f"step {step}"
        delete(node, pod)

    at_every_step(nodes, "killed", steps_of_add(nodes[0]), attempt)


def test_add_after_a_killed_add_of_the_same_container(nodes: list[NodeBed]) -> None:
    """Without a DEL between: what is half done is taken over, what was answered is an error."""

    def attempt(node: NodeBed, pod: Pod, step: int) -> None:
        faulty(node, "ADD", pod.attachment, f"kill:{step}")
        complete = bool(node.bed.endpoints())
        try:
            node.runtime.add(pod.attachment)
        except PluginError as error:
            assert complete, f"step {step}: {error}"
        else:
            node.runtime.check(pod.attachment)
            assert len(node.bed.allocated()) == 1, f"step {step}"
        delete(node, pod)

    at_every_step(nodes, "again", steps_of_add(nodes[0]), attempt)


@pytest.mark.parametrize("kind", ["kill", "kill-after", "fail"])
def test_delete_is_disturbed_at_every_step(kind: str, nodes: list[NodeBed]) -> None:
    pod = nodes[0].bed.pod("counted")
    nodes[0].runtime.add(pod.attachment)
    steps = steps_of(nodes[0], "DEL", pod)
    assert steps > 5

    def attempt(node: NodeBed, pod: Pod, step: int) -> None:
        node.runtime.add(pod.attachment)
        faulty(node, "DEL", pod.attachment, f"{kind}:{step}")
        delete(node, pod)

    at_every_step(nodes, "deleted", steps, attempt)


@pytest.mark.parametrize("kind", ["kill", "fail"])
def test_a_disturbed_stale_delete_never_harms_the_new_container(kind: str, node: NodeBed) -> None:
    old, new = node.bed.pod("same"), node.bed.pod("same")
    node.runtime.add(old.attachment)
    node.runtime.add(new.attachment)
    for step in range(1, steps_of(node, "DEL", old) + 1):
        faulty(node, "DEL", old.attachment, f"{kind}:{step}")
        node.runtime.check(new.attachment)
    delete(node, old)
    node.runtime.check(new.attachment)
    delete(node, new)
    assert_nothing_is_left(node, new, "after all")
