"""Slurm's commands as far as the engine uses them, on one machine: two tasks at a time.

PATH=folder:$PATH     after `install(folder)`
"""

from __future__ import annotations

import sys
from pathlib import Path

SBATCH = """
import os, re, subprocess, sys
from concurrent.futures import ThreadPoolExecutor

*given, script = sys.argv[1:]
assert given[:2] == ["--wait", "--export=ALL"], sys.argv
options = dict(re.findall(r"^#SBATCH --([a-z-]+)=(.*)$", open(script).read(), re.M))
for value in options.values():
    if " " in value:  # as the real one does where there are no quotes
        sys.exit(f"sbatch: error: Invalid directive found in batch script: {value}")
options |= dict(one[2:].split("=", 1) for one in given[1:])
last = int(options["array"].partition("-")[2])

def task(number):
    log = options["output"].replace("%5a", f"{number:05d}").replace("%%", "%")
    with open(log, "ab") as file:
        environment = os.environ | {"SLURM_ARRAY_TASK_ID": str(number)}
        command = ["bash", script]
        return subprocess.run(command, env=environment, stdout=file, stderr=file).returncode

with ThreadPoolExecutor(2) as pool:
    sys.exit(max(pool.map(task, range(last + 1))))
"""


def install(folder: Path) -> None:
    """Write sbatch, squeue and scancel into a folder."""
    folder.mkdir()
    for name, text in {"sbatch": SBATCH, "squeue": "", "scancel": ""}.items():
        path = folder / name
        path.write_text(f"#!{sys.executable}\n{text}")
        path.chmod(0o755)
