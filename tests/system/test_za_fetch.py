"""POST /fetch: pages of other servers, which may do as they like: each fails for itself, and nobody gets at what is private."""
import contextlib
import hashlib
import json
import os
import signal
import socket
import ssl
import time

import pytest
from conftest import assert_problem, events_of, fewer, open_fds, rss_bytes, run, wait_until
from site_server import Site, page

NO_NAME = "http://" + "a" * 64 + "/"  # longer than a name's part may be, so no server is asked for it
ROW = {
    "url", "final_url", "status", "content_type", "bytes", "sha256", "charset", "title", "links", "links_total", "started_ms",
    "time_ms", "processed", "error",
}


@pytest.fixture(scope="module", name="site")
def _site():
    made = Site()
    yield made
    made.close()


@pytest.fixture(scope="module", name="fetcher")
def _fetcher(shared_server, site):
    """A server that may fetch from that site, and from nothing else of this machine."""
    return shared_server(workers=2, fetch_allow=f"127.0.0.1/32:{site.port}", fetch_per_host=64)


def fetch(server, *urls, **more):
    answer = server.post("/fetch", {"urls": list(urls), **more})
    assert answer.status == 200, answer
    rows = answer.json["results"]
    assert [row["url"] for row in rows] == list(urls)
    assert all(set(row) == ROW for row in rows)
    return rows


def code_of(row):
    assert row["error"] is None or row["error"]["detail"].rstrip()[-1] in ".?", row
    return row["error"] and row["error"]["code"]


# ---- what comes of a page -------------------------------------------------------------------------


def test_a_page(fetcher, site):
    (row,) = fetch(fetcher, f"{site.url}/page")
    body = page().encode()
    assert row["error"] is None
    assert (row["status"], row["final_url"], row["content_type"]) == (200, f"{site.url}/page", "text/html; charset=utf-8")
    assert (row["bytes"], row["sha256"]) == (len(body), hashlib.sha256(body).hexdigest())
    assert (row["title"], row["charset"]) == ("A page & more", "utf-8")
    assert (row["links"], row["links_total"]) == ([f"{site.url}/other?page"], 1)
    assert row["processed"]["words"] == 7 and row["processed"]["top"][0] == ["the", 2]
    assert row["time_ms"] > 0 and row["started_ms"] >= 0


def test_rows_are_in_the_order_asked_and_sums_are_of_all(fetcher, site):
    urls = [f"{site.url}/slow/{i}?{0.3 if i % 3 == 0 else 0.01}" for i in range(9)]
    answer = fetcher.post("/fetch", {"urls": urls, "concurrency": 9}).json
    assert [row["url"] for row in answer["results"]] == urls
    assert [row["title"] for row in answer["results"]] == [f"A slow {i} & more" for i in range(9)]
    assert answer["sum_ms"] == pytest.approx(sum(row["time_ms"] for row in answer["results"]), abs=0.02)
    assert answer["wall_ms"] >= max(row["time_ms"] for row in answer["results"])
    assert answer["sum_ms"] > answer["wall_ms"]  # three of 0.3 s at once


@pytest.mark.parametrize(
    "path,charset,title",
    [
        ("latin1", "windows-1252", "Caf\u00e9"),
        ("utf16", "utf-16le", "Caf\u00e9"),
        ("wrong-charset", "utf-8", "Caf\ufffd"),
        ("nonsense-charset", "unknown", "Caf\ufffd"),
        ("gzip", "utf-8", "A packed & more"),
        ("404", "utf-8", "A missing & more"),
        ("text", "utf-8", None),
        ("json", "utf-8", None),
        ("png", None, None),
        ("empty", None, None),
    ],
)
def test_forms_of_pages(fetcher, site, path, charset, title):
    (row,) = fetch(fetcher, f"{site.url}/{path}")
    assert (row["error"], row["charset"], row["title"]) == (None, charset, title)
    assert row["status"] == (404 if path == "404" else 200)
    assert (row["processed"] is None) == (path in ("png", "empty"))


