"""What one client may have of the server, and what all may: the limit, what who is over it is told, and that others do
not notice. The helpers' own client is 127.0.0.1; who is limited here comes from another loopback address."""
import contextlib
import select
import socket

import pytest
from conftest import PATIENCE, assert_problem, read_answer, wait_until

GREEDY, OTHER = "127.0.0.2", "127.0.0.3"
LIVEZ = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"


def is_served(sock):
    """Whether a request on this connection is answered; False when it is closed."""
    with contextlib.suppress(ConnectionError):
        sock.sendall(LIVEZ)
        answer = read_answer(sock)
        return answer is not None and answer.status == 200
    return False


def connect_until_served(s, stack, source):
    def attempt():
        sock = s.connect(source)
        if is_served(sock):
            return stack.enter_context(sock)
        sock.close()
        return None

    return wait_until(attempt, "a connection")


# ---- connections ----------------------------------------------------------------------------------


def test_connections_per_address(server):
    s = server(workers=1, connections_per_address=5)
    with contextlib.ExitStack() as stack:
        held = [stack.enter_context(s.connect(GREEDY)) for _ in range(5)]
        assert all(is_served(sock) for sock in held)
        for _ in range(3):
            assert not is_served(stack.enter_context(s.connect(GREEDY)))
        assert s.metric("prong_http_refused_total", why="connections") == 3
        assert all(is_served(stack.enter_context(s.connect(OTHER))) for _ in range(5))
        assert all(is_served(sock) for sock in held), "the old ones go on"
        held.pop().close()
        connect_until_served(s, stack, GREEDY)


def test_connections_of_any_number_by_default(server):
    s = server(workers=1)
    with contextlib.ExitStack() as stack:
        assert all(is_served(stack.enter_context(s.connect(GREEDY))) for _ in range(100))
        assert s.metric("prong_http_refused_total") == 0


def test_connections(server):
    """Those beyond wait until somebody leaves; who is in does not notice."""
    s = server(workers=1, threads=1, connections=8)
    with contextlib.ExitStack() as stack:
        held = [connect_until_served(s, stack, GREEDY) for _ in range(8)]
        waiting = stack.enter_context(s.connect(OTHER))
        waiting.sendall(LIVEZ)
        for _ in range(3):
            assert all(is_served(sock) for sock in held)
        assert not select.select([waiting], [], [], 0.2)[0]
        held.pop().close()
        assert read_answer(waiting).status == 200
        held.pop().close()
        assert s.get("/compute/primes?limit=100").json["count"] == 25


# ---- requests -------------------------------------------------------------------------------------


def burst(s, source, target, count):
    with s.client(source=source) as client:
        return [client.get(target) for _ in range(count)]


def test_requests_per_address(server):
    s = server(workers=1, requests_per_address=1, burst_per_address=200)
    answers = burst(s, GREEDY, "/compute", 250)
    allowed = [a for a in answers if a.status == 200]
    refused = [a for a in answers if a.status == 429]
    assert len(allowed) + len(refused) == 250
    assert 200 <= len(allowed) < 240
    assert all(a.status == 200 for a in answers[:200])
    assert s.metric("prong_http_refused_total", why="requests") == len(refused)
    assert burst(s, OTHER, "/compute", 1)[0].status == 200
    assert s.get("/compute/primes?limit=100").json["count"] == 25


def test_what_who_asks_too_much_is_told(server):
    s = server(workers=1, requests_per_address=1, burst_per_address=100)
    refused = next(a for a in burst(s, GREEDY, "/compute", 200) if a.status == 429)
    problem = assert_problem(refused, 429, "too-many-requests", option="--requests-per-address", retry_after=1)
    assert "1 s" in problem["detail"]
    assert refused.headers["Retry-After"] == "1"
    assert refused.headers["RateLimit-Policy"] == '"requests";q=100;w=100'
    assert refused.headers["RateLimit"] in ('"requests";r=0;t=100', '"requests";r=0;t=99')
    assert refused.headers["Connection"] is None, "it may ask again"

    def ask_again():
        return burst(s, GREEDY, "/compute", 1)[0].status == 200

    wait_until(ask_again, "a request to be allowed")


