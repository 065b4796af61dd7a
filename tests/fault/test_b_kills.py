"""Whoever dies, the right answers come: workers are replaced, and so is the zygote."""
import os
import random
import signal
import time

import pytest
from conftest import SLOW, SOAK, Load, descendants, fewer, is_alive, wait_until
from test_a_modes import Checker, assert_as_before, settled_fds


def warm(s):
    for _ in range(20):
        assert s.get("/compute/echo").status == 200
    assert s.get("/compute/primes?limit=5000000", prong_chunks=4).status == 200
    s.wait_idle()


def kill(pid, which=signal.SIGKILL):
    try:
        os.kill(pid, which)
    except ProcessLookupError:
        pass  # it had just been replaced


def test_random_workers_are_killed_under_load(server):
    """Each request may lose one worker and is then run again; so the pauses are longer than a request."""
    s = server(workers=2, brake_deaths=0, poison_deaths=0, retries=10)
    warm(s)
    before = settled_fds(s)
    checker, load = Checker(s), Load(s.url + "/compute/echo", 600, connections=4)
    for _ in range(1000 if SOAK else fewer(40)):
        s.wait_workers()
        victim = random.choice(sorted(s.worker_pids()))
        kill(victim)
        wait_until(lambda: victim not in s.worker_pids(), "another worker in its place")
    counts = load.stop()
    checker.stop()
    checker.assert_all_right()
    assert counts["bad"] == counts["socket_errors"] == 0, counts["text"]
    assert_as_before(s, before)


def test_a_killed_worker_costs_a_long_request_nothing_but_time(server):
    s = server(workers=2, express=0, brake_deaths=0, poison_deaths=0, retries=10)
    running = s.later("GET", "/compute/primes?limit=10000000000", prong_chunks=64)
    killed = 0
    while killed < 3 and not running.is_done:
        for worker in s.busy()[:1]:
            kill(worker["pid"])
            killed += 1
        s.wait_workers()
    answer = running.result()
    assert killed > 0, "it was over before: proves nothing"
    assert answer.status == 200 and answer.json == {"count": 455052511, "limit": 10000000000}
    assert 1 <= answer.receipt["retries"] <= killed


@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGSEGV, signal.SIGKILL, signal.SIGUSR1, signal.SIGHUP])
def test_idle_workers_may_die_of_anything(server, which):
    s = server(workers=2)
    for victim in s.worker_pids():
        kill(victim, which)
        wait_until(lambda victim=victim: not is_alive(victim) and victim not in s.worker_pids(), "another in its place")
    s.wait_workers()
    s.assert_no_zombies()
    assert s.get("/compute/primes?limit=100").json["count"] == 25


def test_a_worker_that_is_stopped(server):
    """From outside, in the middle of a task: its request ends at its deadline, and it is replaced."""
    s = server(workers=1, express=0)
    running = s.later("GET", "/compute/sleep?seconds=60", prong_timeout=1)
    s.wait_busy(1)
    (victim,) = s.worker_pids()
    kill(victim, signal.SIGSTOP)
    assert running.result().status == 504
    wait_until(lambda: not is_alive(victim), "the stopped worker to be killed", 15)
    s.wait_workers(15)
    assert s.get("/compute/echo").status == 200


def test_an_idle_worker_that_is_stopped_does_not_stop_the_others(server):
    s = server(workers=2, express=0)
    victim = min(s.worker_pids())
    kill(victim, signal.SIGSTOP)
    for i in range(20):
        assert s.get(f"/compute/primes?limit={1000 + i}").status == 200
    kill(victim, signal.SIGCONT)


def test_the_zygote_is_killed_while_idle(server):
    s = server(workers=2)
    warm(s)
    before = settled_fds(s)
    old, old_workers = s.status()["zygote_pid"], s.worker_pids()
    began = time.monotonic()
    kill(old)
    wait_until(lambda: s.status()["zygote_pid"] not in (0, old) and len(s.workers()) == 3, "a new zygote with its workers")
    assert time.monotonic() - began < 5 * SLOW  # the promise is 1 s
    wait_until(lambda: not any(is_alive(p) for p in old_workers), "the old workers to end")
    assert s.get("/compute/primes?limit=100").json["count"] == 25
    assert s.metric("prong_zygote_starts_total") == 2
    assert_as_before(s, before)


