"""prong jobs, prong kernels and prong state: what people and scripts see. By a real server, and by a small one of the
test's own which answers as it is told to, for what a real one seldom says."""
import contextlib
import http.server
import json
import os
import re
import secrets
import socket
import subprocess
import threading

import pytest
from conftest import PATIENCE, PRONG, clean_environment, wait_until

ID = "01a2b3c4-0000-7000-8000-0123456789ab"
JOB = {
    "params": {"limit": 1000}, "id": ID, "kernel": "primes", "state": "running", "priority": "normal",
    "progress": {"done": 1, "total": 4, "fraction": 0.25}, "attempts": 1, "max_attempts": 3, "position": None, "eta": 1.5,
    "created": 1763726000.25, "started": 1763726001.5, "finished": None, "timeout": 3600.0, "deadline": None, "error": None,
    "receipt": None, "result": None, "links": {"self": f"/jobs/{ID}", "result": f"/jobs/{ID}/result", "events": f"/jobs/{ID}/events"},
}  # fmt: skip


def prong(*words, url=None, binary=False, **env):
    """What came of it."""
    env = clean_environment(**({"PRONG_URL": url} if url else {}), **env)
    return subprocess.run(
        [str(PRONG), *map(str, words)], stdin=subprocess.DEVNULL, capture_output=True, text=not binary, timeout=4 * PATIENCE, env=env
    )


def assert_says(ended, code, pattern):
    """Its exit status, and its one line on standard error."""
    assert ended.returncode == code, ended
    assert re.fullmatch(rf"prong: .*(?:{pattern}).*\n", ended.stderr), ended
    assert ended.stdout == "", ended


# ---- the shared state -----------------------------------------------------------------------------


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=1)


@pytest.fixture
def state(s):
    return lambda *words: prong("state", *words, url=s.url)


def test_set_get_add_delete(s, state):
    made = state("set", "a", '{"x":[1,2]}')
    assert made.returncode == 0 and re.fullmatch(r"version \d+\n", made.stdout)
    assert state("get", "a").stdout == '{"x":[1,2]}\n'
    assert s.get("/state/a").json["value"] == {"x": [1, 2]}
    assert [state("add", "n").stdout, state("add", "n", "41").stdout, state("add", "n", "-2").stdout] == ["1\n", "42\n", "40\n"]
    gone = state("delete", "a")
    assert (gone.returncode, gone.stdout, gone.stderr) == (0, "", "")
    assert_says(state("get", "a"), 1, "There is no key a")


@pytest.mark.parametrize("key", ["ä€🐍", "with space", "a/b", "..", "%41", "a?b#c", "--json"])
def test_any_key(s, state, key):
    assert state("set", "--", key, "5").returncode == 0
    assert state("get", "--", key).stdout == "5\n"
    assert key in [k["key"] for k in s.get("/state?limit=1000").json["keys"]]
    assert state("delete", "--", key).returncode == 0


def test_list_is_a_table_with_pages(server):
    s = server(workers=1)
    for i in range(5):
        s.ask("PUT", f"/state/key{i}", [i])
    first = prong("state", "list", "--limit", 3, url=s.url)
    assert re.fullmatch(r"KEY   VERSION\nkey0  \d+\nkey1  \d+\nkey2  \d+\n", first.stdout), first
    assert first.stderr == "There are more: prong state list --after 'key2'\n"
    rest = prong("state", "list", "--limit", 3, "--after", "key2", url=s.url)
    assert re.fullmatch(r"KEY   VERSION\nkey3  \d+\nkey4  \d+\n", rest.stdout) and rest.stderr == ""


def test_json_is_what_the_server_sent(s, state):
    state("set", "j", '"text"')
    assert state("get", "j", "--json").stdout.rstrip("\n") == s.get("/state/j").text


def test_the_servers_reasons_come_through(state):
    assert_says(state("set", "bad", "{"), 1, "line 1, column 1")
    assert_says(state("list", "--limit", 0), 1, "limit must be an integer from 1 to 1000")
    state("set", "text", '"x"')
    assert_says(state("add", "text"), 1, "not an integer")


def test_control_characters_of_a_key_do_not_reach_the_terminal(state):
    assert_says(state("get", "a\x1b[2J"), 1, r"There is no key a\\x1b\[2J")


