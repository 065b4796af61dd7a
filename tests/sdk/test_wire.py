"""Frames, HTTP and events, byte by byte, and what problems become."""
import pickle
import socket

import harness  # noqa: F401 # the path to the SDK
import pytest
from prong import errors, events, frames, http1

# ---- frames ---------------------------------------------------------------------------------------


@pytest.fixture
def pair():
    ours, theirs = socket.socketpair()
    yield frames.Channel(ours), theirs
    ours.close()
    theirs.close()


def encoded(type_, job, meta=b"", raw=b""):
    if not meta and not raw:
        return frames._HEAD.pack(frames.MAGIC, 1, type_, 0, job)
    return frames._HEAD_AND_META.pack(frames.MAGIC, 1, type_, 4 + len(meta) + len(raw), job, len(meta)) + meta + raw


def test_layout():
    assert encoded(6, 0x0102030405060708, b"{}", b"raw") == (
        b"PK\x01\x06" + b"\x09\0\0\0" + bytes([8, 7, 6, 5, 4, 3, 2, 1]) + b"\x02\0\0\0" + b"{}" + b"raw"
    )


def test_frames_in_any_pieces(pair):
    channel, other = pair
    sent = [(3, 1, b"{}", b"x" * n) for n in (0, 1, 1000, 70000, 5, 65520, 65536, 200000)] + [(9, 0, b"", b"")]
    stream = b"".join(encoded(*frame) for frame in sent)
    other.settimeout(0.01)
    got, at = [], 0
    for size in (1, 7, 16, 17, 4096, 65535, 65536, 65537, 100000, 300000, len(stream)):
        piece = stream[at : at + size]
        at += len(piece)
        while piece or len(got) < len(sent):
            try:
                piece = piece[other.send(piece) :]
            except socket.timeout:
                pass
            frame = channel.poll()
            while frame is not None:
                got.append((frame.type, frame.job, frame.meta, frame.raw))
                frame = channel.poll()
            if not piece:
                break
    assert [(t, j, m, bytes(r)) for t, j, m, r in got] == sent  # and each kept its own memory


def test_poll_does_not_wait(pair):
    channel, other = pair
    assert channel.poll() is None
    other.sendall(encoded(8, 5)[:10])
    assert channel.poll() is None
    other.sendall(encoded(8, 5)[10:])
    assert channel.poll() == (8, 5, b"", b"")
    other.close()
    with pytest.raises(EOFError):
        channel.poll()
    assert channel.read() is None


# ---- answers --------------------------------------------------------------------------------------


