"""Whatever is killed, what was acknowledged is kept: every accepted job is found and ends once, every add counts."""
import contextlib
import http.client
import json
import os
import random
import signal
import sqlite3
import threading
import time

import pytest
from conftest import SLOW, SOAK, descendants, fewer, wait_until

CLIENTS, JOBS_EACH = 20, 30  # in one round
KEYS = ("a", "b", "c")
WORK = (
    ("echo", {"message": "x"}, {"message": "x"}),
    ("sum", {"start": 0, "end": 1000000}, {"sum": 499999500000, "count": 1000000}),
    ("primes", {"limit": 100000}, {"count": 9592, "limit": 100000}),
    ("sleep", {"seconds": 0.02}, {"slept": 0.02}),
)


class Books:
    """What clients were told, and what they asked without an answer."""

    def __init__(self):
        self.lock = threading.Lock()
        self.jobs = {}  # id: its place in WORK
        self.ended = {}  # id: (state, finished), as first seen
        self.added = dict.fromkeys(KEYS, 0)
        self.unknown = dict.fromkeys(KEYS, 0)
        self.refused = 0


class Client(threading.Thread):
    """Posts jobs and adds until its server has gone."""

    def __init__(self, address, books, seed):
        super().__init__(daemon=True)
        self.address, self.books, self.random = address, books, random.Random(seed)
        self.error, self.left = None, JOBS_EACH
        self.start()

    def ask(self, http_, method, path, body):
        http_.request(method, path, json.dumps(body), {"Content-Type": "application/json"})
        answer = http_.getresponse()
        return answer.status, json.loads(answer.read() or b"null")

    def submit(self, http_):
        place = self.random.randrange(len(WORK))
        kernel, params, _ = WORK[place]
        status, job = self.ask(http_, "POST", "/jobs", {"kernel": kernel, "params": params, "max_attempts": 100})
        with self.books.lock:
            if status == 202:
                self.books.jobs[job["id"]] = place
            else:
                assert status in (429, 503), (status, job)
                self.books.refused += 1

    def add(self, http_):
        key, by = self.random.choice(KEYS), self.random.randrange(1, 5)
        with self.books.lock:
            self.books.unknown[key] += by
        status, answer = self.ask(http_, "POST", f"/state/{key}/add", {"by": by})
        with self.books.lock:
            self.books.unknown[key] -= by
            if status == 200:
                self.books.added[key] += by
            else:
                assert status == 503, (status, answer)

    def run(self):
        try:
            connection = http.client.HTTPConnection(*self.address, timeout=30 * SLOW)
            while True:
                if self.left > 0 and self.random.random() < 0.5:
                    self.left -= 1
                    self.submit(connection)
                else:
                    self.add(connection)
        except (OSError, http.client.HTTPException):
            pass  # the server has gone
        except BaseException as error:  # pylint: disable=broad-except
            self.error = error


def kill_somebody(s, rng):
    """The zygote, or one of its workers."""
    with contextlib.suppress(ProcessLookupError, IndexError):
        os.kill(rng.choice(sorted(descendants(s.pid))), signal.SIGKILL)


def one_round(s, books, rng, kills):
    clients = [Client(s.address, books, rng.random()) for _ in range(CLIENTS)]
    end = time.monotonic() + rng.uniform(0.05, 0.6) * SLOW
    while time.monotonic() < end:
        if kills:
            kill_somebody(s, rng)
        time.sleep(0.05 * SLOW)
    s.crash()
    for client in clients:
        client.join(60 * SLOW)
        assert not client.is_alive() and client.error is None, client.error


def jobs_of(client):
    """{id: (state, finished)} of all that the server knows."""
    found, after = {}, ""
    while after is not None:
        page = client.get(f"/jobs?limit=1000{after and '&after=' + after}").json
        found.update((job["id"], (job["state"], job["finished"])) for job in page["jobs"])
        after = page["next"]
    return found


def look(client, books):
    """Those accepted that have not ended. What has ended must have ended so ever since."""
    found = jobs_of(client)
    assert set(books.jobs) <= set(found), f"{len(set(books.jobs) - set(found))} accepted jobs are lost"
    for job, end in books.ended.items():
        assert found[job] == end, (job, end, found[job])
    ended = {job: found[job] for job in books.jobs if found[job][0] not in ("queued", "running")}
    books.ended.update(ended)
    return set(books.jobs) - set(ended)


