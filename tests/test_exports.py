"""Exports, each read back by the neighbour's own reader where it is installed."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
import soundfile
from tiny_release import HOSTILE, dialogue, write_release

from askqa_builder.errors import ReleaseError, SettingsError
from askqa_builder.generate import dialogue_of
from askqa_builder.release.exports import EXPORTS, export
from askqa_builder.schema import Dialogue, Passage, Reject
from askqa_builder.sources.sdialog import read_sdialog


@pytest.fixture(scope="module")
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two dialogues on one passage in train, a hostile one in test."""
    hostile = dialogue(f"x/{HOSTILE}", passage="p/2", ambiguous=True, title=HOSTILE)
    for turn in hostile["turns"]:
        turn |= {"text": f"{turn['text']} {HOSTILE}", "words": []}
    rows = {"train": [dialogue("d1"), dialogue("d22", ambiguous=True)], "test": [hostile]}
    return write_release(tmp_path_factory.mktemp("release") / "r", rows)


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.parametrize("to", EXPORTS)
def test_an_export_is_whole_or_not_there(release: Path, tmp_path: Path, to: str) -> None:
    seen: list[int] = []
    done = export(release, to, tmp_path / "out", progress=seen.append)
    assert done.dialogues == 3
    assert seen == [1, 2, 3]
    assert done.clips == len(list((tmp_path / "out").rglob("audio/*")))
    about = (tmp_path / "out" / "ABOUT.txt").read_text()
    assert "tiny 1.2.3" in about
    assert "cc0-1.0" in about
    with pytest.raises(SettingsError, match="is there already"):
        export(release, to, tmp_path / "out")
    cut = write_release(tmp_path / "cut", {"train": [dialogue("d1")]})
    manifest = json.loads((cut / "manifest.json").read_text())
    manifest["rows"]["dialogues"]["train"] = 2
    (cut / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(ReleaseError, match="holds 1 dialogues, its manifest says 2"):
        export(cut, to, tmp_path / "half")
    assert not (tmp_path / "half").exists()
    assert (
        export(release, to, tmp_path / "half").dialogues == 3
    )  # the rest of a failed one is no harm


def test_an_unknown_form_names_the_known_ones(release: Path, tmp_path: Path) -> None:
    with pytest.raises(SettingsError, match="ms-swift"):
        export(release, "excel", tmp_path / "out")


@pytest.mark.parametrize("to", ["ms-swift", "llama-factory"])
def test_chat_lines_have_as_many_tags_as_sounds(release: Path, tmp_path: Path, to: str) -> None:
    out = tmp_path / "out"
    # two segments of narration for each of the two passages; the assistant is not heard
    assert export(release, to, out).clips == 2 + 1 + 2 + 2 + 2
    chats = lines(out / "train.jsonl") + lines(out / "test.jsonl")
    for chat in chats:
        contents = [message["content"] for message in chat["messages"]]
        assert "".join(contents).count("<audio>") == len(chat["audios"])
        roles = [message["role"] for message in chat["messages"]]
        assert roles == ["system", *["user", "assistant"] * (len(roles) // 2)]
        for path in chat["audios"]:
            assert Path(path).is_absolute() == (to == "ms-swift")
            assert soundfile.info(str(out / path)).samplerate == 16_000
    assert [message["content"] for message in chats[1]["messages"]][1:] == [
        "<audio><audio><audio>",
        "Which one, the mill or the bakery?",
        "<audio>",
        "1901.",
    ]
    if to == "llama-factory":
        info = json.loads((out / "dataset_info.json").read_text())
        assert info["askqa_train"]["file_name"] == "train.jsonl"


def test_nemo_lines_have_a_sound_a_duration_and_a_text(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = export(release, "nemo", out)
    entries = lines(out / "train_manifest.json") + lines(out / "test_manifest.json")
    assert len(entries) == done.clips == 2 + 2 + 4 + 2 + 4  # each narration once
    for entry in entries:
        assert len(entry["audio_filepath"]) < 255  # NeMo resolves no longer relative path
        assert "/" in entry["audio_filepath"]
        found = soundfile.info(str(out / entry["audio_filepath"]))
        assert entry["duration"] == pytest.approx(found.duration, abs=1e-3)
        assert entry["text"]
        # names that NeMo's parser gives a meaning of its own
        assert not {"context", "question", "answer", "task", "offset"} & entry.keys()


def test_lhotse_reads_recordings_supervisions_and_word_times(release: Path, tmp_path: Path) -> None:
    lhotse = pytest.importorskip("lhotse")
    out = tmp_path / "out"
    done = export(release, "lhotse", out)
    recordings = lhotse.RecordingSet.from_file(out / "train_recordings.jsonl")
    supervisions = lhotse.SupervisionSet.from_file(out / "train_supervisions.jsonl")
    test = lhotse.RecordingSet.from_file(out / "test_recordings.jsonl")
    assert len(list(recordings)) + len(list(test)) == done.clips
    lhotse.validate_recordings_and_supervisions(recordings, supervisions)
    cuts = lhotse.CutSet.from_manifests(recordings=recordings, supervisions=supervisions)
    for cut in cuts:
        (supervision,) = cut.supervisions
        assert cut.load_audio().shape == (1, cut.num_samples)
        words = [item.symbol for item in supervision.alignment["word"]]
        assert words == supervision.text.split()
    asked = [s for s in supervisions if s.custom["act"] == "clarifying_question"]
    assert [(s.speaker, s.text, s.custom["dialogue_id"]) for s in asked] == [
        ("assistant-voice", "Which one, the mill or the bakery?", "d22")
    ]


def test_kimi_lines_hold_one_sound_before_the_answer(release: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert export(release, "kimi-audio", out).clips == 3
    items = lines(out / "askqa_train.jsonl")
    assert [item["index"] for item in items] == [0, 1]
    assert [item["subset"] for item in items] == ["unambiguous", "ambiguous"]
    assert [item["answer"] for item in items] == ["1887", "1901"]
    assert items[1]["audio_content"] == "When did the bakery open?"
    seconds = [soundfile.info(item["audio_path"]).duration for item in items]
    narrated = 1.0 + 1.25
    assert seconds[0] == pytest.approx(narrated + 0.52 + 0.2 + 0.35 + 1.2, abs=0.05)
    assert seconds[1] > seconds[0] + 1  # it asks back and is told


def test_wav_files_hold_the_same_samples_and_the_csv_tells_each(
    release: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    export(release, "wav", out)
    with (out / "train.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert [row["act"] for row in rows[:4]] == ["narration", "narration", "question", "answer"]
    assert rows[0]["file"] == rows[4]["file"]  # one narration, two dialogues
    source = dialogue("d1")
    sent, _ = soundfile.read(io.BytesIO(source["turns"][0]["audio"]["bytes"]), dtype="int16")
    found, rate_hz = soundfile.read(out / rows[2]["file"], dtype="int16")
    assert rate_hz == 16_000
    assert np.array_equal(sent, found)
    with (out / "test.csv").open(newline="", encoding="utf-8") as file:
        hostile = list(csv.DictReader(file))
    assert hostile[-1]["text"] == f"1901. {HOSTILE}"
    assert all((out / row["file"]).is_file() for row in rows + hostile)


def dialogues_of(passages: list[Any]) -> dict[str, Dialogue]:
    found = {}
    for passage in passages:
        assert isinstance(passage, Passage), passage
        for draft in passage.drafts:
            made = dialogue_of(passage, draft, "import", "1")
            assert isinstance(made, Dialogue), made
            found[made.id] = made
    return found


def test_sdialog_files_come_back_as_the_dialogues_they_were(tmp_path: Path) -> None:
    rows = [dialogue("p1-d1"), dialogue("p1-d22", ambiguous=True)]
    release = write_release(tmp_path / "r", {"train": rows})
    export(release, "sdialog", tmp_path / "out")
    passages = list(read_sdialog(str(tmp_path / "out")))
    assert len(passages) == 1
    found = dialogues_of(passages)
    assert list(found) == ["p1-d1", "p1-d22"]
    for row in rows:
        back = found[row["id"]]
        assert [(t.role, t.act, t.text) for t in back.turns] == [
            (t["role"], t["act"], t["text"]) for t in row["turns"]
        ]
        assert [reading.model_dump() for reading in back.readings] == [
            reading | {"answers": tuple(reading["answers"])} for reading in row["readings"]
        ]
        assert (back.split, back.group, back.passage) == ("train", "g1", row["passage"])
        assert (back.intended, back.ambiguity_kind) == (row["intended"], row["ambiguity_kind"])
        assert back.provenance.license == "cc0-1.0"


def test_sdialog_itself_reads_the_files(release: Path, tmp_path: Path) -> None:
    sdialog = pytest.importorskip("sdialog")
    export(release, "sdialog", tmp_path / "out")
    (dialog,) = sdialog.Dialog.from_folder(str(tmp_path / "out" / "test"))
    assert [turn.speaker for turn in dialog.turns] == ["user", "assistant"] * 2
    dialog.to_file(str(tmp_path / "again.json"))
    ours = json.loads(next((tmp_path / "out" / "test").glob("*.json")).read_text())
    again = json.loads((tmp_path / "again.json").read_text())
    assert again["annotations"] == ours["annotations"]
    assert again["turns"] == ours["turns"]


def foreign(folder: Path, **fields: Any) -> Path:
    document = {"id": 7, "context": "The mill opened in 1887.", "turns": []} | fields
    folder.mkdir(exist_ok=True)
    path = folder / f"{len(list(folder.iterdir()))}.json"
    path.write_text(json.dumps(document))
    return path


def turns(*texts: str, speakers: tuple[str, str] = ("Ann", "Bot")) -> list[dict[str, str]]:
    return [{"speaker": speakers[i % 2], "text": text} for i, text in enumerate(texts)]


def test_anybodys_sdialog_dialogue_becomes_questions_and_answers(tmp_path: Path) -> None:
    path = foreign(tmp_path / "in", turns=turns("Who?", "A miller.", "When  did it open?", "1887."))
    (passage,) = read_sdialog(str(path))
    (made,) = dialogues_of([passage]).values()
    assert [turn.act for turn in made.turns] == ["question", "answer"] * 2
    assert made.readings[0].question == "When did it open?"
    assert made.readings[0].answers == ("1887.",)
    assert not made.ambiguous


@pytest.mark.parametrize(
    ("fields", "reason"),
    [
        ({"turns": turns("Who?", "Me."), "context": None}, "no_passage"),
        ({"turns": turns("Who?", "Me.", "And?")}, "no_question_and_answer"),
        ({"turns": turns("Who?", "Me.", speakers=("A", "A"))}, "no_question_and_answer"),
        ({"turns": [*turns("Who?", "Me."), *turns("b", "a")[::-1]]}, "turns_do_not_alternate"),
        ({"turns": turns("Who?", "Which one?", "The mill.", "Me.")}, "no_readings"),
        ({"turns": [{"speaker": "A"}, {"speaker": "B", "text": "x"}]}, "not_a_dialogue"),
        ({"turns": "none"}, "not_a_dialogue"),
        ({"turns": turns("", "Me.")}, "invalid"),
        ({"turns": turns("Who?", "Me."), "annotations": {"askqa": {}}}, "damaged_annotations"),
    ],
)
def test_an_unusable_dialogue_is_a_reject_with_its_reason(
    tmp_path: Path, fields: dict[str, Any], reason: str
) -> None:
    (item,) = read_sdialog(str(foreign(tmp_path / "in", **fields)))
    assert isinstance(item, Reject)
    assert item.reason == reason


def test_a_dialogue_that_occurs_twice_is_told(tmp_path: Path) -> None:
    for _ in range(2):
        foreign(tmp_path / "in", turns=turns("When?", "1887."))
    items = list(read_sdialog(str(tmp_path / "in")))
    assert [type(item) for item in items] == [Reject, Passage]
    assert isinstance(items[0], Reject)
    assert items[0].reason == "duplicate_id"


def test_an_export_needs_no_more_memory_for_more_dialogues(tmp_path: Path) -> None:
    peaks = []
    for count in (20, 80):
        rows = [dialogue(f"d{index:03d}", passage=f"p{index}") for index in range(count)]
        release = write_release(tmp_path / f"r{count}", {"train": rows})
        arrow: list[int] = []
        tracemalloc.start()
        out = tmp_path / f"out{count}"
        export(
            release, "nemo", out, progress=lambda _, a=arrow: a.append(pa.total_allocated_bytes())
        )
        peaks.append(tracemalloc.get_traced_memory()[1] + max(arrow))
        tracemalloc.stop()
    assert peaks[1] < peaks[0] * 1.5
