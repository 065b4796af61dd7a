"""The rows of the front: files against other servers, many clients, slow ones, streams."""

import contextlib
import os
import re
import resource
import select
import socket
import statistics
import subprocess
import sys
import tempfile
import time

from rig import CORES, HERE, MIB, MS, TOOLS, US, WAIT_S, CannotMeasure, Client, Cpu, Load, Pairs, Server
from rig import cpu_s, long_jobs, pss_kb, quantile, tree_cpu_s
from rivals import lighttpd, nginx
from table import Line, row

# ---- files, against other servers ----


SMALL_PAIRS = 25  # of nine, the median still moved by 5 % from run to run


def per_cpu_s(what):
    return lambda report: report[what] / report["cpu_s"]


class Against:
    """One of our files, and the same served by others."""

    def __init__(self, server, rivals, path, connections):
        with Client(server.port) as client:
            answer = client.ask(path)
        for rival in rivals:
            rival.check(path, answer)
        self.names = [rival.name for rival in rivals]
        self.ours, *self.theirs = (Cpu(s.process.pid, s.url(path), connections, tree_cpu_s)
                                   for s in (server, *rivals))
        self.connections = connections

    def load_theirs(self):
        return [cpu.load(1) for cpu in self.theirs]

    def line(self, what, of, floor, aim, pairs=9):
        self.ours.load(1), self.load_theirs()
        pairs = Pairs(lambda: self.ours.load(1), self.load_theirs, pairs)
        ratios = [statistics.median(of(a) / of(b[i]) for a, b in pairs) for i in range(len(self.theirs))]
        value = min(ratios)
        against = ", ".join(f"{name} {ratio:.2f}×" for name, ratio in zip(self.names, ratios))
        us = " to ".join(str(cpu) for cpu in (self.ours, *self.theirs))
        per_s = [a["per_s"] for a, _ in pairs], *([b[i]["per_s"] for _, b in pairs] for i in range(len(self.theirs)))
        speeds = " to ".join(f"{statistics.median(s):.0f}" for s in per_s)
        return Line(f"{what}, against the better of {' and '.join(self.names)}", value, "×",
                    f"{against}; CPU {us} µs and {speeds} answers a second; {self.connections} connections; {pairs}",
                    floor, aim, others=pairs.others)


@row("files")
def measure_files():
    with contextlib.ExitStack() as stack:
        server = stack.enter_context(Server())
        for name, size in (("100k.txt", 100 << 10), ("10m.txt", 10 * MIB)):
            server.add_file(name, size)
        with Client(server.port) as client:
            answer = client.ask("/hello.txt")
        rivals = [stack.enter_context(rival(server.www, answer)) for rival in (nginx, lighttpd)]
        for path, connections, what, of, floor, aim, pairs in (
                ("/hello.txt", 64, "1 KiB file, requests per CPU-second", "requests", 0.95, 1.10, SMALL_PAIRS),
                ("/100k.txt", 64, "100 KiB file, bytes per CPU-second", "bytes", 0.95, 1.0, 9),
                ("/10m.txt", 16, "10 MiB file, bytes per CPU-second", "bytes", 0.95, 1.0, 9)):
            yield Against(server, rivals, path, connections).line(what, per_cpu_s(of), floor, aim, pairs)
        # lighttpd has one process: as many threads.
        one = stack.enter_context(Server("--threads", "1"))
        yield Against(one, rivals, "/hello.txt", 64).line("1 KiB file by one thread, requests per CPU-second",
                                                          per_cpu_s("requests"), None, None, SMALL_PAIRS)


# ---- the gate ----

