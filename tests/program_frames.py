"""The frames of programs, raw: what a program in a test needs to be one, in the fewest words.

Copied beside the program, which imports it. job(frame) is called for each JOB, and answers with result() or error()."""
import json
import socket
import struct
import sys

MAGIC = 0x4B50
HELLO, READY, JOB, PROGRESS, PART, RESULT, ERROR, CANCEL, PING, PONG, QUIET = range(1, 12)
HEAD = struct.Struct("<HBBIQ")

sock = socket.socket(fileno=3)


def exactly(count):
    got = bytearray()
    while len(got) < count:
        more = sock.recv(count - len(got))
        if not more:
            sys.exit(0)
        got += more
    return bytes(got)


class Frame:
    """One that came. Of a JOB: `meta`, `params`, `input`, and `parts`."""

    def __init__(self):
        _, _, self.type, size, self.job = HEAD.unpack(exactly(16))
        body = exactly(size)
        meta = struct.unpack_from("<I", body)[0] if body else 0
        self.meta = json.loads(body[4 : 4 + meta] or b"{}")
        self.params = self.meta.get("params")
        raw, self.parts = body[4 + meta :], []
        self.input = raw[: self.meta.get("input_bytes", 0)]
        at = len(self.input)
        for size in self.meta.get("parts", []):
            self.parts.append(raw[at : at + size])
            at += size


def say(kind, job=0, raw=b"", **meta):
    text = json.dumps(meta).encode()
    sock.sendall(HEAD.pack(MAGIC, 1, kind, 4 + len(text) + len(raw), job) + struct.pack("<I", len(text)) + text + raw)


def result(frame, raw=b"", **meta):
    say(RESULT, frame.job, raw if isinstance(raw, bytes) else json.dumps(raw).encode(), **meta)


def error(frame, message, code="failed", trace=()):
    say(ERROR, frame.job, message=message, code=code, trace=list(trace))


def serve(job, **ready):
    """HELLO, READY, then each JOB, until there are no more."""
    while True:
        frame = Frame()
        if frame.type == HELLO:
            say(READY, **ready)
        elif frame.type == JOB:
            job(frame)
        elif frame.type == PING:
            say(PONG)
        elif frame.type == QUIET:
            sys.exit(0)
