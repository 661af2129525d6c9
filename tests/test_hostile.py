"""What others wrote stays text: in the terminal, in the code that is loaded, in every reader.

What a hostile dialogue does to cards, listening pages, reports and exports is tested beside them
(test_card.py, test_listen.py, test_evaluate.py, test_benchmarks.py, test_exports.py).
"""

from __future__ import annotations

import ast
import json
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

pytest.importorskip("hypothesis")

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from test_sources_fuzz import JSON

import askqa_builder
from askqa_builder import schema
from askqa_builder.checking import check_path
from askqa_builder.commands.making import check
from askqa_builder.config import load_settings
from askqa_builder.engines.slurm import Job
from askqa_builder.errors import AskqaError, printable
from askqa_builder.files import read_records
from askqa_builder.generate import read_corrections
from askqa_builder.journal import Journal
from askqa_builder.release.folder import read_manifest
from askqa_builder.sources import open_source
from askqa_builder.store import Build

PACKAGE = Path(askqa_builder.__file__).parent
CODE = {path: ast.parse(path.read_text()) for path in sorted(PACKAGE.rglob("*.py"))}
RELAXED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
RECORDS = [
    kind
    for kind in vars(schema).values()
    if isinstance(kind, type) and issubclass(kind, BaseModel) and kind.__module__ == schema.__name__
]

# -- the terminal --------------------------------------------------------------------------------

ESCAPES = "\x1b[2J\x1b]0;owned\x07\r\x08\x9b31m\u202e\u2066\ud800\x00"


def test_text_of_others_cannot_steer_a_terminal() -> None:
    assert printable("Où? 日本 ☃ 'x' 12°C") == "Où? 日本 ☃ 'x' 12°C"
    shown = printable(f"a{ESCAPES}b\nc")
    assert shown.isprintable()
    assert shown.startswith("a\\x1b[2J")
    assert "\\u202e" in shown
    assert "\\n" in shown, "an error is one line"


def test_check_prints_hostile_dialogues_as_text(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    from typer import Exit

    file = tmp_path / "theirs.jsonl"
    hostile = ESCAPES.replace("\ud800", "")
    file.write_text(
        "".join(json.dumps(line) + "\n" for line in ({"id": hostile}, {hostile: 1}, hostile))
    )
    with pytest.raises(Exit):
        check(file)
    out = capsys.readouterr().out
    assert out
    assert all(line.isprintable() for line in out.splitlines())


# -- code and weights ----------------------------------------------------------------------------


def calls(*names: str) -> list[tuple[Path, ast.Call]]:
    """Every call in the package of a function or method with one of these names."""
    found = []
    for path, tree in CODE.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.Call):
                function = node.func
                name = getattr(function, "attr", getattr(function, "id", None))
                if name in names:
                    found.append((path, node))
    return found


def keyword(call: ast.Call, name: str) -> Any:
    values = [k.value for k in call.keywords if k.arg == name]
    return values[0].value if values and isinstance(values[0], ast.Constant) else None


def test_pickled_weights_are_never_executed() -> None:
    loading = [
        (path, call)
        for path, call in calls("load")
        if isinstance(call.func, ast.Attribute)
        and isinstance(call.func.value, ast.Name)
        and call.func.value.id == "torch"
    ]
    assert loading, "there is something to look at"
    for path, call in loading:
        assert keyword(call, "weights_only") is True, f"{path}:{call.lineno}"
    pickles = {path.name for path, call in calls("loads") if "pickle" in ast.unparse(call.func)}
    # the child process that starts the speech library answers through a pipe of its parent's
    assert pickles <= {"espeak_library.py"}
    assert not [
        1 for _, call in calls("load", "unsafe_load") if "yaml" in ast.unparse(call.func)
    ], "yaml.safe_load alone"


def test_code_of_models_is_never_trusted() -> None:
    for path, tree in CODE.items():
        for node in ast.walk(tree):
            trusted: list[ast.expr] = []
            if isinstance(node, ast.keyword) and node.arg == "trust_remote_code":
                trusted = [node.value]
            elif isinstance(node, ast.Dict):
                trusted = [
                    value
                    for key, value in zip(node.keys, node.values, strict=True)
                    if isinstance(key, ast.Constant) and key.value == "trust_remote_code"
                ]
            for value in trusted:
                assert isinstance(value, ast.Constant), f"{path}:{value.lineno}"
                assert value.value is False, f"{path}:{value.lineno}"


# -- readers -------------------------------------------------------------------------------------


def read_text_source(folder: Path, content: bytes) -> None:
    (folder / "one.txt").write_bytes(content)
    for item in open_source(f"text:{folder}"):
        item.model_dump_json()


def read_receipt(folder: Path, content: bytes) -> None:
    for name in ("00000.receipt.json", "manifest.json"):
        (folder / "passages").mkdir(exist_ok=True)
        (folder / "passages" / name).write_bytes(content)
    build = Build(folder)
    build.manifest("passages")
    build.current("passages", 0, "")


def read_journal(folder: Path, content: bytes) -> None:
    (folder / "00000.scratch").write_bytes(content)
    with Journal(folder / "00000.scratch") as journal:
        assert len(journal.resumed) == 0


def at(name: str, read: Callable[[Path], Any]) -> Callable[[Path, bytes], None]:
    """A reader of one file of a folder."""

    def reader(folder: Path, content: bytes) -> None:
        (folder / name).write_bytes(content)
        read(folder)

    return reader


READERS: dict[str, Callable[[Path, bytes], None]] = {
    "settings": at("askqa.toml", lambda folder: load_settings(Build(folder))),
    "corrections": at("corrections.jsonl", lambda folder: read_corrections(Build(folder))),
    "dialogues to check": at("file.jsonl", lambda folder: check_path(folder / "file.jsonl")),
    "release": at("manifest.json", read_manifest),
    "receipts and manifests": read_receipt,
    "journal": read_journal,
    "text": read_text_source,
    "sdialog": at("d.json", lambda folder: list(open_source(f"sdialog:{folder / 'd.json'}"))),
}
BYTES = st.binary(max_size=80) | JSON.map(lambda value: json.dumps(value).encode())


@pytest.mark.parametrize("name", READERS)
@RELAXED
@given(BYTES)
def test_a_reader_takes_any_bytes_or_says_one_line(name: str, content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        try:
            READERS[name](Path(folder), content)
        except AskqaError as error:
            if "\n" in str(error):
                raise AssertionError("more than one line") from error


@pytest.mark.parametrize("kind", [*RECORDS, Job], ids=lambda kind: kind.__name__)
@RELAXED
@given(BYTES)
def test_a_record_is_read_or_refused(kind: type[BaseModel], content: bytes) -> None:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "records.jsonl")
        path.write_bytes(content)
        try:
            for record in read_records(path, kind):
                assert kind.model_validate_json(record.model_dump_json()) == record
        except AskqaError as error:
            if "\n" in str(error):
                raise AssertionError("more than one line") from error
        except ValidationError as error:  # of the record that was read, by its own writer
            raise AssertionError("a record cannot be written and read back") from error
