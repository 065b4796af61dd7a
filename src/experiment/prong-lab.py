"""The documents' own program, for the lab: what is added up or waited for is shared out among threads or processes.

prong-lab starts it: python3 prong-lab.py EXPERIMENT MODE N WORKERS. It prints what prong-lab prints. Only start() and join()
stand between the two readings of the clock.
"""
import json
import multiprocessing
import os
import platform
import resource
import sys
import sysconfig
import threading
import time

WAIT_S = 0.05


def add(start, end):
    total = 0
    for i in range(start, end):
        total += i
    return total


def wait(start, end):
    for _ in range(start, end):
        time.sleep(WAIT_S)
    return end - start


WORK = {"cpu": add, "io": wait}
EXPECTED = {"cpu": lambda n: n * (n - 1) // 2, "io": lambda n: n}


def timed(work, start, end):
    """The result, and who worked when."""
    began = time.monotonic()
    result = work(start, end)
    return result, os.getpid(), threading.get_native_id(), began, time.monotonic()


def sequential(work, shares):
    return [timed(work, shares[0][0], shares[-1][1])]


def threads(work, shares):
    found = [None] * len(shares)

    def run(index):
        found[index] = timed(work, *shares[index])

    crew = [threading.Thread(target=run, args=(index,)) for index in range(len(shares))]
    for member in crew:
        member.start()
    for member in crew:
        member.join()
    return found


def processes(work, shares):
    def run(pipe, share):
        pipe.send(timed(work, *share))

    pipes = [multiprocessing.Pipe(duplex=False) for _ in shares]
    crew = [multiprocessing.Process(target=run, args=(pipe[1], share)) for pipe, share in zip(pipes, shares)]
    for member in crew:
        member.start()
    found = [reading.recv() for reading, _ in pipes]
    for member in crew:
        member.join()
    return found


MODES = {"python-sequential": sequential, "python-threads": threads, "python-processes": processes}


def spent():
    """CPU seconds of this process and the children that it has waited for."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def has_lock():
    return getattr(sys, "_is_gil_enabled", lambda: not sysconfig.get_config_var("Py_GIL_DISABLED"))()


def measure(experiment, mode, n, workers):
    shares = [(n * i // workers, n * (i + 1) // workers) for i in range(workers)]
    cpu = spent()
    began = time.monotonic()
    found = MODES[mode](WORK[experiment], shares)
    wall = time.monotonic() - began
    return {
        "wall_s": wall,
        "cpu_s": spent() - cpu,
        "result": sum(result for result, *_ in found),
        "expected": EXPECTED[experiment](n),
        "switches": 0,
        "note": "" if has_lock() else "This Python has no global lock.",
        "lanes": [
            {
                "lane": lane,
                "kind": "process" if mode == "python-processes" else "thread",
                "pid": pid,
                "tid": tid,
                "spans": [[start - began, end - began]],
            }
            for lane, (_, pid, tid, start, end) in enumerate(found)
        ],
    }


def main():
    experiment, mode, n, workers = sys.argv[1:]
    if experiment == "facts":
        print(json.dumps({"python": platform.python_version(), "has_lock": has_lock()}))
        return
    multiprocessing.set_start_method("fork")  # so that nothing but the work is started in a child
    print(json.dumps(measure(experiment, mode, int(n), int(workers))))


if __name__ == "__main__":
    main()
