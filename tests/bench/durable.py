"""The rows of durable jobs and state: commits per second, and what waits in the store or lies there."""

import contextlib
import json
import os
import sqlite3
import statistics
import time

from rig import MS, US, WAIT_S, CannotMeasure, Client, Server, quantile, wrk
from table import Line, row

QUEUED, ENDED = 100_000, 1_000_000
JSON = "Content-Type: application/json\r\n"


def fdatasync_us(folder, count=200):
    """The median of what it takes to make 4 KiB more of a file last."""
    path = f"{folder}/fdatasync"
    fd = os.open(path, os.O_CREAT | os.O_WRONLY, 0o600)
    times = []
    for _ in range(count):
        os.write(fd, b"x" * 4096)
        begin = time.perf_counter()
        os.fdatasync(fd)
        times.append(time.perf_counter() - begin)
    os.close(fd)
    os.unlink(path)
    return statistics.median(times) / US


def post(client, path, body, expect):
    return json.loads(client.ask(path, headers=JSON, body=json.dumps(body).encode(), expect=expect).body)


def wait_ended(client, job):
    deadline = time.monotonic() + WAIT_S
    while time.monotonic() < deadline:
        job = json.loads(client.ask(f"/jobs/{job['id']}?wait=10").body)
        if job["state"] == "succeeded":
            return job
        if job["state"] not in ("queued", "running"):
            break
    raise CannotMeasure(f"a job is {job['state']}")


def rate(server, path, body):
    """Requests per second of 64 connections: the median of five runs, after one to warm up."""
    url = server.url(path)
    wrk(url, 64, 1, body=body)
    found = [wrk(url, 64, 2, body=body) for _ in range(5)]
    return statistics.median(r["per_s"] for r in found), statistics.median(r["p99_us"] for r in found) / 1000


@row("jobs")
def measure_submissions():
    job = json.dumps({"kernel": "echo", "params": {"message": "x"}})
    with Server("--jobs-queue", "100000000", "--jobs-bytes", "1024G") as server:
        sync = fdatasync_us(server.folder)
        per_s, p99 = rate(server, "/jobs", job)
        done = server.status()["jobs"]["ended"]
    yield Line("durable submissions acknowledged per second, 64 connections", per_s / 1000, " k/s",
               f"p99 {p99:.1f} ms; synchronous=FULL, fdatasync {sync:.0f} µs; {done} of them were done meanwhile", 5, 15, digits=1)
    with Server() as server:
        per_s, p99 = rate(server, "/state/counter/add", '{"by":1}')
    yield Line("durable adds to one key per second, 64 connections", per_s / 1000, " k/s",
               f"p99 {p99:.1f} ms; fdatasync {sync:.0f} µs", 8, 20, digits=1)


@row("job1")
def measure_one_job():
    times = []
    with Server() as server, Client(server.port) as client:
        sync = fdatasync_us(server.folder)
        for n in range(1100):
            begin = time.perf_counter()
            wait_ended(client, post(client, "/jobs", {"kernel": "echo"}, 202))
            if n >= 100:
                times.append(time.perf_counter() - begin)
    times.sort()
    yield Line("submit to done of a no-op job, p50, one client", quantile(times, 0.5) / MS, " ms",
               f"p99 {quantile(times, 0.99) / MS:.1f}; submit and long poll by a client in Python; fdatasync {sync:.0f} µs", 5, 1.5)


def database(server):
    return contextlib.closing(sqlite3.connect(f"{server.folder}/data/prong.db"))


def multiply(db, table, column, count):
    """Copies the table's only row until there are `count`, with the numbers from 1 in `column`."""
    names = [name for _, name, *_ in db.execute(f"PRAGMA table_info({table})")]
    values = ", ".join("n" if name == column else "randomblob(16)" if name == "id" else name for name in names)
    db.execute(
        f"WITH RECURSIVE numbers(n) AS (SELECT 2 UNION ALL SELECT n + 1 FROM numbers WHERE n < {count}) "
        f"INSERT INTO {table} ({', '.join(names)}) SELECT {values} FROM {table}, numbers")


@row("jobstart")
def measure_start():
    """The jobs are accepted by a server whose workers are busy, which is then killed."""
    server = Server("--workers", "1", "--jobs-queue", "100000000", "--jobs-bytes", "1024G")
    job = json.dumps({"kernel": "sleep", "params": {"seconds": 3600}})
    times = []
    with server:
        while server.status()["jobs"]["queued"]["normal"] < QUEUED:
            wrk(server.url("/jobs"), 64, 2, body=job)
        queued = server.status()["jobs"]["queued"]["normal"]
        for _ in range(5):
            server.process.kill()
            server.process.wait()
            begin = time.perf_counter()
            server.spawn_again()
            times.append(time.perf_counter() - begin)
        if server.status()["jobs"]["queued"]["normal"] < queued:
            raise CannotMeasure("not all jobs were found again")
    yield Line(f"start after a crash with {queued // 1000},000 queued jobs", statistics.median(times), " s",
               f"longest {max(times):.2f} s; to the line that says it listens", 3, 0.5)


@row("joblist")
def measure_list():
    """A million ended jobs are made from a real one by copying its row."""
    server = Server("--jobs-kept", "10000000")
    with server:
        with Client(server.port) as client:
            wait_ended(client, post(client, "/jobs", {"kernel": "echo"}, 202))
        server.stop()
        with database(server) as db:
            multiply(db, "job", "seq", ENDED)
            db.commit()
        server.spawn_again()
        with Client(server.port) as client:
            found = {}
            for what, path in (("newest", "/jobs?limit=50"), ("succeeded", "/jobs?limit=50&state=succeeded"),
                               ("of a kernel", "/jobs?limit=50&kernel=echo"), ("failed, none", "/jobs?limit=50&state=failed")):
                client.times(path, 20)
                found[what] = quantile(client.times(path, 300), 0.5) / MS
            page = json.loads(client.ask("/jobs?limit=50").body)
            if len(page["jobs"]) != 50:
                raise CannotMeasure(f"a page of {len(page['jobs'])}")
            deep = quantile(client.times(f"/jobs?limit=50&after={page['next']}", 300), 0.5) / MS
    yield Line("page of 50 among 1,000,000 ended jobs", max(found.values()), " ms",
               "; ".join(f"{what} {ms:.2f}" for what, ms in found.items()) + f"; next page {deep:.2f}; p50", 20, 2)