# ---- how it is called -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "words,says",
    [
        (["jobs"], "prong jobs --help"),
        (["state", "frobnicate"], "no command frobnicate"),
        (["state", "get"], "prong state get KEY"),
        (["state", "get", "a", "b"], "prong state get KEY"),
        (["state", "list", "--wait", "3"], "--wait"),
        (["state", "list", "--nope"], "--nope"),
        (["state", "get", "a", "--url"], "--url URL"),
        (["state", "add", "a", "x"], "integer"),
        (["jobs", "show", ID, "--wait", "x"], "--wait"),
        (["jobs", "submit", "echo", "{"], "line 1"),
        (["jobs", "submit", "echo", "[1]"], "object"),
        (["state", "get", "a", "--url", "ftp://127.0.0.1"], "http://HOST:PORT"),
        (["state", "get", "a", "--url", "http://me:secret@127.0.0.1:1"], "http://HOST:PORT"),
        (["state", "get", "a", "--url", "http://127.0.0.1:x"], "--url"),
        (["state", "get", "a", "--token-file", "/nowhere"], "/nowhere"),
        (["state", "get", "a", "--cacert", "/nowhere", "--url", "https://127.0.0.1:1"], "/nowhere"),
    ],
)
def test_wrong_use_is_64(words, says):
    assert_says(prong(*words), 64, re.escape(says))


@pytest.mark.parametrize("words", [["jobs"], ["state"], ["jobs", "list"], ["jobs", "show"], ["state", "add"]])
def test_help(words):
    ended = prong(*words, "--help")
    assert ended.returncode == 0 and ended.stderr == ""
    assert f"prong {' '.join(words)}" in ended.stdout and "--token-file" in ended.stdout


def test_the_servers_help_names_it():
    text = prong("--help").stdout
    assert "prong jobs --help" in text and "prong state --help" in text


def test_nobody_there_is_69():
    with socket.create_server(("127.0.0.1", 0)) as closed:
        port = closed.getsockname()[1]
    assert_says(prong("state", "list", url=f"http://127.0.0.1:{port}"), 69, f"http://127.0.0.1:{port}")
    assert_says(prong("state", "list", "--url", f"http://127.0.0.1:{port}", url="http://127.0.0.1:1"), 69, f"http://127.0.0.1:{port}")


def test_standard_output_that_takes_nothing(s):
    with open("/dev/full", "w") as full:
        ended = subprocess.run(
            [str(PRONG), "state", "list", "--url", s.url], stdout=full, stderr=subprocess.PIPE, text=True, env=clean_environment(), timeout=4 * PATIENCE
        )
    assert ended.returncode == 1 and "could not be written" in ended.stderr


# ---- who is asked, and as whom --------------------------------------------------------------------


def test_token(server, tmp_path):
    token, wrong = tmp_path / "token", tmp_path / "wrong"
    for path in (token, wrong):
        path.touch(mode=0o600)
        path.write_text(secrets.token_urlsafe(24) + "\n")
    s = server(workers=1, token_file=token)
    assert_says(prong("state", "list", url=s.url), 1, "token.*--token-file")
    assert_says(prong("state", "list", "--token-file", wrong, url=s.url), 1, "token.*--token-file")
    assert prong("state", "add", "n", "--token-file", token, url=s.url).stdout == "1\n"
    assert prong("state", "add", "n", url=s.url, PRONG_TOKEN_FILE=token).stdout == "2\n"


@pytest.mark.parametrize("text", ["", "\n", "two words\n", "x" * 5000, "t\x01\n"])
def test_a_file_that_holds_no_token(tmp_path, text):
    (tmp_path / "token").write_text(text)
    assert_says(prong("state", "list", "--token-file", tmp_path / "token", url="http://127.0.0.1:1"), 64, "no token")


def test_https(server, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "1",
         "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-keyout", key, "-out", cert],
        check=True, capture_output=True,
    )  # fmt: skip
    key.chmod(0o600)
    s = server(workers=1, tls_cert=cert, tls_key=key)
    assert_says(prong("state", "add", "n", url=s.url), 69, "--cacert")
    assert prong("state", "add", "n", "--cacert", cert, url=s.url).stdout == "1\n"


