"""Kernels that are programs: what they may say, what becomes of them, and that nobody else notices."""
import os
import pathlib
import shutil
import signal
import tempfile
import textwrap

import pytest
from conftest import Background, assert_problem, descendants, events_of, is_alive, wait_until

FRAMES = pathlib.Path(__file__).resolve().parent.parent / "program_frames.py"
NUMBER = "[param n]\ntype = integer\ndefault = 1\n"
SPLIT = {"ops": ["plan", "map", "finish"], "flags": ["pure", "idempotent"]}


class Folder:
    """A directory of kernels, made for one test."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        path.chmod(0o755)
        shutil.copy(FRAMES, path / "program_frames.py")
        (path / "program_frames.py").chmod(0o644)

    def write(self, name, text):
        (self.path / name).write_text(text)
        (self.path / name).chmod(0o644)

    def program(self, name, body, params=NUMBER, more="", **keys):
        """A program whose kernel the manifest declares; `body` is that of job(frame)."""
        self.write(f"{name}.py", "import os, signal, sys, time\nfrom program_frames import *\n\ndef job(f):\n"
                   + textwrap.indent(textwrap.dedent(body), "    ") + "\n\nserve(job)\n")
        self.manifest(name, f"command = python3 {name}.py", params, more, **keys)

    def manifest(self, name, command, params=NUMBER, more="", **keys):
        lines = "".join(f"{key} = {value}\n" for key, value in keys.items())
        self.write(f"{name}.kernel", f"[kernel]\n{command}\n{lines}{params}{more}")

    def script(self, name, text):
        self.write(f"{name}.py", textwrap.dedent(text))
        self.write(f"{name}.kernel", f"[kernel]\ncommand = python3 {name}.py\n")


@pytest.fixture
def folder():
    """Where the user that programs run as can reach it, as pytest's own folders are not."""
    with tempfile.TemporaryDirectory(prefix="prong-kernels-") as path:
        os.chmod(path, 0o755)
        yield Folder(pathlib.Path(path) / "kernels")


@pytest.fixture
def start(server, folder):
    """start(workers=2, …): a server with the folder as it is now."""
    return lambda *flags, **options: server(*flags, **{"workers": 2, "kernels": folder.path, **options})


def programs_of(s):
    """{pid} of the processes that are neither the zygote nor workers."""
    return {p for p, (name, state, _) in descendants(s.pid).items() if "prong" not in name and state not in "ZX"}


# ---- what it is asked, and answers -----------------------------------------------------------------


def test_a_number_comes_back(folder, start):
    folder.program("twice", "result(f, 2 * f.params['n'])", flags="pure idempotent", media_type="application/json")
    s = start()
    answer = s.get("/compute/twice?n=21")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"42", "application/json")
    assert s.get("/compute/twice?n=4").body == b"8"


def test_what_it_is_told(folder, start):
    folder.program("told", "result(f, f.meta)", flags="pure", params="""
[param n]
type = integer
default = -3
[param x]
type = number
default = 0.1
[param word]
type = string
default = a "quoted" ä
[param pick]
type = choice
choices = red green
default = green
[param any]
type = json
default = {"a":[1,2]}
""")
    told = start().get("/compute/told", prong_timeout=9).json
    assert told["params"] == {"n": -3, "x": 0.1, "word": 'a "quoted" ä', "pick": "green", "any": {"a": [1, 2]}}
    assert (told["kernel"], told["op"], told["input"], told["input_bytes"]) == ("told", "run", "none", 0)
    assert 0 < told["timeout_ms"] <= 9000 and told["wants_parts"] is False and len(told["id"]) == 36


@pytest.mark.parametrize("size", [0, 1, 5000, 300_000, 9_000_000])
def test_raw_input_of_any_size(folder, start, size):
    folder.program("echo", "result(f, f.input, media_type='x/y')", flags="pure", input="raw")
    body = os.urandom(size)
    answer = start().post("/compute/echo", body, content_type="application/octet-stream")
    assert answer.status == 200 and answer.body == body and answer.headers["Content-Type"] == "x/y"


