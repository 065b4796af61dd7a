"""Durable jobs over HTTP: accepted, told, waited for, cancelled, tried again, and forgotten."""
import json
import re
import shutil
import signal
import threading
import time
import uuid

import pytest
from conftest import DIR, SANITIZED, Background, assert_problem, fewer, wait_until

ID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}")
NOBODY = "01890a5d-ac96-774b-bcce-b302099a8057"
ENDED = ("succeeded", "failed", "dead", "cancelled")
MEMBERS = {
    "id", "kernel", "params", "state", "priority", "progress", "attempts", "max_attempts", "history", "position", "eta",
    "created", "started", "finished", "timeout", "deadline", "error", "receipt", "result", "links",
}


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=2, enable_fault_kernel=True, job_backoff=0, poison_deaths=0, brake_deaths=0)


def submit(s, kernel="echo", params=None, status=202, headers=None, **more):
    answer = s.post("/jobs", {"kernel": kernel, "params": params or {}, **more}, headers=headers)
    assert answer.status == status, answer
    assert answer.headers["Location"] == "/jobs/" + answer.json["id"]
    return answer.json


def job_of(s, job, **query):
    more = "&".join(f"{k}={v}" for k, v in query.items())
    answer = s.get(f"/jobs/{job if isinstance(job, str) else job['id']}?{more}")
    assert answer.status == 200, answer
    return answer.json


def wait_state(s, job, *states):
    return wait_until(
        lambda: (lambda now: now if now["state"] in states else None)(job_of(s, job)),
        lambda: f"{states}: {job_of(s, job)}",
    )


def wait_end(s, job, state):
    """By long polls; then it must have ended so."""
    now = wait_until(lambda: (lambda n: n if n["state"] in ENDED else None)(job_of(s, job, wait=5)), lambda: job_of(s, job))
    assert now["state"] == state, now
    return now


def hold(s, seconds=60):
    """Keeps the only worker busy; cancel it to let the others go on."""
    holding = submit(s, "sleep", {"seconds": seconds}, priority="high")
    wait_state(s, holding, "running")
    return holding


def cancel(s, job):
    answer = s.ask("DELETE", "/jobs/" + job["id"])
    assert answer.status == 200, answer
    return answer.json


def key():
    return {"Idempotency-Key": str(uuid.uuid4())}


# ---- submitting -----------------------------------------------------------------------------------


def test_accepted_run_and_told(s):
    answer = s.post("/jobs", {"kernel": "sum", "params": {"end": 1000}})
    assert answer.status == 202 and answer.headers["Content-Type"] == "application/json"
    job = answer.json
    assert ID.fullmatch(job["id"]) and answer.headers["Location"] == "/jobs/" + job["id"] == job["links"]["self"]
    assert job["state"] == "queued" and job["attempts"] == 0 and job["params"] == {"end": 1000}
    done = wait_end(s, job, "succeeded")
    assert set(done) == MEMBERS
    assert done["kernel"] == "sum" and done["params"] == {"end": 1000} and done["priority"] == "normal"
    assert (done["attempts"], done["max_attempts"]) == (1, 3)
    assert done["created"] <= done["started"] <= done["finished"] <= time.time() + 1
    assert done["progress"] is done["position"] is done["eta"] is done["error"] is done["deadline"] is None
    assert done["receipt"]["chunks"] >= 1 and done["timeout"] == 3600
    assert done["result"] == {"media_type": "application/json", "bytes": done["result"]["bytes"], "expired": False}
    assert [a["outcome"] for a in done["history"]] == ["ok"] and done["history"][0]["attempt"] == 1
    result = s.get(done["links"]["result"])
    assert result.status == 200 and result.json == {"sum": 499500, "count": 1000}
    assert result.headers["Content-Type"] == "application/json" and len(result.body) == done["result"]["bytes"]
    assert result.headers["Prong-Job"] == job["id"] and result.receipt["chunks"] == done["receipt"]["chunks"]
    assert re.match(r"queue;dur=[0-9.]+, run;dur=[0-9.]+, cpu;dur=[0-9.]+$", result.headers["Server-Timing"])


def test_all_that_may_be_asked_is_kept(s):
    job = submit(s, "sum", {"end": 10}, priority="low", timeout=7.5, deadline=600, max_attempts=9, chunks=2)
    assert job["priority"] == "low" and job["timeout"] == 7.5 and job["max_attempts"] == 9
    assert abs(job["deadline"] - job["created"] - 600) < 0.001
    wait_end(s, job, "succeeded")


def test_attempts_by_kernel(server, tmp_path):
    kernels = tmp_path / "kernels"
    kernels.mkdir(mode=0o755)
    for source in (DIR / "kernels" / "echo.so", DIR / "test-kernels" / "twin_a.so"):
        shutil.copy(source, kernels)
    s = server(workers=1, kernels=kernels, job_attempts=4)
    flags = {k["name"]: k["pure"] or k["idempotent"] for k in s.get("/compute").json["kernels"]}
    assert flags == {"echo": True, "twin": False}
    assert submit(s, "echo")["max_attempts"] == 4
    assert submit(s, "twin")["max_attempts"] == 1
    assert submit(s, "twin", max_attempts=5)["max_attempts"] == 5


