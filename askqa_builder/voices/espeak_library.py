"""eSpeak NG by ctypes: load, say one utterance, unload.

eSpeak NG keeps state between utterances (the flutter index, the noise generator, intonation
flags of the last voice) that no call resets. A freshly loaded library always starts from the same
state, so every utterance gets one: what it sounds like depends on its arguments alone.

API: https://github.com/espeak-ng/espeak-ng/blob/1.52.0/src/include/espeak-ng/speak_lib.h
"""

from __future__ import annotations

import _ctypes
import ctypes
import os
import pickle
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from askqa_builder.errors import RefusedTextError, VoiceError

if TYPE_CHECKING:
    from collections.abc import Callable

# Names and values as in speak_lib.h.
_AUDIO_OUTPUT_SYNCHRONOUS = 2
_INITIALIZE_DONT_EXIT = 0x8000
_POS_CHARACTER = 1
_CHARS_UTF8 = 1
_RATE, _VOLUME, _PITCH, _RANGE = 1, 2, 3, 4
_EVENT_LIST_TERMINATED, _EVENT_WORD, _EVENT_END = 0, 1, 5
_BUFFER_MS = 1000
_SEED = 1
_HALF_VOLUME = 50
"""At the usual 100 the loud variants run into the library's limiter, which distorts them."""


class _EventId(ctypes.Union):
    _fields_ = (
        ("number", ctypes.c_int),
        ("name", ctypes.c_char_p),
        ("string", ctypes.c_char * 8),
    )


class _Event(ctypes.Structure):
    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", _EventId),
    )


_Callback = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event)
)
_INT, _UINT, _TEXT, _POINTER = ctypes.c_int, ctypes.c_uint, ctypes.c_char_p, ctypes.c_void_p
_FUNCTIONS: dict[str, Any] = {
    "espeak_Info": ctypes.CFUNCTYPE(_TEXT, _POINTER),
    "espeak_Initialize": ctypes.CFUNCTYPE(_INT, _INT, _INT, _TEXT, _INT),
    "espeak_SetSynthCallback": ctypes.CFUNCTYPE(None, _Callback),
    "espeak_SetVoiceByName": ctypes.CFUNCTYPE(_INT, _TEXT),
    "espeak_SetParameter": ctypes.CFUNCTYPE(_INT, _INT, _INT, _INT),
    "espeak_ng_SetRandSeed": ctypes.CFUNCTYPE(_INT, ctypes.c_long),
    "espeak_Synth": ctypes.CFUNCTYPE(
        _INT, _TEXT, ctypes.c_size_t, _UINT, _INT, _UINT, _UINT, _POINTER, _POINTER
    ),
    "espeak_Terminate": ctypes.CFUNCTYPE(_INT),
}


@dataclass(frozen=True)
class Utterance:
    """Raw output of the library."""

    pcm: bytes
    """16-bit signed samples, mono, native byte order."""
    sample_rate_hz: int
    words: tuple[tuple[int, int], ...]
    """(offset in the text in characters, first sample) of each spoken word."""
    clause_ends: tuple[int, ...]
    """Sample at which each clause falls silent."""


