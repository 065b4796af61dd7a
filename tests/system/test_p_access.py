"""Who may: where it listens, by which names it is asked, from which pages, and with which token."""
import base64
import itertools
import os
import pathlib

import pytest
from conftest import PRONG, assert_problem, clean_environment, events_of, run

LAB = "https://lab.example"
JSON = "application/json"
serial = itertools.count()


def make_token(folder, mode=0o600, text=None):
    path = folder / f"token{next(serial)}"
    path.write_text(base64.b64encode(os.urandom(32)).decode() + "\n" if text is None else text)
    path.chmod(mode)
    return path


def assert_refused(flags, word, status):
    ended = run(PRONG, "--listen", "127.0.0.1:0", "--workers", "1", *flags, env=clean_environment())
    assert ended.returncode == status, ended
    assert word in ended.stderr, ended.stderr
    return ended.stderr


# ---- where ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("where", ["0.0.0.0:0", "[::]:0"])
def test_an_address_that_others_reach_needs_a_reason(where):
    said = assert_refused(["--listen", where], "--token-file", 69)
    assert "--insecure" in said and "loopback" in said


def test_a_token_is_a_reason(server, tmp_path):
    s = server("--listen", "0.0.0.0:0", workers=1, hosts=None, token_file=make_token(tmp_path))
    assert s.get("/compute/echo").status == 200
    assert_problem(s.get("/compute/echo", host="evil.example"), 421, "misdirected")
    assert s.get("/livez", host="192.0.2.1").status == 200  # an address is nobody's to point elsewhere
    s.wait_log("warning.*clear text")


# ---- by which names -------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def named(shared_server):
    return shared_server(workers=1, hosts="prong.example,10.0.0.7")


@pytest.mark.parametrize(
    "host", ["localhost", "LocalHost:1", "127.0.0.1", "[::1]:80", "prong.example", "PRONG.example.:443", "10.0.0.7"]
)
def test_our_names(named, host):
    assert named.get("/compute/echo", host=host).status == 200


@pytest.mark.parametrize("target", ["/compute/echo", "/livez", "/", "/nothing", "/state/x"])
@pytest.mark.parametrize("host", ["evil.example", "10.0.0.8", "prong.example.evil", os.uname().nodename + ".x"])
def test_names_of_others(named, host, target):
    problem = assert_problem(named.get(target, host=host), 421, "misdirected", option="--hosts")
    assert "--hosts" in problem["detail"]


def test_a_name_of_others_changes_nothing(named):
    assert_problem(named.ask("PUT", "/state/rebound", b"1", content_type=JSON, host="evil.example"), 421, "misdirected")
    assert named.get("/state/rebound").status == 404


@pytest.mark.parametrize("scheme", [b"http", b"HTTPS"])
def test_an_absolute_target_must_be_ours_and_be_host(named, scheme):
    answer = named.raw(b"GET %s://evil.example/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n" % scheme)
    assert_problem(answer, 421, "misdirected")
    answer = named.raw(b"GET %s://evil.example/livez HTTP/1.0\r\n\r\n" % scheme)
    assert_problem(answer, 421, "misdirected")
    assert named.raw(b"GET %s://localhost/livez HTTP/1.1\r\nHost: localhost\r\n\r\n" % scheme).status == 200
    answer = named.raw(b"GET %s://localhost/livez HTTP/1.1\r\nHost: evil.example\r\n\r\n" % scheme)
    assert_problem(answer, 400, "bad-request")


@pytest.mark.parametrize("authority", [b"loc%61lhost", b"x@localhost", b"localhost%00", b"localhost:x", b""])
def test_an_authority_that_is_no_name(named, authority):
    answer = named.raw(b"GET http://%s/livez HTTP/1.1\r\nHost: localhost\r\n\r\n" % authority)
    assert answer is None or answer.status in (400, 421)


def test_http_1_0_may_be_nameless_here(named):
    assert named.raw(b"GET /livez HTTP/1.0\r\n\r\n").status == 200
    assert_problem(named.raw(b"GET /livez HTTP/1.0\r\nHost: evil.example\r\n\r\n"), 421, "misdirected")


def test_nobody_is_nameless_where_others_reach(server):
    s = server("--listen", "0.0.0.0:0", "--insecure", workers=1, hosts=None)
    assert_problem(s.raw(b"GET /livez HTTP/1.0\r\n\r\n"), 421, "misdirected")