@pytest.mark.parametrize(
    "body, parameter, says",
    [
        ({"params": {}}, "kernel", "GET /compute"),
        ({"kernel": 5}, "kernel", "got 5"),
        ({"kernel": "sum", "colour": 1}, "colour", "max_attempts"),
        ({"kernel": "sum", "params": []}, "params", "object"),
        ({"kernel": "sum", "params": None}, "params", "object"),
        ({"kernel": "primes", "params": {"limit": -1}}, "limit", "got -1"),
        ({"kernel": "primes", "params": {"limt": 1}}, "limt", "limit"),
        ({"kernel": "sum", "priority": "urgent"}, "priority", "high, normal or low"),
        ({"kernel": "sum", "priority": None}, "priority", "high, normal or low"),
        ({"kernel": "sum", "timeout": 0}, "timeout", "above 0"),
        ({"kernel": "sum", "timeout": "5"}, "timeout", "above 0"),
        ({"kernel": "sum", "timeout": 31536001}, "timeout", "31536000"),
        ({"kernel": "sum", "deadline": -1}, "deadline", "above 0"),
        ({"kernel": "sum", "max_attempts": 0}, "max_attempts", "from 1 to 100"),
        ({"kernel": "sum", "max_attempts": 101}, "max_attempts", "from 1 to 100"),
        ({"kernel": "sum", "max_attempts": 1.5}, "max_attempts", "from 1 to 100"),
        ({"kernel": "sum", "chunks": 0}, "chunks", "from 1 to 10000"),
        ({"kernel": "sum", "chunks": 10001}, "chunks", "from 1 to 10000"),
    ],
)
def test_bad_jobs(s, body, parameter, says):
    problem = assert_problem(s.post("/jobs", body), 400, "bad-parameter", parameter=parameter)
    assert says in problem["detail"] and parameter in problem["detail"], problem


def test_bounds_are_named(s):
    problem = assert_problem(s.post("/jobs", {"kernel": "primes", "params": {"limit": -1}}), 400, "bad-parameter")
    assert problem["minimum"] <= problem["maximum"]


def test_other_bad_submissions(s):
    assert_problem(s.post("/jobs", {"kernel": "nobody"}), 404, "no-such-kernel")
    assert_problem(s.post("/jobs", b"{", content_type="application/json"), 400, "bad-json")
    assert_problem(s.post("/jobs", b"[]", content_type="application/json"), 400, "bad-json")
    assert_problem(s.post("/jobs", b'{"kernel":"sum","kernel":"sum"}', content_type="application/json"), 400, "bad-json")
    assert_problem(s.post("/jobs", b"kernel=sum", content_type="application/x-www-form-urlencoded"), 415,
                   "unsupported-media-type")
    assert_problem(s.post("/jobs"), 415, "unsupported-media-type")
    answer = s.ask("PUT", "/jobs")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, POST, OPTIONS"
    answer = s.post(f"/jobs/{NOBODY}")
    assert answer.status == 405 and answer.headers["Allow"] == "GET, HEAD, DELETE, OPTIONS"


def test_pages_of_others_may_not_submit(s):
    answer = s.post("/jobs", {"kernel": "echo"}, origin="https://elsewhere.example")
    assert_problem(answer, 403, "forbidden")


def test_large_bodies(server):
    s = server(workers=1, json_max="64K")
    assert_problem(s.post("/jobs", {"kernel": "stats", "params": {"values": [1.5] * 30000}}), 413, "body-too-large")
    job = submit(s, "stats", {"values": [1.5] * 10000})
    assert job["params"]["values"] == [1.5] * 10000
    wait_end(s, job, "succeeded")
    assert s.get(f"/jobs/{job['id']}/result").json["sum"] == 15000


# ---- idempotency ----------------------------------------------------------------------------------


def test_the_same_key_gives_the_same_job(s):
    headers, body = key(), {"kernel": "primes", "params": {"limit": 1000}}
    first = s.post("/jobs", body, headers=headers)
    assert first.status == 202
    wait_end(s, first.json, "succeeded")
    again = s.post("/jobs", b'{"params": {"limit":1e3}, "kernel":"primes"}', content_type="application/json", headers=headers)
    assert again.status == 200 and again.json["id"] == first.json["id"] and again.json["state"] == "succeeded"
    assert again.headers["Location"] == first.headers["Location"]


@pytest.mark.parametrize(
    "other",
    [
        {"kernel": "echo"}, {"params": {"end": 11}}, {"priority": "high"}, {"timeout": 5}, {"deadline": 5},
        {"max_attempts": 2}, {"chunks": 3},
    ],
)
def test_the_same_key_for_another_job(s, other):
    headers, body = key(), {"kernel": "sum"}
    assert s.post("/jobs", body, headers=headers).status == 202
    problem = assert_problem(s.post("/jobs", {**body, **other}, headers=headers), 422, "idempotency-key-reused")
    assert "new key" in problem["detail"]


@pytest.mark.parametrize("value", ["", "a b", "\u00e9", "x" * 256])
def test_bad_keys(s, value):
    answer = s.post("/jobs", {"kernel": "echo"}, headers={"Idempotency-Key": value.encode("utf-8")})
    assert_problem(answer, 400, "bad-header", header="Idempotency-Key")


def test_long_and_odd_keys(s):
    for value in ("x" * 255, '"8e03978e-40d5"', "!~"):
        unique = (str(uuid.uuid4()) + value)[: max(len(value), 40)][:255]
        first = submit(s, headers={"Idempotency-Key": unique})
        assert submit(s, headers={"Idempotency-Key": unique}, status=200)["id"] == first["id"]


