"""What it costs that nothing gets lost: fingerprints, hashes, receipts, manifests, atomic writes.

    python benchmarks/overhead.py [--passages 150]

Makes a build (generate, synthesize, release) in this process with a clock around everything that
would not be there if files were simply written: hashing, waiting for fsync, rename, receipts,
manifests, reading them back and comparing. What one of them calls of the others counts once. Of
the thread that sends what is written to the disk meanwhile, starting it and waiting for its end
count, and its processor time, which other work would have on a busy machine. The key of a clip is
not counted: it is how a narration is found that was spoken already.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import wraps
from pathlib import Path
from typing import Any

from results import result

from askqa_builder import engine, files, store
from askqa_builder.config import GenerateSettings, ReleaseSettings, SynthesizeSettings
from askqa_builder.generate import GenerateStage, generate, ingest
from askqa_builder.release.folder import release
from askqa_builder.release.parts import ReleaseStage
from askqa_builder.store import Build
from askqa_builder.synthesize import SynthesizeStage, synthesize

CLOCKED: tuple[tuple[Any, tuple[str, ...]], ...] = (
    (files, ("sha256_of",)),
    (Build, ("receipt", "current", "verified", "check_fresh", "open_stage", "close_stage")),
    (os, ("fsync",)),
    (threading.Thread, ("start", "join")),
    (Path, ("replace",)),
    (store.Receipt, ("model_dump_json", "model_validate_json")),
    *(
        (stage, ("inputs", "fingerprint"))
        for stage in (GenerateStage, SynthesizeStage, ReleaseStage)
    ),
)


class Clock:
    """Seconds by function, without those inside another clocked function."""

    def __init__(self) -> None:
        self.seconds: Counter[str] = Counter()
        self._inside = False

    def around(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def timed(*arguments: Any, **options: Any) -> Any:
            if self._inside:
                return function(*arguments, **options)
            self._inside = True
            start = time.perf_counter()
            try:
                return function(*arguments, **options)
            finally:
                self.seconds[name] += time.perf_counter() - start
                self._inside = False

        return timed


def install(clock: Clock) -> None:
    """Put the clock around every function of CLOCKED, wherever it has been imported."""
    modules = [m for name, m in sys.modules.items() if name.startswith("askqa_builder")]
    for owner, names in CLOCKED:
        for name in names:
            original = getattr(owner, name)
            timed = clock.around(f"{getattr(owner, '__name__', owner)}.{name}", original)
            setattr(owner, name, timed)
            for module in modules:
                if getattr(module, name, None) is original:
                    setattr(module, name, timed)


def clock_sending(clock: Clock) -> None:
    """Count the processor time of `fdatasync` in the thread beside."""
    send = files._SEND

    def timed(descriptor: int) -> None:
        start = time.thread_time()
        try:
            send(descriptor)
        finally:
            clock.seconds["fdatasync meanwhile, processor time"] += time.thread_time() - start

    files._SEND = timed


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--passages", type=int, default=150)
    given = parser.parse_args()
    assert engine.run_shard is not None
    clock = Clock()
    install(clock)
    clock_sending(clock)
    with tempfile.TemporaryDirectory() as folder:
        build = Build(Path(folder) / "build")
        settings = GenerateSettings(sources=(f"world:{given.passages},dialogues=2",))
        start = time.perf_counter()
        with build.locked():
            ingest(build, settings, lambda count: None)
            generate(build, settings)
            synthesize(build, SynthesizeSettings())
            release(build, ReleaseSettings(), "1.0.0")
        wall = time.perf_counter() - start
    for name, seconds in clock.seconds.most_common():
        print(f"{name:40} {seconds:7.3f} s  {100 * seconds / wall:5.2f} %")
    safety = clock.seconds.total()
    print(f"{safety:.2f} s of {wall:.1f} s")
    result("fingerprints, receipts, atomic writes", 100 * safety / wall, "% of a build", at_most=3)


if __name__ == "__main__":
    main()
