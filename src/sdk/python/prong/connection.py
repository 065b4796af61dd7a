"""Connections to one server, kept and used again. Thread-safe."""
from __future__ import annotations

import collections
import select
import socket
import ssl
import threading
import time
import urllib.parse
from typing import Deque, Iterator, Optional

from . import http1
from .errors import Unreachable

CONNECT_S = 10.0
_IDLE_MAX = 16  # connections that are kept
_RECEIVE_BYTES = 256 << 10


class Address:
    """Where a server is: http or https, and a path before its own when a proxy has put it there."""

    def __init__(self, url: str, cafile: Optional[str] = None) -> None:
        parts = urllib.parse.urlsplit(url)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError(f"The server's URL must be like http://127.0.0.1:8080, not {url!r}.")
        self.url = url
        self.name = parts.hostname
        self.port = parts.port or (443 if parts.scheme == "https" else 80)
        self.host = parts.netloc.rpartition("@")[2]
        self.path = parts.path.rstrip("/")
        self.tls = ssl.create_default_context(cafile=cafile) if parts.scheme == "https" else None

    def prepare(self, sock: socket.socket) -> None:
        """As every connection should be."""
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in (("TCP_KEEPIDLE", 30), ("TCP_KEEPINTVL", 10), ("TCP_KEEPCNT", 3)):
            if hasattr(socket, name):  # a server whose machine is gone is noticed within a minute
                sock.setsockopt(socket.IPPROTO_TCP, getattr(socket, name), value)

    def wrap(self, sock: socket.socket, is_blocking: bool) -> socket.socket:
        """Behind TLS, if the server has it."""
        if self.tls is None:
            return sock
        return self.tls.wrap_socket(sock, server_hostname=self.name, do_handshake_on_connect=is_blocking)

    def head(self, request: http1.Request) -> bytes:
        return request._replace(target=self.path + request.target).head(self.host)


class _Connection:
    """Used by one thread at a time."""

    def __init__(self, address: Address) -> None:
        try:
            sock = socket.create_connection((address.name, address.port), CONNECT_S)
            address.prepare(sock)
            self.sock = address.wrap(sock, True)
        except OSError as error:
            raise Unreachable(f"There is no answer from {address.url}: {error}.") from error
        self.is_used = False

    def is_stale(self) -> bool:
        """Whether the server has closed it meanwhile (or says something that nobody asked for)."""
        try:
            return bool(select.select([self.sock], [], [], 0)[0])
        except (OSError, ValueError):
            return True

    def receive(self, until_s: Optional[float]) -> bytes:
        self.sock.settimeout(None if until_s is None else max(until_s - time.monotonic(), 0.001))
        return self.sock.recv(_RECEIVE_BYTES)

    def send(self, head: bytes, body: bytes, until_s: Optional[float]) -> None:
        self.sock.settimeout(None if until_s is None else max(until_s - time.monotonic(), 0.001))
        try:
            if len(body) < _RECEIVE_BYTES:
                self.sock.sendall(head + body)
            else:
                self.sock.sendall(head)
                self.sock.sendall(body)
        except (BrokenPipeError, ConnectionResetError):
            pass  # it may have answered before it had read all

    def close(self) -> None:
        self.sock.close()


class Pool:
    """Exchanges a request for an answer."""

    def __init__(self, address: Address) -> None:
        self.address = address
        self._idle: Deque[_Connection] = collections.deque()
        self._lock = threading.Lock()

    def exchange(self, request: http1.Request, timeout_s: Optional[float]) -> http1.Answer:
        """The whole answer, whatever its status. Unreachable when none comes in time."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        connection, reader = self._begin(request, until_s)
        try:
            while not reader.is_done:
                self._feed(connection, reader, until_s)
        except BaseException:
            connection.close()
            raise
        self._keep(connection, reader)
        return reader.answer()

    def stream(self, request: http1.Request, timeout_s: Optional[float]) -> "Stream":
        """An answer whose body is read as it comes. `timeout_s`: until its head is there."""
        until_s = None if timeout_s is None else time.monotonic() + timeout_s
        connection, reader = self._begin(request, until_s)
        try:
            while not reader.has_head:
                self._feed(connection, reader, until_s)
        except BaseException:
            connection.close()
            raise
        return Stream(self, connection, reader)

    def close(self) -> None:
        """Those that are idle; more are made when they are wanted."""
        with self._lock:
            idle, self._idle = self._idle, collections.deque()
        for connection in idle:
            connection.close()

    def _take(self) -> _Connection:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            if connection is None:
                return _Connection(self.address)
            if not connection.is_stale():
                return connection
            connection.close()

    def _keep(self, connection: _Connection, reader: http1.Reader) -> None:
        connection.is_used = True
        with self._lock:
            is_kept = reader.keeps_alive and len(self._idle) < _IDLE_MAX
            if is_kept:
                self._idle.append(connection)
        if not is_kept:
            connection.close()

    def _begin(self, request: http1.Request, until_s: Optional[float]) -> "tuple[_Connection, http1.Reader]":
        """A connection on which the answer has begun. What may be asked twice is, when a connection that had been
        idle breaks."""
        head = self.address.head(request)
        while True:
            connection, reader = self._take(), http1.Reader()
            try:
                connection.send(head, request.body, until_s)
                self._feed(connection, reader, until_s)
                return connection, reader
            except BaseException as error:
                connection.close()
                if not (isinstance(error, Unreachable) and connection.is_used and request.method == "GET"):
                    raise

    def _feed(self, connection: _Connection, reader: http1.Reader, until_s: Optional[float]) -> None:
        try:
            data = connection.receive(until_s)
            if data:
                reader.feed(data)
            else:
                reader.feed_end()
        except socket.timeout as error:
            raise Unreachable(f"There was no answer from {self.address.url} in time.") from error
        except (OSError, http1.BadAnswer) as error:
            raise Unreachable(f"The answer from {self.address.url} broke off: {error}.") from error


class Stream:
    """An answer that is read as it comes: iterate over pieces of its body, then close it. Closing it early is how work
    for it is stopped."""

    def __init__(self, pool: Pool, connection: _Connection, reader: http1.Reader) -> None:
        self._pool, self._connection, self._reader = pool, connection, reader
        self.status, self.headers = reader.status, reader.headers

    def __iter__(self) -> Iterator[bytes]:
        while True:
            data = self._reader.take()
            if data:
                yield data
            elif self._reader.is_done:
                return
            else:
                self._pool._feed(self._connection, self._reader, None)

    def close(self) -> None:
        if self._reader.is_done:
            self._pool._keep(self._connection, self._reader)
        else:
            self._connection.close()
