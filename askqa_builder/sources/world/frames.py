"""What can be said and asked in the closed world: data, no logic.

Templates of statements start in lower case, because they may follow an "and". `{she}` is the
pronoun of the story's two people, `{value}` the answer; the other names are slots.
"""

from __future__ import annotations

from askqa_builder.sources.world.words import Frame, Option

FRAMES: tuple[Frame, ...] = (
    Frame(
        "opens",
        "referent",
        ("When does it open?", "What time does it open?"),
        (
            Option(
                ("the {place} opens {value}",),
                ("When does the {place} open?", "What time does the {place} open?"),
                "the {place}",
                "hour",
            ),
        ),
        vary="place",
        pronoun="place",
    ),
    Frame(
        "runs",
        "referent",
        ("Who runs it?", "Who is it run by?"),
        (
            Option(
                ("{value} runs the {place}", "the {place} is run by {value}"),
                ("Who runs the {place}?", "Who is the {place} run by?"),
                "the {place}",
                "name",
            ),
        ),
        vary="place",
        pronoun="place",
    ),
    Frame(
        "roof",
        "referent",
        ("What colour is the roof?", "What colour does the roof have?"),
        (
            Option(
                ("the roof of the {place} is {value}", "the {place} has a {value} roof"),
                ("What colour is the roof of the {place}?",),
                "the {place}",
                "colour",
            ),
        ),
        vary="place",
        pronoun="place",
    ),
    Frame(
        "brought",
        "referent",
        ("What did {she} bring?", "What did {she} bring along?"),
        (
            Option(
                ("{who} brought {value}", "{who} brought along {value}"),
                ("What did {who} bring?", "What did {who} bring along?"),
                "{who}",
                "gift",
            ),
        ),
        vary="who",
        pronoun="who",
    ),
    Frame(
        "came",
        "referent",
        ("How did {she} come?", "How did {she} get there?"),
        (
            Option(
                ("{who} came {value}", "{who} got there {value}"),
                ("How did {who} come?", "How did {who} get there?"),
                "{who}",
                "transport",
            ),
        ),
        vary="who",
        pronoun="who",
    ),
    Frame(
        "lives",
        "referent",
        ("Where does {she} live?",),
        (
            Option(
                ("{who} lives {value}", "{who} has a house {value}"),
                ("Where does {who} live?",),
                "{who}",
                "near",
            ),
        ),
        vary="who",
        pronoun="who",
    ),
    Frame(
        "hours",
        "attribute",
        ("What time is the {event}?", "At what time is the {event}?"),
        (
            Option(
                ("the {event} starts {value}",),
                ("When does the {event} start?", "What time does the {event} start?"),
                "the start",
                "hour",
            ),
            Option(
                ("the {event} ends {value}",),
                ("When does the {event} end?", "What time does the {event} end?"),
                "the end",
                "hour",
                also=("it ends {value}",),
                alone=False,
            ),
        ),
        slots=("event",),
        rising=True,
    ),
    Frame(
        "size",
        "attribute",
        ("How big is the {vehicle}?", "What size is the {vehicle}?"),
        (
            Option(
                ("the {vehicle} is {value} long", "the {vehicle} has a length of {value}"),
                ("What is the length of the {vehicle}?",),
                "the length",
                "metres",
                also=("it is {value} long",),
            ),
            Option(
                ("the {vehicle} has {value}",),
                ("How many seats does the {vehicle} have?",),
                "the number of seats",
                "seats",
                also=("it has {value}",),
            ),
        ),
        slots=("vehicle",),
    ),
    Frame(
        "look",
        "attribute",
        ("What is the {furniture} like?", "What does the {furniture} look like?"),
        (
            Option(
                ("the {furniture} is {value}",),
                ("What colour is the {furniture}?",),
                "the colour",
                "colour",
                also=("it is {value}",),
            ),
            Option(
                ("the {furniture} is {value}",),
                ("What material is the {furniture} made of?",),
                "the material",
                "material",
                also=("it is {value}",),
            ),
        ),
        slots=("furniture",),
    ),
    Frame(
        "baked",
        "time",
        ("What did {who} bake?",),
        (
            Option(
                ("{who} baked {value} on {day}", "on {day} {who} baked {value}"),
                ("What did {who} bake on {day}?",),
                "on {day}",
                "baked",
                also=("on {day} {she} baked {value}", "{she} baked {value} on {day}"),
            ),
        ),
        vary="day",
        slots=("who",),
    ),
    Frame(
        "visited",
        "time",
        ("What did {who} visit?", "Which place did {who} visit?"),
        (
            Option(
                ("{who} visited {value} on {day}", "on {day} {who} visited {value}"),
                ("What did {who} visit on {day}?", "Which place did {who} visit on {day}?"),
                "on {day}",
                "sight",
                also=("on {day} {she} visited {value}",),
            ),
        ),
        vary="day",
        slots=("who",),
    ),
    Frame(
        "weather",
        "time",
        ("What was the weather like?", "How was the weather?"),
        (
            Option(
                ("the weather was {value} on {day}", "on {day} the weather was {value}"),
                ("What was the weather like on {day}?", "How was the weather on {day}?"),
                "on {day}",
                "weather",
                also=("on {day} it was {value}", "it was {value} on {day}"),
            ),
        ),
        vary="day",
    ),
    Frame(
        "ticket",
        "time",
        ("How much is a ticket?", "What does a ticket cost?"),
        (
            Option(
                ("in {season} a ticket costs {value}", "a ticket costs {value} in {season}"),
                ("How much is a ticket in {season}?", "What does a ticket cost in {season}?"),
                "in {season}",
                "coins",
                also=("in {season} it costs {value}",),
            ),
        ),
        vary="season",
    ),
    Frame(
        "bought",
        "place",
        ("What did {who} buy?",),
        (
            Option(
                ("{who} bought {value} at the {place}", "at the {place} {who} bought {value}"),
                ("What did {who} buy at the {place}?",),
                "at the {place}",
                "gift",
                also=("at the {place} {she} bought {value}",),
            ),
        ),
        vary="place",
        slots=("who",),
    ),
    Frame(
        "met",
        "place",
        ("Who did {who} meet?",),
        (
            Option(
                ("{who} met {value} at the {place}", "at the {place} {who} met {value}"),
                ("Who did {who} meet at the {place}?",),
                "at the {place}",
                "name",
                also=("{she} met {value} at the {place}", "at the {place} {she} met {value}"),
            ),
        ),
        vary="place",
        slots=("who",),
    ),
    Frame(
        "saw",
        "place",
        ("What did {who} see?", "Which animal did {who} see?"),
        (
            Option(
                ("{who} saw {value} at the {place}", "at the {place} {who} saw {value}"),
                (
                    "What did {who} see at the {place}?",
                    "Which animal did {who} see at the {place}?",
                ),
                "at the {place}",
                "animal",
                also=("{she} saw {value} at the {place}", "at the {place} {she} saw {value}"),
            ),
        ),
        vary="place",
        slots=("who",),
    ),
    Frame(
        "won",
        "event",
        ("Who won?", "Who was the winner?"),
        (
            Option(
                ("{value} won the {contest}", "the {contest} was won by {value}"),
                ("Who won the {contest}?", "Who was the winner of the {contest}?"),
                "the {contest}",
                "name",
            ),
        ),
        vary="contest",
    ),
    Frame(
        "sang",
        "event",
        ("Who sang?", "Who was singing?"),
        (
            Option(
                ("{value} sang at the {event}", "at the {event} {value} sang"),
                ("Who sang at the {event}?", "Who was singing at the {event}?"),
                "at the {event}",
                "name",
            ),
        ),
        vary="event",
    ),
    Frame(
        "wore",
        "event",
        ("What did {who} wear?",),
        (
            Option(
                ("{who} wore {value} at the {event}", "at the {event} {who} wore {value}"),
                ("What did {who} wear at the {event}?",),
                "at the {event}",
                "clothes",
                also=("{she} wore {value} at the {event}", "at the {event} {she} wore {value}"),
            ),
        ),
        vary="event",
        slots=("who",),
    ),
    Frame(
        "walk",
        "other",
        ("How long is the walk to the {place}?",),
        (
            Option(
                ("the walk to the {place} is {value} long",),
                ("How many miles is the walk to the {place}?",),
                "in miles",
                "miles",
                also=("it is {value} long",),
            ),
            Option(
                ("the walk to the {place} takes {value}",),
                ("How many hours does the walk to the {place} take?",),
                "in hours",
                "hours",
                also=("it takes {value}",),
            ),
        ),
        slots=("place",),
    ),
    Frame(
        "price",
        "other",
        ("How much are the {fruit}s?", "What do the {fruit}s cost?"),
        (
            Option(
                ("one {fruit} costs {value}",),
                ("How much is one {fruit}?", "What does one {fruit} cost?"),
                "one {fruit}",
                "coins",
            ),
            Option(
                ("a basket of {fruit}s costs {value}",),
                ("How much is a basket of {fruit}s?", "What does a basket of {fruit}s cost?"),
                "a basket",
                "coins",
                also=("a basket costs {value}",),
            ),
        ),
        slots=("fruit",),
        rising=True,
    ),
    Frame(
        "far",
        "other",
        ("How far is the {place}?", "How far away is the {place}?"),
        (
            Option(
                ("the {place} is {value} away {way}", "{way} the {place} is {value} away"),
                ("How far is the {place} {way}?", "How far away is the {place} {way}?"),
                "{way}",
                "minutes",
                also=("{way} it is {value} away",),
            ),
        ),
        vary="way",
        slots=("place",),
        rising=True,
    ),
)
