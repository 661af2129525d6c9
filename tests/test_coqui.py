"""Coqui models: files that are whole, speakers that exist, the same samples always.

The model is a tiny random VITS; what it says is noise, all that leads there is real.
"""

from __future__ import annotations

import json
import os
import pickle
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import tiny_vits
import tiny_xtts

from askqa_builder.clips import ClipFault, make_clip
from askqa_builder.config import CoquiSettings
from askqa_builder.errors import RefusedTextError, VoiceError
from askqa_builder.schema import Speaker
from askqa_builder.voices import Line, ManyVoices, Speech, coqui_cpu, open_voices
from askqa_builder.voices.coqui import CoquiVoices
from askqa_builder.voices.coqui_files import find_model, read_facts
from askqa_builder.voices.coqui_words import token_times

SENTENCE = "Would you tell me when the state-of-the-art museum of the year was opened?"
TEXTS = (SENTENCE, "The motto.", "It was opened in eighteen ninety-five. Bring your tickets – now.")
SEES_PADDING = 4 * 256
"""Samples at the end of a row that the decoder's convolutions make from what is behind it, too."""


def speaker(id: str = "ava", rate: float = 1.0, pitch: float = 0.0) -> Speaker:
    return Speaker(id=id, engine="coqui", rate=rate, pitch=pitch)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_vits.build(tmp_path_factory.mktemp("coqui") / "tiny")


@pytest.fixture(scope="module")
def engine(model: Path) -> CoquiVoices:
    return CoquiVoices(str(model))


@pytest.fixture
def copy(model: Path, tmp_path: Path) -> Path:
    """The model in a folder that a test may spoil."""
    return Path(shutil.copytree(model, tmp_path / "tiny"))


def said(engine: CoquiVoices, lines: list[Line]) -> list[Speech]:
    found = dict(engine.speak_many(lines))
    assert all(isinstance(speech, Speech) for speech in found.values())
    return [found[index] for index in range(len(lines))]  # type: ignore[misc]


# -- the same samples -----------------------------------------------------------------------------


def test_the_same_line_gives_the_same_samples_in_any_order(
    model: Path, engine: CoquiVoices
) -> None:
    lines = [Line(text, speaker(name)) for text in TEXTS for name in ("ava", "dev")]
    first = said(engine, lines)
    again = said(CoquiVoices(str(model)), lines[::-1])[::-1]
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)
        assert one.token_times == other.token_times
    assert len({speech.samples.tobytes() for speech in first}) == len(lines)


def test_a_batch_gives_what_one_by_one_gives_up_to_rounding(model: Path) -> None:
    who = (("ava", 1.0), ("ben", 0.9), ("cara", 1.1))
    lines = [Line(text, speaker(*one)) for text in (*TEXTS[:2], "Who?") for one in who]
    single = said(CoquiVoices(str(model)), lines)
    engine = CoquiVoices(str(model), CoquiSettings(batch=4))
    together = said(engine, lines)
    for one, other in zip(single, together, strict=True):
        assert one.token_times == other.token_times
        assert len(one.samples) == len(other.samples)
        heard = len(one.samples) - SEES_PADDING
        np.testing.assert_allclose(one.samples[:heard], other.samples[:heard], atol=1e-6)
    for one, other in zip(together, said(engine, lines), strict=True):
        np.testing.assert_array_equal(one.samples, other.samples)


def test_noise_of_a_row_depends_on_its_seed_alone() -> None:
    coqui_cpu.prepare()
    import torch

    from askqa_builder.voices.coqui_speech import _RowNoise

    with _RowNoise([1, 2]):
        long = [torch.randn(2, 5, 40) for _ in range(2)]
    with _RowNoise([3, 2]):
        short = [torch.randn_like(torch.zeros(2, 5, 7)) for _ in range(2)]
    for padded, alone in zip(long, short, strict=True):
        torch.testing.assert_close(alone[1], padded[1, :, :7], rtol=0, atol=0)
        assert not torch.equal(alone[0], padded[0, :, :7])
        assert abs(float(padded.std()) - 1) < 0.2
    assert not torch.equal(*long)


def test_a_higher_rate_takes_less_time(engine: CoquiVoices) -> None:
    slow, fast = (len(engine.speak(SENTENCE, speaker(rate=r)).samples) for r in (0.8, 1.5))
    assert 1.3 < slow / fast < 2.2


