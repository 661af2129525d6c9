"""What a clarifying question covers, what the user replies, and baselines of known outcome."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from pipeline import askqa

from askqa_builder.evaluate.decision import classify
from askqa_builder.evaluate.dynamic import Trajectory, converse
from askqa_builder.evaluate.metrics import squad_exact_match
from askqa_builder.evaluate.questions import clarifying_coverage, resolve
from askqa_builder.evaluate.responders import Conversation, Responder, Utterance
from askqa_builder.evaluate.responders.baselines import (
    ALWAYS_ANSWER,
    ALWAYS_ASK,
    OracleText,
    Random,
    most_frequent_answer,
)
from askqa_builder.evaluate.scores import decision_scores
from askqa_builder.evaluate.simulate import UNCLEAR, Reply, SimulatedUser, by_rules, reply_to
from askqa_builder.schema import Dialogue, Reading

SHARED = Path(__file__).resolve().parents[1].parent / "shared" / "data"

WALES = ("What is the motto of Wales?", "What is the flower of Wales?")
PATH = (
    "What did they remove before heading for the path?",
    "What did they remove after heading for the path?",
)
TOWER = ("When was the Eiffel Tower built?", "How tall is the Eiffel Tower?")
SIZES = (
    "How big is the Faisal Mosque?",
    "How big is the city of Islamabad?",
    "How big is the Islamabad metropolitan area?",
)
COUNTRIES = ("How many live in the US?", "How many live in Japan?")


@pytest.mark.parametrize(
    ("question", "readings", "named", "separates"),
    [
        ("Do you mean the motto or the flower?", WALES, (True, True), True),
        ("Do you mean the mottos?", WALES, (True, False), True),
        ("Which one do you mean?", WALES, (False, False), False),
        ("Do you mean the anthem of Wales?", WALES, (False, False), False),
        ("Before or after?", PATH, (True, True), True),
        ("Do you mean the path?", PATH, (False, False), False),
        ("Do you want to know when it was built or how tall it is?", TOWER, (True, True), True),
        ("The date or the height?", TOWER, (True, True), True),
        ("The mosque, the city, or the metropolitan area?", SIZES, (True, True, True), True),
        ("Do you mean in the US or in Japan?", COUNTRIES, (True, True), True),
        ("Tell us: in Japan?", COUNTRIES, (False, True), True),
        ("The 2nd or the 3rd?", ("Who won the second race?", "Who won the third race?"),
         (True, True), True),
    ],
)  # fmt: skip
def test_coverage_goes_by_the_words_that_distinguish(
    question: str, readings: tuple[str, ...], named: tuple[bool, ...], separates: bool
) -> None:
    coverage = clarifying_coverage(question, readings, intended=0)
    assert coverage.named == named
    assert coverage.names_all == all(named)
    assert coverage.separates == separates


def test_naming_one_of_three_separates_that_one_only() -> None:
    question = "Do you mean the Faisal Mosque?"
    assert [clarifying_coverage(question, SIZES, i).separates for i in range(3)] == [
        True,
        False,
        False,
    ]


def test_one_reading_inside_another_can_be_quoted() -> None:
    readings = ("How tall is the tower?", "How tall is the tower antenna?")
    question = "Do you mean how tall is the tower, or how tall is the tower antenna?"
    assert clarifying_coverage(question, readings, 0).names_all
    assert [resolve(f"I mean {reading}", readings) for reading in readings] == [0, 1]


@pytest.mark.parametrize(
    ("question", "readings", "intended", "reply", "kind"),
    [
        ("Do you mean the motto or the flower?", WALES, 1, "I mean the flower.", "option"),
        ("The motto or the flower?", WALES, 0, "I mean the motto.", "option"),
        ("Do you mean the flower?", WALES, 1, "Yes.", "yes"),
        ("Do you mean the motto?", WALES, 1, "No, I mean the flower.", "no"),
        ("You don't mean the motto, do you?", WALES, 1, "I mean the flower.", "option"),
        ("Which one do you mean?", WALES, 1, "I mean the flower.", "restated"),
        ("Could you please clarify?", WALES, 1, "I mean the flower.", "restated"),
        ("I'm not sure which one you mean.", WALES, 1, "I mean the flower.", "restated"),
        ("Which one?", WALES, 1, "I mean the flower.", "restated"),
        ("Do you mean the anthem?", WALES, 1, UNCLEAR, "unclear"),
        ("Which do you mean, the anthem or the flag?", WALES, 1, UNCLEAR, "unclear"),
        ("Who are you?", WALES, 1, UNCLEAR, "unclear"),
        ("What would you like for dinner?", WALES, 1, UNCLEAR, "unclear"),
        ("Before or after?", PATH, 1, "I mean after heading for the path.", "option"),
        ("Its age?", TOWER, 1, UNCLEAR, "unclear"),
        ("Its height?", TOWER, 1, "Yes.", "yes"),
        ("Its height?", TOWER, 0, "No, I mean when was the Eiffel Tower built.", "no"),
        ("Islamabad?", SIZES, 0, "No, I mean the Faisal Mosque.", "no"),
        ("Islamabad?", SIZES, 1, "I mean the city of Islamabad.", "option"),
        ("Which one do you mean?", WALES[:1], 0, "I mean what is the motto of Wales.", "restated"),
        ("How old are you?", WALES[:1], 0, UNCLEAR, "unclear"),
    ],
)
def test_user_answers_the_question_that_was_asked(
    question: str, readings: tuple[str, ...], intended: int, reply: str, kind: str
) -> None:
    result = reply_to(question, readings, intended)
    assert (result.text, result.kind) == (reply, kind)


def test_reply_tells_nothing_of_the_other_readings() -> None:
    for question in (
        "Do you mean the motto or the flower?",
        "Which one?",
        "Do you mean the motto?",
    ):
        assert "motto" not in reply_to(question, WALES, 1).text


def test_reciting_the_passage_is_no_clarifying_question() -> None:
    passage = "Wales has a motto and a flower, among other things. " * 20
    assert reply_to(f"{passage} Which one?", WALES, 0).kind == "unclear"


def test_reply_is_spoken_by_the_voice_that_is_given() -> None:
    said: list[str] = []

    def speak(text: str) -> tuple[np.ndarray, int]:
        said.append(text)
        return np.zeros(160, np.float32), 16_000

    user = SimulatedUser(WALES, 1, speak)
    (reply,) = by_rules([(user, "Which one?")])
    assert isinstance(reply, Reply)
    utterance = user.say(reply)
    assert said == [reply.text] == [utterance.text] == ["I mean the flower."]
    assert utterance.speaker == "user"
    assert utterance.sound is not None
    assert utterance.sound.sample_rate_hz == 16_000


# --- whole conversations ---------------------------------------------------------------------


def opening(dialogue: Dialogue) -> Conversation:
    """The dialogue up to its last question."""
    last = max(index for index, turn in enumerate(dialogue.turns) if turn.act == "question")
    return Conversation(
        id=dialogue.id,
        prompt="",
        narration=(Utterance("narrator", dialogue.passage),),
        turns=tuple(Utterance(turn.role, turn.text) for turn in dialogue.turns[: last + 1]),
    )


def user(dialogue: Dialogue) -> SimulatedUser:
    return SimulatedUser([r.question for r in dialogue.readings], dialogue.intended)


def run(
    responder: Responder, dialogues: list[Dialogue], rounds: int = 1
) -> tuple[list[Trajectory], list[float]]:
    """Every trajectory, and its exact match against the intended reading."""
    trajectories = [
        converse(responder, opening(each), user(each), rounds=rounds) for each in dialogues
    ]
    scores = [
        squad_exact_match(path.final, each.readings[each.intended].answers)
        if path.answered
        else 0.0
        for path, each in zip(trajectories, dialogues, strict=True)
    ]
    return trajectories, scores


def read_dialogues(build: Path) -> list[Dialogue]:
    return [
        Dialogue.model_validate_json(line)
        for shard in sorted((build / "dialogues").glob("*.jsonl"))
        for line in shard.read_text(encoding="utf-8").splitlines()
    ]


@pytest.fixture(scope="module")
def dialogues(tmp_path_factory: pytest.TempPathFactory) -> list[Dialogue]:
    """Invented dialogues of every kind of ambiguity, and as many unambiguous ones."""
    build = tmp_path_factory.mktemp("build")
    askqa("generate", "--source", "world:60", "--out", build, "-j", "1", "-q")
    made = read_dialogues(build)
    assert sum(each.ambiguous for each in made) > 50
    assert sum(not each.ambiguous for each in made) > 50
    return made


def gold(dialogues: list[Dialogue]) -> list[str]:
    return ["ask" if each.ambiguous else "answer" for each in dialogues]


def assert_oracle_is_perfect(dialogues: list[Dialogue]) -> None:
    oracle = OracleText({each.id: each.readings for each in dialogues})
    trajectories, scores = run(oracle, dialogues)
    assert scores == [1.0] * len(dialogues)
    decisions = decision_scores(gold(dialogues), [path.decision for path in trajectories])
    assert set(decisions.values()) == {1.0}


def test_oracle_reaches_every_goal_and_decides_rightly(dialogues: list[Dialogue]) -> None:
    assert_oracle_is_perfect(dialogues)


@pytest.fixture(scope="module")
def human_dialogues(tmp_path_factory: pytest.TempPathFactory) -> list[Dialogue]:
    """Abg-CoQA: people's clarifying questions and clarifications."""
    path = SHARED / "abg-coqa" / "abg-coqa-val.json"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    build = tmp_path_factory.mktemp("abg-coqa")
    askqa("generate", "--source", f"abg-coqa:{path}", "--out", build, "-j", "1", "-q")
    return read_dialogues(build)