def test_one_of_many_with_one_key_wins(s):
    headers, count = key(), 16
    gate = threading.Barrier(count)

    def ask():
        with s.client() as client:
            gate.wait()
            return client.post("/jobs", {"kernel": "sum", "params": {"end": 5}}, headers=headers)

    answers = [b.result() for b in [Background(ask) for _ in range(count)]]
    assert sorted(a.status for a in answers) == [200] * (count - 1) + [202]
    assert len({a.json["id"] for a in answers}) == 1


# ---- one job --------------------------------------------------------------------------------------


@pytest.mark.parametrize("job", [NOBODY, "1", "x" * 300, NOBODY + "0", NOBODY.upper(), "%00", "..%2f"])
def test_no_such_job(s, job):
    for method, path in (("GET", ""), ("GET", "/result"), ("GET", "/events"), ("DELETE", ""), ("POST", "/retry")):
        answer = s.ask(method, f"/jobs/{job}{path}")
        if answer.status != 400:  # a NUL is refused before anything is looked for
            assert_problem(answer, 404, "no-such-job")
        else:
            assert job == "%00"


def test_head(s):
    job = submit(s)
    wait_end(s, job, "succeeded")
    for path in ("", "/result", "/events"):
        answer = s.ask("HEAD", f"/jobs/{job['id']}{path}")
        assert answer.status == 200 and answer.body == b""
    assert s.ask("HEAD", "/jobs").status == 200


def test_long_poll_ends_with_the_job(s):
    job = submit(s, "sleep", {"seconds": 0.5})
    now = job_of(s, job, wait=60)
    assert now["state"] == "succeeded", now


def test_long_poll_ends_in_time(s):
    job = submit(s, "sleep", {"seconds": 60})
    try:
        now = job_of(s, job, wait=0.2)
        assert now["state"] in ("queued", "running"), now
        assert job_of(s, job, wait=0)["state"] in ("queued", "running")
    finally:
        cancel(s, job)
    assert job_of(s, job, wait=86400)["state"] == "cancelled"


@pytest.mark.parametrize("wait", ["x", "-1", "", "1s"])
def test_bad_wait(s, wait):
    assert_problem(s.get(f"/jobs/{NOBODY}?wait={wait}"), 400, "bad-parameter", parameter="wait")


def test_many_wait_for_one(s):
    job = submit(s, "sleep", {"seconds": 1})
    polls = [s.later("GET", f"/jobs/{job['id']}?wait=60") for _ in range(20)]
    assert {p.result().json["state"] for p in polls} == {"succeeded"}


def test_progress_and_eta(s):
    job = submit(s, "sleep", {"seconds": 60})
    now = wait_until(lambda: (lambda n: n if n["progress"] and n["progress"]["done"] else None)(job_of(s, job)), "progress")
    progress = now["progress"]
    assert 0 < progress["done"] < progress["total"] and abs(progress["fraction"] - progress["done"] / progress["total"]) < 1e-6
    assert 0 < now["eta"] and now["position"] is None
    assert cancel(s, job)["progress"] is None


def test_positions(server):
    s = server(workers=1, express=0)
    holding = hold(s)
    ahead = [submit(s, "sleep", {"seconds": 60}) for _ in range(8)]
    low = submit(s, priority="low")
    wait_until(lambda: s.status()["jobs"]["running"] >= 1, "one runs")
    queued = [n for n in (job_of(s, j) for j in ahead) if n["state"] == "queued"]
    positions = [n["position"] for n in queued]
    assert positions == list(range(len(positions))) and len(positions) >= 4, positions
    assert job_of(s, low)["position"] == len(positions)
    urgent = submit(s, priority="high")
    assert job_of(s, urgent)["position"] == 0
    assert job_of(s, low)["position"] == len(positions) + 1
    for job in [holding, *ahead]:
        cancel(s, job)
    wait_end(s, low, "succeeded")


def test_priorities(server):
    s = server(workers=1, express=0)
    holding = hold(s)
    # Those that the scheduler has been given already are ahead of all.
    given = [submit(s, "sleep", {"seconds": 60}, priority="low") for _ in range(4)]
    jobs = {p: [submit(s, "sleep", {"seconds": 0.01}, priority=p) for _ in range(4)] for p in ("low", "normal", "high")}
    for job in [*given, holding]:
        cancel(s, job)
    started = {p: [wait_end(s, j, "succeeded")["started"] for j in some] for p, some in jobs.items()}
    for times in started.values():
        assert times == sorted(times), started
    # One may have been taken while the others were cancelled.
    assert sorted(started["high"])[-1] <= sorted(started["normal"])[1], started
    assert sorted(started["normal"])[-1] <= sorted(started["low"])[1], started


# ---- results --------------------------------------------------------------------------------------


def test_no_result_yet(s):
    job = submit(s, "sleep", {"seconds": 60})
    problem = assert_problem(s.get(f"/jobs/{job['id']}/result"), 409, "not-done", job=job["id"])
    assert problem["links"]["self"] == "/jobs/" + job["id"] and "wait=" in problem["detail"]
    cancel(s, job)
    assert "cancelled" in assert_problem(s.get(f"/jobs/{job['id']}/result"), 409, "conflict")["detail"]


def test_results_are_as_the_kernel_made_them(s):
    plain = s.get("/compute/mandelbrot?width=64&height=48")
    job = submit(s, "mandelbrot", {"width": 64, "height": 48})
    wait_end(s, job, "succeeded")
    result = s.get(f"/jobs/{job['id']}/result")
    assert result.headers["Content-Type"] == "image/png" and result.body == plain.body
    answer = s.get(f"/jobs/{job['id']}/result", accept="text/plain")
    assert answer.status == 406


