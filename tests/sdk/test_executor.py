"""The Executor: what concurrent.futures promises, and what is more here. Against a real server with its own kernels, and
against one by script that has kernels of the SDK."""
import concurrent.futures as cf
import json
import signal
import subprocess
import sys
import textwrap
import threading
import time
import urllib.parse

import harness
import prong
import pytest
from conftest import PATIENCE, wait_until
from harness import Script, problem, wait_for
from prong import declare, errors, many, serve, values


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=2, enable_fault_kernel=True, poison_deaths=0, brake_deaths=0)


@pytest.fixture
def pool(s):
    with prong.Executor(s.url) as made:
        yield made
    s.wait_idle()


# ---- as concurrent.futures ------------------------------------------------------------------------


def test_submit(pool):
    future = pool.submit("primes", limit=1000)
    assert isinstance(future, cf.Future)
    assert future.result(60) == {"count": 168, "limit": 1000}
    assert future.done() and not future.running() and not future.cancelled() and future.cancel() is False
    assert pool.submit("primes", 100).result(60)["count"] == 25  # in the order of the catalogue
    assert pool.submit("wordcount", b"to be").result(60)["words"] == 2
    assert pool.max_workers == 4


def test_wait_and_as_completed(pool):
    futures = {pool.submit("echo", message=str(n)): n for n in range(50)}
    done, rest = cf.wait(futures, timeout=60)
    assert len(done) == 50 and not rest
    for future in cf.as_completed(futures, timeout=60):
        assert future.result() == {"message": str(futures[future])}
    long = pool.submit("sleep", seconds=600)
    first, _ = cf.wait([long, pool.submit("echo")], 60, cf.FIRST_COMPLETED)
    assert [future.result() for future in first] == [{"message": "hello"}]
    pool.shutdown(wait=False)
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.submit("echo")
    with pytest.raises(RuntimeError, match="after shutdown"):
        pool.map("echo", ["x"])
    assert long.cancel()


def test_callbacks_and_exceptions(pool):
    called = []
    future = pool.submit("primes", limit=-1)
    future.add_done_callback(called.append)
    assert isinstance(future.exception(60), errors.BadRequest)
    wait_for(lambda: called == [future], "the callback")


def test_wrong_arguments_are_in_the_future(pool):
    for future, kind in (
        (pool.submit("echo", "a", "b", "c"), TypeError), (pool.submit("echo", "a", message="b"), TypeError),
        (pool.submit("echo", b"a", b"b"), TypeError), (pool.submit("nobody", 1), errors.NotFound), (pool.submit("nobody"), errors.NotFound),
        (pool.submit(len, "abc"), TypeError), (pool.submit("echo", message={1}), TypeError),
    ):  # fmt: skip
        assert isinstance(future.exception(60), kind), future
    with pytest.raises(TypeError, match="len is no kernel: put @prong.kernel before it"):
        pool.map(len, ["abc"])


def test_more_than_it_may_send_at_once(s):
    with prong.Executor(s.url, max_workers=2) as pool:
        futures = [pool.submit("echo", message=str(n)) for n in range(300)]
        assert [future.result(60)["message"] for future in futures] == [str(n) for n in range(300)]
        assert len(pool._sender.loop._lines) <= 2
    with pytest.raises(ValueError):
        prong.Executor(s.url, max_workers=0)


# ---- what others cannot do ------------------------------------------------------------------------


def test_running_future_is_cancelled_and_its_work_stops(pool, s):
    future = pool.submit("sleep", seconds=600)
    s.wait_busy(1)
    assert future.running() and not future.done()
    assert future.cancel() is True and future.cancelled() and future.done() and not future.running()
    assert future.cancel() is True
    s.wait_idle()
    with pytest.raises(cf.CancelledError):
        future.result()
    done, rest = cf.wait([future], 60)
    assert done == {future} and not rest


def test_who_waits_hears_of_the_cancelling(pool, s):
    future = pool.submit("sleep", seconds=600)
    s.wait_busy(1)
    seen = []
    waiting = threading.Thread(target=lambda: seen.extend(cf.as_completed([future], 60)))
    waiting.start()
    wait_for(lambda: future._waiters, "somebody waits")
    future.cancel()
    waiting.join(PATIENCE)
    assert seen == [future]


