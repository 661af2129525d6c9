"""Folders of text and Markdown become passages of a speakable length."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from askqa_builder.errors import SourceError
from askqa_builder.schema import Passage, Reject
from askqa_builder.sources import open_source
from askqa_builder.sources.text import MAX_BYTES, MAX_WORDS, MIN_WORDS


def prose(words: int, start: int = 0) -> str:
    """Sentences of ten words, each different."""
    return " ".join(
        f"Sentence {number} has exactly ten words, and ends here now."
        for number in range(start, start + words // 10)
    )


def read(folder: Path) -> tuple[list[Passage], list[Reject]]:
    items = list(open_source(f"text:{folder}"))
    return (
        [item for item in items if isinstance(item, Passage)],
        [item for item in items if isinstance(item, Reject)],
    )


def write(folder: Path, **files: str) -> Path:
    for name, content in files.items():
        path = folder / name.replace("__", "/").replace("_txt", ".txt").replace("_md", ".md")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, encoding="utf-8")
    return folder


def test_paragraphs_are_joined_to_passages_of_80_to_300_words(tmp_path: Path) -> None:
    blocks = [prose(50, start) for start in range(0, 1000, 10)]
    passages, rejects = read(write(tmp_path, long_txt="\n\n".join(blocks)))
    assert rejects == []
    sizes = [len(p.text.split()) for p in passages]
    assert all(MIN_WORDS <= size <= MAX_WORDS for size in sizes)
    assert "\n".join(p.text for p in passages).split("\n") == blocks


def test_a_paragraph_without_end_is_cut_between_sentences(tmp_path: Path) -> None:
    passages, _ = read(write(tmp_path, long_txt=prose(2000)))
    assert len(passages) > 5
    assert all(p.text.endswith(".") for p in passages)
    assert all(len(p.text.split()) <= MAX_WORDS for p in passages)
    assert " ".join(p.text.replace("\n", " ") for p in passages) == prose(2000)


def test_a_short_rest_joins_the_passage_before_it(tmp_path: Path) -> None:
    passages, rejects = read(write(tmp_path, a_txt=f"{prose(230)}\n\n{prose(30, 900)}"))
    assert rejects == []
    assert len(passages) == 1


def test_wrapped_lines_become_one_and_files_are_groups(tmp_path: Path) -> None:
    wrapped = prose(100).replace(". ", ".\n")
    passages, _ = read(write(tmp_path, sub__some_story_txt=wrapped, b_txt=prose(100, 50)))
    assert [p.title for p in passages] == ["b", "some story"]
    assert passages[1].text == prose(100)
    assert len({p.group for p in passages}) == 2


def test_markdown_is_read_as_people_would_read_it_aloud(tmp_path: Path) -> None:
    text = f"""---
layout: post
---
# The *old* mill

{prose(100)} It has [a wheel](http://example.org/x "t") and `two` **stones**.[^1]

| a | b |
|---|---|
| 1 | 2 |

```python
print("hidden")
```

![picture](x.png)

<div>hidden</div>

[^1]: A hidden note.

## Its owner
{prose(100, 500)}

- First item.
- Second item.
"""
    passages, rejects = read(write(tmp_path, mill_md=text))
    assert rejects == []
    assert [p.title for p in passages] == ["The old mill", "Its owner"]
    assert passages[0].text.endswith("It has a wheel and two stones.")
    assert passages[1].text.endswith("First item.\nSecond item.")
    assert not any(w in p.text for p in passages for w in ("hidden", "layout", "|", "http", "#"))


def test_ids_stay_when_files_are_added_and_text_is_appended(tmp_path: Path) -> None:
    before, _ = read(write(tmp_path, b_txt=f"{prose(250)}\n\n{prose(250, 100)}"))
    write(
        tmp_path,
        a_txt=prose(100, 700),
        b_txt=(tmp_path / "b.txt").read_text() + "\n\n" + prose(200, 300),
    )
    after, _ = read(tmp_path)
    assert {p.id for p in before} < {p.id for p in after}


def test_unusable_files_are_rejected_and_the_others_stay(tmp_path: Path) -> None:
    write(tmp_path, good_txt=prose(100), short_txt="Too short.", twice_txt=prose(100))
    (tmp_path / "latin.txt").write_bytes("Käse ".encode("latin-1") * 50)
    (tmp_path / "zero.txt").write_bytes(b"a\0b" * 50)
    (tmp_path / "big.txt").write_bytes(b"x" * (MAX_BYTES + 1))
    (tmp_path / "word.txt").write_text("x" * 30_000 + " " + prose(50), encoding="utf-8")
    (tmp_path / "empty.md").write_text("", encoding="utf-8")
    (tmp_path / "picture.png").write_bytes(b"\x89PNG")
    (tmp_path / "gone.txt").symlink_to(tmp_path / "nowhere")
    passages, rejects = read(tmp_path)
    assert len(passages) == 2
    assert sorted(r.reason for r in rejects) == [
        "duplicate_passage",
        "file_empty",
        "file_too_large",
        "file_unreadable",
        "not_text",
        "not_utf8",
        "passage_too_long",
        "passage_too_short",
    ]
    assert all(r.stage == "source" for r in rejects)


def test_other_scripts_emoji_and_control_characters_come_in_readable(tmp_path: Path) -> None:
    write(tmp_path, x_txt="\ufeff🙂 " + prose(100) + "\x07", y_txt="東京は日本の首都です。" * 200)
    (tmp_path / os.fsdecode(b"\xff.txt")).write_text(prose(100, 300), encoding="utf-8")
    passages, rejects = read(tmp_path)
    for record in (*passages, *rejects):
        record.model_dump_json().encode("utf-8")
    assert any(p.text.startswith("🙂") for p in passages)
    assert all(set(p.id) <= set("abcdefghijklmnopqrstuvwxyz0123456789-") for p in passages)


def test_a_loop_of_links_ends(tmp_path: Path) -> None:
    write(tmp_path, a_txt=prose(100))
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(read(tmp_path)[0]) == 1


def test_a_folder_that_is_none_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"holds no \.txt or \.md file; "):
        open_source(f"text:{tmp_path}")
    with pytest.raises(SourceError, match="does not exist; "):
        open_source(f"text:{tmp_path / 'x'}")
    write(tmp_path, a_txt="x")
    with pytest.raises(SourceError, match="is no folder; "):
        open_source(f"text:{tmp_path / 'a.txt'}")