# -- words ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("text", TEXTS)
def test_every_token_has_its_time(engine: CoquiVoices, text: str) -> None:
    speech = engine.speak(text, speaker("ben"))
    assert len(speech.token_times) == len(text.split())
    flat = [time for times in speech.token_times for time in times]
    assert flat == sorted(flat)
    assert 0 < flat[0] < flat[-1] <= len(speech.samples) / speech.sample_rate_hz
    for token, (start, end) in zip(text.split(), speech.token_times, strict=True):
        assert (end > start) == any(map(str.isalnum, token))


def test_words_that_the_model_joins_or_parts_are_matched() -> None:
    symbols = "stˈeɪt ʌvðə bˈɪɡ bɹˈɪdʒ"
    starts = [0.1 * place for place in range(len(symbols) + 1)]
    words = [(0.0, 0.6), (0.7, 1.1), (1.2, 1.6), (1.7, 2.3)]
    assert [symbols[round(10 * a) : round(10 * b)] for a, b in words] == symbols.split()
    times = token_times([5, 2, 2, 10], symbols, starts)
    assert times == [
        pytest.approx(words[0]),
        pytest.approx((0.7, 0.9)),
        pytest.approx((0.9, 1.1)),
        pytest.approx((words[2][0], words[3][1])),
    ]


def test_unspoken_tokens_take_no_time() -> None:
    symbols = "wˈʌn, tˈuː!"
    starts = [float(place) for place in range(len(symbols) + 1)]
    assert token_times([4, 0, 4], symbols, starts) == [(0.0, 4.0), (4.0, 4.0), (6.0, 10.0)]
    assert token_times([0], "!", [0.0, 1.0]) == [(0.0, 0.0)]


# -- speakers -------------------------------------------------------------------------------------


def test_speakers_are_those_of_the_model(engine: CoquiVoices) -> None:
    assert [voice.id for voice in engine.voices()] == list(tiny_vits.SPEAKERS)
    assert {voice.sex for voice in engine.voices()} == {"unknown"}
    assert isinstance(engine, ManyVoices)


def test_an_unknown_speaker_is_told_which_exist(engine: CoquiVoices) -> None:
    with pytest.raises(VoiceError, match=r"no speaker 'bob'; expected one of \['ava', 'ben'"):
        engine.speak(SENTENCE, speaker("bob"))
    with pytest.raises(VoiceError, match="cannot shift the pitch"):
        engine.speak(SENTENCE, speaker(pitch=1.0))


def test_a_table_beside_the_model_says_who_is_cast(copy: Path) -> None:
    (copy / "speakers.csv").write_text(
        "speaker,sex,accent,description\nben,M,Scottish,aged 22\nava,female,,\n"
    )
    engine = CoquiVoices(str(copy))
    ava, ben = engine.voices()
    assert (ava.id, ava.sex, ava.accent) == ("ava", "female", "unknown")
    assert (ben.id, ben.sex, ben.accent, ben.description) == ("ben", "male", "Scottish", "aged 22")
    assert len(engine.speak("The motto.", speaker("dev")).samples), "cara and dev still can speak"


def test_vctks_own_table_is_read(copy: Path) -> None:
    (copy / "speaker-info.txt").write_text(
        "ID  AGE  GENDER  ACCENTS  REGION COMMENTS \n"
        "p225  23  F    English    Southern  England\n"
        "292  23  M    NorthernIrish  Belfast\n"
        "p280  25  F    Unknown  France \n"
        "p376  22  M    Indian\n"
    )
    names = {"VCTK_p292": 0, "p225": 1, "ED\n": 2, "p376": 3}
    (copy / "speaker_ids.json").write_text(json.dumps(names))
    engine = CoquiVoices(str(copy))
    described = {v.id: (v.sex, v.accent, v.description) for v in engine.voices()}
    assert described == {
        "VCTK_p292": ("male", "Northern Irish", "aged 23, Belfast"),
        "p225": ("female", "English", "aged 23, Southern England"),
        "p376": ("male", "Indian", "aged 22"),
    }
    assert read_facts(copy)["p280"].accent == "unknown"
    assert len(engine.speak("The motto.", speaker("ED")).samples), "its name has a line feed"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("speakers.csv", "name,sex\nben,M\n", "speakers.csv:1: no column 'speaker'"),
        ("speakers.csv", "speaker,sex\nben,boy\n", "speakers.csv:2: sex 'boy' is none of F, M"),
        ("speakers.csv", "sex,speaker\nM,ben\nF\n", "speakers.csv:3: no speaker in this line"),
        ("speakers.csv", "speaker,accent\nben,\nana,galés\n", "speakers.csv:3: not UTF-8; save"),
        ("speaker-info.txt", "ID AGE\nnonsense\n", "speaker-info.txt:2: not a line"),
        ("speaker-info.txt", "ID AGE\np225 23 F é\n", "speaker-info.txt:2: not UTF-8; save"),
    ],
)
def test_a_table_that_cannot_be_read_is_one_line(
    copy: Path, name: str, text: str, words: str
) -> None:
    (copy / name).write_text(text, encoding="latin-1")  # as some spreadsheets do
    with pytest.raises(VoiceError) as error:
        CoquiVoices(str(copy))
    assert words in str(error.value)