def test_large_results(s):
    data = bytes(range(256)) * (3 << 12)  # 3 MiB
    answer = s.post("/compute/echo", data, content_type="application/octet-stream", prefer="respond-async")
    assert answer.status == 202
    wait_end(s, answer.json, "succeeded")
    result = s.get(f"/jobs/{answer.json['id']}/result")
    assert result.status == 200 and result.body == data
    assert result.headers["Prong-Job"] == answer.json["id"]
    head = s.ask("HEAD", f"/jobs/{answer.json['id']}/result")
    assert int(head.headers["Content-Length"]) == len(data) and head.body == b""
    events = listen(s, answer.json)
    assert events[-1].name == "result" and events[-1].json["bytes"] == len(data)
    assert events[-1].json["links"]["result"] == f"/jobs/{answer.json['id']}/result"


def end_more_than_is_kept(s):
    jobs = [submit(s, "echo", {"message": "x" * 60}) for _ in range(3)]
    for job in jobs:
        wait_end(s, job, "succeeded")
    return jobs


def wait_expired(s, job, seconds=None):
    wait_until(lambda: job_of(s, job)["result"]["expired"], "the oldest to go", seconds)


def test_expired_results(server):
    s = server(workers=1)
    jobs = end_more_than_is_kept(s)
    s.stop()
    s = server(workers=1, data=s.data, results_max=100)
    wait_expired(s, jobs[0])
    assert_problem(s.get(f"/jobs/{jobs[0]['id']}/result"), 410, "gone", job=jobs[0]["id"])
    assert job_of(s, jobs[0])["state"] == "succeeded"
    assert listen(s, jobs[0])[-1].json["expired"] is True
    assert not job_of(s, jobs[2])["result"]["expired"]


@pytest.mark.skipif(SANITIZED, reason="takes a minute, and differs only in who has asked for the sweep")
def test_results_expire_while_it_runs(server):
    s = server(workers=1, results_max=100)
    wait_expired(s, end_more_than_is_kept(s)[0], seconds=90)


# ---- bad ends -------------------------------------------------------------------------------------


def test_the_kernel_says_no(s):
    odd = b"12345"  # no whole number of float64
    plain = s.post("/compute/stats", odd, content_type="application/octet-stream")
    answer = s.post("/compute/stats", odd, content_type="application/octet-stream", prefer="respond-async")
    job = wait_end(s, answer.json, "failed")
    assert plain.status == job["error"]["status"] == 500 and job["error"]["detail"] == plain.json["detail"]
    assert job["history"][0]["outcome"] == "error" and job["history"][0]["detail"] == plain.json["detail"]
    problem = assert_problem(s.get(f"/jobs/{job['id']}/result"), 500, "kernel-failed", job=job["id"])
    assert problem["detail"] == plain.json["detail"]


def test_dead_after_its_attempts(s):
    job = submit(s, "fault", {"mode": "segv"}, max_attempts=3)
    dead = wait_end(s, job, "dead")
    assert dead["attempts"] == 3
    assert [(a["attempt"], a["outcome"], a["signal"], a["signal_name"]) for a in dead["history"]] == [
        (n, "crash", signal.SIGSEGV, "SEGV") for n in (1, 2, 3)
    ]
    assert dead["error"]["status"] == 502 and dead["error"]["attempts"] == 3
    problem = assert_problem(s.get(f"/jobs/{job['id']}/result"), 502, "worker-died", signal=int(signal.SIGSEGV))
    assert "3 of 3" in problem["detail"] and "retry" in problem["detail"]
    assert s.get(f"/jobs/{job['id']}/result").headers["Prong-Job"] == job["id"]


@pytest.mark.parametrize("mode, field, value", [("abort", "signal", int(signal.SIGABRT)), ("exit", "exit_code", 3)])
def test_how_it_died(s, mode, field, value):
    dead = wait_end(s, submit(s, "fault", {"mode": mode}), "dead")
    assert dead["history"][0][field] == dead["error"][field]
    if mode == "abort":
        assert dead["error"][field] == value


def test_timeout(s):
    job = submit(s, "sleep", {"seconds": 60}, timeout=0.2)
    failed = wait_end(s, job, "failed")
    assert failed["history"][0]["outcome"] == "timeout" and failed["error"]["status"] == 504
    problem = assert_problem(s.get(f"/jobs/{job['id']}/result"), 504, "deadline")
    assert "0.200 s" in problem["detail"] and "--job-timeout" in problem["detail"]


def test_timeout_of_the_server(server):
    s = server(workers=1, job_timeout=0.2)
    job = submit(s, "sleep", {"seconds": 60}, timeout=1000)
    assert job["timeout"] == 0.2
    assert wait_end(s, job, "failed")["error"]["status"] == 504


def test_deadline(server):
    s = server(workers=1, express=0)
    holding = hold(s)
    late = [submit(s, "echo", deadline=0.3) for _ in range(6)]
    failed = [wait_end(s, j, "failed") for j in late]
    assert {f["error"]["status"] for f in failed} == {504}
    assert any("later deadline" in f["error"]["detail"] for f in failed), failed
    assert all(len(f["history"]) == f["attempts"] for f in failed), failed
    cancel(s, holding)


# ---- cancelling, forgetting, trying again ---------------------------------------------------------


def test_cancel_what_waits(server):
    s = server(workers=1, express=0)
    holding = hold(s)
    waiting = [submit(s, "sleep", {"seconds": 60}) for _ in range(4)]
    for job in waiting:
        now = cancel(s, job)
        assert now["state"] == "cancelled" and now["finished"] and now["error"] is None
    assert cancel(s, holding)["state"] == "cancelled"
    wait_end(s, submit(s), "succeeded")


