"""Choose the speakers of the embedded engine by measurement, and write the bank.

    python benchmarks/choose_espeak_voices.py [--recordings DIR] [--write]

Every accent × variant of eSpeak NG (8 × 104) says two sentences. A candidate is left out with a
reason if it is not steady (other samples in another process), whispers, drones, creaks, is pitched
beyond human habit, has an unnatural rhythm, echoes, runs into the limiter, or has a long-term
spectrum much farther from that of real speakers than these are from each other.

Of what is left, each variant is one speaker: accents do not change the timbre of a variant (median
distance 1.0 dB, against 1.35 dB between two sentences of one speaker: printed), so two accents of
a variant would be one person. Variants are taken, those nearest to real speech first, as long as
they are farther from each one taken than two recordings of one speaker are (95 % of the time).
Accents are dealt out in turn, within each sex.

Sex is what the variant's file says, or unknown. Needs the recordings of ../shared/data/speech (or
any folder with FLAC files of several speakers, a folder each), about three minutes of one core.

    python benchmarks/choose_espeak_voices.py --rates

prints how durations follow eSpeak's words a minute, for `_RATE_CURVE` of voices/espeak.py.
"""

from __future__ import annotations

import argparse
import hashlib
import math
import multiprocessing
import re
import sys
from collections import Counter
from dataclasses import dataclass
from itertools import cycle
from pathlib import Path

import numpy as np

from askqa_builder import audio, measures
from askqa_builder.schema import Speaker
from askqa_builder.voices.espeak import EspeakVoices
from askqa_builder.voices.espeak_files import private_copy

ROOT = Path(__file__).parent.parent
BANK = ROOT / "askqa_builder" / "voices" / "espeak_voices.toml"
RECORDINGS = ROOT.parent / "shared" / "data" / "speech"

SENTENCES = (
    "Would you tell me when the old stone bridge near the harbour was finally opened to people "
    "on foot?",
    "She said that five thousand young fishermen joined the march, because the council had raised "
    "the price of bread.",
)
# eSpeak's accent, our short name, and what people call it; the first is dealt twice a round.
ACCENTS = {
    "en-us": ("us", "American"),
    "en": ("gb", "British"),
    "en-gb-scotland": ("scotland", "Scottish"),
    "en-us-nyc": ("nyc", "New York"),
    "en-gb-x-rp": ("rp", "Received Pronunciation"),
    "en-029": ("caribbean", "Caribbean"),
    "en-gb-x-gbclan": ("lancaster", "Lancaster"),
    "en-gb-x-gbcwmd": ("midlands", "West Midlands"),
}
DEAL = [*list(ACCENTS)[:4], *list(ACCENTS)[:1], *list(ACCENTS)[4:]]

MIN_VOICED_SHARE = 0.6  # whispers have 0.1, real readers 0.5 to 0.8 with all their breaths
MIN_SPREAD, MAX_SPREAD = 1.5, 9.0  # semitones: a drone; octave jumps of a creaky voice
F0_HZ = (75.0, 260.0)
CHARS_PER_S = (17.0, 23.0)  # at eSpeak's default rate; most have 20 to 21
MAX_ECHO = 60  # of the file's echo line, in 1/256 of the sound
MAX_PEAK = 0.98
MAX_TIMBRE_DB = 9.0  # from the mean real speaker; the farthest real speaker has 5.8
DISTINCT_SEMITONES = 2.5  # what pitch_range can bring together, and a little
# LJ Speech: median 15.1, 13.0 to 17.1 in four of five, pauses included; these sentences have none
NATURAL_CHARS_PER_S = (15.5, 19.5)


@dataclass(frozen=True)
class Candidate:
    """One accent × variant, and what was measured."""

    accent: str
    variant: str
    sex: str
    echo: int
    breathy: bool
    sha256: str
    f0_hz: float
    spread_semitones: float
    voiced_share: float
    chars_per_s: float
    peak: float
    loudness_lufs: float
    timbre_db: np.ndarray
    """(sentences, bands)"""


def measure(engine: EspeakVoices, accent: str, variant: str) -> Candidate:
    """Have the candidate say the sentences."""
    file = (private_copy().data / "voices" / "!v" / variant).read_text()
    gender = re.search(r"^gender\s+(\w+)", file, re.MULTILINE)
    echo = re.findall(r"^echo\s+\d+\s+(\d+)", file, re.MULTILINE)
    raw = [engine.speak(text, speaker(accent, variant)) for text in SENTENCES]
    clips = [
        audio.resample(speech.samples, speech.sample_rate_hz, audio.SAMPLE_RATE_HZ)
        for speech in raw
    ]
    tracks = [measures.pitch(clip, audio.SAMPLE_RATE_HZ) for clip in clips]
    seconds = sum(audio.duration_s(clip, audio.SAMPLE_RATE_HZ) for clip in clips)
    return Candidate(
        accent=accent,
        variant=variant,
        sex=gender[1].lower() if gender else "unknown",
        echo=int(echo[-1]) if echo else 0,
        breathy=bool(re.search(r"^breath\s+.*[1-9]", file, re.MULTILINE)),
        sha256=digest(raw),
        f0_hz=float(np.mean([track.median_hz for track in tracks])),
        spread_semitones=float(np.mean([track.spread_semitones for track in tracks])),
        voiced_share=float(np.mean([track.voiced_share for track in tracks])),
        chars_per_s=sum(map(len, SENTENCES)) / seconds,
        peak=max(float(np.abs(speech.samples).max()) for speech in raw),
        loudness_lufs=float(
            np.mean([audio.loudness_lufs(clip, audio.SAMPLE_RATE_HZ) for clip in clips])
        ),
        timbre_db=np.array([measures.timbre_db(clip, audio.SAMPLE_RATE_HZ) for clip in clips]),
    )


