"""Language-model and speech servers that die in the middle, over and over."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from openai_server import OpenAIServer, Script
from pipeline import askqa, command, tree
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

pytestmark = pytest.mark.timeout(1800)

Arguments = tuple[str | Path, ...]


def impatient(*arguments: str | Path) -> list[str]:
    return [sys.executable, str(Path(__file__).with_name("impatient.py")), *map(str, arguments)]


def made(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree(folder).items() if not name.startswith("cache/")}


def at(port: int, script: Script) -> OpenAIServer:
    server = OpenAIServer(script, latency_s=0.02)
    server.port = port  # the address is part of what a build was made with
    return server


@dataclass
class Deaths:
    """What a server went through until a command had ended well."""

    given_up: int = 0
    """Times that it stayed dead, and the command stopped with one line."""
    outlived: int = 0
    """Times that it was back before the command gave up."""
    paid: int = 0

    @property
    def all(self) -> int:
        return self.given_up + self.outlived


def tortured(
    script: Script, calm: OpenAIServer, arguments: Arguments, chance: random.Random
) -> Deaths:
    """Run a command until it ends well, with a server that dies after some requests each time.

    `calm` is the server that answered the undisturbed run, at the same address.
    """
    deaths = Deaths()
    while True:
        # the first that gives up has a user's patience, which takes a minute
        line = impatient(*arguments) if deaths.given_up else command(*arguments)
        process = subprocess.Popen(
            line, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        stays_dead = False
        while process.poll() is None and not stays_dead:
            last = chance.randint(1, calm.paid // 6)
            with at(calm.port, script) as server:
                while process.poll() is None and server.paid < last:
                    time.sleep(0.005)
            deaths.paid += server.paid
            if process.poll() is None:
                stays_dead = chance.random() < 0.4
                deaths.outlived += not stays_dead
                time.sleep(chance.random())
        said = process.communicate()[1].strip()
        if process.returncode == 0:
            return deaths
        deaths.given_up += 1
        assert process.returncode == 1, said
        assert len(said.splitlines()) == 1, said
        assert f"127.0.0.1:{calm.port}" in said


def test_a_language_model_that_dies_again_and_again(tmp_path: Path) -> None:
    stories = write_stories(tmp_path / "stories.json", 20)

    def arguments(folder: Path, base_url: str) -> tuple[str | Path, ...]:
        return (
            *("generate", "--writer", "llm", "--model", "m", "--count", "16", "--source", stories),
            *("--shard-size", "5", "--concurrency", "4", "--base-url", base_url, "--out", folder),
        )

    calm, build = tmp_path / "calm", tmp_path / "build"
    with OpenAIServer(good_model) as server:
        askqa(*arguments(calm, server.base_url))
    deaths = tortured(good_model, server, arguments(build, server.base_url), random.Random(1))
    print(deaths)
    assert deaths.given_up >= 3
    assert deaths.outlived >= 3
    assert deaths.paid <= server.paid + deaths.all * 4, "only what was in flight is paid again"
    assert made(build) == made(calm)


def test_a_speech_endpoint_that_dies_again_and_again(calm: Path, tmp_path: Path) -> None:
    parts = shutil.ignore_patterns("speech", "parts", "release", "speech-*", "parts-*")
    voices = [word for name in VOICES for word in ("--voice", name)]

    def arguments(folder: Path, base_url: str) -> tuple[str | Path, ...]:
        shutil.copytree(calm, folder, ignore=parts)
        return (
            *("synthesize", folder, "--voices", "openai:tts-1", "--concurrency", "4"),
            *("--base-url", base_url, *voices),
        )

    undisturbed, build = tmp_path / "undisturbed", tmp_path / "build"
    with OpenAIServer(speak) as server:
        askqa(*arguments(undisturbed, server.base_url))
    deaths = tortured(speak, server, arguments(build, server.base_url), random.Random(2))
    print(deaths)
    assert deaths.given_up >= 3
    assert deaths.outlived >= 3
    assert deaths.paid <= server.paid + deaths.all * 4, "only what was in flight is paid again"
    assert made(build) == made(undisturbed)
