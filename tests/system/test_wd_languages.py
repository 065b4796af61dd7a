"""Kernels in other languages: what lies under src/sdk keeps to the protocol, and runs in a server by its manifest.

A shared object too, in a process of its own."""
import concurrent.futures
import hashlib
import json
import os
import random
import re
import shutil
import signal
import struct

import pytest
from conftest import DIR, ROOT, SANITIZED, SLOW, assert_problem, descendants, events_of, is_alive, let_reach, run, wait_until

SDK = ROOT / "src/sdk"
CHECK = DIR / "prong-check"
NODE = shutil.which("node", path="/usr/local/bin:/usr/bin:/bin")  # where a program's command is looked for
needs_node = pytest.mark.skipif(NODE is None, reason="node is not installed")


# ---- by themselves --------------------------------------------------------------------------------


def check(*command, options=()):
    """{case: "ok" or why it is skipped} of a program that passes them all."""
    ended = run(CHECK, "--slow", 10 * SLOW, *options, *command, timeout=240, cwd=SDK)
    assert ended.returncode == 0 and "not ok" not in ended.stdout, ended.stdout + ended.stderr
    return {name: why or "ok" for name, why in re.findall(r"^ok \d+ - ([^#\n]*?)(?: # SKIP (.*))?$", ended.stdout, re.M)}


@needs_node
def test_node_keeps_to_the_protocol():
    cases = check(NODE, "node/fib.mjs", options=("--params", '{"n":37}'))
    assert cases["fib: answers within 500 ms of CANCEL"] == "ok", cases


NODE_KERNELS = """
import { serve } from "./prong.mjs";
const numbers = (...n) => Buffer.from(new Float64Array(n).buffer);
serve(
  { name: "squares", version: "1", example: "n=500", flags: ["pure", "associative"], params: { n: { type: "integer", minimum: 0, maximum: 1e6 } },
    plan: ({ n }) => n, map: (p, lo, hi) => { let sum = 0; for (let i = lo; i < hi; i++) sum += i * i; return numbers(sum); },
    combine: (p, a, b) => numbers(a.readDoubleLE(0) + b.readDoubleLE(0)), finish: (p, whole) => whole.readDoubleLE(0) },
  { name: "lines", version: "1", example: "n=3", flags: ["pure"], media_type: "text/plain", params: { n: { type: "integer", default: 2 } },
    plan: ({ n }) => ({ units: n, unit_cost: 2 }), map: (p, lo, hi) => Array.from({ length: hi - lo }, (_, i) => `${lo + i}\\n`).join("") },
  { name: "upper", version: "1", takes_raw: true, media_type: "text/plain", run: (p, job) => (console.log("noise"), job.input.toString().toUpperCase()) },
  { name: "sum", version: "1", example: "values=1,2.5", flags: ["pure"], params: { values: { type: "values" } }, run: (p, job) => job.input.reduce((a, b) => a + b, 0) },
  { name: "types", version: "1", params: { x: { type: "number", default: 1 }, s: { type: "string", default: "z" }, j: { type: "json", default: null },
    c: { type: "choice", choices: ["a", "b"], default: "a" } }, run: (params) => params },
);
"""


@pytest.fixture(scope="module")
def node_kernels(tmp_path_factory):
    folder = tmp_path_factory.mktemp("node")
    shutil.copy(SDK / "node/prong.mjs", folder)
    (folder / "many.mjs").write_text(NODE_KERNELS)
    return folder


@needs_node
def test_node_offers_everything(node_kernels):
    cases = check(NODE, node_kernels / "many.mjs")
    done = {name for name, state in cases.items() if state == "ok"}
    assert {f"{k}: runs its example" for k in ("squares", "lines", "upper", "sum", "types")} <= done
    assert {f"{k}: gives the same answer again, however it is cut" for k in ("squares", "lines", "sum")} <= done
    assert "upper: answers raw input of 0, 1 and 1048576 bytes" in done
    assert "types: answers ERROR when a parameter is of the wrong type" in done


def test_sh_keeps_to_the_protocol():
    cases = check("/bin/sh", "sh/wordlength.sh")
    assert cases["wordlength: answers raw input of 0, 1 and 1048576 bytes"] == "ok", cases


@pytest.mark.parametrize("shell", ["dash", "bash", "busybox"])
def test_any_sh_will_do(shell):
    path = shutil.which(shell)
    if path is None:
        pytest.skip(f"{shell} is not installed")
    check(path, *(["sh"] if shell == "busybox" else []), "sh/wordlength.sh")


def test_they_are_short():
    """Whoever starts a new language reads them first."""
    lines = {path.name: len(path.read_text().splitlines()) for path in (SDK / "node/prong.mjs", SDK / "sh/wordlength.sh")}
    assert lines["prong.mjs"] <= 120 and lines["wordlength.sh"] <= 70


# ---- in a server ----------------------------------------------------------------------------------


