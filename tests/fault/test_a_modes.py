"""Every way in which a kernel can go wrong costs its own request, and nothing else."""
import contextlib
import os
import pathlib
import threading
import time

import pytest
from conftest import SANITIZED, SLOW, SOAK, Background, Load, assert_problem, descendants, fewer, is_alive, open_fds, wait_until

MODES = ["segv", "abort", "exit", "hang", "spin", "alloc", "fork", "stop", "garbage", "forbidden"]
SLOW_MODES = {"hang", "spin", "stop", "alloc"}  # each round takes as long as its deadline, or the cancel ladder
SIGNALS = {"segv": (11, "SEGV"), "abort": (6, "ABRT"), "forbidden": (31, "SYS")}
PRIMES = {1000: 168, 100000: 9592, 1000000: 78498, 5000000: 348513}


def rounds_of(mode):
    if SOAK:
        return 100 if mode == "alloc" else 1000
    return max(2, fewer(4 if mode == "alloc" else 50))


class Checker:
    """Asks for what it knows, all the time, and notes what is wrong."""

    def __init__(self, s):
        self.wrong, self.count, self._over = [], 0, threading.Event()
        self._thread = threading.Thread(target=self._run, args=(s,), daemon=True)
        self._thread.start()

    def _run(self, s):
        with contextlib.closing(s.client()) as client:
            while not self._over.is_set():
                for limit, count in PRIMES.items():
                    self._ask(client, f"/compute/primes?limit={limit}", {"count": count, "limit": limit})
                start = self.count
                self._ask(client, f"/compute/sum?start={start}&end={start + 3000000}", {"sum": sum_from(start, 3000000), "count": 3000000})

    def _ask(self, client, target, expected):
        self.count += 1
        try:
            answer = client.get(target)
            if answer.status != 200 or answer.json != expected:
                self.wrong.append((target, answer))
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append((target, repr(error)))
            client.close()

    def stop(self):
        self._over.set()
        self._thread.join(60 * SLOW)

    def assert_all_right(self):
        assert not self._thread.is_alive(), "a right request was never answered"
        assert not self.wrong, f"{len(self.wrong)} of {self.count} went wrong: {self.wrong[0]}"
        assert self.count > 0


def sum_from(start, count):
    return start * count + count * (count - 1) // 2


def fault(client, mode, tag):
    if mode not in SLOW_MODES:
        return client.post("/compute/fault", {"mode": mode, "tag": tag}, prong_timeout=20)
    for _ in range(20):
        answer = client.post("/compute/fault", {"mode": mode, "tag": tag}, prong_timeout=0.3)
        if answer.status != 503:
            break
        time.sleep(0.1)  # on a slow machine those before it may take longer than that
    return answer


def assert_status(mode, answer):
    if mode == "fork":
        problem = assert_problem(answer, 500, "kernel-failed")
        assert "Child 1 of 8 could not be forked" in problem["detail"]
    elif mode in SLOW_MODES and not (mode == "alloc" and answer.status in (500, 502)):
        assert_problem(answer, 504, "deadline")
    elif mode == "alloc":
        assert answer.status == 500 or answer.json["signal"] in (6, 9), answer  # out of memory before the deadline
    elif mode == "exit":
        problem = assert_problem(answer, 502, "worker-died", exit_code=3)
        assert "signal" not in problem
    else:
        problem = assert_problem(answer, 502, "worker-died")
        assert problem["job"] and "exit_code" not in problem
        assert mode == "garbage" or (problem["signal"], problem["signal_name"]) == SIGNALS[mode]
        assert mode == "garbage" or problem["oom"] is False


def fds(s):
    """How many of each kind the server and the zygote hold; connections come and go, and are not counted."""
    found = {}
    for who, pid in (("prong", s.pid), ("zygote", s.status()["zygote_pid"])):
        for what in open_fds(pid).values():
            kind = "memfd" if "memfd" in what else what.split(":")[0]
            found[who, kind] = found.get((who, kind), 0) + 1
    return found


def settled_fds(s):
    """After the connections of whoever asked before are closed."""
    s.wait_idle()
    wait_until(lambda: s.metric("prong_http_connections") <= 1, lambda: f"all connections closed: {s.metrics()}")
    return fds(s)


def assert_as_before(s, before):
    s.wait_workers()
    s.wait_idle()
    s.assert_no_zombies()
    wait_until(
        lambda: all(n <= before.get(kind, 0) + (4 if kind[1] == "memfd" else 1) for kind, n in settled_fds(s).items()),
        lambda: f"no more open files than before: {before} -> {fds(s)}",
        30,
    )