def speaker(accent: str, variant: str, rate: float = 1.0) -> Speaker:
    return Speaker(id=f"{accent}+{variant}", engine="espeak", rate=rate)


def digest(speeches: list) -> str:
    return hashlib.sha256(b"".join(s.samples.tobytes() for s in speeches)).hexdigest()


def second_hearing(names: list[tuple[str, str]]) -> list[str]:
    """Say it all again, in another process and another order; digests in the order of `names`."""
    engine = EspeakVoices()
    heard = {
        name: digest([engine.speak(text, speaker(*name)) for text in SENTENCES])
        for name in reversed(names)
    }
    return [heard[name] for name in names]


def why_not(c: Candidate, again: str, distance_db: float) -> str | None:
    """The reason for which a candidate is left out."""
    if c.sha256 != again:
        return "not steady"
    if c.voiced_share < MIN_VOICED_SHARE:
        return "whispers"
    if c.spread_semitones < MIN_SPREAD:
        return "drones"
    if c.spread_semitones > MAX_SPREAD:
        return "creaks"
    if not F0_HZ[0] <= c.f0_hz <= F0_HZ[1]:
        return "too low or too high"
    if not CHARS_PER_S[0] <= c.chars_per_s <= CHARS_PER_S[1]:
        return "unnatural rhythm"
    if c.echo > MAX_ECHO:
        return "echoes"
    if c.peak > MAX_PEAK:
        return "runs into the limiter"
    if distance_db > MAX_TIMBRE_DB:
        return "unlike a human spectrum"
    return None


def real_timbre_db(folder: Path) -> np.ndarray:
    """Mean timbre of the speakers whose recordings lie in `folder`, a folder each."""
    speakers: dict[Path, list[np.ndarray]] = {}
    for path in sorted(folder.rglob("*.flac")):
        samples, rate = audio.decode(path.read_bytes())
        clip = audio.resample(samples, rate, audio.SAMPLE_RATE_HZ)
        timbre = measures.timbre_db(clip, audio.SAMPLE_RATE_HZ)
        speakers.setdefault(path.parent, []).append(timbre)
    if len(speakers) < 2:
        sys.exit(f"{folder}: no recordings of several speakers; give --recordings DIR")
    means = np.array([np.mean(timbres, axis=0) for timbres in speakers.values()])
    centre = means.mean(0)
    farthest = max(rms(mean - centre) for mean in means)
    print(f"{len(means)} real speakers, the farthest {farthest:.1f} dB from their mean")
    return centre


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.mean(difference**2)))


def distinct(candidates: list[Candidate], real: np.ndarray) -> list[Candidate]:
    """Take variants as long as they are unlike each one taken; nearest to real speech first."""
    text_means = np.mean([c.timbre_db for c in candidates], axis=0)
    within = [rms(np.subtract(*(c.timbre_db - text_means))) for c in candidates]
    # two sentences each: the distance of two means is smaller by √2 than that of two sentences
    spread_db = float(np.percentile(within, 95)) / math.sqrt(2)
    print(f"two recordings of one speaker: up to {spread_db:.2f} dB apart (95 %)")

    def distance(one: Candidate, other: Candidate) -> float:
        timbre = rms(one.timbre_db.mean(0) - other.timbre_db.mean(0)) / spread_db
        return math.hypot(timbre, 12 * math.log2(one.f0_hz / other.f0_hz) / DISTINCT_SEMITONES)

    order = {"female": 0, "male": 1, "unknown": 2}
    taken: list[Candidate] = []
    for c in sorted(candidates, key=lambda c: (order[c.sex], rms(c.timbre_db.mean(0) - real))):
        nearest = min(taken, key=lambda other: distance(c, other), default=None)
        if nearest is None or distance(c, nearest) > 1:
            taken.append(c)
        else:
            print(f"  {c.variant} sounds like {nearest.variant} ({distance(c, nearest):.2f})")
    return taken


def print_what_an_accent_changes(candidates: list[Candidate]) -> None:
    """Why two accents of a variant are one person."""
    text_means = np.mean([c.timbre_db for c in candidates], axis=0)
    own = [rms(np.subtract(*(c.timbre_db - text_means))) for c in candidates]
    means = {(c.variant, c.accent): c.timbre_db.mean(0) for c in candidates}
    across = [
        rms(means[one] - means[other])
        for one in means
        for other in means
        if one[0] == other[0] and one[1] < other[1]
    ]
    print(
        f"median distance of two accents of a variant {np.median(across):.2f} dB, "
        f"of two sentences of one speaker {np.median(own):.2f} dB"
    )


