"""What the rows measure with: our server, the bare one, wrk, a client of one connection, and the machine's load."""

import contextlib
import json
import os
import platform
import re
import resource
import shutil
import socket
import statistics
import subprocess
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
BUILD = os.environ.get("PRONG_DIR") or os.path.join(ROOT, "build/release")
TOOLS = os.environ.get("PRONG_BENCH") or os.path.join(BUILD, "bench")
CORES = len(os.sched_getaffinity(0))
TICKS_PER_S = os.sysconf("SC_CLK_TCK")
HELLO = b"Prong takes requests in threads and does the work in processes.\n" * 16  # 1 KiB

# What measures workers must not be answered from what they did before, nor be merged: every request for compute says so,
# unless it has something to say of its own.
FRESH, CACHED = "Cache-Control: no-cache", "Cache-Control: max-age=60"

MIB = 1 << 20
MS, US = 1e-3, 1e-6
WAIT_S = 20
DISTURBED = 0.1  # share of the cores that others may take before a figure is doubtful


class CannotMeasure(Exception):
    """The row says so instead of a figure."""


# ---- processes ----


def stat_fields(pid):
    with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as f:
        return f.read().rpartition(")")[2].split()


def cpu_ticks(pid):
    """User and system time of one process, all its threads."""
    fields = stat_fields(pid)
    return int(fields[11]) + int(fields[12])


def cpu_s(pid):
    """The same in seconds, as finely as the kernel counts: by the clock that clock_getcpuclockid(3) gives."""
    return time.clock_gettime(~pid << 3 | 2)


def children(pid):
    found = []
    with contextlib.suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/children", encoding="ascii") as f:
                found += map(int, f.read().split())
    return found


def grandchildren(pid):
    return [grandchild for child in children(pid) for grandchild in children(child)]


def tree_ticks(pid):
    """Of a process, all below it, and those below it that have been waited for."""
    try:
        fields = stat_fields(pid)
    except OSError:
        return 0
    return sum(map(int, fields[11:15])) + sum(map(tree_ticks, children(pid)))


def tree_cpu_s(pid):
    """Of a process and all that live below it."""
    return cpu_s(pid) + sum(map(tree_cpu_s, children(pid)))


def pss_kb(pid):
    with open(f"/proc/{pid}/smaps_rollup", encoding="ascii") as f:
        return int(re.search(r"^Pss: +(\d+) kB", f.read(), re.M)[1])


