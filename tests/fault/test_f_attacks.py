"""What a hostile kernel tries, in C and as a program: each is named in its answer, and costs nobody else anything."""
import pathlib
import shutil
import socket
import subprocess

import pytest
from conftest import ROOT, SANITIZED, assert_problem, descendants, open_fds, wait_until

KERNELS = pathlib.Path(__file__).parent / "kernels"
FORBIDDEN = "not permitted|Permission denied|temporarily unavailable|can't start new thread|No such file|not supported"

# mode: the statuses that it may have, and what the answer says. A signal is told as such.
ATTACKS = {
    "segv": ((502,), {"signal_name": "SEGV"}),
    "abort": ((502,), {"signal_name": "ABRT"}),
    "exit": ((502,), {"exit_code": 0}),
    "loop": ((504,), {}),
    "output": ((500,), {}),
    "stdout": ((504,), {}),
    "alloc": ((500, 502), {}),
    "forkbomb": ((500,), {}),
    "threadbomb": ((500,), {}),
    "passwd": ((500,), {}),
    "connect": ((500,), {}),
    "trace": ((500, 502), {}),
    "kill": ((500,), {}),
    "www": ((500,), {}),
    "garbage": ((502,), {}),
    "other_job": ((502,), {}),
    "length": ((500, 502), {}),
    "fds": ((500, 502), {}),
    "memfd": ((500, 502), {}),
    "close3": ((502,), {}),
    "exec": ((500, 502), {}),
    "setuid": ((500, 502), {}),
    "writable_code": ((200, 500, 502), {}),
}
ONLY_PROGRAMS = {"stdout", "other_job", "length"}


def compile_kernel(source, target):
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O1", "-D_GNU_SOURCE", f"-I{ROOT}/include", str(source), "-o", str(target), "-pthread"], check=True
    )
    target.chmod(0o644)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Kernels' directories, one for each kind of attacker, that a sandboxed process can reach."""
    made = tmp_path_factory.mktemp("attacks")
    for kind in ("c", "program"):
        (made / kind).mkdir()
    compile_kernel(KERNELS / "attack.c", made / "c/attack.so")
    compile_kernel(ROOT / "src/kernel/builtin/echo.c", made / "echo.so")
    compile_kernel(ROOT / "src/kernel/builtin/sleep.c", made / "sleep.so")
    shutil.copy(KERNELS / "attack.py", made / "program/attack.py")
    for kind in ("c", "program"):
        for so in ("echo.so", "sleep.so"):
            shutil.copy(made / so, made / kind / so)
    for path in (made, *made.parents):
        if path.stat().st_uid == 0 and path != path.parent and str(path) != "/tmp":
            path.chmod(path.stat().st_mode | 0o055)
    return made


@pytest.fixture(scope="module", params=["c", "program"])
def attacked(request, folder, shared_server):
    s = shared_server(
        workers=2, kernels=folder / request.param, brake_deaths=0, poison_deaths=0, result_max="4M", worker_memory="2G", is_faulty=True,
        errors="."
    )
    s.kind = request.param
    return s


class Watch:
    """What must be the same after an attack."""

    def __init__(self, s):
        self.s = s
        self.kept = s.client()
        self.other = s.later("GET", "/compute/sleep?seconds=0.3")
        self.kept.get("/compute/echo")
        self.server_fds = len(open_fds(s.pid))
        self.zygote = s.status()["zygote_pid"]

    def assert_untouched(self):
        answer = self.other.result()
        assert answer.status == 200, answer
        assert self.kept.get("/compute/echo?message=next").json == {"message": "next"}
        self.kept.close()
        self.s.wait_idle()
        self.s.wait_workers()
        assert self.s.status()["zygote_pid"] == self.zygote
        wait_until(lambda: len(open_fds(self.s.pid)) <= self.server_fds, "no descriptor leaked")
        self.s.assert_no_zombies()


@pytest.fixture
def listener():
    """A listener of our own on loopback, which must see nothing."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        sock.setblocking(False)
        yield sock
        with pytest.raises(BlockingIOError):
            sock.accept()


@pytest.mark.parametrize("mode", ATTACKS)
def test_attack(attacked, mode, listener, folder):
    if attacked.kind == "c" and mode in ONLY_PROGRAMS:
        pytest.skip("a program's channel is attacked")
    if SANITIZED and mode == "alloc":
        pytest.skip("a sanitizer's shadow alone passes every limit of memory")
    statuses, fields = ATTACKS[mode]
    target = folder / "written-by-an-attack"
    watch = Watch(attacked)
    timeout = 1 if statuses == (504,) else 20
    answer = attacked.post(
        "/compute/attack", {"mode": mode, "port": listener.getsockname()[1], "path": str(target)}, prong_timeout=timeout
    )
    assert answer.status in statuses, answer
    if answer.status != 200:
        assert_problem(answer, answer.status, {500: "kernel-failed", 502: "worker-died", 504: "deadline"}[answer.status], **fields)
    watch.assert_untouched()
    assert not target.exists()


@pytest.mark.parametrize("mode", ["forkbomb", "threadbomb", "passwd", "connect", "www", "exec"])
def test_the_sandbox_says_no(attacked, mode, listener, folder):
    """Refused by the system in its own words, not for another reason."""
    if attacked.kind == "program" and mode == "exec":
        pytest.skip("a program may become another one, in the same sandbox")
    answer = attacked.post(
        "/compute/attack", {"mode": mode, "port": listener.getsockname()[1], "path": str(folder / "written")}, prong_timeout=20
    )
    problem = assert_problem(answer, 500, "kernel-failed")
    assert any(word in problem["detail"] for word in FORBIDDEN.split("|")), problem
