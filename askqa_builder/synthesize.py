"""Stage 2: dialogues → speech. A passage is narrated once, however many dialogues stand on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cache
from itertools import groupby

from pydantic import JsonValue

from askqa_builder.clips import VERSION, ClipFault, ClipShard, ClipWriter, clip_key, make_clip
from askqa_builder.config import SynthesizeSettings
from askqa_builder.engine import ShardReport, run_stage
from askqa_builder.errors import BuildError
from askqa_builder.schema import (
    Clip,
    Dialogue,
    Reject,
    Role,
    Speaker,
    SpeakerRole,
    SpokenDialogue,
    SpokenTurn,
)
from askqa_builder.segment import segments
from askqa_builder.store import (
    Build,
    Manifest,
    ShardOutput,
    atomic_file,
    digest,
    read_records,
    write_records,
)
from askqa_builder.voices import Voices, open_voices
from askqa_builder.voices.casting import Casting

_SEGMENT_CHARS = 320
"""Written characters in a narrated segment: about 22 s at the embedded engine's usual rate."""


@cache
def engine_of(spec: str) -> Voices:
    """The engine of this process; starting one costs more than an utterance."""
    return open_voices(spec)


@dataclass(frozen=True)
class SynthesizeStage:
    """Casts and speaks the dialogues of a shard."""

    narrator: str
    user: str
    assistant: str
    seed: int
    name: str = "speech"

    def settings(self) -> dict[str, JsonValue]:
        return {
            "seed": self.seed,
            "narrator": self.narrator,
            "user": self.user,
            "assistant": self.assistant,
        }

    def _specs(self) -> dict[SpeakerRole, str]:
        return {"narrator": self.narrator, "user": self.user, "assistant": self.assistant}

    def shards(self, build: Build) -> int:
        return build.complete("dialogues").shards

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        return build.inputs("dialogues", shard)

    def fingerprint(self, build: Build, shard: int) -> str:
        engines = [engine_of(spec) for spec in self._specs().values()]
        return digest(
            VERSION,
            self.settings(),
            [[e.name, e.model, e.version] for e in engines],
            [[voice.model_dump(mode="json") for voice in e.voices()] for e in engines],
        )

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        dialogues = read_records(build.shard_path("dialogues", shard), Dialogue)
        earlier = _earlier_clips(build, shard)
        spoken_dialogues: list[SpokenDialogue] = []
        rejects: list[Reject] = []
        with atomic_file(output.path(".parquet")) as file, ClipWriter(file) as clips:
            studio = Studio(self._specs(), self.seed, clips, earlier)
            for _, group in groupby(dialogues, key=lambda d: d.passage_id):
                for item in studio.record(list(group)):
                    counts["candidates"] += 1
                    if isinstance(item, Reject):
                        rejects.append(item)
                        counts.update(["rejected", f"rejected:{item.reason}"])
                    else:
                        spoken_dialogues.append(item)
                        counts.update(["accepted", f"split:{item.dialogue.split}"])
            counts.update(studio.counts)
            output.work.update(studio.work)
        write_records(output.path(".jsonl"), spoken_dialogues)
        write_records(output.rejects_path(), rejects)


def _earlier_clips(build: Build, shard: int) -> ClipShard | None:
    """The clips of the shard as it was last made: what has not changed is not spoken again."""
    path = build.shard_path("speech", shard, ".parquet")
    try:
        build.verified("speech", shard)
    except BuildError:
        return None
    return ClipShard(path)


class Studio:
    """Speaks the dialogues of one shard into its clip file."""

    def __init__(
        self,
        specs: dict[SpeakerRole, str],
        seed: int,
        clips: ClipWriter,
        earlier: ClipShard | None,
    ) -> None:
        self._engines = {role: engine_of(spec) for role, spec in specs.items()}
        self._casting = Casting({role: e.voices() for role, e in self._engines.items()}, seed)
        self._clips, self._earlier = clips, earlier
        self.counts: Counter[str] = Counter()
        """Properties of the result."""
        self.work: Counter[str] = Counter()
        """What had to be done for it: not a property of the result, so in no receipt."""

    def record(self, dialogues: list[Dialogue]) -> Iterable[SpokenDialogue | Reject]:
        """Speak the dialogues on one passage; each comes back spoken or as a reject."""
        first = dialogues[0]
        narrator = self._versioned("narrator", self._casting.narrator(first))
        try:
            narration = self._keep(self._narration(first.passage, narrator))
        except ClipFault as fault:
            yield from (_reject(d, fault, "narration") for d in dialogues)
            return
        for dialogue in dialogues:
            user, assistant = self._casting.partners(dialogue, narrator)
            speakers: dict[Role, Speaker] = {
                "user": self._versioned("user", user),
                "assistant": self._versioned("assistant", assistant),
            }
            try:
                clips = self._keep(
                    [
                        self._say(turn.role, turn.text, speakers[turn.role])
                        for turn in dialogue.turns
                    ]
                )
            except ClipFault as fault:
                yield _reject(dialogue, fault, "turns")
                continue
            yield SpokenDialogue(
                dialogue=dialogue,
                narrator=narrator,
                user=speakers["user"],
                assistant=speakers["assistant"],
                narration=narration,
                turns=tuple(
                    SpokenTurn(role=turn.role, act=turn.act, clip=clip)
                    for turn, clip in zip(dialogue.turns, clips, strict=True)
                ),
            )

    def _versioned(self, role: SpeakerRole, speaker: Speaker) -> Speaker:
        engine = self._engines[role]
        return speaker.model_copy(update={"model": engine.model, "version": engine.version})

    def _narration(self, passage: str, narrator: Speaker) -> list[tuple[Clip, bytes]]:
        """Read a passage in as few segments as keep each clip at or under 30 s."""
        chars = _SEGMENT_CHARS
        while True:
            try:
                return [self._say("narrator", s, narrator) for s in segments(passage, chars)]
            except ClipFault as fault:
                if fault.reason != "over_30_s" or chars < 40:
                    raise
                chars = chars * 3 // 4  # a slow voice, or many numbers: cut finer

    def _say(self, role: SpeakerRole, text: str, speaker: Speaker) -> tuple[Clip, bytes]:
        """The clip of an utterance: found among those made before, or made now."""
        key = clip_key(text, speaker)
        if self._earlier is not None and key in self._earlier:
            self.work["clips_reused"] += 1
            return self._earlier.clip(key), self._earlier[key]
        self.work["clips_spoken"] += 1
        return make_clip(self._engines[role], text, speaker)

    def _keep(self, clips: list[tuple[Clip, bytes]]) -> tuple[Clip, ...]:
        """Write clips to the shard, each once."""
        for clip, flac in clips:
            if self._clips.put(clip, flac):
                self.counts.update(clips=1, milliseconds=round(clip.duration_s * 1000))
        return tuple(clip for clip, _ in clips)


def _reject(dialogue: Dialogue, fault: ClipFault, where: str) -> Reject:
    return Reject(
        id=dialogue.id,
        stage="synthesize",
        reason=fault.reason,
        detail=f"{where}: {fault.detail}",
        raw=dialogue.model_dump(mode="json", exclude_defaults=True),
    )


def synthesize(
    build: Build,
    settings: SynthesizeSettings,
    *,
    workers: int = 1,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> Manifest:
    """Speak dialogues/ and return the manifest of speech/."""
    stage = SynthesizeStage(settings.narrator, settings.user, settings.assistant, settings.seed)
    for spec in {stage.narrator, stage.user, stage.assistant}:
        engine_of(spec)  # an engine that cannot start is one line here, not one per worker
    return run_stage(stage, build, workers=workers, progress=progress)