class Library:
    """A file with eSpeak NG in it. Safe to call from threads; they take turns."""

    # One lock for all instances: two of them may share a file, hence the library's state.
    _lock = threading.Lock()

    def __init__(self, library: Path, data: Path, *, fork: bool | None = None) -> None:
        """Open `library` with the voices and dictionaries in `data`.

        With `fork` each utterance gets a child process instead of a fresh load: three times
        slower, for systems (musl) that never unload a library. None finds out. Raises VoiceError
        if the library cannot be loaded, or can be neither unloaded nor forked.
        """
        self._path = os.fspath(library)
        self._data = os.fsencode(data)
        self._pcm: list[bytes] = []
        self._events: list[tuple[int, int, int]] = []
        self._error: BaseException | None = None
        self._callback = _Callback(self._collect)  # kept: ctypes holds no reference
        with self._lock:
            try:
                handle = _ctypes.dlopen(self._path, os.RTLD_NOW | os.RTLD_LOCAL)
                self.version = self._function(handle, "espeak_Info")(None).decode()
                _ctypes.dlclose(handle)
            except OSError as error:
                raise VoiceError(
                    f"{self._path}: eSpeak NG cannot be loaded ({error}); "
                    f"reinstall it: pip install --force-reinstall espeakng-loader"
                ) from error
            self._fork = self._is_loaded() if fork is None else fork

    def speak(self, text: str, voice: str, wpm: int, pitch: int, pitch_range: int) -> Utterance:
        """Say `text`; same arguments, same samples.

        `voice` is a language with an optional variant, `en-us+f3`; the numbers are those of
        espeak_SetParameter (words a minute, 0–99, 0–99). Raises VoiceError if there is no such
        voice, RefusedTextError if the library refuses the text.
        """
        with self._lock:
            if self._fork:
                return _in_child(lambda: self._speak(text, voice, wpm, pitch, pitch_range))
            return self._speak(text, voice, wpm, pitch, pitch_range)

    def _speak(self, text: str, voice: str, wpm: int, pitch: int, pitch_range: int) -> Utterance:
        handle = _ctypes.dlopen(self._path, os.RTLD_NOW | os.RTLD_LOCAL)
        call = {name: self._function(handle, name) for name in _FUNCTIONS}
        try:
            rate = call["espeak_Initialize"](
                _AUDIO_OUTPUT_SYNCHRONOUS, _BUFFER_MS, self._data, _INITIALIZE_DONT_EXIT
            )
            if rate <= 0:
                raise VoiceError(
                    f"{self._data.decode()!r}: eSpeak NG does not accept its data (code {rate}); "
                    f"delete the folder, it is made again"
                )
            call["espeak_SetSynthCallback"](self._callback)
            if call["espeak_SetVoiceByName"](voice.encode()) != 0:
                raise VoiceError(f"eSpeak NG has no voice {voice!r}")
            for parameter, value in (
                (_RATE, wpm),
                (_VOLUME, _HALF_VOLUME),
                (_PITCH, pitch),
                (_RANGE, pitch_range),
            ):
                call["espeak_SetParameter"](parameter, value, 0)
            call["espeak_ng_SetRandSeed"](_SEED)
            self._pcm, self._events, self._error = [], [], None
            utf8 = text.encode()
            status = call["espeak_Synth"](
                utf8, len(utf8) + 1, 0, _POS_CHARACTER, 0, _CHARS_UTF8, None, None
            )
            if self._error is not None:
                raise self._error
            if status != 0:
                raise RefusedTextError(f"eSpeak NG refuses {text[:60]!r} (code {status})")
            return Utterance(
                pcm=b"".join(self._pcm),
                sample_rate_hz=rate,
                words=tuple((at - 1, n) for kind, at, n in self._events if kind == _EVENT_WORD),
                clause_ends=tuple(n for kind, _, n in self._events if kind == _EVENT_END),
            )
        finally:
            self._pcm, self._events = [], []
            call["espeak_Terminate"]()
            _ctypes.dlclose(handle)

    def _collect(self, samples: Any, count: int, events: Any) -> int:
        """Take a buffer of sound and its events from the library (t_espeak_callback)."""
        try:
            if samples and count > 0:
                self._pcm.append(ctypes.string_at(samples, 2 * count))
            index = 0
            while (event := events[index]).type != _EVENT_LIST_TERMINATED:
                self._events.append((event.type, event.text_position, event.sample))
                index += 1
        except BaseException as error:  # must not cross C; `_speak` raises it again
            self._error = error
            return 1
        return 0

    def _is_loaded(self) -> bool:
        try:
            handle = _ctypes.dlopen(self._path, os.RTLD_NOLOAD | os.RTLD_NOW | os.RTLD_LOCAL)
        except OSError:
            return False
        _ctypes.dlclose(handle)
        return True

    @staticmethod
    def _function(handle: int, name: str) -> Any:
        return _FUNCTIONS[name](_ctypes.dlsym(handle, name))


def _in_child(speak: Callable[[], Utterance]) -> Utterance:
    """Run `speak` in a forked process, so that it leaves no trace in this one."""
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            try:
                result: Utterance | BaseException = speak()
            except BaseException as error:
                result = error
            with os.fdopen(writer, "wb") as pipe:
                pickle.dump(result, pipe)
        finally:
            os._exit(0)  # no exit handlers of the parent's
    os.close(writer)
    with os.fdopen(reader, "rb") as pipe:
        raw = pipe.read()
    os.waitpid(child, 0)
    if not raw:
        raise VoiceError("the process that runs eSpeak NG died; is there enough memory?")
    result = pickle.loads(raw)
    if isinstance(result, BaseException):
        raise result
    assert isinstance(result, Utterance)
    return result
