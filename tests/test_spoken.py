"""The spoken form: a golden table, the tokens that survive it, their times, what is unspeakable."""

from __future__ import annotations

import json
import re
import time
from dataclasses import dataclass
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from askqa_builder.spoken import Unit, spoken_form, units, unspeakable, written_times

SQUAD = Path(__file__).parents[2] / "shared/data/squad/squad-44-articles.json"

GOLDEN = {
    # years, decades, eras
    "1895": "eighteen ninety-five",
    "1895.": "eighteen ninety-five.",
    "In 1905 and 2000": "In nineteen oh five and two thousand",
    "2007": "two thousand seven",
    "late 2015": "late twenty fifteen",
    "1900": "nineteen hundred",
    "1066": "ten sixty-six",
    "in 1500": "in fifteen hundred",
    "1500 people": "one thousand five hundred people",
    "At least 1500 Montanans died": "At least one thousand five hundred Montanans died",
    "employs 1500 workers": "employs one thousand five hundred workers",
    "the Education Act 1992 allows": "the Education Act nineteen ninety-two allows",
    "no later than 1948": "no later than nineteen forty-eight",
    "the 2008 elections": "the two thousand eight elections",
    "1,895": "one thousand eight hundred ninety-five",
    "1,032,949": "one million thirty-two thousand nine hundred forty-nine",
    "1960s": "nineteen sixties",
    "the 1960's": "the nineteen sixties",
    "the mid-'50s": "the mid-fifties",
    "the 1900s and 2000s": "the nineteen hundreds and two thousands",
    "1960s-70s": "nineteen sixties to seventies",
    "1971's Diamonds Are Forever": "nineteen seventy-one's Diamonds Are Forever",
    "'03 Bonnie & Clyde": "oh three Bonnie and Clyde",
    "1535–1542": "fifteen thirty-five to fifteen forty-two",
    "1939-45": "nineteen thirty-nine to forty-five",
    "2007–08": "two thousand seven to two thousand eight",
    "2013-4": "twenty thirteen to twenty fourteen",
    "2007/2008": "two thousand seven to two thousand eight",
    "the 1999-00 season": "the nineteen ninety-nine to two thousand season",
    "1999/00": "nineteen ninety-nine to two thousand",
    "1898–03": "eighteen ninety-eight to nineteen oh three",
    "the Empire (476-1453) fell": "the Empire, four seventy-six to fourteen fifty-three, fell",
    "between 2000-2010": "between two thousand and twenty ten",
    "(r. 1735–1796)": "reigned seventeen thirty-five to seventeen ninety-six",
    "c. 1350": "circa thirteen fifty",
    "500 BC": "five hundred BC",
    "45 BC until 298 AD": "forty-five BC until two ninety-eight A-D",
    "AD 79": "A-D seventy-nine",
    "202 BCE–220 CE": "two oh two BCE to two twenty C-E",
    # days and times
    "May 12, 2008": "May twelfth, two thousand eight",
    "12 May 2008": "the twelfth of May two thousand eight",
    "the 12 May 2008 earthquake": "the twelfth of May two thousand eight earthquake",
    "on 25 and 26 April": "on the twenty-fifth and the twenty-sixth of April",
    "May 12–13": "May twelfth to thirteenth",
    "Oct. 6, 2008": "October sixth, two thousand eight",
    "22 April.": "the twenty-second of April.",
    "on 3rd June": "on the third of June",
    "the 1st and 2nd May": "the first and the second of May",
    "June 3rd": "June third",
    "the 2nd May's concert": "the second May's concert",
    "July 17, 1946 – May 20, 1971": (
        "July seventeenth, nineteen forty-six to May twentieth, nineteen seventy-one"
    ),
    "2008-05-12": "May twelfth, two thousand eight",
    "9/11": "nine eleven",
    "24/7": "twenty-four seven",
    "8:30 pm": "eight thirty PM",
    "at 7 p.m. The man left": "at seven PM. The man left",
    "2:28 p.m. on Monday": "two twenty-eight PM on Monday",
    "19:45": "nineteen forty-five",
    "at 15:00": "at fifteen hundred",
    "at 9:00": "at nine o'clock",
    "6am-9pm": "six AM to nine PM",
    "14:28:01.42": "fourteen twenty-eight and one point four two seconds",
    # quantities
    "24.7 million": "twenty-four point seven million",
    "0.5%": "zero point five percent",
    "24–27%": "twenty-four to twenty-seven percent",
    "10%–15% of": "ten percent to fifteen percent of",
    "(-16% and -7%)": "minus sixteen percent and minus seven percent",
    "1/3 to 1/2": "one third to one half",
    "8½ months": "eight and a half months",
    "1 1/2 miles": "one and a half miles",
    "1 1/8 cups": "one and an eighth cups",
    "1⅛ inches": "one and an eighth inches",
    "18,2 million": "eighteen point two million",
    "7.2/10": "seven point two out of ten",
    "24–10": "twenty-four to ten",
    "ratified 3:1": "ratified three to one",
    "a 50-50 split": "a fifty fifty split",
    "15/16-year-olds": "fifteen sixteen-year-olds",
    "15- to 49-year-olds": "fifteen to forty-nine-year-olds",
    "500+": "five hundred plus",
    "(<6 months)": "less than six months",
    "±1 day": "plus or minus one day",
    "the 21st century": "the twenty-first century",
    "7th–5th centuries": "seventh to fifth centuries",
    "mid-19th-century": "mid-nineteenth-century",
    "555-1234": "five five five, one two three four",
    "call 867-5309 now": "call eight six seven, five three zero nine now",
    "our fax number is 234-5678": "our fax number is two three four, five six seven eight",
    "a crowd of 800-1200 people": "a crowd of eight hundred to one thousand two hundred people",
    "a number of 500-1000 soldiers": "a number of five hundred to one thousand soldiers",
    "007": "double oh seven",
    "#1": "number one",
    "No. 5 and No.3": "number five and number three",
    "Op. 10, No. 12": "opus ten, number twelve",
    "10²": "ten squared",
    # money
    "$3.5 million": "three point five million dollars",
    "$28.5 million?": "twenty-eight point five million dollars?",
    "$1.25": "one dollar twenty-five",
    "$.25 per acre": "twenty-five cents per acre",
    "$1": "one dollar",
    "a $50 million deal": "a fifty million dollar deal",
    "a $2-million budget": "a two-million dollar budget",
    "$100–$200 million": "one hundred to two hundred million dollars",
    "($15,887/m²)": "fifteen thousand eight hundred eighty-seven dollars per square meter",
    "£1.5bn": "one point five billion pounds",
    "£1.05": "one pound and five pence",
    "€20": "twenty euros",
    "4.50 euros, not 0.50 euros": "four euros fifty, not fifty cents",
    "1.05 dollars": "one dollar and five cents",
    "4.50 euros a day": "four euros fifty a day",
    "4.505 euros": "four point five zero five euros",
    "US$5 billion": "five billion US dollars",
    "CAD$12.5 billion": "twelve point five billion Canadian dollars",
    "~US$208 million": "about two hundred eight million US dollars",
    "30¢": "thirty cents",
    "$2.1 billion US dollars": "two point one billion US dollars",
    # measures
    "−4.1 °C (25 °F).": "minus four point one degrees Celsius, twenty-five degrees Fahrenheit.",
    "8–12 °C": "eight to twelve degrees Celsius",
    "4°N and 5°S": "four degrees north and five degrees south",
    "41°42′N": "forty-one degrees forty-two minutes north",
    "1.3 km2": "one point three square kilometers",
    "(34,369 sq mi)": "thirty-four thousand three hundred sixty-nine square miles",
    "10 kcd/m2": "ten kilocandelas per square meter",
    "120 km/h (75 mph)": "one hundred twenty kilometers per hour, seventy-five miles an hour",
    "a 13.8 km route": "a thirteen point eight kilometer route",
    "(3.7 in) in length": "three point seven inches, in length",
    "6 ft 7 in.": "six feet seven inches.",
    "6'2\"": "six foot two",
    "1 MW": "one megawatt",
    "1 μg/g body": "one microgram per gram body",
    "12 terabytes/month.": "twelve terabytes per month.",
    "30 GB": "thirty gigabytes",
    # Roman numerals
    "World War II": "World War two",
    "World War I. Despite": "World War one. Despite",
    "World Wars I and II": "World Wars one and two",
    "Louis XIV": "Louis the fourteenth",
    "Pope John XXIII,": "Pope John the twenty-third,",
    "Henry VIII's England": "Henry the eighth's England",
    "George II and George III": "George the second and George the third",
    "Elizabeth I; Clarendon": "Elizabeth the first; Clarendon",
    "John D. Rockefeller III": "John D Rockefeller the third",
    "Article II, Section I, Clause V": "Article two, Section one, Clause five",
    "Super Bowl 50": "Super Bowl fifty",
    "Super Bowl XLIX": "Super Bowl forty-nine",
    "Chapter IV": "Chapter four",
    "Type-I diabetes": "Type-one diabetes",
    "After World War I had ended": "After World War one had ended",
    "What effect did World War I have": "What effect did World War one have",
    "Part I will tell": "Part one will tell",
    "Mac OS X themes": "Mac OS ten themes",
    "their 1st XI": "their first eleven",
    "the XIX century": "the nineteenth century",
    "XX": "twenty",
    # … and what is none
    "the third said I was about to die": "the third said I was about to die",
    "Martin, I see": "Martin, I see",
    "the part I did": "the part I did",
    "No. I mean the second one.": "No. I mean the second one.",
    "John I. Jenkins": "John I Jenkins",
    "Malcolm X": "Malcolm X",
    "a MIX of CD and DC": "a MIX of CD and DC",
    # abbreviations and initials
    "Dr. Smith and Mrs. Jones": "Doctor Smith and Missus Jones",
    "St. Louis": "Saint Louis",
    "12 Main St. in": "twelve Main Street in",
    "U.S. states": "US states",
    "in the U.S. The": "in the US. The",
    "(e.g. security)": "for example security",
    "i.e. the monarch": "that is the monarch",
    "stairways, etc. will block": "stairways, et cetera will block",
    "Apple, Inc. in 2005": "Apple, Incorporated in two thousand five",
    "Harry Connick, Jr. returned": "Harry Connick, Junior returned",
    "Wayman v. Southard": "Wayman versus Southard",
    "J. R. R. Tolkien": "J R R Tolkien",
    "George H.W. Bush": "George HW Bush",
    "Ph.D. and D.Sc. degrees": "PhD and DSc degrees",
    "some E. coli": "some E coli",
    "vitamin C. The": "vitamin C. The",
    "NYC": "N-Y-C",
    "NATO, NASA and UNESCO": "NATO, NASA and UNESCO",
    "BBC and NBC": "BBC and NBC",
    "R&B and AT&T": "R and B and A-T and T",
    "THE BENEFIT OF THE DOUBT": "the benefit of the doubt",
    # codes
    "MP3 and 3D": "MP three and three D",
    "F-16": "F-sixteen",
    "two DB10s": "two DB tens",
    "Boeing 747": "Boeing seven forty-seven",
    "U2": "U two",
    # marks
    "and/or": "and or",
    "his/her": "his or her",
    "Tom & Jerry": "Tom and Jerry",
    "Amazon.com": "Amazon dot com",
    "a row—earning": "a row, earning",
    "six galleries – the city": "six galleries, the city",
    "Friday–Saturday gross": "Friday to Saturday gross",
    "Wenchuan–Dujiangyan": "Wenchuan-Dujiangyan",
    "music... he is": "music, he is",
    '"What?" he asked': "What? he asked",
    "Spectre (2015) was": "Spectre, twenty fifteen, was",
    "(/ˈʃoʊpæn/; French pronunciation: [fʁe.de.ʁik]; 22 February": "the twenty-second of February",
    "Kanye (Spanish: [ˈsan]) West": "Kanye West",
    "the earthquake (Chinese: 汶川大地震; pinyin: dizhen)": "the earthquake, pinyin: dizhen",
    "Brahmanism.[note 17] Scholars": "Brahmanism. Scholars",
    "It is said[by whom?] that": "It is said that",
    '"[t]he novel': "the novel",
    "word(s) ()": "words",
    "β-lactam": "beta-lactam",
    "Kṛṣṇa and Beyoncé": "Krishna and Beyoncé",
}


