"""A disk that is full or cannot be written, and a clock that jumps: nothing is acknowledged that is not kept."""
import contextlib
import os
import pathlib
import sqlite3
import time

import pytest
from conftest import BUILD, PRONG, SANITIZED, assert_problem, clean_environment, run, wait_until
from test_d_durable import assert_integrity, submit, wait_ended

# A file system of the server's own, which ends with it.
UNSHARE = ["unshare", "--mount"] if os.geteuid() == 0 else ["unshare", "--map-root-user", "--mount"]


def on_tmpfs(folder, size):
    return [*UNSHARE, "sh", "-c", f'mount -t tmpfs -o size={size} none "{folder}" && exec "$0" "$@"']


FULL = r"disk is full|No space left on device"


class SmallDisk:
    """What fills the server's disk besides its own data, and can be taken away."""

    def __init__(self, s):
        self.path = f"/proc/{s.pid}/root{s.data}/other"

    def take(self, size):
        with open(self.path, "wb") as f:
            f.write(b"x" * size)

    def take_all_but(self, left):
        """`left` bytes are free then."""
        st = os.statvfs(os.path.dirname(self.path))
        self.take(st.f_bavail * st.f_bsize - left)

    def give_back(self):
        os.unlink(self.path)


def test_a_full_disk_refuses_and_recovers(server, tmp_path):
    data = tmp_path / "small"
    data.mkdir()
    s = server(workers=1, express=0, data=data, before=on_tmpfs(data, "4m"), errors=FULL)
    disk = SmallDisk(s)
    disk.take(1 << 20)
    kept, refused = {}, None
    for n in range(200):
        answer = s.ask("PUT", f"/state/key{n}", ["x" * 60000])
        if answer.status >= 300:
            refused = answer
            break
        kept[f"key{n}"] = answer.json["version"]
    assert_problem(refused, 507, "no-room")
    assert kept
    assert s.get(f"/state/key{len(kept)}").status == 404, "what was refused must not be there"
    assert_problem(s.post("/jobs", {"kernel": "echo", "params": {"message": "y" * 60000}}), 507, "no-room")
    assert s.get("/jobs").json["jobs"] == []
    assert s.get("/compute/echo").status == 200, "computing needs no disk"
    for key, version in kept.items():
        assert s.get(f"/state/{key}").json["version"] == version
    disk.give_back()
    assert wait_ended(s, submit(s, "echo", {"message": "z" * 1000}))["state"] == "succeeded"
    assert s.ask("PUT", "/state/again", 1).status == 201
    assert s.ask("DELETE", "/state/key0").status == 204


def test_a_result_waits_for_room(server, tmp_path):
    """A job that has run is not lost because its result cannot be written at once."""
    data = tmp_path / "small"
    data.mkdir()
    s = server(workers=1, express=0, data=data, before=on_tmpfs(data, "8m"), errors=FULL)
    values = [0.5] * 200000
    job = s.post("/jobs", {"kernel": "sleep", "params": {"seconds": 0.5}})
    waiting = s.post("/jobs", {"kernel": "map", "params": {"fn": "exp", "values": values}})
    assert job.status == waiting.status == 202
    disk = SmallDisk(s)
    disk.take_all_but(200000)  # enough for a claim, not for the result
    s.wait_log("cannot be written yet")
    assert s.get(f"/jobs/{waiting.json['id']}").json["state"] == "running"
    disk.give_back()
    assert wait_ended(s, waiting.json["id"])["state"] == "succeeded"
    assert len(s.get(f"/jobs/{waiting.json['id']}/result").json) > 0


def start_fails(data, *more, before=()):
    ended = run(*before, PRONG, "--listen", "127.0.0.1:0", "--workers", "1", "--data", data, *more, env=clean_environment())
    assert ended.returncode not in (0, -6, -11), ended
    return ended.stderr


def test_a_folder_that_cannot_be_written_is_refused(server):
    s = server(workers=1)
    assert s.ask("PUT", "/state/a", 1).status == 201
    s.stop()
    read_only = [*UNSHARE, "sh", "-c", f'mount --bind "{s.data}" "{s.data}" && mount -o remount,bind,ro "{s.data}" && exec "$0" "$@"']
    said = start_fails(s.data, before=read_only)
    assert str(s.data) in said and "make its folder writable" in said, said
    s = server(workers=1, data=s.data)
    assert s.get("/state/a").json["value"] == 1


