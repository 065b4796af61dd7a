"""Every wrong request gets a sentence that helps, starts nothing, and leaves nothing behind."""
import contextlib
import json
import socket

import pytest
from conftest import SANITIZED, SLOW, assert_problem, fewer, read_answer, rss_bytes, wait_until

MIB = 1 << 20
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def made(shared_server):
    return shared_server(workers=2)


@pytest.fixture
def s(made):
    return made


@pytest.fixture(scope="module", autouse=True)
def nothing_was_started(shared_server):
    yield
    for s in shared_server.made:
        s.wait_idle()
        s.wait_tasks(s.metric("prong_tasks_total"))


def post(s, kernel, text, **more):
    return s.post(f"/compute/{kernel}", text, headers=JSON, **more)


# ---- parameters -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kernel,body,parameter,got",
    [
        ("primes", {"nope": 1}, "nope", None),
        ("primes", {"limit": 1, "Limit": 2}, "Limit", None),
        ("primes", {"": 1}, "", None),
        ("primes", {"limit": "100"}, "limit", '"100"'),
        ("primes", {"limit": None}, "limit", "null"),
        ("primes", {"limit": True}, "limit", "true"),
        ("primes", {"limit": 1.5}, "limit", "1.5"),
        ("primes", {"limit": [1]}, "limit", "an array of 1"),
        ("primes", {"limit": {"a": 1}}, "limit", "an object"),
        ("primes", {"limit": -1}, "limit", "-1"),
        ("primes", {"limit": 100000000001}, "limit", "100000000001"),
        ("primes", {"limit": 1e300}, "limit", None),
        ("sum", {"start": -1}, "start", "-1"),
        ("sleep", {"seconds": 3600.5}, "seconds", "3600.5"),
        ("sleep", {"seconds": "1"}, "seconds", '"1"'),
        ("matmul", {"n": 0}, "n", "0"),
        ("matmul", {"n": 2049}, "n", "2049"),
        ("pi", {"seed": -1}, "seed", "-1"),
        ("mandelbrot", {"width": 8193}, "width", "8193"),
        ("mandelbrot", {"scale": 0}, "scale", "0"),
        ("map", {"fn": "tan", "values": [1]}, "fn", '"tan"'),
        ("map", {"fn": 1, "values": [1]}, "fn", "1"),
        ("map", {"fn": "sin"}, "values", None),
        ("map", {"values": 1}, "values", "1"),
        ("map", {"values": [1, "2"]}, "values", None),
        ("stats", {}, "values", None),
        ("stats", {"values": None}, "values", "null"),
        ("stats", {"values": [[1]]}, "values", None),
        ("echo", {"message": 1}, "message", "1"),
        ("wordcount", {"text": "x"}, "text", None),
    ],
)
def test_bad_parameter(s, kernel, body, parameter, got):
    problem = assert_problem(s.post(f"/compute/{kernel}", body), 400, "bad-parameter", parameter=parameter)
    assert parameter in problem["detail"]
    assert got is None or (problem["got"] == got and got in problem["detail"]), problem


@pytest.mark.parametrize(
    "kernel,parameter,bad,low,high",
    [
        ("primes", "limit", -5, 0, 100000000000),
        ("matmul", "n", 0, 1, 2048),
        ("sleep", "seconds", -0.5, 0, 3600),
        ("mandelbrot", "x", 5, -4, 4),
    ],
)
def test_bounds_are_told(s, kernel, parameter, bad, low, high):
    for answer in (s.post(f"/compute/{kernel}", {parameter: bad}), s.get(f"/compute/{kernel}?{parameter}={bad}")):
        problem = assert_problem(answer, 400, "bad-parameter", parameter=parameter, minimum=low, maximum=high)
        assert str(high) in problem["detail"] and str(low) in problem["detail"]


@pytest.mark.parametrize(
    "query,parameter",
    [
        ("primes?nope=1", "nope"),
        ("primes?limit=x", "limit"),
        ("primes?limit=", "limit"),
        ("primes?limit", "limit"),
        ("primes?limit=1.5", "limit"),
        ("primes?limit=0x10", "limit"),
        ("primes?limit=1&limit=1", "limit"),
        ("primes?limit=%201", "limit"),
        ("primes?limit=NaN", "limit"),
        ("primes?limit=Infinity", "limit"),
        ("primes?limit=true", "limit"),
        ("primes?limit=99999999999999999999999999", "limit"),
        ("sleep?seconds=nan", "seconds"),
        ("sleep?seconds=inf", "seconds"),
        ("sleep?seconds=1e999", "seconds"),
        ("map?fn=sin", "values"),
        ("map?fn=SIN&values=1", "fn"),
        ("map?values=1,,2", "values"),
        ("map?values=1,x", "values"),
        ("map?values=%5B1", "values"),
        ("map?values=%7B%22a%22:1%7D", "values"),
        ("echo?message=%FF", "message"),
        ("echo?message=%ED%A0%80", "message"),
        ("echo?message=a&message=b", "message"),
    ],
)
def test_bad_query(s, query, parameter):
    problem = assert_problem(s.get("/compute/" + query), 400, "bad-parameter", parameter=parameter)
    assert parameter in problem["detail"]