def test_oracle_is_perfect_on_human_dialogues(human_dialogues: list[Dialogue]) -> None:
    assert_oracle_is_perfect(human_dialogues)


def test_oracle_is_perfect_on_contrasts_found_in_squad(tmp_path: Path) -> None:
    path = SHARED / "squad" / "squad-44-articles.json"
    if not path.is_file():
        pytest.skip(f"there is no {path}")
    articles = json.loads(path.read_text(encoding="utf-8"))
    articles["data"] = articles["data"][:2]  # the whole file takes half a minute
    part = tmp_path / "squad.json"
    part.write_text(json.dumps(articles), encoding="utf-8")
    askqa("generate", "--source", f"squad:{part}", "--out", tmp_path / "b", "-j", "1", "-q")
    dialogues = read_dialogues(tmp_path / "b")
    assert any(each.ambiguous for each in dialogues)
    assert_oracle_is_perfect(dialogues)


def test_simulated_user_replies_like_the_humans_of_abg_coqa(
    human_dialogues: list[Dialogue],
) -> None:
    ambiguous = [each for each in human_dialogues if each.ambiguous]
    agreed = 0
    for each in ambiguous:
        question, human = each.turns[-3].text, each.turns[-2].text.lower()
        kind = reply_to(question, [r.question for r in each.readings], each.intended).kind
        expected = "yes" if human.startswith("yes") else "no" if human.startswith("no") else "named"
        agreed += expected == {"option": "named", "restated": "named"}.get(kind, kind)
    assert agreed / len(ambiguous) >= 0.95  # measured: 144 of 148


