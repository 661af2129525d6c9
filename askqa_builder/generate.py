"""Stage 1: sources → passages → drafts → checked dialogues; whatever is not used is a reject."""

from __future__ import annotations

import hashlib
import shlex
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING

from pydantic import JsonValue, ValidationError

from askqa_builder.config import GenerateSettings, without_folder
from askqa_builder.engine import Engine, ShardReport, run_stage
from askqa_builder.errors import BuildError, SettingsError, SourceError
from askqa_builder.files import digest, first_problem, parse_records, read_records, write_records
from askqa_builder.schema import Correction, Dialogue, Draft, Passage, Provenance, Reject
from askqa_builder.splits import passage_hash, split_of
from askqa_builder.store import Build, Manifest, ShardOutput

if TYPE_CHECKING:
    from askqa_builder.writers import Writer

CORRECTIONS = "corrections.jsonl"
_MAX_REJECTS = 5000  # of a source, in memory at a time
_VERSION = 1  # of this file's logic: raise it when the same drafts would give other dialogues


def keeps_sources(build: Build, before: GenerateSettings, now: GenerateSettings) -> None:
    """Raise SettingsError if dialogues would go because their source is given no more.

    A file may have moved to another folder.
    """
    given = list(now.sources)
    gone, every = [], []
    for spec in before.sources:
        # two folders may each have a file of this name
        again = next((other for other in given if _file_name(other) == _file_name(spec)), None)
        if again is None:
            gone.append(spec)
        else:
            given.remove(again)
        every.append(again or spec)
    if gone and build.manifest("dialogues") is not None:
        options = " ".join(f"--source {shlex.quote(spec)}" for spec in (*every, *given))
        raise SettingsError(
            f"{build.location}: its dialogues from {', '.join(gone)} would be replaced; to add to "
            f"them give all sources ({options}), for others choose another --out"
        )


def _file_name(spec: str) -> tuple[str, str]:
    """Scheme and name of a source, wherever its file is or was; options have no folders."""
    scheme, _, rest = spec.partition(":")
    return scheme, Path(rest).name


def ingest(build: Build, settings: GenerateSettings, progress: Callable[[int], None]) -> Manifest:
    """Read the sources into passages/: always from the start, writing only shards that changed.

    `progress(passages)` is called after each shard. Raises SourceError or SettingsError for a
    source that cannot be read; records that cannot be used become rejects.
    """
    from askqa_builder.sources import open_source

    if not settings.sources:
        raise SettingsError("no --source given; try --source sample, or squad:FILE")
    # opened before the stage is: a source that is not there leaves a finished build as it is
    items = chain.from_iterable([open_source(spec) for spec in settings.sources])
    build.open_stage("passages")
    totals: Counter[str] = Counter()
    shard = 0
    for shard, (passages, rejects) in enumerate(_chunks(items, settings.shard_size)):
        _write_passages(build, shard, passages, rejects)
        totals.update(passages=len(passages), rejected=len(rejects))
        totals.update(f"rejected:{reject.reason}" for reject in rejects)
        progress(len(passages))
    if not totals["passages"]:
        raise SourceError(
            f"{', '.join(settings.sources)}: no usable passage; is it the right file?"
        )
    names: list[JsonValue] = [without_folder(spec) for spec in settings.sources]
    return build.close_stage("passages", shard + 1, {"sources": names}, totals)


def _chunks(
    items: Iterable[Passage | Reject], size: int
) -> Iterator[tuple[list[Passage], list[Reject]]]:
    """Cut the stream after every `size` passages, rejects where they fall.

    Ids must be unique, and a text must not come back under another group: the two could fall
    into different splits.
    """
    seen: set[bytes] = set()  # 8 bytes an id: a million passages in some 60 MB
    group_of: dict[bytes, bytes] = {}
    passages: list[Passage] = []
    rejects: list[Reject] = []
    for item in items:
        if isinstance(item, Reject):
            rejects.append(item)
            if len(rejects) == _MAX_REJECTS:
                yield passages, rejects
                passages, rejects = [], []
            continue
        if len(passages) == size:
            yield passages, rejects
            passages, rejects = [], []
        key, text, group = map(_short_hash, (item.id, passage_hash(item.text), item.group))
        if key in seen or group_of.setdefault(text, group) != group:
            raw = item.model_dump(mode="json", exclude_defaults=True)
            rejects.append(Reject(id=item.id, stage="source", reason="duplicate_passage", raw=raw))
            continue
        seen.add(key)
        passages.append(item)
    if passages or rejects:
        yield passages, rejects


def _short_hash(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=8).digest()