def write_bank(chosen: list[Candidate], version: str) -> None:
    """Write the speakers in their order: casting deals them to the splits in this order."""
    tilt = {c.variant: float(c.timbre_db.mean(0)[12:].mean()) for c in chosen}
    dark, bright = np.percentile(list(tilt.values()), (33, 67))
    lines = [
        "# The speakers of the embedded engine; written by benchmarks/choose_espeak_voices.py",
        f"# from eSpeak NG {version}. Only ever append: an id keeps its meaning, and the order",
        "# decides which split a voice belongs to. Rates and pitches are relative to eSpeak's own.",
    ]
    for c in chosen:
        short, accent = ACCENTS[c.accent]
        colour = "dark" if tilt[c.variant] < dark else "bright" if tilt[c.variant] > bright else ""
        sex = "" if c.sex == "unknown" else c.sex
        words = [register(c.f0_hz), colour, "breathy" if c.breathy else "", sex, "voice"]
        said = " ".join(filter(None, words)).capitalize()
        slow, fast = (limit / c.chars_per_s for limit in NATURAL_CHARS_PER_S)
        down = max(-1.0, 12 * math.log2(F0_HZ[0] / c.f0_hz))
        up = min(1.0, 12 * math.log2(F0_HZ[1] / c.f0_hz))
        lines += [
            "",
            f"[en-{short}-{re.sub('[^a-z0-9]+', '-', c.variant.lower())}]",
            f'name = "{c.accent}+{c.variant}"',
            f'accent = "{accent}"',
            f'sex = "{c.sex}"',
            f'description = "{said}, {accent}, about {c.f0_hz:.0f} Hz"',
            f"rate_range = [{slow:.2f}, {fast:.2f}]",
            f"pitch_range = [{down:.1f}, {up:.1f}]",
        ]
    BANK.write_text("\n".join(lines) + "\n")


def register(f0_hz: float) -> str:
    names = ((90, "very low"), (110, "low"), (150, "medium"), (190, "medium high"), (230, "high"))
    return next((name for limit, name in names if f0_hz < limit), "very high")


def choose(recordings: Path, write: bool) -> None:
    real = real_timbre_db(recordings)
    engine = EspeakVoices()
    files = private_copy()
    names = [(accent, variant) for accent in ACCENTS for variant in files.variants]
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        hearing = pool.apply_async(second_hearing, (names,))
        candidates = [measure(engine, *name) for name in names]
        again = dict(zip(names, hearing.get(), strict=True))
    reasons = {
        (c.accent, c.variant): why_not(
            c, again[c.accent, c.variant], rms(c.timbre_db.mean(0) - real)
        )
        for c in candidates
    }
    print(f"{len(candidates)} candidates:", Counter(map(str, reasons.values())).most_common())
    left_out = {v: reasons["en-us", v] for v in files.variants if reasons["en-us", v]}
    print("left out, American:", left_out)

    usable = [c for c in candidates if reasons[c.accent, c.variant] is None]
    print_what_an_accent_changes(usable)
    people = distinct([c for c in usable if c.accent == "en-us"], real)
    accents = cycle(DEAL)
    chosen = []
    for person in people:
        spoken_by = {c.accent: c for c in usable if c.variant == person.variant}
        chosen.append(spoken_by[next(accent for accent in accents if accent in spoken_by)])
    chosen.sort(key=lambda c: hashlib.sha256(c.variant.encode()).digest())
    print(
        len(chosen), "speakers:", Counter(c.sex for c in chosen), Counter(c.accent for c in chosen)
    )
    loudness = [c.loudness_lufs for c in chosen]
    print(
        f"loudness {min(loudness):.1f} to {max(loudness):.1f} LUFS, peak up to "
        f"{max(c.peak for c in chosen):.2f}"
    )
    if write:
        write_bank(chosen, engine.version)


def print_rates() -> None:
    """How duration follows words a minute, over five voices and the two sentences."""
    from askqa_builder.voices.espeak_library import Library

    files = private_copy()
    library = Library(files.library, files.data)
    voices = ("en-us+f2", "en-gb-scotland+m3", "en-us+m6", "en-029+Annie", "en-us-nyc+sandro")

    def samples(voice: str, text: str, wpm: int) -> int:
        return len(library.speak(text, voice, wpm, 50, 50).pcm)

    for factor in (0.5, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.5, 2.0, 2.5):
        ratios = [
            samples(voice, text, 175) / samples(voice, text, round(175 * factor))
            for voice in voices
            for text in SENTENCES
        ]
        print(f"({np.mean(ratios):.3f}, {factor}),  # {min(ratios):.3f} to {max(ratios):.3f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--recordings", type=Path, default=RECORDINGS)
    parser.add_argument("--write", action="store_true", help="replace espeak_voices.toml")
    parser.add_argument("--rates", action="store_true", help="only measure the rate curve")
    options = parser.parse_args()
    if options.rates:
        print_rates()
    else:
        choose(options.recordings, options.write)


if __name__ == "__main__":
    main()