def test_nul_in_the_query(s):
    assert s.get("/compute/echo?message=a%00b").status == 400


def test_a_parameter_in_the_query_and_in_the_body(s):
    assert_problem(post(s, "primes?limit=5", '{"limit":5}'), 400, "bad-parameter", parameter="limit")


def test_values_beside_raw_input(s):
    answer = s.post("/compute/stats?values=1", b"\0" * 8, headers={"Content-Type": "application/octet-stream"})
    assert_problem(answer, 400, "bad-parameter", parameter="values")


# ---- JSON -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "{",
        '{"limit":',
        '{"limit":1',
        '{"limit":1}}',
        '{"limit":1} x',
        '{"limit":1,}',
        '{limit:1}',
        "{'limit':1}",
        '{"limit":1 "x":2}',
        '{"limit":01}',
        '{"limit":+1}',
        '{"limit":.5}',
        '{"limit":1.}',
        '{"limit":NaN}',
        '{"limit":Infinity}',
        '{"limit":-Infinity}',
        '{"limit":1e999}',
        '{"limit":9007199254740993}',
        '{"limit":-9007199254740993}',
        '{"limit":99999999999999999999999999999999}',
        '{"limit":1,"limit":1}',
        '{"limit":"\\u12"}',
        '{"limit":"\\ud800"}',
        '{"limit":"\\x41"}',
        '{"limit":"a\nb"}',
        '{"limit":"a',
        '{"limit":tru}',
        '{"limit":/* */1}',
        "\ufeff{}",
        "[" * 3000 + "]" * 3000,
        '{"a":' * 3000 + "1" + "}" * 3000,
        '{"values":' + "[" * 3000 + "]" * 3000 + "}",
        "[",
        "\0",
        '{"limit":1}\0',
    ],
    ids=lambda text: repr(text[:24]),
)
def test_bad_json(s, text):
    problem = assert_problem(post(s, "primes", text), 400, "bad-json")
    assert problem["line"] >= 1 and problem["column"] >= 1


@pytest.mark.parametrize("body", [b'{"message":"\xff"}', b'{"message":"\xc0\xaf"}', b'{"message":"\xed\xa0\x80"}', b'{"message":"\xf5\x80\x80\x80"}', b'{"\xe2\x82":1}', b'\xff\xfe{\0}\0'])
def test_invalid_utf8(s, body):
    assert_problem(post(s, "echo", body), 400, "bad-json")


def test_line_and_column(s):
    problem = assert_problem(post(s, "primes", '{\n  "limit": x\n}'), 400, "bad-json", line=2)
    assert 10 <= problem["column"] <= 13


def test_nul_in_a_text(s):
    assert s.post("/compute/echo", {"message": "a\0b"}).status == 400


@pytest.mark.parametrize("text", ["[]", "1", '"x"', "null", "true", "[1,2]"])
def test_json_that_is_no_object(s, text):
    assert_problem(post(s, "primes", text), 400, "bad-json")


def test_2_to_the_53_is_fine(s):
    problem = assert_problem(post(s, "primes", '{"limit":9007199254740992}'), 400, "bad-parameter")
    assert problem["got"] == "9007199254740992"


# ---- sizes ----------------------------------------------------------------------------------------


def message_of(size):
    body = b'{"message":"' + b"x" * (size - 14) + b'"}'
    assert len(body) == size
    return body


def test_8_mib_of_json(s):
    answer = post(s, "echo", message_of(8 * MIB))
    assert answer.status == 200 and len(answer.body) == 8 * MIB


def test_one_byte_more(s):
    assert_problem(post(s, "echo", message_of(8 * MIB + 1)), 413, "body-too-large", limit=8 * MIB)


