"""Clusters: a Ray node that is killed in mid-run, a Slurm job whose command is killed."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import slurm_cluster
from pipeline import askqa, command, tree

pytestmark = pytest.mark.timeout(1800)


def written(calm: Path, folder: Path) -> Path:
    parts = shutil.ignore_patterns("speech", "parts", "release", "speech-*", "parts-*")
    return Path(shutil.copytree(calm, folder, ignore=parts))


def scores(release: Path, out: Path, *options: str, env: dict[str, str] | None = None) -> object:
    """What an evaluation of the release finds; not how it was run, and how long it took."""
    evaluate = ("evaluate", release, "--split", "train", "--model", "oracle-text")
    subprocess.run(command(*evaluate, "--quiet", "--out", out, *options), env=env, check=True)
    predictions = map(json.loads, (out / "predictions.jsonl").read_text().splitlines())
    said = [{name: p[name] for name in p if name != "seconds"} for p in predictions]
    return said, (out / "items.jsonl").read_bytes(), (out / "scores.json").read_bytes()


def wait_for(ready: Callable[[], object], process: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + 300
    while not ready():
        assert process.poll() is None, "the command ended before it could be disturbed"
        assert time.monotonic() < until, "the command never came so far"
        time.sleep(0.02)


def test_a_ray_node_killed_in_mid_run(calm: Path, tmp_path: Path) -> None:
    pytest.importorskip("ray")
    import ray_cluster

    build = written(calm, tmp_path / "build")
    with ray_cluster.two_nodes() as nodes:
        ray = {"env": nodes.environment, "check": True}
        process = subprocess.Popen(
            command("synthesize", build, "--engine", "ray"), env=nodes.environment
        )
        # both nodes have work in hand: shards are being written
        wait_for(lambda: len(list((build / "speech").glob(".*.parquet.*.tmp"))) >= 2, process)
        nodes.kill()
        assert process.poll() is None, "it was in mid-run"
        assert process.wait(600) == 0
        subprocess.run(command("release", build, "--version", "1.0.0", "--engine", "ray"), **ray)
        fresh = tmp_path / "fresh"
        subprocess.run(
            command(
                *("generate", "--source", "sample", "--shard-size", "4", "--count", "30"),
                *("--out", fresh, "--engine", "ray"),
            ),
            **ray,
        )
        there = scores(
            *(build / "release", tmp_path / "there", "--engine", "ray"), env=nodes.environment
        )
    assert there == scores(build / "release", tmp_path / "here")
    with_rubbish = {name for name in tree(build) if name.endswith(".tmp")}
    assert {n: d for n, d in tree(build).items() if n not in with_rubbish} == tree(calm)
    assert tree(fresh / "dialogues") == tree(calm / "dialogues")


def test_a_slurm_command_killed_in_mid_run(
    calm: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a real Slurm; the orphaned tasks are cancelled by the next command."""
    if reason := slurm_cluster.missing():
        pytest.skip(reason)
    build = written(calm, tmp_path / "a build")
    slurm = ("--engine", "slurm", "--workers", "2")
    with slurm_cluster.running() as environment:
        monkeypatch.setenv("SLURM_CONF", environment["SLURM_CONF"])
        process = subprocess.Popen(command("synthesize", build, *slurm), start_new_session=True)
        wait_for(lambda: list((build / "speech").glob("*.receipt.json")), process)
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
        askqa("synthesize", build, *slurm)
        askqa("release", build, "--version", "1.0.0", *slurm)
        there = scores(build / "release", tmp_path / "there", *slurm)
    assert there == scores(build / "release", tmp_path / "here")
    assert tree(build) == tree(calm)
