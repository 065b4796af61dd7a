"""The row of data collection: many pages that each take a while, fetched at once."""

import contextlib
import json
import statistics
import subprocess
import sys
import tempfile

from rig import MS, ROOT, CannotMeasure, Client, Server, tree_cpu_s
from table import Line, row

JSON = "Content-Type: application/json\r\n"
URLS, PAGE_S = 100, 0.1


@contextlib.contextmanager
def site(*args):
    """The port of a web server whose pages take a while; a process of its own, so that it is in no figure of ours."""
    with subprocess.Popen([sys.executable, f"{ROOT}/tests/site_server.py", *args], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            yield int(process.stdout.readline())
        finally:
            process.stdin.close()


def collect(client, scheme, port, fails=None):
    urls = [f"{scheme}://127.0.0.1:{port}/slow/{i}?{PAGE_S}" for i in range(URLS)]
    body = json.dumps({"urls": urls, "concurrency": 64}).encode()
    answer = json.loads(client.ask("/fetch", headers=JSON, body=body).body)
    codes = {row["error"] and row["error"]["code"] for row in answer["results"]}
    if codes != {fails}:
        raise CannotMeasure(f"the pages do not come: {codes}")
    return answer


@row("fetch")
def measure_fetch():
    with site() as port, Server("--fetch-allow", f"127.0.0.1:{port}", "--fetch-per-host", "64") as server, Client(server.port) as client:
        first = collect(client, "http", port)["wall_ms"]
        before = tree_cpu_s(server.process.pid)
        answers = [collect(client, "http", port) for _ in range(11)]
        cpu_ms = (tree_cpu_s(server.process.pid) - before) / len(answers) / MS
    walls = [a["wall_ms"] for a in answers]
    sums = statistics.median(a["sum_ms"] for a in answers) * MS
    yield Line(f"{URLS} pages that take {PAGE_S * 1000:.0f} ms each, 64 at once, counted words included", statistics.median(walls) * MS, " s",
               f"longest {max(walls) * MS:.2f} s; one after the other {sums:.1f} s; CPU {cpu_ms:.0f} ms; the first, which loads libcurl, "
               f"{first * MS:.2f} s; two turns of {PAGE_S} s is the least there can be", 0.35, 0.25)


@row("fetchtls")
def measure_certificates():
    """Nobody vouches for the site's certificate, so what is measured is the handshake and the look at it."""
    with tempfile.TemporaryDirectory(prefix="prong-bench-") as folder:
        made = subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", f"{folder}/key", "-out", f"{folder}/cert",
                               "-days", "2", "-subj", "/CN=localhost"], capture_output=True, check=False)
        if made.returncode != 0:
            raise CannotMeasure("openssl makes no certificate")
        with site(f"{folder}/cert", f"{folder}/key") as port, \
                Server("--fetch-allow", f"127.0.0.1:{port}", "--fetch-per-host", "64") as server, Client(server.port) as client:
            walls = [collect(client, "https", port, "tls")["wall_ms"] for _ in range(6)][1:]
    yield Line(f"{URLS} connections by TLS, 64 at once, to a site that is then refused", statistics.median(walls) * MS, " s",
               f"longest {max(walls) * MS:.2f} s; {statistics.median(walls) / URLS:.1f} ms each, the site's part included")
