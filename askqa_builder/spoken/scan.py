"""One pass over a text: at every place that may need reading, the first reader that knows it."""

from __future__ import annotations

import re
from collections.abc import Callable

from askqa_builder.spoken import (
    abbreviations,
    acronyms,
    figures,
    marks,
    measures,
    numbers,
    numerals,
)
from askqa_builder.spoken.context import Edit

Reader = Callable[[re.Match[str]], "list[Edit] | None"]

_TRIGGER = re.compile(
    rf"""(?<!\w)(?P<word>[A-Z][A-Z&$£€] | [A-Za-z]\. | (?:Ph|LL|Lic)\. | [IVX](?!\w) | v\s
        | {abbreviations.ABBREVIATED} | [A-Za-z]+[\d/] | (?:km|cm|mm|mi|ft|m)[²³]
        | [A-Za-z-]+\.(?:[A-Za-z-]+\.)*{marks.DOMAIN_END}(?!\w))
    | (?P<figure>(?<![A-Za-z\d])(?:\d | \.(?=\d) | ['’‘](?=\d\d)) | [½⅓⅔¼¾⅕⅖⅗⅘⅙⅚⅛⅜⅝⅞])
    | (?P<mark>\[ | \s?[\u200b-\u200f]*(?:[—―]|--) | [-–−‑](?=\s)
        | (?<![^\s(\[\"“])[-−–](?=[$£€]?\.?\d) | [–‑] | \s?\.\s?\.\s?\. | …
        | [&@+=±−~≈×÷%‰§°♯♭→€£¢$¥₹₩№≤≥<>^²³\#/:{marks.OTHER_SCRIPTS}])
    """,
    re.VERBOSE,
)
"""Where something may begin that is not read as it is written."""

_READERS: dict[str, tuple[tuple[re.Pattern[str], Reader], ...]] = {
    "word": (
        (marks.DOMAIN, marks.read_domain),
        (marks.PHONETIC, marks.read_phonetic),
        (measures.MONEY, measures.read_money),
        (numbers.ERA_FIRST, numbers.read_era_first),
        (measures.UNIT_ALONE, measures.read_unit_alone),
        (abbreviations.LETTER_AND_NUMBER, abbreviations.read_letter_and_number),
        (acronyms.AMOUNT, acronyms.read_amount),
        (abbreviations.DOTTED_LOWER, abbreviations.read_dotted_lower),
        (abbreviations.DEGREE, abbreviations.read_degree),
        (abbreviations.DOTTED_CAPITALS, abbreviations.read_dotted_capitals),
        (numerals.NUMERAL, numerals.read_numeral),
        (acronyms.LETTERED, acronyms.read_lettered),
        (acronyms.CODE, acronyms.read_code),
        (abbreviations.ABBREVIATION, abbreviations.read_abbreviation),
        (abbreviations.INITIAL, abbreviations.read_initial),
        (abbreviations.VERSUS, abbreviations.read_versus),
        (acronyms.CAPITALS, acronyms.read_capitals),
        (marks.SLASH, marks.read_slash),
    ),
    "figure": (
        (marks.DOMAIN, marks.read_domain),
        (figures.TELEPHONE, figures.read_telephone),
        (figures.ISO_DATE, figures.read_iso_date),
        (figures.TIME, figures.read_time),
        (figures.RATIO, figures.read_ratio),
        (figures.MIXED, figures.read_mixed),
        (figures.VULGAR, figures.read_vulgar),
        (figures.OUT_OF, figures.read_out_of),
        (figures.SLASHED, figures.read_slashed),
        (figures.DIMENSIONS, figures.read_dimensions),
        (figures.HYPHENED, figures.read_hyphened),
        (figures.DECIMAL_COMMA, figures.read_decimal_comma),
        (figures.VERSION, figures.read_version),
        (numbers.ELIDED_CENTURY, numbers.read_elided_century),
        (measures.FEET_AND_INCHES, measures.read_feet_and_inches),
        (measures.CASH_IN_WORDS, measures.read_cash_in_words),
        (measures.TRAILING_MONEY, measures.read_trailing_money),
        (numbers.NUMBER, numbers.read_number),
        (acronyms.CODE, acronyms.read_code),
    ),
    "mark": (
        (marks.BRACKET, marks.read_bracket),
        (marks.PHONETIC, marks.read_phonetic),
        (marks.FOREIGN, marks.read_foreign),
        (marks.GREEK_WORD, marks.read_greek),
        (figures.TELEPHONE, figures.read_telephone),
        (marks.SIGN, marks.read_sign),
        (measures.MONEY, measures.read_money),
        (figures.CITED_PAGES, figures.read_cited_pages),
        (marks.HASH, marks.read_hash),
        (marks.LONG_DASH, marks.read_long_dash),
        (marks.SPACED_DASH, marks.read_spaced_dash),
        (marks.SHORT_DASH, marks.read_short_dash),
        (marks.ELLIPSIS, marks.read_ellipsis),
        (measures.UNIT_PER, measures.read_unit_per),
        (marks.SLASH, marks.read_slash),
        (marks.SYMBOL, marks.read_symbol),
    ),
}


def edits(text: str) -> list[Edit]:
    """All edits of a text, in order, none over another."""
    made: list[Edit] = []
    place = 0
    while hit := _TRIGGER.search(text, place):
        start = hit.start()
        for pattern, read in _READERS[hit.lastgroup or ""]:
            found = pattern.match(text, start)
            if found and (new := read(found)) is not None:
                break
        else:
            place = hit.end()
            continue
        while made and new and made[-1].end > new[0].start:  # a label that is dropped as well
            made.pop()
        made += new
        place = max(new[-1].end if new else 0, start + 1)
    return made
