"""Which split a passage belongs to: a function of its group alone, so it never moves."""

from __future__ import annotations

import hashlib

from askqa_builder.schema import Passage, Split

TEST_SHARE = 0.1
VALIDATION_SHARE = 0.1
_SALT = "askqa-splits-1"  # changing it would move passages between the splits of published sets


def passage_hash(text: str) -> str:
    """Hash of a passage's letters and digits: layout, case and punctuation do not matter."""
    bare = "".join(filter(str.isalnum, text.casefold()))
    return hashlib.sha256(bare.encode()).hexdigest()[:32]


def split_of_group(group: str) -> Split:
    """Hash the group to a point in [0, 1): the first tenth is test, the second validation.

    Passages that are added later change nothing for those that are there, and two builds that
    share a passage agree about its split.
    """
    head = hashlib.sha256(f"{_SALT}:{group}".encode()).digest()[:8]
    point = int.from_bytes(head, "big") / 2**64
    if point < TEST_SHARE:
        return "test"
    if point < TEST_SHARE + VALIDATION_SHARE:
        return "validation"
    return "train"


def split_of(passage: Passage) -> Split:
    """The split that the source fixed, or else that of the group."""
    return passage.split or split_of_group(passage.group)