class Other:
    """A server of the test's own: gives each request to `answer(method, path, body)`, which returns status, headers, body."""

    def __init__(self, answer):
        self.seen = seen = []

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                seen.append((self.command, self.path, body, dict(self.headers)))
                status, headers, body = answer(self.command, self.path, body)
                body = body if isinstance(body, bytes) else json.dumps(body).encode()
                self.send_response(status)
                for name, value in headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do

            def log_message(self, *_):
                pass

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.http.daemon_threads = True
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self.thread = threading.Thread(target=self.http.serve_forever, daemon=True)
        self.thread.start()

    def close(self):
        self.http.shutdown()
        self.http.server_close()


@pytest.fixture
def other():
    with contextlib.ExitStack() as stack:
        yield lambda answer: stack.enter_context(contextlib.closing(Other(answer)))


def test_no_proxy_of_the_environment_is_used(other):
    proxy = other(lambda *_: (200, {}, {"key": "a", "value": "from the proxy", "version": 1}))
    real = other(lambda *_: (200, {}, {"key": "a", "value": 5, "version": 1}))
    env = {name: proxy.url for name in ("http_proxy", "all_proxy", "ALL_PROXY")}
    assert prong("state", "get", "a", url=real.url, **env).stdout == "5\n"
    assert proxy.seen == []


def test_no_redirect_is_followed(other):
    elsewhere = other(lambda *_: (200, {}, {"key": "a", "value": "from elsewhere", "version": 1}))
    moved = other(lambda *_: (307, {"Location": elsewhere.url + "/state/a"}, b""))
    assert_says(prong("state", "set", "a", "5", url=moved.url), 1, "status 307")
    assert elsewhere.seen == []


def test_a_netrc_is_not_read(other, tmp_path):
    (tmp_path / ".netrc").write_text(f"machine 127.0.0.1 login me password {secrets.token_hex(8)}\n")
    os.chmod(tmp_path / ".netrc", 0o600)
    s = other(lambda *_: (200, {}, {"keys": [], "next": None}))
    assert prong("state", "list", url=s.url, HOME=tmp_path).returncode == 0
    ((_, _, _, headers),) = s.seen
    assert "Authorization" not in headers and headers["User-Agent"].startswith("prong/")


@pytest.mark.parametrize("body", [b"<html>hello</html>", b"[1]", b'"x"'])
def test_what_is_no_prong(other, body):
    assert_says(prong("state", "list", url=other(lambda *_: (200, {}, body)).url), 1, "not what a prong server sends")


def test_a_refusal_without_a_reason(other):
    s = other(lambda *_: (502, {}, b"<html>bad gateway</html>"))
    assert_says(prong("state", "list", url=s.url), 1, f"{re.escape(s.url)} answered with status 502")


def test_a_path_before_its_own(other):
    s = other(lambda *_: (200, {}, {"keys": [], "next": None}))
    assert prong("state", "list", "--url", s.url + "/behind/a/proxy/").returncode == 0
    assert s.seen[0][:2] == ("GET", "/behind/a/proxy/state")


# ---- jobs of a real server -------------------------------------------------------------------------


@pytest.fixture(scope="module")
def jobs(shared_server):
    s = shared_server(workers=1, enable_fault_kernel=True, job_attempts=1)
    return lambda *words: prong("jobs", *words, url=s.url)


def submit(jobs, *words):
    made = jobs("submit", *words)
    assert made.returncode == 0 and re.fullmatch(r"[0-9a-f-]{36}\n", made.stdout), made
    return made.stdout.strip()


def test_a_job_from_submission_to_result(jobs):
    made = submit(jobs, "primes", '{"limit":1000}')
    shown = jobs("show", made, "--wait", "60").stdout
    assert "kernel: primes\n" in shown and "state: succeeded\n" in shown and 'params: {"limit":1000}\n' in shown
    assert json.loads(jobs("result", made).stdout) == {"count": 168, "limit": 1000}
    assert_says(jobs("cancel", made), 1, "ended already: it is succeeded")
    assert json.loads(jobs("show", made, "--json").stdout)["id"] == made, "cancelling has not forgotten it"


def test_a_dead_job_is_listed_and_tried_again(jobs):
    made = submit(jobs, "fault", '{"mode":"segv"}')
    shown = jobs("show", made, "--wait", "60").stdout
    assert "state: dead\n" in shown and re.search(r"^error: .*SIGSEGV", shown, re.M)
    row = [line for line in jobs("list", "--state", "dead", "--kernel", "fault").stdout.splitlines() if line.startswith(made)]
    assert len(row) == 1 and "1 of 1" in row[0]
    assert jobs("retry", made).stdout == f"{made} is queued\n"
    assert "state: dead\n" in jobs("show", made, "--wait", "60").stdout


