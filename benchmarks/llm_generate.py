"""The whole way of the language-model writer: throughput and memory, as the run grows.

    python benchmarks/llm_generate.py [--dialogues 16700] [--latency-ms 100] [--concurrency 100]

A scripted model behind a loopback server in a process of its own (tests/scripted_models.py)
answers everything right: about 6 replies a dialogue (plan, write, 2 solvers; 6 more for the two
readings of an ambiguous one). Prints replies per second and the memory of the writing process
while it goes, then the same for a second run that pays nothing.
"""

from __future__ import annotations

import argparse
import multiprocessing
import resource
import sys
import tempfile
import time
from multiprocessing.connection import Connection
from pathlib import Path

import results

ROOT = Path(__file__).parent.parent
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]


def serve(latency_s: float, pipe: Connection) -> None:
    """Run the server until the pipe says stop; then tell how many replies it gave."""
    from openai_server import OpenAIServer
    from scripted_models import good_model

    with OpenAIServer(good_model, latency_s=latency_s) as server:
        pipe.send(server.base_url)
        while not pipe.poll(0.5):
            server.calls = server.calls[-1:] * len(server.calls)  # it need not remember them
        pipe.send(server.paid)


def memory_mb() -> float:
    """Resident memory of this process now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize() / 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--dialogues", type=int, default=16_700)
    parser.add_argument("--latency-ms", type=float, default=100)
    parser.add_argument("--concurrency", type=int, default=100)
    options = parser.parse_args()

    from scripted_models import write_stories

    from askqa_builder.config import GenerateSettings, LlmSettings
    from askqa_builder.generate import ingest
    from askqa_builder.generate_llm import generate
    from askqa_builder.llm_session import Progress
    from askqa_builder.store import Build

    spawn = multiprocessing.get_context("spawn")
    ours, theirs = spawn.Pipe()
    server = spawn.Process(target=serve, args=(options.latency_ms / 1e3, theirs))
    server.start()
    base_url = ours.recv()
    with tempfile.TemporaryDirectory() as folder:
        source = write_stories(Path(folder) / "stories.json", options.dialogues)
        settings = GenerateSettings(sources=(source,), writer="llm", count=options.dialogues)
        llm = LlmSettings(model="m", base_url=base_url, concurrency=options.concurrency)
        build = Build(Path(folder) / "build")
        for name in ("paid", "again, from the cache"):
            with build.locked():
                ingest(build, settings, lambda count: None)
                step = max(1, options.dialogues // 10)
                began = time.monotonic()

                def tell(progress: Progress, began: float = began, step: int = step) -> None:
                    done = progress.accepted + progress.rejected
                    if done % step == 0:
                        elapsed_s = time.monotonic() - began
                        print(f"{done:>8,} candidates {elapsed_s:7.1f} s {memory_mb():7.1f} MB")

                result = generate(build, settings, llm, tell)
                elapsed_s = time.monotonic() - began
            counts = result.manifest.counts
            print(
                f"{name}: {counts['replies']:,} replies for {counts['accepted']:,} dialogues in "
                f"{elapsed_s:.1f} s: {counts['replies'] / elapsed_s:.0f} a second"
            )
            what = f"language-model writer beside a mock server, {name}"
            results.result(what, counts["replies"] / elapsed_s, "replies/s")
            (build.root / "dialogues" / "manifest.json").unlink()  # so that all is done again
    ours.send("stop")
    print(f"the server gave {ours.recv():,}")
    server.join()


if __name__ == "__main__":
    main()