def test_one_byte_more_in_chunks(s):
    with s.connect() as sock:
        sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n")
        body = message_of(8 * MIB + 1)
        try:
            for at in range(0, len(body), 65536):
                piece = body[at : at + 65536]
                sock.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
            sock.sendall(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            pass
        assert_problem(read_answer(sock), 413, "body-too-large", limit=8 * MIB)


def test_too_much_is_refused_before_it_is_sent(s):
    with s.connect() as sock:
        sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 999999999999\r\n\r\n")
        assert_problem(read_answer(sock), 413, "body-too-large", limit=8 * MIB)


def test_expect_100_continue(s):
    with s.connect() as sock:
        sock.sendall(
            b"POST /compute/primes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 11\r\nExpect: 100-continue\r\n\r\n"
        )
        assert sock.recv(4096).startswith(b"HTTP/1.1 100 ")
        sock.sendall(b'{"limit":5}')
        assert read_answer(sock).json["count"] == 3


def test_expect_100_continue_of_too_much(s):
    with s.connect() as sock:
        sock.sendall(
            b"POST /compute/primes HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 9999999\r\nExpect: 100-continue\r\n\r\n"
        )
        assert_problem(read_answer(sock), 413, "body-too-large")


def test_raw_above_its_limit(server):
    s = server(workers=1, raw_max="1M")
    headers = {"Content-Type": "application/octet-stream"}
    assert s.post("/compute/echo", b"x" * MIB, headers=headers).status == 200
    assert_problem(s.post("/compute/echo", b"x" * (MIB + 1), headers=headers), 413, "body-too-large", limit=MIB)


def test_limits_are_options(server):
    s = server(workers=1, json_max="2K")
    assert post(s, "echo", message_of(2048)).status == 200
    assert_problem(post(s, "echo", message_of(2049)), 413, "body-too-large", limit=2048)


def test_a_result_above_its_limit(server):
    s = server(workers=1, result_max="64K")
    values = [1 / 3] * 10000
    assert_problem(s.post("/compute/map", {"fn": "sqrt", "values": values}), 500, "kernel-failed")
    assert s.get("/compute/echo").status == 200


def test_a_body_where_none_belongs(s):
    assert s.ask("GET", "/livez", b"x" * 10).status in (200, 413)
    assert s.ask("GET", "/compute/echo", b"x" * 100000).status in (200, 413)


def test_a_long_target(s):
    for size in (9000, 20000, 100000):
        answer = s.raw(b"GET /" + b"x" * size + b" HTTP/1.1\r\nHost: x\r\n\r\n")
        assert answer is None or answer.status in (404, 414, 431), answer
    assert_problem(s.raw(b"GET /" + b"x" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n"), 414, "target-too-long")


def test_long_headers(s):
    answer = s.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Long: " + b"x" * 100000 + b"\r\n\r\n")
    assert answer is not None and answer.status == 431


def test_many_headers(s):
    answer = s.raw(b"GET /livez HTTP/1.1\r\nHost: x\r\n" + b"".join(b"X-%d: y\r\n" % i for i in range(5000)) + b"\r\n")
    assert answer is not None and answer.status == 431


# ---- the protocol ---------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "data",
    [
        b"GET /livez HTTP/1.1\r\n\r\n",
        b"GET /livez HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nContent-Length: 3\r\n\r\n{}",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Length: -2\r\n\r\n{}",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Length: +2\r\n\r\n{}",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Length: 2x\r\n\r\n{}",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
        b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n",
        b"GET livez HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%zz HTTP/1.1\r\nHost: x\r\n\r\n",
        b"GET /%00 HTTP/1.1\r\nHost: x\r\n\r\n",
    ],
)
def test_400_of_the_protocol(s, data):
    answer = s.raw(data)
    assert answer is not None and answer.status == 400, answer


GARBAGE = {
    "empty lines": b"\r\n\r\n\r\n",
    "NULs": b"\0" * 100,
    "TLS": b"\x16\x03\x01\x02\x00\x01",
    "a word": b"GET\r\n\r\n",
    "no end": b"x" * 200000,
    "version 9.9": b"GET / HTTP/9.9\r\nHost: x\r\n\r\n",
}


@pytest.fixture(scope="module")
def hasty(shared_server):
    """Closes what is idle for a second: libmicrohttpd may miss an end that comes together with the last bytes."""
    return shared_server(workers=1, idle=1)


@pytest.mark.parametrize("name", GARBAGE)
def test_garbage_gets_an_error_or_nothing(hasty, name):
    with hasty.connect() as sock:
        with contextlib.suppress(OSError):
            sock.sendall(GARBAGE[name])
            sock.shutdown(socket.SHUT_WR)
        answer = read_answer(sock)
    assert answer is None or answer.status >= 400
    assert hasty.get("/livez").status == 200


def test_http_1_0(s):
    answer = s.raw(b"GET /compute/echo HTTP/1.0\r\n\r\n")
    assert answer.status == 200 and answer.json == {"message": "hello"}


def test_absolute_target(s):
    assert s.raw(b"GET http://x/compute/echo HTTP/1.1\r\nHost: x\r\n\r\n").status == 200


@pytest.mark.parametrize("end", [socket.SHUT_WR, socket.SHUT_RDWR])
def test_a_body_that_stops_short(hasty, end):
    with hasty.connect() as sock:
        sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 100\r\n\r\n{")
        sock.shutdown(end)
        if end == socket.SHUT_WR:
            answer = read_answer(sock)
            assert answer is None or answer.status in (400, 408)


def test_one_plain_line_for_who_accepts_only_text(s):
    for accept in ("text/plain", "text/*"):
        answer = s.get("/nope", accept=accept)
        assert answer.status == 404 and answer.headers["Content-Type"].startswith("text/plain")
        assert answer.text.count("\n") == 1 and answer.text.endswith(".\n")


def test_what_came_is_cut_short(s):
    problem = assert_problem(s.post("/compute/primes", {"limit": "y" * 100000}), 400, "bad-parameter")
    assert len(problem["got"]) < 200 and len(problem["detail"]) < 1000


def test_names_that_are_long_or_odd(s):
    for name in ("n" * 10000, "\u0001", '"', "<script>", "é"):
        problem = assert_problem(s.post("/compute/primes", {name: 1}), 400, "bad-parameter")
        assert len(problem["detail"]) < 1000


# ---- and nothing is left behind -------------------------------------------------------------------


def storm(s, rounds):
    wrong = [
        ("/compute/primes", b'{"limit":', 400),
        ("/compute/primes", b'{"limit":-1}', 400),
        ("/compute/primes", b'{"nope":1}', 400),
        ("/compute/primes", b'{"limit":1,"limit":1}', 400),
        ("/compute/stats", json.dumps({"values": [1.5] * 2000 + ["x"]}).encode(), 400),
        ("/compute/echo", b'{"message":"' + b"\xff" * 5000 + b'"}', 400),
        ("/compute/primes", b"[" * 3000, 400),
        ("/compute/nope", b"{}", 404),
        ("/nope", b"{}", 404),
    ]
    with s.client() as client:
        for i in range(rounds):
            path, body, status = wrong[i % len(wrong)]
            assert client.ask("POST", path, body, headers=JSON).status == status
            if i % 50 == 0:
                assert client.ask("POST", "/compute/primes", b"x" * 10, headers={"Content-Type": "text/plain"}).status == 415


def test_thousands_of_bad_requests_leave_nothing(server):
    s = server(workers=1)
    storm(s, 500)
    before = rss_bytes(s.pid)
    storm(s, fewer(5000))
    s.wait_idle()
    assert s.tasks() == 0
    if not SANITIZED:
        assert rss_bytes(s.pid) - before < 4 * MIB


def large_and_bad(s, rounds):
    big = message_of(8 * MIB + 1)
    wrong = b'{"values":[' + b"1," * (2 * MIB) + b"x]}"
    for _ in range(rounds):
        assert post(s, "echo", big).status == 413
        assert post(s, "stats", wrong).status == 400
    s.wait_idle()


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_large_bad_requests_do_not_pile_up(server):
    s = server(workers=1, threads=1)
    large_and_bad(s, 10)
    before = rss_bytes(s.pid)
    large_and_bad(s, 15)
    assert rss_bytes(s.pid) - before < 12 * MIB


@pytest.mark.skipif(SANITIZED, reason="a sanitizer keeps what was freed")
def test_the_memory_of_large_bad_requests_comes_back(server):
    s = server(workers=1)
    s.get("/status")
    before = rss_bytes(s.pid)
    large_and_bad(s, 10)
    wait_until(lambda: rss_bytes(s.pid) - before < 32 * MIB, lambda: f"memory back: {(rss_bytes(s.pid) - before) / MIB:.0f} MiB", 10)


def test_uploads_that_are_given_up_leave_nothing(server):
    s = server(workers=1, idle=1, bodies_max="64G")

    def half():
        with s.connect() as sock:
            sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: application/octet-stream\r\nContent-Length: 60000000\r\n\r\n")
            sock.sendall(b"x" * MIB)

    for _ in range(3):
        half()
    before = rss_bytes(s.pid)
    for _ in range(fewer(40)):
        half()
    wait_until(lambda: s.metric("prong_http_connections") <= 1, "all connections closed")
    s.wait_idle()
    if not SANITIZED:
        wait_until(lambda: rss_bytes(s.pid) - before < 16 * MIB, lambda: f"memory back: {rss_bytes(s.pid) - before}")


def test_idle_connections_are_closed(server):
    s = server(workers=1, idle=1)
    with s.connect() as sock:
        sock.sendall(b"GET /livez HTTP/1.1\r\nHost: x\r\nX-Half: ")
        sock.settimeout(30 * SLOW)
        answer = read_answer(sock)
        assert answer is None or answer.status == 408
