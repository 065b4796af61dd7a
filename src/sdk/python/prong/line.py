"""A request under way on a connection of its own that never waits. Belongs to the loop's thread."""
from __future__ import annotations

import os
import selectors
import socket
import ssl
from typing import Callable, List, Optional

from . import http1
from .connection import Address

READ, WRITE = selectors.EVENT_READ, selectors.EVENT_WRITE
_RECEIVE_BYTES = 256 << 10
_NOT_NOW = (BlockingIOError, ssl.SSLWantReadError, ssl.SSLWantWriteError)


class Exchange:
    """A request, and who is told of its answer: done(answer, None) or done(None, error). Or of its abort, done(None, None)."""

    def __init__(self, request: http1.Request, done: "Callable[[Optional[http1.Answer], Optional[Exception]], None]",
                 began: Callable[[], bool] = lambda: True) -> None:
        self.request = request
        self.done = done
        self.began = began  # called when it leaves the queue; False: nobody wants it any more
        self.line: Optional[Line] = None
        self.is_over = False


class Line:
    """A connection of the loop."""

    def __init__(self, address: Address, sock: socket.socket) -> None:
        self._address = address
        self.sock = sock
        self.exchange: Optional[Exchange] = None
        self.reader = http1.Reader()
        self.unsent: List[memoryview] = []
        self.is_connected = False
        self._has_greeted = address.tls is None  # TLS has been agreed on
        self.wants = WRITE  # what it waits for
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
        self.wants = READ | WRITE if self.unsent else READ

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
            self.wants = READ
            return False
        except ssl.SSLWantWriteError:
            self.wants = WRITE
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