HEADS = {
    "wrk": [],
    "curl": ["User-Agent: curl/7.88.1", "Accept: */*"],
    "a browser": [
        "Connection: keep-alive",
        'sec-ch-ua: "Not A(Brand";v="8", "Chromium";v="132", "Google Chrome";v="132"',
        "sec-ch-ua-mobile: ?0",
        'sec-ch-ua-platform: "Linux"',
        "Upgrade-Insecure-Requests: 1",
        "User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/132.0.0.0 Safari/537.36",
        "Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
        "Sec-Fetch-Site: none",
        "Sec-Fetch-Mode: navigate",
        "Sec-Fetch-User: ?1",
        "Sec-Fetch-Dest: document",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-US,en;q=0.9,de;q=0.8",
    ],
}


def gate_ns(port, headers):
    with tempfile.NamedTemporaryFile(prefix="prong-bench-") as f:
        lines = ["GET /hello.txt HTTP/1.1", f"Host: 127.0.0.1:{port}", *headers]
        f.write("".join(line + "\r\n" for line in [*lines, ""]).encode("ascii"))
        f.flush()
        run = subprocess.run([f"{TOOLS}/gate", f.name], capture_output=True, text=True)
    if run.returncode != 0:
        raise CannotMeasure(run.stderr.strip() or f"gate ended with {run.returncode}")
    return float(run.stdout)


@row("gate")
def measure_gate():
    shares, notes, others = [], [], []
    with Server() as server:
        for who, headers in HEADS.items():
            cpu = Cpu(server.process.pid, server.url("/hello.txt"), headers=headers)
            cpu.load(1)
            pairs = Pairs(lambda: gate_ns(server.port, headers) * 1e-3, lambda: cpu.load(1)["cpu_s"], 3)
            ns = statistics.median(us for us, _ in pairs) * 1e3
            shares.append(ns * 1e-3 / cpu.us() * 100)
            notes.append(f"{who} {shares[-1]:.1f} %: {ns:.0f} ns of {cpu} µs")
            others.append(pairs.others)
    yield Line("the request gate, of the CPU time of a 1 KiB file, for the head that the other rows send", shares[0], " %",
               f"{'; '.join(notes)}", 3, 1, digits=1, others=max(others))


# ---- many connections ----

IDLE = 10000


