"""Other engines make the same bytes as this process; what they cannot do is one clear line."""

from __future__ import annotations

import importlib
import json
import os
import pickle
import shutil
import sys
from pathlib import Path

import fake_slurm
import pytest
from pipeline import askqa, one_line, one_line_here, tree
from pydantic import TypeAdapter

from askqa_builder import __version__
from askqa_builder.config import SynthesizeSettings
from askqa_builder.engine import Stage
from askqa_builder.engines import open_engine
from askqa_builder.engines.cluster import check_version
from askqa_builder.engines.local import Local
from askqa_builder.engines.slurm import STAGES, Job, Slurm, work
from askqa_builder.errors import BuildError, MissingExtraError, SettingsError
from askqa_builder.generate import GenerateStage
from askqa_builder.release.parts import ReleaseStage
from askqa_builder.store import Build
from askqa_builder.synthesize import SynthesizeStage

GENERATE = ("generate", "--source", "sample", "--shard-size", "20", "--count", "6", "--out")
SLURM = ("--engine", "slurm", "--workers", "2")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("cluster") / "build"
    askqa(*GENERATE, folder, "-j", "1")
    askqa("synthesize", folder, "-j", "1")
    return folder


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake_slurm.install(tmp_path / "bin")
    monkeypatch.setenv("PATH", f"{tmp_path / 'bin'}:{os.environ['PATH']}")


@pytest.mark.usefixtures("slurm")
def test_a_job_array_makes_the_same_bytes(
    build: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / "mirror"))
    folder = tmp_path / "50% off"  # sbatch reads % in a log's name, and cuts directives at blanks
    askqa(*GENERATE, folder, *SLURM)
    askqa("synthesize", f"file://{folder}", *SLURM)
    assert tree(folder) == tree(build)


@pytest.mark.usefixtures("slurm")
def test_what_a_task_refuses_is_told_by_the_command(build: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(build, tmp_path / "build"))
    damaged = folder / "dialogues" / "00001.jsonl"
    damaged.write_text(damaged.read_text() + "\n")
    assert f"{damaged}: damaged" in one_line("synthesize", folder, *SLURM)
    assert (folder / "speech" / "00000.receipt.json").is_file(), "the rest is kept"


@pytest.mark.usefixtures("slurm")
def test_a_task_that_dies_is_told_with_its_log(build: Path, tmp_path: Path) -> None:
    folder = Path(shutil.copytree(build, tmp_path / "build"))
    shutil.rmtree(folder / "speech")
    script = (tmp_path / "bin" / "sbatch").read_text()
    (tmp_path / "bin" / "sbatch").write_text(script.replace('["bash", script]', '["false"]'))
    line = one_line("synthesize", folder, *SLURM)
    assert "ended with 2 shards to make" in line
    assert ".slurm.tmp" in line


@pytest.mark.usefixtures("slurm")
def test_the_tasks_of_a_killed_command_are_cancelled_before_the_next(tmp_path: Path) -> None:
    said = tmp_path / "said"
    (tmp_path / "bin" / "scancel").write_text(f"#!/bin/bash\ntouch {said}\n")
    job = tmp_path / "b" / ".slurm.tmp" / "job.json"
    job.parent.mkdir(parents=True)
    with Build(tmp_path / "b").locked():
        assert not said.exists(), "no job, nothing to cancel"
        assert not job.parent.exists()
    job.parent.mkdir(parents=True)
    job.write_text("{}")
    with Build(tmp_path / "b").locked():
        assert said.exists(), "whatever the engine"
        assert not job.parent.exists()


def test_a_task_whose_job_was_swept_leaves_nothing_behind(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / ".slurm.tmp"

    def swept(*given: object) -> None:
        shutil.rmtree(folder)
        raise BuildError("its files are gone")

    monkeypatch.setattr(Local, "reports", swept)
    settings = {"cuts": (0, 1)}
    job = Job(
        version=__version__, stage="parts", settings=settings, location="b", shards=1, tasks=1
    )
    folder.mkdir()
    (folder / "job.json").write_text(job.model_dump_json())
    with pytest.raises(BuildError, match="gone"):
        work(folder, 0)
    assert not folder.exists()


def test_where_there_is_no_slurm_or_ray_it_says_so(
    build: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", "")
    assert "no sbatch here" in one_line("synthesize", build, *SLURM)
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(MissingExtraError, match=r"askqa-builder\[cluster\]"):
        list(open_engine("ray").reports(None, None, range(1)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "stage",
    [
        GenerateStage("contrast", 7, 0.25, {3: 0, 4: 11}),
        SynthesizeStage(SynthesizeSettings(user="coqui:x", perturb=("noise=10",), max_wer=0.1)),
        ReleaseStage((0, 2, 3)),
    ],
)
def test_a_stage_travels_in_words(stage: Stage) -> None:
    module, name = STAGES[stage.name]
    kind = getattr(importlib.import_module(module), name)
    words = json.dumps(TypeAdapter(kind).dump_python(stage, mode="json"))
    assert TypeAdapter(kind).validate_python(json.loads(words)) == stage


def test_nodes_have_the_same_version() -> None:
    check_version(__version__)
    with pytest.raises(BuildError, match="has askqa_builder"):
        check_version("0.0.0")


@pytest.mark.parametrize(
    ("name", "workers", "words"),
    [("lsf", None, r"--engine 'lsf': expected one of"), ("ray", 0, "--workers 0")],
)
def test_an_engine_that_cannot_be_is_refused(name: str, workers: int | None, words: str) -> None:
    with pytest.raises(SettingsError, match=words):
        open_engine(name, workers)
    with pytest.raises(SettingsError, match="--gpus is for a cluster"):
        open_engine("local", gpus=1)


@pytest.mark.usefixtures("slurm")
def test_an_endpoint_is_not_asked_by_a_cluster(build: Path) -> None:
    spoken = ("--voices", "openai:tts-1", "--voice", "a", "--voice", "b", "--voice", "c")
    line = one_line_here("synthesize", build, *SLURM, *spoken)
    assert "--engine: an endpoint is asked by one process" in line


def test_what_a_machine_can_bear_holds_for_a_task(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert Local(8).limited(2) == Local(2)
    assert open_engine("ray", 8).limited(1) == open_engine("ray", 8), "a task is one process"
    limited = open_engine("slurm", 8).limited(2)
    assert isinstance(limited, Slurm)
    assert limited.workers == 8
    used: list[int] = []
    monkeypatch.setattr(Local, "reports", lambda self, *_: used.append(self.workers) or iter(()))
    monkeypatch.setenv("SLURM_CPUS_PER_TASK", "4")
    for processes in (None, limited.processes):
        job = Job(
            version=__version__,
            stage="parts",
            settings={"cuts": (0, 1)},
            location=str(tmp_path),
            shards=1,
            tasks=1,
            processes=processes,
        )
        (tmp_path / "job.json").write_text(job.model_dump_json())
        work(tmp_path, 0)
    assert used == [4, 2]


def test_what_a_worker_raises_arrives_whole() -> None:
    error = MissingExtraError("--asr", "asr")
    assert str(pickle.loads(pickle.dumps(error))) == str(error)


def test_a_language_model_is_asked_by_one_process(tmp_path: Path) -> None:
    llm = ("--writer", "llm", "--model", "m", "--count", "1", "--source", "sample")
    line = one_line_here("generate", *llm, "--engine", "ray", "--out", tmp_path / "build")
    assert "--engine ray: a language model is asked by one process" in line