def test_one_server_for_one_store(server):
    s = server(workers=1)
    said = start_fails(s.data)
    assert str(s.data) in said and "another" in said, said
    assert s.ask("PUT", "/state/a", 1).status == 201


def test_a_newer_store_is_refused(server):
    s = server(workers=1)
    s.stop()
    with contextlib.closing(sqlite3.connect(s.data / "prong.db")) as db:
        (version,) = db.execute("PRAGMA user_version").fetchone()
        db.execute(f"PRAGMA user_version = {version + 1}")
    assert "newer" in start_fails(s.data)


@pytest.mark.parametrize("damage", ["rubbish", "cut"])
def test_a_damaged_store_is_refused(server, damage):
    s = server(workers=1)
    for n in range(50):
        assert s.ask("PUT", f"/state/key{n}", ["x" * 1000]).status == 201
    s.stop()
    path = s.data / "prong.db"
    with open(path, "r+b") as f:
        if damage == "rubbish":
            f.write(b"\x5a" * 4096)
        else:
            f.truncate(6000)
    said = start_fails(s.data)
    assert str(path) in said, said


# ---- the clock ------------------------------------------------------------------------------------


class Clock:
    """The server's wall clock, which the test sets."""

    def __init__(self, folder):
        self.path, self.library = folder / "clock", folder / "clock.so"
        source = pathlib.Path(__file__).with_name("clock.c")
        built = run(os.environ.get("CC", "cc"), "-D_GNU_SOURCE", "-shared", "-fPIC", "-O1", "-o", self.library, source, "-ldl")
        assert built.returncode == 0, built.stderr
        self.jump(0)

    def jump(self, seconds):
        new = self.path.with_suffix(".new")
        new.write_text(f"{seconds:+d}")
        os.replace(new, self.path)

    @property
    def env(self):
        return {"LD_PRELOAD": self.library, "CLOCK_FILE": self.path}


needs_clock = pytest.mark.skipif(SANITIZED, reason=f"the runtime of {BUILD} does not bear another preloaded library")


@needs_clock
@pytest.mark.parametrize("jump", [3600, -3600])
def test_the_clock_jumps_while_jobs_wait_and_run(server, tmp_path, jump):
    clock = Clock(tmp_path)
    s = server(workers=1, express=0, enable_fault_kernel=True, brake_deaths=0, job_backoff=0.5, env=clock.env)
    running = submit(s, "sleep", {"seconds": 3}, timeout=600)
    wait_until(lambda: s.get(f"/jobs/{running}").json["state"] == "running", "it to run")
    waiting = submit(s, "echo", deadline=600, priority="low")
    crashing = submit(s, "fault", {"mode": "segv"}, max_attempts=3, priority="low")
    clock.jump(jump)
    assert abs(s.get(f"/jobs/{running}").json["created"] - time.time()) < 600
    assert wait_ended(s, running)["state"] == "succeeded"
    assert wait_ended(s, waiting)["state"] == "succeeded"
    dead = wait_ended(s, crashing)
    assert dead["state"] == "dead" and len(dead["history"]) == 3
    job = wait_ended(s, submit(s, "echo"))
    assert job["created"] <= job["started"] <= job["finished"]


@needs_clock
@pytest.mark.parametrize("jump", [3600, -3600])
def test_the_clock_jumps_between_two_servers(server, tmp_path, jump):
    clock = Clock(tmp_path)
    options = {"workers": 1, "express": 0, "enable_fault_kernel": True, "brake_deaths": 0, "job_backoff": 2, "env": clock.env}
    s = server(**options)
    done = wait_ended(s, submit(s, "echo"))
    running = submit(s, "sleep", {"seconds": 0.3}, timeout=600)
    crashing = submit(s, "fault", {"mode": "segv"}, max_attempts=2)
    wait_until(lambda: s.get(f"/jobs/{crashing}").json["attempts"] == 1, "its first attempt")
    s.crash()
    clock.jump(jump)
    s = server(data=s.data, **options)
    assert wait_ended(s, running)["state"] == "succeeded"
    dead = wait_ended(s, crashing)
    assert dead["state"] == "dead" and dead["attempts"] == 2
    assert s.get(f"/jobs/{done['id']}").json["finished"] == done["finished"]
    assert s.get(f"/jobs/{done['id']}/result").status == 200
    new = submit(s, "echo")
    assert wait_ended(s, new)["state"] == "succeeded"
    assert s.get("/jobs?limit=1").json["jobs"][0]["id"] == new, "the list is in the order of submission, whatever the clock says"
    s.stop()
    assert_integrity(s.data)
