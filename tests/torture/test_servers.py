"""Language-model and speech servers that die in the middle, over and over."""

from __future__ import annotations

import random
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from openai_server import OpenAIServer, Script
from pipeline import askqa, command, tree
from scripted_models import good_model, write_stories
from speech_server import VOICES, speak

pytestmark = pytest.mark.timeout(1800)


def made(folder: Path) -> dict[str, str]:
    return {name: digest for name, digest in tree(folder).items() if not name.startswith("cache/")}


def at(port: int, script: Script) -> OpenAIServer:
    server = OpenAIServer(script, latency_s=0.02)
    server.port = port  # the address is part of what a build was made with
    return server


def tortured(
    script: Script, port: int, arguments: tuple[str | Path, ...], chance: random.Random
) -> tuple[int, int]:
    """Run a command until it ends well, with a server that dies after some requests each time.

    Returns how often the server died under it, and how many requests were paid in all.
    """
    deaths = paid = 0
    while True:
        with at(port, script) as server:
            process = subprocess.Popen(
                command(*arguments), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
            last = chance.randint(10, 80)
            while process.poll() is None and server.paid < last:
                time.sleep(0.005)
        paid += server.paid
        said = process.communicate()[1].strip()
        if process.returncode == 0:
            return deaths, paid
        deaths += 1
        assert process.returncode == 1, said
        assert len(said.splitlines()) == 1, said


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
    deaths, paid = tortured(
        good_model, server.port, arguments(build, server.base_url), random.Random(1)
    )
    assert deaths >= 2
    assert paid <= server.paid + deaths * 4, "only what was in flight is paid again"
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
    deaths, paid = tortured(speak, server.port, arguments(build, server.base_url), random.Random(2))
    assert deaths >= 2
    assert paid <= server.paid + deaths * 4, "only what was in flight is paid again"
    assert made(build) == made(undisturbed)
