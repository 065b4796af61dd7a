"""Kernels loaded anew while the server serves: what is new goes to the new ones, what runs ends where it began."""
import base64
import collections
import contextlib
import json
import os
import re
import shutil
import signal
import subprocess
import threading
import time

import pytest
from conftest import DIR, PRONG, ROOT, SANITIZED, assert_problem, descendants, events_of, fewer, open_fds, processes, read_answer, run, wait_until

# Each unit is the letter MARK, so an answer tells whose code made which part of it; a raw body is said again behind it.
SOURCE = """
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "prong/kernel.h"

#ifndef VERSION
#define VERSION "1"
#endif
#ifndef FLAGS
#define FLAGS PRONG_PURE | PRONG_IDEMPOTENT
#endif

static const struct prong_param params[] = {
    PRONG_PARAM_INT("count", 0, 100000, 1, "How many"),
    PRONG_PARAM_INT("pause_ms", 0, 60000, 0, "How long each takes"),
#ifdef MORE
    PRONG_PARAM_INT("more", 0, 9, 7, "Another one"),
#endif
};

static int plan(struct prong_ctx *c, struct prong_work *work)
{
    *work = (struct prong_work) {.units = (uint64_t)prong_int(c, 0), .unit_cost = 1.0};
    return 0;
}

static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    struct prong_buf in;

#ifdef CRASH
    abort();
#endif
    if (prong_input(c, &in) == PRONG_INPUT_RAW)
        return prong_write(c, MARK, 1) != 0 || prong_write(c, in.data, in.size) != 0 ? -1 : 0;
    for (uint64_t i = lo; i < hi; i++) {
        for (int64_t ms = 0; ms < prong_int(c, 1); ms += 5) {
            if (prong_progress(c, i - lo, hi - lo) != 0)
                return 0;
            (void)poll(NULL, 0, 5);
        }
        if (prong_write(c, MARK, 1) != 0)
            return -1;
    }
    return 0;
}

static const char *selftest(void *state)
{
    (void)state;
#ifdef BROKEN
    return "Two and two make five.";
#else
    return NULL;
#endif
}

/* Holds the zygote up for as long as the environment says. */
static int init(const struct prong_host *host, void **state)
{
    (void)host, (void)state;
#ifdef SLOW_MS
    (void)poll(NULL, 0, SLOW_MS);
#endif
    return 0;
}

static const struct prong_kernel kernel = {
    .size = sizeof(kernel),
    .abi_major = PRONG_ABI_MAJOR,
    .flags = FLAGS,
    .name = NAME,
    .version = VERSION,
    .media_type = "text/plain",
    .takes_raw = 1,
    .params = params,
    .param_count = sizeof(params) / sizeof(params[0]),
    .init = init,
#ifndef WHOLE
    .plan = plan,
#endif
    .map = map,
    .selftest = selftest,
};

PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)major, (void)minor;
    (void)plan;
    return &kernel;
}
"""
EXPECTED_ERRORS = "are not loaded anew|is broken|ended before|is left out|no kernel is loaded"


