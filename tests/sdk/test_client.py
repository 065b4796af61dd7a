"""The client against a real server, and against one that answers by script."""
import array
import json
import signal
import socket
import subprocess
import threading
import time

import harness  # noqa: F401 # the path to the SDK
import prong
import pytest
from conftest import wait_until
from harness import Script, problem
from prong import errors, events


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=2, enable_fault_kernel=True, job_backoff=0, poison_deaths=0, brake_deaths=0)


@pytest.fixture
def c(s):
    with prong.Client(s.url) as client:
        yield client


@pytest.fixture
def script():
    made = []

    def start(answer):
        made.append(Script(answer))
        return made[-1]

    yield start
    for one in made:
        one.close()


# ---- computing ------------------------------------------------------------------------------------


def test_compute(c):
    assert c.compute("primes", limit=1000) == {"count": 168, "limit": 1000}
    assert c.compute("primes", {"limit": 100}) == {"count": 25, "limit": 100}
    assert c.compute("echo", message="grüße & so") == {"message": "grüße & so"}


def test_raw_input(c):
    assert c.compute("wordcount", input="to be or not")["words"] == 4
    assert c.compute("stats", input=array.array("d", [1, 2, 3]))["sum"] == 6
    assert c.compute("stats", input=array.array("i", [1, 2, 3]))["sum"] == 6
    assert c.compute("stats", values=[1, 2.5])["sum"] == 3.5
    large = bytes(range(256)) * 4096
    assert c.compute("echo", input=large) == large
    assert c.compute("echo", input=memoryview(large)[1:]) == large[1:]
    raw = c.compute("map", fn="negate", input=array.array("d", [1, 2]))
    assert array.array("d", raw).tolist() == [-1, -2]
    with pytest.raises(TypeError, match="input must be bytes"):
        c.compute("echo", input=[1])


def test_run_says_what_it_cost(c):
    said = c.run("primes", limit=1000)
    assert said.value["count"] == 168 and said.media_type == "application/json"
    assert len(said.job) == 36 and said.receipt["run_ms"] > 0 and said.receipt["workers"] >= 1
    picture = c.run("mandelbrot", width=16, height=16)
    assert picture.media_type == "image/png" and picture.value.startswith(b"\x89PNG")


def test_events(c):
    seen = list(c.events("mandelbrot", width=64, height=64))
    assert {"part", "result"} <= {event.name for event in seen} and seen[-1].name == "result"
    assert isinstance(seen[-1].data, events.Result) and seen[-1].data.value.startswith(b"\x89PNG")
    assert all(part.data["width"] > 0 for part in seen if part.name == "part")


def test_events_that_end_badly(c):
    with pytest.raises(errors.WorkerDied) as raised:
        list(c.events("fault", mode="abort"))
    assert raised.value.signal == signal.SIGABRT
    with pytest.raises(errors.BadRequest):
        list(c.events("primes", limit=-1))


def test_who_stops_listening_stops_the_work(c, s):
    listening = c.events("sleep", seconds=600)
    assert next(listening).name == "progress"
    listening.close()
    s.wait_idle()


def test_errors(c):
    with pytest.raises(errors.BadRequest) as raised:
        c.compute("primes", limit=-1)
    assert raised.value.parameter == "limit" and "integer from 0" in str(raised.value) and raised.value.status == 400
    with pytest.raises(errors.NotFound):
        c.compute("nobody")
    with pytest.raises(errors.WorkerDied) as raised:
        c.compute("fault", mode="segv")
    assert raised.value.signal == signal.SIGSEGV and raised.value.exit_code is None and len(raised.value.job) == 36
    with pytest.raises(errors.WorkerDied) as raised:
        c.compute("fault", mode="exit")
    assert raised.value.exit_code == 3 and raised.value.signal is None
    with pytest.raises(TimeoutError):
        c.options(timeout=0.2).compute("sleep", seconds=600)
    with pytest.raises(TypeError, match="NaN"):
        c.compute("echo", message=float("nan"))
    assert c.compute("echo") == {"message": "hello"}


def test_options(c):
    other = c.options(priority="high", chunks=3, timeout=20, fresh=True)
    assert other.options(chunks=4)._options.priority == "high"
    assert other.run("primes", limit=10**7).value["count"] == 664579
    with pytest.raises(errors.BadRequest, match="Prong-Priority"):
        c.options(priority="urgent").compute("echo")
    assert c._options.priority is None


