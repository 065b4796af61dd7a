"""Equal requests of pure kernels: what is kept is not computed again, and what is asked at the same time is computed once."""
import json
import os
import shutil
import signal
import time

import pytest
from conftest import DIR, Background, assert_problem, events_of, wait_until

NOTHING_SPENT = {"wait_ms": 0, "run_ms": 0, "cpu_ms": 0, "max_rss_kb": 0, "chunks": 0, "retries": 0, "workers": 0}


def how(answer):
    return answer.headers["Prong-Cache"]


def tasks(s):
    return s.metric("prong_tasks_total")


def counts(s):
    return tuple(s.metric(f"prong_cache_{name}_total") for name in ("hits", "misses", "merged"))


@pytest.fixture
def cached(server):
    """cached(…): a server that keeps answers."""
    return lambda **more: server(**{"cache_max": "64M", "workers": 2, **more})


def asleep(s, seconds, count, **headers):
    """So many equal requests, all accepted before the first is done."""
    first = s.later("GET", f"/compute/sleep?seconds={seconds}", **headers)
    s.wait_busy(1)
    rest = [s.later("GET", f"/compute/sleep?seconds={seconds}", **headers) for _ in range(count - 1)]
    wait_until(lambda: s.metric("prong_http_requests_parked") == count, "all accepted")
    return [first, *rest]


# ---- kept ----


def test_the_second_one_is_a_hit(cached):
    s = cached()
    first, second = s.get("/compute/primes?limit=1000"), s.get("/compute/primes?limit=1000")
    assert (how(first), how(second)) == ("miss", "hit")
    assert first.body == second.body and first.headers["Content-Type"] == second.headers["Content-Type"]
    assert "Age" not in first.headers and int(second.headers["Age"]) >= 0
    assert second.receipt == NOTHING_SPENT
    assert second.headers["Prong-Job"] == second.headers["X-Request-Id"] != first.headers["Prong-Job"]
    assert tasks(s) == 1
    assert counts(s) == (1, 1, 0)


def test_what_differs_is_computed(cached):
    s = cached()
    for target in ("primes?limit=1000", "primes?limit=1001", "sum?end=1000", "sum?start=1&end=1000"):
        assert how(s.get(f"/compute/{target}")) == "miss"
    assert how(s.get("/compute/primes?limit=1000", prong_chunks=2)) == "miss"
    assert how(s.get("/compute/primes?limit=1000", prong_priority="low")) == "hit"


def test_what_is_written_otherwise_is_equal(cached):
    s = cached()
    assert how(s.get("/compute/sum?start=0&end=1000")) == "miss"
    for answer in (s.get("/compute/sum?end=1e3"), s.post("/compute/sum", {"end": 1000.0, "start": 0})):
        assert how(answer) == "hit"


def test_raw_input(cached):
    s = cached()
    for body, expected in ((b"abc", "miss"), (b"abc", "hit"), (b"abd", "miss"), (b"", "miss"), (b"x" * 100000, "miss"), (b"x" * 100000, "hit")):
        answer = s.post("/compute/echo", body, content_type="application/octet-stream")
        assert (how(answer), answer.body) == (expected, body)
        assert answer.headers["Content-Type"] == "application/octet-stream"


def test_a_large_input_is_not_compared(cached):
    s = cached()
    for _ in range(2):
        assert how(s.post("/compute/echo", b"x" * ((1 << 20) + 1), content_type="text/plain")) == "miss"


def test_values(cached):
    s = cached()
    assert how(s.post("/compute/stats", {"values": [1, 2, 3]})) == "miss"
    assert how(s.post("/compute/stats", {"values": [1.0, 2, 3]})) == "hit"
    assert how(s.post("/compute/stats", {"values": [1, 2, 4]})) == "miss"


def test_no_cache_computes_and_keeps(cached):
    s = cached()
    assert how(s.get("/compute/echo", cache_control="no-cache")) == "miss"
    assert how(s.get("/compute/echo")) == "hit"
    assert how(s.get("/compute/echo", cache_control="max-age=5 , No-Cache")) == "miss"
    assert tasks(s) == 2


def test_no_store_neither_looks_nor_keeps(cached):
    s = cached()
    assert how(s.get("/compute/echo", cache_control="no-store")) == "miss"
    assert how(s.get("/compute/echo")) == "miss"
    assert how(s.get("/compute/echo", cache_control="no-store")) == "miss"
    for other in ("no-transform", "no", "no-store-not", "max-age=5, ", "=no-store"):
        assert how(s.get("/compute/echo", cache_control=other)) == "hit", other
    assert tasks(s) == 3


@pytest.mark.parametrize("body", [b"x", b"x" * 20000], ids=["small", "large"])
@pytest.mark.parametrize("headers", [{}, {"traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"}, {"Origin": "https://lab.example"}],
                         ids=["plain", "traced", "from a page"])