def test_cancel_stops_the_worker(server):
    s = server(workers=1, express=0, enable_fault_kernel=True)
    before = s.worker_pids()
    job = submit(s, "fault", {"mode": "spin"})
    s.wait_busy(1)
    assert cancel(s, job)["state"] == "cancelled"
    wait_until(lambda: s.worker_pids() and not s.worker_pids() & before, "the worker that never looks up to be killed")
    s.wait_idle()
    now = job_of(s, job)
    assert now["state"] == "cancelled" and now["attempts"] == 1
    assert_problem(s.get(f"/jobs/{job['id']}/result"), 409, "conflict")


def test_forget(s):
    headers = key()
    job = submit(s, headers=headers)
    wait_end(s, job, "succeeded")
    answer = s.ask("DELETE", "/jobs/" + job["id"])
    assert answer.status == 204 and answer.body == b""
    assert_problem(s.get("/jobs/" + job["id"]), 404, "no-such-job")
    assert_problem(s.ask("DELETE", "/jobs/" + job["id"]), 404, "no-such-job")
    assert job["id"] not in {j["id"] for j in s.get("/jobs?limit=1000").json["jobs"]}
    assert submit(s, headers=headers)["id"] != job["id"], "its key is free again"


def test_retry(s):
    job = submit(s, "fault", {"mode": "segv"}, max_attempts=2)
    wait_end(s, job, "dead")
    answer = s.post(f"/jobs/{job['id']}/retry")
    assert answer.status == 202 and answer.headers["Location"] == "/jobs/" + job["id"]
    assert answer.json["id"] == job["id"] and answer.json["state"] in ("queued", "running") and answer.json["error"] is None
    dead = wait_end(s, job, "dead")
    assert [a["attempt"] for a in dead["history"]] == [1, 2, 3, 4] and dead["attempts"] == 2


def test_retry_what_failed(s):
    job = submit(s, "sleep", {"seconds": 60}, timeout=0.1)
    wait_end(s, job, "failed")
    assert s.post(f"/jobs/{job['id']}/retry").status == 202
    assert len(wait_end(s, job, "failed")["history"]) == 2


def test_no_retry(s):
    job = submit(s)
    wait_end(s, job, "succeeded")
    assert "succeeded" in assert_problem(s.post(f"/jobs/{job['id']}/retry"), 409, "conflict", job=job["id"])["detail"]
    job = submit(s, "sleep", {"seconds": 60})
    assert_problem(s.post(f"/jobs/{job['id']}/retry"), 409, "conflict")
    cancel(s, job)
    assert_problem(s.post(f"/jobs/{job['id']}/retry"), 409, "conflict", state="cancelled")


# ---- pages ----------------------------------------------------------------------------------------


def test_list(server):
    s = server(workers=1, enable_fault_kernel=True, brake_deaths=0)
    assert s.get("/jobs").json == {"jobs": [], "next": None}
    jobs = [submit(s, "echo", {"message": str(n)}) for n in range(5)]
    jobs.append(submit(s, "fault", {"mode": "segv"}))
    for job in jobs:
        wait_state(s, job, *ENDED)
    page = s.get("/jobs").json
    assert [j["id"] for j in page["jobs"]] == [j["id"] for j in reversed(jobs)] and page["next"] is None
    assert all("params" not in j and "history" not in j for j in page["jobs"])
    assert set(page["jobs"][0]) == MEMBERS - {"params", "history"}
    assert [j["id"] for j in s.get("/jobs?state=dead").json["jobs"]] == [jobs[-1]["id"]]
    assert [j["id"] for j in s.get("/jobs?kernel=fault").json["jobs"]] == [jobs[-1]["id"]]
    assert len(s.get("/jobs?kernel=echo&state=succeeded&limit=1000").json["jobs"]) == 5
    assert s.get("/jobs?kernel=echo&state=dead").json["jobs"] == []
    assert s.get("/jobs?kernel=gone-kernel").json["jobs"] == []


@pytest.mark.parametrize(
    "name, value",
    [
        ("state", "done"), ("state", ""), ("kernel", "no%20name"), ("kernel", ""), ("limit", "0"), ("limit", "1001"),
        ("limit", "x"), ("limit", "-1"), ("after", "x"), ("after", "7"), ("after", "j0"), ("after", "j-1"), ("after", ""),
        ("after", "j99999999999999999999"),
    ],
)
def test_bad_list(s, name, value):
    problem = assert_problem(s.get(f"/jobs?{name}={value}"), 400, "bad-parameter", parameter=name)
    assert name in problem["detail"]


def test_a_misspelt_filter_is_not_ignored(s):
    assert_problem(s.get("/jobs?staet=failed"), 400, "bad-parameter", parameter="staet")


def test_results_beyond_the_limit_go_at_once(server):
    s = server(workers=1, results_max=100)
    first = submit(s, params={"message": "x" * 60})["id"]
    wait_end(s, first, "succeeded")
    second = submit(s, params={"message": "y" * 60})["id"]
    wait_end(s, second, "succeeded")
    wait_until(lambda: s.get(f"/jobs/{first}/result").status == 410, "the older result to go")
    assert s.get(f"/jobs/{second}/result").status == 200