def test_catalogue_and_status(c):
    assert c.kernels()["primes"]["params"]["properties"]["limit"]["type"] == "integer"
    assert c.status()["state"] == "ready"


def test_from_many_threads(c):
    found = []

    def ask(n):
        found.append(c.compute("echo", message=str(n))["message"] == str(n))

    threads = [threading.Thread(target=ask, args=(n,)) for n in range(40)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 40
    assert len(c._pool._idle) <= 16


# ---- jobs -----------------------------------------------------------------------------------------


def test_job(c):
    job = c.submit("primes", limit=1000)
    assert job.result(60) == {"count": 168, "limit": 1000} and job.state == "succeeded" and job.is_done
    assert c.job(job.id).info["kernel"] == "primes"
    assert job.id in [known.id for known in c.jobs(state="succeeded", kernel="primes")]
    assert job.cancel() is False
    job.forget()
    with pytest.raises(errors.NotFound):
        c.job(job.id)


def test_job_with_options(c):
    job = c.submit("echo", {"message": "x"}, priority="low", timeout=5, deadline=100, max_attempts=2, chunks=2)
    assert (job.info["priority"], job.info["timeout"], job.info["max_attempts"]) == ("low", 5.0, 2)
    with pytest.raises(ValueError):
        c.submit("echo", input=b"x", deadline=3)


def test_job_with_raw_input(c):
    job = c.submit("wordcount", input="to be or not", priority="high")
    assert job.result(60)["words"] == 4 and job.info["priority"] == "high"


def test_job_by_key_is_one(c):
    first = c.submit("echo", idempotency_key="once")
    assert c.submit("echo", idempotency_key="once").id == first.id
    with pytest.raises(errors.KeyReused):
        c.submit("echo", message="another", idempotency_key="once")


def test_job_that_waits_and_is_cancelled(c):
    job = c.submit("sleep", seconds=600)
    assert not job.wait(0.05).is_done
    with pytest.raises(TimeoutError):
        job.result(0.05)
    with pytest.raises(errors.Conflict):
        job.forget()
    assert job.cancel() is True and job.wait(30).state == "cancelled"
    with pytest.raises(errors.JobCancelled):
        job.result()


def test_job_that_dies_and_is_tried_again(c):
    job = c.submit("fault", mode="segv", max_attempts=2).wait(60)
    assert job.state == "dead"
    with pytest.raises(errors.WorkerDied) as raised:
        job.result()
    assert raised.value.signal == signal.SIGSEGV
    assert job.retry().state == "queued" and job.wait(60).state == "dead"


def test_events_of_a_job(c):
    job = c.submit("sleep", seconds=0.3)
    seen = list(job.events())
    assert seen[0].name == "state" and "progress" in [event.name for event in seen]
    assert seen[-1].name == "result" and seen[-1].data.value == {"slept": 0.3}
    with pytest.raises(errors.WorkerDied):
        list(c.submit("fault", mode="segv", max_attempts=1).events())


def test_waiting_survives_a_crash(server):
    first = server(workers=2)
    job = prong.Client(first.url).submit("sleep", seconds=1.5)
    listened, ended = [], []
    waiting = threading.Thread(target=lambda: ended.append(job.result(120)))
    listening = threading.Thread(target=lambda: listened.extend(job.events()))
    waiting.start()
    listening.start()
    wait_until(lambda: prong.Client(first.url).job(job.id).state == "running", "it runs")
    first.crash()
    server(data=first.data, workers=2, listen=f"127.0.0.1:{first.address[1]}")
    waiting.join(60)
    listening.join(60)
    assert ended == [{"slept": 1.5}] and listened[-1].data.value == {"slept": 1.5}


# ---- state ----------------------------------------------------------------------------------------


def test_state(c):
    key = "a key/with ü"
    version = c.state.set(key, {"n": 1})
    assert c.state.get(key) == ({"n": 1}, version) and key in c.state.keys()
    newer = c.state.set(key, None, version=version)
    assert c.state.get(key) == (None, newer) and newer > version
    with pytest.raises(errors.PreconditionFailed):
        c.state.set(key, 1, version=version)
    with pytest.raises(errors.PreconditionFailed):
        c.state.set(key, 1, version=0)
    with pytest.raises(errors.PreconditionFailed):
        c.state.delete(key, version=version)
    c.state.delete(key)
    with pytest.raises(errors.NotFound):
        c.state.get(key)
    assert c.state.get(key, 5) == (5, 0)


def test_state_adds(c):
    assert [c.state.add("sum"), c.state.add("sum", 5), c.state.add("sum", -6)] == [1, 6, 0]
    c.state.set("word", "x")
    with pytest.raises(errors.Conflict):
        c.state.add("word")


def test_state_lists_page_by_page(c, monkeypatch):
    monkeypatch.setattr(prong.state, "_PAGE", 2)
    for n in range(5):
        c.state.set(f"page{n}", n)
    assert [key for key in c.state.keys() if key.startswith("page")] == [f"page{n}" for n in range(5)]


# ---- the way there --------------------------------------------------------------------------------


def test_token(server, tmp_path, monkeypatch):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    s = server(workers=1, token_file=token)
    assert prong.Client(s.url, token_file=token).compute("echo") == {"message": "hello"}
    with pytest.raises(errors.Forbidden):
        prong.Client(s.url).compute("echo")
    monkeypatch.setenv("PRONG_URL", s.url)
    monkeypatch.setenv("PRONG_TOKEN_FILE", str(token))
    assert prong.Client().compute("echo") == {"message": "hello"}
    with prong.Executor() as pool:
        assert pool.submit("echo").result(60) == {"message": "hello"}


def test_tls(server, tmp_path):
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-keyout", key,
         "-out", cert, "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"], capture_output=True, check=True,
    )  # fmt: skip
    assert made.returncode == 0
    key.chmod(0o600)
    s = server(workers=2, tls_cert=cert, tls_key=key)
    client = prong.Client(s.url, cafile=str(cert))
    large = bytes(3 << 20)
    assert client.compute("echo", input=large) == large
    assert list(client.events("sleep", seconds=0.1))[-1].name == "result"
    with prong.Executor(client) as pool:
        futures = [pool.submit("echo", large), *(pool.submit("echo", message=str(n)) for n in range(20))]
        assert futures[0].result(60) == large and futures[20].result(60) == {"message": "19"}
        running = pool.submit("sleep", seconds=600)
        wait_until(running.running, "it runs")
        assert running.cancel()
    s.wait_idle()
    with pytest.raises(errors.Unreachable):
        prong.Client(s.url).compute("echo")


