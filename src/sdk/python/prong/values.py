"""Python values and what they are on the wire.

What a kernel returns: `bytes` go as they are (application/octet-stream), `str` as text/plain; all else as JSON. A
media type that the kernel declares comes before these. JSON takes what the json module takes, and besides dataclasses,
enums, arrays, and numpy's numbers and arrays. NaN and infinity are refused: JSON cannot say them.
"""
from __future__ import annotations

import array
import enum
import json
import sys
from typing import Any, Tuple

JSON = "application/json"
BYTES = "application/octet-stream"
TEXT = "text/plain; charset=utf-8"


class NotSendable(TypeError):
    """This value cannot be sent."""


class Json(bytes):
    """JSON text already."""


def _other(value: Any) -> Any:
    """What stands for a value that json does not know."""
    dataclasses = sys.modules.get("dataclasses")  # not loaded: then there are none
    if dataclasses is not None and dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, array.array):
        return value.tolist()
    if type(value).__module__ == "numpy" and hasattr(value, "tolist"):
        return value.tolist()
    raise NotSendable(f"a {type(value).__name__} is not JSON; make it a number, text, list, dict or dataclass")


_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"), default=_other).encode
_encode_nan = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_other).encode
_raw_decode = json.JSONDecoder().raw_decode


def to_json(value: Any, may_be_nan: bool = False) -> bytes:
    """Compact JSON. NotSendable says in one sentence why not."""
    if isinstance(value, Json):
        return value
    if type(value) is int:  # pylint: disable=unidiomatic-typecheck # not bool
        return b"%d" % value
    try:
        return (_encode_nan if may_be_nan else _encode)(value).encode()
    except UnicodeEncodeError:
        raise NotSendable("there is half a surrogate pair in its text, which is no Unicode") from None
    except ValueError as error:
        if "ircular" in str(error):
            raise NotSendable("it contains itself") from None
        raise NotSendable("there is a NaN or an infinite number in it, which JSON cannot say") from None
    except TypeError as error:
        raise NotSendable(str(error)) from None


def from_json(text: Any) -> Any:
    """Of bytes or text; ValueError when it is not JSON."""
    if not isinstance(text, str):
        text = str(text, "utf-8")
    text = text.strip()
    value, end = _raw_decode(text)
    if end != len(text):
        raise ValueError("there is something behind the JSON")
    return value


def is_json(media_type: str) -> bool:
    kind = media_type.partition(";")[0].strip().lower()
    return kind == JSON or kind.endswith("+json")


def encode(value: Any, media_type: str = "") -> Tuple[str, Any]:
    """(media type, bytes) of a kernel's answer; `media_type` is the declared one, "" when there is none."""
    if isinstance(value, (bytes, bytearray, memoryview)) and not isinstance(value, Json):
        return media_type or BYTES, value
    if isinstance(value, str) and not (media_type and is_json(media_type)):
        try:
            return media_type or TEXT, value.encode()
        except UnicodeEncodeError:
            raise NotSendable("there is half a surrogate pair in it, which is no Unicode") from None
    if media_type and not is_json(media_type):
        raise NotSendable(f"a {type(value).__name__} is no {media_type}; return bytes or str")
    return media_type or JSON, to_json(value)


def decode(media_type: str, body: bytes) -> Any:
    """What a client makes of an answer: JSON as its value, text as str, all else as bytes."""
    if is_json(media_type):
        return from_json(body)
    return body.decode("utf-8", "replace") if media_type.startswith("text/") else body