@contextlib.contextmanager
def many_files(count):
    """Lets us open so many until the end of the block."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < count:
        raise CannotMeasure(f"only {hard} files may be open: raise ulimit -Hn to {count}")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, count), hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@row("keep")
def measure_keep():
    with contextlib.ExitStack() as stack:
        stack.enter_context(many_files(IDLE + 1000))
        server = stack.enter_context(Server("--connections", str(IDLE + 1000), "--idle", "3600"))
        with contextlib.ExitStack() as warm:
            for client in [warm.enter_context(Client(server.port)) for _ in range(64)]:
                client.ask("/hello.txt")
        without = pss_kb(server.process.pid)
        # From two addresses: the ports of one could run short.
        clients = [stack.enter_context(Client(server.port, source=f"127.0.0.{2 + i % 2}")) for i in range(IDLE)]
        for client in clients:
            client.ask("/hello.txt")
        time.sleep(1)
        with_them = pss_kb(server.process.pid)
        clients[0].ask("/hello.txt"), clients[-1].ask("/hello.txt")
    yield Line(f"{IDLE} idle keep-alive connections, memory (Pss)", (with_them - without) / 1024, " MB",
               f"{without / 1024:.1f} MB without them, {with_them / 1024:.1f} MB with them: "
               f"{(with_them - without) * 1024 / IDLE:.0f} bytes each; each has had one answer", 450, 150, digits=0)


# ---- slow clients ----

SLOW = 1000


@contextlib.contextmanager
def slow_clients(port, count):
    """They send a byte a second each, until the end of the block. All must still be attached then."""
    with many_files(count + 100):
        process = subprocess.Popen([sys.executable, f"{HERE}/crowd.py", str(port), str(count)],
                                   stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    Server.live.append(process.pid)
    try:
        if process.stdout.readline() != "attached\n":
            raise CannotMeasure("the slow clients did not connect")
        yield
        said, _ = process.communicate(timeout=WAIT_S)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        Server.live.remove(process.pid)
    if said.strip() != str(count):
        raise CannotMeasure(f"of {count} slow clients only {said.strip()} were still attached")


@row("slow")
def measure_slow():
    with Server("--workers", str(CORES), "--header-timeout", "3600") as server, Client(server.port) as client:
        client.times("/hello.txt", 50)
        Load.wait_quiet()
        with slow_clients(server.port, SLOW), long_jobs(server, CORES):
            before = server.wait_busy(CORES)
            times = client.times("/hello.txt", 2000, 1 * MS)
            if server.wait_busy(CORES) != before:
                raise CannotMeasure("the workers were not busy all the time")
    yield Line(f"static p99, {SLOW} slow clients attached and all {CORES} workers busy", quantile(times, 0.99) / MS,
               " ms", f"p50 {quantile(times, 0.5) / MS:.2f}, p90 {quantile(times, 0.9) / MS:.2f}, longest "
               f"{times[-1] / MS:.1f} ms; 2000 requests, 1 ms apart; each slow client sends a byte of its head a "
               "second", 10, 3)


# ---- event streams ----

STREAMS, EVENTS_PER_S = 2000, 4


class Streams:
    """Our HTTP server with nothing but streams, of which a `parts`-th gets its event at a time."""

    def __init__(self, threads, parts):
        self.argv = [f"{TOOLS}/streams", str(threads), str(parts)]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        Server.live.append(self.process.pid)
        said = re.search(r":(\d+)$", self.process.stdout.readline().strip())
        if said is None:
            self.__exit__()
            raise CannotMeasure("the server of streams does not start")
        self.port = int(said[1])
        return self

    def __exit__(self, *exception):
        self.process.stdin.close()
        try:
            self.process.wait(WAIT_S)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        Server.live.remove(self.process.pid)
        self.process.stdout.close()


class Listeners:
    """Clients that read what comes."""

    def __init__(self, port, count):
        self.epoll = select.epoll()
        self.sockets = {}
        for _ in range(count):
            s = socket.create_connection(("127.0.0.1", port))
            s.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
            self.epoll.register(s.fileno(), select.EPOLLIN)
            self.sockets[s.fileno()] = s

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.epoll.close()
        for s in self.sockets.values():
            s.close()

    def listen(self, seconds):
        """How many events came, and in how many seconds."""
        begin, events = time.monotonic(), 0
        while (elapsed := time.monotonic() - begin) < seconds:
            for fd, _ in self.epoll.poll(seconds - elapsed):
                data = self.sockets[fd].recv(65536)
                if not data:
                    raise CannotMeasure("a stream has ended")
                events += data.count(b"event: ")
        return events, elapsed


def cpu_of_streams(parts):
    """Percent of one core, and in words what it took."""
    with many_files(STREAMS + 100), Streams(4 * CORES, parts) as server, Listeners(server.port, STREAMS) as listeners:
        pid = server.process.pid
        listeners.listen(2)
        load, before = Load(), cpu_s(pid)
        events, elapsed = listeners.listen(10)
        spent, others = cpu_s(pid) - before, load.others()
    wanted = STREAMS * EVENTS_PER_S * elapsed
    if abs(events - wanted) > 0.02 * wanted + STREAMS:
        raise CannotMeasure(f"{events} events came, not {wanted:.0f}")
    return spent / elapsed * 100, f"{events / elapsed:.0f} events a second, {spent / events / US:.1f} µs each", others


@row("streams")
def measure_streams():
    for parts, how, floor, aim in ((5, "a fifth of them at a time, every 50 ms", 15, 5),
                                   (1, "all at once, four times a second", None, None),
                                   (250, "eight at a time, every millisecond", None, None)):
        percent, note, others = cpu_of_streams(parts)
        yield Line(f"{STREAMS} event streams at {EVENTS_PER_S} events a second, CPU of one core", percent, " %",
                   f"{note}; {how}", floor, aim, digits=1, others=others)