def test_what_processes_the_text(fetcher, site):
    (row,) = fetch(fetcher, f"{site.url}/page", process=None)
    assert (row["processed"], row["error"], row["title"]) == (None, None, "A page & more")
    (row,) = fetch(fetcher, f"{site.url}/page", process="page")
    assert row["processed"]["text"] == "the cat and the hat on x"
    (row,) = fetch(fetcher, f"{site.url}/page", process="echo")
    assert code_of(row) == "process" and "no JSON" in row["error"]["detail"]
    assert row["title"] == "A page & more"


def test_a_kernel_that_crashes_on_a_page(server, site):
    s = server(workers=2, enable_fault_kernel=True, fetch_allow=f"127.0.0.1:{site.port}")
    answer = s.post("/fetch", {"urls": [f"{site.url}/page"], "process": "fault"})
    assert_problem(answer, 400, "bad-parameter", parameter="process")


# ---- what goes wrong ------------------------------------------------------------------------------

WRONG = {
    "no url at all": "bad-url",
    "localhost/": "bad-url",
    "file:///etc/passwd": "bad-url",
    "ftp://127.0.0.1/": "bad-url",
    "gopher://127.0.0.1:1/_x": "bad-url",
    "http://user:secret@{site}/page": "bad-url",
    "http://{site}:80/": "bad-url",
    "http://": "bad-url",
    "": "bad-url",
    NO_NAME: "dns",
    "http://127.0.0.1:{dead}/": "connect",
    "https://{site}/page": "tls",
    "http://{site}/silent": "timeout",
    "http://{site}/drip": "timeout",
    "http://{site}/bytes/70000": "too-large",
    "http://{site}/bomb": "too-large",
    "http://{site}/announces-much": "too-large",
    "http://{site}/heads": "too-large",
    "http://{site}/interim": "too-large",
    "http://{site}/loop": "too-many-redirects",
    "http://{site}/hops/6": "too-many-redirects",
    "http://{site}/truncated": "protocol",
    "http://{site}/closes": "protocol",
    "http://{site}/garbage": "protocol",
    "http://{site}/no-gzip": "protocol",
    "http://{site}/to-file": "protocol",
    "http://{site}/to-gopher": "protocol",
    "http://{site}/to-user": "protocol",
    "http://{site}/to-nonsense": "protocol",
    "http://{site}/to?http%3A//127.0.0.1%3A{closed}/": "blocked-address",
    "http://{site}/to?http%3A//%5B%3A%3A1%5D%3A{closed}/": "blocked-address",
    "http://127.0.0.1:{closed}/": "blocked-address",
    "http://localhost:{site_port}/page": None,
    "http://{site}/hops/5": None,
    "http://{site}/bytes/65536": None,
    "http://{site}/page": None,
    "http://{site}/page#part": None,
}