def switches(pid):
    """How often its threads have been put on a core."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as f:
            total += int(f.read().split()[2])
    return total


def free_port():
    with socket.create_server(("127.0.0.1", 0)) as s:
        return s.getsockname()[1]


class Server:
    """One prong, with its own www and data. Its environment holds none of our PRONG_… variables, since they
    are its options. Started and ended by `with`."""

    orphan_ticks = 0  # of workers of ended servers: nobody waits for those, so they are in no rusage
    live = []  # processes that run now, the bare server's too

    def __init__(self, *args, port=0):
        self.folder = tempfile.mkdtemp(prefix="prong-bench-")
        self.www = f"{self.folder}/www"
        os.mkdir(self.www)
        self.add_file("hello.txt", len(HELLO))
        self.argv = [f"{BUILD}/prong", "--listen", f"127.0.0.1:{port}", "--www", self.www]
        self.argv += ["--data", f"{self.folder}/data", "--drain", "1", *args]
        self.port = port
        self.threads = 0
        self.process = None

    def add_file(self, name, size):
        with open(f"{self.www}/{name}", "wb") as f:
            f.write((HELLO * (size // len(HELLO) + 1))[:size])

    def spawn(self):
        environment = {k: v for k, v in os.environ.items() if not k.startswith("PRONG_")}
        with open(f"{self.folder}/log", "wb") as log:
            self.process = subprocess.Popen(self.argv, stderr=log, env=environment)
        Server.live.append(self.process.pid)

    def __enter__(self):
        self.spawn()
        self.wait_listening()
        return self

    def wait_listening(self):
        deadline = time.monotonic() + WAIT_S
        while True:
            with open(f"{self.folder}/log", encoding="utf-8", errors="replace") as f:
                log = f.read()
            said = re.search(r"listening on http://127\.0\.0\.1:(\d+).* (\d+) threads", log)
            if said:
                self.port, self.threads = int(said[1]), int(said[2])
                return
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.__exit__()
                raise CannotMeasure(f"the server does not start: {log.strip()[-300:]}")
            time.sleep(0.002)

    def stop(self):
        if self.process.poll() is None:
            Server.orphan_ticks += sum(map(cpu_ticks, grandchildren(self.process.pid)))
            self.process.terminate()
            try:
                self.process.wait(WAIT_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()

    def spawn_again(self):
        """After it has ended, with what it has kept."""
        Server.live.remove(self.process.pid)
        self.spawn()
        self.wait_listening()

    def __exit__(self, *exception):
        self.stop()
        Server.live.remove(self.process.pid)
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"

    def status(self):
        with Client(self.port) as client:
            return json.loads(client.ask("/status").body)

    def pids(self):
        """Server, zygote, workers."""
        status = self.status()
        return [status["pid"], status["zygote_pid"], *(w["pid"] for w in status["workers"])]

    def wait_busy(self, count):
        """Until so many ordinary workers are inside a task; their pids."""
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            workers = self.status()["workers"]
            busy = [w["pid"] for w in workers if w["kind"] == "ordinary" and w["state"] == "busy"]
            if len(busy) >= count:
                return busy
            time.sleep(0.01)
        raise CannotMeasure(f"{count} workers did not become busy")

    def wait_queued(self, count):
        deadline = time.monotonic() + WAIT_S
        while time.monotonic() < deadline:
            status = self.status()
            if sum(status["queue"][name] for name in ("high", "normal", "low")) >= count:
                return
            time.sleep(0.01)
        raise CannotMeasure(f"{count} requests did not wait: queue {status['queue']}, compute {status['compute']}")


class Bare:
    """libmicrohttpd alone, with the answer that our server gives."""

    def __init__(self, server, path):
        with Client(server.port) as client:
            answer = self.expected = client.ask(path)
        self.file = tempfile.NamedTemporaryFile(prefix="prong-bench-")
        self.file.write(answer.body)
        self.file.flush()
        headers = [h for h in answer.headers if h[0].lower() not in ("date", "content-length", "connection")]
        self.argv = [f"{TOOLS}/bare", "0", str(server.threads), self.file.name]
        self.argv += [text for header in headers for text in header]

    def __enter__(self):
        self.process = subprocess.Popen(self.argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        Server.live.append(self.process.pid)
        said = self.process.stdout.readline().split()
        if not said:
            raise CannotMeasure("the bare server does not start")
        self.port, self.version = int(said[0]), said[1]
        try:
            self.check()
        except BaseException:
            self.__exit__()
            raise
        return self

    def check(self):
        """The same answer, twice on one connection, or the ratio would compare two protocols."""
        def essence(answer):
            return answer.status, answer.body, sorted(h for h in answer.headers if h[0] != "Date")

        with Client(self.port) as client:
            for _ in range(2):
                if essence(client.ask("/")) != essence(self.expected):
                    raise CannotMeasure("the bare server does not answer as ours does")

    def __exit__(self, *exception):
        self.process.stdin.close()
        self.process.wait(WAIT_S)
        Server.live.remove(self.process.pid)
        self.process.stdout.close()
        self.file.close()

    def url(self, path):
        return f"http://127.0.0.1:{self.port}{path}"


# ---- clients ----


def wants_fresh(path, headers):
    return "/compute/" in path and not any(header.startswith("Cache-Control") for header in headers)


class Answer:
    def __init__(self, head, body):
        lines = head.decode("latin-1").split("\r\n")
        self.status = int(lines[0].split()[1])
        self.headers = [tuple(line.split(": ", 1)) for line in lines[1:]]
        self.body = body

    def receipt(self, name):
        return float(re.search(rf"{name}=([\d.]+)", dict(self.headers)["Prong-Receipt"])[1])


class Client:
    """One connection. wrk corrects its latencies for what a stalled client would have asked meanwhile; this
    gives them as they were."""

    def __init__(self, port, timeout=120, source=""):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout, (source, 0))
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.socket.close()

    def send(self, path, headers="", body=None):
        if wants_fresh(path, headers.split("\r\n")):
            headers += FRESH + "\r\n"
        head = f"{'GET' if body is None else 'POST'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n{headers}"
        if body is not None:
            if "Content-Type" not in headers:
                head += "Content-Type: application/octet-stream\r\n"
            head += f"Content-Length: {len(body)}\r\n"
        self.socket.sendall(head.encode("ascii") + b"\r\n")
        if body is not None:
            self.socket.sendall(body)

    def receive(self):
        data = b""
        while b"\r\n\r\n" not in data:
            got = self.socket.recv(65536)
            if not got:
                raise CannotMeasure("the server closed the connection")
            data += got
        head, _, body = data.partition(b"\r\n\r\n")
        length = int(re.search(rb"(?i)\r\ncontent-length: (\d+)", head)[1])
        while len(body) < length:
            body += self.socket.recv(65536)
        return Answer(head, body)

    def ask(self, path, headers="", body=None, expect=200):
        self.send(path, headers, body)
        answer = self.receive()
        if answer.status != expect:
            raise CannotMeasure(f"{path} answered {answer.status}: {answer.body[:200]!r}")
        return answer

    def status_of(self, path):
        self.send(path)
        return self.receive().status

    def time(self, path, headers="", body=None, expect=200):
        """Seconds, and the answer."""
        begin = time.perf_counter()
        answer = self.ask(path, headers, body, expect)
        return time.perf_counter() - begin, answer

    def times(self, path, count, pause_s=0.0, expect=200):
        """Sorted seconds of `count` requests, one after the other."""
        seconds = []
        for _ in range(count):
            seconds.append(self.time(path, expect=expect)[0])
            if pause_s > 0:
                time.sleep(pause_s)
        return sorted(seconds)


def quantile(ordered, q):
    return ordered[min(int(len(ordered) * q), len(ordered) - 1)]


def wrk(url, connections, seconds, headers=(), body=None):
    """What report.lua prints, with requests per second. `headers` are lines; `body` is JSON to post."""
    argv = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", f"{HERE}/report.lua", url]
    if wants_fresh(url, headers):
        headers = (*headers, FRESH)
    argv += [arg for header in headers for arg in ("-H", header)]
    environment = {**os.environ, **({} if body is None else {"BENCH_BODY": body})}
    run = subprocess.run(argv, capture_output=True, text=True, timeout=seconds + WAIT_S, env=environment)
    said = re.search(r"^bench (\{.*\})$", run.stdout, re.M)
    if said is None:
        raise CannotMeasure(f"wrk said {(run.stderr or run.stdout).strip()[-200:]}")
    report = json.loads(said[1])
    if report["errors"] or report["refused"] or not report["requests"]:
        raise CannotMeasure(f"wrk had errors: {report}")
    report["per_s"] = report["requests"] * 1e6 / report["us"]
    return report


class Cpu:
    """CPU time of one server under loads of the same kind, which others' load changes less than its speed. `measure`
    tells the server's CPU time so far from its pid."""

    def __init__(self, pid, url, connections=64, measure=cpu_s, headers=()):
        self.pid, self.url, self.connections, self.measure, self.headers = pid, url, connections, measure, headers
        self.cpu_s = self.requests = 0

    def load(self, seconds=2):
        """wrk's report, with the server's "cpu_s" over it."""
        before = self.measure(self.pid)
        report = wrk(self.url, self.connections, seconds, self.headers)
        report["cpu_s"] = self.measure(self.pid) - before
        self.cpu_s += report["cpu_s"]
        self.requests += report["requests"]
        return report

    def us(self):
        return self.cpu_s / self.requests / US

    def __str__(self):
        return f"{self.us():.1f}"