def test_nobody_there():
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        with pytest.raises(ConnectionError, match="There is no answer from http://127"):
            prong.Client(url).compute("echo")
    with pytest.raises(ValueError, match="must be like http"):
        prong.Client("127.0.0.1:8080")


def test_idle_connection_that_was_closed_is_not_used(server):
    s = server(workers=1, idle=1)
    client = prong.Client(s.url)
    assert client.compute("echo") == {"message": "hello"}
    wait_until(lambda: client._pool._idle[0].is_stale(), "the server has closed it")
    assert client.compute("echo") == {"message": "hello"}


def test_work_is_never_sent_twice(script):
    server = script(lambda path, body: None)  # as a server that crashes would
    client = prong.Client(server.url)
    for _ in range(2):
        with pytest.raises(errors.Unreachable, match="broke off"):
            client.compute("echo")
    assert len(server.seen) == 2


def test_answer_that_does_not_come_in_time(script, monkeypatch):
    monkeypatch.setattr(prong.client, "_GRACE_S", 0.1)
    go_on = threading.Event()
    server = script(lambda path, body: go_on.wait(20) and (200, {}, b"1"))
    began_s = time.monotonic()
    with pytest.raises(errors.Unreachable, match="in time"):
        prong.Client(server.url, timeout=0.1).compute("echo")
    go_on.set()
    assert time.monotonic() - began_s < 20


def test_answers_of_other_servers(script):
    server = script(lambda path, body: {"/a": (500, {"Content-Type": "text/html"}, b"<b>no</b>"), "/b": b"SSH-2.0\r\n\r\n"}[path[-2:]])
    client = prong.Client(server.url)
    with pytest.raises(errors.ProngError, match="The server answered 500: <b>no</b>"):
        client.compute("a")
    with pytest.raises(errors.Unreachable, match="it begins with"):
        client.compute("b")


def test_path_of_a_proxy(script):
    server = script(lambda path, body: (200, {}, json.dumps(path).encode()))
    assert prong.Client(server.url + "/prong/").compute("a b", input="x", q="1 2") == "/prong/compute/a%20b?q=1%202"


def test_refusal_has_its_pause(script):
    server = script(lambda path, body: problem(503, "queue-full", "Full.", retry_after=3))
    with pytest.raises(errors.QueueFull) as raised:
        prong.Client(server.url).compute("echo")
    assert raised.value.retry_after == 3
