"""Split work: pieces, their results on the way, and the answer made of them.

The part for pieces [lo, hi) is a row of records, one for each piece: four bytes of length, one byte that says what it is,
and the piece's result. So parts that are put one behind the other are the part for both.
"""
from __future__ import annotations

import inspect
import struct
import time
from typing import Any, Callable, Dict, Iterator, List, Optional, Tuple

from . import params, values
from .declare import Kernel

_RECORD = struct.Struct("<IB")
_JSON, _BYTES = 0, 1


class Work:
    """The pieces of one request. Made anew in each process that has some of them."""

    def __init__(self, kernel: Kernel, arguments: Dict[str, Any]) -> None:
        assert kernel.split is not None
        self._kernel = kernel
        self._arguments = arguments
        self.pieces = list(kernel.split(**arguments))
        self._besides = _besides(kernel.function, arguments)

    def run(self, call: Callable[..., Any], lo: int, hi: int, told: Callable[[int, int], None]) -> bytes:
        """The part for [lo, hi). `call` calls the function; `told` is told how many are through."""
        if not 0 <= lo <= hi <= len(self.pieces):
            raise params.BadValue(f"There are {len(self.pieces)} pieces, and not [{lo}, {hi}): split must not depend on chance.")
        part: List[bytes] = []
        next_s = 0.0
        for at in range(lo, hi):
            record = self._record(call(self._kernel.function, (self.pieces[at],), self._besides))
            part += record
            now_s = time.monotonic()
            if now_s >= next_s:
                next_s = now_s + 0.02
                told(at + 1 - lo, hi - lo)
        return b"".join(part)

    def finish(self, part: Any) -> Any:
        """The answer, from the part for all."""
        combine = self._kernel.combine
        if combine is None:
            return as_list(part) or list(map(_value, records(part)))
        return combine(list(map(_value, records(part))), **_besides(combine, self._arguments))

    def _record(self, result: Any) -> Tuple[bytes, bytes]:
        if isinstance(result, (bytes, bytearray, memoryview)) and not isinstance(result, values.Json):
            return _RECORD.pack(len(result), _BYTES), bytes(result)
        text = values.to_json(result, may_be_nan=self._kernel.combine is not None)
        return _RECORD.pack(len(text), _JSON), text


def records(part: Any) -> Iterator[Tuple[int, memoryview]]:
    """(kind, bytes) of each."""
    view, at = memoryview(part), 0
    while at < len(view):
        size, kind = _RECORD.unpack_from(view, at)
        at += _RECORD.size
        yield kind, view[at : at + size]
        at += size


def as_list(part: Any) -> Optional[values.Json]:
    """The JSON array of all results, without looking into them; None when some are bytes."""
    texts = []
    for kind, text in records(part):
        if kind != _JSON:
            return None
        texts.append(text)
    return values.Json(b"[" + b",".join(texts) + b"]")


def _value(record: Tuple[int, memoryview]) -> Any:
    kind, data = record
    return bytes(data) if kind == _BYTES else values.from_json(data)


def _besides(function: Callable[..., Any], arguments: Dict[str, Any]) -> Dict[str, Any]:
    """Those of the kernel's parameters that a function has behind its first one. Built-in ones get none: that their
    names are alike, as sum's `start`, would be chance."""
    if not inspect.isfunction(function):
        return {}
    given = list(inspect.signature(function).parameters.values())[1:]
    return {p.name: arguments[p.name] for p in given if p.name in arguments and p.kind is not p.VAR_KEYWORD}
