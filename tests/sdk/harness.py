"""What the SDK's tests share: the path to it, somebody who plays prong on a program's fd 3, and a server by script."""
import contextlib
import http.server
import itertools
import json
import os
import pathlib
import socket
import subprocess
import sys
import threading
import time

from conftest import PATIENCE, ROOT

SDK = ROOT / "src" / "sdk" / "python"
sys.path.insert(0, str(SDK))

# pylint: disable=wrong-import-position
from prong import frames  # noqa: E402

HELLO = {"protocol": 1, "version": "0.1.0", "result_bytes_max": 1 << 20, "part_bytes_max": 49152}


class Program:
    """A program under us: we send what prong would send, and see what it answers."""

    def __init__(self, *command, hello=HELLO, cwd=None):
        ours, theirs = socket.socketpair()
        ours.settimeout(PATIENCE)
        self.sock, self.channel = ours, frames.Channel(ours)
        self.process = subprocess.Popen(
            [sys.executable, *map(str, command)], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env={"PYTHONPATH": str(SDK), "PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"},
            preexec_fn=lambda: os.dup2(theirs.fileno(), 3, inheritable=True), pass_fds=(3,), text=True, cwd=cwd,
        )  # fmt: skip
        theirs.close()
        self.jobs = itertools.count(1001)
        self.kernels = {}
        if hello is not None:
            self.send(frames.HELLO, 0, hello)
            frame = self.read()
            assert frame.type == frames.READY and frame.job == 0
            self.kernels = {kernel["name"]: kernel for kernel in json.loads(frame.meta)["kernels"]}

    def send(self, type_, job, meta=None, raw=b""):
        self.channel.send(type_, job, b"" if meta is None else json.dumps(meta).encode(), raw)

    def read(self):
        frame = self.channel.read()
        assert frame is not None, "the program closed fd 3:\n" + self.process.communicate()[1]
        return frame

    def begin(self, kernel, params=None, op="run", input_=None, parts=(), kind="raw", id_=None, **more):
        """Sends a JOB as prong does it: with all defaults filled in. Its number."""
        job = next(self.jobs)
        given = {p["name"]: p["default"] for p in self.kernels[kernel]["params"] if "default" in p}
        meta = {
            "kernel": kernel, "op": op, "params": {**given, **(params or {})}, "input": kind if input_ is not None else "none",
            "input_bytes": len(input_ or b""), "timeout_ms": 30000, "wants_parts": False, "id": id_ or f"request-{job}", **more,
        }  # fmt: skip
        if parts:
            meta["parts"] = [len(part) for part in parts]
        self.send(frames.JOB, job, meta, (input_ or b"") + b"".join(parts))
        return job

    def end(self, job):
        """(the last frame, its meta, [the frames before])."""
        before = []
        while True:
            frame = self.read()
            assert frame.job == job, frame
            if frame.type in (frames.RESULT, frames.ERROR):
                return frame, json.loads(frame.meta or b"{}"), before
            before.append(frame)

    def call(self, kernel, params=None, **more):
        """The raw result; fails when it is none."""
        frame, meta, _ = self.end(self.begin(kernel, params, **more))
        assert frame.type == frames.RESULT, meta
        return bytes(frame.raw)

    def value(self, kernel, params=None, **more):
        return json.loads(self.call(kernel, params, **more))

    def error(self, kernel, params=None, **more):
        """What its ERROR says."""
        frame, meta, _ = self.end(self.begin(kernel, params, **more))
        assert frame.type == frames.ERROR, frame
        return meta

    def ping(self):
        """It lives and is in step."""
        self.send(frames.PING, 0)
        frame = self.read()
        assert (frame.type, frame.job) == (frames.PONG, 0)

    def wait(self):
        """Its exit status."""
        return self.process.wait(PATIENCE)

    def finish(self):
        """After closing: what it printed."""
        self.sock.close()
        return self.process.communicate(timeout=PATIENCE)

    def close(self):
        self.sock.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.process.communicate(timeout=PATIENCE)
        if self.process.poll() is None:
            self.process.kill()
            self.process.communicate()


class _QuietServer(http.server.ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """That a client leaves is what many tests are about."""


class Script:
    """A server that answers as a function says: answer(path, body) -> (status, headers, body), bytes that are sent as they
    are, or None: the connection is closed."""

    def __init__(self, answer):
        script = self
        self.seen = []  # (path, body)

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            wbufsize = -1  # an answer goes out in one piece

            def do_POST(self):  # pylint: disable=invalid-name
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                script.seen.append((self.path, body))
                said = answer(self.path, body)
                if said is None or isinstance(said, bytes):
                    self.wfile.write(said or b"")
                    self.close_connection = True
                    return
                status, headers, text = said
                self.send_response(status)
                for name, value in {"Content-Type": "application/json", "Content-Length": len(text), **headers}.items():
                    self.send_header(name, str(value))
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST

            def log_message(self, *_):
                pass

        self.http = _QuietServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        self._thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def paths(self):
        return [path for path, _ in self.seen]

    def close(self):
        self.http.shutdown()
        self.http.server_close()
        self._thread.join(PATIENCE)


def problem(status, fragment, detail, **more):
    """An answer that is an error."""
    said = {"type": f"/docs#{fragment}", "title": fragment, "status": status, "detail": detail, **more}
    headers = {"Content-Type": "application/problem+json"}
    if "retry_after" in more:
        headers["Retry-After"] = more["retry_after"]
    return status, headers, json.dumps(said).encode()


def wait_for(check, what):
    """Polls until check() is true."""
    until_s = time.monotonic() + PATIENCE
    while not check():
        assert time.monotonic() < until_s, f"waited in vain: {what}"
        time.sleep(0.005)


def write(folder, name, text):
    path = pathlib.Path(folder) / name
    path.write_text(text, encoding="utf-8")
    return path
