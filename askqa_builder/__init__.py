"""askqa_builder: make, release, and learn from spoken, ambiguous question-answering data."""

from __future__ import annotations

__version__ = "0.1.0"