class Folder:
    """A directory of kernels, changed by renaming, as whoever changes what is in use should."""

    def __init__(self, tmp_path, *builtins):
        self.path, self.store = tmp_path / "kernels", tmp_path / "made"
        self.path.mkdir()
        self.store.mkdir()
        for name in builtins:
            shutil.copy(DIR / "kernels" / f"{name}.so", self.path)
            (self.path / f"{name}.so").chmod(0o600)

    def make(self, name, mark, **defines):
        """Compiles what `put` would put there."""
        words = {"NAME": name, "MARK": mark, **defines}
        made = self.store / "-".join(f"{k}={v}" for k, v in words.items()).replace("/", "")
        if not made.exists():
            flags = [f"-D{k}" if v is True else f'-D{k}="{v}"' if isinstance(v, str) else f"-D{k}={v}" for k, v in words.items()]
            source = self.store / "kernel.c"
            source.write_text(SOURCE)
            command = ["cc", "-shared", "-fPIC", "-I", str(ROOT / "include"), *flags, "-o", str(made), str(source)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return made

    def put(self, name, mark, **defines):
        """`defines`: C macros; True for one without a value, text for a string."""
        shutil.copy(self.make(name, mark, **defines), self.store / "next.so")
        (self.store / "next.so").chmod(0o600)
        os.rename(self.store / "next.so", self.path / f"{name}.so")

    def remove(self, name):
        (self.path / f"{name}.so").unlink()


@pytest.fixture
def folder(tmp_path):
    return Folder(tmp_path, "echo", "sleep")


def reload(s, status=200):
    answer = s.post("/kernels/reload")
    assert answer.status == status, answer
    return answer.json


def wait_settled(s):
    """No reload is under way, and nothing is left of the last."""
    wait_until(lambda: s.status()["reload"] is None, lambda: f"settled: {s.status()}")


def generations(s):
    return collections.Counter(w["generation"] for w in s.status()["workers"])


def zygotes(s):
    return {pid for pid, (name, state, parent) in processes().items() if parent == s.pid and "zygote" in name and state != "Z"}


def names(s):
    return [k["name"] for k in s.get("/compute").json["kernels"]]


def described(s, name):
    return next(k for k in s.get("/compute").json["kernels"] if k["name"] == name)


# ---- what it takes over ---------------------------------------------------------------------------


def test_the_folder_is_taken_as_it_is(server, folder):
    folder.put("a", "A")
    folder.put("b", "A")
    folder.put("c", "A")
    s = server(workers=2, kernels=folder.path)
    before = s.status()
    assert before["generation"] == 1 and before["reload"] is None and generations(s) == {1: 3}
    folder.put("a", "B", VERSION="2")
    folder.remove("b")
    folder.put("d", "B")
    told = reload(s)
    assert told == {
        "generation": 2, "kernels": ["a", "c", "d", "echo", "sleep"], "changed": ["a"], "added": ["d"], "removed": ["b"], "refused": [],
    }
    assert names(s) == told["kernels"] and described(s, "a")["version"] == "2"
    assert [s.get(f"/compute/{x}").text for x in "acd"] == ["B", "A", "B"]
    assert_problem(s.get("/compute/b"), 404, "no-such-kernel")
    wait_settled(s)
    after = s.status()
    assert after["generation"] == 2 and after["zygote_pid"] != before["zygote_pid"]
    s.wait_workers()
    assert generations(s) == {2: 3}
    assert not {w["pid"] for w in before["workers"]} & {w["pid"] for w in after["workers"]}
    wait_until(lambda: zygotes(s) == {after["zygote_pid"]}, "the old zygote has ended")
    s.wait_log("generation 2 serves 5 .1 changed, 1 added, 1 removed")


def test_other_code_under_the_same_description_is_taken(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path)
    assert s.get("/compute/a").text == "A"
    folder.put("a", "B")
    assert reload(s)["changed"] == []
    assert s.get("/compute/a").text == "B"


def test_what_other_code_has_answered_is_not_given(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path, cache_max="1M")

    def ask():
        answer = s.get("/compute/a?count=3")
        return answer.headers["Prong-Cache"], answer.text

    assert [ask(), ask()] == [("miss", "AAA"), ("hit", "AAA")]
    folder.put("a", "B")
    assert reload(s)["changed"] == []
    assert [ask(), ask()] == [("miss", "BBB"), ("hit", "BBB")]


def test_what_a_mended_kernel_did_is_forgotten(server, folder):
    folder.put("a", "A", CRASH=True)
    s = server(workers=2, kernels=folder.path, is_faulty=True, retries=0, brake_deaths=3)
    assert [s.get("/compute/a?count=1").status for _ in range(3)] == [502, 502, 422]
    assert [s.get(f"/compute/a?count={n}").status for n in (2, 3)] == [502, 503]
    folder.put("a", "A")
    reload(s)
    assert [s.get(f"/compute/a?count={n}").text for n in (1, 2, 3)] == ["A", "AA", "AAA"]


def test_another_description_is_another_form(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path)
    assert "more" not in described(s, "a")["params"]["properties"]
    assert_problem(s.get("/compute/a?more=1"), 400, "bad-parameter", parameter="more")
    folder.put("a", "B", MORE=True)
    assert reload(s)["changed"] == ["a"]
    assert described(s, "a")["params"]["properties"]["more"]["maximum"] == 9
    assert s.get("/compute/a?more=1&count=2").text == "BB"
    folder.put("a", "A")
    assert reload(s)["changed"] == ["a"]
    assert_problem(s.get("/compute/a?more=1"), 400, "bad-parameter", parameter="more")


def test_indices_may_all_be_others(server, folder):
    folder.put("m", "M")
    s = server(workers=1, kernels=folder.path)
    assert s.get("/compute/m").text == "M"
    folder.put("a", "A")  # before all the others
    reload(s)
    assert (s.get("/compute/m").text, s.get("/compute/a").text) == ("M", "A")
    assert s.get("/compute/echo?message=x").json == {"message": "x"}
    folder.remove("a")
    reload(s)
    assert s.get("/compute/m").text == "M"


# ---- what it refuses ------------------------------------------------------------------------------


def test_a_broken_kernel_leaves_all_as_it_was(server, folder):
    folder.put("a", "A")
    folder.put("b", "A")
    s = server(workers=2, kernels=folder.path, errors=EXPECTED_ERRORS)
    before, pids = s.status(), s.worker_pids()
    folder.put("a", "B", BROKEN=True)
    folder.put("b", "B")
    answer = s.post("/kernels/reload")
    problem = assert_problem(answer, 422, "reload-failed", generation=1, kernels=["a", "b", "echo", "sleep"])
    assert "Kernel a" in problem["detail"] and "Two and two make five." in problem["detail"], problem
    assert [s.get(f"/compute/{x}").text for x in "ab"] == ["A", "A"]
    after = s.status()
    assert after["generation"] == 1 and after["reload"] is None and after["zygote_pid"] == before["zygote_pid"]
    assert s.worker_pids() == pids
    wait_until(lambda: zygotes(s) == {before["zygote_pid"]}, "no other zygote")
    s.wait_log("not loaded anew, generation 1 serves on: Kernel a, which works now, is broken: Two and two make five.")
    folder.put("a", "B")
    assert reload(s)["generation"] == 3
    assert [s.get(f"/compute/{x}").text for x in "ab"] == ["B", "B"]


def test_a_new_kernel_that_is_broken_breaks_nothing(server, folder):
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    folder.put("a", "A", BROKEN=True)
    told = reload(s)
    assert told["refused"] == [{"kernel": "a", "reason": "Two and two make five."}] and told["added"] == ["a"]
    assert_problem(s.get("/compute/a"), 503, "kernel-disabled")
    folder.put("a", "A")
    assert reload(s)["changed"] == ["a"]
    assert s.get("/compute/a").text == "A"
    folder.put("a", "A", BROKEN=True)
    assert_problem(s.post("/kernels/reload"), 422, "reload-failed")


def test_without_any_kernel_it_is_none(server, folder):
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    folder.path.rename(folder.path.parent / "away")
    assert "no kernel" in assert_problem(s.post("/kernels/reload"), 422, "reload-failed", generation=1)["detail"]
    folder.path.mkdir()
    assert_problem(s.post("/kernels/reload"), 422, "reload-failed", kernels=["echo", "sleep"])
    assert s.get("/compute/echo?message=x").status == 200


def test_a_zygote_that_dies_on_its_way_changes_nothing(server, folder):
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    old = s.status()["zygote_pid"]
    folder.put("slow", "S", SLOW_MS=60000)
    waiting = s.later("POST", "/kernels/reload")
    new = wait_until(lambda: zygotes(s) - {old}, "another zygote").pop()
    assert s.status()["reload"]["state"] == "loading"
    os.kill(new, signal.SIGKILL)
    assert "ended before it was ready" in assert_problem(waiting.result(), 422, "reload-failed")["detail"]
    assert s.status()["zygote_pid"] == old and s.get("/compute/echo?message=x").status == 200


def test_a_zygote_that_takes_too_long_is_given_up(server, folder):
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    old = s.status()["zygote_pid"]
    folder.put("slow", "S", SLOW_MS=2000)
    waiting = s.later("POST", "/kernels/reload")
    new = wait_until(lambda: zygotes(s) - {old}, "another zygote").pop()
    os.kill(new, signal.SIGSTOP)
    assert "in time" in assert_problem(waiting.result(), 422, "reload-failed")["detail"]
    assert s.get("/compute/echo?message=x").status == 200
    wait_until(lambda: zygotes(s) == {old}, "it is killed, as it does not end by itself", 30)


def test_without_its_sandbox_the_next_does_not_serve(server, folder, tmp_path):
    place, is_strict = tmp_path / "bin", tmp_path / "is-strict"
    place.mkdir()
    shutil.copy(PRONG, place)
    zygote = place / "prong-zygote"
    zygote.write_text(
        f'#!/bin/sh\n[ -e {is_strict} ] && set -- "$@" --sandbox strict --sandbox-without landlock\nexec {DIR}/prong-zygote "$@"\n')
    zygote.chmod(0o755)
    beside = ("sh", "-c", 'shift; exec "$0" "$@"', str(place / "prong"))
    s = server(workers=1, kernels=folder.path, before=beside, errors=EXPECTED_ERRORS)
    before = s.status()
    is_strict.touch()
    detail = assert_problem(s.post("/kernels/reload"), 422, "reload-failed")["detail"]
    assert "A strict sandbox has all its layers, but landlock is to be left out" in detail, detail
    after = s.status()
    assert after["generation"] == 1 and after["sandbox"] == before["sandbox"]
    assert s.get("/compute/echo?message=x").status == 200
    is_strict.unlink()
    assert reload(s)["generation"] > 1 and s.status()["sandbox"] == before["sandbox"]


def test_a_file_that_is_refused_is_told(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    (folder.path / "new.so").write_bytes(b"no library")
    (folder.path / "new.so").chmod(0o600)
    told = reload(s)  # it takes nobody's place
    assert [r["file"] for r in told["refused"]] == ["new.so"] and "cannot be loaded" in told["refused"][0]["reason"], told
    assert s.get("/compute").json["refused"] == told["refused"]
    folder.remove("a")  # which new.so has nothing to do with: it was refused before
    assert reload(s)["removed"] == ["a"]
    folder.put("a", "A")
    assert reload(s)["added"] == ["a"]
    folder.remove("a")
    (folder.path / "a.so").write_bytes(b"no library either")
    (folder.path / "a.so").chmod(0o600)
    detail = assert_problem(s.post("/kernels/reload"), 422, "reload-failed")["detail"]
    assert "Kernel a" in detail and "a.so is refused" in detail, detail
    assert s.get("/compute/a").text == "A" and len(s.get("/compute").json["refused"]) == 1


def test_from_the_command_line(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    table = run(PRONG, "kernels", "list", "--url", s.url)
    assert re.search(r"^KERNEL +VERSION +STATE +SUMMARY\na +1 +ready +-\n", table.stdout), table
    folder.put("a", "B", VERSION="2")
    folder.put("b", "B")
    folder.remove("sleep")
    told = run(PRONG, "kernels", "reload", "--url", s.url)
    assert (told.returncode, told.stderr) == (0, ""), told
    assert told.stdout == "changed a\nadded b\nremoved sleep\ngeneration 2 serves 3 kernels\n"
    folder.put("a", "C", BROKEN=True)
    told = run(PRONG, "kernels", "reload", "--url", s.url)
    assert told.returncode == 1 and told.stdout == "" and "Kernel a, which works now, is broken" in told.stderr, told
    folder.put("a", "B", VERSION="2")
    folder.put("c", "C", BROKEN=True)
    told = run(PRONG, "kernels", "reload", "--url", s.url)
    assert told.returncode == 0 and told.stderr == "prong: c: Two and two make five.\n", told
    assert json.loads(run(PRONG, "kernels", "reload", "--json", "--url", s.url).stdout)["added"] == []
    assert run(PRONG, "kernels", "nothing", "--url", s.url).returncode == 64


def test_one_at_a_time(server, folder):
    s = server(workers=1, kernels=folder.path)
    folder.put("slow", "S", SLOW_MS=700)
    waiting = s.later("POST", "/kernels/reload")
    wait_until(lambda: s.status()["reload"], "a reload")
    answer = s.post("/kernels/reload")
    assert_problem(answer, 409, "reloading", generation=1)
    assert answer.headers["Retry-After"] == "1"
    assert waiting.result().json["added"] == ["slow"]


def test_it_is_for_who_may(server, folder, tmp_path):
    token = tmp_path / "token"
    token.write_text("x" * 40)
    token.chmod(0o600)
    s = server(workers=1, kernels=folder.path, token_file=token)
    assert_problem(s.post("/kernels/reload", headers={"Authorization": "Bearer wrong"}), 401, "unauthorized")
    assert_problem(s.post("/kernels/reload", origin="https://elsewhere.example"), 403, "forbidden")
    assert s.get("/kernels/reload").status == 405
    assert s.status()["generation"] == 1
    assert reload(s)["generation"] == 2


# ---- signals --------------------------------------------------------------------------------------


def test_sighup_does_it_too(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path, errors=EXPECTED_ERRORS)
    folder.put("a", "B")
    os.kill(s.pid, signal.SIGHUP)
    wait_until(lambda: s.get("/compute/a").text == "B", "the new kernel")
    s.wait_log("generation 2 serves 3")
    wait_settled(s)
    folder.put("a", "C", BROKEN=True)
    os.kill(s.pid, signal.SIGHUP)
    s.wait_log("generation 2 serves on: Kernel a")
    assert s.get("/compute/a").text == "B"
    assert s.metric("prong_reloads_total", result="ok") == 1 and s.metric("prong_reloads_total", result="failed") == 1


def test_sighup_meanwhile_is_remembered(server, folder):
    s = server(workers=1, kernels=folder.path)
    folder.put("slow", "S", SLOW_MS=700)
    folder.make("slow", "S", VERSION="2")  # compiling could take longer than the reload
    folder.make("late", "L")
    waiting = s.later("POST", "/kernels/reload")
    wait_until(lambda: s.status()["reload"], "a reload")
    for _ in range(3):
        os.kill(s.pid, signal.SIGHUP)
    folder.put("slow", "S", VERSION="2")
    folder.put("late", "L")
    assert waiting.result().status == 200
    wait_until(lambda: "late" in names(s), lambda: f"the second reload: {s.status()}")
    wait_settled(s)
    assert s.status()["generation"] == 3


# ---- what runs ------------------------------------------------------------------------------------


def test_what_runs_ends_where_it_began(server, folder):
    folder.put("a", "A")
    s = server(workers=2, kernels=folder.path)
    running = s.later("GET", "/compute/a?count=60&pause_ms=50", prong_chunks=30)
    s.wait_busy(2)
    folder.put("a", "B")  # the same by its description: its chunks must not be mixed all the same
    began = time.monotonic()
    assert reload(s)["generation"] == 2
    assert s.get("/compute/a?count=5").text == "BBBBB" and not running.is_done, time.monotonic() - began
    status = s.status()
    assert status["reload"]["state"] == "draining" and generations(s)[1] == 3 and generations(s)[2] >= 2
    assert 1 in {w["generation"] for w in s.busy()}
    problem = assert_problem(s.post("/kernels/reload"), 409, "reloading", generation=2)
    assert "still runs" in problem["detail"]
    answer = running.result()
    assert answer.text == "A" * 60 and answer.receipt["chunks"] == 30, answer
    wait_settled(s)
    assert set(generations(s)) == {2}


def test_nobody_joins_what_other_code_runs(server, folder):
    """Equal requests share an answer on either side, and none across."""
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path, cache_max="1M")

    def ask(busy):
        pair = [s.later("GET", "/compute/a?count=1&pause_ms=3000")]
        wait_until(lambda: len(s.busy()) == busy, lambda: f"it runs: {s.status()}")
        pair.append(s.later("GET", "/compute/a?count=1&pause_ms=3000"))
        wait_until(lambda: s.metric("prong_http_requests_parked") == 2 * busy, "both are accepted")
        return pair

    old = ask(1)
    folder.put("a", "B")
    reload(s)
    new = ask(2)
    assert not any(waiting.is_done for waiting in old), "the old ones end too early to say anything"
    for pair, text in ((old, "A"), (new, "B")):
        answers = [waiting.result() for waiting in pair]
        assert [(x.headers["Prong-Cache"], x.text) for x in answers] == [("miss", text), ("merged", text)], answers
    wait_settled(s)
    assert s.get("/compute/a?count=1&pause_ms=3000").text == "B"
    assert s.status()["compute"]["backlog_s"] == 0


def test_what_waits_goes_along(server, folder):
    folder.put("a", "A")
    folder.put("b", "A")
    folder.put("c", "A")
    s = server(workers=1, express=0, kernels=folder.path)
    holding = s.later("GET", "/compute/a?pause_ms=60000", prong_timeout=20)
    s.wait_busy(1)
    waiting = {x: s.later("GET", f"/compute/{x}?count=3") for x in "abc"}
    s.wait_queued(3)
    folder.put("a", "B")  # the same edition: it goes to the new workers
    folder.put("b", "B", VERSION="2")  # another, and gone: they wait for the old worker
    folder.remove("c")
    reload(s)
    assert waiting["a"].result().text == "BBB"
    assert not waiting["b"].is_done and not waiting["c"].is_done and not holding.is_done

    def end_it():
        for worker in s.busy():
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker["pid"], signal.SIGKILL)  # tried once more, then over
        return holding.is_done

    wait_until(end_it, "its second death")
    assert_problem(holding.result(), 502, "worker-died")
    assert waiting["b"].result().text == "AAA" and waiting["c"].result().text == "AAA"
    wait_settled(s)


def test_a_body_on_its_way_gets_the_kernel_it_was_sent_to(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path)
    with s.connect() as sock:
        head = "POST /compute/a HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain\r\nContent-Length: 6\r\n"
        sock.sendall((head + "Expect: 100-continue\r\n\r\n").encode())
        assert sock.recv(100).startswith(b"HTTP/1.1 100 ")  # its kernel has been found
        folder.put("a", "B", VERSION="2")
        reload(s)
        assert s.get("/compute/a").text == "B" and s.status()["reload"]["state"] == "draining"
        sock.sendall(b"abcdef")
        answer = read_answer(sock)
    assert (answer.status, answer.text) == (200, "Aabcdef")
    wait_settled(s)


def test_events_go_on(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path)
    running = s.later("GET", "/compute/a?count=20&pause_ms=50", accept="text/event-stream")
    s.wait_busy(1)
    folder.put("a", "B", VERSION="2")
    reload(s)
    name, data = events_of(running.result().text)[-1]
    assert name == "result" and base64.b64decode(json.loads(data)["base64"]) == b"A" * 20


def test_durable_jobs_run_with_what_is_there_then(server, folder):
    folder.put("a", "A")
    folder.put("b", "A")
    s = server(workers=1, express=0, kernels=folder.path)

    def submit(kernel, **params):
        answer = s.post("/jobs", {"kernel": kernel, "params": params})
        assert answer.status == 202, answer
        return answer.json["id"]

    def result(job):
        wait_until(lambda: s.get(f"/jobs/{job}?wait=5").json["state"] not in ("queued", "running"), lambda: s.get(f"/jobs/{job}").json)
        return s.get(f"/jobs/{job}/result")

    holding = submit("a", pause_ms=60000)
    s.wait_busy(1)
    jobs = [submit("a", count=i) for i in range(1, 40)]  # more than the scheduler is given at once
    gone = [submit("b", count=i) for i in range(1, 4)]
    folder.put("a", "B")
    folder.remove("b")
    reload(s)
    assert [result(job).text for job in jobs] == ["B" * i for i in range(1, 40)]
    for job in gone:
        assert "no kernel of this name" in assert_problem(result(job), 500, "kernel-failed")["detail"]
    assert s.get(f"/jobs/{holding}").json["state"] == "running"
    assert s.ask("DELETE", f"/jobs/{holding}").status == 200
    wait_settled(s)


# ---- when something dies --------------------------------------------------------------------------


def test_the_current_zygote_is_started_again_in_place(server, folder):
    folder.put("a", "A")
    s = server(workers=2, kernels=folder.path)
    reload(s)
    wait_settled(s)
    old = s.status()["zygote_pid"]
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: s.status()["zygote_pid"] not in (0, old) and len(s.workers()) == 3, "another zygote")
    assert s.status()["generation"] == 2 and s.get("/compute/a").text == "A"
    folder.put("a", "B")
    assert reload(s)["generation"] == 3
    assert s.get("/compute/a").text == "B"


