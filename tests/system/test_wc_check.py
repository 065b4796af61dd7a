"""prong-check: a good program passes every case, and for every case there is a program that fails just that one.

prong-host with it: all the kernels that there are, as programs of their own."""
import re
import sys

import pytest
from conftest import DIR, ROOT, SANITIZED, SLOW, run

CHECK, HOST = DIR / "prong-check", DIR / "prong-host"
KERNELS = sorted(p for p in (DIR / "kernels").glob("*.so") if p.stem != "fault")
PROGRAM = (sys.executable, ROOT / "tests/program.py")


def check(*command, options=(), slow=5 * SLOW):
    """(exit status, {case: "ok", "not ok" or why it is skipped}, output)"""
    ended = run(CHECK, "--slow", slow, *options, *command, timeout=120)
    cases = {}
    lines = ended.stdout.splitlines()
    for number, (state, count, name, why) in enumerate(re.findall(r"^(ok|not ok) (\d+) - ([^#\n]*?)(?: # SKIP (.*))?$", ended.stdout, re.M), 1):
        assert int(count) == number and name not in cases, ended.stdout
        cases[name] = why or state
    assert not cases or lines[-1] == f"1..{len(cases)}", ended.stdout
    return ended.returncode, cases, ended.stdout + ended.stderr


def broken(cases):
    return {name for name, state in cases.items() if state == "not ok"}


def test_a_good_program_passes():
    status, cases, said = check(*PROGRAM)
    assert status == 0 and broken(cases) == set(), said
    skipped = {name: why for name, why in cases.items() if why != "ok"}
    assert len(cases) == 27 and set(skipped) == {
        "split: answers raw input of 0, 1 and 1048576 bytes", "split: answers within 500 ms of CANCEL",
    }, skipped


# Which cases a program fails that breaks this one rule.
RULES = {
    "no-ready": {"says READY in time, with sound descriptions"},
    "bad-ready": {"says READY in time, with sound descriptions"},
    "no-json": {"count: runs its example"},
    "random-answer": {"count: gives the same answer again, however it is cut"},
    "counts-parts": {"split: gives the same answer again, however it is cut"},
    "takes-missing": {"count: answers ERROR when a required parameter is missing", "split: answers ERROR when a required parameter is missing"},
    "takes-any-type": {"count: answers ERROR when a parameter is of the wrong type"},
    "no-message": {"count: answers ERROR when a required parameter is missing", "count: answers ERROR when a parameter is of the wrong type"},
    "no-empty-input": {"count: answers raw input of 0, 1 and 1048576 bytes"},
    "no-cancel": {"count: answers within 500 ms of CANCEL"},
    "wrong-code": {"count: answers within 500 ms of CANCEL"},
    "wrong-number": {"answers each job under its own number", "count: runs its example"},
    "dies-of-unknown": {"answers ERROR for an unknown kernel, and lives on"},
    "takes-any-op": {"answers ERROR for an unknown op, and lives on"},
    "no-pong": {"answers PING while idle"},
    "strict-members": {"ignores members of a frame's JSON that it does not know"},
    "answers-late-cancel": {"ignores a CANCEL that comes after the answer"},
    "whole-reads": {"takes a frame that comes byte by byte"},
    "one-frame": {"takes two frames that come at once"},
    "no-empty-body": {"takes a frame without a body"},
    "talks-on-3": {"writes to standard output and error without disturbing its frames"},
    "any-magic": {"ends when a frame has the wrong magic"},
    "any-version": {"ends when a frame is of a version that there is not"},
    "no-quiet": {"ends with exit status 0 within 2 s of QUIET"},
    "bad-exit": {"ends with exit status 0 within 2 s of QUIET"},
    "no-end": {"ends with exit status 0 within 2 s of the end of the stream"},
}
# These break more than their own case by what they do.
WIDE = {"whole-reads", "wrong-number", "talks-on-3", "one-frame", "no-empty-body", "no-pong", "answers-late-cancel", "no-message", "takes-any-type"}
# And these are waited for in vain, again and again.
SILENT = {"no-ready", "no-pong", "no-empty-body", "one-frame", "whole-reads"}


@pytest.mark.parametrize("rule", RULES)
def test_who_breaks_a_rule_fails_its_case(rule):
    options = ("--timeout", 3) if rule in SILENT else ()  # in every build: no sanitizer slows this program down
    status, cases, said = check(*PROGRAM, rule, options=options, slow=2)
    assert status == 1, said
    if rule in WIDE:
        assert RULES[rule] <= broken(cases), said
    else:
        assert broken(cases) == RULES[rule], said


