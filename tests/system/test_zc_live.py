"""What happens now: GET /events, GET /history, what /status says for them, and who computes what in event streams."""
import base64
import json
import os
import signal
import socket
import threading
import time
from http.client import HTTPResponse

import pytest

from conftest import PATIENCE, Background, assert_problem, events_of, fewer, wait_until

COLUMNS = {
    "requests_per_s", "runs_per_s", "errors_per_s", "p50_ms", "p99_ms", "queue_high", "queue_normal", "queue_low", "running",
    "busy", "cpu_cores", "rss_bytes",
}
LOOKS_PER_S = 4


@pytest.fixture(scope="module", name="s")
def _s(shared_server):
    return shared_server(workers=2, enable_fault_kernel=True, store="memory", poison_deaths=0, brake_deaths=64)


class Stream:
    """An event stream that is read as it comes."""

    def __init__(self, server, target="/events", rcvbuf=None, headers=()):
        self.sock = server.connect()
        if rcvbuf:
            self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, rcvbuf)
        lines = [f"GET {target} HTTP/1.1", "Host: x", "Accept: text/event-stream", *headers]
        if server.token:
            lines.append(f"Authorization: Bearer {server.token}")
        self.sock.sendall("\r\n".join([*lines, "", ""]).encode())
        self.sock.settimeout(3 * PATIENCE)
        self.response = None

    def begin(self):
        self.response = HTTPResponse(self.sock)
        self.response.begin()
        return self

    def next(self, wanted=None):
        """The next event, or the next of that name: (name, what it says). None at the end."""
        if self.response is None:
            self.begin()
        name, data = None, []
        while True:
            line = self.response.readline().decode().rstrip("\n")
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
            elif line == "" and self.response.isclosed():
                return None
            elif line == "" and data:
                if wanted in (None, name):
                    return name, json.loads("\n".join(data))
                name, data = None, []

    def until(self, check, what, count=100):
        """All events up to the first for which check(name, data), that one included."""
        seen = []
        for _ in range(count):
            event = self.next()
            assert event is not None, f"it ended before {what}: {seen[-5:]}"
            seen.append(event)
            if check(*event):
                return seen
        raise AssertionError(f"{count} events and never {what}: {seen[-5:]}")

    def samples(self, count):
        """Events up to the so manieth sample, that one included."""
        left = [count]

        def is_last(name, _):
            left[0] -= name == "sample"
            return left[0] == 0

        return self.until(is_last, f"{count} samples")

    def close(self):
        if self.response is not None:
            self.response.close()
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def names(events):
    return [name for name, _ in events]


def history(s, span):
    answer = s.get(f"/history?span={span}")
    assert answer.status == 200, answer
    return answer.json


def known(columns, name):
    return [value for value in columns[name] if value is not None]


# ---- GET /events ----------------------------------------------------------------------------------


def test_the_first_event_is_the_status(s):
    with Stream(s).begin() as stream:
        assert stream.response.status == 200
        assert stream.response.headers["Content-Type"] == "text/event-stream"
        assert stream.response.headers["Cache-Control"] == "no-store"
        name, said = stream.next()
    asked = s.status()
    assert name == "status" and said.keys() == asked.keys()
    assert said["pid"] == asked["pid"] and {w["pid"] for w in said["workers"]} == {w["pid"] for w in asked["workers"]}


def test_samples_follow(s):
    with Stream(s) as stream:
        samples = [said for name, said in stream.samples(4) if name == "sample"]
    for sample in samples:
        assert sample.keys() == {"t", *COLUMNS}
    times = [sample["t"] for sample in samples]
    assert times == sorted(set(times)), times


def test_at_rest_only_samples_come(s):
    s.wait_idle()
    with Stream(s) as stream:
        stream.samples(2)
        assert names(stream.samples(4)) == ["sample"] * 4


def test_a_change_is_told(s):
    with Stream(s) as stream:
        before = stream.next()[1]["jobs"]["serial"]
        job = s.post("/jobs", {"kernel": "echo", "params": {"message": "x"}}).json
        stream.until(
            lambda name, said: name == "status" and said["jobs"]["serial"] > before and said["jobs"]["ended"] >= 1, "its end"
        )
        serial = s.status()["jobs"]["serial"]
        assert s.ask("DELETE", f"/jobs/{job['id']}").status == 204
        stream.until(lambda name, said: name == "status" and said["jobs"]["serial"] > serial, "that it is forgotten")