def test_gold_acts_are_classified_as_what_they_are(dialogues: list[Dialogue]) -> None:
    expected = {"answer": "answer", "clarifying_question": "ask"}
    for each in dialogues:
        for turn in each.turns:
            if turn.role == "assistant":
                assert classify(turn.text) == expected[turn.act], turn.text


def test_gold_clarifying_questions_name_every_reading(dialogues: list[Dialogue]) -> None:
    for each in dialogues:
        if each.ambiguous:
            questions = [reading.question for reading in each.readings]
            coverage = clarifying_coverage(each.turns[-3].text, questions, each.intended)
            assert coverage.names_all, each.turns[-3].text
            assert coverage.separates


def test_always_answer_reaches_what_the_data_imply(dialogues: list[Dialogue]) -> None:
    trajectories, scores = run(ALWAYS_ANSWER, dialogues)
    decisions = decision_scores(gold(dialogues), [path.decision for path in trajectories])
    ambiguous = sum(each.ambiguous for each in dialogues)
    clear = len(dialogues) - ambiguous
    assert decisions["decision_accuracy"] == pytest.approx(clear / len(dialogues))
    assert decisions["ask_recall"] == decisions["ask_f1"] == decisions["ask_precision"] == 0
    assert decisions["decision_macro_f1"] == pytest.approx(clear / (2 * clear + ambiguous))
    assert sum(scores) == 0  # nobody's answer is "I don't know."
    assert all(path.rounds == 0 for path in trajectories)


