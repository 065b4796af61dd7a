"""The end under load: nobody gets half an answer; and a socket that outlives its server, so that a restart refuses nobody."""
import contextlib
import os
import re
import signal
import socket
import subprocess
import threading
import time

import pytest
from conftest import PATIENCE, PRONG, SLOW, SOAK, Background, Client, clean_environment, fewer, read_answer, strays, wait_until

# ---- a socket from outside ------------------------------------------------------------------------


def listening(address=("127.0.0.1", 0), family=socket.AF_INET):
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.bind(address)
    sock.listen(1024)
    return sock


class Activated:
    """A server that is started as a service manager does: with sockets from descriptor 3 on."""

    def __init__(self, folder, socks, *flags, count=None, pid=None):
        def inherit():
            copies = [os.dup(s.fileno()) for s in socks]  # out of the way of each other
            high = [os.dup2(fd, 100 + i) for i, fd in enumerate(copies)]
            for i, fd in enumerate(high):
                os.dup2(fd, 3 + i)  # inheritable, and blocking
                os.close(fd)

        # LISTEN_PID is that of the process itself, which only it knows.
        script = f'export LISTEN_PID={pid or "$$"} LISTEN_FDS={len(socks) if count is None else count} LISTEN_FDNAMES=x; exec "$@"'
        command = ["/bin/sh", "-c", script, "sh", str(PRONG), "--workers", "1", "--data", str(folder), *flags]
        keep = list(range(3, 3 + len(socks))) + [s.fileno() for s in socks]
        self.process = subprocess.Popen(
            command, preexec_fn=inherit, pass_fds=keep, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_environment()
        )
        self.log, self.children = "", set()

    def wait_said(self, text):
        while text not in self.log:
            line = self.process.stderr.readline().decode()
            assert line, self.log
            self.log += line

    def wait_url(self):
        self.wait_said("listening on")
        self.url = re.search(r"listening on (http://[^ ]+)", self.log).group(1)
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()
        return self

    def _read(self):
        for line in self.process.stderr:
            self.log += line.decode()

    def environment(self):
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as children:
            zygote = int(children.read().split()[0])
        with open(f"/proc/{zygote}/environ", "rb") as environ:
            return environ.read()

    def end(self):
        """Its exit status."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(PATIENCE)

    def fail(self):
        """The exit status and what it said, of one that does not start."""
        said = self.process.communicate(timeout=PATIENCE)[1].decode()
        return self.process.returncode, said

    def kill(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def activate(tmp_path):
    made = []

    def make(*args, **more):
        made.append(Activated(tmp_path, *args, **more))
        return made[-1]

    yield make
    for each in made:
        each.kill()
    wait_until(lambda: not strays(set()), lambda: f"no process left: {strays(set())}")


def port_of(sock):
    return sock.getsockname()[1]


def test_it_takes_the_socket(activate):
    with listening() as sock:
        s = activate([sock], "--listen", "127.0.0.1:1").wait_url()
        assert s.url == f"http://127.0.0.1:{port_of(sock)}"
        assert "--listen is not used" in s.log
        with Client(sock.getsockname()) as client:
            assert client.get("/compute/echo").status == 200
        assert b"LISTEN_" not in s.environment()
        assert s.end() == 0
        socket.create_connection(sock.getsockname()).close()  # still open


def test_those_who_came_before_it_are_served(activate):
    with listening() as sock, socket.create_connection(sock.getsockname()) as early:
        early.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        s = activate([sock]).wait_url()
        assert read_answer(early).status == 200
        assert s.end() == 0


def test_sockets_for_somebody_else_are_none(activate):
    with listening() as sock:
        s = activate([sock], "--listen", "127.0.0.1:0", pid=1).wait_url()
        assert s.url != f"http://127.0.0.1:{port_of(sock)}"
        assert b"LISTEN_" not in s.environment()
        assert s.end() == 0


def test_more_than_one_socket_is_refused(activate):
    with listening() as one, listening() as two:
        status, said = activate([one, two]).fail()
    assert status == 64 and "2 sockets" in said


def test_what_does_not_listen_on_tcp_is_refused(activate, tmp_path):
    with socket.socket() as idle, listening(str(tmp_path / "s"), socket.AF_UNIX) as unix, socket.socket(type=socket.SOCK_DGRAM) as udp:
        for sock in (idle, unix, udp):
            status, said = activate([sock]).fail()
            assert status == 64 and "not one that listens on TCP" in said, said
    status, said = activate([], count=1).fail()
    assert status == 64 and "LISTEN_FDS" in said
    status, said = activate([], count="x").fail()
    assert status == 64 and "no numbers" in said


def test_an_address_that_others_reach_needs_a_word(activate):
    with listening(("0.0.0.0", 0)) as sock:
        status, said = activate([sock]).fail()
        assert status == 69 and "will not listen" in said
        assert activate([sock], "--insecure").wait_url().end() == 0


class Callers:
    """Threads that ask all the time, each request on a connection of its own, and note what is no good answer."""

    TARGETS = ["/compute/echo?message=x", "/livez", "/", "/compute/sum?end=100000"]

    def __init__(self, address, count):
        self.address, self.over = address, threading.Event()
        self.wrong, self.answers = [], 0
        self.threads = [threading.Thread(target=self.run, args=(i,), daemon=True) for i in range(count)]
        for thread in self.threads:
            thread.start()

    def run(self, number):
        while not self.over.is_set():
            target = self.TARGETS[(number + self.answers) % len(self.TARGETS)]
            try:
                with Client(self.address) as client:
                    answer = client.get(target)
                if answer.status != 200:
                    self.wrong.append((target, answer))
            except Exception as error:  # pylint: disable=broad-except
                self.wrong.append((target, repr(error)))
            self.answers += 1

    def wait_more(self, count):
        wanted = self.answers + count
        wait_until(lambda: self.answers >= wanted or self.wrong, "more answers")

    def stop(self):
        self.over.set()
        for thread in self.threads:
            thread.join(PATIENCE)
        assert not any(thread.is_alive() for thread in self.threads), "a request was never answered"


@pytest.mark.parametrize("keeps", [False, True], ids=["memory", "disk"])
def test_a_restart_refuses_nobody(activate, keeps):
    """Servers that keep nothing serve side by side for a while; one that keeps its jobs waits until the one before has ended."""
    flags = [] if keeps else ["--store", "memory"]
    with listening() as sock:
        s = activate([sock], *flags).wait_url()
        callers = Callers(sock.getsockname(), 4)
        for _ in range(100 if SOAK else fewer(8)):
            callers.wait_more(20)
            following = activate([sock], *flags)
            if keeps:
                following.wait_said("waiting for the server before")
                callers.wait_more(20)
                assert s.end() == 0, s.log
                following.wait_url()
            else:
                following.wait_url()
                callers.wait_more(20)
                assert s.end() == 0, s.log
            assert "error" not in s.log and "not done in time" not in s.log, s.log
            s = following
        callers.wait_more(20)
        callers.stop()
        assert s.end() == 0
    assert not callers.wrong, f"{len(callers.wrong)} of {callers.answers}: {callers.wrong[:3]}"


def test_who_waits_for_the_server_before_can_be_told_to_end(activate):
    with listening() as sock:
        s = activate([sock]).wait_url()
        following = activate([sock])
        following.wait_said("waiting for the server before")
        following.process.send_signal(signal.SIGTERM)
        status, said = following.fail()
        assert status not in (0, -signal.SIGTERM, -signal.SIGABRT) and "Another prong uses" in following.log + said
        assert s.end() == 0


@pytest.mark.parametrize("wait", [0.02, 0.06, 0.1])
def test_who_sends_on_and_reads_slowly_gets_whole_answers(server, wait):
    """Requests in a pipeline, so that there is always something unread when its connection is closed."""
    s = server(workers=1, drain=0)
    for _ in range(60):
        s.post("/jobs", {"kernel": "echo"})
    got, over = [], threading.Event()

    def send(sock):
        with contextlib.suppress(OSError):
            while not over.is_set():
                sock.sendall(b"GET /jobs?limit=50 HTTP/1.1\r\nHost: x\r\n\r\n" * 5)
                time.sleep(0.002)

    def read(sock):
        with contextlib.suppress(OSError):
            while data := sock.recv(8192):
                got.append(data)
                time.sleep(0.002)

    with s.connect() as sock:
        threads = [threading.Thread(target=f, args=(sock,), daemon=True) for f in (send, read)]
        for thread in threads:
            thread.start()
        time.sleep(wait * SLOW)
        s.stop()
        threads[1].join(PATIENCE)
        over.set()
        threads[0].join(PATIENCE)
    assert take_answers(b"".join(got)), "no answer came: proves nothing"


def test_a_client_that_takes_no_events_does_not_keep_the_server_from_ending(server):
    s = server(workers=2, drain=1)
    with s.connect() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.sendall(b"GET /compute/mandelbrot?width=4000&height=4000&iterations=16 HTTP/1.1\r\nHost: x\r\nAccept: text/event-stream\r\n\r\n")
        s.wait_busy(1)
        s.wait_idle(60)  # all of it has been made, and most of it waits for this client
        s.stop()
    assert "do not take their answers" in s.log


# ---- SIGTERM under load ---------------------------------------------------------------------------


def take_chunked(data, at):
    """Behind the last chunk; None when it does not come."""
    while True:
        end = data.find(b"\r\n", at)
        if end < 0:
            return None
        size = int(data[at:end], 16)
        at = end + 2 + size + 2
        if at > len(data):
            return None
        if size == 0:
            return at


def take_answers(data):
    """[(status, body)] of all that a connection has brought; AssertionError when one of them is cut off."""
    found, at = [], 0
    while at < len(data):
        end = data.find(b"\r\n\r\n", at)
        assert end >= 0, f"half a head: {data[at:]!r}"
        head = data[at:end].decode("latin-1")
        status = int(head.split(" ", 2)[1])
        length = re.search(r"\r\nContent-Length: (\d+)", head, re.I)
        begin = end + 4
        if length:
            at = begin + int(length.group(1))
        else:
            assert re.search(r"\r\nTransfer-Encoding: chunked", head, re.I), head
            at = take_chunked(data, begin)
        assert at is not None and at <= len(data), f"half an answer: {head} and {len(data) - begin} bytes"
        found.append((status, data[begin:at]))
    return found


class Talk:
    """One connection: what to send, in pieces, and all that comes back until the end."""

    def __init__(self, s, pieces, pause=0.0, reads_slowly=False):
        self.received = b""
        self.began = threading.Event()
        self._sock = s.connect()
        self._bytes, self._pause = (1 << 18, 0.02) if reads_slowly else (1 << 16, 0)
        self._thread = Background(self._run, pieces, pause)

    def _run(self, pieces, pause):
        with contextlib.suppress(ConnectionError):  # it may close while we send; what it said before is there
            for i, piece in enumerate(pieces):
                if i > 0:
                    time.sleep(pause)
                self._sock.sendall(piece)
                self.began.set()
        self.began.set()
        with contextlib.suppress(ConnectionError):
            while True:
                more = self._sock.recv(self._bytes)
                time.sleep(self._pause)
                if not more:
                    break
                self.received += more
        self._sock.close()

    def answers(self):
        self._thread.result()
        return take_answers(self.received)


def get(target, *headers):
    return "\r\n".join([f"GET {target} HTTP/1.1", "Host: 127.0.0.1", *headers, "", ""]).encode()


def upload(bytes_, pieces):
    head = f"POST /compute/wordcount HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {bytes_}\r\n\r\n"
    piece = b"word " * (bytes_ // pieces // 5)
    return [head.encode()] + [piece] * pieces


def echo(bytes_):
    head = f"POST /compute/echo HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: text/plain\r\nContent-Length: {bytes_}\r\n\r\n"
    return head.encode() + b"x" * bytes_


def crowd(s):
    """{what: its connections}; each is one that a server may have when it is told to end."""
    sleep, events = "/compute/sleep?seconds=0.2", "Accept: text/event-stream"
    return {
        "suspended": [Talk(s, [get(sleep)]) for _ in range(6)],
        "streams": [Talk(s, [get(sleep, events)]) for _ in range(4)],
        "uploads": [Talk(s, upload(100000, 20), 0.01) for _ in range(4)],
        "idle": [Talk(s, [get("/livez")]) for _ in range(6)],
        "pipelined": [Talk(s, [(get("/compute/echo") + get("/livez") + get("/") + get(sleep)) * 5]) for _ in range(4)],
        "half": [Talk(s, [b"GET /livez HTTP/1.1\r\nHo"]) for _ in range(2)],
        "readers": [Talk(s, [echo(8 << 20)], reads_slowly=True) for _ in range(2)],
        "silent": [Talk(s, []) for _ in range(2)],
    }


def assert_whole(what, number, answers):
    for status, body in answers:
        assert status in (200, 503, 408), (what, number, status, body[:500])
        if what == "streams" and status == 200:
            assert b"event: result" in body or b"event: error" in body, body
    if what in ("suspended", "streams"):
        assert len(answers) <= 1, (what, number, [status for status, _ in answers])


@pytest.mark.parametrize("drain", [10, 0])
def test_it_ends_under_load_without_half_an_answer(server, drain):
    for number in range(100 if SOAK else fewer(5)):
        s = server(workers=2, drain=drain)
        talks = crowd(s)
        for each in sum(talks.values(), []):
            each.began.wait(PATIENCE)
        time.sleep(number % 10 * 0.03)  # each round meets them at another moment
        began = time.monotonic()
        s.stop()
        assert time.monotonic() - began < (drain + 6) * SLOW
        for what, group in talks.items():
            for talk in group:
                assert_whole(what, number, talk.answers())


# ---- SIGTERM while much is to be kept -------------------------------------------------------------


class Asker:
    """Asks the same in turn, one after the other, for as long as there is a server."""

    def __init__(self, s, *turns):
        self.asked, self.answers, self.began = 0, [], threading.Event()
        self._thread = Background(self._run, s, turns)

    def _run(self, s, turns):
        try:
            with s.client() as client, contextlib.suppress(ConnectionError):
                while True:
                    for method, target, body, headers in turns:
                        self.asked += 1
                        self.answers.append(client.ask(method, target, body, headers))  # half of one is an error
                        self.began.set()
        finally:
            self.began.set()

    def result(self):
        self._thread.result()
        return self.answers


def turn(method, target, body=None, **headers):
    return method, target, body, headers


def durable_crowd(s, long):
    """Those who ask for what is kept; `long` is a job that runs for as long as it may."""
    job = "/jobs/" + long
    turns = {
        "submits": [turn("POST", "/jobs", {"kernel": "sum", "params": {"end": 100000}})],
        "waits": [turn("POST", "/compute/sleep", {"seconds": 0.02}, Prefer="respond-async, wait=60")],
        "adds": [turn("POST", "/state/n/add", {"by": 1})],
        "changes": [turn("PUT", "/state/m", [1]), turn("DELETE", "/state/m")],
        "polls": [turn("GET", job + "?wait=60")],
        "listeners": [turn("GET", job + "/events")],
        "lists": [turn("GET", "/jobs?limit=50"), turn("GET", "/state")],
    }
    return {what: [Asker(s, *each) for _ in range(4)] for what, each in turns.items()}


def wait_crowd(crowd):
    for what in ("submits", "adds", "changes", "lists"):
        for asker in crowd[what]:
            assert asker.began.wait(PATIENCE), what


@pytest.mark.parametrize("drain", [10, 0])
def test_what_it_has_acknowledged_at_its_end_is_kept(server, drain):
    jobs, added, asked, data = set(), 0, 0, None
    for number in range(100 if SOAK else fewer(10, asan=3, tsan=3)):
        s = server(workers=2, drain=drain, data=data)
        data = s.data
        assert added <= s.post("/state/n/add", {"by": 0}).json["value"] <= asked
        long = s.post("/jobs", {"kernel": "sleep", "params": {"seconds": 0.5 if drain else 60}, "priority": "high"}).json["id"]
        crowd = durable_crowd(s, long)
        wait_crowd(crowd)
        time.sleep(number % 10 * 0.03)  # each round meets them at another moment
        s.stop()
        answers = {what: sum((asker.result() for asker in askers), []) for what, askers in crowd.items()}
        for what, all_of_them in answers.items():
            bad = [a for a in all_of_them if a.status not in (200, 201, 202, 204, 404, 429, 503)]
            assert not bad, (what, number, bad[:3])
        for answer in answers["listeners"]:
            assert answer.status == 503 or re.search(rb"event: (draining|result)", answer.body), answer
        jobs.update(a.json["id"] for a in answers["submits"] + answers["waits"] if a.status == 202)
        added += sum(a.status in (200, 201) for a in answers["adds"])
        asked += sum(asker.asked for asker in crowd["adds"])
    s = server(workers=2, drain=0, data=data)
    assert 0 < added <= s.get("/state/n").json["value"] <= asked
    with s.client() as client:
        assert jobs and all(client.get("/jobs/" + job).status == 200 for job in jobs)
