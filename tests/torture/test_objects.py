"""A build in an object store (moto's S3 server on the loopback), under kills."""

from __future__ import annotations

import json
import random
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from pipeline import askqa, killed, tree

pytest.importorskip("s3fs")
pytest.importorskip("moto")

SECRET = "zq7-not-to-be-told"

pytestmark = pytest.mark.timeout(1800)


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    monkeypatch.setenv("AWS_ENDPOINT_URL", f"http://127.0.0.1:{port}")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "nobody")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / "mirror"))
    import s3fs

    until = time.monotonic() + 60
    while True:
        try:
            s3fs.S3FileSystem(skip_instance_cache=True).mkdir("bucket")
            break
        except Exception:
            assert time.monotonic() < until
            time.sleep(0.2)
    yield "s3://bucket/build"
    server.kill()
    server.wait()


def test_a_build_in_a_bucket_under_kills(calm: Path, tmp_path: Path, bucket: str) -> None:
    import s3fs

    release = f"{bucket}/release"
    chance = random.Random(0)
    kills = 0
    for step in (
        ("generate", "--source", "sample", "--shard-size", "4", "--count", "30", "--out", bucket),
        ("synthesize", bucket),
        ("release", bucket, "--version", "1.0.0"),
    ):
        for _ in range(3):
            kills += killed(chance.uniform(1.5, 6.0), *step)
            if chance.random() < 0.5:
                shutil.rmtree(tmp_path / "mirror", ignore_errors=True)  # another machine goes on
        askqa(*step)
    s3fs.S3FileSystem(skip_instance_cache=True).get(bucket, str(tmp_path / "got"), recursive=True)
    assert kills >= 3
    same = askqa("diff", calm / "release", release, "--json").stdout
    assert json.loads(same)["step"] == "none"
    assert tree(tmp_path / "got") == tree(calm)
    for folder in ("got", "mirror"):
        told = [p for p in (tmp_path / folder).rglob("*") if p.is_file()]
        assert told
        assert not [p for p in told if SECRET.encode() in p.read_bytes()]
