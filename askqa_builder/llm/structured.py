"""Replies in the shape of a pydantic model: asking for it, reading it, saying what was wrong.

Three modes, strictest first: `json_schema` (the endpoint decodes by the schema), `json_object`
(it writes some JSON object), `prompt` (it is only asked to). Nothing is mended here: a reply
either is the JSON that was asked for, bare or in a code fence, or it goes back with words.
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

Mode = Literal["json_schema", "json_object", "prompt"]
MODES: tuple[Mode, ...] = ("json_schema", "json_object", "prompt")

SHAPE = """\
Reply with one JSON object and nothing else. It must follow this JSON schema:
{schema}"""
"""Added to the first message in the modes where the endpoint does not know the schema."""

COMPLAINT = """\
Your reply was not accepted:
{words}
Send the whole corrected JSON object and nothing else."""

T = TypeVar("T", bound=BaseModel)

# What OpenAI's strict mode takes (developers.openai.com/api/docs/guides/structured-outputs,
# "Supported schemas"); everything else is left to pydantic, which checks the reply anyway.
_KEPT = frozenset(
    {
        "type", "properties", "required", "additionalProperties", "items", "anyOf", "enum", "const",
        "$ref", "$defs", "description", "title", "pattern", "format", "multipleOf",
        "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "minItems", "maxItems",
    }
)  # fmt: skip

# Errors that a reply decoded by the schema cannot have: the endpoint ignored the schema.
_SHAPE_ERRORS = frozenset(
    {"json_invalid", "missing", "extra_forbidden", "literal_error", "enum", "model_type"}
)


class InvalidReplyError(ValueError):
    """The text is not the object that was asked for; `str()` tells the model why."""

    def __init__(self, words: str, *, shapeless: bool) -> None:
        super().__init__(words)
        self.shapeless = shapeless
        """True where not even the schema was followed; False where only a value is wrong."""


def weaker(mode: Mode) -> Mode | None:
    """Return the next mode to try where an endpoint refuses `mode`; None after the last."""
    at = MODES.index(mode) + 1
    return MODES[at] if at < len(MODES) else None


@cache
def strict_schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    """Return the JSON schema of a model as strict mode wants it.

    Every object is closed and lists all its properties as required (one with a default too: the
    model then writes it out). Raises ValueError for what strict mode cannot say: free-form
    dictionaries and tuples of mixed types.
    """
    schema = _strict(model.model_json_schema(), model.__name__)
    assert isinstance(schema, dict)
    return schema


def response_format(mode: Mode, model: type[BaseModel]) -> dict[str, JsonValue] | None:
    """Return the request's `response_format` in this mode; None: leave it out."""
    if mode == "json_schema":
        return {
            "type": "json_schema",
            "json_schema": {
                "name": model.__name__,
                "strict": True,
                "schema": strict_schema(model),
            },
        }
    return {"type": "json_object"} if mode == "json_object" else None


def with_shape(
    messages: list[dict[str, JsonValue]], mode: Mode, model: type[BaseModel]
) -> list[dict[str, JsonValue]]:
    """Return the messages, with the schema in words where the endpoint does not get it."""
    if mode == "json_schema":
        return messages
    words = SHAPE.format(schema=_compact(strict_schema(model)))
    first = messages[0] if messages else {}
    content = first.get("content")
    if first.get("role") == "system" and isinstance(content, str):
        return [{**first, "content": f"{content}\n\n{words}"}, *messages[1:]]
    return [{"role": "system", "content": words}, *messages]


def parse(text: str, model: type[T]) -> T:
    """Return the object in a reply.

    Raises InvalidReplyError, with words that the model can act on.
    """
    try:
        return model.model_validate_json(_find_object(text))
    except ValidationError as error:
        problems = error.errors(include_url=False, include_context=False)
        lines = [_problem(problem) for problem in problems[:10]]
        if len(problems) > 10:
            lines.append(f"- and {len(problems) - 10} more")
        kinds = {problem["type"] for problem in problems}
        shapeless = any(kind in _SHAPE_ERRORS or kind.endswith("_type") for kind in kinds)
        raise InvalidReplyError("\n".join(lines), shapeless=shapeless) from None


def _find_object(text: str) -> str:
    """Return the outermost JSON object: the whole text, the one in a code fence, or the first.

    What a reasoning model thinks aloud before `</think>` is no part of its reply.
    """
    text = text.rpartition("</think>")[2].strip()
    if not text.startswith(("{", "[")) and "```" in text:
        inside = text.split("```")[1]
        text = inside.removeprefix("json").removeprefix("JSON").strip()
    if text.startswith(("{", "[")) and text.endswith(("}", "]")):
        return text
    start = text.find("{")
    if start < 0:
        raise InvalidReplyError("- the reply holds no JSON object", shapeless=True)
    try:
        _, end = json.JSONDecoder().raw_decode(text, start)
    except (ValueError, RecursionError) as error:
        raise InvalidReplyError(f"- not JSON: {error}", shapeless=True) from None
    return text[start:end]


def _problem(problem: Any) -> str:
    """Say what is wrong and where, without repeating text: the model has it before its eyes, and
    what it copied from elsewhere, such as an order in a passage, must not come back as our words.
    """
    where = ".".join(_plain(part) for part in problem["loc"]) or "the reply"
    given = problem.get("input")
    if problem["type"] in ("missing", "json_invalid") or isinstance(given, str | dict | list):
        return f"- {where}: {problem['msg']}"
    return f"- {where}: {problem['msg']} (got {json.dumps(given)})"


def _plain(part: str | int) -> str:
    """A place in the reply; a field that the model made up may be named like anything."""
    name = str(part)
    return name if isinstance(part, int) or (name.isidentifier() and len(name) < 40) else "a field"


def _strict(node: JsonValue, where: str) -> JsonValue:
    """Rewrite one node of a schema and all below it."""
    if isinstance(node, list):
        return [_strict(item, where) for item in node]
    if not isinstance(node, dict):
        return node
    if "oneOf" in node:
        node = {**node, "anyOf": node["oneOf"]}
    every = node.get("allOf")
    if isinstance(every, list) and len(every) == 1 and isinstance(every[0], dict):
        node = {**node, **every[0]}
    if "$ref" in node:  # strict mode allows nothing beside a reference
        return {"$ref": node["$ref"]}
    if node.get("type") == "object" and not isinstance(node.get("properties"), dict):
        raise ValueError(f"{where}: strict mode has no free-form dictionaries; list the fields")
    if "prefixItems" in node:
        raise ValueError(f"{where}: strict mode has no tuples of mixed types; use an object")
    kept = {name: value for name, value in node.items() if name in _KEPT}
    for holder in ("properties", "$defs"):
        if isinstance(inner := kept.get(holder), dict):
            kept[holder] = {
                name: _strict(value, f"{where}.{name}") for name, value in inner.items()
            }
    for holder in ("items", "anyOf"):
        if holder in kept:
            kept[holder] = _strict(kept[holder], where)
    if isinstance(properties := kept.get("properties"), dict):
        kept["required"] = list(properties)
        kept["additionalProperties"] = False
    return kept


def _compact(value: JsonValue) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
