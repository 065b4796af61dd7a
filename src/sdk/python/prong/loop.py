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
import ssl
import threading
import time
import weakref
from typing import Any, Callable, Deque, List, Optional, Set, Tuple

from . import http1
from .connection import Address
from .errors import Unreachable

_RECEIVE_BYTES = 256 << 10
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)
_READ, _WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE


class Exchange:
    """A request, and who is told of its answer: done(answer, None) or done(None, error). Or of its abort, done(None, None)."""

    def __init__(self, request: http1.Request, done: "Callable[[Optional[http1.Answer], Optional[Exception]], None]",
                 began: Callable[[], bool] = lambda: True) -> None:
        self.request = request
        self.done = done
        self.began = began  # called when it leaves the queue; False: nobody wants it any more
        self.line: Optional[_Line] = None
        self.is_over = False


class Loop:
    """The thread; it begins with the first exchange and ends after close(), when nothing is left to do."""

    def __init__(self, address: Address, lines_max: int) -> None:
        self._address = address
        self._lines_max = lines_max
        self._peers: "List[Tuple[Any, ...]]" = []
        self._selector = selectors.DefaultSelector()
        self._waker, self._wakee = socket.socketpair()
        self._waker.setblocking(False)
        self._wakee.setblocking(False)
        self._selector.register(self._wakee, _READ, self._hear)
        self._inbox: Deque[Callable[[], None]] = collections.deque()
        self._queue: Deque[Exchange] = collections.deque()
        self._lines: Set[_Line] = set()
        self._idle: List[_Line] = []
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

    def _connect(self) -> "_Line":
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
        line = _Line(self._address, sock)
        self._lines.add(line)
        return line

    def _go_on(self, line: "_Line") -> None:
        """As far as it goes without waiting."""
        try:
            line.step()
        except (OSError, http1.BadAnswer, EOFError) as error:
            self._drop(line, error)
            return
        if line.exchange is not None and line.reader.is_done:
            self._finish(line)
        self._watch(line)

    def _watch(self, line: "_Line") -> None:
        if line.sock.fileno() < 0:
            return
        if line.watched == 0:
            self._selector.register(line.sock, line.wants, lambda: self._go_on(line))
        elif line.watched != line.wants:
            self._selector.modify(line.sock, line.wants, lambda: self._go_on(line))
        line.watched = line.wants

    def _finish(self, line: "_Line") -> None:
        """Its answer is complete."""
        exchange, answer = line.exchange, line.reader.answer()
        assert exchange is not None
        line.exchange = exchange.line = None
        if line.reader.keeps_alive and not line.unsent:
            self._idle.append(line)
        else:
            self._forget(line)
        self._end(exchange, answer, None)

    def _drop(self, line: "_Line", error: Exception) -> None:
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

    def _forget(self, line: "_Line") -> None:
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


class _Line:
    """A connection of the loop."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self._address = address
        self.sock = sock
        self.exchange: Optional[Exchange] = None
        self.reader = http1.Reader()
        self.unsent: List[memoryview] = []
        self.is_connected = False
        self._has_greeted = address.tls is None  # TLS has been agreed on
        self.wants = _WRITE  # what it waits for
        self.watched = 0  # what the selector waits for

    def begin(self, exchange: Exchange) -> None:
        self.exchange, exchange.line = exchange, self
        self.reader = http1.Reader()
        head = self._address.head(exchange.request)
        body = memoryview(exchange.request.body).cast("B")
        self.unsent = [memoryview(head + body)] if len(body) < _RECEIVE_BYTES else [memoryview(head), body]

    def step(self) -> None:
        """Sends and receives what it can; OSError, EOFError, BadAnswer when that is the end of it."""
        if not (self.is_connected or self._connect()) or not (self._has_greeted or self._greet()):
            return
        try:
            self._send()
        except _NOT_NOW:
            pass
        except (BrokenPipeError, ConnectionResetError):
            self.unsent = []  # it may have answered before it had read all
        try:
            self._receive()
        except _NOT_NOW:
            pass
        self.wants = _READ | _WRITE if self.unsent else _READ

    def _connect(self) -> bool:
        error = self.sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
        if error:
            raise OSError(error, os.strerror(error))
        try:
            self.sock.getpeername()
        except OSError:
            return False
        self.is_connected = True
        self.sock = self._address.wrap(self.sock, False)
        return True

    def _greet(self) -> bool:
        """Agrees on TLS."""
        try:
            self.sock.do_handshake()  # type: ignore[attr-defined]
        except ssl.SSLWantReadError:
            self.wants = _READ
            return False
        except ssl.SSLWantWriteError:
            self.wants = _WRITE
            return False
        self._has_greeted = True
        return True

    def _send(self) -> None:
        while self.unsent:
            sent = self.sock.send(self.unsent[0])
            self.unsent[0] = self.unsent[0][sent:]
            if not self.unsent[0]:
                del self.unsent[0]

    def _receive(self) -> None:
        while self.exchange is None or not self.reader.is_done:
            data = self.sock.recv(_RECEIVE_BYTES)
            if self.exchange is None:
                raise EOFError("the server has closed it")  # or said something that nobody asked for
            if data:
                self.reader.feed(data)
            else:
                self.reader.feed_end()


_loops: "weakref.WeakSet[Loop]" = weakref.WeakSet()


@atexit.register
def _end_all() -> None:
    """As concurrent.futures does it: a program ends when its futures are done."""
    for loop in list(_loops):
        loop.close()
        loop.join()
