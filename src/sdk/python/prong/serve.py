"""A program under prong: says what kernels it has, and answers one call after the other on fd 3.

The caller's input is nobody's friend: whatever a kernel raises becomes an answer, and the program lives on. When prong is gone,
or says QUIET, it ends; when prong breaks the protocol, it ends with 76.
"""
from __future__ import annotations

import os
import signal
import socket
import sys
import types
from typing import Any, Callable, Dict, List, Optional, Tuple

from . import declare, faults, frames, pieces, running, start, values

_EXIT_PROTOCOL = 76  # as EX_PROTOCOL of sysexits.h


def call(function: Callable[..., Any], args: Tuple[Any, ...], kwargs: Dict[str, Any]) -> Any:
    """The function's result. What a generator yields goes to who listens, and is the result, as a list, unless the
    generator returns one."""
    value = function(*args, **kwargs)
    return _drain(value) if isinstance(value, types.GeneratorType) else value


def _drain(generator: Any) -> Any:
    yielded: List[Any] = []
    while True:
        try:
            value = next(generator)
        except StopIteration as end:
            return yielded if end.value is None else end.value
        running.emit(value)
        yielded.append(value)


def run_here(kernel: declare.Kernel, arguments: Dict[str, Any]) -> Any:
    """The result of all of it in this process, split or not."""
    if kernel.split is None:
        return call(kernel.function, (), arguments)
    work = pieces.Work(kernel, arguments)
    return work.finish(work.run(call, 0, len(work.pieces), lambda done, total: None))


