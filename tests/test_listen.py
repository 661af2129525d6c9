"""Conversations as one sound, and the page that follows them."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
import soundfile
from tiny_release import HOSTILE, dialogue, write_release

from askqa_builder.audio import SAMPLE_RATE_HZ, loudness_lufs
from askqa_builder.errors import ReleaseError
from askqa_builder.release.listen import hear, listen, mix_down, render_page, write_samples
from askqa_builder.release.stream import file_name


class Elements(HTMLParser):
    """Every element of a page with its attributes, and the text of its words."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.found if name == tag]


def samples_of(wav: bytes) -> tuple[np.ndarray, int]:
    return soundfile.read(io.BytesIO(wav), dtype="float32")


def test_the_mix_holds_every_utterance_in_turn_at_one_level() -> None:
    row = dialogue("d1", ambiguous=True)
    mix = mix_down(row)
    samples, rate_hz = samples_of(mix.encode("wav"))
    assert rate_hz == SAMPLE_RATE_HZ
    assert [one.role for one in mix.utterances] == [
        *["narrator"] * 2, "user", "assistant", "user", "assistant"
    ]  # fmt: skip
    levels = []
    for one in mix.utterances:
        part = samples[round(one.start_s * rate_hz) : round(one.end_s * rate_hz)]
        levels.append(loudness_lufs(part, rate_hz))
        assert one.words[0].start == pytest.approx(one.start_s)
        assert one.words[-1].end == pytest.approx(one.end_s)
    assert max(levels) - min(levels) < 0.3  # they were up to 15 dB apart
    for before, after in pairwise(mix.utterances):
        pause = samples[round(before.end_s * rate_hz) : round(after.start_s * rate_hz)]
        assert 0.3 < len(pause) / rate_hz < 1.3
        assert not pause.any()
    assert len(samples) / rate_hz == pytest.approx(mix.utterances[-1].end_s, abs=1e-3)


def test_a_mix_can_stop_before_the_answer() -> None:
    mix = mix_down(dialogue("d1"), turns=-1)
    assert [one.act for one in mix.utterances] == ["narration", "narration", "question"]


def test_listen_writes_sound_and_page_in_both_forms(tmp_path: Path) -> None:
    release = write_release(tmp_path / "r", {"test": [dialogue("a/b"), dialogue("d2")]})
    heard = listen(release, "a/b", tmp_path / "out", form="wav")
    assert heard.sound.read_bytes()[:4] == b"RIFF"
    assert heard.sound.parent == heard.page.parent == tmp_path / "out"
    again = listen(release, "d2", tmp_path / "out", form="mp3")
    samples, rate_hz = soundfile.read(again.sound)
    wanted = mix_down(dialogue("d2")).utterances[-1].end_s
    assert len(samples) / rate_hz == pytest.approx(wanted, abs=0.1)
    with pytest.raises(ReleaseError, match="no dialogue has the id 'd3'; ids look like 'a/b'"):
        listen(release, "d3", tmp_path / "out")
    with pytest.raises(ReleaseError, match="give a release folder"):
        listen(tmp_path, "d2", tmp_path / "out")


def test_a_page_shows_every_word_with_its_times_and_needs_nothing_else() -> None:
    row = dialogue("d1", ambiguous=True)
    page = render_page([hear("test", row, "mp3")])
    elements = Elements(page)
    words = [span for span in elements.all("span") if span.get("class") == "word"]
    spoken = [word for clip in row["narration"] + row["turns"] for word in clip["words"]]
    assert len(words) == len(spoken)
    times = [float(word["data-start"] or "nan") for word in words]
    assert times == sorted(times)
    links = [
        value
        for _, attributes in elements.found
        for name, value in attributes.items()
        if name in ("src", "href", "srcset", "action", "data") and value
    ]
    assert links
    assert all(link.startswith(("data:audio/mpeg;base64,", "#")) for link in links)
    assert "url(" not in page
    assert "When did the bakery open? → 1901 (meant here)" in "".join(elements.texts)


def test_hostile_text_stays_text() -> None:
    row = dialogue(f"id {HOSTILE}", ambiguous=True, title=HOSTILE)
    row["turns"][0] |= {"text": HOSTILE, "words": []}
    row["readings"][0] |= {"question": HOSTILE, "answers": [HOSTILE]}
    row["voices"]["user"]["speaker"] = row["ambiguity_kind"] = HOSTILE
    row["provenance"] |= {"source": HOSTILE, "license": HOSTILE}
    row["language"] = '"><script>alert(1)</script>'
    page = render_page([hear(HOSTILE, row, "mp3"), hear("test", dialogue("d2"), "mp3")])
    elements = Elements(page)
    assert not elements.all("img")
    assert len(elements.all("script")) == 1
    assert len(elements.all("audio")) == 2
    script = page.split("<script>")[1].split("</script>")[0]
    digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
    policy = next(m for m in elements.all("meta") if m.get("http-equiv"))["content"] or ""
    assert f"script-src 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'")
    assert HOSTILE in "".join(elements.texts)


def test_words_that_are_not_in_the_text_leave_the_text_whole() -> None:
    row = dialogue("d1")
    row["turns"][0]["words"][2]["text"] = "something else"
    elements = Elements(render_page([hear("test", row, "mp3")]))
    shown = "".join(elements.texts)
    assert "When did it open?" in re.sub(r"\s+", " ", shown)


def test_samples_show_every_kind_and_are_the_same_each_time(tmp_path: Path) -> None:
    rows = [dialogue(f"plain-{i}") for i in range(9)] + [dialogue("asks", ambiguous=True)]
    release = write_release(tmp_path / "r", {"train": rows})
    assert write_samples(release, tmp_path / "one.html", count=3) == 3
    assert write_samples(release, tmp_path / "two.html", count=3) == 3
    page = (tmp_path / "one.html").read_text()
    assert page == (tmp_path / "two.html").read_text()
    assert len(Elements(page).all("article")) == 3
    assert "<code>asks</code>" in page
    assert write_samples(release, tmp_path / "all.html", count=99) == 10


def test_file_names_are_safe_and_do_not_collide() -> None:
    assert file_name("squad-a_1") == "squad-a_1"
    odd = ["a/b", "a:b", "../a", "日本", "日本語", "", "a" * 200, "a" * 201]
    names = [file_name(label) for label in odd]
    assert len(set(names)) == len(odd)
    assert all(re.fullmatch(r"[A-Za-z0-9_-]{1,90}", name) for name in names)