def test_a_hit_has_all_that_a_miss_has(cached, body, headers):
    """Also the second and third, which may be put together in another way."""
    s = cached(origins="https://lab.example")
    with s.client() as client:
        miss, *hits = (client.post("/compute/echo", body, headers=headers, content_type="text/plain") for _ in range(4))
    for hit in hits:
        assert how(hit) == "hit" and hit.body == miss.body
        assert sorted(hit.headers) == sorted([*miss.headers, "Age"])
        for name in set(miss.headers) - {"Date", "Prong-Job", "X-Request-Id", "Prong-Receipt", "Server-Timing", "Prong-Cache", "traceparent"}:
            assert hit.headers[name] == miss.headers[name], name
        assert hit.headers["Prong-Job"] == hit.headers["X-Request-Id"]
    assert len({a.headers["X-Request-Id"] for a in (miss, *hits)}) == 4


def test_many_hits_on_many_connections(cached):
    """More than a thread keeps ready, each with its own bytes and its own id."""
    s = cached()
    targets = [f"/compute/echo?message={i}-{'y' * (i % 50)}" for i in range(300)]
    with s.client() as client:
        bodies = {t: client.get(t).body for t in targets}

    def ask_all(step):
        with s.client() as client:
            return [(t, client.ask("HEAD" if i % 7 == 0 else "GET", t)) for i in range(2) for t in targets[::step] for i in (len(t) + i,)]

    answers = [a for asking in [Background(ask_all, step) for step in (1, 2, 3, 5)] for a in asking.result()]
    assert {how(a) for _, a in answers} == {"hit"}
    assert all(a.body in (bodies[t], b"") and int(a.headers["Content-Length"]) == len(bodies[t]) for t, a in answers)
    assert len({a.headers["Prong-Job"] for _, a in answers}) == len(answers)


def test_it_grows_older(cached):
    s = cached()
    s.get("/compute/echo")
    ages = [0]
    with s.client() as client:
        wait_until(lambda: ages.append(int(client.get("/compute/echo").headers["Age"])) or ages[-1] >= 2, "two seconds")
    assert ages == sorted(ages) and {0, 1, 2} == set(ages)


def test_the_access_log_has_the_job_of_a_hit(cached, tmp_path):
    log = tmp_path / "access.log"
    s = cached(access_log=log, access_log_format="json")
    with s.client() as client:  # on one connection: two threads may write down what they have answered in either order
        jobs = [client.get("/compute/echo").headers["Prong-Job"] for _ in range(3)]
    s.stop()
    assert [json.loads(line).get("job") for line in log.read_text().splitlines() if "/compute/echo" in line] == jobs


def test_too_old(cached):
    s = cached(cache_ttl=0.3)
    assert how(s.get("/compute/echo")) == "miss"
    begin = time.monotonic()
    wait_until(lambda: how(s.get("/compute/echo")) == "miss", "its end")
    assert time.monotonic() - begin < 60  # a hit does not make it younger
    assert s.metric("prong_cache_entries") == 1


def test_without_a_time_nothing_is_kept(cached):
    s = cached(cache_ttl=0)
    assert [how(s.get("/compute/echo")) for _ in range(2)] == ["miss", "miss"]
    assert [how(r.result()) for r in asleep(s, 0.5, 2)].count("merged") == 1


def test_the_bytes_are_bounded(cached):
    s = cached(cache_max="64K")
    for i in range(100):
        assert s.get(f"/compute/echo?message={i}{'x' * 1000}").status == 200
        assert how(s.get("/compute/primes?limit=10")) == ("miss" if i == 0 else "hit")  # asked for all the time
    status = s.status()["cache"]
    assert status["capacity"] == 65536 and 20 < status["entries"] < 64 and status["bytes"] <= 65536
    assert s.metric("prong_cache_bytes") == status["bytes"]
    assert how(s.get(f"/compute/echo?message=99{'x' * 1000}")) == "hit"
    assert how(s.get(f"/compute/echo?message=0{'x' * 1000}")) == "miss"


def test_one_that_takes_too_much_is_not_kept(cached):
    s = cached(cache_max="64K")
    for _ in range(2):
        assert how(s.post("/compute/echo", b"x" * 9000, content_type="text/plain")) == "miss"
    assert s.metric("prong_cache_entries") == 0


def test_a_failure_is_not_kept(cached):
    s = cached()
    for _ in range(2):
        answer = s.get("/compute/sum?start=5&end=4")
        assert_problem(answer, 500, "kernel-failed")
        assert how(answer) == "miss"
    assert tasks(s) == 2 and s.metric("prong_cache_entries") == 0