def test_a_zygote_started_again_takes_what_is_there(server, folder):
    folder.put("a", "A")
    folder.put("b", "A")
    s = server(workers=1, kernels=folder.path)
    old = s.status()["zygote_pid"]
    folder.put("a", "B", VERSION="2")
    folder.remove("b")
    os.kill(old, signal.SIGKILL)
    wait_until(lambda: s.status()["zygote_pid"] not in (0, old) and len(s.workers()) == 2, "another zygote")
    assert s.get("/compute/a").text == "B"
    assert_problem(s.get("/compute/b"), 404, "no-such-kernel")


@pytest.mark.parametrize("is_changed", [True, False])
def test_parts_of_other_code_are_not_mixed(server, folder, is_changed):
    """A zygote that is started again finds what is there by then: what was half done goes on only if that is the same."""
    folder.put("a", "A")
    s = server(workers=2, kernels=folder.path)
    running = s.later("GET", "/compute/a?count=20&pause_ms=50", prong_chunks=20)
    wait_until(lambda: s.tasks() >= 6, lambda: f"some parts: {s.status()}")
    if is_changed:
        folder.put("a", "B")
    os.kill(s.status()["zygote_pid"], signal.SIGKILL)
    answer = running.result()
    assert answer.text == "AB"[is_changed] * 20, answer
    assert answer.receipt["retries"] > 0 and (answer.receipt["chunks"] <= 22) != is_changed, answer