def test_values(folder, start):
    folder.program("sum", "import struct\nresult(f, sum(struct.unpack(f'<{len(f.input) // 8}d', f.input)))",
                   params="[param values]\ntype = values\n")
    assert start().post("/compute/sum", {"values": [1, 2.5, 4]}).body == b"7.5"


def test_parts_and_progress(folder, start):
    folder.program("steps", """
        say(PROGRESS, f.job, done=1, total=2)
        say(PART, f.job, b'{"first":1}')
        say(PROGRESS, f.job, done=2, total=2)
        result(f, f.meta["wants_parts"])
    """)
    s = start()
    events = events_of(s.post("/compute/steps", {}, accept="text/event-stream").text)
    assert ("part", '{"first":1}') in events
    assert s.post("/compute/steps", {}).body == b"false"  # and parts that nobody wants are let go


def test_work_that_is_split(folder, start):
    folder.script("rows", f"""
        from program_frames import *
        def job(f):
            op = f.meta["op"]
            if op == "plan":
                result(f, units=f.params["n"], unit_cost=1e6)
            elif op == "map":
                result(f, "".join(f"{{i}};" for i in range(f.meta["lo"], f.meta["hi"])).encode())
            else:
                result(f, b"<" + b"".join(f.parts) + b">")
        serve(job, kernels=[{{"name": "rows", "version": "1", "params": [{{"name": "n", "type": "integer", "minimum": 0, "maximum": 10000}}], **{SPLIT}}}])
    """)
    s = start()
    expected = b"<" + "".join(f"{i};" for i in range(1000)).encode() + b">"

    def is_split():
        answer = s.get("/compute/rows?n=1000")
        assert (answer.status, answer.body) == (200, expected)
        return answer.receipt["chunks"] > 1

    wait_until(is_split, "it is known to be worth splitting")
    assert s.get("/compute/rows?n=0").body == b"<>"


def test_combine(folder, start):
    folder.script("total", """
        from program_frames import *
        def job(f):
            op = f.meta["op"]
            if op == "plan":
                result(f, units=1000, unit_cost=1e6)
            elif op == "map":
                result(f, str(sum(range(f.meta["lo"], f.meta["hi"]))).encode())
            else:
                result(f, str(sum(int(p) for p in f.parts)).encode())
        serve(job, kernels=[{"name": "total", "version": "1", "ops": ["plan", "map", "combine", "finish"],
                             "flags": ["pure", "idempotent", "associative"]}])
    """)
    assert start().get("/compute/total").body == str(sum(range(1000))).encode()


def test_one_program_with_several_kernels(folder, start):
    folder.script("both", """
        from program_frames import *
        serve(lambda f: result(f, f.meta["kernel"]), kernels=[{"name": n, "version": "1", "flags": ["pure"]} for n in ("one", "two")])
    """)
    s = start()
    assert s.get("/compute/one").json == "one" and s.get("/compute/two").json == "two"
    assert {k["name"] for k in s.get("/compute").json["kernels"]} >= {"one", "two"}


# ---- what goes wrong -------------------------------------------------------------------------------


def test_an_error_with_its_trace(folder, start):
    folder.program("sorry", "error(f, 'No such ä word.', trace=['in line 7', 'of job'])")
    s = start()
    problem = assert_problem(s.post("/compute/sorry", {}), 500, "kernel-failed")
    assert problem["detail"] == "No such ä word."
    line = s.wait_log(r'.*sorry: in line 7.*').group(0)
    assert problem["job"] in line


