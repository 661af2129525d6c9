"""Two hundred SIGKILLs at random moments, over all stages: the same bytes as undisturbed.

ASKQA_KILLS sets another number, ASKQA_SEED other moments.
"""

from __future__ import annotations

import contextlib
import os
import random
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import pytest
from cases import NAMES, Case, begun
from pipeline import askqa, command

KILLS = int(os.environ.get("ASKQA_KILLS", "200"))
SEED = os.environ.get("ASKQA_SEED", "0")
PER_RUN = 4
"""Kills before a run is left to end: it may be all but done by then."""

pytestmark = pytest.mark.timeout(3000)


def state(folder: Path) -> dict[Path, int]:
    """Sizes of what is there, half-written files among them."""
    return {path: path.stat().st_size for path in folder.rglob("*") if path.is_file()}


def workers_of(process: subprocess.Popen[bytes]) -> list[int]:
    """Process ids of the workers that a command has started."""
    found = []
    for child in Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split():
        with contextlib.suppress(FileNotFoundError):  # it has just ended
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.append(int(child))
    return found


def struck(after_s: float, whom: str, *arguments: str | Path) -> bool:
    """Start a command and kill it, all of it or a part; False if it had already ended well.

    `whom`: "all"; "main", as one kills by a process id, whose workers must not write on behind
    the next command's back; "worker", one of them, as the kernel does when memory is short.
    """
    with tempfile.TemporaryFile("w+") as errors:  # a pipe would be open as long as the workers are
        process = subprocess.Popen(
            command(*arguments),
            stdout=subprocess.DEVNULL,
            stderr=errors,
            start_new_session=True,
        )
        with contextlib.suppress(subprocess.TimeoutExpired):
            if process.wait(timeout=after_s) == 0:
                return False
            errors.seek(0)
            raise AssertionError(errors.read())
        workers = workers_of(process) if whom == "worker" else []
        if whom == "all":
            os.killpg(process.pid, signal.SIGKILL)
        else:
            with contextlib.suppress(ProcessLookupError):  # it has just ended
                os.kill(workers[-1] if workers else process.pid, signal.SIGKILL)
        process.wait()
        if workers:
            errors.seek(0)
            said = errors.read().strip()
            assert process.returncode in (0, 1), said
            assert process.returncode == 0 or "died" in said.splitlines()[-1], said
            assert "Traceback" not in said
    return True


@pytest.mark.parametrize("name", NAMES)
def test_killed_at_random_moments(cases: dict[str, Case], tmp_path: Path, name: str) -> None:
    case, chance = cases[name], random.Random(f"{SEED}:{name}")
    undisturbed = begun(case, tmp_path / "undisturbed")
    start = time.perf_counter()
    askqa(*case.command(undisturbed))
    seconds = time.perf_counter() - start
    wanted, kills, runs, at_work = -(-KILLS // len(NAMES)), 0, 0, 0
    while kills < wanted:
        folder = begun(case, tmp_path / "killed")
        for again in range(PER_RUN):
            before, start = state(folder), time.perf_counter()
            moment = chance.uniform(case.begins, 1.1) * seconds
            whom = chance.choice(("all", "all", "main", "worker"))
            if not struck(moment, whom, *case.command(folder)):
                if not again:  # the machine has more time for us than it had
                    seconds = time.perf_counter() - start
                break
            kills += 1
            at_work += state(folder) != before
        askqa(*case.command(folder))
        assert case.outcome(folder) == case.outcome(undisturbed)
        runs += 1
    print(f"{name}: {kills} kills, {at_work} at work, in {runs} runs of {seconds:.1f} s")
    assert at_work >= kills // 6, "the kills hit nothing"