ENDLESS = "/compute/sum?end=1000000000000", "Prong-Chunks: 1\r\n"  # one chunk: a worker is in it until we hang up


@contextlib.contextmanager
def long_jobs(server, count):
    """`count` requests that a worker each would work at for minutes, until the end of the block."""
    with contextlib.ExitStack() as stack:
        for _ in range(count):
            stack.enter_context(Client(server.port)).send(*ENDLESS)
        yield


class Pairs(list):
    """What `first` and `second` gave, A B A B …, and how disturbed they were.

    A block is `block` pairs. Blocks are run until `blocks` of them were quiet, or patience ends. Those with the least
    load by others are kept: chosen by that load alone, never by what they gave."""

    patience_s = 60.0  # for repetitions, in all

    def __init__(self, first, second, blocks, block=1):
        tried = []
        while len(tried) < blocks or (Pairs.patience_s > 0 and len(tried) < 3 * blocks and
                                      sum(load <= DISTURBED for load, _ in tried) < blocks):
            begin = time.monotonic()
            Load.wait_quiet()
            load = Load()
            results = [(first(), second()) for _ in range(block)]
            tried.append((load.others(), results))
            if len(tried) > blocks:
                Pairs.patience_s -= time.monotonic() - begin
        tried.sort(key=lambda t: t[0])
        kept = tried[:blocks]
        super().__init__(pair for _, results in kept for pair in results)
        self.others = max(load for load, _ in kept)
        self.tried = len(tried) * block

    def ratio(self, of=lambda x: x):
        return statistics.median(of(a) / of(b) for a, b in self)

    def spread(self, of=lambda x: x):
        ratios = sorted(of(a) / of(b) for a, b in self)
        return f"{quantile(ratios, 0.25):.2f}–{quantile(ratios, 0.75):.2f}"

    def median(self, index, of=lambda x: x):
        return statistics.median(of(pair[index]) for pair in self)

    def __str__(self):
        return f"{len(self)} of {self.tried} pairs, others ≤ {self.others:.0%}"