def write(path, text):
    path.write_text(text)
    path.chmod(0o644)


def put(folder, *files):
    for file in files:
        shutil.copy(file, folder)
        (folder / file.name).chmod(0o755 if os.access(file, os.X_OK) else 0o644)


@pytest.fixture(scope="module")
def languages(shared_server, tmp_path_factory, node_kernels):
    """A server with all of them, and shared objects that are loaded and hosted."""
    folder = tmp_path_factory.mktemp("languages")
    folder.chmod(0o755)
    let_reach(folder)
    put(folder, *(SDK / "sh").iterdir(), DIR / "kernels/sum.so")
    if NODE is not None:
        put(folder, *(SDK / "node").iterdir(), node_kernels / "many.mjs")
        write(folder / "many.kernel", (SDK / "node/fib.kernel").read_text().replace("fib.mjs", "many.mjs"))
        write(folder / "many.mjs", NODE_KERNELS.replace('name: "sum"', 'name: "total"'))
    library = folder / "libraries"
    library.mkdir(mode=0o755)
    put(library, DIR / "kernels/mandelbrot.so", DIR / "kernels/primes.so", DIR / "kernels/map.so")
    write(folder / "mandelbrot.kernel", "[kernel]\nlibrary = libraries/mandelbrot.so\n")
    write(folder / "primes.kernel", "[kernel]\nlibrary = libraries/primes.so\ncopies = 1\n")
    write(folder / "map.kernel", "[kernel]\nlibrary = libraries/map.so\n")
    return shared_server(workers=2, kernels=folder)


@pytest.fixture(scope="module")
def loaded(shared_server):
    """The same kernels in the workers themselves."""
    return shared_server(workers=2)


def test_all_are_in_the_catalogue(languages):
    kernels = {k["name"]: k for k in languages.get("/compute").json["kernels"]}
    assert {"wordlength", "sha256", "sum", "mandelbrot", "primes", "map"} <= set(kernels)
    if NODE is not None:
        assert {"fib", "squares", "lines", "upper", "total", "types"} <= set(kernels)
        assert kernels["squares"]["splittable"] and not kernels["fib"]["splittable"]
    assert languages.warnings() == []


@needs_node
def test_node(languages):
    assert languages.get("/compute/fib").json == 832040
    assert languages.get("/compute/fib?n=1").json == 1
    assert languages.post("/compute/fib", {"n": 20}).json == 6765
    assert_problem(languages.get("/compute/fib?n=39"), 400, "bad-parameter", parameter="n")


@needs_node
def test_node_is_split(languages):
    expected = sum(i * i for i in range(1000))
    for chunks in (1, 2, 7, 16):
        assert languages.get("/compute/squares?n=1000", prong_chunks=chunks).json == expected
        assert languages.get("/compute/lines?n=20", prong_chunks=chunks).text == "".join(f"{i}\n" for i in range(20))


@needs_node
def test_node_takes_input(languages):
    body = random.Random(1).randbytes(300000).hex()
    answer = languages.post("/compute/upper", body, headers={"Content-Type": "text/plain"})
    assert answer.text == body.upper() and answer.headers["Content-Type"].startswith("text/plain")
    assert languages.post("/compute/total", {"values": [1, 2, 3.5]}).json == 6.5
    given = {"x": 2.5, "s": 'a"é', "j": {"k": [1, None]}, "c": "b"}
    assert languages.post("/compute/types", given).json == given


@needs_node
def test_node_sends_parts(languages):
    told = [(name, json.loads(data)) for name, data in events_of(languages.get("/compute/fib?n=10", accept="text/event-stream").text)]
    assert [data for name, data in told if name == "part"] == [
        {"fib": n, "is": fib} for n, fib in ((3, 2), (4, 3), (5, 5), (6, 8), (7, 13), (8, 21), (9, 34), (10, 55))
    ]
    assert told[-1][0] == "result" and told[-1][1]["result"] == 55


@needs_node
def test_node_stops_when_its_client_leaves(languages):
    languages.wait_idle()
    with languages.connect() as sock:
        sock.sendall(b"GET /compute/fib?n=38 HTTP/1.1\r\nHost: x\r\n\r\n")
        languages.wait_busy(1)
    languages.wait_idle()
    assert languages.get("/compute/fib?n=10").json == 55


def test_sh(languages):
    text = "To be, or not to be: that is the question.\n" * 20
    answer = languages.post("/compute/wordlength?at_least=3", text, headers={"Content-Type": "text/plain"})
    assert answer.status == 200 and answer.headers["Content-Type"] == "application/json", answer
    assert answer.json == {"3": 80, "4": 20, "9": 20}
    assert languages.get("/compute/wordlength").json == {}


def test_a_command_of_the_system(languages):
    for size in (0, 1, 100000, 3000000):
        body = random.Random(size).randbytes(size)
        answer = languages.post("/compute/sha256", body, headers={"Content-Type": "application/octet-stream"})
        assert answer.status == 200, answer
        assert answer.text.split() == [hashlib.sha256(body).hexdigest(), "-"]


