"""nginx and HAProxy in front of us: whatever a client sends, they and we count the same requests.

A proxy keeps its connections to us, so a request that it takes for one and we for two would leave an answer too many,
which the next client would get. So after every probe somebody else asks something through the same proxy, and must
get the answer to that.
"""
import contextlib
import getpass
import os
import re
import select
import socket
import subprocess

import pytest
from conftest import PATIENCE, SLOW, clean_environment, read_answer, wait_until
from probes import PROBES
from test_k_probes import PROBES as BARE_PROBES

ALL = {**{f"bare: {name}": data for name, (data, *_) in BARE_PROBES.items()}, **PROBES}

NGINX = """
daemon off;
worker_processes 1;
{user}
pid {folder}/pid;
error_log {folder}/errors;
events {{ worker_connections 64; }}
http {{
    log_format seen escape=json '$upstream_status "$upstream_http_content_type" $request_uri';
    access_log {folder}/seen seen;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    upstream prong {{ server {upstream}; keepalive 4; }}
    server {{
        listen {address};
        {more}
        location / {{
            proxy_pass http://prong;
            proxy_http_version 1.1;
            proxy_set_header Host $http_host;
            proxy_set_header Connection "";
            proxy_request_buffering off;
            proxy_ignore_client_abort on;
            proxy_next_upstream off;
        }}
    }}
}}
"""

HAPROXY = """
global
    log stdout format raw local0
    nbthread 1
    maxconn 64
defaults
    mode http
    log global
    log-format "%ts/%s %ST \\"%[var(txn.type)]\\" %HU"
    timeout connect {seconds}s
    timeout client {seconds}s
    timeout server {seconds}s
    retries 0
frontend in
    bind fd@{fd}
    {more}
    default_backend out
backend out
    http-reuse always
    http-response set-var(txn.type) res.hdr(content-type)
    server prong {upstream}
"""


class Proxy:
    """One that runs. `answered` tells how many of its requests we have answered: not those that libmicrohttpd has
    refused, as malformed, before we were asked, which nobody counts; its pages have no Content-Type."""

    LINE = None  # a request that somebody has answered: its status, its Content-Type

    def __init__(self, folder, upstream, command, config, **more):
        self.folder, self.seen = folder, folder / "seen"
        listener = socket.create_server(("127.0.0.1", 0))  # handed on, so nobody else can take the port in between
        self.address, fd = listener.getsockname(), listener.fileno()
        (folder / "config").write_text(
            config.format(
                folder=folder, fd=fd, upstream="%s:%d" % upstream, address="%s:%d" % self.address, seconds=int(PATIENCE), **more
            )
        )
        with open(folder / "output", "wb") as output:
            self.process = subprocess.Popen(
                command + [str(folder / "config")],
                stdin=subprocess.DEVNULL, stdout=output, stderr=subprocess.STDOUT, pass_fds=[fd],
                env=clean_environment(NGINX=f"{fd};"),  # so nginx takes this socket for the one it should listen on
            )
        listener.close()

    def lines(self):
        return self.seen.read_text(errors="replace").splitlines() if self.seen.exists() else []

    def answered(self):
        answers = filter(None, map(self.LINE.match, self.lines()))
        return sum(not (int(a.group(1)) >= 400 and a.group(2) in ("", "-")) for a in answers)

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(PATIENCE)
        finally:
            self.process.kill()

    def connect(self):
        return socket.create_connection(self.address, timeout=PATIENCE)

    def says(self):
        return (self.folder / "output").read_text(errors="replace")[-2000:]


class Nginx(Proxy):
    LINE = re.compile(r'([1-5]\d\d) "(.*?)" ')

    def __init__(self, folder, upstream, more=""):
        user = f"user {getpass.getuser()};" if os.getuid() == 0 else ""  # else it would serve as nobody
        command = ["nginx", "-p", str(folder), "-e", str(folder / "errors"), "-c"]
        super().__init__(folder, upstream, command, NGINX, more=more, user=user)


class HAProxy(Proxy):
    LINE = re.compile(r'.[-DL]/prong ([1-5]\d\d) "(.*?)" ')

    def __init__(self, folder, upstream, more=""):
        super().__init__(folder, upstream, ["haproxy", "-db", "-f"], HAPROXY, more=more)
        self.seen = folder / "output"


# As they are, and as much as they can be made to let pass.
KINDS = {
    "nginx": lambda folder, upstream: Nginx(folder, upstream),
    "lenient nginx": lambda folder, upstream: Nginx(
        folder, upstream, "ignore_invalid_headers off; underscores_in_headers on; merge_slashes off;"
    ),
    "haproxy": lambda folder, upstream: HAProxy(folder, upstream),
    "lenient haproxy": lambda folder, upstream: HAProxy(folder, upstream, "option accept-invalid-http-request"),
}


@pytest.fixture(scope="module")
def made(shared_server):
    return shared_server(workers=1, hosts="*")


@pytest.fixture(scope="module", params=KINDS)
def proxy(request, made, tmp_path_factory):
    it = KINDS[request.param](tmp_path_factory.mktemp("proxy"), made.address)
    try:
        yield it
    finally:
        it.stop()


def counted(s):
    """Requests that we have answered, but for the one that asks this."""
    return sum(v for name, labels, v in s.metrics() if name == "prong_http_requests_total" and labels["route"] != "/metrics")


def send(proxy, data):
    """All that comes back. When nothing does, the end of what is sent is shown, so that nobody waits for more; not at
    once, since a proxy may then leave us while we are answering, and not know what we have counted."""
    came = b""
    with proxy.connect() as sock, contextlib.suppress(OSError):  # it may close before it has read all
        sock.sendall(data)
        select.select([sock], [], [], 0.1 * SLOW)
        sock.shutdown(socket.SHUT_WR)
        while True:
            piece = sock.recv(65536)
            if not piece:
                break
            came += piece
    return came


def ask_for(proxy, message):
    with proxy.connect() as sock:
        sock.sendall(f"GET /compute/echo?message={message} HTTP/1.1\r\nHost: t\r\n\r\n".encode())
        return read_answer(sock)


@pytest.mark.parametrize("name", ALL)
def test_they_count_as_we_do(made, proxy, name):
    s = made
    before = counted(s), proxy.answered()
    came = send(proxy, ALL[name])
    message = os.urandom(8).hex()
    answer = ask_for(proxy, message)
    assert answer is not None and answer.status == 200 and answer.json == {"message": message}, (name, came, answer)
    wait_until(lambda: any(message in line for line in proxy.lines()), lambda: f"its line: {proxy.says()}")
    wait_until(
        lambda: counted(s) - before[0] == proxy.answered() - before[1],
        lambda: f"{name}: we {before[0]} to {counted(s)}, it {before[1]} to {proxy.answered()}: {came!r}\n{proxy.lines()[-4:]}",
    )
