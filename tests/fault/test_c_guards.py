"""Poison is refused, and a kernel that dies again and again rests while the others run on."""
import pytest
from conftest import assert_problem, wait_until


def crash(s, tag, mode="segv", **more):
    return s.post("/compute/fault", {"mode": mode, "tag": tag}, **more)


@pytest.mark.parametrize("mode", ["segv", "abort", "exit"])
def test_poison(server, mode):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0)
    deaths = [crash(s, 7, mode) for _ in range(2)]
    assert [d.status for d in deaths] == [502, 502]
    s.wait_workers()
    before = s.worker_pids()
    for _ in range(10):
        problem = assert_problem(crash(s, 7, mode), 422, "poison")
        assert 500 < problem["retry_after"] <= 600
    assert s.worker_pids() == before
    assert crash(s, 8, mode).status == 502
    assert s.get("/compute/echo").status == 200


def test_poison_in_the_query_is_poison_in_the_body(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0)
    assert crash(s, 1).status == 502
    assert s.get("/compute/fault?tag=1").status == 502
    assert s.get("/compute/fault?tag=1&mode=segv").status == 422
    assert crash(s, 1).status == 422


def test_poison_as_events(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0)
    crash(s, 1), crash(s, 1)
    answer = s.get("/compute/fault?tag=1", accept="text/event-stream")
    assert answer.status == 422 or '"status":422' in answer.text


def test_poison_is_forgotten(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0, poison_ttl=1)
    assert [crash(s, 1).status for _ in range(2)] == [502, 502]
    wait_until(lambda: crash(s, 1).status == 502, "it to be tried again")


def test_no_poison_when_told_so(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0, poison_deaths=0)
    assert {crash(s, 1).status for _ in range(6)} == {502}


def test_a_deadline_is_no_poison(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0)
    assert {crash(s, 1, "hang", prong_timeout=0.1).status for _ in range(4)} <= {504, 503}


def test_a_worker_killed_by_others_is_no_poison(server):
    """kill -9 through the API says nothing about the input."""
    s = server(workers=1, express=0, enable_fault_kernel=True)
    for _ in range(3):
        running = s.later("POST", "/compute/fault", {"mode": "hang"}, prong_timeout=20)
        s.wait_busy(1)
        assert s.ask("DELETE", f"/workers/{s.busy()[0]['pid']}").status == 204
        assert running.result().status == 502
        s.wait_workers()


def test_brake(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=5)
    deaths = [crash(s, tag).status for tag in range(5)]
    assert deaths == [502] * 5
    s.wait_workers()
    answer = crash(s, 99)
    problem = assert_problem(answer, 503, "kernel-disabled")
    assert int(answer.headers["Retry-After"]) == problem["retry_after"] >= 1
    assert s.get("/compute/primes?limit=1000").json["count"] == 168
    assert s.get("/compute/echo").status == 200
    assert s.get("/readyz").status == 200


def test_brake_is_let_go(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=3, brake_window=1)
    for tag in range(3):
        assert crash(s, tag).status == 502
    assert crash(s, 98).status == 503
    wait_until(lambda: crash(s, 99).status == 502, "the kernel to be tried again")


def test_no_brake_when_told_so(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=0)
    assert {crash(s, tag).status for tag in range(15)} == {502}


def test_the_brake_holds_back_what_waits(server):
    s = server(workers=2, enable_fault_kernel=True, brake_deaths=3, poison_deaths=0)
    crashes = [s.later("POST", "/compute/fault", {"mode": "segv", "tag": tag}) for tag in range(20)]
    statuses = [c.result().status for c in crashes]
    assert set(statuses) <= {502, 503}
    s.wait_workers()
    assert s.get("/compute/echo").status == 200
