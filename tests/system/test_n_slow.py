"""Clients that are slow, on purpose or not: each has its time, is told when it is over, and troubles nobody else."""
import contextlib
import ctypes
import errno
import os
import re
import select
import signal
import socket
import stat
import time

import pytest
from conftest import PATIENCE, SANITIZED, SLOW, fewer, read_answer, run, wait_until

FOREVER = 3600
NEVER = {"header_timeout": FOREVER, "body_timeout": FOREVER, "answer_timeout": FOREVER, "idle": FOREVER}


def patient(**rules):
    """Options by which nobody is late but for these rules."""
    return {"workers": 1, **NEVER, **rules}


def late(s, phase):
    return s.metric("prong_http_late_total", phase=phase)


def drip(sock, piece, pause=0.1):
    """Sends the piece again and again, until something comes back or the connection ends; how long that took."""
    began = time.monotonic()
    while not select.select([sock], [], [], pause)[0]:
        assert time.monotonic() - began < 2 * PATIENCE, "it may do so for ever"
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            sock.send(piece)
    return time.monotonic() - began


def rest_of(sock):
    """All until the end; a reset is an end too."""
    data = b""
    with contextlib.suppress(ConnectionResetError):
        while chunk := sock.recv(65536):
            data += chunk
    return data


def assert_told(sock, status=408, fragment="too-slow"):
    answer = read_answer(sock)
    assert answer is not None, "it was closed without a word"
    assert answer.status == status and answer.json["status"] == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    assert answer.headers["Connection"] == "close", answer
    assert answer.json["type"] == "/docs#" + fragment, answer
    assert rest_of(sock) == b""


def connect_small(s):
    """With the smallest receive buffer that the system gives."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
    sock.settimeout(3 * PATIENCE)
    sock.connect(s.address)
    return sock


def wait_connections(s, count, seconds=None):
    """Besides the one that asks."""
    wait_until(lambda: s.metric("prong_http_connections") == count + 1, lambda: f"{count} connections: {s.metrics()}", seconds)


# ---- headers and bodies ---------------------------------------------------------------------------


@pytest.mark.parametrize("first", [b"G", b"GET /livez HTTP/1.1\r\nHost: localhost\r\nX: "], ids=["line", "headers"])
def test_headers_byte_by_byte(server, first):
    s = server(**patient(header_timeout=1))
    with s.connect() as sock:
        sock.sendall(first)
        assert drip(sock, b"x") > 0.9
        assert_told(sock)
    assert late(s, "headers") == 1
    assert s.get("/livez").status == 200


def test_headers_of_a_later_request(server):
    s = server(**patient(header_timeout=1))
    with s.connect() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(sock).status == 200
        sock.sendall(b"GET /livez HTTP/1.1\r\n")
        drip(sock, b"x")
        assert_told(sock)


@pytest.mark.parametrize("length", ["Content-Length: 100000", "Transfer-Encoding: chunked"])
def test_a_body_byte_by_byte(server, length):
    s = server(**patient(body_timeout=1))
    with s.connect() as sock:
        sock.sendall(f"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{length}\r\n\r\n".encode())
        assert drip(sock, b"1\r\nx\r\n") > 0.9
        assert_told(sock)
    assert late(s, "body") == 1
    wait_connections(s, 0)
    assert s.metric("prong_http_body_bytes") == 0


def test_a_body_that_never_begins(server):
    s = server(**patient(body_timeout=1))
    with s.connect() as sock:
        sock.sendall(b"PUT /state/k HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 9\r\n\r\n")
        assert_told(sock)


def test_a_slow_upload_at_a_legal_speed(server):
    """Four times --slowest, for twice --body-timeout."""
    s = server(**patient(body_timeout=1, slowest="1K"))
    body = os.urandom(8000)
    with s.connect() as sock:
        sock.sendall(
            b"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\n"
            b"Content-Length: 8000\r\n\r\n"
        )
        for at in range(0, len(body), 400):
            sock.sendall(body[at : at + 400])
            assert not select.select([sock], [], [], 0.1)[0] or at + 400 == len(body), "it was answered before its end"
        answer = read_answer(sock)
    assert answer.status == 200 and answer.body == body


# ---- answers --------------------------------------------------------------------------------------


def ask_for_much(sock, size=16 << 20):
    sock.sendall(
        f"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/octet-stream\r\nContent-Length: {size}\r\n\r\n".encode()
    )
    sock.sendall(bytes(size))


def test_an_answer_that_nobody_takes(server):
    s = server(**patient(answer_timeout=1, slowest="1M"))
    with connect_small(s) as sock:
        ask_for_much(sock)
        wait_until(lambda: late(s, "answer") == 1, "that it is late")
        wait_connections(s, 0)
        with pytest.raises(ConnectionResetError):
            while sock.recv(65536):
                pass


def test_an_answer_taken_at_a_legal_speed(server):
    """In small bits, each of which is more than --slowest, for three times --answer-timeout."""
    s = server(**patient(answer_timeout=1, slowest="8K"))
    size, got = 16 << 20, 0
    with connect_small(s) as sock:
        ask_for_much(sock, size)
        began = time.monotonic()
        while time.monotonic() - began < 3:
            got += len(sock.recv(4096))
            time.sleep(0.02)
        while got < size:
            chunk = sock.recv(65536)
            assert chunk, f"it was cut at {got} bytes"
            got += len(chunk)
    assert late(s, "answer") == 0


ROOM_MAX = 16  # ROOM_CONNECTIONS_MAX
WIDE = 8 << 20  # ROOM_BYTES
PIDFD_GETFD = 438


def room_is_allowed():
    """As http/room.h says."""
    def last_of(name):
        with open(f"/proc/sys/net/{name}", encoding="ascii") as f:
            return int(f.read().split()[-1])

    return last_of("core/wmem_max") >= 4 << 20 and last_of("ipv4/tcp_wmem") < WIDE


def wide_sockets(s):
    """The server's sockets that have room."""
    call, count = ctypes.CDLL(None, use_errno=True).syscall, 0
    pidfd = os.pidfd_open(s.pid)
    for name in os.listdir(f"/proc/{s.pid}/fd"):
        fd = call(PIDFD_GETFD, pidfd, int(name), 0)
        if fd < 0:
            assert ctypes.get_errno() == errno.EBADF, os.strerror(ctypes.get_errno())
        elif stat.S_ISSOCK(os.fstat(fd).st_mode):
            with socket.socket(fileno=fd) as sock:
                count += sock.family == socket.AF_INET and sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF) >= WIDE
        else:
            os.close(fd)
    os.close(pidfd)
    return count


