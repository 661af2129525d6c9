"""The recording of one shard: what is kept of it."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from askqa_builder.clips import ClipWriter
from askqa_builder.errors import RefusedTextError
from askqa_builder.journal import Journal
from askqa_builder.schema import Dialogue, Provenance, Reading, Speaker, SpokenDialogue, Turn
from askqa_builder.studio import Studio
from askqa_builder.voices import Speech
from askqa_builder.voices.espeak import EspeakVoices


class Shy(EspeakVoices):
    """An engine that will not talk of mottoes."""

    def speak(self, text: str, speaker: Speaker) -> Speech:
        if "motto" in text:
            raise RefusedTextError(f"cannot say {text!r}")
        return super().speak(text, speaker)


def dialogue(question: str) -> Dialogue:
    return Dialogue(
        id=question,
        passage_id="p",
        group="g",
        split="train",
        passage="It was adopted in 1895.",
        turns=(
            Turn(role="user", act="question", text=question),
            Turn(role="assistant", act="answer", text="In 1895."),
        ),
        ambiguous=False,
        readings=(Reading(question=question, answers=("1895",)),),
        provenance=Provenance(source="s", license="cc0-1.0", writer="w", writer_version="1"),
    )


@pytest.mark.parametrize(
    ("questions", "clips"),
    [
        (["When was the motto adopted?"], 0),
        (["When was the motto adopted?", "When was the flower adopted?"], 3),
        (["When was the flower adopted?", "When was the song adopted?"], 5),
    ],
)
def test_a_narration_counts_once_and_only_where_a_dialogue_is_left(
    tmp_path: Path, questions: list[str], clips: int
) -> None:
    engine = Shy()
    with Journal(tmp_path / "scratch") as journal, ClipWriter(io.BytesIO()) as writer:
        studio = Studio(
            {"narrator": engine, "user": engine, "assistant": engine}, 0, writer, None, journal
        )
        made = list(studio.record([dialogue(question) for question in questions]))
    spoken = [item for item in made if isinstance(item, SpokenDialogue)]
    heard = {
        clip.key: round(clip.duration_s * 1000)
        for one in spoken
        for clip in (*one.narration, *(turn.clip for turn in one.turns))
    }
    assert len(made) == len(questions)
    assert studio.counts["clips"] == len(heard) == clips
    assert studio.counts["milliseconds"] == sum(heard.values())
