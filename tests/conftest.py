"""What every black-box test needs: a real server on a free loopback port, a small client, and patience.

Standard library and pytest only. PRONG_DIR names the build directory (default: build/$PRONG_BUILD). A server is
ended by its own pid, and its end is a test of its own: exit status 0, no process left over, and nothing in
its log that a sanitizer or an assertion said.
"""
import contextlib
import ctypes
import functools
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import ssl
import subprocess
import tempfile
import threading
import time

import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILD = os.environ.get("PRONG_BUILD", "release")
DIR = pathlib.Path(os.environ.get("PRONG_DIR", ROOT / "build" / BUILD))
PRONG = DIR / "prong"
SOAK = os.environ.get("PRONG_SOAK") == "1"

# Sanitizer builds are slower; nothing below asserts a time but as a bound on liveness.
SLOW = {"release": 1, "debug": 2, "asan": 4, "tsan": 8}.get(BUILD, 1)
PATIENCE = 20.0 * SLOW

SANITIZED = BUILD in ("asan", "tsan")
FORBIDDEN = re.compile(
    r"ERROR: \w*Sanitizer|runtime error|WARNING: ThreadSanitizer|this is a bug"
    r'|"level":"error","program":"prong","msg":"(?!the zygote has died)', re.I
)


def fewer(rounds, asan=4, tsan=10):
    """Rounds of a test, scaled down where each takes longer."""
    return max(1, rounds // {"asan": asan, "tsan": tsan, "debug": 2}.get(BUILD, 1))


def wait_until(check, what, seconds=None):
    """Polls until check() is true and gives that back; AssertionError with `what` after a generous while."""
    deadline = time.monotonic() + (PATIENCE if seconds is None else seconds * SLOW)
    while True:
        value = check()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what() if callable(what) else what}")
        time.sleep(0.01)


# ---- processes ------------------------------------------------------------------------------------

PR_SET_CHILD_SUBREAPER = 36
ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)  # so that orphans come to us and are seen


def _stat(pid):
    """(name, state, parent), or None when there is no such process."""
    try:
        text = pathlib.Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except OSError:
        return None
    name, rest = text[text.index("(") + 1 : text.rindex(")")], text[text.rindex(")") + 2 :].split()
    return name, rest[0], int(rest[1])


def processes():
    """{pid: (name, state, parent)} of all."""
    found = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            stat = _stat(int(entry))
            if stat is not None:
                found[int(entry)] = stat
    return found


def descendants(pid):
    found, all_of_them = {}, processes()
    parents = {pid}
    while parents:
        children = {p for p, (_, _, parent) in all_of_them.items() if parent in parents}
        found.update({p: all_of_them[p] for p in children})
        parents = children
    return found


def is_alive(pid):
    stat = _stat(pid)
    return stat is not None and stat[1] not in "ZX"


def open_fds(pid):
    """{fd: what it is}."""
    fds = {}
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            fds[int(fd)] = os.readlink(f"/proc/{pid}/fd/{fd}")
    return fds


