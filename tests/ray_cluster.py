"""A Ray cluster of two nodes with a core each, on 127.0.0.1 alone, for tests and benchmarks.

    python tests/ray_cluster.py      prints its address; then reads a line: `kill` ends the second
                                     node at once, `add` starts another, the end of the input all

Nodes that `ray start` makes would listen on every interface of the machine.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

LOOPBACK = {
    "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # its name for "listen on the loopback alone"
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "disabled",
}


class Nodes:
    """The cluster, in a process of its own."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, __file__],
            env=os.environ | LOOPBACK,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            self.address = self._answer()
        except RuntimeError:
            self.close()
            raise

    @property
    def environment(self) -> dict[str, str]:
        """For commands that use the cluster."""
        return os.environ | LOOPBACK | {"RAY_ADDRESS": self.address}

    def kill(self) -> None:
        """Kill the second node with all that runs on it."""
        self._tell("kill")

    def add(self) -> None:
        self._tell("add")

    def close(self) -> None:
        with self._process:  # closes its input, which ends it
            pass

    def _tell(self, word: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(word + "\n")
        self._process.stdin.flush()
        self._answer()

    def _answer(self) -> str:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            if line.startswith("cluster: "):
                return line.removeprefix("cluster: ").strip()
        raise RuntimeError("the Ray cluster did not start")


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    for left in (2, 1, 0):
        try:
            nodes = Nodes()
            break
        except RuntimeError:  # Ray gives its nodes 30 s to start, whatever else the machine does
            if not left:
                raise
    try:
        yield nodes
    finally:
        nodes.close()


def main() -> None:
    from ray.cluster_utils import Cluster

    node = {"num_cpus": 1, "node_ip_address": "127.0.0.1", "object_store_memory": 200 * 2**20}
    cluster = Cluster(initialize_head=True, head_node_args=node | {"include_dashboard": False})
    second = cluster.add_node(**node)
    cluster.wait_for_nodes()
    print(f"cluster: {cluster.address}", flush=True)
    for word in sys.stdin:
        if word.strip() == "kill":
            cluster.remove_node(second, allow_graceful=False)
        else:
            second = cluster.add_node(**node)
        print("cluster: done", flush=True)
    cluster.shutdown()


if __name__ == "__main__":
    sys.path.remove(str(Path(__file__).parent))  # its modules are no part of what Ray starts
    main()
