"""The lab: what each experiment finds in each mode, and what becomes of one that is refused, left or cut short."""
import json
import os
import pathlib
import shutil
import tempfile
import time

import pytest
from conftest import DIR, PATIENCE, assert_problem, descendants, events_of, is_alive, wait_until

C_MODES = ["sequential", "threads", "threads+gil", "processes"]
PYTHON_MODES = ["python-sequential", "python-threads", "python-processes"]
MODES = {"cpu": C_MODES + PYTHON_MODES, "io": C_MODES + PYTHON_MODES, "race": ["unlocked", "locked", "atomic"],
         "crash": ["threads", "processes"]}
LIMITS = {"n": 1000000000, "workers": 16, "repeat": 20}


@pytest.fixture(scope="module")
def s(shared_server):
    return shared_server(workers=2)


def lab(s, experiment, **more):
    answer = s.post("/lab", {"experiment": experiment, **more})
    assert answer.status == 200, answer
    return answer.json


def runs_of(report):
    return {run["mode"]: run for run in report["runs"]}


def lab_programs(s):
    return {pid for pid, (name, state, _) in descendants(s.pid).items() if name == "prong-lab" and state not in "ZX"}


# ---- what is found ---------------------------------------------------------------------------------


def test_cpu_in_every_mode(s):
    report = lab(s, "cpu", n=2000001, repeat=2)
    runs = runs_of(report)
    assert list(runs) == MODES["cpu"]
    for mode, run in runs.items():
        assert run["result"] == run["expected"] == 2000000 * 2000001 // 2 and run["exact"], run
        assert len(run["wall_s"]) == len(run["cpu_s"]) == len(run["results"]) == 2
        assert min(run["wall_s"]) <= run["median_s"] <= max(run["wall_s"])
        assert run["speedup"] > 0 and run["ideal"] >= 1
        assert len(run["lanes"]) == (1 if mode.endswith("sequential") else 2)
    assert runs["sequential"]["speedup"] == runs["python-sequential"]["speedup"] == 1
    assert runs["threads+gil"]["ideal"] == 1
    assert report["advice"]["headline"] and report["advice"]["text"].endswith(".")


def test_lanes_say_who_worked(s):
    runs = runs_of(lab(s, "cpu", n=100000, workers=3, repeat=1))
    for mode, run in runs.items():
        pids, tids = ({lane[key] for lane in run["lanes"]} for key in ("pid", "tid"))
        workers = 1 if mode.endswith("sequential") else 3
        assert len(tids) == workers and len(pids) == (3 if mode.endswith("processes") else 1), run
        assert {lane["kind"] for lane in run["lanes"]} == {"process" if mode.endswith("processes") else "thread"}
        for lane in run["lanes"]:
            assert all(0 <= start <= end <= max(run["wall_s"]) for start, end in lane["spans"]), run


def test_the_order_is_told_and_can_be_had_again(s):
    report = lab(s, "cpu", n=1000, repeat=3, modes=C_MODES)
    assert sorted(map(tuple, report["order"])) == sorted((mode, repeat) for mode in C_MODES for repeat in range(4))
    assert [repeat for _, repeat in report["order"]] == [r for r in range(4) for _ in C_MODES]
    assert lab(s, "cpu", n=1000, repeat=3, modes=C_MODES, seed=report["seed"])["order"] == report["order"]


def test_the_machine_is_told(s):
    machine = lab(s, "cpu", n=1000, repeat=1, modes=["sequential", "python-sequential"])["machine"]
    assert machine["cores"] >= machine["affinity"] == len(os.sched_getaffinity(0))
    assert 0 < machine["ceiling"] <= machine["affinity"] and machine["background_cores"] >= 0
    assert set(machine["libraries"]) == {"libmicrohttpd", "jansson", "sqlite", "glibc"}
    assert machine["python"].startswith("3.")


def test_one_lock_buys_nothing(s):
    """Its threads never compute at the same time, so they cannot take less than the time that one thread computes. That is
    the CPU time of the sequential run, which other work on the machine does not stretch as it does the wall time. A core is
    not always as fast, though, so three labs are enough of a chance: two threads at once would take half of it in each."""
    for _ in range(3):
        runs = runs_of(lab(s, "cpu", n=200000000, workers=2, repeat=3, modes=["sequential", "threads+gil"]))
        if runs["threads+gil"]["median_s"] >= 0.95 * min(runs["sequential"]["cpu_s"]):
            break
    else:
        pytest.fail(f"it buys something: {runs}")
    assert min(runs["threads+gil"]["switches"]) >= 2
    spans = sorted(span for lane in runs["threads+gil"]["lanes"] for span in lane["spans"])
    assert len(spans) >= 2
    assert all(before[1] <= after[0] for before, after in zip(spans, spans[1:])), spans


