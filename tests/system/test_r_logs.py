"""What it says, and where: log lines for programs and people, and the access log."""
import json
import os
import re

import pytest
from conftest import PATIENCE, PRONG, clean_environment, wait_until

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