@pytest.mark.parametrize("bad", ["a:80", "a,,b", "http://a", "a b", "::1"])
def test_bad_hosts(bad):
    assert_refused(["--hosts", bad], "--hosts", 64)


# ---- from which pages -----------------------------------------------------------------------------

CHANGES = [("PUT", "/state/page", b"1"), ("POST", "/state/page/add", b"{}"), ("DELETE", "/state/page", None),
           ("POST", "/compute/echo", b"{}"), ("DELETE", "/workers/1", None)]  # fmt: skip


def own(s):
    return "http://{}:{}".format(*s.address)


@pytest.mark.parametrize("method,target,body", CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"},
        {"Origin": "null"},
        {"Origin": "http://127.0.0.1:1"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
    ids=str,
)
def test_pages_of_others_change_nothing(named, method, target, body, headers):
    before = named.ask("PUT", "/state/page", b"7", content_type=JSON).json["version"]
    workers = named.worker_pids()
    answer = named.ask(method, target, body, headers={"Content-Type": JSON, **headers})
    assert_problem(answer, 403, "forbidden")
    after = named.get("/state/page").json
    assert after["value"] == 7 and after["version"] == before
    assert named.worker_pids() == workers


def test_our_own_pages_may(named):
    for headers in ({"Origin": own(named), "Sec-Fetch-Site": "same-origin"}, {"Sec-Fetch-Site": "none"}, {}):
        assert named.ask("PUT", "/state/own", b"1", headers={"Content-Type": JSON, **headers}).status in (200, 201)


def test_a_page_asked_by_another_name_of_ours(named):
    """The origin of a page is the name that it was asked by."""
    port = named.address[1]
    for origin, status in ((f"http://prong.example:{port}", 200), (own(named), 403)):
        answer = named.post("/compute/echo", {}, host=f"prong.example:{port}", origin=origin)
        assert answer.status == status


@pytest.mark.parametrize("method", ["GET", "HEAD", "OPTIONS"])
def test_who_only_reads_may_come_from_anywhere(named, method):
    answer = named.ask(method, "/compute/echo", headers={"Origin": "http://evil.example", "Sec-Fetch-Site": "cross-site"})
    assert answer.status in (200, 204)
    assert not [name for name in answer.headers if name.lower().startswith("access-control-")]
    assert answer.headers["Cross-Origin-Resource-Policy"] == "same-origin"


# ---- other people's pages that may (CORS) ---------------------------------------------------------


@pytest.fixture(scope="module")
def shared(shared_server):
    return shared_server(workers=1, origins=f"{LAB}, http://localhost:3000")


def preflight(s, method, target, origin=LAB):
    return s.ask("OPTIONS", target, headers={"Origin": origin, "Access-Control-Request-Method": method,
                                             "Access-Control-Request-Headers": "authorization,content-type"})  # fmt: skip


def allows(answer):
    return answer.headers["Access-Control-Allow-Origin"]


def words(answer, name):
    return {word.strip().lower() for word in answer.headers[name].split(",")}


def test_preflight(shared):
    answer = preflight(shared, "PUT", "/state/cors")
    assert answer.status == 204 and answer.body == b""
    assert allows(answer) == LAB and "origin" in words(answer, "Vary")
    assert words(answer, "Access-Control-Allow-Methods") == {"get", "head", "put", "delete", "options"}
    assert {"authorization", "content-type", "if-match", "prong-timeout"} <= words(answer, "Access-Control-Allow-Headers")
    assert answer.headers["Access-Control-Max-Age"] == "600"
    assert "Access-Control-Allow-Credentials" not in answer.headers


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://lab.example", "https://lab.example.evil"])
def test_preflight_of_others(shared, origin):
    answer = preflight(shared, "PUT", "/state/cors", origin)
    assert answer.status == 204 and allows(answer) is None
    assert "Access-Control-Allow-Methods" not in answer.headers
    assert "origin" in words(answer, "Vary")


def test_an_allowed_page_reads_and_changes(shared):
    answer = shared.ask("PUT", "/state/cors", b"5", content_type=JSON, origin=LAB, sec_fetch_site="cross-site")
    assert answer.status == 201 and allows(answer) == LAB
    answer = shared.get("/state/cors", origin="http://localhost:3000")
    assert answer.json["value"] == 5 and allows(answer) == "http://localhost:3000"
    assert {"etag", "prong-job", "retry-after", "x-request-id"} <= words(answer, "Access-Control-Expose-Headers")
    assert answer.headers["Cross-Origin-Resource-Policy"] == "cross-origin"


def test_an_allowed_page_reads_errors_and_events(shared):
    for target, status in (("/compute/nothing", 404), ("/nothing", 404), ("/compute/sum?start=x", 400)):
        answer = shared.get(target, origin=LAB)
        assert answer.status == status and allows(answer) == LAB
    answer = shared.get("/compute/echo", origin=LAB, accept="text/event-stream")
    assert allows(answer) == LAB and events_of(answer.text)[-1][0] == "result"


def test_files_are_for_our_own_pages(shared):
    answer = shared.get("/", origin=LAB)
    assert answer.status == 200 and allows(answer) is None
    assert allows(preflight(shared, "GET", "/")) is None


@pytest.mark.parametrize("bad", ["*", "null", "lab.example", "https://lab.example/", "https://a,"])
def test_bad_origins(bad):
    assert_refused(["--origins", bad], "--origins", 64)


# ---- with which token -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def guarded(shared_server, tmp_path_factory):
    return shared_server(workers=1, log_level="debug", origins=LAB, token_file=make_token(tmp_path_factory.mktemp("secret")))


CLOSED = [("GET", "/compute"), ("GET", "/compute/echo"), ("HEAD", "/compute/echo"), ("POST", "/compute/echo"), ("GET", "/state"),
          ("PUT", "/state/x"), ("DELETE", "/state/x"), ("GET", "/status"), ("GET", "/metrics"), ("DELETE", "/workers/1"),
          ("PUT", "/compute")]  # fmt: skip
OPEN = [("GET", "/livez"), ("GET", "/readyz"), ("GET", "/"), ("HEAD", "/"), ("GET", "/js/api.js"), ("OPTIONS", "/compute/echo"), ("OPTIONS", "*")]


def ask_as(s, authorization, method="GET", target="/compute/echo", body=None):
    with s.client(token=None) as client:
        return client.ask(method, target, body, headers={} if authorization is None else {"Authorization": authorization})


@pytest.mark.parametrize("method,target", CLOSED)
def test_without_the_token(guarded, method, target):
    answer = ask_as(guarded, None, method, target)
    assert answer.status == 401 and answer.headers["WWW-Authenticate"] == 'Bearer realm="prong"'
    if method != "HEAD":
        assert_problem(answer, 401, "unauthorized")


@pytest.mark.parametrize("method,target", OPEN)
def test_open_to_all(guarded, method, target):
    assert ask_as(guarded, None, method, target).status in (200, 204)


def test_with_the_token(guarded):
    for scheme in ("Bearer ", "bearer ", "BEARER   "):
        assert ask_as(guarded, scheme + guarded.token).status == 200
    assert guarded.get("/metrics").status == 200


def test_with_another_token(guarded):
    token = guarded.token
    for wrong in (token[:-1], token + "x", token.swapcase(), "x" * len(token), "x", "", token[1:], f"{token},{token}", "x" * 8000):
        answer = ask_as(guarded, "Bearer " + wrong)
        assert_problem(answer, 401, "unauthorized")
        assert answer.headers["WWW-Authenticate"] in ('Bearer realm="prong", error="invalid_token"', 'Bearer realm="prong"')
    for other in ("Basic " + token, token, "Bearer" + token, "Digest x"):
        assert ask_as(guarded, other).headers["WWW-Authenticate"] == 'Bearer realm="prong"'


def test_nothing_is_taken_in_without_the_token(guarded):
    """A body that nobody will read is refused before it is sent."""
    before = guarded.metric("prong_jobs_total")
    head = b"POST /compute/echo HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 60000000\r\nExpect: 100-continue\r\n\r\n"
    assert_problem(guarded.raw(head), 401, "unauthorized")
    assert ask_as(guarded, None, "POST", "/compute/echo", b"x" * 200).status == 401
    assert guarded.metric("prong_jobs_total") == before


def test_the_connection_lives_on_after_401(guarded):
    with guarded.client(token=None) as client:
        for _ in range(3):
            assert client.get("/compute/echo").status == 401
            assert client.get("/compute/echo", authorization=f"Bearer {guarded.token}").status == 200


def test_a_page_of_others_is_told_that_it_needs_a_token(guarded):
    with guarded.client(token=None) as client:
        answer = client.get("/compute/echo", origin=LAB)
        assert answer.status == 401 and allows(answer) == LAB
        assert preflight(guarded, "GET", "/compute/echo").status == 204
        assert client.get("/compute/echo", origin=LAB, authorization=f"Bearer {guarded.token}").status == 200


def test_the_token_is_told_to_nobody(guarded):
    answer = ask_as(guarded, f"Bearer {guarded.token}x")
    assert guarded.token not in answer.text and guarded.token not in str(answer.headers)
    assert ask_as(guarded, f"Bearer {guarded.token}").status == 200
    guarded.wait_log("echo 200")
    assert guarded.token not in guarded.log
    assert guarded.token not in guarded.get("/status").text + guarded.get("/metrics").text
    assert guarded.token.encode() not in pathlib.Path(f"/proc/{guarded.pid}/cmdline").read_bytes()


@pytest.mark.parametrize("mode", [0o640, 0o620, 0o604, 0o666])
def test_a_token_that_others_can_read(tmp_path, mode):
    assert_refused(["--token-file", make_token(tmp_path, mode)], "chmod 600", 69)


@pytest.mark.parametrize("text", ["", "short\n", "\nsecond-line-is-no-token", "with a blank inside", "x" * 5000])
def test_what_is_no_token(tmp_path, text):
    assert_refused(["--token-file", make_token(tmp_path, text=text)], "--token-file", 64)


def test_no_file(tmp_path):
    assert_refused(["--token-file", tmp_path / "none"], "--token-file", 64)
    assert_refused(["--token-file", tmp_path], "--token-file", 64)
    os.mkfifo(tmp_path / "fifo", 0o600)
    assert_refused(["--token-file", tmp_path / "fifo"], "--token-file", 64)


# ---- JSON is application/json ---------------------------------------------------------------------

# What a form or a fetch of any page may send without asking first, and what only looks like JSON.
NOT_JSON = ["text/plain", "text/plain; application/json", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None,
            "application/jsonp", "text/json", "application/json-patch+json", "application/json,text/plain", "x/application/json"]  # fmt: skip


@pytest.mark.parametrize("media_type", NOT_JSON)
@pytest.mark.parametrize(
    "method,target,body",
    [("PUT", "/state/typed", b"1"), ("POST", "/state/typed/add", b'{"by":1}'), ("POST", "/compute/primes", b'{"limit":100}')],
)
def test_415(named, method, target, body, media_type):
    answer = named.ask(method, target, body, headers={"Content-Type": media_type} if media_type else {})
    assert_problem(answer, 415, "unsupported-media-type")
    assert named.get("/state/typed").status == 404


@pytest.mark.parametrize("media_type", [JSON, "Application/JSON", "application/json; charset=utf-8", "application/json;x=y"])
def test_json_in_any_spelling(named, media_type):
    assert named.ask("POST", "/compute/primes", b'{"limit":100}', content_type=media_type).json["count"] == 25


def test_text_is_never_read_as_parameters(named):
    """Kernels that take raw input get text as it is."""
    answer = named.ask("POST", "/compute/echo", b'{"message":"smuggled"}', content_type="text/plain")
    assert answer.body == b'{"message":"smuggled"}' and answer.headers["Content-Type"] != JSON


# ---- what browsers are told -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "method,target", [("GET", "/compute/echo"), ("GET", "/compute"), ("GET", "/nothing"), ("GET", "/metrics"), ("GET", "/livez"),
                      ("GET", "/compute/mandelbrot?width=8&height=8"), ("PUT", "/compute")]  # fmt: skip
)
def test_every_answer_is_on_its_guard(named, method, target):
    headers = named.ask(method, target).headers
    for name, value in {
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
        "Cross-Origin-Resource-Policy": "same-origin",
        "Cache-Control": "no-store",
    }.items():
        assert headers.get_all(name) == [value]
    assert "Strict-Transport-Security" not in headers