def test_io_in_every_mode(s):
    runs = runs_of(lab(s, "io", n=16, workers=2, repeat=1))
    assert list(runs) == MODES["io"]
    for mode, run in runs.items():
        assert run["result"] == run["expected"] == 16, run
        assert run["median_s"] >= 0.05 * (16 if mode.endswith("sequential") else 8), run
        assert run["ideal"] == (1 if mode.endswith("sequential") else 2)
    for mode in ("threads", "threads+gil", "processes"):  # both wait at the same time
        one, other = (lane["spans"] for lane in runs[mode]["lanes"])
        assert one[0][0] < other[-1][1] and other[0][0] < one[-1][1], runs[mode]


def test_a_race_loses_what_a_lock_keeps(s):
    report = lab(s, "race", n=2000000, workers=4, repeat=3)
    runs = runs_of(report)
    assert list(runs) == MODES["race"]
    assert {run["expected"] for run in runs.values()} == {8000000}
    assert runs["locked"]["results"] == runs["atomic"]["results"] == [8000000] * 3
    assert all(0 < result <= 8000000 for result in runs["unlocked"]["results"])
    lost = min(runs["unlocked"]["results"]) < 8000000
    assert ("are lost" if lost else "No addition was lost") in report["advice"]["headline"]


def test_a_crash_takes_its_process(s):
    runs = runs_of(lab(s, "crash", n=1000000, workers=3, repeat=2))
    assert list(runs) == MODES["crash"]
    assert runs["threads"]["results"] == [0, 0] and runs["processes"]["results"] == [2, 2]
    assert all("SIGSEGV" in run["note"] for run in runs.values())


def test_large_sums_are_exact(s):
    (run,) = lab(s, "cpu", n=1000000000, repeat=1, workers=2, modes=["threads"])["runs"]
    assert run["results"] == [499999999500000000]


# ---- as events -------------------------------------------------------------------------------------


def test_events_come_in_order(s):
    answer = s.post("/lab", {"experiment": "race", "n": 1000, "repeat": 2}, accept="text/event-stream")
    events = events_of(answer.text)
    names = [name for name, _ in events]
    assert names == ["plan"] + ["run", "progress"] * 9 + ["result"]
    plan, result = json.loads(events[0][1]), json.loads(events[-1][1])
    told = [json.loads(data) for name, data in events if name == "run"]
    assert [[run["mode"], run["repeat"]] for run in told] == plan["order"] == result["order"]
    assert [json.loads(data) for name, data in events if name == "progress"] == [{"done": i, "total": 9} for i in range(1, 10)]
    for run in result["runs"]:
        assert run["wall_s"] == [t["wall_s"] for t in told if t["mode"] == run["mode"] and t["repeat"] > 0]


# ---- what is refused -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body, parameter, says",
    [
        ({}, "experiment", "cpu, io, race or crash"),
        ({"experiment": "gpu"}, "experiment", "cpu"),
        ({"experiment": "cpu", "n": 0}, "n", "1000000000"),
        ({"experiment": "cpu", "n": LIMITS["n"] + 1}, "n", "1000000000"),
        ({"experiment": "io", "n": 1001}, "n", "1000"),
        ({"experiment": "cpu", "workers": LIMITS["workers"] + 1}, "workers", "16"),
        ({"experiment": "cpu", "repeat": LIMITS["repeat"] + 1}, "repeat", "20"),
        ({"experiment": "cpu", "modes": ["atomic"]}, "modes", "threads+gil"),
        ({"experiment": "cpu", "colour": 1}, "colour", "repeat"),
    ],
)
def test_bad_parameters(s, body, parameter, says):
    problem = assert_problem(s.post("/lab", body), 400, "bad-parameter", parameter=parameter)
    assert says in problem["detail"]


def test_bad_requests(s):
    assert_problem(s.post("/lab", "{", content_type="application/json"), 400, "bad-json")
    assert_problem(s.post("/lab", "x", content_type="text/plain"), 415, "unsupported-media-type")
    assert_problem(s.post("/lab", {"experiment": "cpu"}, accept="image/png"), 406, "not-acceptable")
    assert_problem(s.post("/lab", {"experiment": "cpu"}, prong_timeout="soon"), 400, "bad-header")
    assert_problem(s.ask("PUT", "/lab", {}), 405, "method-not-allowed")


def test_one_at_a_time(s):
    first = s.later("POST", "/lab", {"experiment": "io", "n": 40, "repeat": 1, "modes": ["sequential"]})
    wait_until(lambda: lab_programs(s), "the first lab")
    busy = s.post("/lab", {"experiment": "cpu"})
    assert_problem(busy, 409, "lab-busy", retry_after=5)
    assert busy.headers["Retry-After"] == "5"
    assert first.result().status == 200
    assert runs_of(lab(s, "race", n=10, repeat=1))["locked"]["exact"]


def test_one_that_would_take_too_long_is_told_so_at_once(server):
    s = server(workers=1, lab_timeout=3)
    begun = time.monotonic()
    problem = assert_problem(s.post("/lab", {"experiment": "io", "n": 1000, "workers": 1, "modes": ["threads"]}), 400, "lab-too-long")
    assert "--lab-timeout" in problem["detail"] and "3 s" in problem["detail"]
    assert time.monotonic() - begun < PATIENCE
    s.wait_idle()


