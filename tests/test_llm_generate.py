"""Exactly N verified dialogues from a model: balanced, resumable, accounted for to the last one."""

from __future__ import annotations

import functools
import json
import random
import signal
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from forked import command, whole
from openai_server import (
    Act,
    Call,
    OpenAIServer,
    cut,
    fail,
    garble,
    hang,
    html,
    refuse,
    say,
    trickle,
)
from pipeline import askqa, tree
from scripted_models import good_model, good_reply, material, prompt_of, schema_of, write_stories

from askqa_builder import cli, llm_session
from askqa_builder.config import GenerateSettings, LlmSettings
from askqa_builder.errors import BudgetError, EndpointError
from askqa_builder.estimate import estimate
from askqa_builder.files import read_records
from askqa_builder.generate import ingest
from askqa_builder.generate_llm import Result, generate
from askqa_builder.llm.batch import BatchEndpoint
from askqa_builder.llm.cache import ReplyCache
from askqa_builder.llm.endpoint import Limits
from askqa_builder.remote import open_build
from askqa_builder.schema import AMBIGUITY_KINDS, Dialogue, Passage, Reject
from askqa_builder.store import Build

PRICES = '["*"]\n"m" = { input = 1.0, output = 10.0 }\n'


def make(
    server: OpenAIServer, folder: Path | str, source: str, count: int, **llm: Any
) -> tuple[Result, Build]:
    """Run the stage in this process."""
    settings = GenerateSettings(sources=(source,), writer="llm", count=count, shard_size=7)
    options = {"model": "m", "base_url": server.base_url, "verify": 2, "concurrency": 30}
    build = open_build(folder)
    with build.locked():
        ingest(build, settings, lambda count: None)
        return generate(build, settings, LlmSettings.model_validate(options | llm)), build


def dialogues(folder: Path) -> list[Dialogue]:
    return [
        d for p in sorted((folder / "dialogues").glob("*.jsonl")) for d in read_records(p, Dialogue)
    ]


def rejects(folder: Path) -> list[Reject]:
    files = sorted((folder / "rejects").glob("dialogues-*.jsonl"))
    return [reject for path in files for reject in read_records(path, Reject)]


def outcome(folder: Path) -> dict[str, str]:
    """Everything that a build holds but the request cache, by content."""
    return {name: digest for name, digest in tree(folder).items() if not name.startswith("cache/")}


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> str:
    return write_stories(tmp_path_factory.mktemp("stories") / "stories.json", 40, groups=10)


# -- exactly N, balanced -------------------------------------------------------------------------


def test_exactly_n_come_out_balanced(source: str, tmp_path: Path) -> None:
    with OpenAIServer(good_model) as server:
        result, _ = make(server, tmp_path, source, 48)
    made = dialogues(tmp_path)
    assert len(made) == result.manifest.counts["accepted"] == 48
    assert result.stopped is None
    kinds = Counter(dialogue.ambiguity_kind for dialogue in made)
    assert kinds == dict.fromkeys(AMBIGUITY_KINDS, 4) | {None: 24}
    passages = Counter(dialogue.passage_id for dialogue in made)
    assert max(passages.values()) <= 3
    groups = Counter(dialogue.group for dialogue in made)
    assert len(groups) == 10
    assert max(groups.values()) <= 9
    assert {dialogue.intended for dialogue in made if dialogue.ambiguous} == {0, 1}


def test_what_is_rejected_is_refilled(source: str, tmp_path: Path) -> None:
    def script(call: Call) -> Act:
        reply = good_reply(call)
        if schema_of(call) == "ClearDialogue" and int(call.digest, 16) % 3 == 0:
            return refuse("no")
        if schema_of(call) == "AmbiguousPlan" and int(call.digest, 16) % 3 == 0:
            reply["ideas"] = []
        return say(reply)

    with OpenAIServer(script) as server:
        result, _ = make(server, tmp_path, source, 48, verify=0)
    counts = result.manifest.counts
    assert counts["accepted"] == len(dialogues(tmp_path)) == 48
    assert counts["ambiguous"] == 24
    assert counts["rejected"] == len(rejects(tmp_path)) >= 8
    assert counts["candidates"] == 48 + counts["rejected"]
    assert {r.reason for r in rejects(tmp_path)} == {"reply_refused", "no_such_question"}


