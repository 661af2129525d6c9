"""Words that the contrast writer must know: English closed classes and a few general word groups.

Nothing here is fitted to one data set. The given names are the most frequent of the United States
census of 1990 (public domain), without those that are also words, places, or both male and female.
"""

from __future__ import annotations

WH = frozenset("what which who whom whose when where why how".split())
DO = frozenset("do does did".split())
BE = frozenset("is are was were".split())
HAVE = frozenset("has have had".split())
MODAL = frozenset("can could will would may might shall should must".split())
AUXILIARIES = DO | BE | HAVE | MODAL
POSSESSIVES = frozenset("his her its their my your our".split())
DETERMINERS = frozenset("the a an this that these those".split()) | POSSESSIVES
QUANTIFIERS = frozenset("some any many much more most all both each every few several no".split())
PREPOSITIONS = frozenset(
    "about above across after against along among around as at before behind below beneath beside "
    "besides between beyond by concerning despite during except for from in inside into like near "
    "of off on onto out outside over past per regarding since than through throughout to toward "
    "towards under until up upon via with within without".split()
)
SUBORDINATORS = frozenset("when while after before until since once if because".split())
CONJUNCTIONS = SUBORDINATORS | frozenset("and or but nor although though where that".split())
PERSONAL = frozenset(
    "i me you he him she it we us they them himself herself itself themselves his her its their "
    "hers theirs".split()
)
PRONOUNS = PERSONAL | frozenset(
    "this that these those one ones there here who whom which someone something anyone anything "
    "else other others".split()
)
PARTICLES = frozenset("not n't so too very also only just even ever already still yet then".split())
CLOSED = (
    WH
    | AUXILIARIES
    | DETERMINERS
    | QUANTIFIERS
    | PREPOSITIONS
    | CONJUNCTIONS
    | PRONOUNS
    | PARTICLES
    | {"be", "been", "being", "'s"}
)

MONTHS = frozenset(
    "january february march april may june july august september october november december".split()
)
TIME_NOUNS = MONTHS | frozenset(
    "year years month months week weeks day days date dates century centuries decade decades "
    "quarter season spring summer autumn winter morning afternoon evening night today monday "
    "tuesday wednesday thursday friday saturday sunday time period era age".split()
)
PLACE_NOUNS = frozenset(
    "place city town village county state province country nation continent region area island "
    "river lake mountain street road avenue building house hall park bridge station school "
    "university college church museum hospital location site venue borough district market "
    "library bakery harbour harbor port airport cinema theatre theater garden farm shop store "
    "office castle forest field beach valley coast".split()
)
EVENT_NOUNS = frozenset(
    "war battle election meeting festival championship cup match game race ceremony inauguration "
    "conference party wedding funeral dance concert fair picnic flood fire earthquake storm crisis "
    "round tournament competition contest exhibition trial revolution siege campaign".split()
)

ADMINISTRATIVE = frozenset(
    "place city town village county state province country nation continent region area location "
    "site venue borough district".split()
)
"""Places that one asks for by "where", not by "what"."""

VAGUE_NOUNS = frozenset(
    "kind kinds type types sort sorts form forms part parts number numbers percentage percent "
    "proportion fraction share amount name names term terms word words example examples member "
    "members one ones some list lot way ways use".split()
)
"""Heads that say little alone: "What is the name?" is hardly a question."""

MALE_NOUNS = frozenset(
    "father son brother husband uncle nephew grandfather grandson stepfather godfather boy man "
    "king prince duke emperor pope lord sir mr gentleman widower monk priest actor".split()
)
FEMALE_NOUNS = frozenset(
    "mother daughter sister wife aunt niece grandmother granddaughter stepmother godmother girl "
    "woman queen princess duchess empress lady madam mrs miss ms widow nun actress".split()
)
PERSON_NOUNS = (
    MALE_NOUNS
    | FEMALE_NOUNS
    | frozenset(
        "person people child parent teacher student president minister mayor governor senator "
        "chairman chairperson director producer writer author artist singer composer musician "
        "painter poet designer architect engineer scientist professor doctor nurse lawyer judge "
        "leader ruler commander general captain officer soldier player coach captain champion "
        "winner founder owner manager executive secretary ambassador bishop cardinal archbishop "
        "lama saint prophet god goddess character hero villain narrator host friend enemy rival "
        "successor predecessor heir spouse partner cousin twin baby infant athlete runner driver "
        "pilot astronaut explorer inventor philosopher historian economist critic editor reporter "
        "journalist protester activist victim survivor regent chancellor premier dictator tsar "
        "khan sultan caliph knight baron count earl physician surgeon torchbearer king".split()
    )
)
PERSON_TITLES = frozenset(
    "mr mrs ms miss dr prof professor sir lord lady king queen prince princess emperor empress "
    "pope saint president senator governor mayor general captain colonel admiral judge justice "
    "father brother sister reverend tsar sultan caliph duke duchess baron count".split()
)
THING_ENDINGS = PLACE_NOUNS | frozenset(
    "avenue boulevard square bay ocean sea valley peak mount range plateau glacier desert forest "
    "tower castle palace temple cathedral abbey library theater theatre stadium arena airport "
    "company corporation inc ltd group bank institute institution academy society association "
    "agency committee commission council department ministry party union league club team army "
    "navy war battle treaty act agreement law constitution court empire kingdom dynasty republic "
    "family church cup award prize festival game album song film book novel magazine newspaper "
    "journal channel network language system series program programme project museum gallery "
    "center centre foundation organization hotel tunnel canal railway railroad line dam".split()
)

