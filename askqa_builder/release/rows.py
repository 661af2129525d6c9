"""A spoken dialogue as rows of the published configs, and their Arrow schemas.

The schemas carry the `huggingface` metadata that `datasets` reads features from. Lists are
written in its older form, `[{…}]`, which datasets 3.6 and 5 both understand; the newer
`{"_type": "List"}` does not load before 4.0.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from typing import TYPE_CHECKING, Any

from askqa_builder.clips import SAMPLE_RATE_HZ
from askqa_builder.schema import Clip, Speaker, SpokenDialogue, Word

if TYPE_CHECKING:
    import pyarrow as pa

Row = dict[str, Any]
Features = dict[str, Any]

CONFIGS = ("dialogues", "turns", "text")
DEFAULT_CONFIG = "dialogues"


def _value(dtype: str) -> Features:
    return {"dtype": dtype, "_type": "Value"}


_STRING, _BOOL = _value("string"), _value("bool")
_INT, _FLOAT = _value("int32"), _value("float64")
_AUDIO: Features = {"sampling_rate": SAMPLE_RATE_HZ, "_type": "Audio"}
_WORDS = [{"text": _STRING, "start": _FLOAT, "end": _FLOAT}]
_SPEAKER: Features = {
    "speaker": _STRING,
    "sex": _STRING,
    "accent": _STRING,
    "rate": _FLOAT,
    "pitch": _FLOAT,
    "engine": _STRING,
    "model": _STRING,
    "version": _STRING,
    "settings": _STRING,
}
_WRITTEN: Features = {
    "id": _STRING,
    "passage_id": _STRING,
    "title": _STRING,
    "domain": _STRING,
    "language": _STRING,
    "passage": _STRING,
}
_MEANT: Features = {
    "ambiguous": _BOOL,
    "ambiguity_kind": _STRING,
    "readings": [
        {
            "question": _STRING,
            "answers": [_STRING],
            "evidence": _STRING,
            "evidence_start": _INT,
        }
    ],
    "intended": _INT,
}
_PROVENANCE: Features = {
    "provenance": {
        "source": _STRING,
        "group": _STRING,
        "license": _STRING,
        "writer": _STRING,
        "writer_version": _STRING,
        "question_ids": [_STRING],
        "details": _STRING,
    }
}
_CLIP: Features = {
    "text": _STRING,
    "spoken_text": _STRING,
    "duration": _FLOAT,
    "audio": _AUDIO,
    "words": _WORDS,
    "measures": _STRING,
}
_TURN: Features = {"index": _INT, "role": _STRING, "act": _STRING}

FEATURES: dict[str, Features] = {
    "dialogues": {
        **_WRITTEN,
        "narration": [_CLIP],
        "turns": [{**_TURN, "speaker": _STRING, **_CLIP}],
        **_MEANT,
        "voices": {"narrator": _SPEAKER, "user": _SPEAKER, "assistant": _SPEAKER},
        **_PROVENANCE,
    },
    "turns": {
        "dialogue_id": _STRING,
        **_TURN,
        "text": _STRING,
        "spoken_text": _STRING,
        "speaker": _STRING,
        "duration": _FLOAT,
        "audio": _AUDIO,
    },
    "text": {
        **_WRITTEN,
        "turns": [{**_TURN, "text": _STRING}],
        **_MEANT,
        **_PROVENANCE,
    },
}
"""The published columns by config, in the form of the `huggingface` schema metadata."""


def arrow_schema(config: str) -> pa.Schema:
    """The Arrow schema of a config with the metadata that `datasets` reads."""
    import pyarrow as pa

    features = FEATURES[config]
    metadata = json.dumps({"info": {"features": features}})
    fields = [pa.field(name, _arrow_type(feature)) for name, feature in features.items()]
    return pa.schema(fields, metadata={"huggingface": metadata})


def _arrow_type(feature: Any) -> pa.DataType:
    import pyarrow as pa

    if isinstance(feature, list):
        return pa.list_(_arrow_type(feature[0]))
    if feature.get("_type") == "Audio":
        return pa.struct([("bytes", pa.binary()), ("path", pa.string())])
    if feature.get("_type") == "Value":
        return pa.type_for_alias(feature["dtype"])
    return pa.struct([(name, _arrow_type(inner)) for name, inner in feature.items()])


def dialogues_rows(spoken: SpokenDialogue, flac: Mapping[str, bytes]) -> Iterator[Row]:
    """The one row of config `dialogues`: everything, narration and turns with their sound."""
    dialogue_id = spoken.dialogue.id
    speakers = {"user": spoken.user, "assistant": spoken.assistant}
    yield {
        **_written(spoken),
        "narration": [
            _clip(clip, flac, f"{dialogue_id}-narration-{index}")
            for index, clip in enumerate(spoken.narration)
        ],
        "turns": [
            {
                "index": index,
                "role": turn.role,
                "act": turn.act,
                "speaker": speakers[turn.role].id,
                **_clip(turn.clip, flac, f"{dialogue_id}-{index}"),
            }
            for index, turn in enumerate(spoken.turns)
        ],
        "voices": {
            "narrator": _speaker(spoken.narrator),
            "user": _speaker(spoken.user),
            "assistant": _speaker(spoken.assistant),
        },
    }


def turns_rows(spoken: SpokenDialogue, flac: Mapping[str, bytes]) -> Iterator[Row]:
    """Config `turns`: one row an utterance of the user or the assistant."""
    speakers = {"user": spoken.user, "assistant": spoken.assistant}
    for index, turn in enumerate(spoken.turns):
        yield {
            "dialogue_id": spoken.dialogue.id,
            "index": index,
            "role": turn.role,
            "act": turn.act,
            "text": turn.clip.text,
            "spoken_text": turn.clip.spoken_text,
            "speaker": speakers[turn.role].id,
            "duration": turn.clip.duration_s,
            "audio": _audio(turn.clip, flac, f"{spoken.dialogue.id}-{index}"),
        }


def text_rows(spoken: SpokenDialogue, flac: Mapping[str, bytes]) -> Iterator[Row]:
    """Config `text`: the conversation without sound."""
    yield {
        **_written(spoken),
        "turns": [
            {"index": index, "role": turn.role, "act": turn.act, "text": turn.clip.text}
            for index, turn in enumerate(spoken.turns)
        ],
    }


ROWS: dict[str, Callable[[SpokenDialogue, Mapping[str, bytes]], Iterator[Row]]] = {
    "dialogues": dialogues_rows,
    "turns": turns_rows,
    "text": text_rows,
}


def _written(spoken: SpokenDialogue) -> Row:
    dialogue = spoken.dialogue
    provenance = dialogue.provenance
    return {
        "id": dialogue.id,
        "passage_id": dialogue.passage_id,
        "title": dialogue.title,
        "domain": dialogue.domain,
        "language": dialogue.language,
        "passage": dialogue.passage,
        "ambiguous": dialogue.ambiguous,
        "ambiguity_kind": dialogue.ambiguity_kind,
        "readings": [reading.model_dump() for reading in dialogue.readings],
        "intended": dialogue.intended,
        "provenance": {
            "source": provenance.source,
            "group": dialogue.group,
            "license": provenance.license,
            "writer": provenance.writer,
            "writer_version": provenance.writer_version,
            "question_ids": list(provenance.question_ids),
            "details": json.dumps(provenance.details, sort_keys=True, ensure_ascii=False),
        },
    }


def _clip(clip: Clip, flac: Mapping[str, bytes], name: str) -> Row:
    return {
        "text": clip.text,
        "spoken_text": clip.spoken_text,
        "duration": clip.duration_s,
        "audio": _audio(clip, flac, name),
        "words": [_word(word) for word in clip.words],
        "measures": json.dumps(clip.measures, sort_keys=True) if clip.measures else None,
    }


def _audio(clip: Clip, flac: Mapping[str, bytes], name: str) -> Row:
    return {"bytes": flac[clip.key], "path": f"{name}.flac"}


def _word(word: Word) -> Row:
    return {"text": word.text, "start": word.start, "end": word.end}


def _speaker(speaker: Speaker) -> Row:
    return {
        "speaker": speaker.id,
        "sex": speaker.sex,
        "accent": speaker.accent,
        "rate": speaker.rate,
        "pitch": speaker.pitch,
        "engine": speaker.engine,
        "model": speaker.model,
        "version": speaker.version,
        "settings": json.dumps(speaker.settings, sort_keys=True),
    }