def read(data, size):
    reader = http1.Reader()
    for at in range(0, len(data), size):
        reader.feed(data[at : at + size])
    return reader


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1000])
@pytest.mark.parametrize("data, status, body", [
    (b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello", 200, b"hello"),
    (b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n", 200, b""),
    (b"HTTP/1.1 204 No Content\r\n\r\n", 204, b""),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 201 \r\ncontent-length:1\r\n\r\nx", 201, b"x"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\nA;x=y\r\n0123456789\r\n0\r\nTrailer: 1\r\n\r\n", 200, b"abc0123456789"),
    (b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 200, b""),
])  # fmt: skip
def test_answer_in_any_pieces(data, status, body, size):
    reader = read(data, size)
    assert reader.is_done and reader.keeps_alive and reader.answer()[::2] == (status, body)


def test_answer_until_the_end():
    reader = read(b"HTTP/1.1 200 OK\r\n\r\nall there is", 5)
    assert not reader.is_done
    reader.feed_end()
    assert reader.is_done and not reader.keeps_alive and reader.answer().body == b"all there is"


@pytest.mark.parametrize("data", [
    b"", b"HTTP/1.1 200 OK\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhell",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n",
])  # fmt: skip
def test_answer_that_ends_early(data):
    with pytest.raises(http1.BadAnswer):
        read(data, 100).feed_end()


@pytest.mark.parametrize("data", [
    b"SSH-2.0-OpenSSH\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 70000, b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n", b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nabcd",
])  # fmt: skip
def test_answer_that_is_none(data):
    with pytest.raises(http1.BadAnswer):
        read(data, 1000)


def test_connection_that_ends_with_its_answer():
    assert not read(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n", 9).keeps_alive
    assert not read(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\nmore", 999).keeps_alive


def test_request_cannot_smuggle_a_line():
    with pytest.raises(ValueError):
        http1.Request("GET", "/", {"X": "a\r\nY: b"}).head("h")
    assert http1.Request("POST", "/a", {"X": "1"}, b"abc").head("h:1") == b"POST /a HTTP/1.1\r\nHost: h:1\r\nX: 1\r\nContent-Length: 3\r\n\r\n"


# ---- events ---------------------------------------------------------------------------------------


def test_events_in_any_pieces():
    stream = ":\n\nevent: progress\ndata: {\"done\":1}\n\nid: 7\nevent: part\ndata: a\ndata: grün\n\n:x\n\ndata: b\n\n".encode()
    wanted = [("progress", '{"done":1}', ""), ("part", "a\ngrün", "7"), ("message", "b", "7")]
    for size in (1, 2, 5, 1000):
        assert list(events.read(stream[i : i + size] for i in range(0, len(stream), size))) == wanted


def test_result_event():
    said = events.understand(events.Event("result", '{"job":"j","receipt":{"run_ms":1},"media_type":"image/png","base64":"AAE="}'))
    assert said.data == events.Result(b"\0\1", {"run_ms": 1}, "j", "image/png")
    with pytest.raises(errors.JobCancelled):
        events.understand(events.Event("cancelled", "{}"))


# ---- problems -------------------------------------------------------------------------------------


@pytest.mark.parametrize("status, fragment, kind", [
    (400, "bad-parameter", errors.BadRequest), (401, "unauthorized", errors.Forbidden), (404, "no-such-kernel", errors.NotFound),
    (409, "not-done", errors.Conflict), (410, "gone", errors.Gone), (412, "precondition-failed", errors.PreconditionFailed),
    (413, "body-too-large", errors.BadRequest), (422, "poison", errors.Poisoned), (422, "idempotency-key-reused", errors.KeyReused),
    (429, "too-many-requests", errors.TooManyRequests), (500, "internal", errors.ProngError), (502, "worker-died", errors.WorkerDied),
    (503, "queue-full", errors.QueueFull), (503, "draining", errors.Unavailable), (503, "kernel-disabled", errors.KernelDisabled),
    (504, "deadline", errors.DeadlinePassed), (507, "no-room", errors.NoRoom),
])  # fmt: skip
def test_problem_has_its_kind(status, fragment, kind):
    _, headers, body = harness.problem(status, fragment, "What to do.", job="j", retry_after=3)
    error = errors.of_answer(status, {"content-type": headers["Content-Type"]}, body)
    assert type(error) is kind and str(error) == "What to do." and (error.status, error.job, error.retry_after) == (status, "j", 3)
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is kind and (str(again), again.problem) == (str(error), error.problem)


def test_failure_is_also_what_was_raised_there():
    for detail, kind in (("ZeroDivisionError: division by zero.", ZeroDivisionError), ("KeyError.", KeyError),
                         ("OSError: x.", OSError), ("UnicodeDecodeError: x.", UnicodeDecodeError)):  # fmt: skip
        error = errors.of_problem({"type": "/docs#kernel-failed", "status": 500, "detail": detail})
        assert isinstance(error, errors.KernelFailed) and str(error) == detail
        assert isinstance(error, kind) or kind is UnicodeDecodeError
    plain = errors.of_problem({"type": "/docs#kernel-failed", "status": 500, "detail": "SystemExit: no."})
    assert type(plain) is errors.KernelFailed
    assert type(errors.of_problem({"type": "/docs#kernel-failed", "detail": "The matrix is singular."})) is errors.KernelFailed
    assert isinstance(pickle.loads(pickle.dumps(errors.kernel_failed("ValueError: x.", {}))), ValueError)


def test_error_of_somebody_else():
    error = errors.of_answer(502, {"content-type": "text/html", "retry-after": "7"}, b"<h1>Bad\n gateway</h1>")
    assert type(error) is errors.Unavailable and str(error) == "The server answered 502: <h1>Bad gateway</h1>" and error.retry_after == 7
