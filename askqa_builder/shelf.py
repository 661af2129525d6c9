"""The passages of a build, one by one in any order, without holding them in memory."""

from __future__ import annotations

import hashlib
import json
from array import array
from collections import Counter

from askqa_builder.schema import Passage
from askqa_builder.store import Build


class Shelf:
    """All passages in the order in which they are to be used: one of each group, then the next.

    The order of the groups is drawn by `seed`. Takes some 20 bytes a passage, and their ids.
    """

    def __init__(self, build: Build, seed: int) -> None:
        shards = range(build.complete("passages").shards)
        self._paths = [build.shard_path("passages", shard) for shard in shards]
        keys: list[tuple[int, bytes, int, int, int, str]] = []
        seen: Counter[str] = Counter()
        for shard, path in enumerate(self._paths):
            build.verified("passages", shard)
            offset = 0
            with path.open("rb") as file:
                for line, text in enumerate(file):
                    fields = json.loads(text)
                    id, group = fields["id"], fields["group"]
                    lot = hashlib.blake2b(f"{seed}:{group}".encode(), digest_size=8).digest()
                    keys.append((seen[group], lot, shard, line, offset, id))
                    seen[group] += 1
                    offset += len(text)
        keys.sort()
        self._shards = array("I", (key[2] for key in keys))
        self._lines = array("I", (key[3] for key in keys))
        self._offsets = array("Q", (key[4] for key in keys))
        self.ids = [key[5] for key in keys]

    def __len__(self) -> int:
        return len(self._shards)

    def where(self, place: int) -> tuple[int, int]:
        """Return shard and line of the passage at a place in the order."""
        return self._shards[place], self._lines[place]

    def passage(self, place: int) -> Passage:
        with self._paths[self._shards[place]].open("rb") as file:
            file.seek(self._offsets[place])
            return Passage.model_validate_json(file.readline())