def test_a_deadline_ends_it(s):
    answer = s.post("/lab", {"experiment": "io", "n": 1000, "workers": 1, "modes": ["threads"]}, prong_timeout=0.02)
    assert "--lab-timeout" in assert_problem(answer, 504, "deadline")["detail"]
    s.wait_idle()
    wait_until(lambda: not lab_programs(s), "the end of what is late")


def test_without_its_kernel(server):
    with tempfile.TemporaryDirectory(prefix="prong-kernels-") as folder:
        os.chmod(folder, 0o755)
        shutil.copy(DIR / "kernels" / "echo.so", folder)
        s = server(workers=1, kernels=folder)
        problem = assert_problem(s.post("/lab", {"experiment": "cpu"}), 404, "no-such-kernel")
        assert "--builtins" in problem["detail"]
        s.stop()


# ---- python ----------------------------------------------------------------------------------------


@pytest.fixture
def without_python(server):
    """A server whose lab finds no python3."""
    with tempfile.TemporaryDirectory(prefix="prong-kernels-") as folder:
        os.chmod(folder, 0o755)
        for name in ("prong-lab", "prong-lab.py", "lab.kernel"):
            shutil.copy(DIR / "kernels" / name, folder)
        manifest = pathlib.Path(folder, "lab.kernel")
        manifest.write_text(manifest.read_text() + "\n[environment]\nPATH = /nowhere\n")
        s = server(workers=1, kernels=folder)
        yield s
        s.stop()


def test_without_python(without_python):
    report = lab(without_python, "cpu", n=1000, repeat=1)
    assert list(runs_of(report)) == C_MODES
    assert [left["mode"] for left in report["left_out"]] == PYTHON_MODES
    assert "no python3" in report["left_out"][0]["why"] and report["machine"]["python"] is None
    alone = without_python.post("/lab", {"experiment": "cpu", "modes": PYTHON_MODES})
    assert_problem(alone, 400, "bad-parameter", parameter="modes")


def test_the_script_is_no_kernel(s):
    catalogue = s.get("/compute").json
    assert [k["name"] for k in catalogue["kernels"] if "lab" in k["name"]] == ["lab"]
    assert catalogue.get("refused", []) == []


# ---- those who leave -------------------------------------------------------------------------------


@pytest.mark.parametrize("accept", ["application/json", "text/event-stream"])
def test_who_leaves_ends_it(s, accept):
    with s.connect() as sock:
        body = b'{"experiment":"io","n":1000,"workers":4,"repeat":1,"modes":["processes"]}'
        sock.sendall(b"POST /lab HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nAccept: %s\r\nContent-Length: %d\r\n\r\n%s"
                     % (accept.encode(), len(body), body))
        wait_until(lambda: len(lab_programs(s)) == 5, "the program and its four children")
        running = lab_programs(s)
    wait_until(lambda: not [pid for pid in running if is_alive(pid)], "the end of what nobody wants")
    s.wait_idle()
    wait_until(lambda: s.post("/lab", {"experiment": "race", "n": 10, "repeat": 1}).status == 200, "the place of who left")


def test_the_end_of_the_server_ends_it(server):
    s = server(workers=1, drain=0.5)
    asked = s.later("POST", "/lab", {"experiment": "io", "n": 1000, "workers": 1, "repeat": 1, "modes": ["sequential"]})
    wait_until(lambda: lab_programs(s), "the lab")
    s.stop()
    assert_problem(asked.result(), 503, "draining")


def test_a_server_that_drains_begins_no_further_run(server):
    s = server(workers=1)
    asked = s.later("POST", "/lab", {"experiment": "io", "n": 20, "workers": 1, "repeat": 9, "modes": ["sequential"]})
    wait_until(lambda: lab_programs(s), "the lab")
    s.stop()
    assert_problem(asked.result(), 503, "draining")


def test_what_has_begun_may_end_while_the_server_drains(server):
    s = server(workers=1)
    with s.client() as client:
        body = {"experiment": "io", "n": 40, "workers": 1, "repeat": 1, "modes": ["sequential"]}
        client.http.request("POST", "/lab", json.dumps(body), {"Content-Type": "application/json", "Accept": "text/event-stream"})
        # The warm-up and the one run, which may be over already.
        wait_until(lambda: s.metric("prong_jobs_total", kernel="lab") + s.status()["compute"]["running"] == 2, "the last run")
        s.stop()
        events = events_of(client.http.getresponse().read().decode())
    assert [name for name, _ in events] == ["plan"] + ["run", "progress"] * 2 + ["result"], events


# ---- the page --------------------------------------------------------------------------------------


def test_the_page_has_the_same_path(s):
    page = s.get("/lab")
    assert page.status == 200 and page.headers["Content-Type"].startswith("text/html")
    assert s.ask("OPTIONS", "/lab").headers["Allow"] == "GET, HEAD, POST, OPTIONS"
