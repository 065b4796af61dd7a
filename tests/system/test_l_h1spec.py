"""The 33 things that h1spec asks of an HTTP/1.1 server: half a request is waited for, a whole one is judged."""
import contextlib

import pytest
from conftest import library_version, read_answer

WHOLE = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n"

# Ends of what has come so far: inside and behind each element of the head.
FRAGMENTS = {
    "inside the method": 1,
    "behind the method": 4,
    "inside the target": 6,
    "behind the target": 11,
    "inside the version": 15,
    "behind the version": 19,
    "behind CR": 20,
    "behind the request line": 21,
    "inside a name": 24,
    "behind the colon": 26,
    "behind the blank": 27,
    "inside a value": 36,
    "behind the CR of a header": 37,
    "behind a header": 38,
    "before the last LF": 39,
}

# (the request, first and last status that will do, the body if one is wanted)
REQUESTS = {
    "no version": (b"GET / \r\n\r\n", 400, 599, None),
    "Expect": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nExpect: 100-continue\r\n\r\n", 200, 299, None),
    "a plain GET": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\n\r\n", 200, 299, None),
    "odd but sound": (b"GET /livez HTTP/1.1\r\nhoSt:\texample.com\r\nempty:\r\n\r\n", 200, 299, None),
    "brackets in a name": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nX-Invalid[]: test\r\n\r\n", 400, 499, None),
    "no Host": (b"GET /livez HTTP/1.1\r\nContent-Length: 5\r\n\r\n", 400, 499, None),
    "two Hosts": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nHost: example.org\r\n\r\n", 400, 499, None),
    "length far below zero": (
        b"GET /livez HTTP/1.1\r\nHost: example.com\r\nContent-Length: -123456789123456789123456789\r\n\r\n", 400, 499, None,
    ),
    "length below zero": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nContent-Length: -1234\r\n\r\n", 400, 499, None),
    "length of letters": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nContent-Length: abc\r\n\r\n", 400, 499, None),
    "empty value": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nX-Empty-Header: \r\n\r\n", 200, 299, None),
    "control byte": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\nX-Bad-Control-Char: test\x07\r\n\r\n", 400, 499, None),
    "version 9.9": (b"GET /livez HTTP/9.9\r\nHost: example.com\r\n\r\n", 400, 599, None),
    "words before the request": (b"Extra lineGET /livez HTTP/1.1\r\nHost: example.com\r\n\r\n", 400, 599, None),
    "CR where a line should end": (b"GET /livez HTTP/1.1\r\nHost: example.com\r\n\rSome-Header: Test\r\n\r\n", 400, 499, None),
    "a body": (
        b"POST /compute/echo HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\nhello",
        200, 299, b"hello",
    ),
    "chunks": (
        b"POST /compute/echo HTTP/1.1\r\nHost: example.com\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"c\r\nHellO world1\r\n0\r\n\r\n",
        200, 299, b"HellO world1",
    ),
    "length and coding": (
        b"POST /compute/echo HTTP/1.1\r\nHost: example.com\r\ncontent-LengtH: 5\r\nTransFer-Encoding: chunked\r\n\r\n"
        b"c\r\nHellO world1\r\n0\r\n\r\n",
        400, 499, None,
    ),
}

# Where the first line does not even look like a request, libmicrohttpd then closes without a word.
SILENT_SINCE_1_0 = {"words before the request"}


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=1, hosts="*")


def test_there_are_33():
    assert len(FRAGMENTS) + len(REQUESTS) == 33


@pytest.mark.parametrize("name", FRAGMENTS)
def test_a_fragment_is_waited_for(s, name):
    cut = FRAGMENTS[name]
    with s.connect() as sock:
        sock.sendall(WHOLE[:cut])
        assert s.get("/livez").status == 200  # time enough to do something wrong
        sock.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            assert False, sock.recv(100)
        sock.setblocking(True)
        sock.sendall(WHOLE[cut:])
        assert read_answer(sock).text == "ok\n"


@pytest.mark.parametrize("name", REQUESTS)
def test_a_request_is_judged(s, name):
    data, lowest, highest, body = REQUESTS[name]
    answer = s.raw(data)
    if name in SILENT_SINCE_1_0 and library_version() >= (1, 0):
        assert answer is None, answer
        return
    assert answer is not None and lowest <= answer.status <= highest, answer
    assert body is None or answer.body == body
