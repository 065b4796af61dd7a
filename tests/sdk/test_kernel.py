"""The kernel side: a program with @kernel functions, as prong sees it on fd 3."""
import array
import json
import pathlib
import signal
import subprocess
import sys

import harness
import pytest
from harness import Program, write
from prong import frames

FILE = pathlib.Path(__file__).with_name("kernels_file.py")


@pytest.fixture(scope="module")
def p():
    program = Program("-m", "prong", FILE)
    yield program
    program.close()


@pytest.fixture
def fresh():
    """fresh(command…) starts one for this test alone."""
    made = []

    def start(*command, **more):
        made.append(Program(*(command or ("-m", "prong", FILE)), **more))
        return made[-1]

    yield start
    for program in made:
        program.close()


# ---- READY ----------------------------------------------------------------------------------------


def test_description_is_made_of_signature_and_docstring(p):
    assert p.kernels["fib"] == {
        "name": "fib", "version": "7", "summary": "The n-th Fibonacci number.", "example": "n=20", "media_type": "application/json",
        "flags": ["pure", "idempotent"], "takes_raw": False, "ops": ["run"],
        "params": [
            {"name": "n", "type": "integer", "help": "Which one, counted from 0", "minimum": 0, "maximum": 90, "default": 30},
            {"name": "scale", "type": "number", "help": "By what to multiply", "minimum": 0, "default": 1.0},
        ],
    }  # fmt: skip


def test_every_annotation_has_its_type(p):
    said = {param["name"]: param for param in p.kernels["types"]["params"]}
    assert {name: param["type"] for name, param in said.items()} == {
        "i": "integer", "f": "number", "s": "string", "b": "json", "c": "choice", "colour": "choice", "o": "json", "d": "json",
        "t": "json", "a": "json",
    }  # fmt: skip
    assert [name for name, param in said.items() if "default" not in param] == ["i", "f", "s"]
    assert said["c"]["choices"] == ["x", "y"] and said["colour"]["default"] == "red" and said["t"]["default"] == [1, 2]
    assert p.kernels["total"]["params"][0] == {"name": "values", "type": "values", "help": "", "max_count": 1000}


def test_raw_input_is_no_parameter(p):
    assert p.kernels["upper"]["takes_raw"] and p.kernels["upper"]["params"] == []
    assert p.kernels["upper"]["media_type"] == "application/octet-stream"
    assert p.kernels["total"]["takes_raw"] and not p.kernels["fib"]["takes_raw"]


def test_split_kernel_has_the_parameters_of_its_split(p):
    assert p.kernels["squares"]["ops"] == ["plan", "map", "finish"]
    assert p.kernels["squares"]["flags"] == ["idempotent", "partial_ok"]
    assert [(q["name"], q["help"]) for q in p.kernels["squares"]["params"]] == [("limit", "where it ends"), ("step", "")]
    assert [q["name"] for q in p.kernels["words"]["params"]] == ["text"]


def test_every_kernel_has_a_helper_for_many_calls(p):
    own = {name for name in p.kernels if not name.endswith("-map")}
    assert {name + "-map" for name in own} | own == set(p.kernels)
    assert p.kernels["fib-map"]["flags"] == ["pure", "idempotent"] and p.kernels["fib-map"]["takes_raw"]
    assert p.kernels["types-map"]["flags"] == []


def test_default_version_changes_with_the_file(fresh, tmp_path):
    text = "from prong import kernel\n\ndef half(n): return n / 2\n\n@kernel\ndef f(n: int = 1): return half(n)\n"
    versions = [fresh("-m", "prong", write(tmp_path, f"{i}.py", t)).kernels["f"]["version"]
                for i, t in enumerate([text, text, text.replace("/ 2", "// 2")])]  # fmt: skip
    assert versions[0] == versions[1] != versions[2]


# ---- calls ----------------------------------------------------------------------------------------


def test_call(p):
    assert p.value("fib", {"n": 10}) == 55