def test_a_kind_that_no_passage_has_is_made_up_for_by_the_others(
    source: str, tmp_path: Path
) -> None:
    def script(call: Call) -> Act:
        reply = good_reply(call)
        timed = "\ntime: " in prompt_of(call)
        return say({"ideas": []} if schema_of(call) == "AmbiguousPlan" and timed else reply)

    with OpenAIServer(script) as server:
        result, _ = make(server, tmp_path, source, 36, verify=0)
    kinds = Counter(dialogue.ambiguity_kind for dialogue in dialogues(tmp_path))
    assert result.stopped is None
    assert kinds["time"] == 0
    assert kinds[None] == 18
    assert sorted(kinds[kind] for kind in AMBIGUITY_KINDS) == [0, 3, 3, 4, 4, 4]


def test_candidates_that_end_first_are_told_and_what_came_is_kept(
    source: str, tmp_path: Path
) -> None:
    with OpenAIServer(
        lambda c: refuse("no") if "Clear" in schema_of(c) else good_model(c)
    ) as server:
        result, build = make(server, tmp_path, source, 20, verify=0, candidates=30)
    assert isinstance(result.stopped, BudgetError)
    assert "10 of 20 dialogues were accepted from 30 candidates" in str(result.stopped)
    counts = result.manifest.counts
    assert (counts["accepted"], counts["rejected"]) == (10, 20)
    assert len(dialogues(tmp_path)) == 10
    assert len(rejects(tmp_path)) == 20
    assert build.complete("dialogues") == result.manifest


def test_near_duplicates_are_rejected(tmp_path: Path) -> None:
    def script(call: Call) -> Act:
        reply = good_reply(call)
        if schema_of(call) == "ClearPlan":  # the same question again and again
            reply["ideas"] = reply["ideas"][:1] * 3
        return say(reply)

    source = write_stories(tmp_path / "one.json", 1)
    with OpenAIServer(script) as server:
        result, _ = make(server, tmp_path / "build", source, 4, verify=0)
    found = [reject for reject in rejects(tmp_path / "build") if reject.reason == "near_duplicate"]
    assert found
    assert all("% the same as 'squad-story-0" in reject.detail for reject in found)
    clear = [dialogue for dialogue in dialogues(tmp_path / "build") if not dialogue.ambiguous]
    assert len({dialogue.turns[-2].text for dialogue in clear}) == len(clear)
    assert result.manifest.counts["accepted"] == len(dialogues(tmp_path / "build"))


# -- provenance and secrets ----------------------------------------------------------------------


