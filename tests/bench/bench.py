#!/usr/bin/python3
"""The speed and memory table: bench.py [--write FILE] [ROW...]

Ratios compare two things on one machine in one run, A B A B, and are the median of the pairs' ratios. On a machine
that others use they do not hold: a row that others took more than a tenth of the cores from has no verdict. Floors
must hold; aims are what we want.
"""

import argparse
import array
import contextlib
import os
import re
import resource
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import time

import collect  # noqa: F401 -- its rows
import dashboard  # noqa: F401 -- its rows
import durable  # noqa: F401 -- its rows
import front  # noqa: F401 -- its rows
import kernels  # noqa: F401 -- its rows
import lab  # noqa: F401 -- its rows
from rig import CACHED, CORES, ENDLESS, MIB, MS, TICKS_PER_S, TOOLS, US, Bare, CannotMeasure, Client, Cpu, Load, Pairs, Server
from rig import cpu_ticks, describe_machine, free_port, long_jobs, pss_kb, quantile, switches, wrk
from table import BEGIN, END, HEAD, Line, lines_of, row, rows, write_into

README = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../README.md")


# ---- requests per second ----


def per_s(report):
    return report["per_s"]


def compare_loads(ours, theirs):
    """The pairs, and both speeds and CPU times in words."""
    ours.load(1), theirs.load(1)
    pairs = Pairs(ours.load, theirs.load, 5)
    return pairs, (f"{pairs.median(0, per_s) / 1000:.1f} to {pairs.median(1, per_s) / 1000:.1f} k/s, quartiles "
                   f"{pairs.spread(per_s)}×; CPU of the server {ours} to {theirs} µs a request; 64 connections; {pairs}")


@row("static")
def measure_static():
    with Server() as server, Bare(server, "/hello.txt") as bare:
        pairs, note = compare_loads(Cpu(server.process.pid, server.url("/hello.txt")),
                                    Cpu(bare.process.pid, bare.url("/")))
    yield Line("1 KiB file, against libmicrohttpd alone", pairs.ratio(per_s), "×", note, 0.85, 0.95,
               others=pairs.others)


@row("echo")
def measure_echo():
    with Server() as server:
        pid = server.process.pid
        pairs, note = compare_loads(Cpu(pid, server.url("/compute/echo")), Cpu(pid, server.url("/hello.txt")))
    yield Line("echo through a worker, against our static answer", pairs.ratio(per_s), "×", note, 0.45, 0.60,
               others=pairs.others)


@row("cache")
def measure_cache():
    for path, what in (("/compute/echo?message=x", "echo"), ("/compute/primes?limit=1000", "primes to 1000")):
        with Server() as server, Client(server.port) as client:
            client.ask(path, CACHED + "\r\n")
            if dict(client.ask(path, CACHED + "\r\n").headers).get("Prong-Cache") != "hit":
                raise CannotMeasure("it is not kept")
            pid = server.process.pid
            pairs, note = compare_loads(Cpu(pid, server.url(path), headers=[CACHED]), Cpu(pid, server.url("/hello.txt")))
        yield Line(f"{what} from the cache, against our static answer", pairs.ratio(per_s), "×", note, 0.80, 0.90,
                   others=pairs.others)


@row("echo1")
def measure_echo1():
    with Server() as server, Client(server.port) as client:
        def p50(path):
            return lambda: quantile(client.times(path, 3000), 0.5) / US

        p50("/compute/echo")(), p50("/hello.txt")()
        pairs = Pairs(p50("/compute/echo"), p50("/hello.txt"), 9)
    yield Line("echo on one connection, p50 above static's", statistics.median(a - b for a, b in pairs), " µs",
               f"{pairs.median(0):.0f} to {pairs.median(1):.0f} µs with a client in Python; {pairs}", 80, 40, digits=0,
               others=pairs.others)


# ---- two workers against one ----


def speedup(path, blocks, block, what, floor=None, aim=None):
    if CORES < 2:
        raise CannotMeasure("this needs two cores")
    with Server("--workers", "1") as one, Server("--workers", "2") as two:
        with Client(one.port) as ask_one, Client(two.port) as ask_two:
            for _ in range(min(block, 5)):
                ask_one.ask(path), ask_two.ask(path)
            pairs = Pairs(lambda: ask_one.time(path), lambda: ask_two.time(path), blocks, block)
    ms = [[seconds / MS for seconds, _ in side] for side in zip(*pairs)]
    cpu_ms = [pairs.median(i, lambda timed: timed[1].receipt("cpu_ms")) for i in (0, 1)]
    chunks = pairs.median(1, lambda timed: timed[1].receipt("chunks"))
    both = sum(answer.receipt("workers") >= 2 for _, (_, answer) in pairs) / len(pairs)
    return Line(what, pairs.ratio(lambda timed: timed[0]), "×",
                f"{statistics.median(ms[0]):.1f} to {statistics.median(ms[1]):.1f} ms, best {min(ms[0]):.1f} to "
                f"{min(ms[1]):.1f}; CPU {cpu_ms[0]:.1f} to {cpu_ms[1]:.1f} ms; {chunks:.0f} chunks, both workers in "
                f"{both:.0%}; {pairs}", floor, aim, others=pairs.others)