def test_arguments_come_as_annotated(p):
    said = p.value("types", {"i": 3, "f": 2, "s": "grüße", "b": True, "c": "y", "colour": "blue", "o": 5, "d": {"k": [1]},
                             "t": [3], "a": [None]})  # fmt: skip
    assert said == ["3", "2.0", "'grüße'", "True", "'y'", "<Colour.BLUE: 'blue'>", "5", "{'k': [1]}", "(3,)", "[None]"]
    said = p.value("types", {"i": 3.0, "f": 2.5, "s": "", "b": "false"})
    assert said == ["3", "2.5", "''", "False", "'x'", "<Colour.RED: 'red'>", "None", "{}", "(1, 2)", "None"]


@pytest.mark.parametrize("params, wanted", [
    ({"b": 1}, "Parameter b must be true or false; got 1."),
    ({"o": "x"}, "Parameter o must be an integer or null; got 'x'."),
    ({"d": []}, "Parameter d must be a JSON object; got []."),
    ({"t": 1}, "Parameter t must be a JSON array; got 1."),
])  # fmt: skip
def test_json_of_another_form_is_refused(p, params, wanted):
    error = p.error("types", {"i": 1, "f": 1, "s": "", **params})
    assert error["message"] == wanted and error["code"] == "failed"


def test_numbers_come_raw_or_as_values(p):
    numbers = array.array("d", [1, 2, 3.5]).tobytes()
    assert p.value("total", {"times": 2}, input_=numbers, kind="values") == 13.0
    assert p.value("total", input_=numbers, kind="raw") == 6.5
    assert p.call("kind", input_=numbers, kind="values") == b"array3"
    assert p.value("total", input_=b"", kind="values") == 0
    assert "multiple of 8 bytes; got 7" in p.error("total", input_=numbers[:7])["message"]