def rss_bytes(pid):
    pages = int(pathlib.Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


_ours = set()  # pids of children that somebody here waits for


def reap_orphans():
    """Waits, as init would, for dead processes that were left to us."""
    for pid, (_, state, parent) in processes().items():
        if parent == os.getpid() and state == "Z" and pid not in _ours:
            with contextlib.suppress(ChildProcessError):
                os.waitpid(pid, os.WNOHANG)


def strays(known):
    """Processes of `known`, or orphans left to us, that still live."""
    reap_orphans()
    return {
        pid: stat
        for pid, stat in processes().items()
        if stat[1] not in "ZX" and pid not in _ours and (pid in known or (stat[2] == os.getpid() and "prong" in stat[0]))
    }


def run(*command, timeout=60, **options):
    """A program that ends by itself: its CompletedProcess, with text."""
    return subprocess.run(
        [str(c) for c in command], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=timeout * SLOW, **options
    )


@pytest.hookimpl(tryfirst=True)
def pytest_configure(config):
    """A folder of its own for each session. The one that pytest shares among a user's sessions is closed to others whenever
    one begins, and then no program of another user is reached any more in those that run."""
    if config.option.basetemp is None:
        config.option.basetemp = tempfile.mkdtemp(prefix="prong-tests-")
        config.add_cleanup(lambda: shutil.rmtree(config.option.basetemp, ignore_errors=True))


def let_reach(path):
    """Lets every user reach it, as programs must that run as another one: pytest's folders are their owner's alone."""
    path = pathlib.Path(path)
    for folder in (path, *path.parents):
        mode = folder.stat().st_mode
        if folder.stat().st_uid == os.geteuid() and mode & 0o011 != 0o011:
            folder.chmod(mode | 0o011)


_state_home = tempfile.TemporaryDirectory(prefix="prong-state-")  # pylint: disable=consider-using-with


@functools.cache
def library_version():
    """Of the libmicrohttpd that is loaded, as (1, 0, 1): some things are its own to answer, and not all versions do alike."""
    said = run(PRONG, "--version").stdout
    return tuple(map(int, re.search(r"libmicrohttpd (\d+)\.(\d+)\.(\d+)", said).groups()))


def clean_environment(**more):
    """Ours, without the options that the Makefile or a user has put there; what must last is kept among the tests' own.
    Nothing is cached: tests ask the same again and again, and mean that it is computed. Who tests the cache says cache_max."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("PRONG_") and k != "STATE_DIRECTORY"}
    env["XDG_STATE_HOME"] = _state_home.name
    env["PRONG_CACHE_MAX"] = "0"
    env.update({k: str(v) for k, v in more.items()})
    return env


# ---- the client -----------------------------------------------------------------------------------


class Answer:
    """What came back: status, headers (any case), body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def text(self):
        return self.body.decode("utf-8")

    @property
    def json(self):
        return json.loads(self.body)

    @property
    def receipt(self):
        """Prong-Receipt as numbers."""
        pairs = (field.split("=") for field in self.headers["Prong-Receipt"].split(", "))
        return {name: float(value) for name, value in pairs}

    def __repr__(self):
        return f"<{self.status} {dict(self.headers)} {self.body[:400]!r}>"


class Client:
    """One keep-alive connection."""

    def __init__(self, address, source=None, timeout=None, tls=None, token=None):
        more = {"timeout": 3 * PATIENCE if timeout is None else timeout, "source_address": (source, 0) if source else None}
        if tls:
            self.http = http.client.HTTPSConnection(*address, context=tls, **more)
        else:
            self.http = http.client.HTTPConnection(*address, **more)
        self.headers = {"Authorization": f"Bearer {token}"} if token else {}

    def ask(self, method, target, body=None, headers=None, **more):
        """`more` are headers: prong_timeout=1 is Prong-Timeout: 1."""
        headers = dict(headers or {})
        headers.update({name.replace("_", "-"): str(value) for name, value in more.items()})
        if not any(name.lower() == "authorization" for name in headers):
            headers.update(self.headers)
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
            headers.setdefault("Content-Type", "application/json")
        if isinstance(body, str):
            body = body.encode()
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it may answer before it has read all
            self.http.request(method, target, body, headers)
        response = self.http.getresponse()
        return Answer(response.status, response.headers, response.read())

    def get(self, target, **more):
        return self.ask("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.ask("POST", target, body, **more)

    def close(self):
        self.http.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def read_answer(sock):
    """One answer from a raw socket; None when the other side only closed."""
    response = http.client.HTTPResponse(sock)
    try:
        response.begin()
    except (http.client.BadStatusLine, ConnectionError):
        return None
    return Answer(response.status, response.headers, response.read())


def events_of(text):
    """[(event, data)] of a whole event stream."""
    found = []
    for block in text.split("\n\n"):
        name, data = "message", []
        for line in block.split("\n"):
            if line.startswith("event: "):
                name = line[7:]
            elif line.startswith("data: "):
                data.append(line[6:])
        if data:
            found.append((name, "\n".join(data)))
    return found


_SAMPLE = re.compile(r'([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (-?[0-9.eE+-]+|NaN|[+-]Inf)$')
_LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)')


def parse_metrics(text):
    """[(name, {label: value}, number)]; ValueError on a line that is not Prometheus text 0.0.4."""
    samples = []
    for line in text.splitlines():
        if line.startswith("#") or not line:
            continue
        match = _SAMPLE.match(line)
        if match is None:
            raise ValueError(f"not a sample: {line}")
        labels = match.group(2) or ""
        pairs = _LABEL.findall(labels)
        if "".join(_LABEL.split(labels)[::3]):
            raise ValueError(f"not labels: {line}")
        samples.append((match.group(1), dict(pairs), float(match.group(3))))
    return samples


class Background:
    """A call on a thread of its own; result() gives its value or raises what it raised."""

    def __init__(self, call, *args, **more):
        self._value = self._error = None
        self._thread = threading.Thread(target=self._run, args=(call, args, more), daemon=True)
        self._thread.start()

    def _run(self, call, args, more):
        try:
            self._value = call(*args, **more)
        except BaseException as error:  # pylint: disable=broad-except
            self._error = error

    @property
    def is_done(self):
        return not self._thread.is_alive()

    def result(self, timeout=None):
        self._thread.join(4 * PATIENCE if timeout is None else timeout * SLOW)
        assert not self._thread.is_alive(), "a request in the background never came back"
        if self._error is not None:
            raise self._error
        return self._value


# ---- the server -----------------------------------------------------------------------------------


class Server:
    """A running prong. stderr is read all the time, so that no log line can block it."""

    def __init__(self, folder, options, flags, env, is_faulty, before=()):
        command = [*before, str(PRONG), "--listen", "127.0.0.1:0", "--data", str(folder)]
        # Raw requests say Host: x; who tests names says hosts=None.
        # Who brings kernels of its own means these alone, unless it says otherwise.
        alone = {"builtins": "none"} if options.get("kernels") else {}
        for name, value in {"hosts": "*", **alone, **options}.items():
            if value is None:
                continue
            flag = "--" + name.replace("_", "-")
            command += [flag] if value is True else [flag, str(value)]
        self.command = command + list(flags)
        self.data = pathlib.Path(folder)
        self.errors = None
        self.log_lines, self._log_changed = [], threading.Condition()
        self.is_faulty = is_faulty
        self.tls = ssl.create_default_context(cafile=options["tls_cert"]) if "tls_cert" in options else None
        self.token = pathlib.Path(options["token_file"]).read_text().strip() if "token_file" in options else None
        self.seen = set()
        self.is_ended = False
        self.process = subprocess.Popen(
            self.command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, env=clean_environment(**env)
        )
        self.pid = self.process.pid
        _ours.add(self.pid)
        self._reader = threading.Thread(target=self._read_log, daemon=True)
        self._reader.start()

    def _read_log(self):
        for raw in self.process.stderr:
            with self._log_changed:
                self.log_lines.append(raw.decode("utf-8", "replace").rstrip("\n"))
                self._log_changed.notify_all()
        with self._log_changed:
            self.log_lines.append("(end of log)")
            self._log_changed.notify_all()

    @property
    def log(self):
        with self._log_changed:
            return "\n".join(self.log_lines)

    def warnings(self):
        """Its lines that want somebody to do something."""
        return [line for line in self.log.split("\n") if re.search(r'"level":"(warning|error)"', line)]

    def wait_log(self, pattern, seconds=None):
        """The match, once a line has it."""
        wanted, at = re.compile(pattern), 0
        deadline = time.monotonic() + (PATIENCE if seconds is None else seconds * SLOW)
        with self._log_changed:
            while True:
                for line in self.log_lines[at:]:
                    match = wanted.search(line)
                    if match:
                        return match
                    assert line != "(end of log)", f"it ended and never said {pattern}:\n" + "\n".join(self.log_lines)
                at = len(self.log_lines)
                left = deadline - time.monotonic()
                assert left > 0, f"it never said {pattern}:\n" + "\n".join(self.log_lines)
                self._log_changed.wait(left)

    def wait_listening(self):
        """Until it says so, and its express workers are there too, which it does not wait for."""
        match = self.wait_log(r"listening on (https?://(\[[0-9a-f:]+\]|[0-9.]+):([0-9]+)) with (\d+) workers and (\d+) express")
        self.url = match.group(1)
        self.address = (match.group(2).strip("[]"), int(match.group(3)))
        self.worker_count = int(match.group(4)) + int(match.group(5))
        self.wait_workers()

    # -- asking --

    def client(self, **more):
        return Client(self.address, **{"tls": self.tls, "token": self.token, **more})

    def ask(self, method, target, body=None, source=None, **more):
        with self.client(source=source) as client:
            return client.ask(method, target, body, **more)

    def get(self, target, **more):
        return self.ask("GET", target, **more)

    def post(self, target, body=None, **more):
        return self.ask("POST", target, body, **more)

    def later(self, method, target, body=None, **more):
        """A request in the background."""
        return Background(self.ask, method, target, body, **more)

    def connect(self, source=None):
        """A raw socket, behind TLS where the server has it."""
        sock = socket.create_connection(self.address, timeout=3 * PATIENCE, source_address=(source, 0) if source else None)
        return self.tls.wrap_socket(sock, server_hostname=self.address[0]) if self.tls else sock

    def raw(self, data):
        """Sends bytes as they are; the answer, or None when the connection was closed without one."""
        with self.connect() as sock:
            with contextlib.suppress(BrokenPipeError, ConnectionResetError):
                sock.sendall(data)
            return read_answer(sock)

    def status(self):
        return self.get("/status").json

    def workers(self, kind=None):
        return [w for w in self.status()["workers"] if kind in (None, w["kind"])]

    def worker_pids(self, kind=None):
        return {w["pid"] for w in self.workers(kind)}

    def wait_workers(self, seconds=None):
        """Until they are as many as they should be."""
        wait_until(lambda: len(self.workers()) == self.worker_count, lambda: f"all workers: {self.status()}", seconds)

    def tasks(self):
        """How many the workers that live have run."""
        return sum(w["tasks"] for w in self.workers())

    def wait_tasks(self, count):
        wait_until(lambda: self.tasks() == count, lambda: f"{count} tasks: {self.status()}")

    def busy(self):
        return [w for w in self.workers() if w["state"] == "busy"]

    def queued(self):
        return sum(self.status()["queue"][c] for c in ("high", "normal", "low"))

    def wait_busy(self, count, seconds=None):
        wait_until(lambda: len(self.busy()) >= count, lambda: f"{count} workers busy: {self.status()}", seconds)

    @contextlib.contextmanager
    def held(self, **more):
        """The only worker has a request, which is given back, and stands still: what comes meanwhile waits, however long it
        takes to come. Afterwards that request is soon through."""
        (pid,) = self.worker_pids()
        request = self.later("GET", f"/compute/sleep?seconds={0.25 * SLOW}", **more)
        self.wait_busy(1)
        os.kill(pid, signal.SIGSTOP)
        try:
            yield request
            assert not request.is_done, "the worker was free: proves nothing"
        finally:
            os.kill(pid, signal.SIGCONT)

    def wait_queued(self, count, seconds=None):
        wait_until(lambda: self.queued() >= count, lambda: f"{count} requests queued: {self.status()}", seconds)

    def wait_idle(self, seconds=None):
        """Nothing runs, nothing waits."""

        def idle():
            st = self.status()
            return st["compute"] == {"running": 0, "tasks": 0, "backlog_s": 0.0} and all(
                w["state"] == "idle" for w in st["workers"]
            )

        wait_until(idle, lambda: f"an idle server: {self.status()}", seconds)

    def metrics(self):
        return parse_metrics(self.get("/metrics").text)

    def metric(self, name, **labels):
        """The sum of a metric over the samples that have these labels."""
        return sum(v for n, has, v in self.metrics() if n == name and labels.items() <= has.items())

    # -- ending --

    def note_processes(self):
        self.seen |= set(descendants(self.pid))
        return self.seen

    def wait(self, seconds=None):
        """Its exit status (negative: the signal)."""
        code = self.process.wait(PATIENCE if seconds is None else seconds * SLOW)
        _ours.discard(self.pid)
        self.is_ended = True
        self._reader.join(2)  # whoever is left behind may hold the pipe open
        return code

    def kill(self):
        """At the end of a test that went wrong."""
        if not self.is_ended:
            self.process.kill()
            self.wait()

    def crash(self):
        """Without any warning; its zygote and workers go with it."""
        self.note_processes()
        os.kill(self.pid, signal.SIGKILL)
        assert self.wait() == -signal.SIGKILL
        self.assert_nothing_left()
        self.assert_log_is_clean()

    def assert_no_zombies(self):
        wait_until(
            lambda: not [p for p, s in descendants(self.pid).items() if s[1] == "Z"],
            lambda: f"no zombies: {descendants(self.pid)}",
        )

    def assert_log_is_clean(self):
        bad = []
        for line in self.log.split("\n"):
            match = FORBIDDEN.search(line)
            # What a sanitizer says of a worker that was told to crash is no news.
            of_worker = re.match(r"==(\d+)==", line)
            is_expected = self.errors is not None and self.errors.search(line)
            if match and not is_expected and not (self.is_faulty and of_worker and int(of_worker.group(1)) != self.pid):
                bad.append(line)
        assert not bad, "in its log:\n" + "\n".join(bad)

    def assert_nothing_left(self, seconds=5):
        wait_until(lambda: not strays(self.seen), lambda: f"no process left: {strays(self.seen)}", seconds)

    def stop(self, signal_=signal.SIGTERM, expect=0, seconds=None):
        """Ends it in good order, and checks the order."""
        if self.is_ended:
            return
        self.note_processes()
        self.assert_no_zombies()
        os.kill(self.pid, signal_)
        try:
            code = self.wait(seconds)
        except subprocess.TimeoutExpired:
            stuck = f"it did not end after signal {signal_}: {self.log[-3000:]}"
            self.kill()
            raise AssertionError(stuck) from None
        assert code == expect, f"exit status {code}, not {expect}:\n{self.log[-3000:]}"
        self.assert_nothing_left()
        self.assert_log_is_clean()


class Servers:
    """Makes servers, and ends what it made."""

    def __init__(self, folder):
        self.folder, self.made = folder, []

    def __call__(self, *flags, env=None, is_faulty=False, is_awaited=True, data=None, before=(), errors=None, **options):
        """`data`: of a server that has ended, to go on with what it has kept. `before`: a command that becomes the server.
        `errors`: what its log may complain of."""
        if data is None:
            data = self.folder / f"data{len(self.made)}"
            data.mkdir()
        made = Server(data, options, flags, env or {}, is_faulty or "enable_fault_kernel" in options, before)
        made.errors = re.compile(errors) if errors else None
        self.made.append(made)
        if is_awaited:
            made.wait_listening()
        return made

    def end(self):
        try:
            for made in self.made:
                made.stop()
        finally:
            for made in self.made:
                made.kill()
                for pid in strays(made.seen):  # what a test has just failed for must not trouble the next one
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, signal.SIGKILL)
            reap_orphans()