def assert_integrity(data):
    with contextlib.closing(sqlite3.connect(f"file:{data}/prong.db?mode=ro", uri=True)) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


def assert_kept(s, books):
    for key in KEYS:
        answer = s.get(f"/state/{key}")
        value = answer.json["value"] if answer.status == 200 else 0
        assert books.added[key] <= value <= books.added[key] + books.unknown[key], (key, value, books.added, books.unknown)
        # What is there now is what later rounds build upon.
        books.added[key], books.unknown[key] = value, 0
    with s.client() as client:
        look(client, books)


def assert_all_end(s, books):
    with s.client() as client:
        wait_until(lambda: not look(client, books), lambda: f"all jobs to end: {jobs_of(client)}", 120)
        for job, place in books.jobs.items():
            assert books.ended[job][0] == "succeeded", client.get(f"/jobs/{job}").json
            assert client.get(f"/jobs/{job}/result").json == WORK[place][2]


@pytest.mark.parametrize("kills", [False, True], ids=["server", "everybody"])
def test_the_server_is_killed_again_and_again(server, kills):
    rounds = (500 if SOAK else fewer(10, asan=3, tsan=5))
    seed = random.randrange(1 << 32)
    print(f"seed {seed}")
    rng, books, data = random.Random(seed), Books(), None
    for _ in range(rounds):
        s = server(workers=2, data=data, brake_deaths=0, job_backoff=0.01)
        data = s.data
        assert_kept(s, books)
        one_round(s, books, rng, kills)
        assert_integrity(data)
    s = server(workers=2, data=data, brake_deaths=0, job_backoff=0.01)
    assert_kept(s, books)
    assert books.jobs, f"no job was accepted, {books.refused} were refused: proves nothing"
    assert_all_end(s, books)
    s.stop()
    assert_integrity(data)


def submit(s, kernel, params=None, **more):
    answer = s.post("/jobs", {"kernel": kernel, "params": params or {}, **more})
    assert answer.status == 202, answer
    return answer.json["id"]


def wait_ended(s, job):
    state = wait_until(lambda: s.get(f"/jobs/{job}?wait=5").json["state"] not in ("queued", "running"), f"{job} to end")
    assert state
    return s.get(f"/jobs/{job}").json


@pytest.mark.parametrize("mode, signals", [("segv", {11}), ("abort", {6}), ("exit", None)])
def test_a_job_that_kills_its_workers_is_dead_in_the_end(server, mode, signals):
    s = server(workers=2, enable_fault_kernel=True, job_backoff=0.05, brake_deaths=0)
    job = wait_ended(s, submit(s, "fault", {"mode": mode}, max_attempts=3))
    assert job["state"] == "dead" and job["attempts"] == job["max_attempts"] == 3
    assert [a["attempt"] for a in job["history"]] == [1, 2, 3]
    for attempt in job["history"]:
        assert attempt["outcome"] == "crash"
        if signals:
            assert attempt["signal"] in signals
        else:
            assert attempt["exit_code"] > 0
    assert s.get(f"/jobs/{job['id']}/result").status == 502
    assert s.get("/compute/echo").status == 200


def test_what_ran_when_the_server_was_killed_runs_again(server):
    s = server(workers=1, express=0)
    job = submit(s, "sleep", {"seconds": 60})
    wait_until(lambda: s.get(f"/jobs/{job}").json["state"] == "running", "it to run")
    s.wait_busy(1)
    s.crash()
    s = server(workers=1, express=0, data=s.data)
    again = wait_until(lambda: (j := s.get(f"/jobs/{job}").json)["state"] == "running" and j, "it to run again")
    assert again["attempts"] == 1, "what the server cut off costs no attempt"
    assert [a["outcome"] for a in again["history"]] == ["cancelled"]
    assert s.ask("DELETE", f"/jobs/{job}").json["state"] == "cancelled"
    s.wait_idle()


def test_what_ran_when_the_server_was_told_to_end_runs_again(server):
    s = server(workers=1, express=0, drain=0)
    job = submit(s, "sleep", {"seconds": 60})
    s.wait_busy(1)
    s.stop()
    s = server(workers=1, express=0, data=s.data)
    again = wait_until(lambda: (j := s.get(f"/jobs/{job}").json)["state"] == "running" and j, "it to run again")
    assert again["attempts"] == 1
    assert s.ask("DELETE", f"/jobs/{job}").json["state"] == "cancelled"
    s.wait_idle()
