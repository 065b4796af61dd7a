"""The rows of one's own kernels: plug-ins in C, programs in Python, and what the sandbox costs."""

import concurrent.futures
import os
import statistics
import subprocess
import sys
import time

from rig import ROOT, CannotMeasure, Pairs, Server, wrk
from table import Line, row

ITEMS, ITEM_MS = 10_000, 1

NOOP_C = """
#include "prong/kernel.h"
static int map(struct prong_ctx *c, uint64_t lo, uint64_t hi)
{
    (void)lo;
    (void)hi;
    return prong_write(c, "{\\"message\\":\\"hello\\"}", 19);
}
static const struct prong_kernel kernel = {
    .size = sizeof(kernel), .abi_major = PRONG_ABI_MAJOR, .abi_minor = PRONG_ABI_MINOR,
    .flags = PRONG_PURE | PRONG_IDEMPOTENT, .name = "noop", .version = "1", .media_type = "application/json",
    .map = map,
};
PRONG_EXPORT const struct prong_kernel *prong_kernel_entry(uint32_t major, uint32_t minor)
{
    (void)minor;
    return major == PRONG_ABI_MAJOR ? &kernel : NULL;
}
"""

NOOP_PY = '''
import time
from prong import kernel

@kernel(pure=True, idempotent=True)
def pynoop():
    """Does nothing."""
    return {"message": "hello"}

@kernel(idempotent=True)
def burn(ms: float = 1.0, tag: int = 0):
    """Computes for so long, by the CPU's clock."""
    end = time.process_time_ns() + int(ms * 1e6)
    while time.process_time_ns() < end:
        pass
    return tag
'''


class Kernels(Server):
    """A server with kernels of its own, where a sandboxed process can read them."""

    def __init__(self, *args):
        super().__init__(*args)
        os.chmod(self.folder, 0o755)
        folder = f"{self.folder}/kernels"
        os.mkdir(folder, 0o755)
        with open(f"{folder}/noop.c", "w", encoding="utf-8") as file:
            file.write(NOOP_C)
        subprocess.run(
            ["cc", "-O2", "-shared", "-fPIC", f"-I{ROOT}/include", f"{folder}/noop.c", "-o", f"{folder}/noop.so"], check=True
        )
        with open(f"{folder}/bench.py", "w", encoding="utf-8") as file:
            file.write(NOOP_PY)
        self.argv += ["--kernels", folder]


def per_s(report):
    return report["per_s"]


def load(server, path, seconds=2, connections=64):
    return lambda: wrk(server.url(path), connections, seconds)


@row("plugin")
def measure_plugin():
    with Kernels() as server:
        noop, echo = load(server, "/compute/noop"), load(server, "/compute/echo")
        noop(), echo()
        pairs = Pairs(noop, echo, 7)
    yield Line("a no-op plug-in in C, against the built-in echo", pairs.ratio(per_s), "×",
               f"{pairs.median(0, per_s) / 1000:.1f} to {pairs.median(1, per_s) / 1000:.1f} k/s, quartiles {pairs.spread(per_s)}×; "
               f"64 connections; {pairs}", 0.97, 1.0, others=pairs.others)


def nothing():
    return {"message": "hello"}


def burn(milliseconds):
    end = time.process_time_ns() + int(milliseconds * 1e6)
    while time.process_time_ns() < end:
        pass
    return 0


def submit_to_pool(pool, seconds=2):
    """Calls of a no-op through ProcessPoolExecutor.submit per second, 64 in flight."""
    def run():
        begin, done = time.perf_counter(), 0
        waiting = {pool.submit(nothing) for _ in range(64)}
        while time.perf_counter() - begin < seconds:
            ended, waiting = concurrent.futures.wait(waiting, return_when=concurrent.futures.FIRST_COMPLETED)
            done += len(ended)
            waiting |= {pool.submit(nothing) for _ in ended}
        concurrent.futures.wait(waiting)
        return {"per_s": done / (time.perf_counter() - begin)}

    return run


@row("python")
def measure_python():
    with Kernels("--workers", "2") as server, concurrent.futures.ProcessPoolExecutor(2) as pool:
        ours, theirs = load(server, "/compute/pynoop"), submit_to_pool(pool)
        ours(), theirs()
        pairs = Pairs(ours, theirs, 5)
    note = (f"ProcessPoolExecutor.submit {pairs.median(1, per_s) / 1000:.1f} k/s; 2 workers, HTTP included, 64 connections of wrk and "
            f"64 calls in flight there; {pairs}")
    yield Line("a no-op in Python, per second", pairs.median(0, per_s) / 1000, " k/s", note, 8, 20, digits=1, others=pairs.others)
    yield Line("the same, against ProcessPoolExecutor.submit", pairs.ratio(per_s), "×", f"quartiles {pairs.spread(per_s)}×", 1, 3,
               others=pairs.others)


@row("pymap")
def measure_map():
    """Of CPU time on both cores there is as much as the machine gives; so the ideal is measured by the same burner."""
    sys.path.insert(0, f"{ROOT}/src/sdk/python")
    from prong import Executor  # pylint: disable=import-outside-toplevel,import-error

    ideal = ITEMS * ITEM_MS / 1000 / 2
    walls = []
    with Kernels("--workers", "2", "--timeout", "120") as server, Executor(f"http://127.0.0.1:{server.port}") as executor:
        list(executor.map("burn", [ITEM_MS] * 200, range(200), chunksize=50))
        for _ in range(3):
            begin = time.perf_counter()
            answers = list(executor.map("burn", [ITEM_MS] * ITEMS, range(ITEMS), chunksize=100))
            walls.append(time.perf_counter() - begin)
            if answers != list(range(ITEMS)):
                raise CannotMeasure("the answers are not in order")
    wall = statistics.median(walls)
    yield Line(f"Executor.map over {ITEMS} items of {ITEM_MS} ms on 2 workers, against the ideal", ideal / wall, "×",
               f"{wall:.2f} s where two cores alone would take {ideal:.2f}; chunksize 100; longest of 3 {max(walls):.2f} s", 0.9, 0.97)


LAYERS = ("user", "landlock", "seccomp", "network", "limits")


@row("sandbox")
def measure_sandbox():
    def cost(with_args, without_args):
        with Server(*with_args) as guarded, Server(*without_args) as bare:
            a, b = load(guarded, "/compute/echo", 1), load(bare, "/compute/echo", 1)
            a(), b()
            return Pairs(a, b, 9)

    whole = cost((), ("--sandbox", "off"))
    yield Line("the sandbox, of a no-op through a worker", 100 * (1 - whole.ratio(per_s)), " %",
               f"{whole.median(1, per_s) / 1000:.1f} k/s without, {whole.median(0, per_s) / 1000:.1f} with; quartiles of the ratio "
               f"{whole.spread(per_s)}×; 64 connections; {whole}", 5, 5, others=whole.others)
    for layer in LAYERS:
        pairs = cost((), ("--sandbox-without", layer))
        yield Line(f"of it {layer}", 100 * (1 - pairs.ratio(per_s)), " %", f"quartiles of the ratio {pairs.spread(per_s)}×; {pairs}",
                   others=pairs.others)