def _write_passages(
    build: Build, shard: int, passages: list[Passage], rejects: list[Reject]
) -> None:
    content = hashlib.sha256()
    for record in chain[Passage | Reject](passages, rejects):
        content.update(record.model_dump_json(exclude_defaults=True).encode() + b"\n")
    fingerprint = digest("passages", content.hexdigest())
    if build.current("passages", shard, fingerprint):
        return
    with build.shard("passages", shard, fingerprint) as (output, counts):
        counts.update(passages=write_records(output.path(".jsonl"), passages))
        counts.update(rejected=write_records(output.rejects_path(), rejects))


@dataclass(frozen=True)
class GenerateStage:
    """Writes, checks and numbers the dialogues of a shard of passages."""

    writer: str | None
    seed: int
    ambiguous_share: float
    limits: dict[int, int] = field(default_factory=dict)
    """Dialogues to accept at most, for the shards where a --count ends."""
    name: str = "dialogues"

    def settings(self) -> dict[str, JsonValue]:
        return {
            "writer": self.writer or "auto",
            "seed": self.seed,
            "ambiguous_share": self.ambiguous_share,
        }

    def shards(self, build: Build) -> int:
        return build.complete("passages").shards

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        return build.inputs("passages", shard) | build.loose(CORRECTIONS)

    def fingerprint(self, build: Build, shard: int) -> str:
        from askqa_builder import checks

        return digest(
            _VERSION,
            checks.VERSION,
            [[writer.name, writer.version] for writer in self._writers()],
            self.settings(),
            self.limits.get(shard),
        )

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        accepted: list[Dialogue] = []
        rejected: list[Reject] = []
        limit = self.limits.get(shard)
        corrected = {correction.id for correction in read_corrections(build)}
        for item in self.dialogues(build, shard):
            if item.id in corrected:
                counts["corrected"] += 1
            if isinstance(item, Dialogue) and limit is not None and len(accepted) >= limit:
                item = refused(item.id, "beyond_count", f"--count allows {limit} here", item)
            tally(counts, item)
            if isinstance(item, Reject):
                rejected.append(item)
            else:
                accepted.append(item)
        write_records(output.path(".jsonl"), accepted)
        write_records(output.rejects_path(), rejected)

    def dialogues(self, build: Build, shard: int) -> Iterator[Dialogue | Reject]:
        """Every candidate of a shard, as the dialogue that it became or the reject."""
        writers = self._writers()
        corrections = {c.id: c for c in read_corrections(build)}
        for passage in read_records(build.shard_path("passages", shard), Passage):
            writer = writers[-1] if passage.drafts else writers[0]
            yield from written(passage, writer, corrections)

    def _writers(self) -> tuple[Writer, ...]:
        """The writer, or for `auto` the one for bare passages and the one for human dialogues."""
        from askqa_builder.writers import open_writer

        names = (self.writer,) if self.writer else ("contrast", "import")
        return tuple(open_writer(name, self.seed, self.ambiguous_share) for name in names)


def written(
    passage: Passage, writer: Writer, corrections: dict[str, Correction]
) -> Iterator[Dialogue | Reject]:
    """Write, build and check the dialogues of one passage."""
    from askqa_builder import checks

    duplicates = checks.Duplicates()
    for item in writer.write(passage):
        if isinstance(item, Reject):
            yield item
            continue
        dialogue = judged(passage, item, writer.name, writer.version, corrections)
        if isinstance(dialogue, Dialogue) and (fault := duplicates.check(dialogue)) is not None:
            dialogue = refused(dialogue.id, *fault, dialogue)
        yield dialogue


def judged(
    passage: Passage, draft: Draft, writer: str, version: str, corrections: dict[str, Correction]
) -> Dialogue | Reject:
    """The dialogue that a draft becomes, as people corrected it; or why it does not pass."""
    from askqa_builder import checks

    dialogue = dialogue_of(passage, draft, writer, version)
    if isinstance(dialogue, Dialogue) and dialogue.id in corrections:
        dialogue = _corrected(dialogue, corrections[dialogue.id])
    if isinstance(dialogue, Dialogue) and (fault := checks.check(dialogue)) is not None:
        return refused(dialogue.id, *fault, dialogue)
    return dialogue


def dialogue_of(passage: Passage, draft: Draft, writer: str, version: str) -> Dialogue | Reject:
    """A draft as a whole dialogue, or a reject when its structure or evidence is wrong."""
    dialogue_id = f"{passage.id}-{draft.key}"
    try:
        return Dialogue(
            id=dialogue_id,
            passage_id=passage.id,
            group=passage.group,
            title=passage.title,
            domain=passage.domain,
            language=passage.language,
            split=split_of(passage),
            passage=passage.text,
            turns=draft.turns,
            ambiguous=draft.ambiguous,
            ambiguity_kind=draft.ambiguity_kind,
            readings=draft.readings,
            intended=draft.intended,
            provenance=Provenance(
                source=passage.source,
                license=passage.license,
                writer=writer,
                writer_version=version,
                question_ids=draft.question_ids,
                details=draft.details,
            ),
        )
    except ValidationError as error:
        return refused(dialogue_id, "invalid", first_problem(error), draft)


