"""The row of the dashboard: what it costs to leave one open, and what the first view of it is."""

import contextlib
import os
import re
import shutil
import socket
import statistics
import threading
import time

from rig import BUILD, MS, CannotMeasure, Client, Server, cpu_s, free_port, switches
from table import Line, row

WINDOW_S = 10
MANY = 20
IMPORT = re.compile(r'^\s*(?:import|export)\b[^;]*?\bfrom "([^"]+)"|^import "([^"]+)"', re.M | re.S)
LINK = re.compile(r'<(?:link|script)[^>]* (?:href|src)="(/[^"]+)"')


class Listener:
    """A page that listens to /events: reads whatever comes, and counts the events."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port))
        self.socket.sendall(b"GET /events HTTP/1.1\r\nHost: 127.0.0.1\r\nAccept: text/event-stream\r\n\r\n")
        self.events, self.bytes = 0, 0
        self.thread = threading.Thread(target=self.read, daemon=True)
        self.thread.start()

    def read(self):
        with contextlib.suppress(OSError):
            while data := self.socket.recv(65536):
                self.events += data.count(b"event: ")
                self.bytes += len(data)

    def close(self):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.thread.join()
        self.socket.close()


def share_of_a_core(server, count):
    """Of the server's process, with so many that listen; events and bytes that each got in a second; how often a thread woke."""
    listeners = [Listener(server.port) for _ in range(count)]
    try:
        time.sleep(2)
        pid, events, got = server.process.pid, listeners[0].events, listeners[0].bytes
        began, before, woke = time.monotonic(), cpu_s(pid), switches(pid)
        time.sleep(WINDOW_S)
        took = time.monotonic() - began
        if listeners[0].events == events:
            raise CannotMeasure("no event came")
        return ((cpu_s(pid) - before) / took, (listeners[0].events - events) / took, (listeners[0].bytes - got) / took,
                (switches(pid) - woke) / took)
    finally:
        for listener in listeners:
            listener.close()


def says(figures):
    _, events, got, woke = figures
    return f"{events:.1f} events and {got / 1000:.1f} kB a second for each; threads woke {woke:.0f} times a second"


def parts_of(folder):
    """Paths of the dashboard's page and of everything that it takes, by what its files say; each once, in the order of finding."""
    found, wanted = [], ["/"]
    for path in wanted:
        found.append(path)
        with open(folder + (path if path != "/" else "/index.html"), encoding="utf-8") as f:
            text = f.read()
        named = LINK.findall(text) if path == "/" else []
        if path.endswith(".js"):
            names = (a or b for a, b in IMPORT.findall(text))
            named = [os.path.normpath(os.path.join(os.path.dirname(path), name)) for name in names]
        wanted += [name for name in named if name not in wanted]
    return found


def first_view(server, parts):
    """One after the other, on one connection: seconds, and bytes with their heads."""
    with Client(server.port) as client:
        began = time.monotonic()
        answers = [client.ask(path, "Accept-Encoding: br, gzip\r\n") for path in parts]
        client.ask("/history?span=5m")
        took = time.monotonic() - began
    return took, sum(len(f"{name}: {value}\r\n") for a in answers for name, value in a.headers) + sum(len(a.body) for a in answers)


@row("dashboard")
def measure_dashboard():
    server = Server("--workers", "2", port=free_port())
    shutil.copytree(f"{BUILD}/www", server.www, dirs_exist_ok=True)
    parts = parts_of(server.www)
    with server:
        rest = share_of_a_core(server, 1)
        crowd = share_of_a_core(server, MANY)
        with Client(server.port) as client:
            client.ask("/jobs", "Content-Type: application/json\r\n",
                       b'{"kernel":"sleep","params":{"seconds":60}}', expect=202)
        busy = share_of_a_core(server, 1)
        views = [first_view(server, parts) for _ in range(51)]
    yield Line("the server's CPU while one dashboard is open, at rest", 100 * rest[0], " % of a core", says(rest), 1, 0.2)
    yield Line("… while a worker is busy", 100 * busy[0], " % of a core", says(busy), 1, 0.2)
    yield Line(f"… while {MANY} are open, at rest", 100 * crowd[0], " % of a core", says(crowd), None, 2)
    yield Line("first view: all that it takes, compressed, with headers", views[0][1] / 1000, " kB", f"{len(parts)} files", 100, 70, digits=1)
    took = [seconds for seconds, _ in views]
    yield Line("… one after the other, and the history", statistics.median(took) / MS, " ms",
               f"the first time {took[0] / MS:.1f} ms, the longest {max(took) / MS:.1f} ms", 100, 50)