# ---- the machine ----


class Load:
    """How busy others have kept the cores since this was made. Another's work counts, the hypervisor's too."""

    patience_s = 30.0  # for quiet moments, in all

    def __init__(self):
        self.begin = self.look()

    @staticmethod
    def busy_ticks():
        with open("/proc/stat", encoding="ascii") as f:
            user, nice, system, _, _, irq, softirq, steal = map(int, f.readline().split()[1:9])
        return user + nice + system + irq + softirq + steal

    @classmethod
    def look(cls):
        own = sum(sum(resource.getrusage(who)[:2]) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        ticks = Server.orphan_ticks + sum(map(tree_ticks, Server.live))
        return time.monotonic(), cls.busy_ticks() / TICKS_PER_S, own + ticks / TICKS_PER_S

    def others(self):
        """Their share of all cores, 0 to 1."""
        wall, busy, own = (now - then for now, then in zip(self.look(), self.begin))
        return max(0.0, (busy - own) / (wall * os.cpu_count()))

    @classmethod
    def wait_quiet(cls):
        """Until the cores are idle but for a tenth, or patience ends. To be called while ours is idle."""
        while cls.patience_s > 0:
            before = cls.busy_ticks()
            time.sleep(0.1)
            if cls.busy_ticks() - before <= 0.1 * 0.1 * TICKS_PER_S * os.cpu_count():
                return
            cls.patience_s -= 0.1


def program(name):
    """Its path, or None; also where an ordinary user's PATH does not look."""
    return shutil.which(name, path=os.environ.get("PATH", "") + ":/usr/sbin")


def first_line(name, *args):
    path = program(name)
    if path is None:
        return ""
    run = subprocess.run([path, *args], capture_output=True, text=True, timeout=WAIT_S)
    return next(iter((run.stdout or run.stderr).splitlines()), "")


def describe_machine():
    """Lines of text."""
    with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as f:
        model = re.search(r"^(?:model name|Hardware|cpu)\s*: (.*)$", f.read(), re.M)
    libraries = subprocess.run([f"{BUILD}/prong", "--version"], capture_output=True, text=True).stdout
    lines = libraries.strip().splitlines()
    return [
        f"{model[1] if model else platform.machine()}, {CORES} cores, Linux {platform.release()}",
        f"{time.strftime('%Y-%m-%d %H:%M')}, {lines[0]} ({os.path.basename(BUILD)}), {', '.join(lines[1:])}",
        ", ".join(filter(None, [" ".join(first_line("wrk", "--version").split()[:2]), first_line("cc", "--version"),
                                first_line("nginx", "-v").rpartition(" ")[2],
                                first_line("lighttpd", "-v").partition(" ")[0]])),
    ]