def test_every_case_can_fail():
    _, cases, _ = check(*PROGRAM)
    assert {re.sub(r"^(count|split): ", "", name) for name in cases} == {
        re.sub(r"^(count|split): ", "", name) for names in RULES.values() for name in names
    }


def test_what_is_not_described_needs_a_name():
    status, cases, said = check(*PROGRAM, "undescribed")
    assert status == 0 and "say --kernel NAME" in cases["runs a kernel"], said
    status, cases, said = check(*PROGRAM, "undescribed", options=("--kernel", "count", "--params", '{"n":3}'))
    assert status == 0 and cases["count: runs its example"] == "ok", said
    status, cases, said = check(*PROGRAM, options=("--kernel", "nobody"))
    assert status == 1 and "There is no such kernel." in said


def test_one_kernel_may_be_chosen():
    status, cases, said = check(*PROGRAM, options=("--kernel", "split"))
    assert status == 0 and not [name for name in cases if name.startswith("count")], said
    assert cases["split: runs its example"] == "ok"


def test_what_is_no_program(tmp_path):
    for command in (("/bin/true",), ("/bin/cat",), (tmp_path / "nothing",), ("/bin/sh", "-c", "echo what is no frame >&3; sleep 60")):
        status, cases, said = check(*command, options=("--timeout", 5 * SLOW))
        assert status == 1 and broken(cases) == {"says READY in time, with sound descriptions"}, said
    assert "sent bytes that are no frame" in said


def test_its_last_words_are_told():
    _, _, said = check("/bin/sh", "-c", "echo not today >&2; exit 3")
    assert re.search(r"^# The program ended with exit status 3 instead of READY. Its last words: not today$", said, re.M)


def test_verbose_shows_frames():
    _, _, said = check(*PROGRAM, options=("--verbose", "--kernel", "split"))
    assert re.search(r"^# -> HELLO 0{16} \{\"protocol\":1", said, re.M)
    assert re.search(r"^# <- RESULT [0-9a-f]{16} \{\"units\": 90\}$", said, re.M)
    assert re.search(r"^# \| working$", said, re.M)


@pytest.mark.parametrize("arguments", [(), ("--nonsense", "true"), ("--params", "3", "true"), ("--slow", "0", "true"), ("--timeout", "x", "true")])
def test_usage(arguments):
    ended = run(CHECK, *arguments)
    assert ended.returncode == 64 and "Usage:" in ended.stderr and ended.stdout == ""


def test_help():
    ended = run(CHECK, "--help")
    assert ended.returncode == 0 and "--params" in ended.stdout and ended.stderr == ""


# ---- prong-host -----------------------------------------------------------------------------------


@pytest.mark.parametrize("kernel", KERNELS, ids=lambda path: path.stem)
def test_every_kernel_is_a_good_program(kernel):
    status, cases, said = check(HOST, kernel)
    assert status == 0 and broken(cases) == set(), said
    assert cases[f"{kernel.stem}: runs its example"] == cases[f"{kernel.stem}: gives the same answer again, however it is cut"] == "ok"


def test_a_hosted_kernel_heeds_cancel():
    status, cases, said = check(HOST, DIR / "kernels/sum.so", options=("--params", '{"end":5000000000}'))
    assert status == 0 and cases["sum: answers within 500 ms of CANCEL"] == "ok", said


def test_what_cannot_be_hosted_says_why(tmp_path):
    (tmp_path / "text.so").write_text("no kernel")
    for name, words in (
        (DIR / "test-kernels/init_fails.so", "Its init failed."),
        (DIR / "test-kernels/selftest_fails.so", "Two and two"),
        (DIR / "test-kernels/no_entry.so", "prong_kernel_entry"),
        (tmp_path / "text.so", "cannot be loaded"),
        (tmp_path / "nothing.so", "No such file"),
    ):
        status, _, said = check(HOST, name)
        assert status == 1 and "Its last words: prong-host: " in said and words in said, said
    if not SANITIZED:
        _, _, said = check(HOST, DIR / "test-kernels/selftest_crashes.so")
        assert "ended with SIG" in said


def test_a_host_without_a_socket_says_so():
    ended = run(HOST, KERNELS[0])
    assert ended.returncode == 64 and "Descriptor 3" in ended.stderr
    assert run(HOST).returncode == 64
    assert run(HOST, "--help").returncode == 0
