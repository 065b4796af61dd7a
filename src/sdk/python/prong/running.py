"""What a kernel may say and ask while it runs: progress, cancelled, emit, remaining, log.

They belong to the call that runs now. Outside of one, as in a test that calls the function itself, they do nothing,
so that a kernel is an ordinary function everywhere.
"""
from __future__ import annotations

import sys
import time
from typing import Any, Optional

from . import frames, values

_PROGRESS_EVERY_S = 0.02  # more often than anybody looks, seldom enough to cost nothing


class Cancelled(BaseException):
    """The caller does not want the answer any more: raised by progress(), to be let through.

    It is no Exception, so that `except Exception` in a kernel does not swallow it; use `finally` to tidy up. Half a
    second after the cancelling the process is killed, wherever it is.
    """


class Failed(Exception):
    """The work cannot be done, for a reason that the caller should read: one sentence.

    >>> raise Failed("The matrix is singular.")

    The caller gets the sentence alone; of any other exception the name of its type goes before its text.
    """


class Retry(Exception):
    """The work has failed here and now, but may do elsewhere: it counts as a death of the worker, so it is tried again
    when the kernel is idempotent."""


class Call:
    """The call that runs now."""

    def __init__(self, channel: Optional[frames.Channel], job: int, timeout_ms: Optional[int], wants_parts: bool,
                 part_bytes_max: int = frames.PART_BYTES_MAX) -> None:
        self.channel = channel
        self.job = job
        self.wants_parts = wants_parts
        self.part_bytes_max = part_bytes_max
        self.deadline = None if timeout_ms is None else time.monotonic() + timeout_ms / 1000
        self.is_cancelled = False
        self.is_piece = False  # progress is counted in pieces, by who runs them
        self.backlog: "list[frames.Frame]" = []  # what came meanwhile and is for later
        self._next_s = 0.0
        self._has_warned = False

    def look(self) -> bool:
        """Whether it has been cancelled. Takes what has come, without waiting."""
        while not self.is_cancelled and self.channel is not None:
            try:
                frame = self.channel.poll()
            except (EOFError, ConnectionError):
                self.is_cancelled = True  # nobody is left who would want the answer
                break
            if frame is None:
                break
            if frame.type == frames.CANCEL:
                self.is_cancelled = frame.job == self.job
            else:
                self.backlog.append(frame)
        return self.is_cancelled

    def progress(self, done: float, total: float) -> None:
        now_s = time.monotonic()
        if now_s < self._next_s and done != total:
            return
        self._next_s = now_s + _PROGRESS_EVERY_S
        if self.look():
            raise Cancelled
        if not self.is_piece:
            self.tell_progress(int(done), int(total))

    def tell_progress(self, done: int, total: int) -> None:
        assert self.channel is not None
        self.channel.send(frames.PROGRESS, self.job, b'{"done":%d,"total":%d}' % (done, total))

    def emit(self, value: Any) -> None:
        if not self.wants_parts:
            return
        part = values.to_json(value)
        if len(part) <= self.part_bytes_max:
            self.tell_part(part)
        elif not self._has_warned:
            self._has_warned = True
            log(f"A part of {len(part)} bytes is not sent: at most {self.part_bytes_max} are. The result has it.")

    def tell_part(self, part: bytes) -> None:
        assert self.channel is not None
        self.channel.send(frames.PART, self.job, b"", part)


current: Optional[Call] = None


def progress(done: float, total: float) -> None:
    """Says that `done` of `total` is through. Call it as often as you like: fifty times a second at most goes out.

    Raises Cancelled when the caller has gone or has cancelled, so that a loop that says how far it is can be stopped,
    too. In a piece of split work the pieces themselves are counted, and this only looks whether to stop.
    """
    if current is not None:
        current.progress(done, total)


def cancelled() -> bool:
    """Whether the caller has gone, has cancelled, or the deadline has passed. Never waits and raises nothing. Return soon
    then, with whatever there is: nobody reads it."""
    return current is not None and current.look()


def emit(value: Any) -> None:
    """Sends a value to the caller at once, as a `part` event, if it listens to events. At most 48 KiB as JSON.

    A generator's values are sent by themselves.
    """
    if current is not None:
        current.emit(value)


def remaining() -> Optional[float]:
    """Seconds to the deadline of this call, below zero when it has passed; None without one."""
    if current is None or current.deadline is None:
        return None
    return current.deadline - time.monotonic()


def log(message: object) -> None:
    """One line in the server's log, with the id of the job. (So is every line that is printed.)"""
    print(" ".join(str(message).splitlines()), file=sys.stderr, flush=True)
