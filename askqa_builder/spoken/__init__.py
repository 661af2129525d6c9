"""The spoken form: what is read aloud is not what is written.

    "In 1895, $3.5 million"  ─▶  "In eighteen ninety-five, three point five million dollars"

`units` cuts a text into runs of written tokens, each with what is read for it, so that an engine's
word times can be carried back to the written words (`written_times`). One pass of small readers
(`scan`) finds what needs reading: `quantities` (numbers, years, money, measures), `figures` (times,
dates, fractions, telephones), `letters` (abbreviations, acronyms, Roman numerals) and `marks`
(brackets, dashes, symbols, other scripts). The tables are in `lexicon`.
"""

from __future__ import annotations

from askqa_builder.spoken.align import Unit, spoken_form, units, written_times
from askqa_builder.spoken.speakable import unspeakable

__all__ = ["Unit", "spoken_form", "units", "unspeakable", "written_times"]