def test_queued_future_is_cancelled(s):
    with prong.Executor(s.url, max_workers=1) as pool:
        first, second = pool.submit("sleep", seconds=600), pool.submit("echo")
        s.wait_busy(1)
        assert not second.running() and second.cancel()
        third = pool.submit("echo", message="third")
        first.cancel()
        assert third.result(60) == {"message": "third"} and second.cancelled()


def test_crash_fails_its_own_future_alone(pool):
    futures = [pool.submit("fault", mode="segv", tag=n) if n % 3 == 0 else pool.submit("echo", message=str(n)) for n in range(12)]
    for n, future in enumerate(futures):
        if n % 3 == 0:
            error = future.exception(60)
            assert isinstance(error, errors.WorkerDied) and error.signal == signal.SIGSEGV
        else:
            assert future.result(60) == {"message": str(n)}
    assert pool.submit("echo").result(60) == {"message": "hello"}


def test_options_of_the_client_count(s):
    with prong.Executor(prong.Client(s.url, timeout=0.2)) as pool:
        assert isinstance(pool.submit("sleep", seconds=600).exception(60), errors.DeadlinePassed)


def test_queue_that_is_full_is_asked_again(server):
    s = server(workers=1, queue=2)
    with prong.Executor(s.url, max_workers=32) as pool:
        futures = [pool.submit("sleep", seconds=0.02) for _ in range(40)]
        assert [future.result(60) for future in futures] == [{"slept": 0.02}] * 40


# ---- its end --------------------------------------------------------------------------------------


def test_shutdown_waits_for_what_was_submitted(s):
    pool = prong.Executor(s.url)
    futures = [pool.submit("sleep", seconds=0.2) for _ in range(6)]
    pool.shutdown()
    assert all(future.done() for future in futures) and pool._sender.loop._has_ended
    pool.shutdown()


def test_shutdown_cancels_what_was_not_sent(s):
    pool = prong.Executor(s.url, max_workers=1)
    futures = [pool.submit("sleep", seconds=0.3) for _ in range(5)]
    s.wait_busy(1)
    pool.shutdown(cancel_futures=True)
    assert futures[0].result() == {"slept": 0.3} and all(future.cancelled() for future in futures[1:])


def test_shutdown_of_one_that_did_nothing(s):
    prong.Executor(s.url).shutdown()


