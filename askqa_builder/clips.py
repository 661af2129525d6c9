"""One utterance: written text → spoken form → engine → clean, level, checked FLAC with word times.

Also the parquet file that holds the clips of a shard, so that no clip is made twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, BinaryIO, Self

from askqa_builder import audio, perturb, spoken
from askqa_builder.errors import RefusedTextError
from askqa_builder.files import digest
from askqa_builder.schema import Clip, Speaker, Word
from askqa_builder.segment import MAX_CLIP_S
from askqa_builder.voices import Speech, Voices

if TYPE_CHECKING:
    import pyarrow as pa

SAMPLE_RATE_HZ = audio.SAMPLE_RATE_HZ
VERSION = 2
"""Of what happens around the engine: raise it when the same text would sound otherwise."""
_ROWS_PER_GROUP = 64


class ClipFault(Exception):  # noqa: N818  (a verdict on one record, not an error of the program)
    """A clip that must not be used: `reason` can be counted, `detail` is for people."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def clip_key(text: str, speaker: Speaker) -> str:
    """Name of the clip: a hash of everything that shapes its sound and its word times."""
    return digest("clip", VERSION, text, spoken.spoken_form(text), speaker.model_dump(mode="json"))


@dataclass(frozen=True)
class Script:
    """A written text and how it is read aloud."""

    text: str
    units: tuple[spoken.Unit, ...]

    @property
    def spoken_text(self) -> str:
        return " ".join(unit.spoken for unit in self.units if unit.spoken)


def read_script(text: str) -> Script:
    """Turn a text into what is read aloud. Raises ClipFault when it cannot be."""
    reason = spoken.unspeakable(text)
    if reason is not None:
        raise ClipFault("not_speakable", f"{reason}: {text[:80]!r}")
    return Script(text, spoken.units(text))


def make_clip(engine: Voices, text: str, speaker: Speaker) -> tuple[Clip, bytes]:
    """Say `text`; returns the clip and its FLAC bytes (16 kHz, mono, 16 bit).

    Raises ClipFault when the text cannot be spoken or the sound is not plausible for it.
    """
    script = read_script(text)
    try:
        speech = engine.speak(script.spoken_text, perturb.without(speaker))
    except RefusedTextError as error:
        raise ClipFault("refused_by_engine", str(error)) from error
    return finish_clip(script, speaker, speech)


def finish_clip(script: Script, speaker: Speaker, speech: Speech) -> tuple[Clip, bytes]:
    """Make an engine's speech into a clip: clean, level, checked, encoded.

    Under the condition, if any, that the speaker is in; the engine's speech is checked before.
    Raises ClipFault when the sound is not plausible for the text, or too long under the condition.
    """
    text, spoken_text = script.text, script.spoken_text
    samples, offset_s = audio.trim_silence(speech.samples, speech.sample_rate_hz)
    fault = audio.fault(samples, speech.sample_rate_hz, spoken_text)
    if fault is not None:
        reason, _, detail = fault.partition(": ")
        raise ClipFault(reason, f"{detail}: {text[:80]!r}")
    samples = audio.resample(samples, speech.sample_rate_hz, SAMPLE_RATE_HZ)
    samples = audio.normalise_loudness(samples, SAMPLE_RATE_HZ)
    measures: dict[str, float | str] = {}
    time_scale = 1.0
    condition = perturb.of(speaker)
    if condition is not None:
        perturbation, seed = condition
        samples, measured = perturbation.apply(samples, SAMPLE_RATE_HZ, seed)
        measures = {perturb.SETTING: str(perturbation), **measured}
        time_scale = perturbation.time_scale
    duration_s = audio.duration_s(samples, SAMPLE_RATE_HZ)
    if duration_s > MAX_CLIP_S:
        raise ClipFault("over_30_s", f"{duration_s:.1f} s under {speaker.settings}: {text[:80]!r}")
    clip = Clip(
        key=clip_key(text, speaker),
        text=text,
        spoken_text=spoken_text,
        duration_s=duration_s,
        words=_words(script.units, speech.token_times, offset_s, time_scale, duration_s),
        measures=measures,
    )
    return clip, audio.encode_flac(samples)


def _words(
    units: tuple[spoken.Unit, ...],
    token_times: tuple[tuple[float, float], ...],
    offset_s: float,
    time_scale: float,
    duration_s: float,
) -> tuple[Word, ...]:
    """Times of the written words within the finished clip; none where the engine gave none."""
    if not token_times:
        return ()

    def inside(time_s: float) -> float:
        return round(min(max(time_scale * (time_s - offset_s), 0.0), duration_s), 3)

    return tuple(
        Word(text=token, start=inside(start), end=inside(end))
        for token, start, end in spoken.written_times(units, token_times)
    )


def _schema() -> pa.Schema:
    import pyarrow as pa

    return pa.schema([("key", pa.string()), ("clip", pa.string()), ("flac", pa.binary())])


class ClipWriter:
    """Writes the clips of a shard to an open parquet file, each once, in flat memory."""

    def __init__(self, file: BinaryIO) -> None:
        import pyarrow.parquet as pq

        self._schema = _schema()
        # FLAC does not shrink further, and statistics of audio bytes are of no use
        self._writer: Any = pq.ParquetWriter(
            file, self._schema, compression="none", use_dictionary=False, write_statistics=False
        )
        self._rows: list[dict[str, str | bytes]] = []
        self._keys: set[str] = set()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if error is None:
            self._flush()
        self._writer.close()

    def put(self, clip: Clip, flac: bytes) -> bool:
        """Write a clip unless the shard has it; returns whether it was written."""
        if clip.key in self._keys:
            return False
        self._keys.add(clip.key)
        self._rows.append({"key": clip.key, "clip": clip.model_dump_json(), "flac": flac})
        if len(self._rows) >= _ROWS_PER_GROUP:
            self._flush()
        return True

    def _flush(self) -> None:
        import pyarrow as pa

        if self._rows:
            self._writer.write_table(pa.Table.from_pylist(self._rows, schema=self._schema))
            self._rows = []


class ClipShard(Mapping[str, bytes]):
    """The clips of a finished shard, in memory: FLAC bytes by key."""

    def __init__(self, path: Path) -> None:
        import pyarrow.parquet as pq

        table = pq.read_table(path, schema=_schema(), memory_map=True)
        self._flac = table.column("flac")
        self._clip = table.column("clip")
        self._index = {key: row for row, key in enumerate(table.column("key").to_pylist())}
        self._sha256: dict[str, bytes] = {}

    def __getitem__(self, key: str) -> bytes:
        flac: bytes = self._flac[self._index[key]].as_py()
        return flac

    def __iter__(self) -> Iterator[str]:
        return iter(self._index)

    def __len__(self) -> int:
        return len(self._index)

    def sha256(self, key: str) -> bytes:
        """Digest of a clip's bytes; a narration that many dialogues share is hashed once."""
        if key not in self._sha256:
            self._sha256[key] = hashlib.sha256(self[key]).digest()
        return self._sha256[key]

    def clip(self, key: str) -> Clip:
        """What is known of the clip. Raises KeyError if there is none of this name."""
        return Clip.model_validate_json(self._clip[self._index[key]].as_py())
