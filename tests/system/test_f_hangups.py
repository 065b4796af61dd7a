"""Who leaves wants nothing any more: its work stops, and what waited never starts."""
import contextlib
import socket
import struct

import pytest
from conftest import fewer, wait_until


def hang_up(sock, rudely):
    if rudely:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


def send(s, target, accept="*/*"):
    sock = s.connect()
    sock.sendall(f"GET /compute/{target} HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\n\r\n".encode())
    return sock


@pytest.mark.parametrize("rudely", [False, True], ids=["fin", "rst"])
def test_200_clients_that_leave(server, rudely):
    s = server(workers=2, express=0)
    before = s.worker_pids()
    clients = [send(s, "sleep?seconds=60") for _ in range(200)]
    s.wait_busy(2)
    wait_until(lambda: s.metric("prong_http_requests_parked") == 200, "200 requests accepted")
    for sock in clients:
        hang_up(sock, rudely)
    s.wait_idle(5)
    assert s.metric("prong_client_hangups_total") == 200
    assert s.metric("prong_jobs_total", outcome="cancelled") == 200
    assert s.worker_pids() == before
    assert s.tasks() <= 4
    assert s.get("/compute/primes?limit=100").json["count"] == 25
    wait_until(lambda: s.metric("prong_http_connections") <= 1, "the connections closed")


@pytest.mark.parametrize("target", ["primes?limit=100000000000", "pi?samples=1000000000000", "sum?end=10000000000000", "matmul?n=2048", "mandelbrot?width=4096&height=4096&iterations=100000"])
def test_mid_compute(server, target):
    s = server(workers=2)
    sock = send(s, target)
    s.wait_busy(2)
    sock.close()
    s.wait_idle(5)
    assert s.metric("prong_client_hangups_total") == 1


def test_a_queued_one_never_starts(server):
    s = server(workers=1, express=0)
    running = s.later("GET", "/compute/sleep?seconds=2")
    s.wait_busy(1)
    waiting = [send(s, "sleep?seconds=0") for _ in range(10)]
    s.wait_queued(10)
    for sock in waiting:
        sock.close()
    wait_until(lambda: s.queued() == 0, "the queue to be empty")
    assert not running.is_done, "the worker was free before they left: proves nothing"
    assert running.result().status == 200
    s.wait_idle()
    s.wait_tasks(1)


@pytest.mark.parametrize("target", ["sleep?seconds=60", "primes?limit=100000000000"])
def test_a_listener_that_leaves(server, target):
    s = server(workers=2)
    sock = send(s, target, "text/event-stream")
    with sock, sock.makefile("rb") as lines:
        while not lines.readline().startswith(b"event: progress"):
            pass
    s.wait_idle(5)


def test_leaving_while_the_answer_comes(server):
    s = server(workers=2, result_max="64M")
    for _ in range(fewer(20)):
        with contextlib.closing(send(s, "mandelbrot?width=2000&height=1000&iterations=1")) as sock:
            sock.recv(100)
    s.wait_idle()
    assert s.get("/compute/echo").status == 200


def test_others_do_not_notice(server):
    s = server(workers=2, timeout=86400)  # long enough for all the work that is asked for and not wanted
    steady = [s.later("GET", f"/compute/primes?limit={20000000 + i % 3}") for i in range(6)]
    for _ in range(fewer(50)):
        send(s, "sleep?seconds=60").close()
        send(s, "primes?limit=100000000000").close()
    answers = [r.result() for r in steady]
    assert [a.status for a in answers] == [200] * 6
    assert {a.json["count"] for a in answers} == {1270607}
    s.wait_idle()


def test_a_half_closed_client_still_may_read(server):
    """shutdown(SHUT_WR) looks like a hang-up; either way nothing may hang."""
    s = server(workers=1)
    with send(s, "sleep?seconds=0.5") as sock:
        sock.shutdown(socket.SHUT_WR)
        sock.recv(65536)
    s.wait_idle()


def test_a_listener_that_leaves_in_the_first_chunk(server):
    s = server(workers=1, express=0)
    sock = send(s, "sum?end=10000000000000", "text/event-stream")
    s.wait_busy(1)
    hang_up(sock, False)
    s.wait_idle(5)
    assert s.metric("prong_jobs_total", kernel="sum", outcome="cancelled") == 1