def test_each_dialogue_says_how_it_was_made_and_what_it_cost(source: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    with OpenAIServer(good_model) as server:
        result, _ = make(
            server,
            tmp_path / "build",
            source,
            8,
            prices=str(prices),
            params={"temperature": 0.5},
            verify_model="m",
        )
        port = server.port
    for dialogue in dialogues(tmp_path / "build"):
        details: dict[str, Any] = dict(dialogue.provenance.details)
        assert details["model"] == "m"
        assert details["endpoint"] == f"127.0.0.1:{port}"
        assert details["parameters"] == {"max_tokens": 4096, "temperature": 0.5}
        assert (details["seed"], details["sample"]) == (0, 0)
        kind = "ambiguous" if dialogue.ambiguous else "clear"
        assert {f"plan-{kind}", f"write-{kind}", "solve"} <= details["prompts"].keys()
        solved = 2 + 2 * len(dialogue.readings) if dialogue.ambiguous else 2
        assert details["attempts"] == 2 + solved
        assert details["tokens"] == {"input": 50 * (2 + solved), "output": 30 * (2 + solved)}
        assert details["cost_usd"] == pytest.approx((50 + 300) * (2 + solved) / 1e6)
        assert len(details["verification"]["question"]) == 2
        if dialogue.ambiguous:
            assert dialogue.turns[-2].text == details["clarifications"][dialogue.intended]
    counts = result.manifest.counts
    with ReplyCache(tmp_path / "build" / "cache" / "llm.sqlite") as cache:
        assert counts["microdollars"] == round(cache.spent_usd() * 1e6)
        assert counts["replies"] == cache.read("SELECT count(*) FROM replies")[0][0]


def test_the_key_is_sent_and_lies_in_no_file(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    key = "sk-test-3141592653589793"
    monkeypatch.setenv("OPENAI_API_KEY", key)

    def script(call: Call) -> Act:
        if call.number % 7 == 0:
            return fail(400, f"the key {key} may not do that")
        return good_model(call)

    with OpenAIServer(script) as server:
        make(server, tmp_path / "build", source, 12, verify=0)
        assert all(call.headers["Authorization"] == f"Bearer {key}" for call in server.calls)
    assert any("***" in r.detail for r in rejects(tmp_path / "build"))
    for path in (tmp_path / "build").rglob("*"):
        assert path.is_dir() or key.encode() not in path.read_bytes(), path


# -- never paid twice ----------------------------------------------------------------------------


def test_the_outcome_does_not_depend_on_how_many_are_in_flight(source: str, tmp_path: Path) -> None:
    chance = random.Random(0)

    def script(call: Call) -> Act:
        if schema_of(call) == "ClearDialogue" and int(call.digest, 16) % 4 == 0:
            return refuse("no")
        time.sleep(0.002 * chance.random())
        return good_model(call)

    with OpenAIServer(script) as server:
        for concurrency in (1, 40):
            make(server, tmp_path / str(concurrency), source, 16, concurrency=concurrency)
    one, many = outcome(tmp_path / "1"), outcome(tmp_path / "40")
    assert one == many


def test_a_second_run_is_free_and_a_larger_count_pays_only_for_more(
    source: str, tmp_path: Path
) -> None:
    with OpenAIServer(good_model) as server:
        make(server, tmp_path / "build", source, 14)
        paid, before = server.paid, outcome(tmp_path / "build")
        make(server, tmp_path / "build", source, 14)
        assert server.paid == paid
        assert outcome(tmp_path / "build") == before
        small = {dialogue.id for dialogue in dialogues(tmp_path / "build")}
        make(server, tmp_path / "build", source, 28)
        assert max(server.paid_calls.values()) == 2, "two solvers get the same question"
        assert small < {dialogue.id for dialogue in dialogues(tmp_path / "build")}
        paid = server.paid
        make(server, tmp_path / "fresh", source, 28)
        assert server.paid == 2 * paid
        assert outcome(tmp_path / "fresh") == outcome(tmp_path / "build")


def test_at_a_url_any_machine_goes_on_and_pays_only_for_more(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    url = f"file://{tmp_path / 'there'}"
    with OpenAIServer(good_model) as server:
        make(server, tmp_path / "here", source, 6, verify=0)
        whole = server.paid
        for count, machine in ((3, "one"), (6, "two"), (6, "three")):
            monkeypatch.setenv("ASKQA_MIRROR", str(tmp_path / machine))
            make(server, url, source, count, verify=0)
        assert server.paid == 2 * whole
    assert outcome(tmp_path / "there") == outcome(tmp_path / "here")


def test_a_changed_passage_pays_only_for_itself(tmp_path: Path) -> None:
    path = tmp_path / "stories.json"
    source = write_stories(path, 20)
    with OpenAIServer(good_model) as server:
        make(server, tmp_path / "build", source, 14, verify=1)
        used = {dialogue.passage for dialogue in dialogues(tmp_path / "build")}
        paid = len(server.calls)
        data = json.loads(path.read_text())
        changed = next(
            paragraph
            for article in data["data"]
            for paragraph in article["paragraphs"]
            if paragraph["context"] in used
        )
        changed["context"] = changed["context"].replace("The", "And the", 1)
        path.write_text(json.dumps(data))
        make(server, tmp_path / "build", source, 14, verify=1)
        about = {material(prompt_of(call), "passage") for call in server.calls[paid:]}
    # Its id is new with its text, and so is its place among the kinds: at most one other moves up.
    assert len(about) <= 2
    assert 0 < len(server.calls) - paid <= 2 * 6


def test_a_changed_prompt_pays_only_for_what_follows_from_it(source: str, tmp_path: Path) -> None:
    with OpenAIServer(good_model) as server:
        make(server, tmp_path / "build", source, 14)
        before, paid = dialogues(tmp_path / "build"), len(server.calls)
        own = tmp_path / "prompts"
        own.mkdir()
        text = (Path(__file__).parent.parent / "prompts" / "solve-clarified.md").read_text()
        (own / "solve-clarified.md").write_text(
            text.replace("The user has said", "Now the user said")
        )
        script = server.script
        server.script = lambda call: script(call)
        make(server, tmp_path / "build", source, 14, prompts=str(own))
        asked = [prompt_of(call) for call in server.calls[paid:]]
        assert len(asked) == 7 * 2 * 2, "7 ambiguous dialogues, 2 readings, 2 solvers"
        assert all("Now the user said" in prompt for prompt in asked)
    after = dialogues(tmp_path / "build")
    assert [d.turns for d in after] == [d.turns for d in before]
    assert after != before, "the prompt's hash is in the provenance"


def test_killed_runs_give_the_same_bytes_and_pay_again_only_what_was_in_flight(
    source: str, tmp_path: Path
) -> None:
    in_flight, chance = 8, random.Random(1)
    options = ["--writer", "llm", "--model", "m", "--count", "30", "--source", source]
    options += ["--concurrency", str(in_flight), "--shard-size", "7", "--quiet"]
    with OpenAIServer(good_model, latency_s=0.02) as server:
        options += ["--base-url", server.base_url]
        whole(command("generate", "--out", tmp_path / "calm", *options))
        calm = server.paid
        server.paid_calls.clear()
        kills = 0
        for target in sorted(chance.sample(range(20, calm - 30), 2)):
            process = command("generate", "--out", tmp_path / "killed", *options)
            while server.paid < target + kills * in_flight and process.is_alive():
                time.sleep(0.003)
            process.kill()
            process.join()
            kills += process.exitcode == -signal.SIGKILL
        assert kills == 2
        whole(command("generate", "--out", tmp_path / "killed", *options))
        assert server.paid - calm <= kills * in_flight
    assert outcome(tmp_path / "killed") == outcome(tmp_path / "calm")


# -- money ---------------------------------------------------------------------------------------


def test_dollars_that_end_first_stop_the_run_with_an_account(source: str, tmp_path: Path) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    out = tmp_path / "build"
    with OpenAIServer(good_model) as server:
        options = ["--writer", "llm", "--model", "m", "--base-url", server.base_url]
        options += ["--prices", prices, "--max-tokens", "100", "--source", source]
        options += ["--shard-size", "7", "--out", out, "--count", "40", "--budget-usd", "0.04"]
        done = askqa("generate", *options, code=1)
        assert server.paid * 350e-6 <= 0.04
        error = done.stderr.strip()
        assert error.startswith("askqa-build: budget of $0.04 reached")
        assert len(error.splitlines()) == 1
        assert "accepted" in done.stdout
        made, ledger = dialogues(out), rejects(out)
        assert 0 < len(made) < 40
        assert {reject.reason for reject in ledger} == {"unfinished"}
        counts = json.loads((out / "dialogues/manifest.json").read_text())["counts"]
        assert counts["candidates"] == len(made) + len(ledger)
        # With less left than a call may cost, a rerun makes no more, and what is there stays.
        kept = outcome(out)
        money: dict[str, Any] = {"prices": str(prices), "max_tokens": 100, "concurrency": 100}
        with pytest.raises(BudgetError, match=r"budget of \$0.04 reached"):
            make(server, out, source, 40, budget_usd=0.04, **money)
        assert outcome(out) == kept
        askqa("generate", "--out", out, "--budget-usd", "1")
        assert len(dialogues(out)) == 40
        assert max(server.paid_calls.values()) <= 2, "two solvers get the same question"


def test_an_estimate_tells_the_cost_and_its_preview_is_not_paid_again(
    source: str, tmp_path: Path
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    out = tmp_path / "build"
    with OpenAIServer(good_model, latency_s=0.01) as server:
        options = ["--source", source, "--model", "m", "--base-url", server.base_url]
        options += ["--prices", prices, "--count", "60"]
        told = json.loads(askqa("estimate", "--out", out, *options, "--json").stdout)
        preview = server.paid
        assert told["preview_candidates"] == told["preview_accepted"] == 20
        assert told["preview_usd"] == pytest.approx(preview * 350e-6)
        assert told["seconds"]["value"] > 0
        candidates = told["candidates"]
        assert candidates["value"] == candidates["low"] == 60, "all of the preview were accepted"
        assert 70 < candidates["high"] < 73, "but twenty prove no more than 84 of a hundred"
        llm = LlmSettings(model="m", base_url=server.base_url, prices=str(prices))
        settings = GenerateSettings(sources=(source,), writer="llm", count=60)
        again = estimate(Build(out), settings, llm)
        assert {**again.model_dump(mode="json"), "seconds": 0} == {**told, "seconds": 0}
        assert again.seconds.value == pytest.approx(told["seconds"]["value"], abs=0.01)
        assert server.paid == preview, "the same preview again is free"
        assert "60 dialogues, by a preview of 20 (20 accepted)" in again.text()
        assert "95 %" in again.text()
        halved = estimate(Build(out), settings, llm.model_copy(update={"batch": True}))
        assert halved.usd.value == pytest.approx(told["usd"]["value"] / 2)
        make(server, out, source, 60, prices=str(prices))
        assert told["calls"]["low"] * 0.95 <= server.paid <= told["calls"]["high"] * 1.05
        assert told["usd"]["low"] * 0.95 <= server.paid * 350e-6 <= told["usd"]["high"] * 1.05
        assert max(server.paid_calls.values()) <= 2


def test_estimates_without_a_price_say_so(source: str, tmp_path: Path) -> None:
    with OpenAIServer(good_model) as server:
        make(server, tmp_path, source, 7, verify=0)
        llm = LlmSettings(model="m", base_url=server.base_url, verify=0)
        told = estimate(Build(tmp_path), GenerateSettings(writer="llm", count=7), llm)
    assert told.usd.value is None
    assert told.calls.value == 14
    assert "dollars     unknown" in told.text()
    assert "--prices" in told.text()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (["--count", "3"], "--model"),
        (["--model", "m"], "--count"),
        (["--model", "m", "--count", "3", "--base-url", "nonsense"], "nonsense"),
        (["--model", "m", "--count", "3", "--param", "temperature"], "NAME=VALUE"),
        (["--model", "m", "--count", "3", "--param", "stop=null"], "--param stop holds null"),
        (["--model", "m", "--count", "3", "--param", 'stop=["a",null]'], "stop holds null"),
        (["--model", "m", "--count", "3", "--param", "max_tokens=50000"], "give --max-tokens"),
        (["--model", "m", "--count", "3", "--param", "n=5"], "--param n cannot be set"),
        (["--model", "m", "--count", "3", "--verify", "-1"], "--verify"),
        (["--model", "m", "--count", "3", "--prompts", "/nowhere"], "/nowhere"),
        (["--model", "m", "--count", "3", "--base-url", "http://127.0.0.1:9/v1"], "127.0.0.1:9"),
    ],
)
def test_what_cannot_work_is_told_in_one_line(
    source: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    options: list[str],
    words: str,
) -> None:
    base = [] if "--base-url" in options else ["--base-url", "http://127.0.0.1:9/v1"]
    options = ["--source", source, "--out", str(tmp_path / "b"), "--quiet", *options, *base]
    monkeypatch.setattr("sys.argv", ["askqa-build", "generate", "--writer", "llm", *options])
    with pytest.raises(SystemExit) as ended:
        cli.main()
    told = capsys.readouterr()
    assert (ended.value.code, told.out, told.err.count("\n")) == (1, "", 1)
    assert words in told.err


# -- batches -------------------------------------------------------------------------------------


def test_a_batch_run_makes_the_same_dialogues_for_half_the_price(
    source: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = tmp_path / "prices.toml"
    prices.write_text(PRICES)
    monkeypatch.setattr(
        llm_session, "BatchEndpoint", functools.partial(BatchEndpoint, quiet_s=0.1, poll_s=0.02)
    )
    with OpenAIServer(good_model) as server:
        batched, _ = make(
            server, tmp_path / "batch", source, 14, verify=1, batch=True, prices=str(prices)
        )
        assert len(server.batches) >= 3
        lines = sum(call.batch for call in server.calls)
        assert lines > 0.8 * len(server.calls)
        called, _ = make(server, tmp_path / "calls", source, 14, verify=1, prices=str(prices))
    assert [d.turns for d in dialogues(tmp_path / "batch")] == [
        d.turns for d in dialogues(tmp_path / "calls")
    ]
    half, whole = (m.manifest.counts["microdollars"] for m in (batched, called))
    assert 0.5 * whole <= half < 0.65 * whole


# -- a server that fails in every way ------------------------------------------------------------


FAULTS: dict[str, Callable[[Call], Act]] = {
    "429 with Retry-After": lambda call: fail(429, retry_after="0.05"),
    "500": lambda call: fail(500),
    "503": lambda call: fail(503, retry_after="0"),
    "hang": lambda call: hang(),
    "cut mid-body": lambda call: cut(good_reply(call)),
    "malformed JSON": lambda call: garble(),
    "wrong content type": lambda call: html(),
    "slow trickle": lambda call: trickle(good_reply(call), 0.05),
    "broken text": lambda call: say('{"answers": ["never closed'),
    "schema-breaking JSON": lambda call: say({"poem": "roses are red"}),
    "truncated by length": lambda call: say('{"ideas": [{"qu', finish_reason="length"),
    "refusal": lambda call: refuse("I would rather not."),
    "empty": lambda call: say(None),
    "400": lambda call: fail(400, "context length exceeded"),
}


def test_a_thousand_passages_through_every_fault_are_all_accounted_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A seventh of all requests fails in one of the ways, nearly half of those again and again."""
    hasty = functools.partial(Limits, attempts=3, backoff_base_s=0.05)
    monkeypatch.setattr(llm_session, "Limits", hasty)
    source = write_stories(tmp_path / "stories.json", 1000)
    slow = ["hang", "slow trickle"]
    names = [name for name in FAULTS if name not in slow] * 5 + slow  # each lasts to the timeout
    injected: Counter[str] = Counter()
    seen: Counter[str] = Counter()

    def script(call: Call) -> Act:
        number = int(call.digest[:12], 16)
        again, seen[call.digest] = seen[call.digest], seen[call.digest] + 1
        name = names[number // 7 % len(names)]
        lasting = number // 7 // len(names) % 2 and name != "429 with Retry-After"
        if number % 7 or (again and not lasting):
            return good_model(call)
        injected[name] += 1
        return FAULTS[name](call)

    with OpenAIServer(script) as server:
        settings = GenerateSettings(sources=(source,), writer="llm", count=1000)
        llm = LlmSettings(
            model="m",
            base_url=server.base_url,
            verify=0,
            candidates=1000,
            concurrency=200,
            timeout_s=0.5,
        )
        build = Build(tmp_path / "build")
        with build.locked():
            ingest(build, settings, lambda count: None)
            result = generate(build, settings, llm)
    assert set(injected) == set(FAULTS), "every fault was met"
    made, ledger = dialogues(build.root), rejects(build.root)
    assert len(made) + len(ledger) == 1000 == result.manifest.counts["candidates"]
    assert 700 < len(made) < 950
    ids = [item.id for item in (*made, *ledger)]
    assert len(set(ids)) == 1000
    assert all(reject.reason and reject.detail and reject.raw for reject in ledger)
    reasons = Counter(reject.reason for reject in ledger)
    assert {"request_failed", "reply_truncated", "reply_refused", "reply_empty"} <= set(reasons)
    assert "unfinished" not in reasons
    told = " ".join(r.detail for r in ledger if r.reason == "request_failed")
    assert all(word in told for word in ("timeout", "connection", "garbled", "500", "400"))
    passages = {
        p.id for f in (build.root / "passages").glob("*.jsonl") for p in read_records(f, Passage)
    }
    assert len(passages) == 1000
    tried = {id.rpartition("-llm-")[0] for id in ids}
    assert tried <= passages
    assert len(tried) > 950, "almost every passage has its turn before one has a second"


def test_an_endpoint_that_dies_leaves_a_build_that_goes_on(source: str, tmp_path: Path) -> None:
    with OpenAIServer(lambda c: good_model(c) if c.number < 25 else fail(401, "expired")) as server:
        result, _ = make(server, tmp_path / "b", source, 20, verify=0)
        assert isinstance(result.stopped, EndpointError)
        assert "OPENAI_API_KEY" in str(result.stopped)
        assert 0 < result.manifest.counts["accepted"] < 20
        server.script = good_model
        result, _ = make(server, tmp_path / "b", source, 20, verify=0)
        assert result.stopped is None
        assert max(server.paid_calls.values()) == 1


# -- people's corrections -------------------------------------------------------------------------


def test_what_a_reviewer_refuses_is_refilled_and_what_is_corrected_stays(
    source: str, tmp_path: Path
) -> None:
    build = tmp_path / "build"
    with OpenAIServer(good_model) as server:
        make(server, build, source, 14)
        first, second, *rest = dialogues(build)
        asked = second.model_dump(mode="json")["turns"]
        asked[-2]["text"] = "Well, " + asked[-2]["text"][0].lower() + asked[-2]["text"][1:]
        lines = [{"id": first.id, "reject": "dull"}, {"id": second.id, "turns": asked}]
        (build / "corrections.jsonl").write_text("\n".join(map(json.dumps, lines)) + "\n")
        paid = len(server.calls)
        result, _ = make(server, build, source, 14)
        repairs = [call for call in server.calls if "A check refused it" in prompt_of(call)]
    assert not repairs, "a reviewer's word is final"
    assert len(server.calls) - paid <= 10, "one dialogue more"
    made = {dialogue.id: dialogue for dialogue in dialogues(build)}
    assert len(made) == result.manifest.counts["accepted"] == 14
    assert first.id not in made
    assert [reject.reason for reject in rejects(build)] == ["rejected_by_reviewer"]
    assert made[second.id].turns[-2].text.startswith("Well, ")
    assert made[second.id].provenance.details["corrected"] is True
    assert all(made[dialogue.id] == dialogue for dialogue in rest)


def test_the_commands_of_the_pipeline_take_it_from_there(source: str, tmp_path: Path) -> None:
    with OpenAIServer(good_model) as server:
        make(server, tmp_path / "build", source, 2, verify=0)
    assert "2" in askqa("check", tmp_path / "build").stdout
    askqa("synthesize", tmp_path / "build", "--quiet", "--workers", "1")
    askqa("release", tmp_path / "build", "--version", "0.1.0", "--quiet", "--workers", "1")