def test_a_status_comes_now_and_then_while_anything_runs(s):
    s.wait_idle()
    with Stream(s) as stream:
        run = Background(s.get, "/compute/sleep?seconds=3.5")
        busy = stream.until(
            lambda name, said: name == "status" and any(w.get("kernel") == "sleep" for w in said["workers"]), "that it runs"
        )[-1]
        (worker,) = [w for w in busy[1]["workers"] if w.get("kernel") == "sleep"]
        ended = stream.until(lambda name, said: name == "status" and said["compute"]["running"] == 0, "its end")
        assert run.result().status == 200
    between = [said for name, said in ended[:-1] if name == "status"]
    assert len(between) >= 2
    assert all(w["pid"] != worker["pid"] or w["job"] == worker["job"] for said in between for w in said["workers"])


def test_never_more_than_a_few_a_second(s):
    """Counted from sample to sample: however busy it is."""
    stop = threading.Event()

    def hammer():
        with s.client() as client:
            while not stop.is_set():
                client.get("/compute/echo")

    load = [Background(hammer) for _ in range(4)]
    try:
        with Stream(s) as stream:
            stream.samples(2)
            events = stream.samples(5)
    finally:
        stop.set()
        for one in load:
            one.result()
    samples = [said for name, said in events if name == "sample"]
    seconds = samples[-1]["t"] - samples[0]["t"] + 1
    told = names(events).count("status")
    assert 1 <= told <= (LOOKS_PER_S + 1) * seconds, events
    assert all(sample["requests_per_s"] > 0 and sample["runs_per_s"] > 0 for sample in samples)
    assert all(0 < sample["p50_ms"] <= sample["p99_ms"] for sample in samples)


def test_a_killed_worker_shows_and_so_does_the_next(s):
    s.wait_workers()
    with Stream(s) as stream:
        workers = stream.next()[1]["workers"]
        victim = workers[0]["pid"]
        assert s.ask("DELETE", f"/workers/{victim}").status == 204

        def is_replaced(name, said):
            return name == "status" and len(said["workers"]) == len(workers) and victim not in {w["pid"] for w in said["workers"]}

        stream.until(is_replaced, "another worker")


def test_many_listen_and_all_hear_the_same(s):
    count = fewer(40)
    streams = [Stream(s).begin() for _ in range(count)]
    try:
        assert all(stream.next()[0] == "status" for stream in streams)
        first = max(stream.next("sample")[1]["t"] for stream in streams)
        heard = []
        for stream in streams:
            (*_, (_, sample)) = stream.until(lambda name, said: name == "sample" and said["t"] > first, "the next sample")
            heard.append(sample)
        assert all(sample == heard[0] for sample in heard)
        assert s.metric("prong_event_streams") == count
    finally:
        for stream in streams:
            stream.close()
    wait_until(lambda: s.metric("prong_event_streams") == 0, "that all are let go")


def test_only_so_many_may_listen(server):
    s = server(workers=1, express=0, event_streams=2)
    with Stream(s).begin() as first, Stream(s).begin() as second:
        assert first.next()[0] == second.next()[0] == "status"
        refused = s.get("/events")
        assert_problem(refused, 503, "events-full")
        assert int(refused.headers["Retry-After"]) > 0
        first.close()

        def gets_in():
            with Stream(s).begin() as third:
                return third.response.status == 200 and third.next()[0] == "status"

        wait_until(gets_in, "the place of who has gone")
        assert second.next("sample")


def test_a_head_alone_leaves_no_listener(s):
    answer = s.ask("HEAD", "/events")
    assert answer.status == 200 and answer.body == b""
    wait_until(lambda: s.metric("prong_event_streams") == 0, "that it is let go")


def test_the_token_is_asked_for(server, tmp_path):
    token = tmp_path / "token"
    token.write_text("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\n")
    token.chmod(0o600)
    s = server(workers=1, express=0, token_file=token)
    for path in ("/events", "/history"):
        assert_problem(s.get(path, authorization="Bearer nonsense"), 401, "unauthorized")
    with Stream(s) as stream:
        assert stream.next()[0] == "status"


def test_the_end_is_told(server):
    s = server(workers=1, express=0)
    streams = [Stream(s).begin() for _ in range(3)]
    for stream in streams:
        assert stream.next()[0] == "status"
    os.kill(s.pid, signal.SIGTERM)
    for stream in streams:
        last = stream.until(lambda name, _: name == "draining", "the end")[-1]
        assert last[1]["type"] == "/docs#draining" and last[1]["status"] == 503
        assert stream.next() is None
    assert s.wait() == 0


def test_who_does_not_read_holds_nobody_up(server):
    s = server(workers=8, answer_timeout=1)
    lazy = Stream(s, rcvbuf=1024)
    with Stream(s) as stream:
        assert stream.next()[0] == "status"
        for _ in range(3):
            assert s.get("/compute/echo").status == 200
            stream.samples(1)
        s.stop()  # the one that does not read is cut off, if need be
        stream.until(lambda name, _: name == "draining", "the end")
    lazy.close()


# ---- GET /history ---------------------------------------------------------------------------------


