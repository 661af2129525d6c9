"""What the card says of a data set's sources: who made them, and how to cite them."""

from __future__ import annotations

from askqa_builder.schema import Record


class About(Record):
    """A source, for people who want to know or to cite it."""

    text: str
    """Markdown: what it is and who wrote it."""
    citation: str = ""
    """BibTeX."""


SOURCES: dict[str, About] = {
    "squad": About(
        text="[SQuAD](https://rajpurkar.github.io/SQuAD-explorer/): paragraphs of English "
        "Wikipedia, and the questions and answers of crowd workers about them",
        citation="""@inproceedings{rajpurkar2016squad,
  title     = {{SQ}u{AD}: 100,000+ Questions for Machine Comprehension of Text},
  author    = {Rajpurkar, Pranav and Zhang, Jian and Lopyrev, Konstantin and Liang, Percy},
  booktitle = {Proceedings of EMNLP 2016},
  pages     = {2383--2392},
  year      = {2016}
}""",
    ),
    "abg-coqa": About(
        text="[Abg-CoQA](https://github.com/MeiqiGuo/AKBC2021-Abg-CoQA): conversations of crowd "
        "workers about the stories of CoQA, with clarifying questions where one was ambiguous",
        citation="""@inproceedings{guo2021abgcoqa,
  title     = {{Abg-CoQA}: Clarifying Ambiguity in Conversational Question Answering},
  author    = {Guo, Meiqi and Zhang, Mingda and Reddy, Siva and Alikhani, Malihe},
  booktitle = {3rd Conference on Automated Knowledge Base Construction (AKBC)},
  year      = {2021}
}""",
    ),
    "sample": About(text="short passages written for askqa_builder, with questions and answers"),
    "world": About(text="a closed synthetic world: facts and conversations made by rules"),
    "text": About(text="texts that the publisher of this set brought"),
    "dialogues": About(text="conversations that the publisher of this set brought"),
    "sdialog": About(text="conversations in the form of [SDialog](https://sdialog.github.io/)"),
}
"""By the name in `provenance.source`."""