@row("primes")
def measure_primes():
    yield speedup("/compute/primes?limit=100000000", 5, 12, "primes to 10^8, 2 workers against 1", 1.85, 1.97)
    yield speedup("/compute/primes?limit=1000000000", 5, 3, "primes to 10^9")
    yield speedup("/compute/primes?limit=10000000000", 5, 1, "primes to 10^10")


@row("sum")
def measure_sum():
    yield speedup("/compute/sum?end=100000000", 5, 12, "sum to 10^8, 2 workers against 1", 1.85, 1.97)
    yield speedup("/compute/sum?end=1000000000", 5, 4, "sum to 10^9, 2 workers against 1", 1.85, 1.97)


@row("pi")
def measure_pi():
    yield speedup("/compute/pi?samples=100000000", 5, 8, "pi with 10^8 samples, 2 workers against 1", 1.85, 1.97)


# ---- while the workers are busy ----


@row("express")
def measure_express():
    with Server("--workers", str(CORES)) as server, Client(server.port) as client:
        client.times("/compute/echo", 50)  # it must be known to be short
        client.times("/hello.txt", 50)
        Load.wait_quiet()
        with long_jobs(server, CORES):
            before = server.wait_busy(CORES)
            echo = client.times("/compute/echo", 2000, 1 * MS)
            static = client.times("/hello.txt", 2000, 1 * MS)
            if server.wait_busy(CORES) != before:
                raise CannotMeasure("the workers were not busy all the time")
    for what, times, floor, aim in (("echo", echo, 20, 5), ("static", static, 5, 2)):
        yield Line(f"{what} p99 while all {CORES} workers burn CPU", quantile(times, 0.99) / MS, " ms",
                   f"p50 {quantile(times, 0.5) / MS:.2f}, p90 {quantile(times, 0.9) / MS:.2f}, "
                   f"longest {times[-1] / MS:.1f} ms; 2000 requests, 1 ms apart", floor, aim)


@row("full")
def measure_full():
    with Server("--workers", str(CORES), "--queue", "4") as server, Client(server.port) as client:
        client.times("/compute/echo", 50)
        Load.wait_quiet()
        with long_jobs(server, CORES):
            server.wait_busy(CORES)
            with long_jobs(server, 4):
                server.wait_queued(4)
                answer = client.ask(*ENDLESS, expect=503)
                if b"queue-full" not in answer.body:
                    raise CannotMeasure(f"refused for another reason: {answer.body[:200]!r}")
                times = client.times(ENDLESS[0], 2000, 1 * MS, expect=503)
                short = client.status_of("/compute/echo")
    yield Line("503 when the queue is full, p99", quantile(times, 0.99) / MS, " ms",
               f"p50 {quantile(times, 0.5) / MS:.2f}, longest {times[-1] / MS:.1f} ms; 2000 requests, 1 ms apart, "
               f"all {CORES} workers busy; echo meanwhile: {short}", 5, 1)


# ---- beginnings ----


@row("respawn")
def measure_respawn():
    times = []
    with Server("--workers", "1", "--express", "0") as server, Client(server.port) as client:
        client.times("/compute/echo", 50)
        for _ in range(31):
            pid = server.status()["workers"][0]["pid"]
            begin = time.perf_counter()
            os.kill(pid, 9)
            client.ask("/compute/echo")
            times.append(time.perf_counter() - begin)
            if server.status()["workers"][0]["pid"] == pid:
                raise CannotMeasure("the worker is still there")
            time.sleep(0.02)
    times.sort()
    yield Line("kill -9 of the only worker to the next one's answer", quantile(times, 0.5) / MS, " ms",
               f"longest {times[-1] / MS:.1f} ms; echo sent right after the kill, {len(times)} times", 50, 5)


def start_once():
    server = Server("--workers", "2", port=free_port())
    begin = time.perf_counter()
    server.spawn()
    try:
        while True:
            try:
                # Of another address: on one where nobody listens yet it could come to talk to itself.
                with Client(server.port, source="127.0.0.2") as client:
                    client.ask("/compute/echo")
                return time.perf_counter() - begin
            except ConnectionError:
                if time.perf_counter() - begin > 10:
                    raise CannotMeasure("the server does not start")
                time.sleep(0.2 * MS)
    finally:
        server.__exit__()


