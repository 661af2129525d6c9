"""The README's commands run, in their order, in an empty folder."""

from __future__ import annotations

import re
import shlex
import shutil
import subprocess
from pathlib import Path

from conftest import ROOT
from pipeline import command

README = (ROOT / "README.md").read_text()


def test_the_commands_of_the_readme_run(tmp_path: Path) -> None:
    shutil.copy(ROOT / "askqa_builder/data/sample.json", tmp_path / "train.json")
    blocks = re.findall(r"```sh\n(.*?)```", README, re.DOTALL)
    lines = [line.split("#")[0].strip() for block in blocks for line in block.splitlines()]
    commands = [line for line in lines if line.startswith("askqa-build ")]
    assert len(commands) >= 4
    for line in ["askqa-build demo", *commands]:
        done = subprocess.run(
            command(*shlex.split(line)[1:]), cwd=tmp_path, capture_output=True, text=True
        )
        assert done.returncode == 0, f"{line}\n{done.stdout}\n{done.stderr}"
    assert (tmp_path / "demo/release/listen.html").is_file()


def test_the_makefile_has_the_commands_of_the_readme() -> None:
    makefile = (ROOT / "Makefile").read_text()
    for target in re.findall(r"^make (\w+)", README, re.MULTILINE):
        assert re.search(rf"^{target}:", makefile, re.MULTILINE), target


def test_every_link_leads_somewhere() -> None:
    for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *(ROOT / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if "://" not in target and page.name != "example-card.md":
                assert (page.parent / target).exists(), f"{page.name}: {target}"