def test_a_job_is_cancelled(jobs):
    made = submit(jobs, "sleep", '{"seconds":600}')
    assert jobs("cancel", made).stdout == f"{made} is cancelled\n"
    assert "state: cancelled\n" in jobs("show", made).stdout
    assert jobs("result", made).returncode == 1


def test_it_shows_what_curl_shows_at_every_moment(server):
    """Queued, running, put off after a death, and each way to end; moving figures apart."""
    s = server(workers=1, express=0, enable_fault_kernel=True, job_backoff=60, brake_deaths=0)

    def still(job):
        return {k: v for k, v in job.items() if k not in ("progress", "eta")}

    def compare(made, state):
        wait_until(lambda: s.get(f"/jobs/{made}").json["state"] == state, lambda: f"{state}: {s.get(f'/jobs/{made}').text}")
        assert still(json.loads(by("show", made, "--json").stdout)) == still(s.get(f"/jobs/{made}").json)
        ours = [still(job) for job in json.loads(by("list", "--json", "--state", state).stdout)["jobs"] if job["id"] == made]
        assert ours == [still(job) for job in s.get(f"/jobs?state={state}").json["jobs"] if job["id"] == made]
        assert len(ours) == 1

    def by(*words):
        return prong("jobs", *words, url=s.url)

    running = submit(by, "sleep", '{"seconds":600}')
    compare(running, "running")
    waiting = [submit(by, "echo") for _ in range(3)]  # more than are claimed ahead
    compare(waiting[-1], "queued")
    assert by("cancel", running).returncode == 0
    compare(running, "cancelled")
    for made in waiting:
        compare(made, "succeeded")
    compare(submit(by, "matmul", '{"n":2}'), "succeeded")
    once = s.post("/jobs", {"kernel": "fault", "params": {"mode": "abort"}, "max_attempts": 1}).json["id"]
    compare(once, "dead")
    twice = s.post("/jobs", {"kernel": "fault", "params": {"mode": "segv"}, "max_attempts": 2}).json["id"]
    wait_until(lambda: s.get(f"/jobs/{twice}").json["attempts"] == 1, "its first attempt")
    compare(twice, "queued")
    late = s.post("/jobs", {"kernel": "sleep", "params": {"seconds": 60}, "timeout": 0.2}).json["id"]
    compare(late, "failed")


def test_pages_of_jobs(jobs):
    made = [submit(jobs, "echo") for _ in range(5)]
    first = jobs("list", "--kernel", "echo", "--limit", "3")
    (mark,) = re.findall(r"--after '(.+)'", first.stderr)
    rest = jobs("list", "--kernel", "echo", "--limit", "3", "--after", mark)
    listed = [line.split()[0] for page in (first, rest) for line in page.stdout.splitlines()[1:]]
    assert listed == made[::-1] and rest.stderr == ""


def test_no_such_job_or_kernel(jobs):
    assert_says(jobs("show", "nothing"), 1, "no job of this id")
    assert_says(jobs("submit", "nothing"), 1, "no kernel of this name")


# ---- jobs, as a server tells of them --------------------------------------------------------------


def job(**changes):
    return {**JOB, **changes}


def test_jobs_list(other):
    ended = job(state="succeeded", progress=None, kernel="wordcount", attempts=2)
    s = other(lambda *_: (200, {}, {"jobs": [job(), ended], "next": "MARK"}))
    shown = prong("jobs", "list", "--state", "running", "--kernel", "a&b", "--limit", "2", "--after", "X", url=s.url)
    assert s.seen[0][1] == "/jobs?state=running&kernel=a%26b&limit=2&after=X"
    lines = [re.split(r"  +", line) for line in shown.stdout.splitlines()]
    assert lines[0] == ["ID", "KERNEL", "STATE", "ATTEMPTS", "AGE", "PROGRESS"]
    assert lines[1][:4] == [ID, "primes", "running", "1 of 3"] and lines[1][5] == "25 %"
    assert lines[2][1:4] == ["wordcount", "succeeded", "2 of 3"] and lines[2][5] == "-"
    assert re.fullmatch(r"\d+ (s|min|h|d)", lines[1][4])
    assert shown.stderr == "There are more: prong jobs list --after 'MARK'\n"


