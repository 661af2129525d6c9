"""`askqa-build voices`: who can speak, as a table, as JSON, and to hear."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
from pathlib import Path

import pytest
import soundfile
from openai_server import OpenAIServer
from pipeline import askqa, command, one_line
from speech_server import speak

from askqa_builder.schema import Speaker, Voice
from askqa_builder.voices import Speech, samples
from askqa_builder.voices.bank import load_bank
from askqa_builder.voices.espeak import EspeakVoices


class Few(EspeakVoices):
    """Three of the embedded speakers, under names that are not nice."""

    names = ("a/b <script>alert(1)</script>", 'q"&é', "..")

    def voices(self) -> tuple[Voice, ...]:
        bank = load_bank()
        return tuple(
            bank[place].model_copy(update={"id": name}) for place, name in enumerate(self.names)
        )

    def speak(self, text: str, speaker: Speaker) -> Speech:
        real = load_bank()[self.names.index(speaker.id)].id
        return super().speak(text, speaker.model_copy(update={"id": real}))


def test_the_embedded_voices_are_listed() -> None:
    table = askqa("voices").stdout
    assert "46 voices of espeak" in table
    listed = json.loads(askqa("voices", "espeak", "--json").stdout)
    assert [Voice.model_validate(one) for one in listed] == list(load_bank())


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_reader_that_stops_listening_ends_it_quietly(form: tuple[str, ...]) -> None:
    """As `askqa-build voices | head -1` does."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            command("voices", *form), stdout=writing, stderr=subprocess.PIPE, text=True, check=False
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_page_lets_them_be_heard(tmp_path: Path) -> None:
    page = samples.write_samples(Few(), tmp_path, "When was it opened?")
    text = page.read_text()
    assert "<script>alert" not in text
    assert "a/b &lt;script&gt;alert(1)&lt;/script&gt;" in text
    assert "“When was it opened?”" in text
    assert "http://" not in text
    assert "https://" not in text
    sounds = sorted(tmp_path.glob("*.flac"))
    assert [path.name[:4] for path in sounds] == ["001-", "002-", "003-"]
    for path in sounds:
        assert path.name in text
        assert 0.5 < soundfile.info(path).duration < 5
    rows = list(csv.DictReader(io.StringIO((tmp_path / "speakers.csv").read_text())))
    assert [row["speaker"] for row in rows] == list(Few.names)
    assert all(60 < float(row["pitch_hz"]) < 400 for row in rows)
    again = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    samples.write_samples(Few(), tmp_path, "When was it opened?")
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == again


def test_a_voice_that_cannot_be_heard_stands_on_the_page_with_the_reason(tmp_path: Path) -> None:
    with OpenAIServer(speak) as server:
        listening = (
            *("voices", "openai:tts-1", "--base-url", server.base_url),
            *("--voice", "nova", "--voice", "<b>bob</b>", "--sample", tmp_path),
        )
        assert "2 voices of openai:tts-1" in askqa(*listening).stdout
        assert server.paid == 1
        askqa(*listening)
        assert server.paid == 1, "a sample is paid once, too"
    page = (tmp_path / "index.html").read_text()
    assert "refused_by_engine" in page
    assert "none of alloy" in page
    assert "<b>bob" not in page
    assert len(list(tmp_path.glob("*.flac"))) == 1


def test_bad_input_is_one_line(tmp_path: Path) -> None:
    assert "unknown engine 'kazoo'" in one_line("voices", "kazoo")
    assert "no such folder" in one_line("voices", "coqui:/nowhere")
    assert "no letters or digits" in one_line("voices", "--sample", tmp_path, "--text", "?!")
