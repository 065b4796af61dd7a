"""What it says, and where: log lines for programs and people, and the access log."""
import contextlib
import json
import os
import re
import resource
import select
import signal
import subprocess
import time

import pytest
from conftest import PATIENCE, PRONG, SLOW, Load, clean_environment, open_fds, read_answer, wait_until

TRACE = "0af7651916cd43dd8448eb211c80319c"
PARENT = f"00-{TRACE}-b7ad6b7169203331-01"
TIME = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z"


def lines_of(s):
    """Those of the log, read as JSON."""
    return [json.loads(line) for line in s.log.split("\n") if line.startswith("{")]


def wait_line(s, **fields):
    """The first line that has these."""
    return wait_until(
        lambda: next((x for x in lines_of(s) if fields.items() <= x.items()), None), lambda: f"a line with {fields}:\n{s.log}"
    )


def test_lines_are_json_in_a_pipe(server):
    s = server(workers=1, log_level="debug")
    line = next(x for x in lines_of(s) if x["msg"].startswith("listening on"))
    assert list(line) == ["time", "level", "program", "msg"]
    assert re.fullmatch(TIME, line["time"]) and line["level"] == "info" and line["program"] == "prong"
    s.stop()
    log = [line for line in s.log.split("\n") if line != "(end of log)"]
    assert all(line.startswith('{"time":') for line in log), log
    assert {"prong", "prong-zygote"} <= {x["program"] for x in lines_of(s)}


def test_logfmt_when_asked(server):
    s = server(workers=1, log_level="debug", log_format="logfmt")
    s.wait_log(rf'^time={TIME} level=info program=prong msg="listening on http://')
    s.wait_log(rf'^time={TIME} level=debug program=prong-zygote msg="')


@pytest.mark.parametrize("on_terminal", [False, True])
def test_auto(tmp_path, on_terminal):
    """logfmt is for eyes only."""
    ours, theirs = os.openpty() if on_terminal else os.pipe()
    pid = os.fork()
    if pid == 0:
        os.dup2(theirs, 2)
        command = [str(PRONG), "--listen", "127.0.0.1:0", "--workers", "1", "--data", str(tmp_path)]
        os.execve(PRONG, command, clean_environment())
    os.close(theirs)
    text = b""
    while b"listening" not in text:
        text += os.read(ours, 4096)
    os.kill(pid, 15)
    assert os.waitpid(pid, 0)[1] == 0
    os.close(ours)
    assert text.startswith(b"time=" if on_terminal else b'{"time":'), text


def test_a_bad_format(server):
    s = server(log_format="xml", is_awaited=False)
    assert s.wait() == 64
    assert "--log-format" in s.log


def test_lines_of_a_request_name_it_and_its_trace(server):
    s = server(workers=1, log_level="debug")
    answer = s.get("/state/none", traceparent=PARENT)
    line = wait_line(s, request_id=answer.headers["X-Request-Id"])
    assert line["trace_id"] == TRACE
    assert answer.headers["traceparent"].split("-")[1] == TRACE
    answer = s.get("/state/none")
    line = wait_line(s, request_id=answer.headers["X-Request-Id"])
    assert "trace_id" not in line and "job" not in line


def test_a_death_is_found_by_its_request_its_job_and_its_trace(server):
    s = server(workers=1, enable_fault_kernel=True)
    answer = s.post("/compute/fault", {"mode": "segv"}, traceparent=PARENT)
    assert answer.status == 502
    line = wait_line(s, job=answer.headers["Prong-Job"])
    assert line["msg"].startswith("worker ") and "SIGSEGV" in line["msg"]
    assert line["request_id"] == answer.headers["X-Request-Id"] and line["trace_id"] == TRACE


def test_every_answer_goes_on_with_the_trace(server):
    s = server(workers=1)
    for target in ["/compute/echo", "/livez", "/nothing", "/compute/nothing", "/compute/primes?limit=x"]:
        answer = s.get(target, traceparent=PARENT)
        assert re.fullmatch(rf"00-{TRACE}-[0-9a-f]{{16}}-01", answer.headers["traceparent"]), (target, answer)
        assert answer.headers["traceparent"] != PARENT
        assert s.get(target, traceparent=PARENT.replace("-", "_")).headers["traceparent"] is None


def test_what_clients_send_is_escaped(server):
    s = server(workers=1, log_level="debug")
    answer = s.raw(b'GET /mark\x1b[31m"\xff\xc2\x9b\xc3\xa9 HTTP/1.1\r\nHost: x\r\n\r\n')
    assert answer is None or answer.status == 400
    line = wait_until(lambda: next((x for x in s.log.split("\n") if "/mark" in x), None), "the line")
    assert "/mark\x1b[31m\"\ufffd\x9b\u00e9 " in json.loads(line)["msg"]
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f]", s.log)


