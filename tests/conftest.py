"""What every test shares."""

from __future__ import annotations

import atexit
import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

# one thread: with another process busy, torch with two is many times slower
os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("GOMP_SPINCOUNT", "0")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")

# `datasets` keeps what it opens: not in the cache of whoever runs the tests
_CACHE = tempfile.mkdtemp(prefix="askqa-tests-")
atexit.register(shutil.rmtree, _CACHE, ignore_errors=True)
os.environ["HF_DATASETS_CACHE"] = _CACHE

ROOT = Path(__file__).parent.parent
SHARED_DATA = ROOT.parent / "shared" / "data"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-goldens", action="store_true", help="rewrite files under docs/")


def pytest_ignore_collect(collection_path: Path, config: pytest.Config) -> bool | None:
    """The torture takes minutes: it is run where it is asked for by name (`make torture`)."""
    asked = any("torture" in argument for argument in config.args)
    return True if collection_path.name == "torture" and not asked else None


_LONG = (
    "test_life",
    "test_readme",
    "test_pipeline",
    "test_llm_generate",
    "test_train",
    "test_train_again",
)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Start the longest files first: with two processes, none is left to one of them at the end."""
    items.sort(key=lambda item: item.path.stem not in _LONG)


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real data that is not part of the repository."""
    if not SHARED_DATA.is_dir():
        pytest.skip("needs real data in ../shared/data, which is not here")
    return SHARED_DATA


@pytest.fixture
def mirror(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where this machine's copies of builds at URLs go."""
    monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / "mirror"))
    return tmp_path / "mirror"


@pytest.fixture
def store() -> Iterator[Any]:
    """A store in memory, empty: `memory://`."""
    import fsspec

    memory = fsspec.filesystem("memory")
    memory.store.clear()
    yield memory
    memory.store.clear()


@pytest.fixture
def golden(request: pytest.FixtureRequest) -> object:
    """Compare text with a checked-in file; `pytest --update-goldens` rewrites the file."""

    def compare(path: Path, text: str) -> None:
        if request.config.getoption("--update-goldens"):
            path.write_text(text)
        assert path.is_file(), f"{path.name} is missing: run pytest --update-goldens"
        assert path.read_text() == text, f"{path.name} is out of date: run pytest --update-goldens"

    return compare
