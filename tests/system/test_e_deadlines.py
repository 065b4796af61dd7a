"""A deadline is kept, whatever the kernel does, and what it stopped is free again."""
import time

import pytest
from conftest import PATIENCE, SLOW, assert_problem, events_of


@pytest.fixture
def s(shared_server):
    return shared_server.made[0] if shared_server.made else shared_server(workers=2)


@pytest.mark.parametrize("target", ["sleep?seconds=600", "primes?limit=100000000000", "pi?samples=1000000000000", "sum?end=10000000000000", "mandelbrot?width=4096&height=4096&iterations=100000"])
def test_504(s, target):
    began = time.monotonic()
    answer = s.get("/compute/" + target, prong_timeout=0.3)
    took = time.monotonic() - began
    problem = assert_problem(answer, 504, "deadline")
    assert "0.3" in problem["detail"] and problem["job"]
    assert 0.3 <= took < 5 * SLOW
    s.wait_idle()
    assert s.get("/compute/primes?limit=100").json["count"] == 25


def test_a_deadline_kills_no_worker_that_listens(s):
    before = s.worker_pids()
    for _ in range(5):
        assert s.get("/compute/sleep?seconds=600", prong_timeout=0.1).status == 504
    s.wait_idle()
    assert s.worker_pids() == before


def test_504_has_a_receipt(s):
    receipt = s.get("/compute/sleep?seconds=600", prong_timeout=0.3).receipt
    assert receipt["run_ms"] >= 290


def test_the_servers_own_deadline(server):
    s = server(workers=1, timeout=0.4)
    assert_problem(s.get("/compute/sleep?seconds=600"), 504, "deadline")
    s.wait_idle()


def test_the_header_may_only_shorten(server):
    s = server(workers=1, timeout=0.4)
    began = time.monotonic()
    assert_problem(s.get("/compute/sleep?seconds=600", prong_timeout=500), 504, "deadline")
    assert time.monotonic() - began < PATIENCE


def test_in_time_is_in_time(s):
    assert s.get("/compute/sleep?seconds=0.2", prong_timeout=20).json == {"slept": 0.2}


def test_the_deadline_of_one_that_waits(server):
    """Waiting counts, and what was never started is never started."""
    s = server(workers=1, express=0)
    first = s.later("GET", "/compute/sleep?seconds=600", prong_timeout=5)
    s.wait_busy(1)
    waiting = [s.later("GET", "/compute/sleep?seconds=0", prong_timeout=0.3) for _ in range(5)]
    answers = [w.result() for w in waiting]
    assert not first.is_done, "the first was over before: proves nothing"
    for answer in answers:
        assert answer.status in (503, 504), answer
    assert 504 in [a.status for a in answers]
    assert first.result().status == 504
    s.wait_idle()
    assert s.tasks() <= 1


def test_admission_by_deadline(server):
    """Where the work that waits would take longer than the newcomer may, it is told so at once."""
    s = server(workers=1, express=0)
    assert s.get("/compute/sleep?seconds=2").status == 200  # so that it is known how long one takes
    running = s.later("GET", "/compute/sleep?seconds=2")
    s.wait_busy(1)
    began = time.monotonic()
    answer = s.get("/compute/sleep?seconds=2", prong_timeout=0.5)
    assert time.monotonic() - began < 0.5 * SLOW
    problem = assert_problem(answer, 503, "too-late")
    assert int(answer.headers["Retry-After"]) == problem["retry_after"] >= 1
    assert running.result().status == 200
    s.wait_tasks(2)


def test_the_deadline_of_events(s):
    answer = s.get("/compute/sleep?seconds=600", accept="text/event-stream", prong_timeout=0.5)
    name, data = events_of(answer.text)[-1]
    assert name == "error" and '"status":504' in data
    s.wait_idle()


def test_many_deadlines_at_once(s):
    answers = [s.later("GET", "/compute/sleep?seconds=600", prong_timeout=0.5) for _ in range(50)]
    assert {a.result().status for a in answers} <= {503, 504}
    s.wait_idle()