# ---- the access log -------------------------------------------------------------------------------


def access_lines(path, count):
    """Its lines but for what the test's own tools ask, once they are so many."""

    def lines():
        text = path.read_text() if path.exists() else ""
        return [line for line in text.splitlines() if "/status" not in line and "/metrics" not in line]

    return wait_until(lambda: len(lines()) >= count and lines(), lambda: f"{count} lines: {lines()}")


COMBINED = re.compile(
    r'(?P<address>\S+) - - \[(?P<time>[^]]+)\] "(?P<request>[^"]*)" (?P<status>\d{3}) (?P<bytes>\d+|-) "(?P<referer>[^"]*)" "(?P<agent>[^"]*)"'
)


def test_combined(server, tmp_path):
    path = tmp_path / "access.log"
    s = server(workers=1, access_log=path)
    with s.client() as client:
        client.get("/compute/echo?message=%22a%20b", Referer="http://there/", User_Agent="me/1")
        client.get("/", User_Agent='a"b\\')
        client.ask("HEAD", "/")
        client.get("/nothing")
        etag = client.get("/").headers["ETag"]
        assert client.get("/", If_None_Match=etag).status == 304
        client.post("/state/n/add", {"by": 1}, authorization="Bearer secret-of-mine")
        client.get("/compute/sleep?seconds=0", accept="text/event-stream")
        size = len(client.get("/").body)
    found = [COMBINED.fullmatch(line) for line in access_lines(path, 9)]
    assert all(found) and all(m["address"] == "127.0.0.1" for m in found)
    got = [(m["request"], m["status"], m["bytes"]) for m in found]
    assert got == [
        ("GET /compute/echo?message=%22a%20b HTTP/1.1", "200", str(len('{"message":"\\"a b"}'))),
        ("GET / HTTP/1.1", "200", str(size)),
        ("HEAD / HTTP/1.1", "200", "0"),
        ("GET /nothing HTTP/1.1", "404", got[3][2]),
        ("GET / HTTP/1.1", "200", str(size)),
        ("GET / HTTP/1.1", "304", "0"),
        ("POST /state/n/add HTTP/1.1", "200", got[6][2]),
        ("GET /compute/sleep?seconds=0 HTTP/1.1", "200", "-"),
        ("GET / HTTP/1.1", "200", str(size)),
    ]
    assert (found[0]["referer"], found[0]["agent"]) == ("http://there/", "me/1")
    assert found[1]["agent"] == "a\\x22b\\x5C"
    assert "secret" not in path.read_text()
    s.stop()


def test_json(server, tmp_path):
    path = tmp_path / "access.log"
    s = server("--access-log-format", "json", workers=1, access_log=path)
    answer = s.get("/compute/echo?message=x", traceparent=PARENT, user_agent="me/1")
    line = wait_until(
        lambda: next((x for x in map(json.loads, path.read_text().splitlines()) if x["user_agent"] == "me/1"), None), "its line"
    )
    assert re.fullmatch(TIME, line.pop("time")) and 0 < line.pop("duration_ms") < 1000 * PATIENCE
    assert line == {
        "address": "127.0.0.1", "method": "GET", "target": "/compute/echo?message=x", "version": "HTTP/1.1", "status": 200,
        "bytes": len(answer.body), "request_id": answer.headers["X-Request-Id"], "trace_id": TRACE, "job": answer.headers["Prong-Job"],
        "referer": None, "user_agent": "me/1", "tls": False,
    }


def test_each_of_a_pipeline_has_its_own_line(server, tmp_path):
    """What is logged was sent with that request, though libmicrohttpd uses its memory again and again."""
    path = tmp_path / "access.log"
    s = server("--access-log-format", "json", workers=1, access_log=path)
    kinds = ["/livez?{}", "/compute/echo?message={}", "/?{}", "/nothing?{}"]
    targets = [kind.format(f"n{i}" * (i + 1)) for i in range(8) for kind in kinds]
    with s.connect() as sock:
        for i, target in enumerate(targets):
            sock.sendall(f"GET {target} HTTP/1.1\r\nHost: x\r\nUser-Agent: agent-{i}\r\nReferer: {'r' * i}\r\n\r\n".encode())
        sock.shutdown(1)
        while sock.recv(65536):
            pass
    wait_until(lambda: path.read_text().count("agent-") == len(targets), lambda: path.read_text())
    lines = [x for x in map(json.loads, path.read_text().splitlines()) if (x["user_agent"] or "").startswith("agent-")]
    assert [(x["target"], x["user_agent"], x["referer"]) for x in lines] == [
        (target, f"agent-{i}", "r" * i or None) for i, target in enumerate(targets)
    ]