def crash_often(s, mode, rounds, clients):
    """So many rounds from so many clients at once; what the first of them that went wrong got is raised."""
    per_client = -(-rounds // clients)

    def some(first):
        with s.client() as client:
            for tag in range(first, first + per_client):
                assert_status(mode, fault(client, mode, tag))

    for one in [Background(some, i * per_client) for i in range(clients)]:
        one.result(rounds * 5)


@pytest.mark.parametrize("mode", MODES)
def test_mode(server, mode):
    """Those that need their deadline to end are done by several clients at once, for the sake of time."""
    clients = 10 if mode in SLOW_MODES and mode != "alloc" else 1
    # What shares its worker's queue with a fault may meet one again when it is retried.
    s = server(workers=clients + 1, enable_fault_kernel=True, brake_deaths=0, poison_deaths=0, retries=5)
    for _ in range(10):
        assert s.get("/compute/echo").status == 200
        assert s.get("/compute/primes?limit=5000000", prong_chunks=4).status == 200
    with s.client() as client:
        assert_status(mode, fault(client, mode, -1))
    s.wait_workers()
    before = settled_fds(s)
    checker = Checker(s)
    load = Load(s.url + "/compute/echo", 600, connections=4)
    try:
        crash_often(s, mode, rounds_of(mode), clients)
    finally:
        counts = load.stop()
        checker.stop()
    checker.assert_all_right()
    assert counts["bad"] == counts["socket_errors"] == 0, counts["text"]
    assert counts["requests"] > 0
    assert_as_before(s, before)


def test_garbage_loses_no_task(server):
    """A worker may have taken the next task before its garbage is read: neither may be forgotten."""
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0, poison_deaths=0)
    s.get("/compute/echo")
    checker = Checker(s)
    load = Load(s.url + "/compute/echo", 600, connections=4)
    try:
        with s.client() as client:
            statuses = [client.post("/compute/fault", {"mode": "garbage", "tag": i}, prong_timeout=3).status for i in range(fewer(150))]
    finally:
        load.stop()
        checker.stop()
    assert set(statuses) == {502}
    s.wait_idle()
    assert s.get("/compute/echo", prong_timeout=5).status == 200


def test_children_of_a_kernel_end_with_their_worker(server):
    """What `fork` leaves behind is in its worker's process group, and must not outlive it: not the task, after which
    such a worker ends, and so not for the minute that each child would sleep. In the sandbox it gets none."""
    s = server(workers=1, express=0, enable_fault_kernel=True, sandbox="off")
    (worker,) = s.worker_pids()
    assert s.post("/compute/fault", {"mode": "fork"}).json == {"forked": 8}
    wait_until(lambda: not is_alive(worker), "the worker that forked to end", 10)
    s.wait_workers()
    expected = {s.status()["zygote_pid"], *s.worker_pids()}
    wait_until(lambda: set(descendants(s.pid)) == expected, lambda: f"its children to end: {descendants(s.pid)}, not {expected}", 10)


def test_children_of_a_kernel_end_with_the_server(server):
    s = server(workers=1, express=0, enable_fault_kernel=True, sandbox="off")
    assert s.post("/compute/fault", {"mode": "fork"}).json == {"forked": 8}
    s.stop()  # which looks for strays


def test_children_of_a_kernel_do_not_pile_up(server):
    s = server(workers=1, express=0, enable_fault_kernel=True, sandbox="off")
    for tag in range(10):
        assert s.post("/compute/fault", {"mode": "fork", "tag": tag}).status == 200
    wait_until(lambda: len(descendants(s.pid)) < 30, lambda: f"80 children to be gone: {len(descendants(s.pid))} processes", 10)


def test_a_stopped_worker_is_killed(server):
    """SIGTERM does not reach it; SIGKILL does."""
    s = server(workers=1, express=0, enable_fault_kernel=True)
    (worker,) = s.worker_pids()
    assert_problem(s.post("/compute/fault", {"mode": "stop"}, prong_timeout=0.3), 504, "deadline")
    wait_until(lambda: not is_alive(worker), "the stopped worker to be killed", 15)
    s.wait_workers(15)
    assert s.get("/compute/primes?limit=100").json["count"] == 25


@pytest.mark.parametrize("mode", ["segv", "exit", "garbage", "spin"])
def test_as_events(server, mode):
    s = server(workers=1, enable_fault_kernel=True)
    answer = s.get(f"/compute/fault?mode={mode}", accept="text/event-stream", prong_timeout=0.5)
    assert answer.status == 200 and "event: error" in answer.text
    assert ('"status":504' if mode == "spin" else '"status":502') in answer.text
    s.wait_workers()


def test_a_client_that_hangs_up_on_a_spinning_kernel(server):
    """No cancel reaches it, so its worker is killed."""
    s = server(workers=1, express=0, enable_fault_kernel=True)
    (worker,) = s.worker_pids()
    with s.connect() as sock:
        sock.sendall(b"GET /compute/fault?mode=spin HTTP/1.1\r\nHost: x\r\n\r\n")
        s.wait_busy(1)
    wait_until(lambda: not is_alive(worker), "the spinning worker to be killed", 15)
    s.wait_workers(15)
    s.wait_idle()


def test_all_workers_crash_at_once(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0, poison_deaths=0)
    before = settled_fds(s)
    crashes = [s.later("POST", "/compute/fault", {"mode": "segv", "tag": i}) for i in range(fewer(40))]
    assert {c.result().status for c in crashes} == {502}
    assert_as_before(s, before)
    assert s.metric("prong_worker_deaths_total", reason="crashed") == len(crashes)


@pytest.mark.skipif(SANITIZED or not os.path.exists("/proc/self/oom_score_adj"), reason="needs the kernel's own")
def test_workers_are_first_for_the_oom_killer(server):
    s = server(workers=1)

    def scores():
        return {pathlib.Path(f"/proc/{pid}/oom_score_adj").read_text().strip() for pid in s.worker_pids()}

    wait_until(lambda: scores() == {"1000"}, lambda: f"workers to volunteer: {scores()}")