def test_jobs_show(other):
    s = other(lambda *_: (200, {}, job()))
    shown = prong("jobs", "show", ID, url=s.url, TZ="UTC").stdout
    assert s.seen[0][:2] == ("GET", f"/jobs/{ID}")
    assert f"id: {ID}\n" in shown and 'params: {"limit":1000}\n' in shown
    assert "created: 2025-11-21 11:53:20 +0000\n" in shown
    assert "finished" not in shown


def test_jobs_show_says_of_an_error_what_a_person_needs(other):
    s = other(lambda *_: (200, {}, job(state="dead", error={"type": "/docs#worker-died", "status": 502, "detail": "It died."})))
    assert "error: It died.\n" in prong("jobs", "show", ID, url=s.url).stdout


def test_jobs_show_hides_what_a_terminal_obeys(other):
    s = other(lambda *_: (200, {}, job(error={"detail": "\x1b]0;owned\x07\u009b2J"}, kernel="k\x1b[31m")))
    shown = prong("jobs", "show", ID, url=s.url).stdout
    assert not re.search(r"[\x00-\x09\x0b-\x1f\x7f-\x9f]", shown) and "owned" in shown


def test_jobs_show_waits_as_long_as_it_is_told(other):
    """A server that waits less than it is asked to is asked again; one that does not wait at all is not."""
    waits = threading.Event()
    rounds = []

    def answer(_method, path, _body):
        rounds.append(path)
        if len(rounds) == 1:
            waits.wait(1.1)
            return 200, {}, job()
        return 200, {}, job(state="succeeded")

    s = other(answer)
    assert "state: succeeded\n" in prong("jobs", "show", ID, "--wait", "300", url=s.url).stdout
    assert rounds[0] == f"/jobs/{ID}?wait=300" and len(rounds) == 2
    hasty = other(lambda *_: (200, {}, job()))
    assert "state: running\n" in prong("jobs", "show", ID, "--wait", "300", url=hasty.url).stdout
    assert len(hasty.seen) == 1


def test_jobs_cancel(other):
    s = other(lambda method, *_: (200, {}, job(state="cancelled" if method == "DELETE" else "running")))
    assert prong("jobs", "cancel", ID, url=s.url).stdout == f"{ID} is cancelled\n"
    assert [seen[0] for seen in s.seen] == ["GET", "DELETE"]


def test_jobs_cancel_forgets_nothing(other):
    s = other(lambda *_: (200, {}, job(state="succeeded")))
    assert_says(prong("jobs", "cancel", ID, url=s.url), 1, "ended already: it is succeeded")
    assert [seen[0] for seen in s.seen] == ["GET"]


def test_jobs_retry(other):
    s = other(lambda *_: (200, {}, job(state="queued")))
    assert prong("jobs", "retry", ID, url=s.url).stdout == f"{ID} is queued\n"
    assert s.seen[0][:2] == ("POST", f"/jobs/{ID}/retry")


def test_jobs_submit(other):
    s = other(lambda *_: (202, {}, job(state="queued")))
    assert prong("jobs", "submit", "primes", '{"limit":1000}', url=s.url).stdout == ID + "\n"
    method, path, body, headers = s.seen[0]
    assert (method, path, json.loads(body)) == ("POST", "/jobs", {"kernel": "primes", "params": {"limit": 1000}})
    assert headers["Content-Type"] == "application/json"


def test_jobs_result_is_bytes(other):
    made = bytes(range(256)) * 1000
    s = other(lambda *_: (200, {"Content-Type": "application/octet-stream"}, made))
    ended = prong("jobs", "result", ID, url=s.url, binary=True)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, made, b"")
    assert s.seen[0][:2] == ("GET", f"/jobs/{ID}/result")


def test_jobs_result_that_is_not_there(other):
    s = other(lambda *_: (409, {}, {"detail": "The job still runs: ask again later."}))
    assert_says(prong("jobs", "result", ID, url=s.url), 1, "still runs")


@pytest.mark.parametrize("words", [["list"], ["show", ID], ["retry", ID], ["submit", "primes"]])
def test_jobs_json(other, words):
    text = b'{"jobs": [],  "id":"x"}'
    assert prong("jobs", *words, "--json", url=other(lambda *_: (200, {}, text)).url).stdout == text.decode() + "\n"