# -- texts ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Sell it in 東京 now.", "cannot read '東'"),
        ("– … !", "nothing to say"),
    ],
)
def test_text_that_would_lose_something_is_refused(
    engine: CoquiVoices, text: str, words: str
) -> None:
    with pytest.raises(RefusedTextError, match=words):
        engine.speak(text, speaker())
    refused = dict(engine.speak_many([Line(text, speaker()), Line("The motto.", speaker())]))
    assert isinstance(refused[0], RefusedTextError)
    assert isinstance(refused[1], Speech), "one refused line does not spoil the others"


def test_a_model_of_letters_refuses_letters_that_it_has_not(tmp_path: Path) -> None:
    engine = CoquiVoices(str(tiny_vits.build(tmp_path / "letters", phonemes=False)))
    speech = engine.speak("A plain line.", speaker())
    assert len(speech.token_times) == 3
    with pytest.raises(RefusedTextError, match="no symbol for 'ß'"):
        engine.speak("A Straße.", speaker())
    with pytest.raises(ClipFault) as fault:
        make_clip(engine, "The Straße was opened.", speaker())
    assert fault.value.reason == "refused_by_engine"


def test_long_text_is_spoken_whole_and_a_clip_over_30_s_is_a_fault(engine: CoquiVoices) -> None:
    text = " ".join(f"{SENTENCE} It was opened late, they say." for _ in range(12))
    speech = engine.speak(text, speaker())
    assert len(speech.token_times) == len(text.split())
    assert len(speech.samples) / speech.sample_rate_hz > 30
    with pytest.raises(ClipFault) as fault:
        make_clip(engine, text, speaker())
    assert fault.value.reason == "over_30_s"


def test_phonemes_come_from_the_wheel_as_the_binary_gives_them() -> None:
    coqui_cpu.prepare()
    phonemes = coqui_cpu._phonemes()
    assert phonemes.of("The museum opens at ten", "en-us") == (
        "ð_ə m_j_uː_z_ˈiə_m ˈoʊ_p_ə_n_z æ_t t_ˈɛ_n"
    )
    assert phonemes.of("car", "en-gb") != phonemes.of("car", "en-us")


# -- files ----------------------------------------------------------------------------------------


def test_the_version_changes_with_the_weights(model: Path, copy: Path, tmp_path: Path) -> None:
    assert CoquiVoices(str(copy)).version == CoquiVoices(str(model)).version
    other = tiny_vits.build(tmp_path / "other" / "tiny", seed=1)
    assert CoquiVoices(str(other)).version != CoquiVoices(str(model)).version
    (copy / "speakers.csv").write_text("speaker,sex\nben,M\n")
    assert CoquiVoices(str(copy)).version == CoquiVoices(str(model)).version


def no_config(folder: Path) -> str:
    (folder / "config.json").unlink()
    return "no config.json, so no Coqui model; download"


def no_weights(folder: Path) -> str:
    (folder / "model_file.pth").unlink()
    return "no weights"


def no_speakers(folder: Path) -> str:
    (folder / "speaker_ids.json").unlink()
    return "speaker_ids.json is missing"