class Program:
    """The kernels of this process behind a channel."""

    def __init__(self, kernels: Dict[str, declare.Kernel], channel: frames.Channel) -> None:
        self._kernels = kernels
        self._channel = channel
        self._backlog: List[frames.Frame] = []
        self._result_bytes_max = frames.BODY_BYTES_MAX
        self._part_bytes_max = frames.PART_BYTES_MAX
        self._work: Tuple[Any, Optional[pieces.Work]] = (None, None)  # of the request that was here last
        self._ops = {"run": self._run, "plan": self._plan, "map": self._map, "finish": self._finish}

    def serve(self) -> None:
        """Until the other side closes or says QUIET."""
        self._greet()
        while True:
            frame = self._backlog.pop(0) if self._backlog else self._channel.read()
            if frame is None or frame.type == frames.QUIET:
                return
            if frame.type == frames.JOB:
                self._answer(frame)
            elif frame.type == frames.PING:
                self._channel.send(frames.PONG, 0)
            elif frame.type != frames.CANCEL:  # of a call that has been answered meanwhile
                raise frames.BrokenProtocol(f"a frame of type {frame.type} that nobody asked for")

    def _greet(self) -> None:
        hello = self._channel.read()
        if hello is None:
            raise ConnectionError("the other side closed before HELLO")
        said = _object(hello.meta)
        if hello.type != frames.HELLO or said.get("protocol") != frames.VERSION:
            raise frames.BrokenProtocol(f"the first frame is no HELLO of protocol {frames.VERSION}")
        self._result_bytes_max = said.get("result_bytes_max", self._result_bytes_max)
        self._part_bytes_max = said.get("part_bytes_max", self._part_bytes_max)
        ready = {"kernels": [kernel.describe() for kernel in self._kernels.values()]}
        self._channel.send(frames.READY, 0, values.to_json(ready))

    def _answer(self, frame: frames.Frame) -> None:
        meta = _object(frame.meta)
        kernel, op = self._kernels.get(meta.get("kernel", "")), self._ops.get(meta.get("op", ""))
        if kernel is None or op is None:
            raise frames.BrokenProtocol(f"a JOB for {meta.get('kernel')}, op {meta.get('op')}, which was not offered")
        running.current = current = running.Call(
            self._channel, frame.job, meta.get("timeout_ms"), meta.get("wants_parts", False), self._part_bytes_max
        )
        try:
            said, answer = op(kernel, meta, frame.raw)
            if len(answer) > self._result_bytes_max:
                limit = self._result_bytes_max
                raise running.Failed(f"The result has {len(answer)} bytes; the server takes {limit} (--result-max).")
            type_ = frames.RESULT
        except BaseException as error:  # pylint: disable=broad-except # whatever it is, the caller waits
            type_, said, answer = frames.ERROR, _error(error), b""
        running.current = None
        self._backlog += current.backlog
        _flush()
        self._channel.send(type_, frame.job, said, answer)

    # ---- ops: each gives the meta and the raw part of RESULT ----

    def _run(self, kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> Tuple[bytes, Any]:
        return _encode(kernel, run_here(kernel, _arguments(kernel, meta, raw)))

    def _plan(self, kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> Tuple[bytes, Any]:
        work = self._work_of(kernel, meta, raw)
        return b'{"units":%d,"unit_cost":1.0}' % len(work.pieces), b""

    def _map(self, kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> Tuple[bytes, Any]:
        work = self._work_of(kernel, meta, raw)
        current = running.current
        assert current is not None
        current.is_piece = True
        try:
            return b"", work.run(call, meta["lo"], meta["hi"], _told)
        except values.NotSendable as error:
            raise _unsendable(kernel, error) from None

    def _finish(self, kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> Tuple[bytes, Any]:
        work = self._work_of(kernel, meta, raw)
        return _encode(kernel, work.finish(memoryview(raw)[meta.get("input_bytes", 0) :]))

    def _work_of(self, kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> pieces.Work:
        """The pieces of this request, kept for its next frame."""
        if kernel.split is None:
            raise frames.BrokenProtocol(f"kernel {kernel.name} is not split")
        request = (kernel.name, meta["id"]) if meta.get("id") else None
        known, work = self._work
        if work is None or request is None or known != request:
            self._work = (None, None)  # before the next takes memory, too
            work = pieces.Work(kernel, _arguments(kernel, meta, raw))
            self._work = (request, work)
        return work


def _object(meta: bytes) -> Dict[str, Any]:
    try:
        said = values.from_json(meta) if meta else {}
    except ValueError as error:
        raise frames.BrokenProtocol(f"a frame's meta is not JSON: {error}") from None
    if not isinstance(said, dict):
        raise frames.BrokenProtocol("a frame's meta is not an object")
    return said


def _arguments(kernel: declare.Kernel, meta: Dict[str, Any], raw: Any) -> Dict[str, Any]:
    if kernel.input is None or meta.get("input", "none") == "none":
        return kernel.arguments(meta.get("params", {}))
    size = meta.get("input_bytes", len(raw))
    return kernel.arguments(meta.get("params", {}), raw if size == len(raw) else memoryview(raw)[:size])


def _encode(kernel: declare.Kernel, value: Any) -> Tuple[bytes, Any]:
    try:
        media_type, answer = values.encode(value, kernel.media_type)
    except values.NotSendable as error:
        raise _unsendable(kernel, error) from None
    said = b"" if media_type == kernel.answers else values.to_json({"media_type": media_type})
    return said, memoryview(answer).cast("B") if isinstance(answer, memoryview) else answer


def _unsendable(kernel: declare.Kernel, error: values.NotSendable) -> running.Failed:
    return running.Failed(f"What kernel {kernel.name} returned cannot be sent: {error}")


def _told(done: int, total: int) -> None:
    """After each piece, every now and then."""
    current = running.current
    if current is not None and current.channel is not None:
        if current.look():
            raise running.Cancelled
        current.tell_progress(done, total)


def _error(error: BaseException) -> bytes:
    said: Dict[str, Any] = {"message": faults.message(error), "code": faults.code(error)}
    if said["code"] != "cancelled":
        said["trace"] = faults.trace(error)
    return values.to_json(said)


def _flush() -> None:
    """What was printed belongs to this job, and must be out before its answer."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (AttributeError, OSError, ValueError):  # closed, or there is none
            pass


def main(fd: int = start.FD) -> int:
    """Serves all kernels that have been declared, until the other side has had enough. The exit status."""
    from . import many  # pylint: disable=import-outside-toplevel,cyclic-import

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C in the server's terminal is the server's to answer
    os.set_inheritable(fd, False)  # what a kernel starts must not hold the channel open
    many.add_all()
    sock = socket.socket(fileno=fd)
    sock.setblocking(True)
    try:
        Program(declare.registry, frames.Channel(sock)).serve()
    except ConnectionError:
        pass
    except frames.BrokenProtocol as error:
        print(f"The server broke the protocol: {error}.", file=sys.stderr)
        return _EXIT_PROTOCOL
    return 0
