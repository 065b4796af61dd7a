"""Server-sent events, and what they say of a computation."""
from __future__ import annotations

import base64
import json
from typing import Any, Dict, Iterable, Iterator, NamedTuple

from . import errors, values


class Event(NamedTuple):
    """`progress`: {"done", "total"}; `part`: a value as it lands; `state`: a durable job; `result`: a Result, the last."""

    name: str
    data: Any
    id: str = ""  # a durable job's events can be read on from here


class Result(NamedTuple):
    """An answer and what it cost."""

    value: Any
    receipt: Dict[str, float]  # wait_ms, run_ms, cpu_ms, max_rss_kb, chunks, retries, workers
    job: str
    media_type: str


def read(pieces: Iterable[bytes]) -> Iterator[Event]:
    """The events of a stream as they come, their data as text."""
    unread, name, data, id_ = b"", "message", [], ""
    for piece in pieces:
        lines = (unread + piece).split(b"\n")
        unread = lines.pop()
        for raw in lines:
            field, _, value = raw.rstrip(b"\r").decode("utf-8", "replace").partition(":")
            value = value[1:] if value.startswith(" ") else value
            if field == "event":
                name = value
            elif field == "data":
                data.append(value)
            elif field == "id":
                id_ = value
            elif field == "" and not value and not raw.startswith(b":"):
                if data:
                    yield Event(name, "\n".join(data), id_)
                name, data = "message", []


def understand(event: Event) -> Event:
    """With its data as values; raises what an `error` or `cancelled` says."""
    said = json.loads(event.data)
    if event.name == "error":
        raise errors.of_problem(said)
    if event.name == "cancelled":
        raise errors.JobCancelled("The job was cancelled, so it has no result.", 409, {"job": said.get("id")})
    return event._replace(data=_result(said) if event.name == "result" else said)


def _result(said: Dict[str, Any]) -> Any:
    """A Result; of one that is too large for an event, what the event says."""
    if "result" not in said and "base64" not in said:
        return said
    media_type = said["media_type"]
    value = said["result"] if "result" in said else values.decode(media_type, base64.b64decode(said["base64"]))
    return Result(value, said.get("receipt") or {}, said["job"], media_type)
