"""HTTP/1.1 without sockets: what to send, and reading an answer from bytes as they come."""
from __future__ import annotations

from typing import Callable, Dict, NamedTuple, Union

_HEAD_BYTES_MAX = 64 << 10


class BadAnswer(Exception):
    """What came is no answer of HTTP/1.1."""


class Request(NamedTuple):
    """One request. `headers` are without Host and Content-Length."""

    method: str
    target: str
    headers: Dict[str, str]
    body: Union[bytes, bytearray, memoryview] = b""

    def head(self, host: str) -> bytes:
        lines = [f"{self.method} {self.target} HTTP/1.1", f"Host: {host}"]
        lines += [f"{name}: {value}" for name, value in self.headers.items()]
        if self.body or self.method in ("POST", "PUT"):
            lines.append(f"Content-Length: {len(self.body)}")
        if any(c in line for line in lines for c in "\r\n\0"):
            raise ValueError("a header or the path has a line break in it")
        return "\r\n".join([*lines, "", ""]).encode("latin-1")


class Answer(NamedTuple):
    """One answer; names of headers in small letters."""

    status: int
    headers: Dict[str, str]
    body: bytes


class Reader:
    """Reads one answer: feed() it what comes until it is_done. Of a stream, take() the body meanwhile."""

    def __init__(self) -> None:
        self.status = 0
        self.headers: Dict[str, str] = {}
        self.has_head = False
        self.is_done = False
        self.keeps_alive = True  # when done, the connection may be used again
        self._unread = bytearray()
        self._body = bytearray()
        self._left = 0  # bytes of the body, or of the chunk
        self._step: Callable[[], bool] = self._read_head

    def feed(self, data: bytes) -> None:
        """What has been received. BadAnswer when it cannot be an answer."""
        self._unread += data
        while not self.is_done and self._step():
            pass
        if self.is_done and self._unread:
            self.keeps_alive = False  # more than was asked for

    def feed_end(self) -> None:
        """The other side has closed. BadAnswer when that was too early."""
        if self.has_head and self._step == self._read_rest:  # pylint: disable=comparison-with-callable
            self.is_done, self.keeps_alive = True, False
        if not self.is_done:
            raise BadAnswer("the connection was closed before the answer was complete")

    def take(self) -> bytes:
        """What there is of the body, and no longer in it afterwards."""
        taken = bytes(self._body)
        self._body.clear()
        return taken

    def answer(self) -> Answer:
        return Answer(self.status, self.headers, bytes(self._body))

    # ---- steps: each takes something and says whether it could ----

    def _read_head(self) -> bool:
        end = self._unread.find(b"\r\n\r\n")
        if end < 0:
            if len(self._unread) > _HEAD_BYTES_MAX:
                raise BadAnswer("its head has no end")
            return False
        lines = self._unread[:end].decode("latin-1").split("\r\n")
        del self._unread[: end + 4]
        words = lines[0].split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise BadAnswer(f"it begins with {lines[0][:60]!r}")
        self.status = int(words[1])
        if self.status >= 200:  # else an interim answer, and another one follows
            self.headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
            self.keeps_alive = self.headers.get("connection", "").lower() != "close" and words[0] == "HTTP/1.1"
            self._begin_body()
        return True

    def _begin_body(self) -> None:
        self.has_head = True
        length = self.headers.get("content-length", "")
        if self.status in (204, 304):
            self.is_done = True
        elif self.headers.get("transfer-encoding", "").lower() == "chunked":
            self._step = self._read_size
        elif length:
            if not length.isdigit():
                raise BadAnswer(f"its length is {length[:40]!r}")
            self._left = int(length)
            self._step = self._read_body
        else:
            self._step = self._read_rest

    def _move(self) -> int:
        """Bytes of the body that were here, at most as many as are left."""
        count = min(self._left, len(self._unread))
        self._body += self._unread[:count]
        del self._unread[:count]
        self._left -= count
        return count

    def _read_body(self) -> bool:
        self._move()
        self.is_done = self._left == 0
        return False

    def _read_rest(self) -> bool:
        self._body += self._unread
        self._unread.clear()
        return False

    def _line(self) -> "Union[bytes, None]":
        end = self._unread.find(b"\r\n")
        if end < 0:
            if len(self._unread) > _HEAD_BYTES_MAX:
                raise BadAnswer("a line of it has no end")
            return None
        line = bytes(self._unread[:end])
        del self._unread[: end + 2]
        return line

    def _read_size(self) -> bool:
        line = self._line()
        if line is None:
            return False
        try:
            self._left = int(line.split(b";")[0], 16)
        except ValueError:
            raise BadAnswer(f"a chunk begins with {line[:40]!r}") from None
        self._step = self._read_chunk if self._left else self._read_trailer
        return True

    def _read_chunk(self) -> bool:
        moved = self._move()
        if self._left == 0:
            self._step = self._read_chunk_end
            return True
        return moved > 0 and bool(self._unread)

    def _read_chunk_end(self) -> bool:
        if len(self._unread) < 2:
            return False
        if self._unread[:2] != b"\r\n":
            raise BadAnswer("a chunk is longer than it says")
        del self._unread[:2]
        self._step = self._read_size
        return True

    def _read_trailer(self) -> bool:
        line = self._line()
        self.is_done = line == b""
        return line is not None
