"""The data set's card: README.md with the YAML front matter that `datasets` and the Hub read."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from askqa_builder.config import ReleaseSettings
from askqa_builder.release.rows import CONFIGS, DEFAULT_CONFIG
from askqa_builder.store import write_text

if TYPE_CHECKING:
    from askqa_builder.release.folder import ReleaseManifest


def write_card(folder: Path, manifest: ReleaseManifest, settings: ReleaseSettings) -> None:
    """Write README.md into the release folder."""
    import yaml

    configs = [
        {
            "config_name": config,
            **({"default": True} if config == DEFAULT_CONFIG else {}),
            "data_files": [
                {"split": split, "path": f"{config}/{split}-*.parquet"}
                for split in manifest.rows[config]
            ],
        }
        for config in CONFIGS
    ]
    front = {"license": manifest.license, "language": ["en"], "configs": configs}
    write_text(
        folder / "README.md",
        f"---\n{yaml.safe_dump(front, sort_keys=False, allow_unicode=True)}---\n\n"
        f"# {settings.title}\n",
    )
