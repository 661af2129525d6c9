"""How fast, how safe and how lean the language-model client is, beside its peers.

    python benchmarks/llm_throughput.py                # speed and kills: ours, the raw openai loop
    python benchmarks/llm_throughput.py --peers        # and Curator, DataDesigner (from PyPI)
    python benchmarks/llm_throughput.py --part memory --requests 100000 --latency-ms 1

A loopback server in a process of its own answers after 100 ms; each client has 100 requests in
flight, in one process. Speed is taken on the server: replies over the seconds from the first
request to the last reply, so that start-up and saving at the end count for nobody. The second
part kills each client with SIGKILL when half of the requests are paid, runs it again on the same
folder, and counts what was paid twice. The third follows the resident memory of ours. Peers are
installed once, each in a virtual environment below `--peer-folder`. Results go to the screen and,
with `--json FILE`, to a file.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

from results import result

HERE = Path(__file__).parent
PEERS = {"curator": "bespokelabs-curator", "designer": "data-designer"}


class Server:
    """The loopback server, in a process of its own."""

    def __init__(self, latency_ms: float) -> None:
        command = [sys.executable, HERE / "llm_server.py", "--latency-ms", str(latency_ms)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        self._root = f"http://127.0.0.1:{self._process.stdout.readline().strip()}"
        self.base_url = f"{self._root}/v1"

    def __enter__(self) -> Server:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()

    def stats(self) -> dict[str, Any]:
        with urllib.request.urlopen(f"{self._root}/stats") as reply:
            facts: dict[str, Any] = json.load(reply)
        return facts

    def reset(self) -> None:
        urllib.request.urlopen(f"{self._root}/reset").close()

    def wait_until_idle(self) -> None:
        while self.stats()["open"]:
            time.sleep(0.05)


def start(
    client: str, server: Server, requests: int, folder: Path, options: argparse.Namespace
) -> subprocess.Popen[str]:
    """Start a client in a process group of its own, its words in `folder`/log."""
    python = sys.executable
    if client in PEERS:
        python = str(options.peer_folder / client / "bin" / "python")
    command = [python, HERE / "llm_clients.py", client, "--base-url", server.base_url]
    command += ["--requests", str(requests), "--concurrency", str(options.concurrency)]
    command += ["--folder", folder]
    environment = os.environ | {"PYTHONPATH": "" if client in PEERS else str(HERE.parent)}
    with (folder / "log").open("a") as log:
        return subprocess.Popen(
            command, stdout=log, stderr=log, text=True, env=environment, start_new_session=True
        )


def finish(process: subprocess.Popen[str], folder: Path, timeout_s: float) -> str | None:
    """Wait for a client; return why it failed, or None."""
    try:
        code = process.wait(timeout_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        return f"hung for {timeout_s:.0f} s"
    words = (folder / "log").read_text().strip().splitlines() or ["without a word"]
    return None if code == 0 else f"exit code {code}: {words[-1][:200]}"


def speed(client: str, server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Run a client over all requests, once."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server.reset()
        process = start(client, server, options.requests, folder, options)
        failure = finish(process, folder, 600)
        if failure is not None:
            return {"failure": failure}
        facts = server.stats()
        return {
            "requests_per_s": facts["paid"] / facts["span_s"],
            "process": (folder / "log").read_text().strip().splitlines()[-1],
        }


def kill(client: str, server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Kill a client at half, run it again, count what was paid twice."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server.reset()
        process = start(client, server, options.requests, folder, options)
        while (at_kill := server.stats())["paid"] < options.requests / 2:
            if process.poll() is not None:
                break
            time.sleep(0.002)
        if process.poll() is not None:
            return {"failure": finish(process, folder, 1) or "ended before it could be killed"}
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        server.wait_until_idle()
        failure = finish(start(client, server, options.requests, folder, options), folder, 180)
        server.wait_until_idle()
        paid = server.stats()["paid"]
        return {
            "paid_at_kill": at_kill["paid"],
            "in_flight_at_most": options.concurrency,
            "paid_again": paid - options.requests,
            "failure": failure,
        }


def memory(server: Server, options: argparse.Namespace) -> dict[str, Any]:
    """Follow our client's resident memory over many replies; fit a line to its second half."""
    samples: list[tuple[int, float]] = []
    replies = options.requests
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        server.reset()
        process = start("ours", server, replies, folder, options)
        page_mib = os.sysconf("SC_PAGE_SIZE") / 2**20
        while process.poll() is None:
            try:
                pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
            except (OSError, IndexError):
                break  # it has just ended
            samples.append((server.stats()["paid"], pages * page_mib))
            time.sleep(1)
        failure = finish(process, folder, 60)
        size_mib = sum(path.stat().st_size for path in folder.glob("llm.sqlite*")) / 2**20
    late = [(x, y) for x, y in samples if x >= replies / 2 and y > 1]
    mean_x = sum(x for x, _ in late) / len(late)
    mean_y = sum(y for _, y in late) / len(late)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in late) / sum(
        (x - mean_x) ** 2 for x, _ in late
    )
    marks = (replies // 10, replies // 2, replies)
    return {
        # the first sample at or after each mark, or the last there is
        "mib_at": {mark: next((y for x, y in samples if x >= mark), late[-1][1]) for mark in marks},
        "bytes_per_reply": slope * 2**20,
        "cache_mib": size_mib,
        "failure": failure,
    }


def install(options: argparse.Namespace) -> list[str]:
    """Install the peers that are not there yet; return those that can be run."""
    usable = []
    for peer, package in PEERS.items():
        folder = options.peer_folder / peer
        if not (folder / "bin" / "python").exists():
            print(f"installing {package} in {folder} …", flush=True)
            subprocess.run([sys.executable, "-m", "venv", folder], check=True)
            command = [folder / "bin" / "pip", "install", "-q", package]
            if subprocess.run(command).returncode != 0:
                print(f"{package} does not install here: left out")
                continue
        usable.append(peer)
    return usable


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--concurrency", type=int, default=100)
    parser.add_argument("--latency-ms", type=float, default=100.0)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", action="store_true")
    parser.add_argument(
        "--peer-folder", type=Path, default=Path(tempfile.gettempdir()) / "askqa-peers"
    )
    parser.add_argument("--part", choices=["speed", "kill", "memory"], action="append")
    parser.add_argument("--json", type=Path, metavar="FILE")
    options = parser.parse_args()

    results: dict[str, Any] = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python "
        f"{platform.python_version()}, load {os.getloadavg()[0]:.1f} at the start",
        "requests": options.requests,
        "concurrency": options.concurrency,
        "latency_ms": options.latency_ms,
    }
    print(results["machine"], flush=True)
    with Server(options.latency_ms) as server:
        parts = options.part or ["speed", "kill"]
        clients = ["ours", "raw", *(install(options) if options.peers else [])]
        if "speed" in parts:
            results["speed"] = {client: [] for client in clients}
            for _ in range(options.repeats):  # in turn, so that a noisy minute hits all alike
                for client in clients:
                    outcome = speed(client, server, options)
                    results["speed"][client].append(outcome)
                    print(f"speed {client:9} {outcome}", flush=True)
            report(results)
        if "kill" in parts:
            results["kill"] = {}
            for client in clients:
                if client != "raw":  # which keeps nothing
                    outcome = results["kill"][client] = kill(client, server, options)
                    print(f"kill  {client:9} {outcome}", flush=True)
                    report_kill(client, outcome, options)
        if "memory" in parts:
            outcome = results["memory"] = memory(server, options)
            print(f"memory of ours  {outcome}")
    if options.json is not None:
        options.json.write_text(json.dumps(results, indent=1) + "\n")


