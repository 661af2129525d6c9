"""Which licence a data set may carry, given those of its sources.

A small table, not legal advice. Share-alike material may only be released under the same licence;
what forbids commercial use keeps forbidding it; a source of unknown licence may only be released
as `other`, by someone who says so.
"""

from __future__ import annotations

from collections.abc import Iterable

from askqa_builder.errors import ReleaseError

RELEASABLE: dict[str, tuple[str, ...]] = {
    "cc0-1.0": ("cc0-1.0", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"),
    "mit": ("mit", "cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"),
    "apache-2.0": ("apache-2.0", "cc-by-sa-4.0", "other"),
    "cc-by-4.0": ("cc-by-4.0", "cc-by-sa-4.0", "cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"),
    "cc-by-sa-3.0": ("cc-by-sa-3.0", "cc-by-sa-4.0"),
    "cc-by-sa-4.0": ("cc-by-sa-4.0",),
    "cc-by-nc-4.0": ("cc-by-nc-4.0", "cc-by-nc-sa-4.0", "other"),
    "cc-by-nc-sa-4.0": ("cc-by-nc-sa-4.0",),
    "unknown": ("other",),
}
"""Licence of a source → those that a data set made from it may carry, the freest first.

Sources: the deeds and compatibility list of Creative Commons
(https://creativecommons.org/share-your-work/licensing-considerations/compatible-licenses/).
"""


def licence_for(sources: Iterable[str], wanted: str | None) -> str:
    """The licence of the data set: the wanted one if all sources allow it, else the freest.

    Raises ReleaseError naming the source that forbids it.
    """
    licences = sorted(set(sources))
    for licence in licences:
        if licence not in RELEASABLE:
            raise ReleaseError(
                f"a source's licence {licence!r} is not in the table of release/licences.py; "
                f"expected one of {sorted(RELEASABLE)}"
            )
        if wanted is not None and wanted not in RELEASABLE[licence]:
            raise ReleaseError(
                f"--license {wanted!r}: a source is under {licence!r}, which allows only "
                f"{list(RELEASABLE[licence])}"
            )
    if wanted is not None:
        return wanted
    allowed = [n for n in RELEASABLE[licences[0]] if all(n in RELEASABLE[x] for x in licences)]
    if not allowed:
        raise ReleaseError(
            f"the sources' licences {licences} cannot be released together; make one data set each"
        )
    return allowed[0]