def test_pages_while_jobs_are_added(server):
    s = server(workers=1)
    count = fewer(120)
    known = [submit(s)["id"] for _ in range(count)]
    begun, over = threading.Event(), threading.Event()

    def add():
        with s.client() as client:
            while not over.is_set():
                assert client.post("/jobs", {"kernel": "echo"}).status == 202
                begun.set()

    adding = Background(add)
    wait_until(lambda: begun.is_set() or adding.is_done, "the first to be added")
    seen, after = [], ""
    while after is not None:
        page = s.get(f"/jobs?limit=7{after and '&after=' + after}").json
        assert len(page["jobs"]) <= 7
        seen += [j["id"] for j in page["jobs"]]
        after = page["next"]
    over.set()
    adding.result()
    assert begun.is_set()
    assert len(seen) == len(set(seen)), "told twice"
    assert [i for i in seen if i in set(known)] == list(reversed(known))


# ---- events ---------------------------------------------------------------------------------------


class Event:
    def __init__(self, text):
        fields = [line.split(": ", 1) for line in text.split("\n") if not line.startswith(":")]
        self.name = next((v for k, v in fields if k == "event"), None)
        self.id = next((int(v) for k, v in fields if k == "id"), None)
        self.retry = next((v for k, v in fields if k == "retry"), None)
        self.data = "\n".join(v for k, v in fields if k == "data")

    @property
    def json(self):
        return json.loads(self.data)

    def __repr__(self):
        return f"<{self.id} {self.name} {self.data[:100]}>"


def events_in(text):
    blocks = [Event(block) for block in text.split("\n\n") if block.strip(":\n")]
    assert blocks[0].retry and all(b.name for b in blocks[1:]), text
    return blocks[1:]


def listen(s, job, **headers):
    """To the end; all events with a name."""
    answer = s.get(f"/jobs/{job['id']}/events", **headers)
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream", answer
    assert answer.headers["Prong-Job"] == job["id"]
    return events_in(answer.text)


def read_until(sock, wanted, seconds=30):
    sock.settimeout(seconds)
    text = b""
    while wanted not in text:
        got = sock.recv(65536)
        assert got, f"it ended before {wanted}: {text}"
        text += got
    return text


def test_events_of_a_run(s):
    job = submit(s, "sleep", {"seconds": 0.6})
    events = listen(s, job)
    names = [e.name for e in events]
    assert names[0] == "state" and names[-2:] == ["state", "result"] and "progress" in names, events
    assert all(e.id for e in events) and [e.id for e in events] == sorted(e.id for e in events)
    assert "params" not in events[0].json and "history" not in events[0].json and events[0].json["id"] == job["id"]
    assert events[-2].json["state"] == "succeeded"
    end = events[-1].json
    assert end["job"] == job["id"] and end["result"] == {"slept": 0.6} and end["receipt"]["chunks"] == 1
    progress = [e.json for e in events if e.name == "progress"]
    assert [p["done"] for p in progress] == sorted(p["done"] for p in progress)


def test_events_of_what_has_ended(s):
    job = submit(s, "mandelbrot", {"width": 16, "height": 16})
    wait_end(s, job, "succeeded")
    events = listen(s, job)
    assert [e.name for e in events] == ["state", "result"]
    assert events[-1].json["media_type"] == "image/png" and events[-1].json["base64"].startswith("iVBORw0KGgo")
    job = submit(s, "fault", {"mode": "segv"})
    wait_end(s, job, "dead")
    events = listen(s, job)
    assert [e.name for e in events] == ["state", "error"]
    assert events[-1].json["status"] == 502 and events[-1].json["signal"] == signal.SIGSEGV
    job = submit(s, "sleep", {"seconds": 60})
    cancel(s, job)
    assert [e.name for e in listen(s, job)] == ["state", "cancelled"]


def test_events_of_attempts(s):
    job = submit(s, "fault", {"mode": "hang"}, timeout=0.3)
    assert [e.name for e in listen(s, job)][-1] == "error"
    job = submit(s, "fault", {"mode": "abort"}, max_attempts=2)
    states = [e.json["state"] for e in listen(s, job) if e.name == "state"]
    assert states[-1] == "dead", states


