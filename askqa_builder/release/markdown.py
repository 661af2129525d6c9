"""Text that strangers wrote, made harmless for Markdown, and for the HTML that becomes of it."""

from __future__ import annotations

import re
from collections.abc import Mapping


def line(text: str) -> str:
    """Text on one line, with nothing in it that Markdown or HTML would act on.

    Addresses are not made into links either. Source: CommonMark 0.31 (backslash escapes), and
    the autolinks of GitHub Flavored Markdown.
    """
    flat = " ".join("".join(ch for ch in text if ch.isprintable() or ch.isspace()).split())
    inert = re.sub(r"([\\`*_{}\[\]()#+!|<>&~$@]|(?<=:)/|(?<=www)\.)", r"\\\1", flat)
    return inert.replace("\\<", "&lt;")


def fenced(text: str) -> str:
    """Text in a fence that it cannot close; control characters are dropped."""
    clean = "".join(ch for ch in text if ch.isprintable() or ch == "\n")
    longest = max((len(run) for run in re.findall(r"`+", clean)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}text\n{clean}\n{fence}"


def counted(counts: Mapping[str, int]) -> str:
    """`name (12), other (3)`, the most frequent first."""
    ordered = sorted(counts.items(), key=lambda item: -item[1])
    return ", ".join(f"{line(name)} ({count:,})" for name, count in ordered) or "–"