@pytest.mark.parametrize("span,step,count", [("5m", 1, 300), ("1h", 10, 360), ("24h", 300, 288)])
def test_a_span_is_all_there(s, span, step, count):
    told = history(s, span)
    columns = told["columns"]
    assert (told["span"], told["step_s"]) == (span, step) and columns.keys() == {"t", *COLUMNS}
    assert all(len(values) == count for values in columns.values())
    assert all(b - a == step for a, b in zip(columns["t"], columns["t"][1:]))


def test_five_minutes_unless_said_otherwise(s):
    assert s.get("/history").json["span"] == "5m"
    for span in ("2h", "", "5M", "1h%20"):
        assert_problem(s.get(f"/history?span={span}"), 400, "bad-parameter", parameter="span")


def test_what_happened_is_in_every_span(server):
    s = server(workers=2, enable_fault_kernel=True)
    count = 60
    with Stream(s) as stream:
        stream.samples(1)
        for _ in range(count):
            assert s.get("/compute/echo").status == 200
        assert s.get("/compute/fault?mode=segv").status == 502
        stream.samples(2)
    for span in ("5m", "1h", "24h"):
        told = history(s, span)
        columns, step = told["columns"], told["step_s"]
        assert max(known(columns, "errors_per_s")) > 0
        assert max(known(columns, "p99_ms")) >= max(known(columns, "p50_ms")) > 0
        assert max(known(columns, "rss_bytes")) > 1 << 20
        if step == 1:
            assert sum(known(columns, "requests_per_s")) > count / 2
            assert sum(known(columns, "runs_per_s")) > count / 2


def test_time_without_anything_is_known_to_be_zero(server):
    """Nobody asks and nobody listens meanwhile, so that nothing keeps it awake."""
    s = server(workers=1, express=0)
    assert s.get("/compute/echo").status == 200
    before = history(s, "5m")["columns"]["t"][-1]
    time.sleep(5)
    columns = history(s, "5m")["columns"]
    since = [i for i, t in enumerate(columns["t"]) if t > before]
    assert len(since) >= 4
    for i in since:
        assert columns["requests_per_s"][i] is not None and columns["rss_bytes"][i] > 0
    assert sum(columns["requests_per_s"][i] == 0 for i in since) >= len(since) - 2
    s.get("/livez")
    with Stream(s) as stream:
        stream.samples(1)
    assert columns["requests_per_s"][: since[0]].count(None) > 200, "nothing was known before its start"


def test_the_queue_and_the_workers_are_in_it(server):
    s = server(workers=1, express=0)
    with Stream(s) as stream:
        runs = [Background(s.get, "/compute/sleep?seconds=1.5", prong_priority="normal")]
        s.wait_busy(1)
        runs += [Background(s.get, "/compute/sleep?seconds=0.2", prong_priority=p) for p in ("high", "low")]
        busy = stream.until(lambda name, said: name == "sample" and said["busy"] > 0 and said["queue_low"] > 0, "a queue")[-1]
        assert 0 < busy[1]["busy"] <= 1 and 0 < busy[1]["running"] <= 1
        assert all(run.result().status == 200 for run in runs)


def test_cpu_is_told_as_it_is_used(server):
    s = server(workers=2)
    with Stream(s) as stream, s.connect() as client:
        client.sendall(b"GET /compute/primes?limit=100000000000 HTTP/1.1\r\nHost: x\r\n\r\n")  # as long as it is wanted
        busy = stream.until(lambda name, said: name == "sample" and said["cpu_cores"] > 0.2, "work")[-1]
        (*_, (_, status)) = stream.until(
            lambda name, said: name == "status" and any((w["cpu"] or 0) > 0.1 for w in said["workers"]), "who works"
        )
        assert sum(w["cpu_s"] for w in status["workers"]) > 0.05
        assert busy[1]["cpu_cores"] < 8


# ---- GET /status ----------------------------------------------------------------------------------


def test_the_status_tells_of_the_machine(s):
    machine = s.status()["machine"]
    assert machine.keys() == {"cores", "affinity", "quota", "kernel", "cpu_model", "memory_bytes"}
    assert machine["cores"] == os.cpu_count() and machine["affinity"] == len(os.sched_getaffinity(0))
    assert machine["memory_bytes"] == os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    assert os.uname().release in machine["kernel"]
    assert machine["quota"] is None or machine["quota"] > 0


def test_workers_have_their_cpu_time(s):
    for worker in s.workers():
        assert worker["cpu_s"] >= 0 and (worker["cpu"] is None or worker["cpu"] >= 0)


def test_the_serial_of_jobs_moves_with_them_alone(s):
    before = s.status()["jobs"]["serial"]
    s.get("/compute/echo")
    s.ask("PUT", "/state/serial", 1)
    assert s.status()["jobs"]["serial"] == before
    job = s.post("/jobs", {"kernel": "echo"}).json
    assert s.status()["jobs"]["serial"] > before
    wait_until(lambda: s.get(f"/jobs/{job['id']}").json["state"] == "succeeded", "its end")
    after = s.status()["jobs"]["serial"]
    s.get("/jobs")
    assert s.status()["jobs"]["serial"] == after