@row("start")
def measure_start():
    start_once()
    times = []
    for _ in range(15):
        Load.wait_quiet()
        times.append(start_once())
    times.sort()
    yield Line("exec to the first 200 from a worker", quantile(times, 0.5) / MS, " ms",
               f"longest {times[-1] / MS:.1f} ms; {len(times)} starts, asked for echo every 0.2 ms", 150, 50, digits=1)


# ---- at rest ----


@row("idle")
def measure_idle():
    with Server("--workers", "2") as server:
        time.sleep(1)
        fresh = [pss_kb(pid) for pid in server.pids()]
        with Client(server.port) as client:
            for path in ("/compute/primes", "/compute/sum", "/compute/pi"):
                client.ask(path)
        for path in ("/compute/echo", "/hello.txt"):
            wrk(server.url(path), 64, 1)
        time.sleep(3)
        pids = server.pids()
        used = [pss_kb(pid) for pid in pids]
        time.sleep(1)  # what /status woke has gone to sleep
        ticks, switched = sum(map(cpu_ticks, pids)), sum(map(switches, pids))
        time.sleep(10)
        ticks, switched = sum(map(cpu_ticks, pids)) - ticks, sum(map(switches, pids)) - switched
    yield Line("memory (Pss) of all processes, 2 workers", sum(fresh) / 1024, " MB",
               f"server {fresh[0] / 1024:.1f}, zygote {fresh[1] / 1024:.1f}, {len(fresh) - 2} workers "
               f"{sum(fresh[2:]) / 1024:.1f}; after work and load {sum(used) / 1024:.1f} MB "
               f"(server {used[0] / 1024:.1f})", 20, 10, digits=1)
    yield Line("CPU time of all processes in 10 s of rest", ticks, " ticks",
               f"of {1000 // TICKS_PER_S} ms each; {switched} times a thread woke", 0, 0, digits=0)


# ---- bytes ----


def copy_once():
    run = subprocess.run([f"{TOOLS}/copy"], capture_output=True, text=True, check=True)
    return float(run.stdout.split()[0])


@row("raw")
def measure_raw():
    body = array.array("d", (n % 1000 / 8 for n in range(MIB // 8))).tobytes() * 64
    with Server() as server, Client(server.port) as client:
        for _ in range(2):
            client.ask("/compute/stats", body=body)
        copy_once()
        pairs = Pairs(lambda: client.time("/compute/stats", body=body), copy_once, 5, 3)
    wall, run_ms = pairs.median(0, lambda timed: timed[0] / MS), pairs.median(0, lambda timed: timed[1].receipt("run_ms"))
    yield Line("64 MiB of raw input to stats, against the socket and one copy",
               statistics.median(a[0] / b for a, b in pairs), "×",
               f"{wall:.1f} to {pairs.median(1) / MS:.1f} ms; of it {run_ms:.1f} ms from submit to result, the rest is taking it in; {pairs}",
               aim=3, others=pairs.others)


@row("yardstick")
def measure_yardstick():
    if shutil.which("primesieve") is None:
        raise CannotMeasure("primesieve is not installed")

    def primesieve():
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        subprocess.run(["primesieve", "1e9", "-t1", "-q"], check=True, capture_output=True)
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        return (after.ru_utime - before.ru_utime + after.ru_stime - before.ru_stime) / MS

    with Server("--workers", "1") as server, Client(server.port) as client:
        def ours():
            return client.ask("/compute/primes?limit=1000000000").receipt("cpu_ms")

        ours(), primesieve()
        pairs = Pairs(ours, primesieve, 5)
    yield Line("CPU time of primes to 10^9, against primesieve", pairs.ratio(), "×",
               f"{pairs.median(0):.0f} to {pairs.median(1):.0f} ms on one core; {pairs}", others=pairs.others)


# ---- the table ----


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("row", nargs="*", help=f"of {', '.join(rows)}; all if none is given")
    parser.add_argument("--write", metavar="FILE", help=f"put the table between {BEGIN} and {END} of FILE")
    args = parser.parse_args()
    unknown = [name for name in args.row if name not in rows]
    if unknown:
        parser.error(f"no row {' '.join(unknown)}; there are {', '.join(rows)}")
    target = args.write or (README if os.environ.get("PRONG_BENCH_WRITE") == "1" else None)
    if target and args.row:
        parser.error("only the whole table is written: name no rows")
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # ends our servers on the way out
    description = describe_machine()
    text = []

    def say(line):
        print(line, flush=True)
        text.append(line)

    for line in HEAD:
        say(line)
    for name in args.row or rows:
        for line in lines_of(name):
            say(line)
    say("")
    for line in description:
        say(f"{line}  ")
    if target:
        write_into(target, "\n".join(text).rstrip() + "\n")


if __name__ == "__main__":
    main()