def test_large_files_that_nobody_takes(server, tmp_path):
    """So many have room as may, the others wait as they always did, and all get the whole of it."""
    body = os.urandom(10 << 20)
    (tmp_path / "www").mkdir()
    (tmp_path / "www/large.bin").write_bytes(body)
    s = server(**patient(), www=tmp_path / "www")
    count = ROOM_MAX if room_is_allowed() else 0
    with contextlib.ExitStack() as stack:
        socks = [stack.enter_context(connect_small(s)) for _ in range(ROOM_MAX + 4)]
        for sock in socks:
            sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: wide_sockets(s) == count, lambda: f"{wide_sockets(s)} wide sockets, not {count}")
        assert all(read_answer(sock).body == body for sock in reversed(socks))
    with connect_small(s) as sock:  # those who had it have left
        wait_connections(s, 1)
        sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: wide_sockets(s) == min(count, 1), "that there is room again")
        assert read_answer(sock).body == body


def test_a_large_file_that_nobody_takes_in_time(server, tmp_path):
    (tmp_path / "www").mkdir()
    (tmp_path / "www/large.bin").write_bytes(bytes(10 << 20))
    s = server(**patient(answer_timeout=1, slowest="1M"), www=tmp_path / "www")
    with connect_small(s) as sock:
        sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\n\r\n")
        wait_until(lambda: late(s, "answer") == 1, "that it is late")
        wait_connections(s, 0)


def listen_to(sock, target):
    sock.sendall(f"GET /compute/{target} HTTP/1.1\r\nHost: localhost\r\nAccept: text/event-stream\r\n\r\n".encode())


def test_a_listener_that_reads_nothing(server):
    s = server(**patient(answer_timeout=1, slowest="1M", timeout=FOREVER))
    with connect_small(s) as sock:
        listen_to(sock, "sleep?seconds=3000")
        s.wait_busy(1)
        wait_until(lambda: late(s, "answer") + late(s, "parked") == 1, "that it is late", 2 * PATIENCE)
        s.wait_idle()  # its work has ended with it
        wait_connections(s, 0)


def test_listeners_that_have_nothing_to_read_or_read_it(server):
    s = server(**patient(answer_timeout=1, slowest="1M", express=0, timeout=FOREVER))
    with connect_small(s) as reader, connect_small(s) as waiter:
        listen_to(reader, "sleep?seconds=3")
        s.wait_busy(1)
        listen_to(waiter, "sleep?seconds=0")  # queued: no events for 3 s
        s.wait_queued(1)
        assert b"event: result" in rest_of_events(reader)
        assert b"event: result" in rest_of_events(waiter)
    assert s.metric("prong_http_late_total") == 0


def rest_of_events(sock):
    data = b""
    while not data.endswith(b"0\r\n\r\n"):
        chunk = sock.recv(65536)
        assert chunk, data
        data += chunk
    return data


# ---- idle -----------------------------------------------------------------------------------------