MALE_NAMES = frozenset(
    "Aaron Adam Alan Albert Alex Alexander Alfred Allen Alvin Andrew Anthony Antonio Arthur "
    "Barry Benjamin Bernard Bradley Brandon Brent Brian Bruce Bryan Calvin Carl Carlos "
    "Charles Chris Christopher Clarence Clifford Clyde Corey Craig Curtis Dan Daniel Danny "
    "Darrell David Dennis Derek Donald Douglas Dustin Eddie Edward Edwin Eric Ernest Floyd "
    "Fred Frederick Gary George Gerald Glenn Gordon Greg Gregory Harold Henry Herbert Herman "
    "Howard Jacob James Jason Jeff Jeffery Jeffrey Jeremy Jerome Jerry Jesse Jim Joe Joel "
    "John Johnny Jon Jonathan Jorge Jose Joseph Joshua Juan Justin Keith Kenneth Kevin Kyle "
    "Larry Leo Leon Leonard Leroy Lester Lewis Lloyd Louis Luis Manuel Marcus Mario Marvin "
    "Matthew Maurice Melvin Michael Miguel Nathan Nicholas Norman Oscar Patrick Paul Pedro "
    "Philip Phillip Ralph Randall Raymond Ricardo Richard Ricky Robert Roberto Rodney Roger "
    "Ronald Ronnie Roy Russell Ryan Sam Samuel Scott Sean Shane Shawn Stanley Stephen Steve "
    "Steven Thomas Tim Timothy Todd Tommy Tony Travis Vernon Vincent Walter Wayne Wesley "
    "William Zachary".split()
)
FEMALE_NAMES = frozenset(
    "Alice Alicia Amanda Amy Ana Andrea Angela Anita Ann Anna Anne Annette Annie Ashley Audrey "
    "Barbara Beatrice Bernice Bertha Betty Bonnie Brenda Brittany Carmen Carolyn Carrie "
    "Catherine Cathy Cheryl Christina Christine Cindy Clara Connie Cynthia Danielle Darlene "
    "Debbie Deborah Debra Denise Diana Diane Dolores Donna Doris Dorothy Edith Edna Elaine "
    "Eleanor Elizabeth Ellen Emily Emma Erica Erin Esther Ethel Eva Evelyn Frances Gail "
    "Geraldine Gladys Gloria Helen Ida Irene Jacqueline Jane Janet Janice Jennifer Jessica "
    "Jill Joan Joann Joanne Josephine Joyce Juanita Judith Judy Julia Julie Karen Katherine "
    "Kathleen Kathryn Kathy Kim Kimberly Laura Lauren Lillian Linda Lisa Lois Lori Lorraine "
    "Louise Lucille Margaret Maria Marie Marilyn Marjorie Martha Mary Megan Melissa Michele "
    "Michelle Mildred Monica Nancy Nicole Norma Pamela Patricia Paula Pauline Peggy Phyllis "
    "Rachel Rebecca Renee Rhonda Rita Roberta Rosa Ruth Samantha Sandra Sara Sarah Sharon "
    "Sheila Shirley Stacy Stephanie Susan Suzanne Sylvia Tammy Teresa Thelma Theresa Tiffany "
    "Tina Valerie Veronica Vivian Wanda Wendy Yvonne".split()
)

NUMBER_WORDS = frozenset(
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty thirty forty fifty sixty seventy eighty ninety "
    "hundred hundreds thousand thousands million millions billion billions trillion dozen dozens "
    "half third quarter fifth tenth none several couple few once twice double triple".split()
)
DIGITS = {
    word: str(number)
    for number, word in enumerate(
        "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen "
        "fifteen sixteen seventeen eighteen nineteen twenty".split()
    )
}
ORDINALS = frozenset(
    "first second third fourth fifth sixth seventh eighth ninth tenth last final next".split()
)
LEANING = frozenset(
    "live lives lived reside resides based included involved interested participate participated "
    "located depend depends consist belong made known used fight fought prepare wait vote look "
    "search ask apply account care stand rely focus focused concentrate insist agree suffer "
    "suffered come came derive derived originate result resulted differ base work worked pay paid "
    "believe believed deal speak written arrested blamed responsible famous criticized praised "
    "nominated".split()
)
"""Words that want the phrase after their preposition: "fight for X", "live in X"."""

DIMENSIONS = frozenset("long wide high tall deep thick broad heavy".split())
HARMED = frozenset(
    "killed dead injured wounded hurt missing displaced homeless evacuated hospitalized disabled "
    "destroyed damaged lost infected sick".split()
)
"""What becomes of people and things in disasters; all of them are "affected"."""
SYNONYMS = {
    "an": "a",
    "which": "what",
    "constructed": "built",
    "erected": "built",
    "established": "founded",
    "situated": "located",
    "start": "begin",
    "started": "began",
    "finish": "end",
    "finished": "ended",
    "kinds": "types",
    "kind": "type",
    "percent": "percentage",
}
"""Words that annotators use for each other: readings may differ in them and still be a pair."""
PLACE_PROPERTIES = frozenset(
    "population capital area economy climate government border borders currency ranking gdp flag "
    "constitution parliament coast territory".split()
)

SUBJECT_FORMS = {"it": "it", "they": "they", "he": "he", "she": "she"}
OBJECT_FORMS = {"it": "it", "they": "them", "he": "him", "she": "her"}
POSSESSIVE_FORMS = {"it": "its", "they": "their", "he": "his", "she": "her"}
