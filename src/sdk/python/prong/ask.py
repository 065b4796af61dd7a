"""What is asked of a server: requests for computing, and what their answers mean. No sockets."""
from __future__ import annotations

import array
import sys
import urllib.parse
from typing import Any, Dict, Mapping, NamedTuple, Optional, Union

from . import errors, values
from .events import Result
from .http1 import Answer, Request

Input = Union[bytes, bytearray, memoryview, "array.array[float]", str, None]

RAW_TYPES = (bytes, bytearray, memoryview, array.array)


class Options(NamedTuple):
    """How a computation is to be done."""

    timeout: Optional[float] = None  # seconds, may only shorten the server's own
    priority: Optional[str] = None  # high, normal, low
    chunks: Optional[int] = None
    is_fresh: bool = False  # not out of the server's cache
    traceparent: Optional[str] = None

    def but(self, **named: Any) -> "Options":
        """These with what is named (and not None)."""
        return self._replace(**{name: value for name, value in named.items() if value is not None})

    def headers(self) -> Dict[str, str]:
        said = {
            "Prong-Timeout": f"{self.timeout:.3f}" if self.timeout is not None else None,
            "Prong-Priority": self.priority,
            "Prong-Chunks": str(self.chunks) if self.chunks is not None else None,
            "Cache-Control": "no-cache" if self.is_fresh else None,
            "traceparent": self.traceparent,
        }
        return {name: value for name, value in said.items() if value is not None}


def raw(input_: Input) -> "tuple[str, Union[bytes, bytearray, memoryview]]":
    """(media type, bytes) of a raw body. Numbers travel as little-endian float64."""
    if isinstance(input_, str):
        return values.TEXT, input_.encode()
    if isinstance(input_, array.array):
        numbers = array.array("d", input_)
        if sys.byteorder == "big":
            numbers.byteswap()
        return values.BYTES, numbers.tobytes()
    if isinstance(input_, memoryview):
        return values.BYTES, input_.cast("B") if input_.contiguous else input_.tobytes()
    if isinstance(input_, (bytes, bytearray)):
        return values.BYTES, input_
    raise TypeError(f"input must be bytes, text or an array of numbers, not {type(input_).__name__}")


def query(pairs: Mapping[str, Any]) -> str:
    """ "?a=1&b=x", or ""."""
    text = {k: v if isinstance(v, str) else values.to_json(v).decode() for k, v in pairs.items() if v is not None}
    return "?" + urllib.parse.urlencode(text, quote_via=urllib.parse.quote) if text else ""


def path(*parts: str) -> str:
    return "".join("/" + urllib.parse.quote(part, safe="") for part in parts)


def compute(name: str, params: Mapping[str, Any], input_: Input, options: Options, headers: Mapping[str, str]) -> Request:
    """POST /compute/{name}; with raw input the parameters go into the query."""
    said = {**headers, **options.headers()}
    if input_ is None:
        return Request("POST", path("compute", name), {**said, "Content-Type": values.JSON}, values.to_json(dict(params)))
    said["Content-Type"], body = raw(input_)
    return Request("POST", path("compute", name) + query(params), said, body)


def receipt(text: str) -> Dict[str, float]:
    """Prong-Receipt as numbers."""
    pairs = (field.partition("=") for field in text.split(","))
    return {name.strip(): float(value) for name, _, value in pairs if value}


def result(answer: Answer) -> Result:
    """What a computation answered; raises what it says when it is an error."""
    check(answer)
    media_type = answer.headers.get("content-type", values.BYTES)
    value = values.decode(media_type, answer.body)
    return Result(value, receipt(answer.headers.get("prong-receipt", "")), answer.headers.get("prong-job", ""), media_type)


def check(answer: Answer) -> Answer:
    """The answer, if it is a success."""
    if not 200 <= answer.status < 300:
        raise errors.of_answer(*answer)
    return answer
