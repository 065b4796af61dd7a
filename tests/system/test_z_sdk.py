"""Kernels in Python, in a running server: what the SDK promises for them from end to end."""
import array
import pathlib
import signal
import sys
import tempfile

import pytest
from conftest import ROOT, assert_problem, run

sys.path.insert(0, str(ROOT / "src" / "sdk" / "python"))
import prong  # noqa: E402 # pylint: disable=wrong-import-position
from prong import errors  # noqa: E402 # pylint: disable=wrong-import-position

MATHS = '''
"""Sums and such."""
import os, signal, sys, time
from typing import Annotated, Any, Literal, Optional
from prong import Failed, Range, cancelled, emit, kernel, log, progress

@kernel(pure=True)
def fib(n: Annotated[int, Range(0, 90)] = 30) -> int:
    """The n-th Fibonacci number.

    Args:
        n: Which one.
    """
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a

@kernel(pure=True)
def echo_all(i: int, f: float, s: str, b: bool = False, c: Literal["x", "y"] = "x", o: Optional[int] = None, d: dict = {}) -> list:
    return [i, f, s, b, c, o, d]

@kernel(pure=True)
def total(values: list[float], times: int = 1) -> float:
    return times * sum(values)

@kernel(pure=True)
def upper(body: bytes) -> bytes:
    return body.upper()

@kernel(pure=True)
def greet(name: str = "you") -> str:
    return f"Hello, {name}!"

@kernel(pure=True, split=lambda text: text.split("|"), combine=sum)
def words(text: str) -> int:
    return len(text.split())

def ranges(limit: int = 40) -> list:
    return list(range(limit))

@kernel(split=ranges, idempotent=True)
def pids(piece):
    end = time.monotonic() + 0.02
    while time.monotonic() < end:
        pass
    return [piece, os.getpid()]

@kernel
def hurt(how: str, n: int = 0) -> Any:
    print("about to", how)
    if how == "raise":
        raise ValueError("n is odd")
    if how == "failed":
        raise Failed("The matrix is singular.")
    if how == "exit":
        os._exit(7)
    if how == "segv":
        os.kill(os.getpid(), signal.SIGSEGV)
    return n

@kernel
def stream(n: int = 3, pause: float = 0.0):
    for i in range(n):
        progress(i, n)
        time.sleep(pause)
        yield {"i": i}

@kernel
def wait_for_ever(how: str = "asks") -> str:
    progress(0, 2)
    while not (how == "asks" and cancelled()):
        time.sleep(0.001)
    return "stopped"
'''


