"""The right answers, whichever way the work is asked for and split."""
import array
import json
import math
import random
import statistics
import struct
import zlib

import pytest
from conftest import SLOW, assert_problem, events_of

KERNELS = {"echo", "sleep", "sum", "primes", "pi", "stats", "map", "matmul", "wordcount", "mandelbrot", "page"}
SPLITTABLE = KERNELS - {"echo", "sleep", "page"}
MEASURING = {"lab"}  # whose answer is another each time


@pytest.fixture(scope="module")
def one(shared_server):
    return shared_server(workers=1)


@pytest.fixture(scope="module")
def three(shared_server):
    return shared_server(workers=3)


@pytest.fixture
def s(three):
    return three


def doubles(values):
    return struct.pack(f"<{len(values)}d", *values)


def raw(s, kernel, body, media_type="application/octet-stream", query="", **more):
    return s.post(f"/compute/{kernel}{query}", body, headers={"Content-Type": media_type}, **more)


# ---- known answers --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "target,expected",
    [
        ("echo", {"message": "hello"}),
        ("echo?message=", {"message": ""}),
        ("echo?message=a%20b%26c%3D%2B+d", {"message": "a b&c=+ d"}),
        ("echo?message=%C3%A9%E2%82%AC%F0%9F%90%8D", {"message": "é€🐍"}),
        ("sleep?seconds=0", {"slept": 0}),
        ("sleep?seconds=0.01", {"slept": 0.01}),
        ("sum?end=10", {"sum": 45, "count": 10}),
        ("sum", {"sum": 4999999950000000, "count": 100000000}),
        ("sum?start=7&end=7", {"sum": 0, "count": 0}),
        ("sum?start=9999999999000&end=10000000000000", {"sum": 9999999999499500, "count": 1000}),
        ("primes?limit=0", {"count": 0, "limit": 0}),
        ("primes?limit=2", {"count": 1, "limit": 2}),
        ("primes?limit=100", {"count": 25, "limit": 100}),
        ("primes", {"count": 664579, "limit": 10000000}),
        ("primes?limit=1000003", {"count": 78499, "limit": 1000003}),
        ("primes?limit=100000000", {"count": 5761455, "limit": 100000000}),
        ("stats?values=1,2,3,4", {"count": 4, "sum": 10, "min": 1, "max": 4, "mean": 2.5, "stddev": math.sqrt(1.25)}),
        ("stats?values=[]", {"count": 0, "sum": None, "min": None, "max": None, "mean": None, "stddev": None}),
        ("wordcount", {"words": 0, "lines": 0, "bytes": 0, "top": []}),
    ],
)
def test_known(s, target, expected):
    answer = s.get("/compute/" + target)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "application/json"
    assert answer.json == expected


def test_an_exact_sum_above_64_bits(s):
    """10^13 numbers take too long; the exactness of 128 bits shows from 2^63 on: here 1.0e19 and more."""
    start, count = 10**13 - 2 * 10**6, 2 * 10**6
    expected = sum(range(start, start + count))
    assert expected > 2**63
    assert s.get(f"/compute/sum?start={start}&end={start + count}").json == {"sum": expected, "count": count}


@pytest.mark.parametrize("samples", [1, 1000, 1000000])
def test_pi(s, samples):
    result = s.get(f"/compute/pi?samples={samples}").json
    assert result["samples"] == samples and 0 <= result["inside"] <= samples
    assert result["pi"] == 4 * result["inside"] / samples
    assert samples < 10**6 or abs(result["pi"] - math.pi) < 0.01


def test_pi_depends_on_the_seed_alone(s):
    assert s.get("/compute/pi?samples=100000&seed=5").body == s.get("/compute/pi?samples=100000&seed=5").body
    assert s.get("/compute/pi?samples=100000&seed=5").body != s.get("/compute/pi?samples=100000&seed=6").body