def test_every_answer_tells_the_quota(server):
    s = server(workers=1, requests_per_address=1, burst_per_address=1000)
    answers = burst(s, GREEDY, "/compute", 3) + burst(s, GREEDY, "/nothing", 1) + burst(s, GREEDY, "/compute/echo", 1)
    assert [a.headers["RateLimit"].split(";")[1] for a in answers] == ["r=999", "r=998", "r=997", "r=996", "r=995"]
    assert {a.headers["RateLimit-Policy"] for a in answers} == {'"requests";q=1000;w=1000'}
    assert burst(s, GREEDY, "/livez", 1)[0].headers["RateLimit"] is None
    assert burst(s, GREEDY, "/", 1)[0].headers["RateLimit"] is None, "kept answers are the same for all"


def test_no_quota_is_told_without_a_limit(server):
    s = server(workers=1)
    answer = s.get("/compute")
    assert answer.headers["RateLimit"] is None and answer.headers["RateLimit-Policy"] is None


def test_the_burst_is_twice_the_rate_by_default(server):
    s = server(workers=1, requests_per_address=300)
    assert burst(s, GREEDY, "/compute", 1)[0].headers["RateLimit-Policy"] == '"requests";q=600;w=2'


@pytest.mark.parametrize("target", ["/", "/nothing", "/state/nothing"])
def test_files_and_what_is_not_there_count(server, target):
    s = server(workers=1, requests_per_address=1, burst_per_address=100)
    assert 429 in {a.status for a in burst(s, GREEDY, target, 150)}


def test_probes_do_not_count(server):
    s = server(workers=1, requests_per_address=1, burst_per_address=100)
    assert 429 in {a.status for a in burst(s, GREEDY, "/compute", 150)}
    assert {a.status for a in burst(s, GREEDY, "/livez", 150) + burst(s, GREEDY, "/readyz", 150)} == {200}


def test_a_new_connection_is_no_new_bucket(server):
    s = server(workers=1, requests_per_address=1, burst_per_address=100)
    assert 429 in {a.status for a in burst(s, GREEDY, "/compute", 150)}
    assert 429 in {a.status for _ in range(5) for a in burst(s, GREEDY, "/compute", 1)}


# ---- bodies ---------------------------------------------------------------------------------------


def upload(s, stack, announced, sent, source=GREEDY):
    """One that has begun, and goes on."""
    sock = stack.enter_context(s.connect(source))
    sock.sendall(
        f"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: {announced}\r\n\r\n".encode()
        + b"x" * sent
    )
    return sock


def body_bytes(s):
    return s.metric("prong_http_body_bytes")


def test_bodies_max(server):
    s = server(workers=1, bodies_max="1M")
    with contextlib.ExitStack() as stack:
        first = upload(s, stack, 1000000, 1000)
        wait_until(lambda: body_bytes(s) == 1000000, "the first to be under way")
        refused = read_answer(upload(s, stack, 1000000, 0, OTHER))
        assert_problem(refused, 503, "bodies-full", option="--bodies-max", retry_after=1)
        assert refused.headers["Retry-After"] == "1" and refused.headers["Connection"] == "close"
        assert s.metric("prong_http_refused_total", why="bodies") == 1
        assert body_bytes(s) == 1000000, "the refused one has given back what it took"
        assert s.post("/compute/echo", b"small", content_type="text/plain").text == "small"
        first.sendall(b"x" * 999000)
        assert read_answer(first).body == b"x" * 1000000
        wait_until(lambda: body_bytes(s) == 0, "the room to be free again")
        assert s.post("/compute/echo", b"x" * (1 << 20), content_type="text/plain").status == 200, "as much as there may be"
    wait_until(lambda: body_bytes(s) == 0, "the room to be free again")


def test_bodies_max_of_a_body_in_chunks(server):
    s = server(workers=1, bodies_max="1M")
    with contextlib.ExitStack() as stack:
        upload(s, stack, 1000000, 1000)
        wait_until(lambda: body_bytes(s) == 1000000, "the first to be under way")
        sock = stack.enter_context(s.connect(OTHER))
        sock.sendall(
            b"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
            b"13880\r\n" + b"x" * 80000 + b"\r\n0\r\n\r\n"
        )
        assert_problem(read_answer(sock), 503, "bodies-full", option="--bodies-max")
    wait_until(lambda: body_bytes(s) == 0, "the room to be free again")


def test_who_gives_up_gives_its_room_back(server):
    s = server(workers=1, bodies_max="1M")
    for _ in range(5):
        with contextlib.ExitStack() as stack:
            upload(s, stack, 1000000, 1000)
            wait_until(lambda: body_bytes(s) == 1000000, "it to be under way")
        wait_until(lambda: body_bytes(s) == 0, "the room to be free again")
    assert s.metric("prong_http_refused_total") == 0
