"""Frames over a stream socket, as src/sdk/PROTOCOL.md has them: how they are read, sent and judged.

A channel belongs to one thread. Whoever breaks the protocol raises BrokenProtocol; there is no way back into step, so
the program ends then.
"""
from __future__ import annotations

import socket
import struct
from typing import NamedTuple, Optional, Union

HELLO, READY, JOB, PROGRESS, PART, RESULT, ERROR, CANCEL, PING, PONG, QUIET = range(1, 12)

MAGIC = 0x4B50  # "PK"
VERSION = 1
META_BYTES_MAX = 16 << 20
BODY_BYTES_MAX = 128 << 20
PART_BYTES_MAX = 49152  # unless HELLO says otherwise

_HEAD = struct.Struct("<HBBIQ")
_HEAD_AND_META = struct.Struct("<HBBIQI")
_META = struct.Struct("<I")
_ROOM = 64 << 10  # of the buffer that all but large frames go through

Bytes = Union[bytes, bytearray, memoryview]


class BrokenProtocol(Exception):
    """What came on the channel is no frame."""


class Frame(NamedTuple):
    """One frame. `raw` is its own memory and stays valid."""

    type: int
    job: int
    meta: bytes
    raw: Bytes


class Channel:
    """Reads and sends frames on a connected stream socket, which it owns."""

    def __init__(self, sock: socket.socket) -> None:
        self._sock = sock
        self._buffer = bytearray(_ROOM)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0  # what has been received and not been taken yet

    def read(self) -> Optional[Frame]:
        """The next frame, waited for; None when the other side has closed."""
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            if self._fill(0) == 0:
                return None

    def poll(self) -> Optional[Frame]:
        """The next frame if it is here already, else None. EOFError when the other side has closed."""
        while True:
            frame = self._take()
            if frame is not None:
                return frame
            try:
                if self._fill(socket.MSG_DONTWAIT) == 0:
                    raise EOFError("the other side has closed the channel")
            except BlockingIOError:
                return None

    def send(self, type_: int, job: int, meta: bytes = b"", raw: Bytes = b"") -> None:
        """All of a frame; ConnectionError when nobody is there to take it."""
        meta_bytes, raw_bytes = len(meta), len(raw)
        if meta_bytes + raw_bytes == 0:
            self._sock.sendall(_HEAD.pack(MAGIC, VERSION, type_, 0, job))
            return
        head = _HEAD_AND_META.pack(MAGIC, VERSION, type_, 4 + meta_bytes + raw_bytes, job, meta_bytes)
        if raw_bytes < _ROOM:
            self._sock.sendall(b"".join((head, meta, raw)))
        else:
            self._sock.sendall(head + meta)
            self._sock.sendall(raw)

    def close(self) -> None:
        self._sock.close()

    def _fill(self, flags: int) -> int:
        received = self._sock.recv_into(self._view[self._end :], 0, flags)
        self._end += received
        return received

    def _take(self) -> Optional[Frame]:
        """A frame out of the buffer; None when it is not complete, and then there is room for more of it."""
        have = self._end - self._start
        if have < _HEAD.size:
            self._make_room(_HEAD.size)
            return None
        magic, version, type_, body, job = _HEAD.unpack_from(self._buffer, self._start)
        if magic != MAGIC or version != VERSION or body > BODY_BYTES_MAX:
            raise BrokenProtocol(f"a frame begins with magic {magic:#x}, version {version} and {body} bytes")
        if have < _HEAD.size + body:
            self._make_room(_HEAD.size + body)
            return None
        at = self._start + _HEAD.size
        self._start = at + body
        meta, raw = self._split(at, body)
        if self._start == self._end:
            self._start = self._end = 0
        return Frame(type_, job, meta, raw)

    def _split(self, at: int, body: int) -> "tuple[bytes, Bytes]":
        """The two halves of the body that begins at `at`."""
        if body == 0:
            return b"", b""
        meta_bytes = _META.unpack_from(self._buffer, at)[0] if body >= 4 else body
        if meta_bytes > min(body - 4, META_BYTES_MAX):
            raise BrokenProtocol(f"a frame's meta has {meta_bytes} of {body} bytes")
        middle = at + 4 + meta_bytes
        meta = bytes(self._view[at + 4 : middle])
        raw = self._view[middle : at + body]
        if len(self._buffer) > _ROOM:  # too large to copy: the frame keeps this memory
            self._renew(at + body)
            return meta, raw
        return meta, bytes(raw)

    def _make_room(self, frame_bytes: int) -> None:
        """For all of the frame that begins at `_start`."""
        if self._start + frame_bytes <= len(self._buffer):
            return
        rest = bytes(self._view[self._start : self._end])
        if frame_bytes > len(self._buffer):
            self._buffer = bytearray(frame_bytes)
            self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)

    def _renew(self, taken: int) -> None:
        """A buffer of the usual size, with what came behind the large frame."""
        rest = bytes(self._view[taken : self._end])
        self._buffer = bytearray(max(_ROOM, len(rest)))
        self._view = memoryview(self._buffer)
        self._view[: len(rest)] = rest
        self._start, self._end = 0, len(rest)