def test_a_death_is_not_kept(cached):
    s = cached(enable_fault_kernel=True, poison_deaths=0)
    for _ in range(2):
        answer = s.post("/compute/fault", {"mode": "segv"})
        assert_problem(answer, 502, "worker-died")
        assert how(answer) == "miss"
    assert s.metric("prong_cache_entries") == 0


def test_refusals_and_errors_say_nothing_of_it(cached):
    s = cached()
    for answer in (s.get("/compute/nothing"), s.get("/compute/primes?limit=x"), s.get("/compute"), s.get("/status")):
        assert "Prong-Cache" not in answer.headers


def test_what_is_not_pure(cached, tmp_path):
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    for source in (DIR / "kernels" / "echo.so", DIR / "test-kernels" / "twin_a.so"):
        shutil.copy(source, kernels)
    s = cached(kernels=kernels)
    for _ in range(2):
        answer = s.post("/compute/twin", {})
        assert answer.status == 200 and "Prong-Cache" not in answer.headers
    assert tasks(s) == 2


def test_events_are_told_by_workers(cached):
    s = cached()
    assert how(s.get("/compute/primes?limit=1000")) == "miss"
    for _ in range(2):
        answer = s.get("/compute/primes?limit=1000", accept="text/event-stream")
        assert [name for name, _ in events_of(answer.text)][-1] == "result"
        assert "Prong-Cache" not in answer.headers
    assert tasks(s) == 3


def test_durable_jobs_are_run(cached):
    s = cached(store="memory")
    for key in ("a", "b"):
        answer = s.post("/compute/primes", {"limit": 1000}, idempotency_key=key)
        assert answer.status == 200 and answer.headers["Prong-Job"] and "Prong-Cache" not in answer.headers
    assert tasks(s) == 2


def test_without_room_there_is_no_cache(cached):
    s = cached(cache_max=0, express=0)
    for _ in range(2):
        assert "Prong-Cache" not in s.get("/compute/echo").headers
    assert all(r.result().status == 200 for r in asleep(s, 1.5, 4))
    assert tasks(s) == 6
    assert s.status()["cache"]["capacity"] == 0


# ---- at the same time ----


def test_a_hundred_at_the_same_time_are_one(cached):
    s = cached()
    answers = [r.result() for r in asleep(s, 1.5, 100)]
    assert {a.status for a in answers} == {200} and {a.body for a in answers} == {b'{"slept":1.5}'}
    assert [how(a) for a in answers].count("miss") == 1
    assert [how(a) for a in answers].count("merged") == 99
    assert tasks(s) == 1
    assert len({a.headers["Prong-Job"] for a in answers}) == 100
    assert s.metric("prong_jobs_total", kernel="sleep", outcome="ok") == 100
    assert counts(s) == (0, 1, 99)
    assert how(s.get("/compute/sleep?seconds=1.5")) == "hit"


def test_who_comes_later_waits_less(cached):
    s = cached(workers=1, express=0)
    hog = s.later("GET", "/compute/sleep?seconds=1")
    s.wait_busy(1)
    first = s.later("GET", "/compute/sleep?seconds=0.5")
    s.wait_queued(1)
    time.sleep(0.2)
    second = s.later("GET", "/compute/sleep?seconds=0.5")
    first, second = first.result(), second.result()
    assert how(second) == "merged" and hog.result().status == 200
    assert 0 < second.receipt["wait_ms"] < first.receipt["wait_ms"]
    assert second.receipt["cpu_ms"] == first.receipt["cpu_ms"] and second.receipt["workers"] == 1


def test_who_joins_what_runs_has_not_waited(cached):
    _, *others = [r.result() for r in asleep(cached(), 1, 3)]
    assert [(how(a), a.receipt["wait_ms"]) for a in others] == [("merged", 0)] * 2


def test_who_listens_joins_nobody(cached):
    """He would not be told what those before him did not ask for."""
    s = cached()
    first = s.later("GET", "/compute/sleep?seconds=1")
    s.wait_busy(1)
    listener = s.get("/compute/sleep?seconds=1", accept="text/event-stream")
    assert [name for name, _ in events_of(listener.text)][-1] == "result"
    assert how(first.result()) == "miss"
    assert tasks(s) == 2


def test_no_cache_runs_beside(cached):
    s = cached()
    kept = s.later("GET", "/compute/sleep?seconds=1")
    s.wait_busy(1)
    fresh = s.later("GET", "/compute/sleep?seconds=1", cache_control="no-cache")
    s.wait_busy(2)
    joined = s.later("GET", "/compute/sleep?seconds=1")
    assert [how(r.result()) for r in (kept, fresh, joined)] == ["miss", "miss", "merged"]
    assert tasks(s) == 2


