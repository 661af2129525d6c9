"""Runs the checks on dialogues that exist already: a file of anyone's, or a build."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from askqa_builder.checks import Duplicates, check
from askqa_builder.errors import SourceError
from askqa_builder.files import first_problem
from askqa_builder.schema import Dialogue, Record, Reject
from askqa_builder.store import Build


class CheckReport(Record):
    """What the checks say about a set of dialogues."""

    counts: dict[str, int]
    rejects: tuple[Reject, ...]


def check_path(path: Path) -> CheckReport:
    """Check a JSON lines file of dialogues, or every shard of a build.

    Raises SourceError if there is nothing to check at `path`.
    """
    counts: Counter[str] = Counter()
    rejects: list[Reject] = []
    ids: set[str] = set()
    duplicates = Duplicates()
    for file in _files(path):
        for where, item in _dialogues(file):
            counts["candidates"] += 1
            if isinstance(item, Dialogue):
                fault = check(item) or duplicates.check(item)
                if fault is None and item.id in ids:
                    fault = ("duplicate_id", "another dialogue has this id")
                ids.add(item.id)
                if fault is None:
                    counts["accepted"] += 1
                    continue
                item = Reject(id=item.id, stage="check", reason=fault[0], detail=fault[1])
            rejects.append(item.model_copy(update={"id": f"{where}: {item.id}"}))
            counts.update(["rejected", f"rejected:{item.reason}"])
    return CheckReport(counts=dict(counts), rejects=tuple(rejects))


def _files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    if not path.is_dir():
        raise SourceError(f"{path}: no such file or build folder")
    build = Build(path)
    shards = range(build.complete("dialogues").shards)
    for shard in shards:
        build.verified("dialogues", shard)
    return [build.shard_path("dialogues", shard) for shard in shards]


def _dialogues(file: Path) -> Iterator[tuple[str, Dialogue | Reject]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            where = f"{file}:{number}"
            try:
                yield where, Dialogue.model_validate_json(line)
            except ValidationError as error:
                detail = first_problem(error)
                yield where, Reject(id="-", stage="check", reason="invalid", detail=detail)
