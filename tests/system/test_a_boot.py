"""It starts, says where, and refuses what it cannot do with a sentence that names the option."""
import os
import re
import shutil
import socket
import subprocess

import pytest
from conftest import DIR, PRONG, ROOT, clean_environment, run

TEXT = (ROOT / "src/options.def").read_text()
OPTIONS = re.findall(r'^OPTION\((\w+), "([a-z-]+)", (\w+), "([^"]*)", (\d+), (\d+),', TEXT, re.M)
UNITS = {"SECONDS", "COUNT", "BYTES"}


def prong(*flags, **env):
    return run(PRONG, *flags, env=clean_environment(**env))


def assert_refused(ended, word, status=64):
    assert ended.returncode == status, ended
    said = [line for line in ended.stderr.splitlines() if word in line]
    assert said, f"nothing names {word}: {ended.stderr}"


def test_options_def_is_read_by_this_test():
    assert len(OPTIONS) == len(re.findall(r"^OPTION\(", TEXT, re.M)) > 20


def test_help_lists_every_option():
    ended = prong("--help")
    assert ended.returncode == 0 and ended.stderr == ""
    for _, name, _, default, _, _ in OPTIONS:
        line = re.search(rf"^\s+--{name}( .*)?$", ended.stdout, re.M)
        assert line, f"--{name} is not in --help"
        if default:
            rest = ended.stdout[line.start() :].split("\n  --", 1)[0]
            assert f"(default: {default})" in re.sub(r"\s+", " ", rest), f"--{name} without its default"


def test_help_fits_a_terminal():
    assert max(len(line.rstrip()) for line in prong("--help").stdout.splitlines()) <= 100


def test_version():
    ended = prong("--version")
    assert ended.returncode == 0
    assert re.match(r"prong \d+\.\d+\.\d+\n", ended.stdout)
    assert "libmicrohttpd" in ended.stdout


def test_port_0_takes_a_free_one(server):
    s = server()
    assert s.address[1] > 0
    assert s.get("/livez").text == "ok\n"


def test_two_servers_side_by_side(server):
    a, b = server(workers=1), server(workers=1)
    assert a.address != b.address
    assert a.get("/readyz").status == b.get("/readyz").status == 200


def test_defaults_count_the_cores(server):
    s = server()
    cores = len(os.sched_getaffinity(0))
    assert 1 <= len(s.workers("ordinary")) <= cores
    assert len(s.workers("express")) == 1


def test_no_express(server):
    assert server(workers=1, express=0).worker_pids("express") == set()


def test_runs_from_elsewhere_and_writes_nothing_there(server, tmp_path, monkeypatch):
    folder = tmp_path / "cwd"
    folder.mkdir()
    monkeypatch.chdir(folder)
    s = server(workers=1, env={"HOME": folder, "XDG_STATE_HOME": folder, "TMPDIR": folder})
    assert s.get("/compute/echo").status == 200
    s.stop()
    assert list(folder.iterdir()) == []


def test_hints(server):
    s = server("--hints", workers=1)
    s.wait_log("curl .*" + re.escape(s.url))


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6")
def test_ipv6(server):
    try:
        socket.create_server(("::1", 0), family=socket.AF_INET6).close()
    except OSError:
        pytest.skip("no ::1 here")
    s = server("--listen", "[::1]:0", workers=1)
    assert s.get("/livez").status == 200


@pytest.mark.parametrize("name,kind,low,high", [(o[1], o[2], int(o[4]), int(o[5])) for o in OPTIONS if o[2] in UNITS])
def test_out_of_bounds(name, kind, low, high):
    for bad in [str(high + 1), "x", "", "-1", "1e3x", "99999999999999999999999"] + ([str(low - 1)] if low > 0 else []):
        assert_refused(prong(f"--{name}={bad}"), f"--{name}")


@pytest.mark.parametrize(
    "flags,word",
    [
        (["--nope"], "--nope"),
        (["--workers"], "--workers"),
        (["--log-level", "loud"], "--log-level"),
        (["--listen", ""], "--listen"),
        (["--json-max", "1Q"], "--json-max"),
        (["--json-max", "999999999999G"], "--json-max"),
        (["word"], "word"),
        (["--www", "/nonexistent"], "--www"),
        (["--kernels", "/nonexistent"], "--kernels"),
    ],
)
def test_bad_options(flags, word):
    assert_refused(prong(*flags), word)


@pytest.mark.parametrize("where", ["nonsense", "127.0.0.1", "127.0.0.1:99999", ":80", "127.0.0.1:-1", "::1:80"])
def test_bad_listen(where):
    assert_refused(prong("--listen", where), where)


def test_one_line_of_complaint():
    assert len(prong("--workers", "0").stderr.splitlines()) == 1


def test_environment(server):
    s = server(env={"PRONG_WORKERS": 3, "PRONG_EXPRESS": 0})
    assert len(s.workers()) == 3


def test_flag_beats_environment(server):
    assert len(server(workers=1, env={"PRONG_WORKERS": 3}).workers("ordinary")) == 1


def test_flag_of_the_environment_may_be_0(server):
    s = server(workers=1, env={"PRONG_HINTS": 0})
    assert "curl" not in s.log


@pytest.mark.parametrize("name,value", [("PRONG_WORKERS", "many"), ("PRONG_HINTS", "yes"), ("PRONG_JSON_MAX", "0")])
def test_bad_environment(name, value):
    assert_refused(prong(**{name: value}), name[6:].lower().replace("_", "-"))


def test_port_taken(server):
    s = server(workers=1)
    ended = prong("--listen", f"127.0.0.1:{s.address[1]}", "--workers", "1")
    assert_refused(ended, str(s.address[1]), 69)
    assert s.get("/livez").status == 200


def test_an_address_that_others_reach_needs_insecure():
    ended = prong("--listen", "0.0.0.0:0", "--workers", "1")
    assert_refused(ended, "--insecure", 69)


def test_no_kernel_at_all(server, tmp_path):
    empty = tmp_path / "kernels"
    empty.mkdir()
    s = server(kernels=empty, workers=1)
    assert s.get("/compute").json == {"kernels": []}
    assert s.get("/compute/echo").status == 404


def test_a_file_that_is_no_kernel_is_left_out_and_told(server, tmp_path):
    folder = tmp_path / "kernels"
    folder.mkdir()
    shutil.copy(DIR / "kernels/echo.so", folder)
    (folder / "broken.so").write_text("this is no ELF")
    s = server(kernels=folder, workers=1)
    assert [k["name"] for k in s.get("/compute").json["kernels"]] == ["echo"]
    s.wait_log(r"broken\.so")


def test_fault_is_not_there_unless_asked_for(server):
    s = server(workers=1)
    assert "fault" not in [k["name"] for k in s.get("/compute").json["kernels"]]
    assert s.post("/compute/fault", {"mode": "exit"}).status == 404


def test_help_to_a_closed_pipe_is_an_error():
    with open("/dev/full", "w", encoding="ascii") as full:
        code = subprocess.run([PRONG, "--help"], stdout=full, stderr=subprocess.DEVNULL, check=False).returncode
    assert code == 1
