"""Small calls of a kernel that has `batch` are computed together, and what becomes of one of them is its own."""
import collections
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import tempfile
import threading

import pytest
from conftest import DIR, Background, assert_problem, events_of, fewer, wait_until

CALLS = 20


@pytest.fixture
def folder():
    """Where the user that programs run as can reach it, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="prong-kernels-") as path:
        made = pathlib.Path(path)
        made.chmod(0o755)
        shutil.copy(DIR / "test-kernels" / "batcher.so", made)
        shutil.copy(DIR / "kernels" / "sleep.so", made)
        yield made


@pytest.fixture
def batcher(server, folder):
    """batcher(…): a server that knows what a call of it takes."""

    def make(**more):
        s = server(**{"kernels": folder, "workers": 1, "express": 0, **more})
        assert s.get("/compute/batcher?n=1").json == {"n": 1, "together": 1}
        return s

    return make


def batches(s):
    return s.metric("prong_batches_total"), s.metric("prong_batched_calls_total")


def naps(pids):
    """How often these have gone to sleep so far. One that spins does it all the time, one that waits for a task does not."""
    texts = [pathlib.Path(f"/proc/{pid}/status").read_text() for pid in pids]
    return sum(int(re.search(r"^voluntary_ctxt_switches:\s*(\d+)", text, re.M).group(1)) for text in texts)


def wait_parked(s, count):
    wait_until(lambda: s.metric("prong_http_requests_parked") == count, "all accepted")


def gathered(s, queries, **headers):
    """These calls, which find the only worker busy, and so each other."""
    with s.held() as first:
        calls = [s.later("GET", f"/compute/batcher?{query}", **headers) for query in queries]
        wait_parked(s, 1 + len(calls))
    return first, calls


def results(first, calls):
    assert first.result().status == 200
    return [call.result() for call in calls]


def answers_of(first, calls):
    answers = results(first, calls)
    assert [a.status for a in answers] == [200] * len(answers)
    return [a.json for a in answers]


def test_who_asks_alone_is_computed_alone(batcher):
    s = batcher()
    with s.client() as client:
        for n in range(fewer(200)):
            assert client.get(f"/compute/batcher?n={n}").json == {"n": n, "together": 1}
    assert batches(s) == (0, 0)


def test_those_that_wait_go_together(batcher):
    s = batcher()
    answers = answers_of(*gathered(s, [f"n={n}" for n in range(CALLS)]))
    assert answers == [{"n": n, "together": CALLS} for n in range(CALLS)]
    assert batches(s) == (1, CALLS)
    s.wait_idle()
    assert s.tasks() == CALLS + 2
    assert s.get("/compute/sleep?seconds=0.1", prong_timeout="20").status == 200  # long ones wait for a worker that is free


def test_nobody_waits_until_a_long_one_ends(batcher):
    s = batcher(workers=2)
    with s.connect() as sock:
        sock.sendall(b"GET /compute/batcher?mode=spin HTTP/1.1\r\nHost: x\r\n\r\n")
        s.wait_busy(1)
        assert s.get("/compute/batcher?n=3", prong_timeout="20").json == {"n": 3, "together": 1}
        assert s.metric("prong_http_requests_parked") == 1, "the long one has ended: proves nothing"


def test_a_batch_is_bounded(batcher):
    s = batcher()
    answers = answers_of(*gathered(s, [f"n={n}&text={'x' * 1500}" for n in range(CALLS)]))
    assert [a["n"] for a in answers] == list(range(CALLS))
    sizes = collections.Counter(a["together"] for a in answers)
    assert max(sizes) <= 9 and all(count % size == 0 for size, count in sizes.items())


def test_what_is_large_goes_alone(batcher):
    s = batcher()
    first, calls = gathered(s, [f"n={n}&text={'x' * 3000}" for n in range(4)])
    assert [a["together"] for a in answers_of(first, calls)] == [1] * 4
    first, calls = gathered(s, [f"n={n}" for n in range(4)], prong_chunks="2")
    assert [a["together"] for a in answers_of(first, calls)] == [1] * 4
    assert batches(s) == (0, 0)


def test_who_listens_goes_alone(batcher):
    s = batcher()
    with s.held() as first:
        listener = s.later("GET", "/compute/batcher?n=7", accept="text/event-stream")
        calls = [s.later("GET", f"/compute/batcher?n={n}") for n in range(3)]
        s.wait_queued(4)
    assert [a["together"] for a in answers_of(first, calls)] == [3] * 3
    name, data = events_of(listener.result().text)[-1]
    assert (name, json.loads(data)["result"]) == ("result", {"n": 7, "together": 1})


def test_what_takes_long_goes_alone(batcher):
    s = batcher()
    assert s.get("/compute/batcher?mode=wait").status == 200
    assert answers_of(*gathered(s, [f"n={n}" for n in range(4)])) == [{"n": n, "together": 1} for n in range(4)]
    assert batches(s) == (0, 0)


def test_large_answers_come_back_whole(batcher):
    s = batcher()
    answers = results(*gathered(s, [f"n={n}&mode=big" for n in range(8)]))
    assert [a.body for a in answers] == [bytes([ord("a") + n]) * 300000 for n in range(8)]
    assert batches(s) == (1, 8)


def test_one_that_fails_fails_alone(batcher):
    s = batcher()
    answers = results(*gathered(s, [f"n={n}&mode={'fail' if n == 7 else 'answer'}" for n in range(CALLS)]))
    assert "Number 7 fails." in assert_problem(answers.pop(7), 500, "kernel-failed")["detail"]
    assert {a.json["together"] for a in answers} == {CALLS}


def test_a_batch_that_fails_fails_all(batcher):
    s = batcher()
    answers = results(*gathered(s, [f"n={n}&mode={('silent', 'fail', 'answer')[n]}" for n in range(3)]))
    details = [assert_problem(a, 500, "kernel-failed")["detail"] for a in answers]
    assert "Number 1 fails." in details[1]
    assert "without saying why" in details[0] and "without saying why" in details[2]


def test_a_crash_is_the_end_of_one(batcher):
    s = batcher()
    s.is_faulty = True
    answers = results(*gathered(s, [f"n={n}&mode={'crash' if n == 7 else 'answer'}" for n in range(CALLS)]))
    assert_problem(answers.pop(7), 502, "worker-died")
    assert {a.json["together"] for a in answers} == {1}
    assert {a.receipt["retries"] for a in answers} == {1}
    s.wait_workers()
    assert s.get("/compute/batcher?n=3").json == {"n": 3, "together": 1}


def test_who_was_beside_a_crash_is_not_blamed(batcher):
    s = batcher(is_faulty=True, poison_deaths=1, brake_deaths=0)
    calls = ["n=1", "n=2&mode=crash", "n=3"]
    assert [a.status for a in results(*gathered(s, calls))] == [200, 502, 200]
    s.wait_workers()
    assert [s.get(f"/compute/batcher?{call}").status for call in calls] == [200, 422, 200]


def test_what_may_not_be_tried_again_dies_together(server, folder):
    (folder / "batcher.so").unlink()
    shutil.copy(DIR / "test-kernels" / "batcher_once.so", folder)
    s = server(kernels=folder, workers=1, express=0, is_faulty=True)
    assert s.get("/compute/batcher?n=1").json == {"n": 1, "together": 1}
    answers = results(*gathered(s, [f"n={n}&mode={'crash' if n == 2 else 'answer'}" for n in range(4)]))
    for answer in answers:
        assert_problem(answer, 502, "worker-died")
    s.wait_workers()
    assert s.metric("prong_worker_deaths_total", reason="crashed") == 1
    assert s.get("/compute/batcher?n=3").json == {"n": 3, "together": 1}


def test_a_worker_that_is_killed_loses_nothing(batcher):
    s = batcher(is_faulty=True)
    first, calls = gathered(s, ["mode=wait", *(f"n={n}" for n in range(CALLS - 1))])
    assert first.result().status == 200
    wait_until(lambda: batches(s) == (1, CALLS), "the batch is out")
    (pid,) = s.worker_pids()
    os.kill(pid, signal.SIGKILL)
    others = [call.result() for call in calls[1:]]
    assert [a.json for a in others] == [{"n": n, "together": 1} for n in range(CALLS - 1)]
    assert {a.receipt["retries"] for a in others} == {1}


def test_those_that_wait_go_together_after_a_reload(batcher):
    s = batcher()
    first, calls = gathered(s, [f"n={n}" for n in range(CALLS)])
    assert s.post("/kernels/reload").status == 200
    assert answers_of(first, calls) == [{"n": n, "together": CALLS} for n in range(CALLS)]
    wait_until(lambda: s.status()["reload"] is None, "settled")


def test_a_hosted_library_is_asked_one_by_one(batcher, folder):
    (folder / "libraries").mkdir(mode=0o755)
    shutil.move(folder / "batcher.so", folder / "libraries")
    (folder / "batcher.kernel").write_text("[kernel]\nlibrary = libraries/batcher.so\n")
    (folder / "batcher.kernel").chmod(0o644)
    s = batcher()
    assert answers_of(*gathered(s, [f"n={n}" for n in range(4)])) == [{"n": n, "together": 1} for n in range(4)]
    assert batches(s) == (0, 0)


def test_workers_die_and_clients_leave_and_nothing_is_lost(batcher):
    """All that stay are answered, whatever becomes of those beside them."""
    s = batcher(workers=2, express=1, is_faulty=True, retries=8, poison_deaths=0, brake_deaths=0)
    count, is_over = fewer(100), threading.Event()

    def work(number):
        with s.client() as client:
            for i in range(count):
                n = number * 1000 + i
                answer = client.get(f"/compute/batcher?n={n}")
                assert answer.status == 200 and answer.json["n"] == n, answer.text

    def leave():
        while not is_over.is_set():
            with s.connect() as sock:
                sock.sendall(b"GET /compute/batcher?mode=spin HTTP/1.1\r\nHost: x\r\n\r\n")
                is_over.wait(0.02)

    def crash():
        while not is_over.is_set():
            assert s.get("/compute/batcher?mode=crash").status == 502

    pests = [Background(leave), Background(leave), Background(crash)]
    for worker in [Background(work, number) for number in range(8)]:
        worker.result(120)
    is_over.set()
    for pest in pests:
        pest.result(60)
    s.wait_idle()
    number, calls = batches(s)
    assert 0 < number < calls
    assert s.metric("prong_worker_deaths_total", reason="misbehaved") == 0


def test_who_leaves_stops_its_own(batcher):
    s = batcher()
    with s.connect() as leaver:
        with s.held() as first:
            leaver.sendall(b"GET /compute/batcher?mode=spin HTTP/1.1\r\nHost: x\r\n\r\n")
            calls = [s.later("GET", f"/compute/batcher?n={n}") for n in range(3)]
            wait_parked(s, 5)
            before = s.worker_pids()
        assert first.result().status == 200
        wait_until(lambda: batches(s) == (1, 4), "the batch is out")
        spins = naps(before)
        wait_until(lambda: naps(before) > spins + 20, "it has begun: who has left by then is not begun with")
        leaver.shutdown(socket.SHUT_RDWR)
    assert [a["together"] for a in (call.result().json for call in calls)] == [4] * 3
    s.wait_idle()
    assert s.worker_pids() == before
    assert s.metric("prong_client_hangups_total") == 1


def test_who_leaves_while_it_waits_is_left_out(batcher):
    s = batcher()
    with s.held() as first:
        with s.connect() as leaver:
            leaver.sendall(b"GET /compute/batcher?mode=spin HTTP/1.1\r\nHost: x\r\n\r\n")
            wait_parked(s, 2)
        wait_until(lambda: s.metric("prong_client_hangups_total") == 1, "seen to leave")
        calls = [s.later("GET", f"/compute/batcher?n={n}") for n in range(3)]
    assert {a["together"] for a in answers_of(first, calls)} <= {1, 2, 3}


def test_one_that_is_late_stops_its_own(batcher):
    s = batcher()
    with s.held() as first:
        late = s.later("GET", "/compute/batcher?mode=spin", prong_timeout="2")
        calls = [s.later("GET", f"/compute/batcher?n={n}") for n in range(3)]
        wait_parked(s, 5)
        before = s.worker_pids()
    assert [a["together"] for a in answers_of(first, calls)] == [4] * 3
    assert late.result().status == 504
    assert s.worker_pids() == before


def test_one_that_never_ends_is_killed_when_nobody_is_wanted(batcher):
    s = batcher()
    s.is_faulty = True
    before = s.worker_pids()
    answers = results(*gathered(s, ["n=1", "mode=hang", "n=2"], prong_timeout="2"))
    assert [a.status for a in answers] == [504] * 3
    wait_until(lambda: s.worker_pids().isdisjoint(before), "the worker killed")
    s.wait_idle()
    assert batches(s) == (1, 3)
    assert s.get("/compute/batcher?n=3").json == {"n": 3, "together": 1}


def test_under_load_all_come_back_right_and_together(batcher):
    s = batcher(workers=2)  # an express worker would begin again elsewhere what takes long, which counts twice
    count = fewer(200)

    def work(client_number):
        seen = []
        with s.client() as client:
            for i in range(count):
                n = client_number * 1000 + i
                answer = client.get(f"/compute/batcher?n={n}")
                assert answer.status == 200 and answer.json["n"] == n
                seen.append(answer.json["together"])
        return seen

    sizes = collections.Counter()
    for worker in [Background(work, number) for number in range(16)]:
        sizes.update(worker.result(60))
    number, calls = batches(s)
    assert sum(sizes.values()) == 16 * count
    assert sum(c for size, c in sizes.items() if size > 1) == calls
    assert sum(c // size for size, c in sizes.items() if size > 1) == number
    assert all(c % size == 0 for size, c in sizes.items())
    assert calls > 0


def test_classes_and_clients_go_together(batcher):
    """Of two classes, and from two addresses: who is next takes the others along."""
    s = batcher()
    with s.held() as first:
        calls = [
            s.later("GET", f"/compute/batcher?n={n}", source=f"127.0.0.{2 + n % 2}", prong_priority=("high", "low")[n // 2 % 2])
            for n in range(8)
        ]
        wait_parked(s, 9)
    assert [a["together"] for a in answers_of(first, calls)] == [8] * 8
    s.wait_idle()
