"""What workers are locked into, as seen from outside: /status, the options, and /proc of a worker."""
import os
import pathlib
import re

import pytest
from conftest import BUILD, PRONG, ROOT, assert_problem, clean_environment, run, wait_until

LAYERS = re.findall(r'^    "(\w+)",?$', re.sub(r", ", ",\n    ", re.search(
    r"names\[LAYERS_COUNT\] = \{\n(.*?)\};", (ROOT / "src/ipc/layers.c").read_text(), re.S).group(1)), re.M)
IS_ROOT = os.geteuid() == 0


def prong(*flags):
    return run(PRONG, "--listen", "127.0.0.1:0", "--store", "memory", *flags, env=clean_environment())


def proc_status(pid):
    lines = pathlib.Path(f"/proc/{pid}/status").read_text().splitlines()
    return {name: value.strip() for name, value in (line.split(":", 1) for line in lines)}


def locked_in(s):
    """A worker's /proc status, once it is through with its sandbox: seccomp is the last."""
    (pid,) = s.worker_pids("ordinary")
    wait_until(lambda: proc_status(pid)["Seccomp"] == "2", lambda: f"the filter to hold: {proc_status(pid)}")
    return pid, proc_status(pid)


def test_layers_are_read_by_this_test():
    assert len(LAYERS) == 7 and LAYERS[0] == "no_new_privs" and LAYERS[-1] == "cgroup"


def test_status_lists_the_layers(server):
    s = server(workers=1)
    sandbox = s.status()["sandbox"]
    assert sandbox["mode"] == "auto" and sandbox["user"] == "nobody"
    assert list(sandbox["layers"]) == LAYERS and set(map(type, sandbox["layers"].values())) == {bool}
    assert sandbox["layers"]["no_new_privs"] and sandbox["layers"]["limits"]
    assert sandbox["layers"]["landlock"] == (sandbox["landlock_abi"] > 0)
    assert sandbox["uid"] == os.geteuid() or IS_ROOT


def test_what_status_says_is_so(server):
    s = server(workers=1, express=0)
    layers, sandbox = s.status()["sandbox"]["layers"], s.status()["sandbox"]
    if not layers["seccomp"]:
        pytest.skip("no seccomp here")
    pid, worker = locked_in(s)
    assert worker["NoNewPrivs"] == "1"
    assert set(worker["Uid"].split()) == {str(sandbox["uid"])}
    assert int(worker["CapEff"], 16) == int(worker["CapPrm"], 16) == 0
    if layers["user"]:
        assert sandbox["uid"] != os.geteuid() and worker["Groups"] == ""
    if layers["network"] and IS_ROOT:
        assert os.readlink(f"/proc/{pid}/ns/net") != os.readlink("/proc/self/ns/net")


def test_off_is_off(server):
    s = server(workers=1, express=0, sandbox="off", enable_fault_kernel=True)
    sandbox = s.status()["sandbox"]
    assert sandbox["mode"] == "off" and sandbox["uid"] == os.geteuid()
    assert not any(sandbox["layers"].values())
    (pid,) = s.worker_pids()
    assert proc_status(pid)["Seccomp"] == proc_status(pid)["NoNewPrivs"] == "0"
    assert_problem(s.get("/compute/fault?mode=forbidden"), 500, "kernel-failed")


def test_one_layer_can_be_left_out(server):
    s = server(workers=1, express=0, sandbox_without="seccomp,network")
    layers = s.status()["sandbox"]["layers"]
    assert not layers["seccomp"] and not layers["network"] and layers["no_new_privs"]
    (pid,) = s.worker_pids()
    assert proc_status(pid)["Seccomp"] == "0"


def test_a_violation_is_explained(server):
    s = server(workers=1, express=0, enable_fault_kernel=True)
    if not s.status()["sandbox"]["layers"]["seccomp"]:
        pytest.skip("no seccomp here")
    problem = assert_problem(s.get("/compute/fault?mode=forbidden"), 502, "worker-died", signal=31, signal_name="SYS")
    assert "called the system in a way that its sandbox forbids" in problem["detail"]


@pytest.mark.skipif(BUILD in ("asan", "tsan"), reason="memory has no limit under a sanitizer")
def test_memory_is_limited(server):
    s = server(workers=1, express=0, enable_fault_kernel=True, worker_memory="300M", result_max="1M")
    problem = assert_problem(s.get("/compute/fault?mode=alloc"), 500, "kernel-failed")
    assert re.search(r"It took (1\d\d|2\d\d|30\d) MiB", problem["detail"]), problem


def test_every_kernel_computes_under_all_layers(server):
    s = server(workers=1)
    kernels = s.get("/compute").json["kernels"]
    assert len(kernels) >= 10
    for kernel in kernels:
        assert not kernel.get("broken"), kernel
        answer = s.ask("GET" if kernel["pure"] else "POST", kernel["example"])
        assert answer.status == 200, (kernel, answer)


@pytest.mark.parametrize(
    "flags,word",
    [
        (["--sandbox", "nonsense"], "--sandbox: The sandbox can be auto, strict or off, not 'nonsense'"),
        (["--sandbox-without", "seccomp,walls"], "--sandbox-without: The sandbox has no layer 'walls'"),
        (["--worker-memory", "much"], "--worker-memory"),
    ],
)
def test_bad_options(flags, word):
    ended = prong(*flags)
    assert ended.returncode == 64 and word in ended.stderr, ended


def test_strictly_all_or_nothing(server):
    """It starts where the system has all of it, or says in one sentence what is missing."""
    probe = server(workers=1)
    layers = probe.status()["sandbox"]["layers"]
    missing = [name for name in LAYERS if not layers[name] and name != "cgroup"]
    if missing:
        ended = prong("--sandbox", "strict")
        assert ended.returncode != 0 and f"The sandbox has no layer {missing[0]}." in ended.stderr, ended
    else:
        assert server(workers=1, sandbox="strict").status()["sandbox"]["mode"] == "strict"


def test_strictly_nothing_is_left_out():
    ended = prong("--sandbox", "strict", "--sandbox-without", "landlock")
    assert ended.returncode != 0, ended
    assert "A strict sandbox has all its layers, but landlock is to be left out" in ended.stderr


def test_a_user_that_does_not_exist():
    ended = prong("--sandbox-user", "no-such-user")
    assert ended.returncode != 0, ended
    assert "There is no user 'no-such-user'" in ended.stderr


@pytest.mark.skipif(not IS_ROOT, reason="takes root to become somebody else")
def test_who_is_not_root_has_the_other_layers(server, tmp_path):
    """Everything it needs belongs to it; nothing is to be had from root."""
    folder = tmp_path / "data"
    folder.mkdir()
    for path in [folder, *folder.parents][: len(folder.parts) - 2]:
        os.chmod(path, 0o755)
    os.chown(folder, 65534, 65534)
    s = server(workers=1, data=folder, before=["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"])
    sandbox = s.status()["sandbox"]
    assert sandbox["uid"] == 65534 and not sandbox["layers"]["user"] and not sandbox["layers"]["network"]
    assert sandbox["layers"]["no_new_privs"] and sandbox["layers"]["limits"] and sandbox["layers"]["seccomp"]
    assert s.get("/compute/primes?limit=100").json["count"] == 25