@pytest.mark.parametrize("size", [0, 1, 65000, 65536, 65537, 1 << 20])
def test_raw_input_of_any_size(p, size):
    body = bytes(range(97, 123)) * (size // 26 + 1)
    assert p.call("upper", input_=body[:size]) == body[:size].upper()
    p.ping()


def test_raw_input_that_is_missing(p):
    assert p.value("length") == 3 and p.value("length", input_=b"12345") == 5
    assert p.error("upper")["message"] == "Kernel upper wants input: POST it as application/octet-stream."
    assert p.call("view", input_=b"x" * 100000) == b"xxx"


# ---- results --------------------------------------------------------------------------------------


@pytest.mark.parametrize("what, media_type, body", [
    ("point", None, b'{"x":1,"y":2.5}'), ("points", None, b'[{"x":1,"y":2.5}]'), ("enum", None, b'"blue"'), ("none", None, b"null"),
    ("text", "text/plain; charset=utf-8", "grüße".encode()), ("bytes", "application/octet-stream", b"\0\1"),
    ("array", None, b"[1.0,2.0]"), ("int", None, b"1" + b"0" * 30), ("true", None, b"true"), ("keys", None, b'{"1":2}'),
    ("view", "application/octet-stream", array.array("d", [1]).tobytes()),
])  # fmt: skip
def test_result_is_sent_as_its_type_says(p, what, media_type, body):
    frame, meta, _ = p.end(p.begin("give", {"what": what}))
    assert (frame.type, bytes(frame.raw)) == (frames.RESULT, body)
    assert meta == ({"media_type": media_type} if media_type else {})


@pytest.mark.parametrize("what, words", [
    ("set", "a set is not JSON"), ("nan", "NaN or an infinite"), ("inf", "NaN or an infinite"), ("surrogate", "surrogate"),
    ("in", "surrogate"), ("cyclic", "contains itself"), ("tuple_keys", "keys must be"),
    ("big", "The result has 2097152 bytes; the server takes 1048576 (--result-max)."),
])  # fmt: skip
def test_result_that_cannot_be_sent_is_an_error(p, what, words):
    error = p.error("give", {"what": what})
    assert words in error["message"] and error["code"] == "failed"
    p.ping()


def test_declared_media_type(p):
    assert p.kernels["csv"]["media_type"] == "text/csv"
    frame, meta, _ = p.end(p.begin("csv"))
    assert (bytes(frame.raw), meta) == (b"a,b\n", {})
    assert p.call("csv", {"what": "bytes"}) == b"1,2\n"
    assert "a list is no text/csv" in p.error("csv", {"what": "list"})["message"]


# ---- failures -------------------------------------------------------------------------------------


@pytest.mark.parametrize("how, message, code", [
    ("value", "ValueError: n is odd.", "failed"), ("lines", "ValueError: one two.", "failed"), ("empty", "KeyError.", "failed"),
    ("failed", "The matrix is singular.", "failed"), ("retry", "The device is busy.", "retry"),
    ("exit", "The kernel called sys.exit(3), which ends nothing here: let it return or raise.", "failed"),
    ("interrupt", "KeyboardInterrupt.", "failed"), ("connection", "BrokenPipeError: of my own.", "failed"),
    ("surrogate", "ValueError: ?", "failed"),
])  # fmt: skip
def test_exception_is_an_answer(p, how, message, code):
    error = p.error("hurt", {"how": how})
    assert (error["message"], error["code"]) == (message, code)
    p.ping()


def test_memory_and_recursion_errors_are_answers(p):
    assert p.error("hurt", {"how": "memory"})["message"].startswith(("MemoryError", "OverflowError"))
    deep = p.error("hurt", {"how": "deep"})
    assert deep["message"].startswith("RecursionError: maximum recursion depth") and len(deep["trace"]) <= 50
    assert len(p.error("hurt", {"how": "long"})["message"]) <= 900
    assert p.value("fib", {"n": 3}) == 2


def test_trace_begins_in_the_kernel(p):
    trace = p.error("hurt", {"how": "value"})["trace"]
    assert trace[0] == "Traceback (most recent call last):" and trace[-1] == "ValueError: n is odd"
    assert "kernels_file.py" in trace[1] and not any("/prong/serve.py" in line for line in trace)


def test_process_that_ends_itself(fresh):
    program = fresh()
    program.begin("hurt", {"how": "_exit"})
    assert program.channel.read() is None and program.wait() == 9


def test_what_is_printed_is_not_on_the_channel(fresh):
    program = fresh()
    assert program.value("noisy") == 1
    program.ping()
    out, err = program.finish()
    assert "to stdout" in out and "by hand" in out and "to stderr" in err


# ---- while it runs --------------------------------------------------------------------------------


def test_generator_sends_parts_and_their_list(p):
    frame, _, before = p.end(p.begin("stream", wants_parts=True))
    assert [(f.type, bytes(f.raw)) for f in before] == [(frames.PART, b'{"i":%d}' % i) for i in range(3)]
    assert json.loads(frame.raw) == [{"i": 0}, {"i": 1}, {"i": 2}]
    frame, _, before = p.end(p.begin("stream", {"returns": True}))
    assert before == [] and bytes(frame.raw) == b"all"


def test_part_that_is_too_large_is_left_out(p):
    _, _, before = p.end(p.begin("large_part", wants_parts=True))
    assert [bytes(f.raw) for f in before] == [b'"small"']


def test_progress_is_thinned_out_but_for_its_end(p):
    _, _, before = p.end(p.begin("steps"))
    said = [json.loads(f.meta) for f in before]
    assert {f.type for f in before} == {frames.PROGRESS} and 1 <= len(said) < 200
    assert said[-1] == {"done": 1000, "total": 1000}


def test_cancel_is_seen_by_who_asks(p):
    job = p.begin("until_cancelled")
    assert p.read().type == frames.PROGRESS
    p.send(frames.CANCEL, job)
    frame, _, _ = p.end(job)
    assert (frame.type, bytes(frame.raw)) == (frames.RESULT, b"stopped")


def test_cancel_is_raised_by_progress(p):
    job = p.begin("until_cancelled", {"how": "progress"})
    assert p.read().type == frames.PROGRESS
    p.send(frames.CANCEL, job)
    frame, meta, _ = p.end(job)
    assert frame.type == frames.ERROR and meta["code"] == "cancelled"
    p.ping()


def test_cancel_of_another_job_means_nothing(p):
    job = p.begin("until_cancelled")
    assert p.read().type == frames.PROGRESS
    p.send(frames.CANCEL, job + 77)
    p.send(frames.PING, 0)  # for later
    p.send(frames.CANCEL, job)
    assert bytes(p.end(job)[0].raw) == b"stopped"
    assert p.read().type == frames.PONG
    p.send(frames.CANCEL, job)  # it came too late
    p.ping()


def test_deadline_is_known(p):
    assert 0 < p.value("left") <= 30
    assert p.value("left", timeout_ms=None) is None


def test_end_of_the_channel_cancels(fresh):
    program = fresh()
    program.begin("until_cancelled")
    assert program.read().type == frames.PROGRESS
    program.sock.close()
    assert program.wait() == 0


@pytest.mark.parametrize("how", ["quiet", "end", "quiet while it runs"])
def test_end(fresh, how):
    program = fresh()
    if how == "end":
        program.sock.close()
    elif how == "quiet":
        program.send(frames.QUIET, 0)
    else:
        job = program.begin("until_cancelled")
        assert program.read().type == frames.PROGRESS
        program.send(frames.QUIET, 0)
        program.send(frames.CANCEL, job)
        assert bytes(program.end(job)[0].raw) == b"stopped"
    assert program.wait() == 0


def test_interrupt_from_the_terminal_is_not_for_it(fresh):
    program = fresh()
    program.process.send_signal(signal.SIGINT)
    program.ping()


@pytest.mark.parametrize("data", [
    b"GET / HTTP/1.1\r\n\r\n",
    frames._HEAD.pack(frames.MAGIC, 2, frames.PING, 0, 0),
    frames._HEAD.pack(frames.MAGIC, 1, frames.PING, frames.BODY_BYTES_MAX + 1, 0),
    frames._HEAD.pack(frames.MAGIC, 1, frames.PING, 3, 0) + b"abc",
    frames._HEAD_AND_META.pack(frames.MAGIC, 1, frames.JOB, 8, 1, 5) + b"{}  ",
    frames._HEAD_AND_META.pack(frames.MAGIC, 1, frames.JOB, 6, 1, 2) + b"[]",
    frames._HEAD_AND_META.pack(frames.MAGIC, 1, frames.JOB, 5, 1, 1) + b"{",
    frames._HEAD.pack(frames.MAGIC, 1, frames.READY, 0, 0),
    frames._HEAD.pack(frames.MAGIC, 1, frames.JOB, 0, 1),
])  # fmt: skip
def test_broken_protocol_ends_it(fresh, data):
    program = fresh()
    program.sock.sendall(data)
    assert program.wait() == 76
    assert "broke the protocol" in program.finish()[1]


def test_first_frame_must_be_hello(fresh):
    program = fresh(hello=None)
    program.send(frames.PING, 0)
    assert program.wait() == 76


# ---- split work -----------------------------------------------------------------------------------


def run_split(p, kernel, params=None, cuts=(), **more):
    """As prong does it: plan, then the ranges between these cuts, then finish. (units, last frame, its meta)."""
    frame, plan, _ = p.end(p.begin(kernel, params, op="plan", **more))
    assert frame.type == frames.RESULT and bytes(frame.raw) == b"" and plan["unit_cost"] == 1.0, plan
    units = plan["units"]
    edges = [0, *[c for c in cuts if c < units], units]
    parts = [p.call(kernel, params, op="map", lo=lo, hi=hi, **more) for lo, hi in zip(edges, edges[1:])]
    whole = b"".join(parts)
    frame, meta, _ = p.end(p.begin(kernel, params, op="finish", parts=[whole] if whole else [], **more))
    assert frame.type == frames.RESULT, meta
    return units, frame, meta


@pytest.mark.parametrize("cuts", [(), (1,), (1, 2, 3), (2,)])
def test_result_does_not_depend_on_the_cuts(p, cuts):
    units, frame, _ = run_split(p, "squares", {"limit": 10, "step": 3}, cuts)
    assert units == 4
    assert json.loads(frame.raw) == {
        "limit": 10, "results": [[3, [0, 1, 4]], [3, [9, 16, 25]], [3, [36, 49, 64]], [3, [81]]],
    }  # fmt: skip


def test_pieces_that_take_the_place_of_the_first_parameter(p):
    assert run_split(p, "words", {"text": "a b|c|d e f"}, (1,), id_="same")[1].raw == b"6"
    assert p.value("words", {"text": "a b|c"}) == 3  # op run
    assert run_split(p, "words", {"text": "another|request"}, id_="other")[1].raw == b"2"


def test_no_pieces(p):
    units, frame, _ = run_split(p, "ids", {"limit": 0})
    assert (units, frame.raw) == (0, b"[]")


def test_pieces_without_combine_are_a_list(p):
    _, frame, _ = run_split(p, "ids", {"limit": 7}, (1,))
    assert [piece["lo"] for piece in json.loads(frame.raw)] == [0, 3, 6]


def test_pieces_may_be_bytes(p):
    _, frame, meta = run_split(p, "letters", {"limit": 7}, (1, 2))
    assert (bytes(frame.raw), meta) == (b"abcdefg", {})


def test_piece_that_cannot_be_sent(p):
    error = p.error("nans", op="map", lo=0, hi=1)
    assert "NaN" in error["message"] and error["code"] == "failed"
    assert "pieces, and not [0, 99)" in p.error("squares", op="map", lo=0, hi=99)["message"]


def test_progress_of_a_range_is_counted_in_pieces(p):
    _, _, before = p.end(p.begin("slow", {"limit": 12}, op="map", lo=1, hi=4))
    said = [json.loads(frame.meta) for frame in before]
    assert said and all(s["total"] == 3 and s["done"] in (1, 2, 3) for s in said)


def test_pieces_are_stopped_by_cancel(p):
    job = p.begin("slow", {"limit": 3000, "step": 1}, op="map", lo=0, hi=3000)
    assert p.read().type == frames.PROGRESS
    p.send(frames.CANCEL, job)
    frame, meta, _ = p.end(job)
    assert frame.type == frames.ERROR and meta["code"] == "cancelled"


# ---- many calls -----------------------------------------------------------------------------------


def test_many_calls_at_once(p):
    calls = [[[10], {}], [[], {"n": 5, "scale": 2}], [[91], {}], [["x"], {}], [[1, 2, 3], {}], [[], {}]]
    _, frame, _ = run_split(p, "fib-map", input_=json.dumps(calls).encode(), cuts=(2, 3))
    said = json.loads(frame.raw)
    assert said[0] == {"ok": 55} and said[1] == {"ok": 5} and said[5] == {"ok": 832040}
    assert said[2]["error"]["message"] == "Parameter n must be an integer from 0 to 90; got 91."
    assert said[3]["error"]["message"] == "Parameter n must be an integer from 0 to 90; got 'x'."
    assert said[4]["error"]["message"] == "fib: too many positional arguments."


def test_many_calls_as_a_parameter(p):
    assert p.value("fib-map", {"calls": [[[10], {}]]}) == [{"ok": 55}]
    assert "must be a JSON array of" in p.error("fib-map", {"calls": [[10, {}]]}, op="plan")["message"]


def test_each_of_many_fails_alone(p):
    said = p.value("hurt-map", {"calls": [[[how], {}] for how in ("value", "failed", "exit", "memory", "deep")]})
    assert said[0]["error"]["type"] == "ValueError" and said[0]["error"]["trace"][-1] == "ValueError: n is odd"
    assert said[1]["error"] == {"type": "Failed", "message": "The matrix is singular.", "trace": said[1]["error"]["trace"]}
    assert [s["error"]["type"] for s in said[2:]] == ["SystemExit", "MemoryError", "RecursionError"]
    given = p.value("give-map", {"calls": [[[what], {}] for what in ("set", "bytes", "text", "point")]})
    assert "a set is not JSON" in given[0]["error"]["message"]
    assert given[1:] == [{"base64": "AAE="}, {"ok": "grüße"}, {"ok": {"x": 1, "y": 2.5}}]


def test_many_calls_of_a_split_kernel(p):
    assert p.value("words-map", {"calls": [[["a|b c"], {}], [["d"], {}]]}) == [{"ok": 3}, {"ok": 1}]


# ---- files ----------------------------------------------------------------------------------------


def start_badly(tmp_path, text):
    """The last line that a program says which has no kernels to offer."""
    path = write(tmp_path, "bad.py", text)
    program = Program("-m", "prong", path, hello=None)
    assert program.channel.read() is None
    assert program.wait() == 78
    return program.finish()[1].strip().splitlines()[-1]


@pytest.mark.parametrize("text, words", [
    ("x = 1\n", "has no kernels: write @kernel before a function."),
    ("x = (\n", "cannot be loaded: SyntaxError"),
    ("import nothing_of_that_name\n", "cannot be loaded: ModuleNotFoundError"),
    ("import sys\nsys.exit(0)\n", "cannot be loaded"),
    ("from prong import kernel\n@kernel\ndef f(a: complex): pass\n", "Kernel f: parameter a is annotated complex"),
])  # fmt: skip
def test_file_that_is_no_use_says_so_last(tmp_path, text, words):
    assert words in start_badly(tmp_path, text)


def test_file_may_be_named_like_a_module_and_import_its_neighbours(fresh, tmp_path):
    write(tmp_path, "json.py", "raise SystemExit('the wrong json')\n")
    write(tmp_path, "neighbour.py", "answer = 42\n")
    path = write(tmp_path, "statistics.py", "import json, neighbour\nfrom prong import kernel\n\n@kernel\ndef f(): return neighbour.answer\n")
    assert fresh("-m", "prong", path).value("f") == 42


@pytest.mark.parametrize("end", ["", "import sys, prong\nif __name__ == '__main__':\n    sys.exit(prong.run())\n"])
def test_file_that_is_started_by_itself(fresh, tmp_path, end):
    path = write(tmp_path, "own.py", "from prong import kernel\n\n@kernel\ndef f(): return __name__\n" + end)
    assert fresh(path).call("f") == fresh("-m", "prong", path).call("f") == b"prong_file_own"
    assert fresh("own.py", cwd=tmp_path).call("f") == fresh("-m", "prong", "own.py", cwd=tmp_path).call("f") == b"prong_file_own"
    said = subprocess.run([sys.executable, path], env={"PYTHONPATH": str(harness.SDK)}, capture_output=True, text=True, timeout=60, check=True)
    assert said.stdout.startswith("f  ") == bool(end) and said.stderr == ""


def terminal(*arguments, **more):
    """In a terminal, so without fd 3."""
    return subprocess.run(
        [sys.executable, "-m", "prong", *map(str, arguments)], cwd=harness.SDK, capture_output=True, text=True, timeout=60, check=False, **more
    )


def test_terminal_shows_the_kernels():
    said = terminal(FILE)
    assert said.returncode == 0 and "fib  The n-th Fibonacci number." in said.stdout
    assert "n: an integer from 0 to 90, default 30. Which one, counted from 0" in said.stdout


def test_terminal_calls_one():
    assert terminal(FILE, "fib", '{"n":30}').stdout == "832040\n"
    assert terminal(FILE, "squares", '{"limit":4}').stdout == '{"limit":4,"results":[[3,[0,1,4]],[3,[9]]]}\n'
    assert terminal(FILE, "upper", "-", input="abc").stdout == "ABC"
    said = terminal(FILE, "stream")
    assert said.stdout == '[{"i":0},{"i":1},{"i":2}]\n' and said.stderr.count("part: ") == 3


@pytest.mark.parametrize("arguments, status, words", [
    (("fib", '{"n":91}'), 1, "Parameter n must be an integer from 0 to 90; got 91."),
    (("fib", "{"), 1, "The parameters are not JSON"),
    (("fib", "[1]"), 1, "must be a JSON object"),
    (("fib", "-"), 1, "takes no raw input"),
    (("hurt", '{"how":"value"}'), 1, "ValueError: n is odd"),
    (("nobody",), 64, "There is no kernel nobody; there are fib"),
])  # fmt: skip
def test_terminal_says_what_is_wrong(arguments, status, words):
    said = terminal(FILE, *arguments)
    assert said.returncode == status and words in said.stderr and said.stdout == ""
