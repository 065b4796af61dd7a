"""Executor.map: many calls in a request, a few requests under way, results in order."""
from __future__ import annotations

import base64
import collections
import concurrent.futures
import itertools
import threading
import time
from typing import Any, Deque, Iterator, List, Optional, Tuple

from . import ask, errors, values
from .executor import Future, Sender, Target, name_of
from .http1 import Answer
from .many import SUFFIX

_IN_FLIGHT_MAX = 3  # each is spread over all workers; so many, that these need not wait for us
_TARGET_S = 0.25  # what one should take
_SIZE_MAX = 4096
_GROWTH_MAX = 4.0
_FINAL = (errors.Unreachable, errors.Forbidden, errors.Unavailable, errors.NoRoom)  # sent one by one it would be no better


class _Chunk:
    """Some calls, in one request or, after that has failed, in one each."""

    def __init__(self, calls: List[Tuple[Any, ...]]) -> None:
        self.calls = calls
        self.outcomes: List[Any] = []  # of each {"ok": …}, …, or a future; when is_done
        self.error: Optional[Exception] = None  # of all of them
        self.is_done = threading.Event()
        self.futures: List[Future] = []
        self.left = 0  # futures that are not done
        self.abort: Any = lambda: None


class Run:
    """One call of map. Whoever takes results and the loop's thread meet here.

    Two locks, in this order: `_reading` is held while calls are read and sent, so that they stay in order; `_changed` for
    moments. With a buffersize the calls come out of the user's own code, and only who takes results reads them.
    """

    def __init__(self, sender: Sender, fn: Target, calls: Iterator[Tuple[Any, ...]], chunksize: Optional[int],
                 buffersize: Optional[int]) -> None:
        self._sender = sender
        self._fn = fn
        self._name = name_of(fn)
        self._is_lazy = buffersize is not None
        self._calls = calls if self._is_lazy else iter(list(calls))
        self._buffersize = buffersize
        self._is_fixed = chunksize is not None
        self._is_single = False  # there is no helper for many at once
        self._reading = threading.RLock()
        self._is_reading = False  # and what fails at once must not read, too
        self._changed = threading.Condition()
        self._size = float(chunksize or sender.lines_max)
        self._chunks: Deque[_Chunk] = collections.deque()  # in order, from the first that has not been taken
        self._in_flight = 0
        self._ahead = 0  # calls that have been read and not been taken
        self._is_over = False  # nothing more is to be read
        if isinstance(fn, str):  # read here, since later the loop's thread would have to wait for it
            self._is_single = self._name + SUFFIX not in sender.read_catalogue()
        self._top_up()

    def results(self, until_s: Optional[float]) -> Iterator[Any]:
        try:
            while True:
                chunk = self._first(until_s)
                if chunk is None:
                    return
                for at in range(len(chunk.calls)):
                    value = self._result(chunk, at, until_s)
                    with self._changed:
                        self._ahead -= 1
                        if at + 1 == len(chunk.calls):
                            self._chunks.popleft()
                    if self._is_lazy:
                        self._top_up()
                    yield value
        finally:
            self.stop()

    def stop(self) -> None:
        """What has not been taken is of no interest any more."""
        with self._changed:
            self._is_over = True
            chunks = list(self._chunks)
        for chunk in chunks:
            chunk.abort()
            for future in chunk.futures:
                future.cancel()

    def _first(self, until_s: Optional[float]) -> Optional[_Chunk]:
        """The chunk whose results come next; None at the end."""
        while True:
            self._top_up()
            with self._changed:
                if self._chunks:
                    return self._chunks[0]
                if self._is_over:
                    return None
                if self._room() == 0 and not self._changed.wait(_left_s(until_s)):  # until one has landed
                    raise concurrent.futures.TimeoutError()

    def _result(self, chunk: _Chunk, at: int, until_s: Optional[float]) -> Any:
        if not chunk.is_done.wait(_left_s(until_s)):
            raise concurrent.futures.TimeoutError()
        if chunk.error is not None:
            raise chunk.error
        outcome = chunk.outcomes[at]
        chunk.outcomes[at] = None  # it may be large
        return outcome.result(_left_s(until_s)) if isinstance(outcome, Future) else _value(outcome)

    # ---- sending ----

    def _room(self) -> int:
        """How many calls may be read now, for one chunk."""
        with self._changed:
            if self._is_over or self._in_flight >= min(_IN_FLIGHT_MAX, self._sender.lines_max):
                return 0
            if self._buffersize is None:
                return int(self._size)
            return min(int(self._size), self._buffersize - self._ahead)

    def _top_up(self) -> None:
        """Sends more, as long as few are under way and there is something to send."""
        with self._reading:
            if self._is_reading:
                return
            self._is_reading = True
            try:
                while True:
                    size = self._room()
                    calls = list(itertools.islice(self._calls, size))
                    if not calls:
                        self._is_over = self._is_over or size > 0
                        return
                    self._begin(_Chunk(calls))
            finally:
                self._is_reading = False

    def _begin(self, chunk: _Chunk) -> None:
        with self._changed:
            self._chunks.append(chunk)
            self._in_flight += 1
            self._ahead += len(chunk.calls)
        body = b"" if self._is_single else _body(chunk.calls)
        if not body:
            self._send_each(chunk)
            return
        began_s = time.monotonic()
        chunk.abort = self._sender.send(
            self._sender.request_of_many(self._name, body), lambda answer, error: self._landed(chunk, began_s, answer, error)
        )

    def _send_each(self, chunk: _Chunk) -> None:
        chunk.left = len(chunk.calls)
        chunk.futures = [self._sender.submit(self._fn, call, {}) for call in chunk.calls]
        chunk.outcomes = list(chunk.futures)
        chunk.is_done.set()  # each of them says when it is itself
        for future in chunk.futures:
            future.add_done_callback(lambda _: self._one_landed(chunk))

    # ---- the loop's thread ----

    def _landed(self, chunk: _Chunk, began_s: float, answer: Optional[Answer], error: Optional[Exception]) -> None:
        try:
            if answer is not None:
                chunk.outcomes = ask.result(answer).value
                self._learn(len(chunk.calls), time.monotonic() - began_s)
            else:
                chunk.error = error or concurrent.futures.CancelledError()
        except errors.ProngError as refused:
            if not isinstance(refused, _FINAL):
                self._is_single = self._is_single or isinstance(refused, errors.NotFound)
                if isinstance(refused, errors.DeadlinePassed) and not self._is_fixed:
                    self._size = 1.0
                self._send_each(chunk)
                return
            chunk.error = refused
        except ValueError as refused:
            chunk.error = refused
        self._one_less(chunk)

    def _one_landed(self, chunk: _Chunk) -> None:
        with self._changed:
            chunk.left -= 1
            is_last = chunk.left == 0
        if is_last:
            self._one_less(chunk)

    def _one_less(self, chunk: _Chunk) -> None:
        with self._changed:
            self._in_flight -= 1
            self._changed.notify_all()
        chunk.is_done.set()
        if not self._is_lazy:
            self._top_up()

    def _learn(self, calls: int, took_s: float) -> None:
        """How many make a request of the right length."""
        if not self._is_fixed:
            wanted = calls * _TARGET_S / max(took_s, 1e-4)
            self._size = max(1.0, min(wanted, self._size * _GROWTH_MAX, _SIZE_MAX))


def _left_s(until_s: Optional[float]) -> Optional[float]:
    return None if until_s is None else max(until_s - time.monotonic(), 0)


def _body(calls: List[Tuple[Any, ...]]) -> bytes:
    """What <name>-map takes; b"" when an argument is no JSON, as bytes are not."""
    try:
        return values.to_json([[call, {}] for call in calls])
    except values.NotSendable:
        return b""


def _value(outcome: Any) -> Any:
    """Of one call in <name>-map's answer; raises what it raised."""
    if "ok" in outcome:
        return outcome["ok"]
    if "base64" in outcome:
        return base64.b64decode(outcome["base64"])
    said = outcome["error"]
    error = errors.kernel_failed(said["message"], {"detail": said["message"], "status": 500}, 500, said["type"])
    error.trace = said.get("trace", [])
    raise error
