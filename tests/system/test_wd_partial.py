"""Kernels to which an answer without some parts is worth having: what died is left out, and told."""
import json
import shutil

import pytest
from conftest import DIR, assert_problem, events_of


@pytest.fixture
def holed(server, tmp_path):
    """A server with the kernel that dies of some units: `holes`."""
    kernels = tmp_path / "kernels"
    kernels.mkdir()
    shutil.copy(DIR / "test-kernels" / "holes.so", kernels)
    return lambda **more: server(**{"kernels": kernels, "workers": 2, "express": 0, "poison_deaths": 0, "brake_deaths": 0, **more})


def ask(s, count, lo=0, hi=0, chunks=None, every=1, **more):
    headers = {"Prong-Chunks": str(chunks)} if chunks else {}
    return s.get(f"/compute/holes?count={count}&deadly_lo={lo}&deadly_hi={hi}&deadly_every={every}", headers={**headers, **more.pop("headers", {})}, **more)


def without(count, *holes):
    left = [n for n in range(count) if not any(lo <= n <= hi for lo, hi in holes)]
    return {"count": len(left), "sum": sum(left)}


@pytest.mark.parametrize("retries", [0, 1])
def test_a_chunk_that_dies_is_left_out(holed, retries):
    s = holed(retries=retries)
    answer = ask(s, 80, 15, 16, chunks=8)
    assert answer.status == 200 and answer.json == without(80, (10, 19))
    assert answer.headers["Prong-Missing"] == "10-19"
    assert answer.receipt["missing"] == 1 and answer.receipt["retries"] == retries
    assert s.metric("prong_worker_deaths_total") == 1 + retries
    assert s.metric("prong_jobs_total", kernel="holes", outcome="ok") == 1


def test_what_lacks_nothing_says_nothing(holed):
    answer = ask(holed(), 80, chunks=8)
    assert answer.json == without(80) and "Prong-Missing" not in answer.headers and "missing" not in answer.receipt


@pytest.mark.parametrize("lo, hi", [(0, 11), (70, 80), (5, 75)], ids=["the first", "the last", "all but"])
def test_holes_anywhere(holed, lo, hi):
    s = holed(retries=0)
    answer = ask(s, 80, lo, hi, chunks=16)
    first, last = lo // 5 * 5, (hi + 4) // 5 * 5 - 1
    assert answer.json == without(80, (first, last))
    assert answer.headers["Prong-Missing"] == f"{first}-{last}"  # neighbours are one
    assert answer.receipt["missing"] == (last + 1 - first) // 5


@pytest.mark.parametrize("count", [16, 17])
def test_many_holes_are_counted_and_not_all_named(holed, count):
    s = holed(retries=0)
    holes = [(n * 4, n * 4 + 1) for n in range(count)]
    answer = ask(s, count * 4, 0, count * 4, chunks=count * 2, every=4)
    assert answer.json == without(count * 4, *holes)
    assert answer.headers["Prong-Missing"] == ", ".join([f"{lo}-{hi}" for lo, hi in holes[:16]] + ["..."] * (count > 16))
    assert answer.receipt["missing"] == count


def test_more_parts_than_finish_takes(holed):
    """So they are combined before, over the hole too."""
    s = holed(retries=0)
    answer = ask(s, 4000, 100, 103, chunks=2000)
    assert answer.json == without(4000, (100, 103)) and answer.headers["Prong-Missing"] == "100-103"


def test_nothing_is_no_answer(holed):
    s = holed(retries=0)
    answer = ask(s, 16, 0, 16, chunks=4)
    assert_problem(answer, 502, "worker-died", signal_name="KILL")
    assert "Prong-Missing" not in answer.headers


def test_one_that_was_not_split_has_no_parts(holed):
    s = holed(retries=0)
    answer = ask(s, 1, 0, 1)
    assert_problem(answer, 502, "worker-died")


def test_it_is_not_kept(holed):
    s = holed(cache_max="64M", retries=0)
    for _ in range(2):
        answer = ask(s, 80, 15, 16, chunks=8)
        assert answer.json == without(80, (10, 19)) and answer.headers["Prong-Cache"] == "miss"
    assert s.metric("prong_cache_entries") == 0


def test_listeners_are_told(holed):
    s = holed(retries=0)
    answer = ask(s, 80, 15, 16, chunks=8, accept="text/event-stream")
    name, data = events_of(answer.text)[-1]
    assert name == "result"
    result = json.loads(data)
    assert result["result"] == without(80, (10, 19)) and result["receipt"]["missing"] == 1


def test_a_durable_job_wants_all_of_it(holed):
    s = holed(retries=0, store="memory")
    job = s.post("/jobs", {"kernel": "holes", "params": {"count": 80, "deadly_lo": 15, "deadly_hi": 16}, "chunks": 8, "max_attempts": 1}).json
    ended = s.get(f"/jobs/{job['id']}?wait=30").json
    assert ended["state"] in ("dead", "failed"), ended
    assert_problem(s.get(f"/jobs/{job['id']}/result"), 502, "worker-died")


def test_a_chunk_is_not_left_out_where_that_was_not_allowed(holed, tmp_path):
    (tmp_path / "kernels/holes.so").unlink()
    shutil.copy(DIR / "test-kernels" / "holes_whole.so", tmp_path / "kernels")
    s = holed(retries=0)
    answer = ask(s, 80, 15, 16, chunks=8)
    assert_problem(answer, 502, "worker-died")
    assert "Prong-Missing" not in answer.headers
    assert ask(s, 80, chunks=8).json == without(80)


def test_others_still_fail(server):
    s = server(enable_fault_kernel=True, poison_deaths=0, brake_deaths=0)
    assert_problem(s.post("/compute/fault", {"mode": "segv"}), 502, "worker-died")