@pytest.fixture(scope="module")
def folder():
    """Where whoever programs run as can reach it, which pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="prong-kernels-") as made:
        path = pathlib.Path(made)
        path.chmod(0o755)
        (path / "maths.py").write_text(MATHS)
        (path / "maths.py").chmod(0o644)
        yield path


@pytest.fixture(scope="module")
def s(shared_server, folder):
    """With the Python kernels."""
    made = shared_server(workers=2, kernels=folder, poison_deaths=0, brake_deaths=0)
    names = [kernel["name"] for kernel in made.get("/compute").json["kernels"]]
    assert "fib" in names, made.log
    return made


@pytest.fixture
def c(s):
    with prong.Client(s.url) as client:
        yield client


def test_function_is_an_endpoint(s):
    answer = s.get("/compute/fib?n=20")
    assert answer.status == 200 and answer.json == 6765 and answer.headers["Content-Type"] == "application/json"
    about = {kernel["name"]: kernel for kernel in s.get("/compute").json["kernels"]}["fib"]
    assert about["summary"] == "The n-th Fibonacci number." and about["pure"]
    assert about["params"]["properties"]["n"] == {"type": "integer", "description": "Which one", "minimum": 0, "maximum": 90, "default": 30}
    assert_problem(s.get("/compute/fib?n=91"), 400, "bad-parameter", parameter="n", maximum=90)


def test_arguments_and_results(c, s):
    assert c.compute("echo_all", i=3, f=2, s="ü", b=True, c="y", o=5, d={"k": [1]}) == [3, 2.0, "ü", True, "y", 5, {"k": [1]}]
    assert c.compute("echo_all", i=3, f=2.5, s="") == [3, 2.5, "", False, "x", None, {}]
    assert s.get("/compute/echo_all?i=1&f=2&s=x&b=true&o=7").json == [1, 2.0, "x", True, "x", 7, {}]
    assert c.compute("greet", name="Ada") == "Hello, Ada!"
    with pytest.raises(errors.BadRequest):
        c.compute("echo_all", i=3)


def test_raw_input(c):
    large = bytes(range(97, 123)) * 50000
    assert c.compute("upper", input=large) == large.upper()
    assert c.compute("total", values=[1, 2, 3.5], times=2) == 13.0
    assert c.compute("total", input=array.array("d", range(100000))) == sum(range(100000))
    with pytest.raises(errors.KernelFailed, match="wants input"):
        c.compute("upper")


def test_exception_is_an_answer(c, s):
    with pytest.raises(errors.KernelFailed, match="ValueError: n is odd") as raised:
        c.compute("hurt", how="raise")
    assert isinstance(raised.value, ValueError) and raised.value.status == 500
    with pytest.raises(errors.KernelFailed, match="^The matrix is singular.$"):
        c.compute("hurt", how="failed")
    s.wait_log("about to raise")


def test_death_is_told(c):
    with pytest.raises(errors.WorkerDied) as raised:
        c.compute("hurt", how="segv")
    assert raised.value.signal == signal.SIGSEGV
    with pytest.raises(errors.WorkerDied) as raised:
        c.compute("hurt", how="exit")
    assert raised.value.exit_code == 7
    assert c.compute("fib", n=10) == 55


def test_parts_and_progress_as_they_come(c, s):
    seen = list(c.events("stream", n=3, pause=0.03))
    assert [event.data for event in seen if event.name == "part"] == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert "progress" in [event.name for event in seen] and seen[-1].data.value == [{"i": 0}, {"i": 1}, {"i": 2}]
    assert s.post("/compute/stream", {"n": 2}).json == [{"i": 0}, {"i": 1}]


@pytest.mark.parametrize("how", ["asks", "never asks"])
def test_who_leaves_stops_the_work(c, s, how):
    listening = c.events("wait_for_ever", how=how)
    assert next(listening).name == "progress"
    listening.close()
    s.wait_idle()
    assert c.compute("fib", n=10) == 55


def test_deadline_stops_the_work(c, s):
    with pytest.raises(errors.DeadlinePassed):
        c.options(timeout=0.3).compute("wait_for_ever", how="never asks")
    s.wait_idle()


def test_split_work_is_spread_over_programs(c):
    assert c.compute("words", text="a b|c|d e f") == 6
    said = c.options(chunks=8).compute("pids")
    assert [piece for piece, _ in said] == list(range(40))
    assert len({pid for _, pid in said}) == 2


def test_durable_job(c):
    assert c.submit("fib", n=50).result(60) == 12586269025
    job = c.submit("hurt", how="segv", max_attempts=2).wait(60)
    assert job.state == "dead" and job.info["attempts"] == 2


def test_executor(c, folder):
    sys.path.insert(0, str(folder))
    try:
        import maths  # pylint: disable=import-outside-toplevel,import-error
    finally:
        sys.path.remove(str(folder))
    with prong.Executor(c) as pool:
        assert pool.submit(maths.fib, 20).result(60) == 6765
        assert pool.submit(maths.upper, b"abc").result(60) == b"ABC"
        assert list(pool.map(maths.fib, range(91))) == [maths.fib(n) for n in range(91)]
        assert list(pool.map("fib", [10] * 500)) == [55] * 500
        found = pool.map(maths.fib, [10, 91])
        assert next(found) == 55
        with pytest.raises(errors.KernelFailed, match="from 0 to 90; got 91"):
            next(found)


def test_executor_survives_deaths(c):
    with prong.Executor(c) as pool:
        futures = [pool.submit("hurt", how="segv" if n == 3 else "not", n=n) for n in range(8)]
        assert [isinstance(f.exception(60), errors.WorkerDied) for f in futures] == [n == 3 for n in range(8)]
        found = pool.map("hurt", ["not", "segv", "not"], [1, 2, 3], chunksize=3)
        assert next(found) == 1
        with pytest.raises(errors.WorkerDied):
            next(found)


def test_cancelled_future_stops_the_program(c, s):
    with prong.Executor(c) as pool:
        future = pool.submit("wait_for_ever", "never asks")
        s.wait_busy(1)
        assert future.running() and future.cancel()
        s.wait_idle()
        assert pool.submit("fib", 10).result(60) == 55


def test_package_installs(tmp_path):
    """Without a network: setuptools is all that it needs."""
    if run(sys.executable, "-c", "import setuptools, wheel, pip").returncode != 0:
        pytest.skip("pip, setuptools or wheel is not installed")
    source = tmp_path / "source"
    run("cp", "-r", ROOT / "src" / "sdk" / "python", source)
    made = run(sys.executable, "-m", "pip", "install", "--no-index", "--no-build-isolation", "--no-deps", "--target", tmp_path / "there", source, timeout=120)
    assert made.returncode == 0, made.stderr
    assert (tmp_path / "there" / "prong" / "py.typed").exists()
    said = run(sys.executable, "-c", "import prong; print(prong.__version__, prong.__file__)", env={"PYTHONPATH": str(tmp_path / "there")})
    assert str(tmp_path / "there") in said.stdout, said