FATES = {
    "segfault": ("os.kill(os.getpid(), signal.SIGSEGV)", {"signal_name": "SEGV"}, "killed by SIGSEGV"),
    "exit": ("print('cannot go on', file=sys.stderr)\nsys.exit(3)", {"exit_code": 3}, "exited with code 3 and gave no answer. Its last words: cannot go on"),
    "garbage": ("sock.sendall(b'this is no frame of anybody')\ntime.sleep(60)", {"signal_name": "KILL"}, "broke the protocol: it sent bytes that are no frame"),
    "other-job": ("f.job += 1\nresult(f)\ntime.sleep(60)", {"signal_name": "KILL"}, "about another job"),
    "magic": ("sock.sendall(HEAD.pack(0x4b51, 1, RESULT, 0, f.job))\ntime.sleep(60)", {"signal_name": "KILL"}, "no frame"),
    "version": ("sock.sendall(HEAD.pack(MAGIC, 9, RESULT, 0, f.job))\ntime.sleep(60)", {"signal_name": "KILL"}, "version 9"),
    "length": ("sock.sendall(HEAD.pack(MAGIC, 1, ERROR, 0xffffffff, f.job))\ntime.sleep(60)", {"signal_name": "KILL"}, "too long"),
    "json": ("sock.sendall(HEAD.pack(MAGIC, 1, RESULT, 8, f.job) + b'\\x04\\0\\0\\0{{{{')\ntime.sleep(60)", {"signal_name": "KILL"}, "no JSON"),
    "unasked": ("say(READY)\ntime.sleep(60)", {"signal_name": "KILL"}, "nobody asked for"),
    "closed": ("sock.close()\ntime.sleep(60)", {"signal_name": "KILL"}, "closed its socket"),
}


@pytest.mark.parametrize("fate", FATES)
def test_a_death_hurts_nobody_else(folder, start, fate):
    body, fields, words = FATES[fate]
    folder.program("mortal", "if f.params['n'] == 0:\n" + textwrap.indent(body, "    ") + "\nresult(f, f.params['n'])")
    s = start(workers=1)
    workers = s.worker_pids()
    assert s.post("/compute/mortal", {"n": 5}).body == b"5"
    problem = assert_problem(s.post("/compute/mortal", {"n": 0}), 502, "worker-died", **fields)
    assert words in problem["detail"]
    assert s.post("/compute/mortal", {"n": 6}).body == b"6"
    assert s.worker_pids() == workers, "no worker has died of it"
    wait_until(lambda: len(programs_of(s)) <= 1, "the dead one is gone")


def test_an_idempotent_one_is_tried_again(folder, start, tmp_path):
    folder.program("flaky", """
        first = not os.path.exists(f.params["mark"])
        open(f.params["mark"], "w").close()
        if first and f.params["how"] == "die":
            os.abort()
        if first:
            error(f, "Not now.", code="retry")
        else:
            result(f, "done")
    """, flags="pure idempotent", params="[param mark]\ntype = string\n[param how]\ntype = string\n")
    s = start(sandbox="off")  # it leaves marks
    for how in ("die", "retry"):
        answer = s.post("/compute/flaky", {"mark": str(tmp_path / how), "how": how})
        assert (answer.status, answer.body) == (200, b'"done"'), answer
        assert answer.receipt["retries"] == 1


def test_asking_to_be_tried_again_in_vain(folder, start):
    folder.program("never", "error(f, 'Not today.', code='retry')", flags="pure idempotent")
    problem = assert_problem(start().get("/compute/never"), 502, "worker-died", exit_code=75)
    assert "asked to be tried again: Not today." in problem["detail"]


def test_a_result_too_large(folder, start):
    folder.program("large", "result(f, b'x' * f.params['n'])")
    s = start(result_max="1M")
    assert len(s.post("/compute/large", {"n": 1 << 20}).body) == 1 << 20
    for size in ((1 << 20) + 1, 3 << 20):
        problem = assert_problem(s.post("/compute/large", {"n": size}), 500, "kernel-failed")
        assert "--result-max" in problem["detail"]
    assert s.post("/compute/large", {"n": 1}).body == b"x"