def test_the_zygote_is_killed_under_load(server):
    """What ran is run again, or is told 502; what waited waits a moment longer."""
    s = server(workers=2, retries=10)
    warm(s)
    before = settled_fds(s)
    for _ in range(20 if SOAK else 3):
        s.wait_workers()
        load = Load(s.url + "/compute/primes?limit=200000", 60, connections=8)
        wait_until(lambda: s.status()["compute"]["running"] > 0, "work under way")
        old = s.status()["zygote_pid"]
        kill(old)
        wait_until(lambda: s.status()["zygote_pid"] not in (0, old) and len(s.workers()) == 3, "a new zygote", 10)
        counts = load.stop()
        assert counts["socket_errors"] == 0 and counts["bad"] == 0, counts["text"]
    checker = Checker(s)
    assert s.get("/compute/primes?limit=5000000").json["count"] == 348513
    checker.stop()
    checker.assert_all_right()
    assert_as_before(s, before)


def test_a_request_outlives_the_zygote(server):
    s = server(workers=1, express=0)
    running = s.later("GET", "/compute/sleep?seconds=1")
    waiting = s.later("GET", "/compute/echo")
    s.wait_busy(1)
    kill(s.status()["zygote_pid"])
    assert running.result().json == {"slept": 1}
    assert waiting.result().json == {"message": "hello"}


def test_what_is_not_idempotent_is_not_run_again(server):
    s = server(workers=1, express=0, enable_fault_kernel=True)
    running = s.later("POST", "/compute/fault", {"mode": "hang"}, prong_timeout=20)
    s.wait_busy(1)
    kill(s.status()["zygote_pid"])
    assert running.result().status == 502
    s.wait_workers()


def test_the_zygote_is_stopped(server):
    """A zygote that hangs: what runs goes on, and what computes is served by the workers that are there."""
    s = server(workers=2)
    warm(s)
    zygote = s.status()["zygote_pid"]
    kill(zygote, signal.SIGSTOP)
    for i in range(20):
        assert s.get(f"/compute/primes?limit={1000 + i}").status == 200
    kill(zygote, signal.SIGCONT)


def test_the_zygote_dies_again_and_again(server):
    s = server(workers=1)
    for _ in range(fewer(5, asan=2, tsan=2)):
        old = s.status()["zygote_pid"]
        kill(old)
        wait_until(lambda old=old: s.status()["zygote_pid"] not in (0, old) and len(s.workers()) == 2, "a new zygote", 30)
    assert s.get("/compute/echo").status == 200
    assert s.get("/livez").status == 200


def test_probes_answer_while_there_is_no_zygote(server):
    s = server(workers=1)
    kill(s.status()["zygote_pid"])
    for path in ("/livez", "/status", "/metrics", "/compute"):
        assert s.get(path).status == 200, path
    assert s.get("/readyz").status in (200, 503)
    s.wait_workers()
    wait_until(lambda: s.get("/readyz").status == 200, "it to be ready again")


def test_shutdown_right_after_the_zygote_died(server):
    s = server(workers=2)
    s.note_processes()
    kill(s.status()["zygote_pid"])
    s.stop()


def test_recycled_under_load(server):
    """Workers that have run their number of tasks go, without anybody's noticing."""
    s = server(workers=2, worker_tasks=50)
    warm(s)
    before = settled_fds(s)
    started = s.metric("prong_worker_starts_total")
    checker, load = Checker(s), Load(s.url + "/compute/echo", 30 if SOAK else 4, connections=8)
    counts = load.result()
    checker.stop()
    checker.assert_all_right()
    assert counts["bad"] == counts["socket_errors"] == 0, counts["text"]
    assert s.metric("prong_worker_starts_total") - started >= counts["requests"] / 50 / 2
    assert s.metric("prong_worker_deaths_total", reason="crashed") == 0
    assert s.metric("prong_worker_deaths_total", reason="retired") > 0
    assert_as_before(s, before)
    assert len(descendants(s.pid)) == 4


def test_recycled_by_age(server):
    s = server(workers=1, express=0, worker_age=1)
    (old,) = s.worker_pids()

    def replaced():
        assert s.get("/compute/echo").status == 200
        return old not in s.worker_pids()

    wait_until(replaced, "a younger worker")
    s.wait_workers()
