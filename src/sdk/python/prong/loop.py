"""One thread that has many requests under way at once, each on a connection of its own.

start(), abort() and close() may be called on any thread. What an exchange calls back, it calls on the loop's thread, so
that must be short. An exchange that is aborted while the server works on it has its connection closed, and
that is what stops the work.
"""
from __future__ import annotations

import atexit
import collections
import errno
import heapq
import itertools
import os
import selectors
import socket
import threading
import time
import weakref
from typing import Any, Callable, Deque, List, Optional, Set, Tuple

from . import http1
from .connection import Address
from .errors import Unreachable
from .line import READ, Exchange, Line


class Loop:
    """The thread; it begins with the first exchange and ends after close(), when nothing is left to do."""

    def __init__(self, address: Address, lines_max: int) -> None:
        self._address = address
        self._lines_max = lines_max
        self._peers: List[Any] = []  # as getaddrinfo gives them
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakee = socket.socketpair()
        self._waker.setblocking(False)
        self._wakee.setblocking(False)
        self._selector.register(self._wakee, READ, self._hear)
        self._inbox: Deque[Callable[[], None]] = collections.deque()
        self._queue: Deque[Exchange] = collections.deque()
        self._lines: Set[Line] = set()
        self._idle: List[Line] = []
        self._timers: List[Tuple[float, int, Exchange]] = []  # what is to be queued, and when; a heap
        self._numbers = itertools.count()
        self._lock = threading.Lock()  # of the two below
        self._thread: Optional[threading.Thread] = None
        self._is_closed = self._has_ended = False
        _loops.add(self)

    # ---- any thread ----

    def start(self, exchange: Exchange) -> None:
        """Sends it when a connection is free. RuntimeError when the thread has ended."""
        self._call(lambda: self._queue.append(exchange))

    def start_later(self, exchange: Exchange, pause_s: float) -> None:
        when_s = time.monotonic() + pause_s
        self._call(lambda: heapq.heappush(self._timers, (when_s, next(self._numbers), exchange)))

    def abort(self, exchange: Exchange) -> None:
        """Takes it out of the queue or closes its connection; nothing if it is over."""
        self._call(lambda: self._abort(exchange))

    def abort_queued(self) -> None:
        """All that have not been sent yet, or are to be sent again."""

        def abort() -> None:
            for exchange in [*self._queue, *(timer[2] for timer in self._timers)]:
                self._abort(exchange)

        self._call(abort)

    def close(self) -> None:
        """What has been started is still done."""
        with self._lock:
            self._is_closed = True
            is_running = self._thread is not None and not self._has_ended
            if not is_running and not self._has_ended:
                self._has_ended = True
                self._release()
        if is_running:
            self._wake()

    def join(self) -> None:
        """After close(): until all is done."""
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            thread.join()

    def _call(self, function: Callable[[], None]) -> None:
        with self._lock:
            if self._has_ended:
                raise RuntimeError("the executor has been shut down")
            self._inbox.append(function)
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="prong", daemon=True)
                self._thread.start()
        if threading.current_thread() is not self._thread:
            self._wake()

    def _wake(self) -> None:
        try:
            self._waker.send(b"!")
        except (BlockingIOError, OSError):
            pass  # it is awake, or has ended

    # ---- its own thread ----

    def _run(self) -> None:
        while True:
            while self._inbox:
                self._inbox.popleft()()
            now_s = time.monotonic()
            while self._timers and self._timers[0][0] <= now_s:
                self._queue.append(heapq.heappop(self._timers)[2])
            self._send_queued()
            if self._may_end():
                return
            for key, _ in self._selector.select(self._pause()):
                key.data()

    def _pause(self) -> Optional[float]:
        if self._inbox:
            return 0
        return max(self._timers[0][0] - time.monotonic(), 0) if self._timers else None

    def _may_end(self) -> bool:
        with self._lock:
            is_busy = self._inbox or self._queue or self._timers or len(self._lines) > len(self._idle)
            if not self._is_closed or is_busy:
                return False
            self._has_ended = True
            self._release()
        return True

    def _release(self) -> None:
        for line in self._lines:
            line.sock.close()
        self._selector.close()
        self._waker.close()
        self._wakee.close()

    def _hear(self) -> None:
        try:
            self._wakee.recv(4096)
        except BlockingIOError:
            pass

    def _send_queued(self) -> None:
        while self._queue:
            if not self._idle and len(self._lines) >= self._lines_max:
                return
            exchange = self._queue.popleft()
            if not exchange.began():
                self._end(exchange, None, None)
                continue
            try:
                line = self._idle.pop() if self._idle else self._connect()
            except OSError as error:
                self._end(exchange, None, Unreachable(f"There is no answer from {self._address.url}: {error}."))
                continue
            line.begin(exchange)
            self._go_on(line)

    def _connect(self) -> "Line":
        """A connection to the first of its addresses that does not refuse at once."""
        if not self._peers:
            self._peers = socket.getaddrinfo(self._address.name, self._address.port, type=socket.SOCK_STREAM)
        while True:
            family, type_, protocol, _, where = self._peers[0]
            sock = socket.socket(family, type_, protocol)
            sock.setblocking(False)
            self._address.prepare(sock)
            error = sock.connect_ex(where)
            if error in (0, errno.EINPROGRESS):
                break
            sock.close()
            if len(self._peers) == 1:
                raise OSError(error, os.strerror(error))
            del self._peers[0]
        line = Line(self._address, sock)
        self._lines.add(line)
        return line

    def _go_on(self, line: "Line") -> None:
        """As far as it goes without waiting."""
        try:
            line.step()
        except (OSError, http1.BadAnswer, EOFError) as error:
            self._drop(line, error)
            return
        if line.exchange is not None and line.reader.is_done:
            self._finish(line)
        self._watch(line)

    def _watch(self, line: "Line") -> None:
        if line.sock.fileno() < 0:
            return
        if line.watched == 0:
            self._selector.register(line.sock, line.wants, lambda: self._go_on(line))
        elif line.watched != line.wants:
            self._selector.modify(line.sock, line.wants, lambda: self._go_on(line))
        line.watched = line.wants

    def _finish(self, line: "Line") -> None:
        """Its answer is complete."""
        exchange, answer = line.exchange, line.reader.answer()
        assert exchange is not None
        line.exchange = exchange.line = None
        if line.reader.keeps_alive and not line.unsent:
            self._idle.append(line)
        else:
            self._forget(line)
        self._end(exchange, answer, None)

    def _drop(self, line: "Line", error: Exception) -> None:
        """It is of no use any more."""
        exchange = line.exchange
        self._forget(line)
        if exchange is None:
            return
        exchange.line = None
        if not line.is_connected and len(self._peers) > 1:
            del self._peers[0]
            self._queue.appendleft(exchange)
            return
        verb = "broke off" if line.is_connected else "did not come"
        self._end(exchange, None, Unreachable(f"The answer from {self._address.url} {verb}: {error}."))

    def _forget(self, line: "Line") -> None:
        if line.watched:
            self._selector.unregister(line.sock)
            line.watched = 0
        line.sock.close()
        self._lines.discard(line)
        if line in self._idle:
            self._idle.remove(line)

    def _abort(self, exchange: Exchange) -> None:
        if exchange.is_over:
            return
        if exchange.line is not None:
            self._forget(exchange.line)
            exchange.line = None
        elif exchange in self._queue:
            self._queue.remove(exchange)
        else:
            self._timers = [timer for timer in self._timers if timer[2] is not exchange]
            heapq.heapify(self._timers)
        self._end(exchange, None, None)

    def _end(self, exchange: Exchange, answer: Optional[http1.Answer], error: Optional[Exception]) -> None:
        if not exchange.is_over:
            exchange.is_over = True
            exchange.done(answer, error)


_loops: "weakref.WeakSet[Loop]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """As concurrent.futures does it: a program ends when its futures are done."""
    for loop in list(_loops):
        loop.close()
        loop.join()