@pytest.mark.parametrize(("written", "spoken"), GOLDEN.items())
def test_is_read_as_people_would(written: str, spoken: str) -> None:
    assert spoken_form(written) == spoken


def test_what_is_plain_is_left_alone() -> None:
    plain = "When was the state flower adopted, and who, if anyone, didn't like it?"
    assert spoken_form(plain) == plain
    assert all(unit.written == (unit.spoken,) for unit in units(plain))


FRAGMENTS = (
    "1895 1,895 $3.5 million £ % 5 km2 II I Dr. St. U.S. e.g. – — ... [note 5] [ˈsan] 汶川) || <b> "
    "(Chinese: / 1939-45 7:30 pm 24/7 ½ °C -5 NYC R&B A. ' \" ( ) & # @ é ā β ᵻ 9/11 x5 May 12, "
    "'60s v. 'tis"
).split(" ")
TEXTS = st.one_of(
    st.text(max_size=60),
    st.lists(st.sampled_from(FRAGMENTS), max_size=12).map(" ".join),
    st.lists(st.sampled_from(FRAGMENTS), max_size=6).map("".join),
)


@settings(max_examples=400, deadline=None, derandomize=True)
@given(TEXTS)
def test_every_written_token_is_kept_and_every_spoken_one_can_be_said(text: str) -> None:
    made = units(text)
    assert [token for unit in made for token in unit.written] == text.split()
    assert all(unit.written for unit in made)
    spoken = spoken_form(text)
    assert spoken == " ".join(spoken.split())
    assert all(any(map(str.isalnum, token)) for token in spoken.split())
    assert not re.search(r"\d|[()\[\]{}\"“”$£€%&<>#@=/\\]", spoken)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(TEXTS, st.lists(st.floats(0, 1), min_size=8, max_size=8))