def test_when_the_old_one_dies_its_work_begins_anew_where_it_can(server, folder):
    folder.put("a", "A")
    folder.put("b", "A", WHOLE=True, FLAGS=0)
    folder.put("c", "A", WHOLE=True)
    s = server(workers=3, express=0, kernels=folder.path)
    old = s.status()["zygote_pid"]
    running = {x: s.later("POST", f"/compute/{x}?count=8&pause_ms=60000") for x in "bc"}
    s.wait_busy(2)  # before the other takes all workers
    running["a"] = s.later("POST", "/compute/a?count=12&pause_ms=200", prong_chunks=6)
    s.wait_busy(3)
    folder.put("a", "B")
    folder.put("c", "B", WHOLE=True, VERSION="2")
    reload(s)
    os.kill(old, signal.SIGKILL)
    answer = running["a"].result()
    assert answer.text == "B" * 12 and answer.receipt["retries"] > 0, answer
    for x in "bc":  # not to be repeated, and gone
        assert_problem(running[x].result(), 502, "worker-died")
    wait_settled(s)
    assert generations(s).keys() == {2} and s.get("/compute/c").text == "B"
    assert reload(s)["generation"] == 3


def test_the_current_one_may_die_meanwhile(server, folder):
    folder.put("a", "A")
    s = server(workers=1, kernels=folder.path)
    old = s.status()["zygote_pid"]
    folder.put("slow", "S", SLOW_MS=1500)
    waiting = s.later("POST", "/kernels/reload")
    wait_until(lambda: s.status()["reload"], "a reload")
    os.kill(old, signal.SIGKILL)
    answer = s.get("/compute/a?count=4", prong_timeout=20)
    assert (answer.status, answer.text) == (200, "AAAA")
    assert waiting.result().status == 200
    wait_settled(s)
    assert s.status()["generation"] == 2 and s.get("/compute/slow").text == "S"