def test_a_stream_is_no_slow_request(s):
    """Its latency is that of its first byte, however long it is listened to."""

    def slow():
        rows = {
            labels["le"]: value
            for name, labels, value in s.metrics()
            if name == "prong_http_request_duration_seconds_bucket" and labels["route"] == "/compute/{kernel}"
        }
        return rows["+Inf"] - rows["1"], rows["+Inf"]

    before = slow()
    told = events_of(s.get("/compute/sleep?seconds=1.5", accept="text/event-stream").text)
    assert told[-1][0] == "result"
    wait_until(lambda: slow()[1] > before[1], "that it is counted")
    assert slow()[0] == before[0]


# ---- who computes what ----------------------------------------------------------------------------

VIEW = {"width": 1000, "height": 800, "iterations": 50000, "x": -1.25, "y": 0.02, "scale": 0.05}  # seconds of work
HEAVY = "mandelbrot?" + "&".join(f"{name}={value}" for name, value in VIEW.items())


def picture_of(told):
    assert told[-1][0] == "result", told[-1]
    result = told[-1][1] if isinstance(told[-1][1], dict) else json.loads(told[-1][1])
    return result, base64.b64decode(result["base64"])


def test_parts_tell_their_worker(s):
    s.wait_workers()
    pids = s.worker_pids()
    text = s.get("/compute/mandelbrot?width=800&height=600&iterations=3000", accept="text/event-stream", prong_chunks=16).text
    told = [(name, json.loads(data)) for name, data in events_of(text)]
    workers, speaker = set(), None
    for name, said in told:
        if name == "worker":
            assert said["pid"] in pids and said["pid"] != speaker, "only a change is told"
            speaker = said["pid"]
            workers.add(speaker)
        assert name != "part" or speaker is not None
    assert len(workers) == 2 and told[-1][1]["receipt"]["workers"] >= 2, names(told)


def test_what_does_not_tell_parts_tells_no_worker(s):
    told = events_of(s.get("/compute/primes?limit=30000000", accept="text/event-stream").text)
    assert "worker" not in names(told) and told[-1][0] == "result"


def kill_one_amid(s, stream):
    """Of the two that draw; the events, and who was killed."""
    seen = stream.until(lambda name, _: name == "part", "a first part")
    victim = next(said["pid"] for name, said in reversed(seen) if name == "worker")
    assert s.ask("DELETE", f"/workers/{victim}").status == 204
    return seen + stream.until(lambda name, _: name in ("result", "error"), "its end", 4000), victim


def assert_tried_again(told, victim):
    retries = [said for name, said in told if name == "retry"]
    assert len(retries) == 1 and retries[0]["pid"] == victim and retries[0]["reason"] == "SIGKILL", retries
    assert 0 <= retries[0]["from"] < retries[0]["to"]
    after = told[[name for name, _ in told].index("retry") :]
    assert victim not in [said["pid"] for name, said in after if name == "worker"]


def test_a_worker_that_dies_is_told_and_the_picture_is_whole(s):
    whole = s.get(f"/compute/{HEAVY}")
    assert whole.status == 200
    with Stream(s, f"/compute/{HEAVY}", headers=["Prong-Chunks: 16"]) as stream:
        told, victim = kill_one_amid(s, stream)
    result, data = picture_of(told)
    assert data == whole.body and result["receipt"]["retries"] == 1
    assert_tried_again(told, victim)


def test_the_same_of_a_durable_job(s):
    job = s.post("/jobs", {"kernel": "mandelbrot", "params": VIEW}, prong_chunks=16).json
    with Stream(s, f"/jobs/{job['id']}/events") as stream:
        told, victim = kill_one_amid(s, stream)
    assert told[-1][0] == "result"
    assert_tried_again(told, victim)
    assert s.get(f"/jobs/{job['id']}/result").body == s.get(f"/compute/{HEAVY}").body


def test_work_that_is_not_divided_is_tried_again_as_a_whole(s):
    s.wait_workers()
    with Stream(s, "/compute/sleep?seconds=1.2") as stream:
        busy = wait_until(lambda: [w for w in s.busy() if w.get("kernel") == "sleep"], "who sleeps")[0]
        assert s.ask("DELETE", f"/workers/{busy['pid']}").status == 204
        told = stream.until(lambda name, _: name in ("result", "error"), "its end")
    (retry,) = [said for name, said in told if name == "retry"]
    assert retry == {"pid": busy["pid"], "from": None, "to": None, "reason": "SIGKILL"}
    assert told[-1][0] == "result"
