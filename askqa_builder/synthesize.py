"""Stage 2: dialogues → speech. A passage is narrated once, however many dialogues stand on it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from itertools import groupby
from pathlib import Path

from pydantic import JsonValue

from askqa_builder.asr import VERSION as ASR_VERSION
from askqa_builder.asr import Gate, Recogniser, open_recogniser
from askqa_builder.clips import VERSION, ClipShard, ClipWriter
from askqa_builder.config import SynthesizeSettings, without_folder
from askqa_builder.engine import Engine, ShardReport, run_stage
from askqa_builder.engines.local import Local
from askqa_builder.errors import BuildError, SettingsError
from askqa_builder.files import atomic_file, digest, read_records, write_records
from askqa_builder.journal import Journal
from askqa_builder.schema import Dialogue, Reject, SpeakerRole, SpokenDialogue
from askqa_builder.store import Build, Manifest, ShardOutput
from askqa_builder.studio import Studio
from askqa_builder.voices import Voices, open_voices
from askqa_builder.voices.casting import Casting

CACHE_FOLDER = "cache"
"""Of the build: what endpoints were paid for."""


@cache
def engine_of(spec: str, settings: SynthesizeSettings, cache: Path) -> Voices:
    """The engine of this process; starting one costs more than an utterance."""
    return open_voices(spec, settings, cache)


@cache
def recogniser_of(settings: SynthesizeSettings, cache: Path) -> Recogniser | None:
    """The recogniser of this process, if the settings want one."""
    return open_recogniser(settings, cache)


@dataclass(frozen=True)
class SynthesizeStage:
    """Casts and speaks the dialogues of a shard."""

    how: SynthesizeSettings
    name: str = "speech"

    def settings(self) -> dict[str, JsonValue]:
        how = self.how
        heard: dict[str, JsonValue] = {"asr": without_folder(how.asr), "max_wer": how.max_wer}
        return {
            "seed": how.seed,
            **{role: without_folder(spec) for role, spec in self._specs().items()},
            **({"perturbed": how.conditions.described()} if how.perturb else {}),
            **(heard if how.asr != "none" else {}),
        }

    def engines(self, build: Build) -> dict[SpeakerRole, Voices]:
        """The engine of each role; roles with the same one share it.

        Raises VoiceError if one cannot start.
        """
        cache = build.root / CACHE_FOLDER
        return {role: engine_of(spec, self.how, cache) for role, spec in self._specs().items()}

    def recogniser(self, build: Build) -> Recogniser | None:
        """Raises RecogniserError if there should be one and it cannot start."""
        return recogniser_of(self.how, build.root / CACHE_FOLDER)

    def _specs(self) -> dict[SpeakerRole, str]:
        how = self.how
        return {"narrator": how.narrator, "user": how.user, "assistant": how.assistant}

    def shards(self, build: Build) -> int:
        return build.complete("dialogues").shards

    def inputs(self, build: Build, shard: int) -> dict[str, str]:
        return build.inputs("dialogues", shard)

    def fingerprint(self, build: Build, shard: int) -> str:
        engines = self.engines(build).values()
        recogniser = self.recogniser(build)
        return digest(
            VERSION,
            self.settings(),
            [[e.name, e.model, e.version, e.settings] for e in engines],
            [[voice.model_dump(mode="json") for voice in e.voices()] for e in engines],
            None if recogniser is None else [ASR_VERSION, recogniser.name],
        )

    def run(self, build: Build, shard: int, output: ShardOutput, counts: Counter[str]) -> None:
        dialogues = read_records(build.shard_path("dialogues", shard), Dialogue)
        passages = [list(group) for _, group in groupby(dialogues, key=lambda d: d.passage_id)]
        earlier = _earlier_clips(build, shard)
        recogniser = self.recogniser(build)
        spoken_dialogues: list[SpokenDialogue] = []
        rejects: list[Reject] = []
        with (
            Journal(output.scratch_path()) as journal,
            atomic_file(output.path(".parquet")) as file,
            ClipWriter(file) as clips,
        ):
            studio = Studio(
                self.engines(build),
                self.how.seed,
                clips,
                earlier,
                journal,
                self.how.conditions,
                None if recogniser is None else Gate(recogniser, self.how.max_wer),
            )
            studio.rehearse(passages)
            for passage in passages:
                for item in studio.record(passage):
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


def start(build: Build, settings: SynthesizeSettings) -> SynthesizeStage:
    """Open what the settings name: what cannot start is one line here, not one per worker.

    Raises an AskqaError if an engine, a recogniser or a condition cannot be had, or there are too
    few voices.
    """
    stage = SynthesizeStage(settings)
    for perturbation in settings.conditions.perturbations:
        perturbation.check_installed()
    stage.recogniser(build)
    Casting({role: e.voices() for role, e in stage.engines(build).items()}, settings.seed)
    return stage


def synthesize(
    build: Build,
    settings: SynthesizeSettings,
    *,
    engine: Engine | None = None,
    progress: Callable[[ShardReport, int], None] = lambda report, total: None,
) -> Manifest:
    """Speak dialogues/ and return the manifest of speech/.

    Raises what `start` and the engine raise, and SettingsError for an endpoint and a cluster.
    """
    stage = start(build, settings)
    helpers = [h for h in (*stage.engines(build).values(), stage.recogniser(build)) if h]
    engine = engine or Local()
    limits = [h.max_processes for h in helpers if h.max_processes is not None]
    if limits:
        engine = engine.limited(min(limits))
    if not any(helper.name.startswith("openai") for helper in helpers):
        return run_stage(stage, build, engine=engine, progress=progress)
    if not isinstance(engine, Local):
        raise SettingsError(
            "--engine: an endpoint is asked by one process, which has its limits and its budget in "
            "its hands, --concurrency requests at a time; leave the option away"
        )
    with build.paid():
        return run_stage(stage, build, engine=engine, progress=progress)