def test_one_that_hangs(folder, start):
    folder.program("hang", "if f.params['n'] == 0:\n    time.sleep(600)\nresult(f, 'awake')")
    s = start(workers=1)
    s.post("/compute/hang", {})
    (before,) = programs_of(s)
    assert_problem(s.post("/compute/hang", {"n": 0}, prong_timeout=0.3), 504, "deadline")
    assert s.post("/compute/hang", {}).json == "awake"
    assert not is_alive(before), "it was killed"


def test_one_that_heeds_cancel_lives_on(folder, start):
    folder.program("polite", """
        if f.params["n"] == 0:
            told = Frame()
            assert told.type == CANCEL and told.job == f.job
            error(f, "As you wish.", code="cancelled")
        else:
            result(f, os.getpid())
    """)
    s = start(workers=1)
    pid = s.post("/compute/polite", {}).json
    assert_problem(s.post("/compute/polite", {"n": 0}, prong_timeout=0.2), 504, "deadline")
    assert s.post("/compute/polite", {}).json == pid


def test_a_client_that_hangs_up_ends_the_work(folder, start):
    folder.program("hang", "print('hanging', flush=True)\ntime.sleep(600)")
    s = start(workers=1)
    with s.connect() as sock:
        sock.sendall(b"POST /compute/hang HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}")
        s.wait_log("hang: hanging")  # one that has nothing yet is kept for the next
        (pid,) = programs_of(s)
    wait_until(lambda: not is_alive(pid), "the work is ended")
    s.wait_idle()


def test_output_without_end(folder, start):
    folder.program("chatty", "for i in range(20000):\n    print('line', i, 'x' * 100)\nresult(f, 'through')")
    s = start()
    assert s.post("/compute/chatty", {}).json == "through"
    s.wait_log(r"chatty: line 0 x")
    s.wait_log(r"chatty: \(and \d+ lines more\)")
    assert len([line for line in s.log_lines if "chatty: " in line]) < 2000


def test_one_that_will_not_start(folder, start):
    folder.program("good", "result(f, 'good')")
    folder.script("broken", "import sys\nprint('before', file=sys.stderr)\nsys.exit('the model is not there')\n")
    folder.script("mute", "import time\ntime.sleep(600)\n")
    folder.write("mute.kernel", "[kernel]\ncommand = python3 mute.py\n[limits]\nstart = 1\n")
    folder.script("nothing", "from program_frames import *\nserve(None)\n")
    s = start()
    s.wait_log(r"broken.kernel.* exited with code 1 before it was ready. Its last words: before \| the model is not there")
    s.wait_log(r"mute.kernel.* was not ready within 1 s")
    s.wait_log(r"nothing.kernel.* offers no kernel")
    assert s.post("/compute/good", {}).json == "good"
    assert not programs_of(s) - {p for p in programs_of(s) if is_alive(p)}


def test_one_that_dies_at_a_later_start(folder, start, tmp_path):
    mark = tmp_path / "mark"
    folder.script("once", f"""
        import os, sys
        from program_frames import *
        if os.path.exists({str(mark)!r}):
            sys.exit("no second time")
        open({str(mark)!r}, "w").close()
        serve(None, kernels=[{{"name": "late", "version": "1"}}])
    """)
    s = start(sandbox="off")  # it leaves a mark
    problem = assert_problem(s.post("/compute/late", {}), 502, "worker-died", exit_code=1)
    assert "before it was ready. Its last words: no second time" in problem["detail"]


@pytest.mark.parametrize("victim", ["program", "judge"])
def test_one_whose_trial_others_kill_is_tried_again(folder, start, tmp_path, victim):
    """As the out-of-memory killer does, which means nobody in particular."""
    mark = tmp_path / "mark"
    folder.script("struck", f"""
        import glob, os, pathlib, signal
        from program_frames import *

        def stat_of(path):
            try:
                return pathlib.Path(path).read_text()
            except OSError:
                return ""

        def judges():
            stats = map(stat_of, glob.glob("/proc/[0-9]*/stat"))
            return [int(stat.split()[0]) for stat in stats if "(prong-trial) " in stat and int(stat.split()[3]) == os.getppid()]

        if not os.path.exists({str(mark)!r}):
            open({str(mark)!r}, "w").close()
            pids = [os.getpid()]
            while {victim!r} == "judge" and not (pids := judges()):
                pass
            for pid in pids:
                os.kill(pid, signal.SIGKILL)
        serve(lambda f: result(f, "served"), kernels=[{{"name": "struck", "version": "1"}}])
    """)
    s = start(workers=1, sandbox="off")  # it leaves a mark
    assert mark.exists()
    assert s.post("/compute/struck", {}).json == "served"


