"""The row of the lab: what its own modes reach on this machine, in C and in Python."""

import json
import os

from rig import Client, Server
from table import Line, row

ASKED = {"C": {"experiment": "cpu", "n": 1_000_000_000, "repeat": 7, "modes": ["sequential", "threads", "threads+gil", "processes"]},
         "Python": {"experiment": "cpu", "n": 20_000_000, "repeat": 5,
                    "modes": ["python-sequential", "python-threads", "python-processes"]}}


def measure(server, asked):
    with Client(server.port, timeout=600) as client:
        answer = client.ask("/lab", "Content-Type: application/json\r\n", json.dumps({**asked, "workers": 2}).encode())
    return json.loads(answer.body)


@row("lab")
def measure_lab():
    with Server() as server:
        for language, asked in ASKED.items():
            report = measure(server, asked)
            machine = report["machine"]
            others = machine["background_cores"] / os.cpu_count()
            base = report["runs"][0]["median_s"]
            for run in report["runs"][1:]:
                switches = f"; the lock changed hands {run['switches'][run['typical']]} times" if "switches" in run else ""
                note = (f"{base * 1000:.0f} to {run['median_s'] * 1000:.0f} ms, fastest {min(run['wall_s']) * 1000:.0f}; sum to "
                        f"{asked['n']:.0e}, 2 workers, medians of {asked['repeat']} runs{switches}")
                title = run["mode"].removeprefix("python-")
                yield Line(f"{title} in {language}, against one thread", run["speedup"], "×", note, others=others)
