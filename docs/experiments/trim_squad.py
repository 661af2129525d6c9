"""The first paragraphs of each article of a SQuAD file: a small set with all its topics.

python docs/experiments/trim_squad.py train-v1.1.json small.json [--paragraphs 2]
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

parser = argparse.ArgumentParser()
parser.add_argument("source", type=Path)
parser.add_argument("target", type=Path)
parser.add_argument("--paragraphs", type=int, default=2)
arguments = parser.parse_args()
content = json.loads(arguments.source.read_text())
for article in content["data"]:
    article["paragraphs"] = article["paragraphs"][: arguments.paragraphs]
arguments.target.write_text(json.dumps(content))