def test_program_ends_when_its_futures_are_done(s):
    text = f"""
        import prong
        pool = prong.Executor({s.url!r})
        pool.submit("sleep", seconds=0.3).add_done_callback(lambda future: print(future.result()))
        del pool
    """
    said = subprocess.run([sys.executable, "-c", textwrap.dedent(text)], cwd=harness.SDK, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout == "{'slept': 0.3}\n" and said.stderr == ""


def test_server_that_dies(server):
    s = server(workers=1)
    pool = prong.Executor(s.url)
    future = pool.submit("sleep", seconds=600)
    s.wait_busy(1)
    s.crash()
    assert isinstance(future.exception(60), errors.Unreachable)
    assert isinstance(pool.submit("echo").exception(60), errors.Unreachable)
    pool.shutdown()
    with pytest.raises(errors.Unreachable):
        prong.Executor(s.url)


# ---- map: kernels of the server -------------------------------------------------------------------


def test_map(pool):
    assert [said["limit"] for said in pool.map("primes", range(100))] == list(range(100))
    assert list(pool.map("echo", [])) == []
    assert [said["slept"] for said in pool.map("sleep", [0.05, 0.001, 0.02], chunksize=1)] == [0.05, 0.001, 0.02]


def test_map_raises_where_it_fails(pool):
    found = pool.map("primes", [10, 20, -1, 30])
    assert [next(found)["count"], next(found)["count"]] == [4, 8]
    with pytest.raises(errors.BadRequest):
        next(found)
    with pytest.raises(StopIteration):
        next(found)


def test_map_has_a_timeout(pool, s):
    found = pool.map("sleep", [0.001, 600], timeout=1)
    assert next(found) == {"slept": 0.001}
    with pytest.raises(cf.TimeoutError):
        next(found)
    s.wait_idle()  # and what was left has been stopped


# ---- map: kernels of the SDK ----------------------------------------------------------------------


class Kernels:
    """A server by script whose kernels are functions here."""

    def __init__(self, functions, refuse=lambda path, body: None):
        self.kernels = {}
        for function in functions:
            made = declare.of(function)
            self.kernels[made.name] = made
            many._add(made, made.name + "-map")
            self.kernels[made.name + "-map"] = declare.registry[made.name + "-map"]
        self.refuse = refuse
        self.script = Script(self.answer)
        self.url = self.script.url

    def answer(self, path, body):
        url = urllib.parse.urlsplit(path)
        if url.path == "/status":
            return 200, {}, json.dumps({"workers": [{"kind": "ordinary"}] * 2}).encode()
        if url.path == "/compute":
            about = [{"name": k.name, "params": {"properties": {p.name: {} for p in k.params}}} for k in self.kernels.values()]
            return 200, {}, json.dumps({"kernels": about}).encode()
        refused = self.refuse(path, body)
        return refused if refused is not None else self.run(url.path[len("/compute/") :], body)

    def run(self, name, body):
        kernel = self.kernels[name]
        try:
            given = kernel.arguments({"calls": []}, body) if name.endswith("-map") else kernel.bind((), values.from_json(body))
            media_type, answer = values.encode(serve.run_here(kernel, given), kernel.media_type)
        except Exception as error:  # pylint: disable=broad-except
            return problem(500, "kernel-failed", f"{type(error).__name__}: {error}.")
        return 200, {"Content-Type": media_type}, bytes(answer)

    def sizes(self):
        """Of the requests for many calls."""
        return [len(json.loads(body)) for path, body in self.script.seen if path.endswith("-map")]


@pytest.fixture
def kernels(monkeypatch):
    monkeypatch.setattr(declare, "registry", {})
    made = []

    def start(*functions, **more):
        made.append(Kernels(functions, **more))
        return made[-1]

    yield start
    for one in made:
        one.script.close()


def make_square():
    @prong.kernel
    def square(n: int, plus: int = 0):
        if n == 13:
            raise ZeroDivisionError("thirteen")
        return n * n + plus

    return square


def test_map_puts_many_calls_into_few_requests(kernels):
    square = make_square()
    server = kernels(square)
    with prong.Executor(server.url) as pool:
        assert list(pool.map(square, range(20, 5020))) == [n * n for n in range(20, 5020)]
        assert list(pool.map("square", range(20, 30))) == [n * n for n in range(20, 30)]
        assert list(pool.map(square, [1, 2], [10, 20])) == [11, 24]
    assert sum(server.sizes()) == 5012 and len(server.sizes()) < 60 and max(server.sizes()) > 100
    assert not [path for path in server.script.paths() if path == "/compute/square"]


def test_map_with_a_chunksize(kernels):
    square = make_square()
    server = kernels(square)
    with prong.Executor(server.url) as pool:
        assert list(pool.map(square, range(10), chunksize=4)) == [n * n for n in range(10)]
        assert sorted(server.sizes()) == [2, 4, 4]
        with pytest.raises(ValueError):
            pool.map(square, [1], chunksize=0)


def test_map_raises_what_was_raised(kernels):
    square = make_square()
    server = kernels(square)
    with prong.Executor(server.url) as pool:
        found = pool.map(square, range(10, 20))
        assert [next(found) for _ in range(3)] == [100, 121, 144]
        with pytest.raises(ZeroDivisionError) as raised:
            next(found)
        assert isinstance(raised.value, errors.KernelFailed) and raised.value.trace[-1] == "ZeroDivisionError: thirteen"
        with pytest.raises(errors.KernelFailed, match="must be an integer"):
            list(pool.map(square, ["x"]))
        assert isinstance(pool.submit(square, 13).exception(60), ZeroDivisionError)


def test_map_after_a_death_sends_one_by_one(kernels):
    square = make_square()
    death = problem(502, "worker-died", "It died.", signal=11)
    server = kernels(square, refuse=lambda path, body: death if b"66" in body else None)
    with prong.Executor(server.url) as pool:
        found = pool.map(square, range(60, 70), chunksize=5)
        assert [next(found) for _ in range(6)] == [n * n for n in range(60, 66)]
        with pytest.raises(errors.WorkerDied) as raised:
            next(found)
        assert raised.value.signal == 11
    alone = {json.loads(body)["n"] for path, body in server.script.seen if path == "/compute/square"}
    assert {65, 66} <= alone <= set(range(65, 70))  # the rest of them may have been cancelled in time


def test_map_where_there_is_no_helper(kernels):
    square = make_square()
    server = kernels(square, refuse=lambda path, body: problem(404, "no-such-kernel", "No.") if path.endswith("-map") else None)
    with prong.Executor(server.url) as pool:
        assert list(pool.map(square, range(20, 120))) == [n * n for n in range(20, 120)]
    assert len(server.sizes()) <= 3


def test_map_waits_while_the_queue_is_full(kernels):
    square = make_square()
    left = [5]

    def refuse(path, body):
        left[0] -= 1
        return problem(503, "queue-full", "Full.", retry_after=0) if left[0] >= 0 else None

    server = kernels(square, refuse=refuse)
    with prong.Executor(server.url) as pool:
        assert list(pool.map(square, range(5))) == [0, 1, 4, 9, 16]
    with prong.Executor(server.url, patience=0.05) as pool:
        left[0] = 1000
        with pytest.raises(errors.QueueFull):
            list(pool.map(square, range(5)))
        assert isinstance(pool.submit(square, 5).exception(60), errors.QueueFull)


def test_other_refusals_stand(kernels):
    square = make_square()
    server = kernels(square, refuse=lambda path, body: problem(503, "draining", "Going.", retry_after=1))
    with prong.Executor(server.url) as pool:
        with pytest.raises(errors.Unavailable):
            list(pool.map(square, range(3)))
        assert isinstance(pool.submit(square, 1).exception(60), errors.Unavailable)
    assert len([path for path in server.script.paths() if path.startswith("/compute/")]) == 2


def test_cancel_between_two_tries(kernels):
    square = make_square()
    server = kernels(square, refuse=lambda path, body: problem(503, "queue-full", "Full.", retry_after=1000))
    with prong.Executor(server.url, patience=10**6) as pool:
        future = pool.submit(square, 2)
        wait_for(lambda: pool._sender.loop._timers, "it waits for its second try")
        assert future.cancel()
        done, _ = cf.wait([future], 60)
        assert done == {future}
    assert server.script.paths().count("/compute/square") == 1


def test_arguments_that_are_no_json_fail_alone(kernels):
    square = make_square()
    server = kernels(square)
    with prong.Executor(server.url) as pool:
        found = pool.map(square, [1, 2, {3}] + [{4}] * 3000, chunksize=1)
        assert [next(found), next(found)] == [1, 4]
        with pytest.raises(TypeError, match="a set is not JSON"):
            next(found)


def test_map_runs_all_of_it_also_when_nobody_looks(kernels):
    square = make_square()
    server = kernels(square)
    with prong.Executor(server.url, max_workers=1) as pool:
        found = pool.map(square, range(100, 200), chunksize=10)
    assert sum(server.sizes()) == 100
    assert list(found) == [n * n for n in range(100, 200)]  # after the shutdown


def test_map_with_a_buffersize_reads_no_further(kernels):
    square = make_square()
    server = kernels(square)
    read = []

    def endless():
        n = 20
        while True:
            read.append(n)
            yield n
            n += 1

    with prong.Executor(server.url) as pool:
        found = pool.map(square, endless(), buffersize=7)
        assert len(read) <= 7
        assert [next(found) for _ in range(100)] == [n * n for n in range(20, 120)]
        assert len(read) <= 108
        found.close()
        with pytest.raises(ValueError):
            pool.map(square, [], buffersize=0)


def test_results_of_dataclasses_and_bytes(kernels):
    @prong.kernel
    def shout(text: str) -> bytes:
        return text.upper().encode()

    server = kernels(shout)
    with prong.Executor(server.url) as pool:
        assert list(pool.map(shout, ["a", "b"])) == [b"A", b"B"]
        assert pool.submit(shout, "c").result(60) == b"C"


def test_executor_that_nobody_holds_ends(s):
    pool = prong.Executor(s.url)
    assert pool.submit("echo").result(60)
    loop = pool._sender.loop
    del pool
    wait_until(lambda: loop._has_ended, "its thread ends")


def test_futures_are_fast_enough_to_be_of_use(pool):
    """No bound on the time but that it ends."""
    began_s = time.monotonic()
    assert len([future.result(60) for future in [pool.submit("echo") for _ in range(2000)]]) == 2000
    assert time.monotonic() - began_s < 60
