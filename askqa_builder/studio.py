"""Casts and speaks the dialogues of one shard, clip by clip.

Slow engines rehearse: before the shard is recorded they say all that it will need, in the order
and company that suits them, into the shard's journal. Recording then finds the clips there, so it
is the same for every engine, and what a killed run had spoken is not spoken again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from askqa_builder.asr import Gate, forgotten
from askqa_builder.clips import (
    ClipFault,
    ClipShard,
    ClipWriter,
    Script,
    clip_key,
    finish_clip,
    make_clip,
    read_script,
)
from askqa_builder.errors import RefusedTextError
from askqa_builder.journal import Journal
from askqa_builder.perturb import Conditions, without
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
from askqa_builder.voices import Line, ManyVoices, Voices
from askqa_builder.voices.casting import Casting

_SEGMENT_CHARS = 320
"""Written characters in a narrated segment: about 22 s at the embedded engine's usual rate."""


@dataclass(frozen=True)
class _Part:
    """Something that has to be said."""

    key: str
    script: Script
    speaker: Speaker


class Studio:
    """Speaks the dialogues of one shard into its clip file."""

    def __init__(
        self,
        engines: Mapping[SpeakerRole, Voices],
        seed: int,
        clips: ClipWriter,
        earlier: ClipShard | None,
        journal: Journal,
        conditions: Conditions | None = None,
        gate: Gate | None = None,
    ) -> None:
        self._engines, self._conditions = engines, conditions or Conditions()
        self._gate = gate
        # asked once: looking a protocol up for every clip is 1 % of the time
        self._slow = {id(e): e for e in engines.values() if isinstance(e, ManyVoices)}
        self._casting = Casting({role: e.voices() for role, e in engines.items()}, seed)
        self._clips, self._earlier, self._journal = clips, earlier, journal
        self._faults: dict[str, ClipFault] = {}
        self.counts: Counter[str] = Counter()
        """Properties of the result."""
        self.work: Counter[str] = Counter()
        """What had to be done for it: not a property of the result, so in no receipt."""

    def rehearse(self, passages: Iterable[Sequence[Dialogue]]) -> None:
        """Have the slow engines say what the dialogues of these passages need, and all of it heard.

        By a recogniser, where there is one: many clips at a time suit it too.
        """
        passages = list(passages)
        wanted: dict[int, dict[str, _Part]] = {}
        engines = self._slow
        for dialogues in passages:
            for role, part in self._parts(dialogues) if engines else ():
                if id(self._engines[role]) not in engines:
                    continue
                wanted.setdefault(id(self._engines[role]), {})[part.key] = part
        for number, engine in engines.items():
            parts = list(wanted.get(number, {}).values())
            if engine.batch > 1:  # of like length together, or short ones would mostly be padding
                parts.sort(key=lambda part: (len(part.script.spoken_text), part.key))
            self._speak(engine, list(_with_missing(parts, engine.batch, self._is_there)))
        if self._gate is not None:
            for clip, flac in self._gate.heard(self._sounds(passages)):
                self._journal.put(clip, flac)

    def record(self, dialogues: Sequence[Dialogue]) -> Iterator[SpokenDialogue | Reject]:
        """Speak the dialogues on one passage; each comes back spoken or as a reject."""
        narrator = self._narrator(dialogues[0])
        try:
            narration = self._checked(self._narration(dialogues[0].passage, narrator))
        except ClipFault as fault:
            yield from (_reject(d, fault, "narration") for d in dialogues)
            return
        for dialogue in dialogues:
            speakers = self._partners(dialogue, narrator)
            try:
                said = [
                    self._say(turn.role, turn.text, speakers[turn.role]) for turn in dialogue.turns
                ]
                checked = self._checked(said)
            except ClipFault as fault:
                yield _reject(dialogue, fault, "turns")
                continue
            # the narration with the first of its dialogues: with none, nobody would hear it
            narrated, clips = self._keep(narration), self._keep(checked)
            yield SpokenDialogue(
                dialogue=dialogue,
                narrator=narrator,
                user=speakers["user"],
                assistant=speakers["assistant"],
                narration=narrated,
                turns=tuple(
                    SpokenTurn(role=turn.role, act=turn.act, clip=clip)
                    for turn, clip in zip(dialogue.turns, clips, strict=True)
                ),
            )

    # -- who --------------------------------------------------------------------------------------

    def _narrator(self, dialogue: Dialogue) -> Speaker:
        return self._told("narrator", self._casting.narrator(dialogue), dialogue.passage_id)

    def _partners(self, dialogue: Dialogue, narrator: Speaker) -> dict[Role, Speaker]:
        user, assistant = self._casting.partners(dialogue, narrator)
        return {
            "user": self._told("user", user, dialogue.id),
            "assistant": self._told("assistant", assistant, dialogue.id),
        }

    def _told(self, role: SpeakerRole, speaker: Speaker, record_id: str) -> Speaker:
        """The speaker with all that its engine says of itself, and under its condition."""
        engine = self._engines[role]
        about = {"model": engine.model, "version": engine.version, "settings": engine.settings}
        return self._conditions.given(speaker.model_copy(update=about), role, record_id)

    # -- what -------------------------------------------------------------------------------------

    def _parts(self, dialogues: Sequence[Dialogue]) -> Iterator[tuple[SpeakerRole, _Part]]:
        """What will have to be said; nothing of what is rejected unheard."""
        narrator = self._narrator(dialogues[0])
        try:
            yield from self._readable(
                ("narrator", s, narrator) for s in segments(dialogues[0].passage, _SEGMENT_CHARS)
            )
        except ClipFault:
            return
        for dialogue in dialogues:
            speakers = self._partners(dialogue, narrator)
            try:
                yield from self._readable(
                    (turn.role, turn.text, speakers[turn.role]) for turn in dialogue.turns
                )
            except ClipFault:
                continue

    def _readable(
        self, said: Iterable[tuple[SpeakerRole, str, Speaker]]
    ) -> list[tuple[SpeakerRole, _Part]]:
        """Raises ClipFault if one of the texts cannot be read aloud."""
        return [
            (role, _Part(clip_key(text, speaker), read_script(text), speaker))
            for role, text, speaker in said
        ]

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

    # -- the sound --------------------------------------------------------------------------------

    def _speak(self, engine: ManyVoices, parts: Sequence[_Part]) -> None:
        """Say parts into the journal; what an engine refuses is remembered for the recording."""
        lines = [Line(part.script.spoken_text, without(part.speaker)) for part in parts]
        for index, speech in engine.speak_many(lines):
            part = parts[index]
            if self._is_there(part.key):
                continue  # it was only said again to keep the others company
            try:
                if isinstance(speech, RefusedTextError):
                    raise ClipFault("refused_by_engine", str(speech))
                self._journal.put(*finish_clip(part.script, part.speaker, speech))
                self.work["clips_spoken"] += 1
            except ClipFault as fault:
                self._faults[part.key] = fault

    def _is_there(self, key: str) -> bool:
        return key in self._journal or (self._earlier is not None and key in self._earlier)

    def _say(self, role: SpeakerRole, text: str, speaker: Speaker) -> tuple[Clip, bytes]:
        """The clip of an utterance: found among those made before, or made now."""
        key = clip_key(text, speaker)
        if key in self._journal:
            self.work["clips_resumed"] += key in self._journal.resumed
            return self._as_heard(*self._journal[key])
        if self._earlier is not None and key in self._earlier:
            self.work["clips_reused"] += 1
            return self._as_heard(self._earlier.clip(key), self._earlier[key])
        if key in self._faults:
            raise self._faults[key]
        clip, flac = make_clip(self._engines[role], text, speaker)
        self.work["clips_spoken"] += 1
        if id(self._engines[role]) in self._slow:
            self._journal.put(clip, flac)
        return clip, flac

    def _as_heard(self, clip: Clip, flac: bytes) -> tuple[Clip, bytes]:
        """A clip of an earlier run, which may have had a recogniser."""
        return (forgotten(clip) if self._gate is None else clip), flac

    def _sounds(self, passages: Iterable[Sequence[Dialogue]]) -> Iterator[tuple[Clip, bytes]]:
        """All that the dialogues need and that can be said."""
        for dialogues in passages:
            for role, part in self._parts(dialogues):
                with suppress(ClipFault):  # recording meets it again, and rejects for it
                    yield self._say(role, part.script.text, part.speaker)

    def _checked(self, clips: list[tuple[Clip, bytes]]) -> list[tuple[Clip, bytes]]:
        """The clips as heard by the recogniser, if there is one. Raises ClipFault for a bad one."""
        if self._gate is None:
            return clips
        return [(self._gate.check(clip, flac), flac) for clip, flac in clips]

    def _keep(self, clips: list[tuple[Clip, bytes]]) -> tuple[Clip, ...]:
        """Write clips to the shard, each once."""
        for clip, flac in clips:
            if self._clips.put(clip, flac):
                self.counts.update(clips=1, milliseconds=round(clip.duration_s * 1000))
                for name in ("asr_errors", "asr_words"):
                    if name in clip.measures:
                        self.counts[name] += int(clip.measures[name])
        return tuple(clip for clip, _ in clips)


def _with_missing(
    parts: Sequence[_Part], batch: int, is_there: Callable[[str], bool]
) -> Iterator[_Part]:
    """The parts of every batch in which one is missing.

    Batches are cut from all that the shard needs, not from what is left to do: so a run that was
    killed goes on with the same batches, and gets the same bits.
    """
    for start in range(0, len(parts), batch):
        together = parts[start : start + batch]
        if not all(is_there(part.key) for part in together):
            yield from together


def _reject(dialogue: Dialogue, fault: ClipFault, where: str) -> Reject:
    return Reject(
        id=dialogue.id,
        stage="synthesize",
        reason=fault.reason,
        detail=f"{where}: {fault.detail}",
        raw=dialogue.model_dump(mode="json", exclude_defaults=True),
    )