def test_many_at_once(languages):
    def ask(i):
        body = str(i) * (i + 1)
        if i % 3 == 0:
            said = languages.post("/compute/sha256", body, headers={"Content-Type": "text/plain"}).text.split()[0]
            return said == hashlib.sha256(body.encode()).hexdigest()
        if i % 3 == 1:
            return languages.get(f"/compute/primes?limit={i + 2}").json["limit"] == i + 2
        return languages.post("/compute/wordlength", body, headers={"Content-Type": "text/plain"}).json == {str(len(body)): 1}

    with concurrent.futures.ThreadPoolExecutor(6) as pool:
        assert all(pool.map(ask, range(36)))


# ---- libraries in processes of their own ----------------------------------------------------------


@pytest.mark.parametrize(
    "target", ["mandelbrot?width=333&height=100&iterations=90", "primes?limit=3000000", "primes", "map?fn=sqrt&values=1,2,3", "map?fn=exp&values=[]"]
)
def test_a_hosted_library_answers_as_a_loaded_one(languages, loaded, target):
    for more in ({}, {"prong_chunks": 1}, {"prong_chunks": 5}):
        here, there = languages.get("/compute/" + target, **more), loaded.get("/compute/" + target, **more)
        assert here.status == there.status == 200, (here, there)
        assert here.body == there.body and here.headers["Content-Type"] == there.headers["Content-Type"]


def test_a_hosted_library_is_described_as_a_loaded_one(languages, loaded):
    here, there = ({k["name"]: k for k in s.get("/compute").json["kernels"]} for s in (languages, loaded))
    for name in ("mandelbrot", "primes"):
        assert here[name] == there[name]
    # A program may be sent fewer numbers than a worker.
    assert here["map"]["params"]["properties"]["values"].pop("maxItems") < there["map"]["params"]["properties"]["values"].pop("maxItems")
    assert here["map"] == there["map"]


def test_a_hosted_library_takes_raw_numbers(languages, loaded):
    body = struct.pack("<1000d", *(i / 100 for i in range(1000)))
    ask = {"headers": {"Content-Type": "application/octet-stream"}}
    here, there = (s.post("/compute/map?fn=exp", body, **ask) for s in (languages, loaded))
    assert here.status == 200 and here.body == there.body


def hosts_of(server):
    """{pid: name} of the processes that host a library."""
    found = {}
    for pid in descendants(server.pid):
        try:
            words = open(f"/proc/{pid}/cmdline", "rb").read().split(b"\0")
        except OSError:
            continue
        if words[0].endswith(b"prong-host"):
            found[pid] = os.path.basename(words[1]).decode()
    return found


def test_a_hosted_library_dies_alone(languages):
    """Its worker lives on, and the next request gets a new one."""
    assert languages.get("/compute/primes?limit=100").json["count"] == 25
    workers = languages.worker_pids()
    (host,) = [pid for pid, name in hosts_of(languages).items() if name == "primes.so"]
    os.kill(host, signal.SIGKILL)
    wait_until(lambda: not is_alive(host), "the host's end")
    assert languages.get("/compute/primes?limit=100").json["count"] == 25
    assert languages.worker_pids() == workers
    assert host not in hosts_of(languages)


def test_a_library_that_cannot_be_hosted_says_why(server, tmp_path):
    folder = tmp_path / "kernels"
    (folder / "libraries").mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    let_reach(folder)
    put(folder / "libraries", *((DIR / "test-kernels" / f"{name}.so") for name in ("init_fails", "selftest_fails", "no_entry")))
    for name in ("init_fails", "selftest_fails", "no_entry"):
        write(folder / f"{name}.kernel", f"[kernel]\nlibrary = libraries/{name}.so\n")
    put(folder, DIR / "kernels/echo.so")
    s = server(workers=1, kernels=folder)
    for words in ("Its init failed", "Two and two make five", "exports no prong_kernel_entry"):
        assert re.search(words, s.log), s.log
    assert s.get("/compute/echo").status == 200


@pytest.mark.skipif(SANITIZED, reason="the sanitizer's runtime is loaded first or not at all")
def test_a_hosted_library_that_crashes_says_how(server, tmp_path):
    folder = tmp_path / "kernels"
    (folder / "libraries").mkdir(parents=True, mode=0o755)
    folder.chmod(0o755)
    let_reach(folder)
    put(folder / "libraries", DIR / "kernels/fault.so")
    write(folder / "fault.kernel", "[kernel]\nlibrary = libraries/fault.so\n")
    s = server(workers=1, kernels=folder, is_faulty=True)
    workers = s.worker_pids()
    assert_problem(s.post("/compute/fault", {"mode": "segv"}), 502, "worker-died", signal_name="SEGV")
    assert s.worker_pids() == workers