@pytest.fixture
def server(tmp_path):
    """server(workers=2, …) starts one with these options; it is ended, and its end checked, after the test."""
    servers = Servers(tmp_path)
    yield servers
    servers.end()


@pytest.fixture(scope="module")
def shared_server(tmp_path_factory):
    """The same for all tests of a module, for those that leave nothing behind."""
    servers = Servers(tmp_path_factory.mktemp("shared"))
    yield servers
    servers.end()


# ---- other programs -------------------------------------------------------------------------------


class Load:
    """wrk for so many seconds; result() gives its counts."""

    def __init__(self, url, seconds, connections=16, script=None):
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "--timeout", f"{int(10 * SLOW)}s"]
        self.process = subprocess.Popen(
            command + (["-s", str(script)] if script else []) + [url],
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )
        _ours.add(self.process.pid)

    @property
    def is_over(self):
        return self.process.poll() is not None

    def result(self):
        text = self.process.communicate(timeout=120 * SLOW)[0]
        _ours.discard(self.process.pid)
        assert self.process.returncode == 0, text
        requests = re.search(r"(\d+) requests in", text)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        sockets = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        return {
            "requests": int(requests.group(1)),
            "bad": int(bad.group(1)) if bad else 0,
            "socket_errors": sum(map(int, sockets.groups())) if sockets else 0,
            "text": text,
        }

    def stop(self):
        """Early; wrk prints its counts on SIGINT."""
        if not self.is_over:
            self.process.send_signal(signal.SIGINT)
        return self.result()


# ---- problems -------------------------------------------------------------------------------------


def assert_problem(answer, status, fragment, **fields):
    """Our own kind of error: its status, its type, a sentence, and what helps."""
    assert answer is not None, "the connection was closed without an answer"
    assert answer.status == status, answer
    assert answer.headers["Content-Type"] == "application/problem+json", answer
    problem = answer.json
    assert problem["type"] == "/docs#" + fragment, problem
    assert problem["status"] == status and problem["title"], problem
    assert problem["detail"].rstrip()[-1] in ".?!", problem
    assert "instance" in problem and problem["request_id"] == answer.headers["X-Request-Id"], problem
    for name, value in fields.items():
        assert problem.get(name) == value, (name, value, problem)
    return problem