def test_one_that_starts_for_longer_than_a_request_may_wait(folder, start, tmp_path):
    starts = tmp_path / "starts"
    folder.script("heavy", f"""
        import os, time
        from program_frames import *
        with open({str(starts)!r}, "a") as file:
            file.write("x")
        if os.path.getsize({str(starts)!r}) > 1:
            time.sleep(1)
        serve(lambda f: result(f, "ready"), kernels=[{{"name": "heavy", "version": "1"}}])
    """)
    s = start(workers=1, sandbox="off")  # it leaves marks
    assert_problem(s.post("/compute/heavy", {}, prong_timeout=0.2), 504, "deadline")
    assert s.post("/compute/heavy", {}).json == "ready"
    assert starts.read_text() == "xx", "the trial's, and one that went on starting"


def test_an_idle_one_that_is_killed_is_replaced(folder, start):
    folder.program("pid", "result(f, os.getpid())")
    s = start(workers=1)
    pid = s.post("/compute/pid", {}).json
    assert s.post("/compute/pid", {}).json == pid, "it is kept"
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: not is_alive(pid), "it is dead")
    answer = s.post("/compute/pid", {})
    assert answer.status == 200 and answer.json != pid


# ---- copies ----------------------------------------------------------------------------------------


def test_one_copy_for_two_workers(folder, start):
    folder.program("pid", "time.sleep(f.params['n'] / 1000)\nresult(f, os.getpid())", copies=1)
    s = start(workers=2)
    calls = [Background(s.post, "/compute/pid", {"n": 50}) for _ in range(6)]
    assert len({call.result().json for call in calls}) == 1
    assert len(programs_of(s)) == 1


def test_who_waits_for_the_only_copy_has_its_deadline(folder, start):
    folder.program("slow", "time.sleep(f.params['n'] / 1000)\nresult(f, 'done')", copies=1)
    s = start(workers=2)
    first = s.later("POST", "/compute/slow", {"n": 1500})
    wait_until(lambda: s.busy(), "the first works")
    assert_problem(s.post("/compute/slow", {"n": 0}, prong_timeout=0.3), 504, "deadline")
    assert first.result().json == "done"
    assert s.post("/compute/slow", {"n": 0}).json == "done"


def test_a_worker_that_dies_takes_its_program_along(folder, start):
    folder.program("hang", "time.sleep(600)")
    s = start(workers=1)
    call = s.later("POST", "/compute/hang", {})
    wait_until(lambda: s.busy() and programs_of(s), "it works")
    (pid,) = programs_of(s)
    os.kill(s.busy()[0]["pid"], signal.SIGKILL)
    assert call.result().status == 502
    wait_until(lambda: not is_alive(pid), "the program is gone too")


def test_a_worker_that_retires_ends_its_program_in_good_order(folder, start):
    folder.program("pid", "result(f, os.getpid())")
    s = start(workers=1, worker_tasks=1)
    pids = {s.post("/compute/pid", {}).json for _ in range(3)}
    assert len(pids) == 3
    wait_until(lambda: not any(is_alive(p) for p in pids), "they have ended")


# ---- one run for each request -----------------------------------------------------------------------