def test_refused_requests_have_their_line(server, tmp_path):
    path = tmp_path / "access.log"
    s = server(workers=1, access_log=path)
    for raw, status in [
        (b"GET /a\x01b HTTP/1.1\r\nHost: x\r\n\r\n", 400),
        (b"GET http://user:pass@x/absolute?q HTTP/1.1\r\nHost: x\r\n\r\n", None),
        (b"GET /" + b"l" * 9000 + b" HTTP/1.1\r\nHost: x\r\n\r\n", None),
    ]:
        answer = s.raw(raw)
        assert status is None or answer.status == status, answer
    lines = access_lines(path, 3)
    first, second, third = (next(x for x in lines if mark in x) for mark in (r"/a\x01", "/absolute", "/lll"))
    assert '"GET /a\\x01b HTTP/1.1" 400 ' in first
    assert "/absolute?q" in second and "pass" not in second
    assert third.count("l") >= 2000 and len(third) < 4096


def test_sighup_opens_it_anew(server, tmp_path):
    path, old = tmp_path / "access.log", tmp_path / "access.log.1"
    s = server(workers=1, access_log=path)
    s.get("/livez?before")
    wait_until(lambda: "before" in path.read_text(), "the line")
    path.rename(old)
    os.kill(s.pid, signal.SIGHUP)
    wait_until(path.exists, "a new file")
    s.get("/livez?after")
    wait_until(lambda: "after" in path.read_text(), "the line")
    assert "before" in old.read_text() and "after" not in old.read_text() and "before" not in path.read_text()
    assert s.get("/livez").status == 200


def test_a_full_disk_is_said_once_and_serving_goes_on(server):
    s = server(workers=1, access_log="/dev/full")
    for _ in range(3):
        assert s.get("/livez").status == 200
        s.wait_log("access log /dev/full: No space left on device")
    s.stop()
    assert s.log.count("/dev/full") == 1


def test_where_it_cannot_write_it_does_not_start(server):
    s = server(access_log="/nonexistent/access.log", is_awaited=False)
    assert s.wait() != 0
    assert "/nonexistent/access.log" in s.log
    s = server("--access-log-format", "xml", access_log="-", is_awaited=False)
    assert s.wait() == 64
    assert "--access-log-format" in s.log


def test_standard_output_and_no_line_lost_at_the_end(tmp_path):
    command = [str(PRONG), "--listen", "127.0.0.1:0", "--workers", "1", "--data", str(tmp_path), "--access-log", "-"]
    with open(tmp_path / "out", "wb") as out:
        prong = subprocess.Popen(command, stdout=out, stderr=subprocess.PIPE, env=clean_environment())
    try:
        url = re.search(rb"listening on (http://[0-9.:]+)", prong.stderr.readline()).group(1).decode()
        asked = Load(url + "/livez?load", 1).result()["requests"]
        prong.send_signal(signal.SIGTERM)
        err = prong.communicate(timeout=PATIENCE)[1]
    finally:
        prong.kill()
        prong.wait()
    assert prong.returncode == 0 and b"lost" not in err, err
    lines = [line for line in (tmp_path / "out").read_text().splitlines() if "/livez?load" in line]
    assert len(lines) >= asked > 0
    assert all(COMBINED.fullmatch(line) for line in lines)


# ---- no descriptor left ---------------------------------------------------------------------------


def cpu_s(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
        return sum(map(int, stat.read().rsplit(")", 1)[1].split()[11:13])) / os.sysconf("SC_CLK_TCK")


def test_without_descriptors_clients_wait_and_nobody_spins(server):
    s = server(workers=1, idle=int(5 * SLOW))  # libmicrohttpd takes the others when one of the first has gone
    limits = resource.prlimit(s.pid, resource.RLIMIT_NOFILE)
    with contextlib.ExitStack() as stack:
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, (max(open_fds(s.pid)) + 1, limits[1]))
        socks = [stack.enter_context(s.connect()) for _ in range(30)]
        s.wait_log("no file descriptor is left")
        before, began = cpu_s(s.pid), time.monotonic()
        for sock in socks:
            sock.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        time.sleep(1)  # what it must not do now, it would do all the time
        assert cpu_s(s.pid) - before < 0.3 * (time.monotonic() - began)
        assert len(s.log_lines) < 20, s.log
        assert not select.select(socks[-1:], [], [], 0)[0], "there was a descriptor for all"
        resource.prlimit(s.pid, resource.RLIMIT_NOFILE, limits)
        assert [read_answer(sock).status for sock in socks] == [200] * 30
    assert s.get("/compute/echo").status == 200