def test_times_never_run_backwards(text: str, steps: list[float]) -> None:
    made = units(text)
    clock, token_times = 0.0, []
    for index in range(len(spoken_form(text).split())):
        start = clock + steps[2 * index % 8]
        clock = start + steps[(2 * index + 1) % 8]
        token_times.append((start, clock))
    timed = written_times(made, token_times)
    assert [token for token, _, _ in timed] == text.split()
    moments = [moment for _, start, end in timed for moment in (start, end)]
    assert moments == sorted(moments)
    assert all(moment >= 0 for moment in moments)


def test_times_are_those_of_the_written_words() -> None:
    made = units("It cost $3.5 million in 1895 – gone.")
    assert spoken_form("It cost $3.5 million in 1895 – gone.").split() == (
        "It cost three point five million dollars in eighteen ninety-five, gone.".split()
    )
    timed = written_times(made, [(i / 2, i / 2 + 0.5) for i in range(11)])
    assert timed == (
        ("It", 0.0, 0.5),
        ("cost", 0.5, 1.0),
        ("$3.5", 1.0, 2.5),
        ("million", 2.5, 3.5),
        ("in", 3.5, 4.0),
        ("1895", 4.0, 5.0),
        ("–", 5.0, 5.0),
        ("gone.", 5.0, 5.5),
    )