def test_always_ask_reaches_what_the_data_imply(dialogues: list[Dialogue]) -> None:
    trajectories, scores = run(ALWAYS_ASK, dialogues, rounds=3)
    decisions = decision_scores(gold(dialogues), [path.decision for path in trajectories])
    share = sum(each.ambiguous for each in dialogues) / len(dialogues)
    assert decisions["ask_recall"] == 1
    assert decisions["ask_precision"] == decisions["decision_accuracy"] == pytest.approx(share)
    assert sum(scores) == 0
    assert all(path.rounds == 3 and not path.answered for path in trajectories)


def test_never_asking_gets_the_first_reading_only(dialogues: list[Dialogue]) -> None:
    oracle = OracleText({each.id: each.readings for each in dialogues}, policy="never")
    _, scores = run(oracle, dialogues)
    lucky = [
        squad_exact_match(each.readings[0].answers[0], each.readings[each.intended].answers)
        for each in dialogues
    ]
    assert scores == lucky
    assert 0.5 < sum(scores) / len(scores) < 1


def test_always_asking_oracle_still_reaches_every_goal(dialogues: list[Dialogue]) -> None:
    oracle = OracleText({each.id: each.readings for each in dialogues}, policy="always")
    trajectories, scores = run(oracle, dialogues)
    assert scores == [1.0] * len(dialogues)
    assert {path.decision for path in trajectories} == {"ask"}


def test_most_frequent_answer_scores_its_share(dialogues: list[Dialogue]) -> None:
    answers = [each.turns[-1].text for each in dialogues]
    responder = most_frequent_answer(answers)
    assert responder.text == max(answers, key=answers.count)
    _, scores = run(responder, dialogues)
    expected = [
        squad_exact_match(responder.text, each.readings[each.intended].answers)
        for each in dialogues
    ]
    assert scores == expected
    assert sum(scores) > 0
    with pytest.raises(ValueError, match="no answer"):
        most_frequent_answer([])


def test_random_is_the_same_for_the_same_seed_in_any_order(dialogues: list[Dialogue]) -> None:
    responder = Random(["yes", "no"], seed=3)
    forward = [responder.respond(opening(each)) for each in dialogues]
    backward = [responder.respond(opening(each)) for each in reversed(dialogues)]
    assert forward == backward[::-1]
    assert {"yes", "no", ALWAYS_ASK.text} == set(forward)
    other = Random(["yes", "no"], seed=4)
    assert forward != [other.respond(opening(each)) for each in dialogues]


def test_a_question_that_does_not_help_is_no_free_pass() -> None:
    class Asker:
        """Asks what it was made with, then believes whatever it hears."""

        name = "asker"

        def __init__(self, question: str) -> None:
            self.question = question

        def respond(self, conversation: Conversation) -> str:
            if len(conversation.turns) == 1:
                return self.question
            meant = resolve(conversation.turns[-1].text, WALES)
            return "unknown" if meant is None else ("Cymru am byth", "the daffodil")[meant]

    start = Conversation("d", "", (), (Utterance("user", "What is it?"),))
    for question, final in (
        ("The motto or the flower?", "the daffodil"),
        ("Do you mean the motto?", "the daffodil"),
        ("Do you like music?", "unknown"),
        ("Do you mean the anthem?", "unknown"),
    ):
        path = converse(Asker(question), start, SimulatedUser(WALES, 1))
        assert (path.decision, path.rounds, path.final) == ("ask", 1, final), question


def test_a_responder_that_raises_is_not_hushed_up() -> None:
    class Broken:
        name = "broken"

        def respond(self, conversation: Conversation) -> str:
            raise RuntimeError("out of memory")

    start = Conversation("d", "", (), (Utterance("user", "What is it?"),))
    with pytest.raises(RuntimeError, match="out of memory"):
        converse(Broken(), start, SimulatedUser(WALES, 1))


def test_readings_of_the_schema_fit_the_oracle() -> None:
    reading = Reading(question="What is the motto?", answers=("Cymru am byth", "Wales forever"))
    oracle = OracleText({"d": [reading]})
    start = Conversation("d", "", (), (Utterance("user", "What is the motto?"),))
    assert oracle.respond(start) == "Cymru am byth"
    assert json.dumps(oracle.name) == '"oracle-text"'