def test_stats_of_many(s):
    random.seed(3)
    values = [random.gauss(10, 3) for _ in range(50000)]
    for answer in (s.post("/compute/stats", {"values": values}), raw(s, "stats", doubles(values))):
        result = answer.json
        assert (result["count"], result["min"], result["max"]) == (50000, min(values), max(values))
        assert result["sum"] == pytest.approx(math.fsum(values), rel=1e-12)
        assert result["mean"] == pytest.approx(math.fsum(values) / 50000, rel=1e-12)
        assert result["stddev"] == pytest.approx(statistics.pstdev(values), rel=1e-9)


@pytest.mark.parametrize(
    "fn,function",
    [
        ("sqrt", lambda x: math.sqrt(x) if x >= 0 else None),
        ("square", lambda x: x * x),
        ("exp", math.exp),
        ("log", lambda x: math.log(x) if x > 0 else None),
        ("sin", math.sin),
        ("cos", math.cos),
        ("abs", abs),
        ("negate", lambda x: -x),
    ],
)
def test_map(s, fn, function):
    values = [4, -1, 0, 0.5, 1e-3, 100.25, -7]
    result = s.post("/compute/map", {"fn": fn, "values": values}).json
    expected = [function(v) for v in values]
    assert len(result) == len(values)
    for got, want in zip(result, expected):
        assert got is None if want is None else got == pytest.approx(want, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("more", [{}, {"prong_chunks": 1}, {"prong_chunks": 2}], ids=["auto", "1", "2"])
def test_map_answers_in_the_form_it_was_asked(s, more):
    values = [float(i) for i in range(20001)]
    answer = raw(s, "map", doubles(values), query="?fn=square", **more)
    assert answer.headers["Content-Type"] == "application/octet-stream"
    assert array.array("d", answer.body).tolist() == [v * v for v in values]
    assert s.get("/compute/map?fn=square&values=%5B1,2,3%5D").json == [1, 4, 9]


def test_matmul(s):
    a = s.get("/compute/matmul?n=64&seed=9").json
    assert a["n"] == 64 and a["frobenius"] > 0 and abs(a["trace"]) < a["frobenius"] * 64
    assert a == s.get("/compute/matmul?n=64&seed=9").json
    assert a != s.get("/compute/matmul?n=64&seed=10").json


def test_wordcount(s):
    text = "The cat, the dog\nand THE bird; the end\n" * 1000
    result = raw(s, "wordcount", text, "text/plain; charset=utf-8").json
    assert (result["words"], result["lines"], result["bytes"]) == (9000, 2000, len(text))
    assert result["top"][0] == ["the", 4000]
    assert [n for _, n in result["top"]] == sorted((n for _, n in result["top"]), reverse=True)


def png_pixels(data):
    """(width, height, unfiltered scanlines' raw bytes) of a PNG whose checksums hold."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    at, packed, names, head = 8, b"", [], None
    while at < len(data):
        (size,) = struct.unpack(">I", data[at : at + 4])
        name, body = data[at + 4 : at + 8], data[at + 8 : at + 8 + size]
        assert struct.unpack(">I", data[at + 8 + size : at + 12 + size])[0] == zlib.crc32(name + body)
        names.append(name)
        head = struct.unpack(">IIBBBBB", body) if name == b"IHDR" else head
        packed += body if name == b"IDAT" else b""
        at += 12 + size
    assert names[0] == b"IHDR" and names[-1] == b"IEND"
    return head[0], head[1], zlib.decompress(packed)


@pytest.mark.parametrize("width,height", [(1, 1), (7, 3), (320, 200), (800, 600)])
def test_mandelbrot(s, width, height):
    answer = s.get(f"/compute/mandelbrot?width={width}&height={height}")
    assert answer.status == 200 and answer.headers["Content-Type"] == "image/png"
    got_width, got_height, rows = png_pixels(answer.body)
    assert (got_width, got_height) == (width, height)
    assert len(rows) % height == 0 and len(rows) // height > width


def test_raw_echo(s):
    for size in (1, 8191, 8192, 8193, 16384, 100000, 5000000):
        body = random.Random(size).randbytes(size)
        answer = raw(s, "echo", body)
        assert answer.headers["Content-Type"] == "application/octet-stream"
        assert answer.body == body, size


def test_raw_echo_of_text(s):
    assert raw(s, "echo", "line\n", "text/plain").body == b"line\n"


def test_raw_in_chunked_encoding(s):
    pieces = [b"x" * 5000, b"y" * 60000, b"z"]
    assert raw(s, "echo", None).status == 200
    with s.client() as client:
        client.http.request(
            "POST", "/compute/echo", iter(pieces), {"Content-Type": "application/octet-stream"}, encode_chunked=True
        )
        response = client.http.getresponse()
        assert response.read() == b"".join(pieces)


# ---- the same however it is split -----------------------------------------------------------------

rng = random.Random(11)
NUMBERS = doubles([rng.uniform(-1e6, 1e6) for _ in range(200000)])
WORDS = " ".join(rng.choice(["alpha", "beta", "gamma", "delta", "Ωmega", "x" * 70]) for _ in range(60000)) + "\n"
CASES = {
    "sum": ("GET", "sum?start=12345&end=50012345", None, None),
    "primes": ("GET", "primes?limit=7654321", None, None),
    "pi": ("GET", "pi?samples=3000001&seed=7", None, None),
    "stats": ("POST", "stats", NUMBERS, "application/octet-stream"),
    "stats-json": ("POST", "stats", json.dumps({"values": [i / 7 for i in range(40000)]}), "application/json"),
    "map": ("POST", "map?fn=sin", NUMBERS, "application/octet-stream"),
    "map-json": ("POST", "map", json.dumps({"fn": "exp", "values": [i / 1e4 for i in range(40000)]}), "application/json"),
    "matmul": ("GET", "matmul?n=200&seed=3", None, None),
    "wordcount": ("POST", "wordcount", WORDS, "text/plain"),
    "mandelbrot": ("GET", "mandelbrot?width=333&height=250&iterations=100", None, None),
}
references = {}


def ask_case(server, case, **more):
    method, target, body, media_type = CASES[case]
    headers = {"Content-Type": media_type} if media_type else {}
    answer = server.ask(method, "/compute/" + target, body, headers=headers, **more)
    assert answer.status == 200, answer
    return answer


@pytest.mark.parametrize("chunks", [1, 2, 3, 7, 64])
@pytest.mark.parametrize("case", CASES)
def test_bit_identical(one, three, case, chunks):
    if case not in references:
        references[case] = ask_case(one, case, prong_chunks=1).body
    for server, more in ((one, {"prong_chunks": chunks}), (three, {"prong_chunks": chunks}), (three, {})):
        assert ask_case(server, case, **more).body == references[case]


# ---- the catalogue --------------------------------------------------------------------------------


def test_catalogue(s):
    kernels = {k["name"]: k for k in s.get("/compute").json["kernels"]}
    assert set(kernels) == KERNELS | MEASURING
    assert {name for name, k in kernels.items() if k["splittable"]} == SPLITTABLE
    for name, k in kernels.items():
        assert k["version"] and k["summary"].endswith("."), name
        assert {k["pure"], k["idempotent"]} == {name not in MEASURING}, name
        assert k["example"].startswith("/compute/" + name)
        assert k["params"]["type"] == "object" and k["params"]["additionalProperties"] is False
        assert "broken" not in k


def test_schemas_say_what_the_contract_says(s):
    params = {k["name"]: k["params"]["properties"] for k in s.get("/compute").json["kernels"]}
    defaults = {
        "echo": {"message": "hello"},
        "sleep": {"seconds": 1},
        "sum": {"start": 0, "end": 100000000},
        "primes": {"limit": 10000000},
        "pi": {"samples": 10000000, "seed": 1},
        "matmul": {"n": 256, "seed": 1},
        "mandelbrot": {"width": 800, "height": 600, "x": -0.5, "y": 0, "scale": 3, "iterations": 256},
    }
    for kernel, expected in defaults.items():
        assert {name: p["default"] for name, p in params[kernel].items()} == expected
    assert params["map"]["fn"]["enum"] == ["sqrt", "square", "exp", "log", "sin", "cos", "abs", "negate"]
    assert params["map"]["values"]["type"] == params["stats"]["values"]["type"] == "array"


def test_examples_work(s):
    for k in s.get("/compute").json["kernels"]:
        answer = s.ask("GET" if k["pure"] else "POST", k["example"])
        assert answer.status == 200, (k["name"], answer)
        assert answer.headers["Content-Type"] == k["media_type"]


# ---- asking ---------------------------------------------------------------------------------------


def test_post_json(s):
    assert s.post("/compute/primes", {"limit": 1000}).json == {"count": 168, "limit": 1000}


def test_post_without_a_body_is_all_defaults(s):
    assert s.post("/compute/echo").json == {"message": "hello"}


def test_post_an_empty_object(s):
    assert s.post("/compute/echo", {}).json == {"message": "hello"}


def test_query_and_body_add_up(s):
    assert s.post("/compute/sum?start=5", {"end": 8}).json == {"sum": 18, "count": 3}


def test_media_type_with_parameters_and_any_case(s):
    answer = s.post("/compute/primes", '{"limit":10}', headers={"Content-Type": "Application/JSON; charset=utf-8"})
    assert answer.json == {"count": 4, "limit": 10}


@pytest.mark.parametrize("number", ["1000", "1e3", "1000.0", "1.0E3"])
def test_integers_may_be_written_as_reals(s, number):
    assert s.post("/compute/primes", '{"limit":%s}' % number, headers={"Content-Type": "application/json"}).json["count"] == 168


def test_echo_of_every_kind_of_character(s):
    message = "".join(map(chr, range(1, 0x800))) + "\u2028\ufffd\U0001f40d\"\\/"
    assert s.post("/compute/echo", {"message": message}).json == {"message": message}


def test_large_message(s):
    message = "é" * 1000000
    assert s.post("/compute/echo", {"message": message}).json["message"] == message


def test_head(s):
    head = s.ask("HEAD", "/compute/primes?limit=1000")
    assert head.status == 200 and head.body == b""
    assert head.headers["Content-Length"] == str(len('{"count":168,"limit":1000}'))


def test_options(s):
    answer = s.ask("OPTIONS", "/compute/primes")
    assert answer.status == 204 and answer.body == b""
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_405(s, method):
    answer = s.ask(method, "/compute/primes")
    assert_problem(answer, 405, "method-not-allowed")
    assert set(answer.headers["Allow"].split(", ")) == {"GET", "HEAD", "POST", "OPTIONS"}


def test_a_method_that_is_none(s):
    assert s.ask("BREW", "/compute/primes").status in (405, 501)


@pytest.mark.parametrize("path", ["/compute/nope", "/compute/ECHO", "/compute/echo%00", "/compute/..%2fecho"])
def test_404(s, path):
    assert s.get(path).status in (400, 404)


def test_404_names_a_way_out(s):
    assert "GET /compute" in assert_problem(s.get("/compute/nope"), 404, "no-such-kernel")["detail"]


@pytest.mark.parametrize("path", ["/compute/", "/compute/echo/", "/compute//echo", "/compute/echo/x"])
def test_404_of_paths_near_by(s, path):
    assert s.get(path).status == 404


@pytest.mark.parametrize("accept", ["image/png", "text/html", "application/json;q=0", "*/*;q=0"])
def test_406(s, accept):
    answer = s.get("/compute/primes?limit=10", accept=accept)
    assert_problem(answer, 406, "not-acceptable")
    assert "application/json" in answer.json["detail"]


def test_406_in_text_where_text_is_all_that_is_left(s):
    answer = s.get("/compute/primes?limit=10", accept="application/*;q=0.0, */*")
    assert answer.status == 406 and answer.headers["Content-Type"].startswith("text/plain")
    assert answer.text.count("\n") == 1


@pytest.mark.parametrize("accept", ["*/*", "application/*", "application/json", "text/html, */*;q=0.1", "APPLICATION/JSON"])
def test_acceptable(s, accept):
    assert s.get("/compute/primes?limit=10", accept=accept).status == 200


@pytest.mark.parametrize(
    "kernel,media_type",
    [("primes", "application/xml"), ("primes", "text/plain"), ("primes", "application/octet-stream"), ("echo", "application/xml"), ("echo", "multipart/form-data")],
)
def test_415(s, kernel, media_type):
    answer = raw(s, kernel, "10", media_type)
    assert_problem(answer, 415, "unsupported-media-type")
    assert "application/json" in answer.json["detail"]


def test_a_body_without_a_media_type_is_415(s):
    assert_problem(s.post("/compute/primes", b"{}"), 415, "unsupported-media-type")


def test_a_kernel_says_no(s):
    problem = assert_problem(s.get("/compute/sum?start=5&end=1"), 500, "kernel-failed")
    assert "5" in problem["detail"] and problem["job"]


def test_raw_that_is_no_whole_number_of_doubles(s):
    assert_problem(raw(s, "stats", b"123456789"), 500, "kernel-failed")


def test_keep_alive(s):
    with s.client() as client:
        for i in range(50):
            assert client.get(f"/compute/echo?message={i}").json == {"message": str(i)}
        client.http.sock.fileno()


def test_pipelined(s):
    with s.connect() as sock:
        sock.sendall(b"".join(b"GET /compute/echo?message=%d HTTP/1.1\r\nHost: x\r\n\r\n" % i for i in range(5)))
        text = b""
        while text.count(b"message") < 5:
            got = sock.recv(65536)
            assert got, text
            text += got
    assert [text.index(b'"%d"}' % i) for i in range(5)] == sorted(text.index(b'"%d"}' % i) for i in range(5))


# ---- what is told about the run -------------------------------------------------------------------


def test_receipt(s):
    answer = s.get("/compute/primes?limit=30000000")
    receipt = answer.receipt
    assert list(receipt) == ["wait_ms", "run_ms", "cpu_ms", "max_rss_kb", "chunks", "retries", "workers"]
    assert receipt["wait_ms"] >= 0 and receipt["run_ms"] > 0 and receipt["cpu_ms"] > 0
    assert receipt["max_rss_kb"] > 100 and receipt["retries"] == 0
    assert receipt["chunks"] >= 1 and 1 <= receipt["workers"] <= 4
    assert answer.headers["Server-Timing"] == "queue;dur={wait}, run;dur={run}, cpu;dur={cpu}".format(
        wait=f"{receipt['wait_ms']:.3f}", run=f"{receipt['run_ms']:.3f}", cpu=f"{receipt['cpu_ms']:.3f}"
    )
    assert len(answer.headers["Prong-Job"]) == 36


def test_cpu_is_no_more_than_workers_times_run(three):
    receipt = three.get("/compute/primes?limit=100000000").receipt
    assert receipt["cpu_ms"] <= receipt["run_ms"] * 4 * 1.1 + 20


def test_sleep_uses_no_cpu(s):
    receipt = s.get("/compute/sleep?seconds=0.3").receipt
    assert receipt["run_ms"] >= 299 and receipt["cpu_ms"] < 100 * SLOW


@pytest.mark.parametrize("chunks", [1, 2, 3, 7, 64])
def test_chunks_are_as_wished(s, chunks):
    receipt = s.get("/compute/sum?end=100000000", prong_chunks=chunks).receipt
    assert receipt["chunks"] >= chunks and receipt["workers"] >= min(chunks, 2)


def test_more_chunks_than_units(s):
    assert s.get("/compute/sum?end=10", prong_chunks=10000).json["sum"] == 45


def test_jobs_have_ids_of_their_own(s):
    ids = {s.get("/compute/echo").headers["Prong-Job"] for _ in range(20)}
    assert len(ids) == 20


# ---- headers --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name,value",
    [("Prong-Timeout", "2.5"), ("Prong-Timeout", "10"), ("Prong-Timeout", "99999"), ("Prong-Priority", "high")]
    + [("Prong-Priority", "normal"), ("Prong-Priority", "low"), ("Prong-Chunks", "1"), ("Prong-Chunks", "10000")],
)
def test_good_headers(s, name, value):
    assert s.get("/compute/echo", headers={name: value}).status == 200


@pytest.mark.parametrize(
    "name,value",
    [("Prong-Timeout", v) for v in ("0", "-1", "x", "", "1s", "nan", "inf", "1e", "0x10")]
    + [("Prong-Priority", v) for v in ("", "HIGH", "urgent", "1")]
    + [("Prong-Chunks", v) for v in ("0", "-1", "10001", "x", "", "1.5", "99999999999999999999")],
)
def test_bad_headers(s, name, value):
    problem = assert_problem(s.get("/compute/echo", headers={name: value}), 400, "bad-header", header=name)
    assert name in problem["detail"]


# ---- events ---------------------------------------------------------------------------------------


def events(s, target, **more):
    answer = s.get("/compute/" + target, accept="text/event-stream", **more)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "text/event-stream"
    assert len(answer.headers["Prong-Job"]) == 36
    return [(name, json.loads(data)) for name, data in events_of(answer.text)]


def test_events_of_a_split_run(s):
    told = events(s, "primes?limit=100000000", prong_chunks=16)
    assert {name for name, _ in told} == {"progress", "result"}
    progress = [data for name, data in told if name == "progress"]
    assert [p["done"] for p in progress] == sorted(p["done"] for p in progress)
    assert all(0 <= p["done"] <= p["total"] for p in progress)
    name, last = told[-1]
    assert name == "result" and last["result"] == {"count": 5761455, "limit": 100000000}
    assert last["media_type"] == "application/json" and last["receipt"]["chunks"] >= 16 and len(last["job"]) == 36


def test_events_of_what_does_not_split(s):
    told = events(s, "sleep?seconds=1.5")
    assert told[-1][0] == "result" and told[-1][1]["result"] == {"slept": 1.5}
    assert [name for name, _ in told].count("progress") >= 2


def test_events_of_a_picture(s):
    import base64

    told = events(s, "mandelbrot?width=320&height=240", prong_chunks=8)
    parts = [data for name, data in told if name == "part"]
    assert len(parts) >= 8
    assert told[-1][0] == "result" and told[-1][1]["media_type"] == "image/png"
    picture = base64.b64decode(told[-1][1]["base64"], validate=True)
    assert picture == s.get("/compute/mandelbrot?width=320&height=240").body


def test_events_of_a_failure(s):
    told = events(s, "sum?start=5&end=1")
    assert [name for name, _ in told if name != "progress"] == ["error"]
    assert told[-1][1]["status"] == 500 and told[-1][1]["type"] == "/docs#kernel-failed"


def test_events_of_what_is_refused_before_it_starts(s):
    assert_problem(s.get("/compute/sum?end=x", accept="text/event-stream"), 400, "bad-parameter", parameter="end")
    assert_problem(s.get("/compute/nope", accept="text/event-stream"), 404, "no-such-kernel")


def test_events_come_while_it_runs(s):
    with s.connect() as sock:
        sock.sendall(b"GET /compute/sleep?seconds=2 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        text = b""
        while b"event: progress" not in text:
            got = sock.recv(4096)
            assert got
            text += got
        assert b"event: result" not in text
