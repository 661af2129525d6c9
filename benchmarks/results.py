"""How a benchmark tells its results to `run.py`: a line of JSON for each, among what it prints."""

from __future__ import annotations

import json

MARK = "RESULT "


def result(
    what: str,
    value: float,
    unit: str,
    *,
    peer: str | None = None,
    peer_value: float | None = None,
    at_least: float | None = None,
    at_most: float | None = None,
) -> None:
    """Tell one figure; beside it, in the same unit, what a peer came to in the same run.

    `at_least` and `at_most` are what is claimed of it.
    """
    fields = {
        "what": what,
        "value": value,
        "unit": unit,
        "peer": peer,
        "peer_value": peer_value,
        "at_least": at_least,
        "at_most": at_most,
    }
    given = {name: field for name, field in fields.items() if field is not None}
    print(MARK + json.dumps(given, ensure_ascii=False), flush=True)
