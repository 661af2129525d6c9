"""A speech endpoint on the loopback: our embedded engine behind OpenAI's wire protocol.

    with OpenAIServer(speak) as server:
        ... base_url=server.base_url ...

Each voice name is one of the embedded speakers, so what is sent back is real speech.
"""

from __future__ import annotations

import hashlib
import io
from functools import cache

import soundfile
from openai_server import Act, Call, fail, send

from askqa_builder.errors import RefusedTextError
from askqa_builder.schema import Speaker
from askqa_builder.voices.espeak import EspeakVoices

VOICES = ("alloy", "echo", "fable", "nova", "onyx", "shimmer")
TYPES = {"wav": "audio/wav", "flac": "audio/flac", "mp3": "audio/mpeg"}


@cache
def _engine() -> EspeakVoices:
    return EspeakVoices()


def sound(call: Call, form: str) -> bytes:
    """What the call asks for, said aloud, in the given form."""
    engine = _engine()
    speakers = engine.voices()
    number = int(hashlib.sha256(call.body["voice"].encode()).hexdigest(), 16)
    speaker = speakers[number % len(speakers)]
    said = engine.speak(
        call.body["input"],
        Speaker(id=speaker.id, engine="espeak", rate=call.body.get("speed", 1.0)),
    )
    if form == "pcm":
        import soxr

        pcm = soxr.resample(said.samples, said.sample_rate_hz, 24_000)
        return (pcm * 32767).astype("<i2").tobytes()
    buffer = io.BytesIO()
    soundfile.write(buffer, said.samples, said.sample_rate_hz, format=form.upper())
    return buffer.getvalue()


def speak(call: Call) -> Act:
    """Answer as a good endpoint does; an unknown voice or unspeakable text is a 400."""
    if call.body["voice"] not in VOICES:
        return fail(400, f"voice {call.body['voice']!r} is none of {', '.join(VOICES)}")
    form = call.body.get("response_format", "mp3")
    try:
        return send(sound(call, form), TYPES.get(form, "application/octet-stream"))
    except RefusedTextError as error:
        return fail(400, str(error))
