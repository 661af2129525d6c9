"""What is read for what is written: tables only.

Where a table seems odd, eSpeak NG is why: it says "nick" for NYC, "add" for AD and "misses, Jones"
with a pause for Mrs. Jones, while it spells BBC, DNA and USA well by itself.
"""

from __future__ import annotations

MONTHS = {
    "January": "January", "February": "February", "March": "March", "April": "April",
    "May": "May", "June": "June", "July": "July", "August": "August",
    "September": "September", "October": "October", "November": "November",
    "December": "December", "Jan": "January", "Feb": "February", "Mar": "March",
    "Apr": "April", "Jun": "June", "Jul": "July", "Aug": "August", "Sep": "September",
    "Sept": "September", "Oct": "October", "Nov": "November", "Dec": "December",
}  # fmt: skip
MONTH_NAMES = tuple(dict.fromkeys(MONTHS.values()))
DAYS = frozenset("Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split())

TITLES = {
    "Mr": "Mister", "Mrs": "Missus", "Ms": "Miz", "Dr": "Doctor", "Prof": "Professor",
    "Rev": "Reverend", "Hon": "Honorable", "Fr": "Father", "Sr": "Sister", "Br": "Brother",
    "Gen": "General", "Lt": "Lieutenant", "Col": "Colonel", "Maj": "Major", "Capt": "Captain",
    "Sgt": "Sergeant", "Cpl": "Corporal", "Adm": "Admiral", "Cmdr": "Commander",
    "Gov": "Governor", "Sen": "Senator", "Rep": "Representative", "Pres": "President",
    "Mt": "Mount", "Ft": "Fort", "St": "Saint", "Sts": "Saints", "Ste": "Sainte",
    "Mme": "Madame", "Messrs": "Messieurs",
}  # fmt: skip
"""Before a capital, with or without the dot."""

TITLES_THAT_NEED_A_DOT = frozenset({"Hon", "Fr", "Sr", "Br", "Maj", "Rep", "Ste", "Gen", "Col"})

ABBREVIATIONS = {
    "Jr": "Junior", "Sr": "Senior", "Inc": "Incorporated", "Ltd": "Limited", "Co": "Company",
    "Corp": "Corporation", "Bros": "Brothers", "Ave": "Avenue", "Blvd": "Boulevard",
    "Rd": "Road", "Dr": "Drive", "St": "Street", "Dept": "Department", "Univ": "University",
    "Assn": "Association", "Govt": "Government", "Intl": "International", "approx":
    "approximately", "etc": "et cetera", "vs": "versus", "viz": "namely", "Skt": "Sanskrit",
    "esp": "especially", "incl": "including", "lit": "literally", "cf": "compare",
    "spp": "species", "resp": "respectively", "Esq": "Esquire", "Capt": "Captain",
    "Sgt": "Sergeant", "Prof": "Professor", "al": "al", "est": "estimate",
}  # fmt: skip
"""With the dot."""

ABBREVIATIONS_WITHOUT_DOT = frozenset({"Jr", "Sr", "Ltd", "vs", "Inc", "Corp", "Blvd"})

BEFORE_NUMBER = {
    "No": "number", "Nos": "numbers", "no": "number", "nos": "numbers", "Op": "opus",
    "op": "opus", "Opp": "opuses", "Vol": "volume", "vol": "volume", "Vols": "volumes",
    "Art": "article", "Arts": "articles", "Fig": "figure", "fig": "figure", "Ch": "chapter",
    "ch": "chapter", "Sec": "section", "sec": "section", "p": "page", "pp": "pages",
    "c": "circa", "ca": "circa", "Ca": "circa", "r": "reigned", "b": "born", "d": "died",
    "fl": "flourished", "est": "established", "Mk": "mark", "Pt": "part", "Ex": "exhibit",
    "approx": "approximately", "Ser": "series",
}  # fmt: skip
"""With the dot, before a number."""

NUMBERED_WITHOUT_DOT = frozenset({"Op", "Opp", "Vol", "vol"})

DOTTED = {
    "e.g.": "for example", "i.e.": "that is", "a.k.a.": "also known as", "p.a.": "a year",
    "q.v.": "which see", "n.b.": "nota bene", "a.m.": "AM", "p.m.": "PM",
}  # fmt: skip

SENTENCE_STARTERS = frozenset(
    "A After All Although An And As At Because Before Both But By During Each Even Every For "
    "From He Her His How However I If In It Its Many Most My No On One Other Our She Since So "
    "Some Such That The Their There These They This Those Though Through To Today Two Under "
    "Until We What When Where Which While Who Why With You".split()
)
"""A capital after an abbreviation's dot: a new sentence if it is one of these."""

SPELLED_WELL = frozenset(
    "US USA UK EU UN TV DNA RNA MTV CIA FBI CEO MIT USB USSR BCE OECD ADHD MBA IBM ABC NBA "
    "FDA GDP CGI IT USD HIV OS NHS USDA DVD UCLA MRI".split()
)
"""Initials with vowels that eSpeak NG spells by itself."""

READ_AS_WORDS = frozenset(
    "ACT AIR ALL AND ANY ARE ARM ART BAD BIG BOY BUT CAN DAY DID DIM END FAR FEW FOR FOX FUN "
    "GET GIF GOD GUN GUY HAD HAS HER HIM HIS HOT HOW HUD ICE JAY ITS JOB LET LOT MAC MAN MAY MEN "
    "MEW MIX MOM NED NEW NOT NOW OFF OLD ONE OUR OUT OWN PAL PET PIN POP PUT RAM RED REN ROM "
    "RUN SAD SAW SAY SEA SEE SET SHE SIX SKY SUN TAP TED TEN THE TOP TOY TWO USE WAR WAS WAV "
    "WAY WEB WHO WHY WIN YES YET YOU ZIP CAD NASDAQ JPEG MPEG ASHRAE SWAT AM AN AS BE BY DO "
    "GO HE IF IN IS ME MY NO OF OH OK ON OR PM SO TO UP WE".split()
)
"""Capitals that are a word, or an acronym said as one, though they are short or look unsayable."""

SAID_OTHERWISE = {"WWI": "World War one", "WWII": "World War two"}

SPELLED_OUT = frozenset(
    "AAAS ACLU AICTE AIFF ASPCA CDOS CIBSE CNAA CNRS ECHR IALD ICTR ICTY IEEE IESNA IETF IHDI IUCN "
    "NAACP NCAA NYSE OSCE OFHEO PLAAF USAF USMC USPTO WCAA YMCA YWCA".split()
)
"""Four capitals or more that look like a word and are none."""

UNITS = {
    "km": ("kilometer", "kilometers"), "m": ("meter", "meters"),
    "cm": ("centimeter", "centimeters"), "mm": ("millimeter", "millimeters"),
    "nm": ("nanometer", "nanometers"), "μm": ("micrometer", "micrometers"),
    "mi": ("mile", "miles"), "ft": ("foot", "feet"), "yd": ("yard", "yards"),
    "in": ("inch", "inches"), "nmi": ("nautical mile", "nautical miles"),
    "sq mi": ("square mile", "square miles"), "sq ft": ("square foot", "square feet"),
    "sq km": ("square kilometer", "square kilometers"),
    "sq m": ("square meter", "square meters"), "cu ft": ("cubic foot", "cubic feet"),
    "cu mi": ("cubic mile", "cubic miles"), "cu m": ("cubic meter", "cubic meters"),
    "cu yd": ("cubic yard", "cubic yards"), "ha": ("hectare", "hectares"),
    "kg": ("kilogram", "kilograms"), "g": ("gram", "grams"), "mg": ("milligram", "milligrams"),
    "μg": ("microgram", "micrograms"), "lb": ("pound", "pounds"), "lbs": ("pound", "pounds"),
    "oz": ("ounce", "ounces"), "fl oz": ("fluid ounce", "fluid ounces"),
    "L": ("liter", "liters"), "l": ("liter", "liters"), "ml": ("milliliter", "milliliters"),
    "mL": ("milliliter", "milliliters"), "gal": ("gallon", "gallons"),
    "imp gal": ("imperial gallon", "imperial gallons"), "US gal": ("US gallon", "US gallons"),
    "hl": ("hectoliter", "hectoliters"), "mph": ("mile an hour", "miles an hour"),
    "kph": ("kilometer an hour", "kilometers an hour"), "kn": ("knot", "knots"),
    "Hz": ("hertz", "hertz"), "kHz": ("kilohertz", "kilohertz"),
    "MHz": ("megahertz", "megahertz"), "GHz": ("gigahertz", "gigahertz"),
    "kB": ("kilobyte", "kilobytes"), "KB": ("kilobyte", "kilobytes"),
    "MB": ("megabyte", "megabytes"), "GB": ("gigabyte", "gigabytes"),
    "TB": ("terabyte", "terabytes"), "kbit": ("kilobit", "kilobits"),
    "Mbit": ("megabit", "megabits"), "Gbit": ("gigabit", "gigabits"),
    "kbps": ("kilobit a second", "kilobits a second"),
    "Mbps": ("megabit a second", "megabits a second"),
    "Gbps": ("gigabit a second", "gigabits a second"),
    "W": ("watt", "watts"), "mW": ("milliwatt", "milliwatts"), "kW": ("kilowatt", "kilowatts"),
    "MW": ("megawatt", "megawatts"), "GW": ("gigawatt", "gigawatts"),
    "TW": ("terawatt", "terawatts"), "kWh": ("kilowatt hour", "kilowatt hours"),
    "MWh": ("megawatt hour", "megawatt hours"), "GWh": ("gigawatt hour", "gigawatt hours"),
    "TWh": ("terawatt hour", "terawatt hours"),
    "GWth": ("gigawatt thermal", "gigawatts thermal"),
    "MWth": ("megawatt thermal", "megawatts thermal"),
    "hp": ("horsepower", "horsepower"), "bhp": ("brake horsepower", "brake horsepower"),
    "V": ("volt", "volts"), "kV": ("kilovolt", "kilovolts"), "mA": ("milliamp", "milliamps"),
    "J": ("joule", "joules"), "kJ": ("kilojoule", "kilojoules"),
    "MJ": ("megajoule", "megajoules"), "EJ": ("exajoule", "exajoules"),
    "kcal": ("kilocalorie", "kilocalories"), "kPa": ("kilopascal", "kilopascals"),
    "hPa": ("hectopascal", "hectopascals"), "MPa": ("megapascal", "megapascals"),
    "psi": ("pound per square inch", "pounds per square inch"), "dB": ("decibel", "decibels"),
    "K": ("kelvin", "kelvin"), "cd": ("candela", "candelas"),
    "kcd": ("kilocandela", "kilocandelas"), "lm": ("lumen", "lumens"),
    "rpm": ("revolution a minute", "revolutions a minute"), "kt": ("kiloton", "kilotons"),
    "Mt": ("megaton", "megatons"), "Gt": ("gigaton", "gigatons"), "t": ("tonne", "tonnes"),
    "Mya": ("million years ago", "million years ago"),
    "Myr": ("million years", "million years"),
    "bp": ("base pair", "base pairs"), "kb": ("kilobase", "kilobases"),
    "Mb": ("megabase", "megabases"), "Gb": ("gigabase", "gigabases"),
    "ms": ("millisecond", "milliseconds"), "s": ("second", "seconds"),
    "sec": ("second", "seconds"), "min": ("minute", "minutes"), "h": ("hour", "hours"),
    "hr": ("hour", "hours"), "hrs": ("hour", "hours"), "yr": ("year", "years"),
    "yrs": ("year", "years"),
}  # fmt: skip
"""Symbol -> singular, plural. `μ` is the Greek letter; the micro sign is taken for it."""

UNITS_ONLY_IN_COMPOUNDS = frozenset({"s", "h"})
"""Read in "m/s" and "km/h" only: a lone "s" or "h" after a number is something else."""

CURRENCIES = {
    "$": ("dollar", "dollars", "cent", "cents"),
    "£": ("pound", "pounds", "penny", "pence"),
    "€": ("euro", "euros", "cent", "cents"),
    "¥": ("yen", "yen", "", ""),
    "₹": ("rupee", "rupees", "paisa", "paise"),
    "₩": ("won", "won", "", ""),
}
DOLLARS = {
    "US": "US", "U.S.": "US", "A": "Australian", "AU": "Australian", "C": "Canadian",
    "CA": "Canadian", "CAD": "Canadian", "Can": "Canadian", "NZ": "New Zealand",
    "HK": "Hong Kong", "NT": "New Taiwan", "S": "Singapore", "R": "",
}  # fmt: skip
"""What stands before the dollar sign."""

SCALES = {
    "k": "thousand", "K": "thousand", "m": "million", "M": "million", "mn": "million",
    "bn": "billion", "B": "billion", "b": "billion", "tn": "trillion", "T": "trillion",
    "trn": "trillion",
}  # fmt: skip

COUNTED = frozenset(
    "people persons men women children soldiers troops students pupils years days hours "
    "minutes seconds weeks months miles kilometers kilometres meters metres feet inches yards "
    "acres hectares tons tonnes pounds dollars euros copies words pages personnel members "
    "employees workers families homes houses households inhabitants residents votes seats "
    "points times base square cubic volumes ships men-at-arms injuries deaths cases lux watts "
    "volts guests spectators fans passengers vehicles cars species households rooms beds "
    "rupees yen guilders percent per-cent hectolitres litres liters items units jobs".split()
)
"""Words that make a number before them a quantity, even if it looks like a year."""

NEVER_COUNTED = frozenset(
    "was is has as its this us plus thus perhaps series versus across towards besides does "
    "sees elections games rankings riots events attacks olympics awards estimates statistics "
    "figures elections' classes census levels securities releases revisions".split()
)
"""Words in -s that a year may stand before."""

QUANTITY_BEFORE = frozenset("over nearly almost some only least exactly than roughly".split())
YEAR_BEFORE = frozenset(
    "in of by since from until till before after during between and to the a an early late "
    "mid fiscal year spring summer autumn fall winter circa c. ca. about around".split()
)

NUMBERED = frozenset(
    "Route Flight Interstate Highway Boeing Airbus Room Area Council Apartment Suite Bus "
    "Resolution".split()
)
"""Names whose numbers are read in pairs: Boeing 747."""

REGNAL = frozenset(
    "Abdul Adrian Afonso Albert Alexander Alexios Alfonso Alfred Anastasius Anne Antiochus "
    "Artaxerxes August Augustus Baldwin Basil Benedict Boleslaw Boniface Callixtus Carlos "
    "Casimir Catherine Celestine Charles Christian Clement Constans Constantine Constantius "
    "Cyrus Darius David Edmund Edward Elizabeth Eric Eugene Ferdinand Francis Francisco Franz "
    "Frederick Friedrich George Gregory Gustaf Gustav Gustavus Guy Haakon Hadrian Harald "
    "Harold Henri Henry Honorius Innocent Isaac Isabella Ivan James Jean Joan John Joseph "
    "Josef João José Juan Julius Justin Justinian Kenneth Leo Leopold Leon Lothair Louis "
    "Ludwig Magnus Mahmud Malcolm Manuel Margaret Maria Martin Mary Matthias Maximilian "
    "Mehmed Michael Mithridates Mohammed Muhammad Murad Napoleon Nicholas Olaf Olav Osman "
    "Otto Paul Paschal Pedro Peter Philip Philippe Pippin Pius Ptolemy Rama Ramesses Ramses "
    "Richard Robert Rudolf Rudolph Sancho Selim Sergius Seti Sigismund Sixtus Stephen "
    "Suleiman Sylvester Theodosius Thutmose Tiberius Umberto Urban Valentinian Victor "
    "Vittorio Vladimir Wenceslaus Wilhelm William Xerxes Yaqub Rahman".split()
)
"""Names of monarchs and popes: the numeral after one is an ordinal, "the fourteenth"."""

RULERS = frozenset(
    "King Queen Pope Popes Emperor Empress Tsar Czar Sultan Prince Princess Duke Count "
    "Patriarch Kaiser Shah Antipope Archduke Elector Khan".split()
)

NUMERAL_HEADS = frozenset(
    "War Wars Act Chapter Part Volume Vol Vol. Book Article Art. Title Section Phase Stage "
    "Type Class Mark Mk Grade Level Appendix Division Group Schedule Tier Episode Council "
    "Vatican Apollo Basel Symphony Canto Psalm Figure Table Scene Corps Zone Protocol Chamber "
    "Clause Category Region Tome Annex Olympiad Pact Round Series Tier liedu grade class type "
    "phase part chapter level volume act stage title article intensity".split()
)
"""Words whose numeral, even a lone I, V or X, is a cardinal."""

BOWLS = frozenset({"Bowl", "OS"})
"""After these any numeral is meant: Super Bowl L, Mac OS X."""

NO_NUMERAL = frozenset("MIX CD DC DI MI LI CC MM LL MC MD CM DM MV CV DIV CIV DIX MID DIM".split())
"""Words and initials that are also Roman numerals."""

SYMBOLS = {
    "&": "and", "@": "at", "+": "plus", "=": "equals", "−": "minus", "±": "plus or minus",
    "~": "about", "≈": "about", "×": "by", "÷": "divided by", "%": "percent", "‰": "per mille",
    "§": "section",
    "°": "degrees", "♯": "sharp", "♭": "flat", "→": "to", "€": "euros", "£": "pounds",
    "¢": "cents", "$": "dollars", "¥": "yen", "№": "number", "≤": "at most", "≥": "at least",
    "<": "less than", ">": "more than", "^": "to the power of", "²": "squared", "³": "cubed",
}  # fmt: skip

SLASHED = {
    "and/or": "and or", "he/she": "he or she", "she/he": "she or he", "his/her": "his or her",
    "him/her": "him or her", "her/his": "her or his", "his/hers": "his or hers",
    "s/he": "she or he", "w/o": "without", "n/a": "not applicable",
}  # fmt: skip

PER = frozenset(
    "second minute hour day week month year yr person capita watt kilowatt mile acre".split()
)
"""After a slash these are read "per": terabytes/month."""

GREEK = dict(
    zip(
        "αβγδεζηθικλμνξοπρστυφχψω",
        "alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi "
        "rho sigma tau upsilon phi chi psi omega".split(),
        strict=True,
    )
)
GREEK_SOUNDS = dict(
    zip(
        "αβγδεζηθικλμνξοπρσςτυφχψω",
        "a v g d e z i th i k l m n x o p r s s t y f ch ps o".split(),
        strict=True,
    )
)