def read_corrections(build: Build) -> list[Correction]:
    """The corrections that people left in the build folder; none where there is no file."""
    path = f"{build.location}/{CORRECTIONS}"
    corrections = list(parse_records(build.read(CORRECTIONS) or b"", path, Correction))
    twice = [name for name, count in Counter(c.id for c in corrections).items() if count > 1]
    if twice:
        raise BuildError(f"{path}: {twice[0]!r} is corrected twice; keep one line of each id")
    return corrections


def unmatched_corrections(build: Build, manifest: Manifest) -> list[str]:
    """Ids of the corrections that name a dialogue which the build does not have."""
    named = {correction.id for correction in read_corrections(build)}
    if len(named) == manifest.counts.get("corrected", 0):
        return []
    for shard in range(manifest.shards):
        build.verified("dialogues", shard)
        named -= {d.id for d in read_records(build.shard_path("dialogues", shard), Dialogue)}
        rejects = build.rejects_path("dialogues", shard)
        named -= {r.id for r in read_records(rejects, Reject)} if rejects.is_file() else set()
    return sorted(named)


def _corrected(dialogue: Dialogue, correction: Correction) -> Dialogue | Reject:
    if correction.reject is not None:
        return refused(dialogue.id, "rejected_by_reviewer", correction.reject, dialogue)
    changes = correction.model_dump(include={"turns", "readings"}, exclude_none=True)
    details = dialogue.provenance.details | {"corrected": True}
    fields = dialogue.model_dump() | changes
    fields["provenance"]["details"] = details
    try:
        return Dialogue.model_validate(fields)
    except ValidationError as error:
        return refused(dialogue.id, "invalid_correction", first_problem(error), dialogue)


def refused(record_id: str, reason: str, detail: str, record: Dialogue | Draft) -> Reject:
    """The ledger entry of a dialogue or draft that is not used."""
    raw = record.model_dump(mode="json", exclude_defaults=True)
    return Reject(id=record_id, stage="generate", reason=reason, detail=detail, raw=raw)


def tally(counts: Counter[str], item: Dialogue | Reject) -> None:
    """Count a candidate, and what became of it."""
    counts["candidates"] += 1
    if isinstance(item, Reject):
        counts.update(["rejected", f"rejected:{item.reason}"])
        return
    counts.update(["accepted", f"split:{item.split}"])
    if item.ambiguous:
        counts.update(["ambiguous", f"kind:{item.ambiguity_kind}"])
    else:
        counts["unambiguous"] += 1


def generate(
    build: Build,
    settings: GenerateSettings,
    *,
    engine: Engine | None = None,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> Manifest:
    """Run the offline writers over passages/ and return the manifest of dialogues/."""
    stage = GenerateStage(settings.writer, settings.seed, settings.ambiguous_share)
    if settings.count is not None:
        stage = GenerateStage(
            stage.writer, stage.seed, stage.ambiguous_share, _limits(stage, build, settings.count)
        )
    # before the stage is opened: a writer that finds nothing leaves finished dialogues as they are
    if not any(_has_candidate(stage, build, shard) for shard in range(stage.shards(build))):
        needed = (
            "that come with human dialogues" if stage.writer == "import" else "with human questions"
        )
        raise SourceError(
            f"{build.location}: no dialogue could be written: --writer "
            f"{stage.writer or 'contrast'} needs passages {needed} (for plain text: --writer llm)"
        )
    return run_stage(stage, build, engine=engine, progress=progress)


def _has_candidate(stage: GenerateStage, build: Build, shard: int) -> bool:
    """Whether the writer proposes anything; looks no further than the first that it does."""
    stage.inputs(build, shard)  # which must be whole, and here
    try:
        return any(True for _ in stage.dialogues(build, shard))
    finally:
        build.drop_copies()


def _limits(stage: GenerateStage, build: Build, count: int) -> dict[int, int]:
    """Where the first `count` dialogues end: how many of each later shard to accept."""
    limits: dict[int, int] = {}
    left = count
    for shard in range(stage.shards(build)):
        if left > 0:
            stage.inputs(build, shard)  # which must be whole, and here
            made = sum(isinstance(item, Dialogue) for item in stage.dialogues(build, shard))
            if made > left:
                limits[shard] = left
            left -= min(made, left)
            build.drop_copies()
        else:
            limits[shard] = 0
    return limits