def report_kill(client: str, outcome: dict[str, Any], options: argparse.Namespace) -> None:
    """Tell what was paid twice: of runs that were killed in time and then came to their end.

    Ends the script if ours did not; a peer that did not has no row.
    """
    what = f"paid twice after a kill at half, {PEERS.get(client, 'ours')}"
    if outcome["failure"] is not None:
        if client == "ours":
            raise SystemExit(f"{what}: not measured: {outcome['failure']}")
        print(f"{what}: left out: {outcome['failure']}", flush=True)
        return
    limit = options.concurrency if client == "ours" else None
    unit = f"of {options.requests:,} requests"
    result(what, outcome["paid_again"], unit, at_most=limit)


def report(results: dict[str, Any]) -> None:
    """Print the ratios that matter: of the best run of each."""
    speeds = {
        name: max((run.get("requests_per_s", 0.0) for run in runs), default=0.0)
        for name, runs in results["speed"].items()
    }
    mine, bare = speeds["ours"], speeds["raw"]
    peers = {name: speeds[name] for name in PEERS if speeds.get(name)}
    results["share_of_raw"] = mine / bare
    print(f"ours: {mine:.0f} requests/s, {mine / bare:.2f} of the raw openai+aiohttp loop")
    what = "language-model client, 100 ms a reply"
    result(what, mine, "requests/s", peer="bare openai and aiohttp", peer_value=bare)
    if peers:
        best = max(peers, key=lambda name: peers[name])
        results["times_the_best_peer"] = mine / peers[best]
        result(what, mine, "requests/s", peer=PEERS[best], peer_value=peers[best])
        print(f"      {mine / peers[best]:.2f} times the best peer ({best})")


if __name__ == "__main__":
    main()