def test_tokens_read_as_one_share_the_time_by_length() -> None:
    made = (Unit(("sq", "mile"), "square mile"), Unit(("—",), ""))
    timed = written_times(made, [(1.0, 2.0), (2.0, 4.0)])
    assert timed == (("sq", 1.0, 2.0), ("mile", 2.0, 4.0), ("—", 4.0, 4.0))


def test_overlapping_times_are_put_in_order() -> None:
    made = units("one two")
    assert written_times(made, [(0.0, 0.6), (0.5, 0.9)]) == (("one", 0.0, 0.6), ("two", 0.6, 0.9))


def test_a_wrong_number_of_times_is_refused() -> None:
    with pytest.raises(ValueError, match="2 spoken tokens, but 1 are timed"):
        written_times(units("in 1895".split()[1]), [(0.0, 1.0)])


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("a bell \x07 rings", "control character U+0007"),
        ("broken \ufffd text", "control character U+FFFD"),
        ("I ❤ NY", "emoji 'heavy black heart'"),
        ("great 🎉", "emoji 'party popper'"),
        ("a <b>bold</b> move", "markup '<b>'"),
        ("see [[Montana]]", "markup '[['"),
        ("{{cite web}}", "markup '{{'"),
        ("```python", "markup '```'"),
        ("at https://example.org/x now", "markup 'https://example.org/x'"),
        ("R&amp;B", "markup '&amp;'"),
        ("Что это значит?", "12 of 12 letters are neither Latin nor Greek"),
        ("What does 豆腐渣 mean?", "3 of 15 letters are neither Latin nor Greek"),
        ("... ?!", "no letters or digits"),
        ("", "no letters or digits"),
    ],
)
def test_what_cannot_be_said_has_a_reason(text: str, reason: str) -> None:
    assert unspeakable(text) == reason