def test_once_with_template_input_and_output(folder, start):
    folder.manifest("swap", "exec = tr {from} {to}", input="raw", media_type="text/plain",
                    params="[param from]\ntype = string\ndefault = a-z\n[param to]\ntype = string\ndefault = A-Z\n")
    s = start()
    answer = s.post("/compute/swap", b"hello", content_type="application/octet-stream")
    assert (answer.status, answer.body, answer.headers["Content-Type"]) == (200, b"HELLO", "text/plain")
    answer = s.post("/compute/swap?from=l&to=%20", b"hello", content_type="application/octet-stream")
    assert answer.body == b"he  o"
    body = os.urandom(2_000_000)
    assert s.post("/compute/swap?from=a&to=a", body, content_type="application/octet-stream").body == body


def test_once_with_its_environment(folder, start):
    folder.write("env.py", "import os, sys\nprint(sys.argv[1:], sorted(k for k in os.environ), os.environ['PRONG_PARAM_N'], os.getcwd(), sys.stdin.read())\n")
    folder.manifest("env", 'exec = python3 env.py {n} "n = {n}" {{n}}', more="[environment]\nOF_ITS_OWN = 1\n", flags="pure")
    text = start().get("/compute/env?n=7").text
    assert text.startswith("['7', 'n = 7', '{n}'] ") and f"7 {folder.path} \n" in text
    assert "'OF_ITS_OWN'" in text and "'HOME'" in text and "XDG_STATE_HOME" not in text


def test_once_and_its_exit_codes(folder, start, tmp_path):
    folder.write("exit.sh", "echo so it is >&2\nexit $1\n")
    folder.manifest("exit", "exec = sh exit.sh {n}")
    folder.write("again.sh", "[ -e $1 ] && { echo done; exit 0; }\ntouch $1\nexit 75\n")
    folder.manifest("again", "exec = sh again.sh {mark}", params="[param mark]\ntype = string\n", flags="idempotent")
    s = start(sandbox="off")  # it leaves a mark
    assert s.post("/compute/exit", {"n": 0}).body == b""
    problem = assert_problem(s.post("/compute/exit", {"n": 1}), 500, "kernel-failed")
    assert problem["detail"] == "Program exit failed with exit code 1. Its last words: so it is."
    assert_problem(s.post("/compute/exit", {"n": 75}), 502, "worker-died", exit_code=75)
    answer = s.post("/compute/again", {"mark": str(tmp_path / "mark")})
    assert (answer.status, answer.body) == (200, b"done\n") and answer.receipt["retries"] == 1


def test_once_killed(folder, start):
    folder.write("die.sh", "kill -SEGV $$\n")
    folder.manifest("die", "exec = sh die.sh")
    folder.manifest("nap", "exec = sleep {n}")
    folder.manifest("zeros", "exec = cat /dev/zero")
    s = start(result_max="1M")
    assert_problem(s.post("/compute/die", {}), 502, "worker-died", signal_name="SEGV")
    assert_problem(s.post("/compute/nap", {"n": 600}, prong_timeout=0.3), 504, "deadline")
    problem = assert_problem(s.post("/compute/zeros", {}), 500, "kernel-failed")
    assert "--result-max" in problem["detail"]
    assert s.post("/compute/nap", {"n": 0}).status == 200
    wait_until(lambda: not programs_of(s), "nothing is left over")


def test_once_that_cannot_be_executed(folder, start):
    folder.write("no.bin", "\x7fnot a program")
    (folder.path / "no.bin").chmod(0o755)
    folder.manifest("no", "exec = ./no.bin")
    problem = assert_problem(start().post("/compute/no", {}), 500, "kernel-failed")
    assert "126" in problem["detail"] and "Exec format error" in problem["detail"]


def test_what_a_program_computes_is_on_the_receipt(folder, start):
    folder.program("burn", """
        end = time.process_time() + 0.05
        while time.process_time() < end:
            pass
        result(f, 1)
    """)
    folder.manifest("once", "exec = python3 -c \"n = sum(range(3000000))\"", params="")
    s = start()
    for _ in range(2):  # the first pays for the start, too
        answer = s.post("/compute/burn", {})
        assert answer.status == 200 and answer.receipt["cpu_ms"] >= 50, answer
    assert s.post("/compute/once", {}).receipt["cpu_ms"] >= 10