@pytest.mark.parametrize("rounds", [fewer(40)])
def test_zygotes_may_die_at_any_moment(server, folder, rounds):
    """Whichever is killed when: every answer comes, and in the end all is as it should be."""
    folder.put("a", "A")
    s = server(workers=2, kernels=folder.path, errors=EXPECTED_ERRORS)
    for i in range(rounds):
        folder.put("a", "AB"[i % 2], VERSION="12"[i // 2 % 2])
        waiting = [s.later("GET", f"/compute/a?count=20&pause_ms={i % 3}", prong_chunks=10) for _ in range(3)]
        reloading = s.later("POST", "/kernels/reload")
        time.sleep(i % 10 * 0.004)  # not awaited for anything: another moment each time
        for victim in sorted(zygotes(s))[: i % 3]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(victim, signal.SIGKILL)
        assert reloading.result().status in (200, 422, 409)
        for answer in (w.result() for w in waiting):
            assert answer.status in (200, 502, 503, 500), answer
            assert answer.status != 200 or answer.text in ("A" * 20, "B" * 20), answer
        wait_settled(s)
        s.wait_workers(30)
    wait_until(lambda: len(zygotes(s)) == 1, lambda: f"one zygote: {zygotes(s)}")


# ---- the end --------------------------------------------------------------------------------------


def test_the_end_does_not_wait_for_a_reload(server, folder):
    s = server(workers=1, kernels=folder.path)
    folder.put("slow", "S", SLOW_MS=60000)
    waiting = s.later("POST", "/kernels/reload")
    wait_until(lambda: s.status()["reload"], "a reload")
    os.kill(s.pid, signal.SIGTERM)
    assert_problem(waiting.result(), 503, "draining")
    assert s.wait() == 0
    s.assert_nothing_left()
    s.assert_log_is_clean()


def test_the_end_awaits_what_runs_on_both_sides(server, folder):
    folder.put("a", "A")
    s = server(workers=1, express=0, kernels=folder.path)
    first = s.later("GET", "/compute/a?count=10&pause_ms=100")
    s.wait_busy(1)
    folder.put("a", "B")
    reload(s)
    second = s.later("GET", "/compute/a?count=10&pause_ms=100")
    s.wait_busy(2)
    s.stop()
    assert (first.result().text, second.result().text) == ("A" * 10, "B" * 10)


# ---- under load -----------------------------------------------------------------------------------


class Sender(threading.Thread):
    """Asks on and on over one connection; notes every answer that is not right."""

    def __init__(self, s, number):
        super().__init__(daemon=True)
        self.s, self.number = s, number
        self.count, self.wrong, self.over = 0, [], threading.Event()
        self.start()

    def run(self):
        with contextlib.closing(self.s.client()) as client:
            while not self.over.is_set():
                message = f"{self.number}.{self.count}"
                self.ask(client, f"/compute/echo?message={message}", {json.dumps({"message": message}, separators=(",", ":"))})
                self.ask(client, "/compute/a?count=6&pause_ms=1", {"A" * 6, "B" * 6}, prong_chunks=3)
                self.ask(client, "/compute/b?count=3", {"AAA", "BBB"})

    def ask(self, client, target, right, **more):
        self.count += 1
        try:
            answer = client.get(target, **more)
            if answer.status != 200 or answer.text not in right:
                self.wrong.append((target, answer))
        except Exception as error:  # pylint: disable=broad-except
            self.wrong.append((target, repr(error)))
            client.close()


def test_nobody_notices(server, folder):
    """Kernels that change by version and by code alone, while many ask: every answer is right, none is refused, none mixed."""
    folder.put("a", "A")
    folder.put("b", "A")
    s = server(workers=2, kernels=folder.path)
    senders = [Sender(s, i) for i in range(6)]
    rounds = fewer(20, tsan=3)
    for i in range(rounds):
        folder.put("a", "BA"[i % 2], VERSION="21"[i % 2])
        folder.put("b", "BA"[i % 2])
        wait_until(lambda: s.post("/kernels/reload").status == 200, lambda: f"a reload: {s.status()}")
    for sender in senders:
        sender.over.set()
    for sender in senders:
        sender.join(60)
        assert not sender.is_alive(), "a request was never answered"
        assert not sender.wrong, (len(sender.wrong), sender.count, sender.wrong[0])
    asked = sum(sender.count for sender in senders)
    done = sum(s.metric("prong_jobs_total", kernel=k, outcome="ok") for k in ("echo", "a", "b"))
    assert done == asked, "none is lost, and none is run for nobody"
    assert s.metric("prong_jobs_total") == asked and s.metric("prong_worker_deaths_total", reason="misbehaved") == 0
    assert s.metric("prong_task_retries_total") <= asked / 10  # express tasks that were not short


def test_many_reloads_leave_nothing_behind(server, folder):
    folder.put("a", "A")
    s = server(workers=2, kernels=folder.path)

    def settled():
        wait_settled(s)
        s.wait_workers()
        wait_until(lambda: len(zygotes(s)) == 1, "one zygote")

    def once(i):
        folder.put("a", "AB"[i % 2], VERSION="12"[i % 2])
        wait_until(lambda: s.post("/kernels/reload").status == 200, lambda: f"a reload: {s.status()}")
        assert s.get("/compute/a").text == "AB"[i % 2]

    for i in range(3):
        once(i)
    settled()
    fds, maps = open_fds(s.pid), len(open(f"/proc/{s.pid}/maps").readlines())
    count = len(descendants(s.pid))
    for i in range(50):
        once(i)
    settled()
    after = open_fds(s.pid)
    assert len(after) <= len(fds) + 1, sorted(after.items())  # one more connection that is being closed
    assert len(descendants(s.pid)) == count
    assert SANITIZED or len(open(f"/proc/{s.pid}/maps").readlines()) <= maps + 8
    assert s.get("/status").json["generation"] == 54


def test_a_new_name_each_time_needs_no_place(server, folder):
    """Names come and go; the metrics have labels for so many, and the tables have room for those that live."""
    s = server(workers=1, kernels=folder.path)
    for i in range(fewer(60)):
        folder.put(f"k{i}", "K")
        folder.put("same", "S", VERSION=str(i % 2))
        wait_until(lambda: s.post("/kernels/reload").status == 200, lambda: f"a reload: {s.status()}")
        assert s.get(f"/compute/k{i}").text == "K"
        folder.remove(f"k{i}")
    assert s.metric("prong_jobs_total", kernel="k3", outcome="ok") == 1