def half_a_config(folder: Path) -> str:
    text = (folder / "config.json").read_text()
    (folder / "config.json").write_text(text[: len(text) // 2])
    return "config.json: not JSON"


def a_vocoder(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({"model": "hifigan"}))
    return "a model of kind 'hifigan' cannot speak by itself; expected one of ['vits', 'xtts']"


def not_coquis(folder: Path) -> str:
    (folder / "config.json").write_text(json.dumps({"model_type": "vits"}))
    return "a model of kind None"


def foreign_code(folder: Path) -> str:
    config = json.loads((folder / "config.json").read_text())
    config["characters"] = {"characters_class": "os.path"}
    (folder / "config.json").write_text(json.dumps(config))
    return "'os.path' is code from elsewhere"


def two_checkpoints(folder: Path) -> str:
    shutil.copy(folder / "model_file.pth", folder / "checkpoint_1.pth")
    (folder / "model_file.pth").rename(folder / "checkpoint_2.pth")
    return "several checkpoints; name one, as in coqui:"


@pytest.mark.parametrize(
    "spoil",
    [
        *(no_config, no_weights, no_speakers, half_a_config),
        *(a_vocoder, not_coquis, foreign_code, two_checkpoints),
    ],
)
def test_a_folder_that_is_no_whole_model_is_one_line(copy: Path, spoil: Any) -> None:
    words = spoil(copy)
    with pytest.raises(VoiceError) as error:
        find_model(str(copy))
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def half_the_weights(folder: Path) -> None:
    path = folder / "model_file.pth"
    path.write_bytes(path.read_bytes()[:100_000])


def no_checkpoint(folder: Path) -> None:
    (folder / "model_file.pth").write_bytes(b"<html>not found</html>")


def weights_of_another(folder: Path) -> None:
    tiny_vits.build(folder.parent / "other", phonemes=False)
    shutil.copy(folder.parent / "other" / "model_file.pth", folder)


@pytest.mark.parametrize("spoil", [half_the_weights, no_checkpoint, weights_of_another])
def test_damaged_weights_are_one_line_when_they_are_needed(copy: Path, spoil: Any) -> None:
    spoil(copy)
    engine = CoquiVoices(str(copy))
    with pytest.raises(VoiceError) as error:
        engine.speak("The motto.", speaker())
    assert "damaged, half downloaded, or of different models" in str(error.value)
    assert "\n" not in str(error.value)


class Bomb:
    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return os.mkdir, (str(self.path),)


def test_weights_cannot_run_code(copy: Path, tmp_path: Path) -> None:
    (copy / "model_file.pth").write_bytes(pickle.dumps({"model": Bomb(tmp_path / "made")}))
    with pytest.raises(VoiceError):
        CoquiVoices(str(copy)).speak("The motto.", speaker())
    assert not (tmp_path / "made").exists()


def test_what_is_no_folder_and_no_name_is_one_line() -> None:
    with pytest.raises(VoiceError, match="there is no such folder, and a model's name looks like"):
        open_voices("coqui:models/nowhere")


# -- models by name -------------------------------------------------------------------------------


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where Coqui keeps its downloads."""
    monkeypatch.setenv("TTS_HOME", str(tmp_path))
    monkeypatch.delenv("COQUI_TOS_AGREED", raising=False)
    return tmp_path / "tts"


def test_a_downloaded_model_is_found_by_name(model: Path, home: Path) -> None:
    shutil.copytree(model, home / "tts_models--en--vctk--vits")
    engine = open_voices("coqui")
    assert engine.model == "tts_models/en/vctk/vits"
    assert len(engine.speak("The motto.", speaker()).samples)


def test_an_unknown_name_lists_what_there_is(home: Path) -> None:
    with pytest.raises(VoiceError, match=r"no model 'tts_models/en/vctk/x'.*tts_models/en/vctk"):
        open_voices("coqui:tts_models/en/vctk/x")


def test_a_download_that_broke_off_is_one_line(model: Path, home: Path) -> None:
    folder = home / "tts_models--en--vctk--vits"
    shutil.copytree(model, folder)
    (folder / "model_file.pth").unlink()
    with pytest.raises(VoiceError, match="a download that broke off, delete it and run again"):
        open_voices("coqui")


def test_terms_that_nobody_can_accept_here_are_told_beforehand(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("builtins.input", lambda *_: pytest.fail("asked on the terminal"))
    with pytest.raises(VoiceError, match="COQUI_TOS_AGREED=1 to accept"):
        open_voices("coqui:tts_models/multilingual/multi-dataset/xtts_v2")
    assert not list(home.glob("*xtts*"))


def test_a_missing_extra_names_its_install_command(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(Exception, match=r"pip install 'askqa-builder\[coqui\]'"):
        open_voices("coqui")


def test_clips_to_imitate_are_looked_for(model: Path, tmp_path: Path) -> None:
    with pytest.raises(VoiceError, match="no such folder"):
        CoquiVoices(str(model), CoquiSettings(references=str(tmp_path / "none")))
    with pytest.raises(VoiceError, match="no clips in it"):
        CoquiVoices(str(model), CoquiSettings(references=str(tmp_path)))
    (tmp_path / "mia.wav").write_bytes(b"RIFF")
    engine = CoquiVoices(str(model), CoquiSettings(references=str(tmp_path)))
    assert [voice.id for voice in engine.voices()] == ["mia"]
    with pytest.raises(VoiceError, match="cannot imitate a clip"):
        engine.speak("The motto.", speaker("mia"))


# -- imitation: YourTTS and XTTS ------------------------------------------------------------------


def noise() -> np.ndarray:
    return np.random.default_rng(0).standard_normal(22_050).astype(np.float32) / 8


def test_a_model_of_yourtts_kind_speaks_and_imitates(tmp_path: Path) -> None:
    model = str(tiny_vits.build(tmp_path / "model", phonemes=False, imitates=True))
    engine = CoquiVoices(model, CoquiSettings(batch=2))
    assert [voice.id for voice in engine.voices()] == list(tiny_vits.SPEAKERS)
    ava, ben = said(engine, [Line("A plain line.", speaker(name)) for name in ("ava", "ben")])
    french = CoquiVoices(model, CoquiSettings(language="fr-fr"))
    assert not np.array_equal(french.speak("A plain line.", speaker()).samples, ava.samples)
    with pytest.raises(VoiceError, match=r"the model speaks \['en', 'fr-fr'\]"):
        CoquiVoices(model, CoquiSettings(language="xx")).speak("Yes.", speaker())
    clips = tmp_path / "clips"
    (clips / "mia").mkdir(parents=True)
    for name, sound in (("mia/1.wav", noise()), ("mia/2.wav", noise()[::-1]), ("tom.wav", noise())):
        soundfile.write(clips / name, sound, 16_000)
    imitator = CoquiVoices(model, CoquiSettings(batch=2, references=str(clips)))
    assert [voice.id for voice in imitator.voices()] == ["mia", "tom"]
    mia, tom = said(imitator, [Line("A plain line.", speaker(name)) for name in ("mia", "tom")])
    assert len({s.samples.tobytes() for s in (ava, ben, mia, tom)}) == 4


@pytest.fixture(scope="module")
def xtts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_xtts.build(tmp_path_factory.mktemp("xtts") / "xtts")


def test_xtts_speaks_with_its_own_speakers_the_same_each_time(xtts: Path) -> None:
    engine = CoquiVoices(str(xtts), CoquiSettings(batch=8))
    assert [voice.id for voice in engine.voices()] == list(tiny_xtts.SPEAKERS)
    assert engine.batch == 1
    one, other = (Line("It was long ago.", speaker(name)) for name in tiny_xtts.SPEAKERS[:2])
    first = said(engine, [one, other])
    again = said(engine, [other, one])
    assert first[0].sample_rate_hz == 24_000
    assert first[0].token_times == ()
    np.testing.assert_array_equal(first[0].samples, again[1].samples)
    np.testing.assert_array_equal(first[1].samples, again[0].samples)
    assert not np.array_equal(first[0].samples, first[1].samples)
    with pytest.raises(VoiceError, match="'Ana Florence'"):
        engine.speak("It was long ago.", speaker("ava"))
    with pytest.raises(VoiceError, match="language 'xx': the model speaks"):
        CoquiVoices(str(xtts), CoquiSettings(language="xx")).speak("Yes.", speaker("Craig Gutsy"))


def test_xtts_imitates_clips(xtts: Path, tmp_path: Path) -> None:
    clips = tmp_path / "clips"
    (clips / "mia").mkdir(parents=True)
    for name in ("mia/1.wav", "mia/2.flac", "tom.wav"):
        soundfile.write(clips / name, noise(), 22_050)
    (clips / "bad.wav").write_bytes(b"no sound")
    (clips / "speakers.csv").write_text("speaker,sex\ntom,M\nmia,F\n")
    settings = CoquiSettings(references=str(clips))
    engine = CoquiVoices(str(xtts), settings)
    assert [(voice.id, voice.sex) for voice in engine.voices()] == [
        ("mia", "female"),
        ("tom", "male"),
    ]
    assert len(engine.speak("Yes.", speaker("mia")).samples)
    with pytest.raises(VoiceError, match=r"bad\.wav: cannot be imitated"):
        engine.speak("Yes.", speaker("bad"))
    version = engine.version
    soundfile.write(clips / "tom.wav", noise()[::-1], 22_050)
    assert CoquiVoices(str(xtts), settings).version != version, "another voice is another version"


def test_xtts_without_speakers_asks_for_clips(xtts: Path, tmp_path: Path) -> None:
    copy = shutil.copytree(xtts, tmp_path / "xtts", ignore=shutil.ignore_patterns("speakers*"))
    with pytest.raises(VoiceError, match="--references DIR"):
        CoquiVoices(str(copy))