def test_an_idle_connection_is_closed_without_a_word(server):
    s = server(**patient(idle=1))
    with s.connect() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert read_answer(sock).status == 200
        began = time.monotonic()
        assert sock.recv(1) == b""
        assert time.monotonic() - began > 0.9
    assert late(s, "idle") == 1


def test_a_connection_on_which_nothing_was_ever_sent(server):
    s = server(**patient(header_timeout=1))
    with s.connect() as sock:
        assert sock.recv(1) == b""
    assert late(s, "headers") == 0


def test_an_idle_connection_may_be_used_before_its_time(server):
    s = server(**patient(idle=2, header_timeout=1))
    with s.connect() as sock:
        for _ in range(2):
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
            assert read_answer(sock).status == 200
            assert not select.select([sock], [], [], 1.2 if SLOW == 1 else 0)[0]


def test_who_ends_with_the_request_is_not_kept(server):
    """The end came with the last bytes: libmicrohttpd does not see it by itself."""
    s = server(**patient(header_timeout=1))
    socks = [s.connect() for _ in range(20)]
    for sock in socks:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n")
        sock.shutdown(socket.SHUT_WR)
    for sock in socks:
        with sock:
            assert read_answer(sock).status == 200
            assert sock.recv(1) == b""


# ---- uploads that are given up --------------------------------------------------------------------


def give_up_uploads(s, length, body, count):
    for _ in range(count):
        with s.connect() as sock:
            sock.sendall(
                f"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\n{length}\r\n\r\n".encode() + body
            )


@pytest.mark.parametrize(
    "length, body",
    [("Content-Length: 1000000", b"x" * 5000), ("Transfer-Encoding: chunked", b"1000\r\n" + b"x" * 4096)],
    ids=["length", "chunked"],
)
def test_an_upload_that_is_given_up_ends_at_once(server, length, body):
    s = server(**patient())
    give_up_uploads(s, length, body, fewer(200))
    wait_connections(s, 0, 5)  # after 10 s they would be looked at, and noticed, by the way
    assert s.metric("prong_http_body_bytes") == 0
    assert s.metric("prong_http_late_total") == 0


def test_given_up_uploads_do_not_hold_its_end(server):
    s = server(**patient())
    give_up_uploads(s, "Content-Length: 1000000", b"x" * 5000, fewer(100))
    began = time.monotonic()
    s.stop()
    assert time.monotonic() - began < 4 * SLOW


def test_an_upload_that_stands_still_is_told_when_the_drain_is_over(server):
    s = server(**patient(drain=1))
    with s.connect() as sock:
        sock.sendall(
            b"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 100\r\n\r\nxxx"
        )
        wait_until(lambda: s.metric("prong_http_body_bytes") == 100, "the upload to be under way")
        os.kill(s.pid, signal.SIGTERM)
        assert_told(sock, 503, "draining")
    s.stop()


# ---- many -----------------------------------------------------------------------------------------


def test_a_thousand_slow_ones_trouble_nobody(server):
    count = fewer(1000)
    s = server(**patient(workers=2, header_timeout=2, connections=4096))
    with contextlib.ExitStack() as stack:
        slow = [stack.enter_context(s.connect(source="127.0.0.9")) for _ in range(count)]
        for sock in slow:
            sock.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n")
        with s.client() as client:
            while late(s, "headers") < count:
                assert client.get("/livez").status == 200
                assert client.get("/compute/primes?limit=100").json["count"] == 25
        for sock in slow:
            assert_told(sock)
    assert late(s, "headers") == count
    wait_connections(s, 0)


MODES = {
    "headers": ["-H", "-i", "1"],
    "body": ["-B", "-i", "1", "-s", "100000"],
    "ranges": ["-R", "-a", "1", "-b", "3000"],
    "read": ["-X", "-w", "10", "-y", "20", "-n", "1", "-z", "5", "-k", "1"],
}


@pytest.mark.skipif(SANITIZED, reason="a load test")
@pytest.mark.parametrize("mode", MODES)
def test_slowhttptest(server, mode):
    s = server(workers=2, header_timeout=1, body_timeout=1, answer_timeout=1, idle=1, slowest="1M", connections=2048)
    target = {"body": "/compute/echo", "read": "/compute/mandelbrot?width=800&height=600"}.get(mode, "/")
    attack = run("slowhttptest", "-c", "400", "-r", "200", "-l", "4", "-p", "15", "-u", s.url + target, *MODES[mode], timeout=120)
    text = re.sub(r"\x1b\[[0-9;]*m", "", attack.stdout)
    found = re.findall(r"service available:\s*(\w+)", text)
    assert found and set(found) == {"YES"}, text[-2000:] + attack.stderr
    wait_connections(s, 0)
    assert s.get("/compute/primes?limit=100").json["count"] == 25