@contextlib.contextmanager
def nobody_listens():
    """A port that stays closed: bound, but not listened on."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        yield sock.getsockname()[1]


def test_each_fails_for_itself(server, site):
    """All at once; what is right among them comes."""
    with nobody_listens() as dead, Listener() as closed:
        s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port},127.0.0.1:{dead}", fetch_per_host=64)
        names = {"site": f"127.0.0.1:{site.port}", "site_port": site.port, "dead": dead, "closed": closed.port}
        wanted = {url.format(**names): code for url, code in WRONG.items()}
        rows = fetch(s, *wanted, concurrency=64, timeout=2, max_bytes=65536)
        assert {row["url"]: code_of(row) for row in rows} == wanted
        assert closed.taken == 0
        for row in rows:
            good = row["error"] is None
            assert (row["sha256"] is not None) == good and (row["status"] == 200 or not good)
            assert (row["processed"] is not None) == good
            assert row["bytes"] <= 65536
        assert s.metric("prong_fetch_page_seconds_count", result="ok") == list(wanted.values()).count(None)
        assert s.metric("prong_fetch_page_seconds_count", result="bad-url") == list(wanted.values()).count("bad-url")
        assert s.metric("prong_fetch_transfers_in_flight") == s.metric("prong_fetch_held_bytes") == 0
        wait_until(lambda: site.open == 0, "its connections closed")


def test_a_bomb_costs_no_memory(fetcher, site):
    """64 MiB of nothing from 64 KiB, many times at once: each ends at max_bytes."""
    rows = fetch(fetcher, *[f"{site.url}/bomb?{i}" for i in range(20)], concurrency=20)
    assert {code_of(row) for row in rows} == {"too-large"}
    assert rss_bytes(fetcher.pid) < (200 << 20) * (4 if "san" in os.environ.get("PRONG_BUILD", "") else 1)


def test_certificates_are_checked(server, tmp_path):
    """One that nobody vouches for is refused, and nothing is asked."""
    pem = tmp_path / "cert.pem"
    made = run("openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key.pem", "-out", pem, "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1")
    assert made.returncode == 0, made.stderr
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem, tmp_path / "key.pem")
    site = Site(tls=context)
    try:
        s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}")
        (row,) = fetch(s, f"{site.url}/page")
        assert (code_of(row), site.asked) == ("tls", [])
    finally:
        site.close()


def test_the_environment_has_no_say(server, site):
    """No proxy, which would be asked for what the guard has not seen, and no file of passwords."""
    with Listener() as proxy:
        there = f"http://127.0.0.1:{proxy.port}"
        s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}", env={"http_proxy": there, "ALL_PROXY": there, "HTTP_PROXY": there})
        (row,) = fetch(s, f"{site.url}/page")
        assert (code_of(row), proxy.taken) == (None, 0)


# ---- what is private ------------------------------------------------------------------------------


class Listener:
    """Counts who connects to a port of this machine, by IPv4 or IPv6."""

    def __init__(self):
        self.socket = socket.create_server(("::", 0), family=socket.AF_INET6, dualstack_ipv6=True)
        self.port = self.socket.getsockname()[1]

    @property
    def taken(self):
        self.socket.setblocking(False)
        count = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                self.socket.accept()[0].close()
                count += 1
        return count

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()


SPELLINGS = [
    "127.0.0.1", "127.1", "127.0.1", "2130706433", "0x7f000001", "0x7f.1", "0177.0.0.1", "017700000001", "0", "0x0", "0.0.0.0",
    "127.255.255.254", "%31%32%37.0.0.1", "localhost", "LOCALHOST", "[::1]", "[::]", "[0:0:0:0:0:0:0:1]", "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "10.0.0.1", "167772161", "172.16.0.1", "192.168.0.1", "0xc0a80001",
    "169.254.169.254", "2852039166", "100.64.0.1", "[fe80::1]", "[fd00::1]", "224.0.0.1",
]


def test_private_addresses_are_refused_however_they_are_spelt(server):
    assert len(SPELLINGS) == 33
    with Listener() as listener:
        s = server(workers=1)
        rows = fetch(s, *[f"http://{host}:{port}/" for host in SPELLINGS for port in (listener.port, 80)], concurrency=64)
        assert {row["url"]: code_of(row) for row in rows if code_of(row) != "blocked-address"} == {}
        assert listener.taken == 0


def test_and_through_redirects(server, site):
    """At whatever hop; only the one port is open."""
    with Listener() as listener:
        s = server(workers=1, fetch_allow=f"127.0.0.1/32:{site.port}", fetch_per_host=64)
        urls = [f"{site.url}/to?http%3A//{host.replace('%', '%25')}%3A{listener.port}/" for host in SPELLINGS]
        urls.append(f"{site.url}/to?{site.url}/to%3Fhttp%253A//127.0.0.1%253A{listener.port}/")
        rows = fetch(s, *urls, concurrency=64)
        assert {row["url"]: code_of(row) for row in rows if code_of(row) != "blocked-address"} == {}
        assert all(row["status"] is None or row["status"] == 302 for row in rows)
        assert listener.taken == 0


def test_bad_options_are_told():
    from conftest import PRONG

    for option, value in [("--fetch-allow", "127.0.0.1"), ("--fetch-allow", "10.0.0.1/8:80"), ("--fetch-ports", "80,x"), ("--fetch-per-host", "0")]:
        ended = run(PRONG, option, value, "--listen", "127.0.0.1:0", "--store", "memory")
        assert (ended.returncode, option in ended.stderr) == (64, True), ended.stderr


# ---- what is asked --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body,parameter",
    [
        ({}, "urls"),
        ({"urls": []}, "urls"),
        ({"urls": "http://x/"}, "urls"),
        ({"urls": [1]}, "urls"),
        ({"urls": ["http://x/"] * 1001}, "urls"),
        ({"urls": ["x"], "concurrency": 0}, "concurrency"),
        ({"urls": ["x"], "concurrency": 65}, "concurrency"),
        ({"urls": ["x"], "concurrency": 1.5}, "concurrency"),
        ({"urls": ["x"], "concurrency": "4"}, "concurrency"),
        ({"urls": ["x"], "timeout": 0}, "timeout"),
        ({"urls": ["x"], "timeout": 61}, "timeout"),
        ({"urls": ["x"], "timeout": "1"}, "timeout"),
        ({"urls": ["x"], "max_bytes": 0}, "max_bytes"),
        ({"urls": ["x"], "max_bytes": (16 << 20) + 1}, "max_bytes"),
        ({"urls": ["x"], "process": "no-such-kernel"}, "process"),
        ({"urls": ["x"], "process": "primes"}, "process"),
        ({"urls": ["x"], "process": 1}, "process"),
        ({"urls": ["x"], "follow": True}, "follow"),
    ],
)
def test_bad_parameters_are_named(fetcher, body, parameter):
    problem = assert_problem(fetcher.post("/fetch", body), 400, "bad-parameter", parameter=parameter)
    assert parameter in problem["detail"] or "no parameter of this name" in problem["detail"]


def test_other_bad_requests(fetcher):
    assert_problem(fetcher.post("/fetch", "{"), 415, "unsupported-media-type")
    assert_problem(fetcher.post("/fetch", "{", content_type="application/json"), 400, "bad-json")
    assert_problem(fetcher.post("/fetch", [1]), 400, "bad-json")
    assert_problem(fetcher.post("/fetch", {"urls": ["x"]}, accept="image/png"), 406, "not-acceptable")
    assert_problem(fetcher.get("/fetch"), 405, "method-not-allowed")
    assert_problem(fetcher.post("/fetch", {"urls": ["x" * (1 << 20)]}), 413, "body-too-large")


def test_a_thousand_urls(fetcher, site):
    before = len(site.asked)
    rows = fetch(fetcher, *[f"{site.url}/page?{i}" for i in range(1000)], concurrency=64)
    assert [row["error"] for row in rows] == [None] * 1000
    assert sorted(site.asked[before:]) == sorted(f"/page?{i}" for i in range(1000))


def test_a_server_without_the_kernel_page(server, tmp_path):
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    s = server(workers=1, builtins=kernels, kernels=None)
    assert s.get("/compute").json["kernels"] == []
    assert_problem(s.post("/fetch", {"urls": ["http://x/"], "process": None}), 503, "kernel-disabled")


# ---- how many at once -----------------------------------------------------------------------------


def most_at_once(site, fetcher, count, **more):
    """Fetches slow pages and says how many were under way together."""
    most, asked = 0, fetcher.later("POST", "/fetch", {"urls": [f"{site.url}/slow/{i}?0.1" for i in range(count)], **more})
    while not asked.is_done:
        most = max(most, site.open)
        time.sleep(0.005)
    assert [row["error"] for row in asked.result().json["results"]] == [None] * count
    return most


def test_concurrency_is_kept(server):
    site = Site()
    try:
        s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port}", fetch_per_host=10, fetch_connections=12)
        assert most_at_once(site, s, 12, concurrency=3) == 3
        assert most_at_once(site, s, 24, concurrency=64) == 10
        assert s.metric("prong_fetch_transfers_in_flight") == 0
    finally:
        site.close()


def test_the_limit_over_all_and_of_memory(server):
    sites = [Site() for _ in range(4)]
    try:
        allow = ",".join(f"127.0.0.1:{site.port}" for site in sites)
        s = server(workers=2, fetch_allow=allow, fetch_connections=6, fetch_memory="16M")
        urls = [f"{site.url}/slow/{i}?0.1" for i in range(5) for site in sites]
        for max_bytes, limit in ((1024, 6), (8 << 20, 2)):
            most, asked = 0, s.later("POST", "/fetch", {"urls": urls, "concurrency": 64, "max_bytes": max_bytes})
            while not asked.is_done:
                most = max(most, s.metric("prong_fetch_transfers_in_flight"))
            assert [row["error"] for row in asked.result().json["results"]] == [None] * 20
            assert most == limit
    finally:
        for site in sites:
            site.close()


def test_too_many_requests_at_once(server, site):
    s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}", fetch_requests=2)
    running = [s.later("POST", "/fetch", {"urls": [f"{site.url}/slow?2"]}) for _ in range(2)]
    wait_until(lambda: s.metric("prong_fetch_requests_total") == 2, "two under way")
    refused = s.post("/fetch", {"urls": [f"{site.url}/page"]})
    assert_problem(refused, 503, "fetches-full")
    assert int(refused.headers["Retry-After"]) > 0
    assert not any(r.is_done for r in running), "they had ended: proves nothing"
    assert [r.result().status for r in running] == [200, 200]
    assert fetch(s, f"{site.url}/page")[0]["error"] is None


def test_requests_share_and_compute_goes_on(server, site):
    """A short request is not behind a long one, and the workers are for all."""
    s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port}", fetch_connections=4)
    long = s.later("POST", "/fetch", {"urls": [f"{site.url}/slow/{i}?0.2" for i in range(60)], "concurrency": 64})
    wait_until(lambda: s.metric("prong_fetch_transfers_in_flight") == 4, "all connections in use")
    assert fetch(s, f"{site.url}/page")[0]["error"] is None
    assert s.get("/compute/primes?limit=1000").json["count"] == 168
    assert not long.is_done
    assert [row["error"] for row in long.result().json["results"]] == [None] * 60


# ---- events ---------------------------------------------------------------------------------------


def test_events(fetcher, site):
    urls = [f"{site.url}/slow/{i}?{0.4 - 0.1 * i}" for i in range(4)] + ["nonsense"]
    answer = fetcher.post("/fetch", {"urls": urls}, accept="text/event-stream")
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = [(name, json.loads(data)) for name, data in events_of(answer.text)]
    pages = [data for name, data in events if name == "page"]
    assert sorted(p["index"] for p in pages) == [0, 1, 2, 3, 4]
    assert pages[0]["index"] == 4, "the one that needs nothing comes first"
    for p in pages:
        assert set(p) == ROW | {"index"} and p["url"] == urls[p["index"]]
        assert code_of(p) == ("bad-url" if p["index"] == 4 else None)
    assert [data for name, data in events if name == "progress"] == [{"done": i, "total": 5} for i in range(1, 6)]
    assert events[-1][0] == "result"
    result = events[-1][1]
    assert (result["count"], result["failed"], result["lost"]) == (5, 1, 0)
    assert result["sum_ms"] == pytest.approx(sum(p["time_ms"] for p in pages), abs=0.02)


def test_events_come_when_pages_land(fetcher, site):
    body = json.dumps({"urls": [f"{site.url}/page", f"{site.url}/slow?30"], "timeout": 60})
    with fetcher.connect() as sock, sock.makefile("rb") as lines:
        sock.sendall(
            f"POST /fetch HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        line = b""
        while not line.startswith(b"data: {\"index\":0"):
            line = lines.readline()
            assert line, "the stream ended"
    wait_until(lambda: site.open == 0, "the connection of the slow one closed")


# ---- the end --------------------------------------------------------------------------------------


def leave(server, site, accept):
    """A client that hangs up while pages are on their way and one is being processed."""
    before = len(site.asked)
    urls = [f"{site.url}/slow/{i}?60" for i in range(20)] + [f"{site.url}/page"]
    body = json.dumps({"urls": urls, "concurrency": 64, "timeout": 60})
    with server.connect() as sock:
        sock.sendall(
            f"POST /fetch HTTP/1.1\r\nHost: x\r\nAccept: {accept}\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}".encode()
        )
        wait_until(lambda: len(site.asked) == before + 21, "all were asked for")
        assert site.open >= 20
    wait_until(lambda: site.open == 0, "all connections closed")
    wait_until(lambda: server.metric("prong_fetch_transfers_in_flight") == 0, "nothing under way")
    wait_until(lambda: server.metric("prong_fetch_held_bytes") == 0, "nothing held")


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_a_client_that_leaves(server, site, accept):
    s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port}", fetch_per_host=64, fetch_requests=1)
    for _ in range(fewer(5)):
        leave(s, site, accept)
    s.wait_idle()
    assert fetch(s, f"{site.url}/page")[0]["error"] is None  # its place is free again
    wait_until(lambda: s.metric("prong_http_requests_parked") == 0, "nobody parked")


def test_no_descriptor_is_left(server, site):
    s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}", fetch_per_host=64)
    fetch(s, f"{site.url}/page")
    wait_until(lambda: site.open == 0, "its connection closed")
    # Some of these may be on their way out: the connection that asked, and what libcurl wakes itself by.
    before = set(open_fds(s.pid).items())
    fetch(s, *[f"{site.url}/page?{i}" for i in range(30)], f"{site.url}/loop", "http://127.0.0.1/", NO_NAME, concurrency=30)
    wait_until(lambda: site.open == 0, "its connections closed")

    def left():
        return set(open_fds(s.pid).items()) - before

    wait_until(lambda: not left(), lambda: f"no descriptor left: {left()}")


def test_the_end_waits_for_pages(server, site):
    """What was begun may end: the pages come, and are processed."""
    s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port}")
    asked = s.later("POST", "/fetch", {"urls": [f"{site.url}/slow/{i}?0.7" for i in range(6)]})
    wait_until(lambda: s.metric("prong_fetch_transfers_in_flight") == 6, "all under way")
    os.kill(s.pid, signal.SIGTERM)
    answer = asked.result()
    assert answer.status == 200, answer
    assert [(r["error"], r["processed"]["words"]) for r in answer.json["results"]] == [(None, 7)] * 6
    assert s.wait() == 0
    s.assert_log_is_clean()


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_but_not_for_ever(server, site, accept):
    s = server(workers=2, fetch_allow=f"127.0.0.1:{site.port}", drain=1)
    asked = s.later("POST", "/fetch", {"urls": [f"{site.url}/page", f"{site.url}/silent"], "timeout": 60}, accept=accept)
    wait_until(lambda: s.metric("prong_fetch_page_seconds_count", result="ok") == 1, "one has come")
    os.kill(s.pid, signal.SIGTERM)
    answer = asked.result()
    if accept == "application/json":
        assert_problem(answer, 503, "draining")
    else:
        events = events_of(answer.text)
        assert [name for name, _ in events] == ["page", "progress", "error"]
        assert json.loads(events[-1][1])["type"] == "/docs#draining"
    assert s.wait() == 0
    s.assert_log_is_clean()
    wait_until(lambda: site.open == 0, "the connection closed")


def test_who_comes_after_the_end_has_begun(server, site):
    s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}")
    with s.client() as client, s.client() as other:
        assert client.get("/livez").status == other.get("/livez").status == 200
        asked = s.later("POST", "/fetch", {"urls": [f"{site.url}/slow?1.5"]})
        wait_until(lambda: s.metric("prong_fetch_transfers_in_flight") == 1, "one under way")
        os.kill(s.pid, signal.SIGTERM)
        wait_until(lambda: other.get("/livez").headers["Connection"] == "close", "it takes nothing new")
        late = client.post("/fetch", {"urls": [f"{site.url}/page"]})
        assert_problem(late, 503, "draining")
    assert asked.result().status == 200
    assert s.wait() == 0


def test_a_second_interrupt_ends_it_at_once(server, site):
    s = server(workers=1, fetch_allow=f"127.0.0.1:{site.port}")
    s.later("POST", "/fetch", {"urls": [f"{site.url}/silent"], "timeout": 60})
    wait_until(lambda: s.metric("prong_fetch_transfers_in_flight") == 1, "one under way")
    s.note_processes()
    os.kill(s.pid, signal.SIGINT)
    s.wait_log("ending")
    os.kill(s.pid, signal.SIGINT)
    assert s.wait() == 2
    s.assert_nothing_left()