@pytest.mark.parametrize(
    "text",
    [
        "1895",
        "Beyoncé Knowles\nlived in Łódź.",
        "The α-helix (Greek: τέκτων) has <6 turns & 5 > 3.",
        "The Wenchuan earthquake (Chinese: 汶川大地震) struck at 14:28 on May 12, 2008 in Sichuan, "
        "and killed tens of thousands of people.",
    ],
)
def test_what_can_be_said_has_none(text: str) -> None:
    assert unspeakable(text) is None


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "piece", ["1", "A", "a", "(", ".", "I.", "1,", "–", "$", "A&", "1/", "[a", "II "]
)
def test_a_huge_token_is_read_in_linear_time(piece: str) -> None:
    text = piece * (50_000 // len(piece))
    assert [token for unit in units(text) for token in unit.written] == text.split()
    unspeakable(text)


@dataclass(frozen=True)
class Reading:
    texts: list[str]
    made: list[tuple[Unit, ...]]
    seconds: float


@pytest.fixture(scope="module")
def squad() -> Reading:
    """All passages and questions of the 44 articles, read once."""
    if not SQUAD.exists():
        pytest.skip(f"{SQUAD} is absent")
    articles = json.loads(SQUAD.read_text(encoding="utf-8"))["data"]
    paragraphs = [paragraph for article in articles for paragraph in article["paragraphs"]]
    texts = [p["context"] for p in paragraphs] + [
        q["question"] for p in paragraphs for q in p["qas"]
    ]
    start = time.process_time()
    made = [units(text) for text in texts]
    return Reading(texts, made, time.process_time() - start)


def test_nothing_in_44_articles_is_left_unread(squad: Reading) -> None:
    for text, made in zip(squad.texts, squad.made, strict=True):
        assert [token for unit in made for token in unit.written] == text.split()
        for unit in made:
            assert not re.search(r"\d|[^\w\s.,;:?!'-]", unit.spoken), (unit, text)


def test_reads_20_000_words_a_second(squad: Reading) -> None:
    assert sum(len(text.split()) for text in squad.texts) / squad.seconds > 20_000