def test_parts_are_events_and_can_be_resumed(s):
    job = submit(s, "mandelbrot", {"width": 2400, "height": 1600, "iterations": 2000})
    with s.connect() as sock:
        sock.sendall(f"GET /jobs/{job['id']}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        text = read_until(sock, b"event: part")
        last = max(int(i) for i in re.findall(rb"\nid: (\d+)\n", text))
    rest = listen(s, job, last_event_id=last)
    assert rest[-1].name == "result"
    assert all(e.id > last for e in rest if e.name != "worker"), (last, rest)
    assert [e.name for e in rest if e.name in ("worker", "part")][0] == "worker"
    assert "part" in [e.name for e in rest]


@pytest.mark.parametrize("last", ["x", "-1", "", "18446744073709551615", "99999999999999999999999"])
def test_bad_last_event_id_is_ignored(s, last):
    job = submit(s)
    wait_end(s, job, "succeeded")
    assert [e.name for e in listen(s, job, last_event_id=last)] == ["state", "result"]


def test_cancelled_while_somebody_listens(s):
    job = submit(s, "sleep", {"seconds": 60})
    listening = Background(listen, s, job)
    wait_state(s, job, "running")
    cancel(s, job)
    events = listening.result()
    assert events[-1].name == "cancelled" and events[-1].json["state"] == "cancelled"


def test_who_leaves_holds_nobody_up(s):
    job = submit(s, "sleep", {"seconds": 1})
    for _ in range(20):
        with s.connect() as sock:
            sock.sendall(f"GET /jobs/{job['id']}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
            read_until(sock, b"event: state")
    assert listen(s, job)[-1].name == "result"


def test_who_does_not_read_holds_nobody_up(s):
    job = submit(s, "mandelbrot", {"width": 1600, "height": 1200})
    with s.connect() as deaf:
        deaf.sendall(f"GET /jobs/{job['id']}/events HTTP/1.1\r\nHost: x\r\n\r\n".encode())
        assert listen(s, job)[-1].name == "result"
        wait_end(s, submit(s), "succeeded")


def test_a_drain_ends_streams_and_polls(server):
    s = server(workers=1, express=0, drain=0)
    running = hold(s)
    waiting = submit(s)
    listening = Background(listen, s, waiting)
    poll = s.later("GET", f"/jobs/{waiting['id']}?wait=60")
    compute = s.later("POST", "/compute/echo", {"message": "later"}, prefer="wait=60")
    wait_until(lambda: s.metric("prong_http_requests_parked") >= 2, "both to be parked")
    wait_until(lambda: s.get("/jobs?kernel=echo").json["jobs"][1:], "both to be kept")
    s.stop()
    events = listening.result()
    assert events[-1].name == "draining" and events[-1].json["status"] == 503
    assert poll.result().json["state"] in ("queued", "running")  # which means that it was claimed, not that it has begun
    assert compute.result().status == 202
    again = server(workers=1, data=s.command[s.command.index("--data") + 1])
    wait_end(again, waiting, "succeeded")
    resumed = listen(again, waiting, last_event_id=events[-1].id)
    assert resumed[-1].name == "result" and resumed[-1].id > events[-1].id
    assert cancel(again, running)["history"][0]["outcome"] == "cancelled"


# ---- compute, but durable -------------------------------------------------------------------------


def test_prefer_async(s):
    answer = s.post("/compute/primes", {"limit": 100}, prefer="respond-async")
    assert answer.status == 202 and answer.headers["Preference-Applied"] == "respond-async"
    assert answer.headers["Location"] == "/jobs/" + answer.json["id"] and answer.json["params"] == {"limit": 100}
    wait_end(s, answer.json, "succeeded")
    assert s.get(answer.json["links"]["result"]).json["count"] == 25


def test_prefer_wait(s):
    plain = s.post("/compute/primes", {"limit": 1000})
    answer = s.post("/compute/primes", {"limit": 1000}, prefer="wait=30")
    assert answer.status == 200 and answer.body == plain.body
    assert answer.headers["Preference-Applied"] == "wait=30" and answer.receipt["chunks"] >= 1
    job = job_of(s, answer.headers["Prong-Job"])
    assert job["state"] == "succeeded" and job["kernel"] == "primes"


def test_prefer_wait_that_is_too_short(s):
    answer = s.post("/compute/sleep", {"seconds": 60}, prefer="Respond-Async; x=1, wait=0.1, wait=99")
    assert answer.status == 202 and answer.headers["Preference-Applied"] == "respond-async, wait=0.1"
    assert answer.json["state"] in ("queued", "running")
    cancel(s, answer.json)
    answer = s.post("/compute/sleep", {"seconds": 60}, prefer="wait=0")
    assert answer.status == 202 and answer.headers["Preference-Applied"] == "wait=0"
    cancel(s, answer.json)


def test_prefer_wait_for_what_fails(s):
    answer = s.post("/compute/fault", {"mode": "segv"}, prefer="wait=30")
    assert_problem(answer, 502, "worker-died", signal=int(signal.SIGSEGV), job=answer.headers["Prong-Job"])
    answer = s.post("/compute/sleep", {"seconds": 60}, prefer="wait=30", prong_timeout=0.2)
    assert_problem(answer, 504, "deadline")


@pytest.mark.parametrize("value", ["return=minimal", "wait=x", "respond-async=1", "wait"])
def test_other_preferences_change_nothing(s, value):
    answer = s.post("/compute/echo", {"message": "hi"}, prefer=value)
    assert answer.status == 200 and answer.json == {"message": "hi"} and "Preference-Applied" not in answer.headers
    assert_problem(s.get("/jobs/" + answer.headers["Prong-Job"]), 404, "no-such-job")


def test_prefer_means_nothing_on_get(s):
    answer = s.get("/compute/echo?message=hi", prefer="respond-async", idempotency_key="a b")
    assert answer.status == 200 and answer.json == {"message": "hi"}
    assert_problem(s.get("/jobs/" + answer.headers["Prong-Job"]), 404, "no-such-job")


def test_keys_of_compute(s):
    headers = key()
    first = s.post("/compute/sum", {"end": 100}, headers=headers)
    assert first.status == 200 and first.json["sum"] == 4950
    again = s.post("/compute/sum?end=100", headers=headers)
    assert again.status == 200 and again.body == first.body
    assert again.headers["Prong-Job"] == first.headers["Prong-Job"]
    assert_problem(s.post("/compute/sum", {"end": 101}, headers=headers), 422, "idempotency-key-reused")
    assert_problem(s.post("/compute/sum", {"end": 100}, headers=headers, prong_priority="low"), 422,
                   "idempotency-key-reused")
    assert_problem(s.post("/compute/sum", {"end": 100}, headers={"Idempotency-Key": "a b"}), 400, "bad-header")


def test_keys_of_compute_that_ends_badly(s):
    headers = key()
    first = s.post("/compute/fault", {"mode": "abort"}, headers=headers)
    again = s.post("/compute/fault", {"mode": "abort"}, headers=headers)
    assert first.status == again.status == 502 and first.json["job"] == again.json["job"]


def test_keys_of_compute_that_takes_too_long(s):
    answer = s.post("/compute/sleep", {"seconds": 60}, headers=key(), prong_timeout=0.2)
    assert_problem(answer, 504, "deadline")


def test_raw_input(s):
    headers = key()
    more = {"headers": headers, "content_type": "text/plain"}
    first = s.post("/compute/wordcount", b"to be or not to be", **more)
    assert first.status == 200 and first.json["words"] == 6
    assert s.post("/compute/wordcount", b"to be or not to be", **more).headers["Prong-Job"] == first.headers["Prong-Job"]
    assert_problem(s.post("/compute/wordcount", b"to be or not to bee", **more), 422, "idempotency-key-reused")
    large = b"word " * 400000
    answer = s.post("/compute/wordcount", large, content_type="text/plain", prefer="wait=60")
    assert answer.status == 200 and answer.json["words"] == 400000


def test_values_in_json(s):
    answer = s.post("/compute/map", {"fn": "square", "values": [1, 2, 3.5]}, prefer="wait=60")
    assert answer.status == 200, answer
    assert job_of(s, answer.headers["Prong-Job"])["params"] == {"fn": "square", "values": [1, 2, 3.5]}
    assert s.post("/compute/map", {"fn": "square", "values": [1, 2, 3.5]}).body == answer.body


def test_events_of_a_durable_run(s):
    answer = s.post("/compute/sleep", {"seconds": 0.3}, headers=key(), accept="text/event-stream")
    assert answer.headers["Content-Type"] == "text/event-stream"
    events = events_in(answer.text)
    assert events[-1].name == "result" and events[-1].json["job"] == answer.headers["Prong-Job"]


# ---- limits ---------------------------------------------------------------------------------------


def test_queue_of_jobs_is_bounded(server):
    s = server(workers=1, express=0, jobs_queue=4)
    holding = hold(s)
    answers = [s.post("/jobs", {"kernel": "sleep", "params": {"seconds": 60}}) for _ in range(12)]
    refused = [a for a in answers if a.status != 202]
    assert refused and answers[0].status == 202
    for answer in refused:
        problem = assert_problem(answer, 503, "queue-full")
        assert "--jobs-queue" in problem["detail"] and int(answer.headers["Retry-After"]) == problem["retry_after"] >= 1
    for answer in answers:
        if answer.status == 202:
            cancel(s, answer.json)
    cancel(s, holding)
    wait_end(s, submit(s), "succeeded")


def test_nobody_takes_all_of_the_queue(server):
    s = server(workers=1, express=0, jobs_queue=8)
    body = {"kernel": "sleep", "params": {"seconds": 60}}
    jobs = [hold(s)]
    others = [s.post("/jobs", body, source="127.0.0.7") for _ in range(4)]
    mine = [s.post("/jobs", body) for _ in range(8)]
    refused = [a for a in mine if a.status == 429]
    assert refused, [a.status for a in mine]
    problem = assert_problem(refused[0], 429, "too-many-requests")
    assert int(refused[0].headers["Retry-After"]) >= 1 and "--jobs-queue" in problem["detail"]
    jobs += [a.json for a in others + mine if a.status == 202]
    for job in jobs:
        cancel(s, job)


def test_bytes_of_jobs_are_bounded(server):
    s = server(workers=1, express=0, jobs_bytes="64K")
    holding = hold(s)
    more = {"content_type": "application/octet-stream", "prefer": "respond-async"}
    answers = [s.post("/compute/echo", b"x" * 20000, **more) for _ in range(6)]
    refused = [a for a in answers if a.status != 202]
    assert len(refused) >= 1 and len(refused) < 6, answers
    assert "--jobs-bytes" in assert_problem(refused[0], 507, "no-room")["detail"]
    cancel(s, holding)
    for answer in answers:
        if answer.status == 202:
            wait_end(s, answer.json, "succeeded")
    assert s.post("/compute/echo", b"x" * 20000, **more).status == 202


# ---- about ----------------------------------------------------------------------------------------


def test_status_metrics_and_probes(server):
    s = server(workers=1, express=0)
    holding = hold(s)
    jobs = [submit(s, priority="low") for _ in range(4)]
    status = wait_until(lambda: (lambda j: j if j["queued"]["low"] >= 2 else None)(s.status()["jobs"]), "some to wait")
    assert set(status) == {"serial", "queued", "running", "ended", "queued_bytes", "results_bytes", "inputs_bytes", "store", "broken"}
    assert status["running"] >= 1 and status["queued_bytes"] > 0 and status["broken"] is None and "sqlite" in status["store"]
    assert s.metric("prong_durable_jobs_queued", priority="low") >= 2
    assert s.metric("prong_durable_jobs_running") >= 1
    cancel(s, holding)
    for job in jobs:
        wait_end(s, job, "succeeded")
    assert s.metric("prong_durable_jobs_submitted_total") == 5
    assert s.metric("prong_durable_jobs_ended_total", state="succeeded") == 4
    assert s.metric("prong_durable_jobs_ended_total", state="cancelled") == 1
    assert s.metric("prong_durable_jobs_remembered") == s.status()["jobs"]["ended"] == 5
    assert s.metric("prong_durable_jobs_result_bytes") == s.status()["jobs"]["results_bytes"] > 0
    assert s.metric("prong_store_broken") == 0
    assert 5 + 1 <= s.metric("prong_store_commit_seconds_count") <= s.metric("prong_store_writes_total")
    assert s.metric("prong_store_writes_pending") == 0
    assert "store ok" in s.get("/readyz?verbose").text