def test_a_failure_is_everybodys(cached):
    s = cached(enable_fault_kernel=True, poison_deaths=0)
    requests = [s.later("POST", "/compute/fault", {"mode": "hang"}) for _ in range(5)]
    s.wait_busy(1)
    wait_until(lambda: s.metric("prong_http_requests_parked") == 5, "all accepted")
    os.kill(s.busy()[0]["pid"], signal.SIGKILL)
    answers = [r.result() for r in requests]
    for answer in answers:
        assert_problem(answer, 502, "worker-died")
    assert sorted(how(a) for a in answers) == ["merged"] * 4 + ["miss"]


def test_nobody_joins_a_class_below_his_own(cached):
    s = cached(workers=1, express=0)
    hog = s.later("GET", "/compute/sleep?seconds=0.7")
    s.wait_busy(1)
    low = s.later("GET", "/compute/sleep?seconds=0.1", prong_priority="low")
    s.wait_queued(1)
    high = s.later("GET", "/compute/sleep?seconds=0.1", prong_priority="high")
    s.wait_queued(2)
    also_low = s.later("GET", "/compute/sleep?seconds=0.1", prong_priority="low")
    assert [how(r.result()) for r in (hog, low, high, also_low)] == ["miss", "miss", "miss", "merged"]


# ---- leaving ----


def send(s, target):
    sock = s.connect()
    sock.sendall(f"GET /compute/{target} HTTP/1.1\r\nHost: x\r\n\r\n".encode())
    return sock


def test_the_first_leaves_and_the_others_get_their_answer(cached):
    s = cached()
    first = send(s, "sleep?seconds=2")
    s.wait_busy(1)
    others = [s.later("GET", "/compute/sleep?seconds=2") for _ in range(3)]
    wait_until(lambda: s.metric("prong_http_requests_parked") == 4, "all accepted")
    first.close()
    wait_until(lambda: s.metric("prong_client_hangups_total") == 1, "its leaving to be seen")
    answers = [r.result() for r in others]
    assert [(a.status, how(a)) for a in answers] == [(200, "merged")] * 3
    assert tasks(s) == 1
    assert s.metric("prong_jobs_total", kernel="sleep", outcome="cancelled") == 1
    assert how(s.get("/compute/sleep?seconds=2")) == "hit"


def test_when_all_have_left_the_work_stops(cached):
    s = cached()
    clients = [send(s, "sleep?seconds=60") for _ in range(5)]
    s.wait_busy(1)
    wait_until(lambda: s.metric("prong_http_requests_parked") == 5, "all accepted")
    for sock in clients[:-1]:
        sock.close()
    wait_until(lambda: s.metric("prong_client_hangups_total") == 4, "their leaving to be seen")
    assert len(s.busy()) == 1
    clients[-1].close()
    s.wait_idle(5)
    assert s.metric("prong_client_hangups_total") == 5
    assert s.metric("prong_cache_entries") == 0


def test_the_time_of_one_is_up(cached):
    s = cached()
    first = s.later("GET", "/compute/sleep?seconds=2")
    s.wait_busy(1)
    hasty = s.later("GET", "/compute/sleep?seconds=2", prong_timeout=0.5)
    assert_problem(hasty.result(), 504, "deadline")
    assert how(hasty.result()) == "merged"
    assert first.result().status == 200
    assert tasks(s) == 1


def test_who_has_more_time_than_the_first_gets_his_answer(cached, tmp_path):
    """A worker stops at the deadline that was sent along; the work is then done again for who has joined."""
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    shutil.copy(DIR / "test-kernels" / "rows.so", kernels)
    s = cached(workers=1, express=0, kernels=kernels)
    hasty = s.later("GET", "/compute/rows?count=8&pause_ms=500", prong_timeout=0.4)
    wait_until(lambda: tasks(s) == 1 and s.busy(), "a chunk of two rows, after the plan")
    patient = s.later("GET", "/compute/rows?count=8&pause_ms=500")
    assert_problem(hasty.result(), 504, "deadline")
    answer = patient.result()
    assert (answer.status, how(answer), answer.text) == (200, "merged", "8 rows, sum 28")
    assert answer.receipt["retries"] == 1
    s.wait_idle()


def test_who_has_much_more_time_runs_alone(cached):
    s = cached()
    hasty = s.later("GET", "/compute/sleep?seconds=2", prong_timeout=1)
    s.wait_busy(1)
    patient = s.later("GET", "/compute/sleep?seconds=2", prong_timeout=20)
    assert_problem(hasty.result(), 504, "deadline")
    assert (patient.result().status, how(patient.result())) == (200, "miss")


def test_the_end_of_the_server_is_the_end_for_all(cached):
    s = cached(drain=0)
    requests = asleep(s, 30, 3)
    s.stop()
    for r in requests:
        assert r.result().status == 503
