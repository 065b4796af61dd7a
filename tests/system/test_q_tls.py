"""https: the same server behind TLS 1.2 and 1.3. Certificates are made anew for each run."""
import contextlib
import hashlib
import pathlib
import re
import shutil
import socket
import ssl
import subprocess

import pytest
from conftest import BUILD, PATIENCE, PRONG, Background, assert_problem, clean_environment, events_of, fewer, run, wait_until

MIB = 1 << 20


def make_pair(folder, *kind):
    """Files (certificate, key), self-signed for localhost and 127.0.0.1."""
    folder.mkdir(exist_ok=True)
    cert, key = folder / "cert.pem", folder / "key.pem"
    made = run("openssl", "req", "-x509", *(kind or ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")), "-nodes", "-days", "2",
               "-subj", "/CN=localhost", "-addext", "subjectAltName=DNS:localhost,IP:127.0.0.1,IP:0.0.0.0", "-keyout", key, "-out", cert)  # fmt: skip
    assert made.returncode == 0, made.stderr
    key.chmod(0o600)
    return cert, key


@pytest.fixture(scope="module")
def pair(tmp_path_factory):
    return make_pair(tmp_path_factory.mktemp("pair"))


@pytest.fixture(scope="module")
def s(shared_server, pair, tmp_path_factory):
    www = tmp_path_factory.mktemp("www")
    (www / "large.bin").write_bytes(large())
    return shared_server(workers=2, www=www, hosts=None, log_level="debug", tls_cert=pair[0], tls_key=pair[1])


def large():
    """Bytes that are nowhere the same."""
    return b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(20 * MIB // 32))


def send(s, target, accept="*/*"):
    sock = s.connect()
    sock.sendall(f"GET /compute/{target} HTTP/1.1\r\nHost: localhost\r\nAccept: {accept}\r\n\r\n".encode())
    return sock


def assert_alive(s):
    assert s.get("/compute/primes?limit=100").json["count"] == 25


# ---- who may speak --------------------------------------------------------------------------------


def test_curl(s, pair):
    assert s.url.startswith("https://127.0.0.1:")
    for name in ("localhost", "127.0.0.1"):
        got = run("curl", "-sS", "--cacert", pair[0], f"https://{name}:{s.address[1]}/compute/primes?limit=100")
        assert '"count":25' in got.stdout, got
    stranger = run("curl", "-sS", f"{s.url}/livez")
    assert stranger.returncode == 60 and stranger.stdout == "", stranger


def s_client(s, pair, *flags):
    return run("openssl", "s_client", "-connect", "{}:{}".format(*s.address), "-CAfile", pair[0], *flags)


@pytest.mark.parametrize("version", ["1_2", "1_3"])
def test_versions_that_are_spoken(s, pair, version):
    got = s_client(s, pair, f"-tls{version}")
    assert f"New, TLSv{version.replace('_', '.')}" in got.stdout and "Verification: OK" in got.stdout, got


@pytest.mark.parametrize("flags", [["-tls1"], ["-tls1_1"]])
def test_versions_that_are_not(s, pair, flags):
    got = s_client(s, pair, *flags, "-cipher", "ALL:@SECLEVEL=0")
    assert "(NONE)" in got.stdout and "New, TLS" not in got.stdout, got
    assert_alive(s)


@pytest.mark.parametrize("cipher", ["RC4", "3DES", "NULL", "aNULL", "EXPORT"])
def test_ciphers_that_are_not(s, pair, cipher):
    got = s_client(s, pair, "-tls1_2", "-cipher", cipher + ":@SECLEVEL=0")
    assert "New, TLS" not in got.stdout, got
    assert_alive(s)


@pytest.mark.parametrize("data", [b"GET /livez HTTP/1.1\r\nHost: localhost\r\n\r\n", b"\0" * 100, b"\x16\x03\x01\xff\xff" + b"x" * 500, b"\x80\x2e\x01"], ids=["http", "zeros", "hello", "short"])
def test_what_is_no_tls_gets_no_answer(s, data):
    with socket.create_connection(s.address, timeout=PATIENCE) as sock:
        got = b""
        with contextlib.suppress(OSError):  # it may close before it has read all
            sock.sendall(data)
            sock.shutdown(socket.SHUT_WR)
            while more := sock.recv(4096):
                got += more
    assert b"HTTP" not in got  # an alert of TLS may come
    assert_alive(s)


def test_what_fails_to_shake_hands_is_no_news(s):
    before = s.warnings()
    for _ in range(5):
        with socket.create_connection(s.address) as sock:
            sock.sendall(b"GET / HTTP/1.1\r\n\r\n")
            with contextlib.suppress(ConnectionResetError):
                sock.recv(100)
    assert_alive(s)
    assert s.warnings() == before


# ---- the same server ------------------------------------------------------------------------------


def test_keep_alive(s):
    with s.client() as client:
        for i in range(50):
            assert client.get(f"/compute/echo?message={i}").json == {"message": str(i)}


def test_many_at_once(s):
    """Each is parked and resumed, on threads that share them."""

    def ask(n):
        with s.client() as client:
            return [client.get(f"/compute/sum?start={n}&end={n + 1000}").json["count"] for _ in range(fewer(40))]

    for each in [Background(ask, n) for n in range(12)]:
        assert set(each.result()) == {1000}


def test_pipelined(s):
    with s.connect() as sock:
        sock.sendall(b"".join(b"GET /compute/echo?message=%d HTTP/1.1\r\nHost: localhost\r\n\r\n" % i for i in range(5)))
        text = b""
        while text.count(b"message") < 5:
            got = sock.recv(65536)
            assert got, text
            text += got
    assert [int(n) for n in re.findall(rb'"message":"(\d)"', text)] == [0, 1, 2, 3, 4]


def test_64_mib_there_and_back(s):
    body = bytes(range(256)) * (64 * MIB // 256)
    answer = s.post("/compute/echo", body, content_type="application/octet-stream")
    assert answer.status == 200 and hashlib.sha256(answer.body).digest() == hashlib.sha256(body).digest()


def test_one_byte_more_is_413(s):
    with s.connect() as sock:
        sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 67108865\r\n\r\n")
        assert b"HTTP/1.1 413" in sock.recv(4096)
    assert_alive(s)


def test_a_large_file(s):
    answer = s.get("/large.bin")
    assert answer.status == 200 and answer.body == large()


def test_a_client_that_reads_late(s):
    """The answer waits in libmicrohttpd and in GnuTLS, and comes whole."""
    with s.connect() as sock:
        sock.sendall(b"GET /large.bin HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        assert_alive(s)
        got = b"".join(iter(lambda: sock.recv(1 << 16), b""))
    assert got.endswith(large()[-1000:]) and len(got) > 20 * MIB


def test_events(s):
    answer = s.get("/compute/mandelbrot?width=640&height=480", accept="text/event-stream")
    assert answer.status == 200 and answer.headers["Content-Type"] == "text/event-stream"
    names = [name for name, _ in events_of(answer.text)]
    assert names[-1] == "result" and "part" in names and "progress" in names


def test_events_come_as_they_happen(s):
    with send(s, "sleep?seconds=60", "text/event-stream") as sock:
        text = b""
        while b"event: progress" not in text:
            got = sock.recv(4096)
            assert got, text
            text += got
    s.wait_idle(5)


@pytest.mark.parametrize("accept", ["*/*", "text/event-stream"])
@pytest.mark.parametrize("says_goodbye", [True, False], ids=["close_notify", "fin"])
def test_who_leaves_frees_the_workers(s, accept, says_goodbye):
    before = s.metric("prong_jobs_total", outcome="cancelled")
    sockets = [send(s, "sleep?seconds=60", accept) for _ in range(2)]
    s.wait_busy(2)
    for sock in sockets:
        if says_goodbye:
            with contextlib.suppress(OSError):  # it sends its own, then waits for ours
                sock.settimeout(0.2)
                sock.unwrap()
        sock.close()
    s.wait_idle(5)
    assert s.metric("prong_jobs_total", outcome="cancelled") == before + 2


def test_uploads_that_are_given_up_leave_nothing(s):
    for _ in range(fewer(20)):
        with s.connect() as sock:
            sock.sendall(b"POST /compute/echo HTTP/1.1\r\nHost: localhost\r\nContent-Type: text/plain\r\nContent-Length: 60000000\r\n\r\n" + b"x" * 100000)
    wait_until(lambda: s.metric("prong_http_connections") <= 1, "the connections closed")
    assert_alive(s)


def test_the_origin_of_our_pages_is_https(s):
    body = {"message": "x"}
    assert s.post("/compute/echo", body, origin=s.url).status == 200
    assert_problem(s.post("/compute/echo", body, origin=s.url.replace("https", "http")), 403, "forbidden")
    assert_problem(s.get("/livez", host="evil.example"), 421, "misdirected")


def test_running_requests_get_their_answers_at_the_end(server, pair):
    s = server(workers=2, tls_cert=pair[0], tls_key=pair[1])
    running = [s.later("GET", "/compute/sleep?seconds=1"), s.later("GET", "/compute/sleep?seconds=1", accept="text/event-stream")]
    s.wait_busy(2)
    s.stop()
    assert [r.result().status for r in running] == [200, 200]
    assert "event: result" in running[1].result().text


def test_a_token_and_tls(server, pair, tmp_path):
    token = tmp_path / "token"
    token.write_text("0123456789abcdef0123456789abcdef\n")
    token.chmod(0o600)
    s = server("--listen", "0.0.0.0:0", workers=1, hosts=None, tls_cert=pair[0], tls_key=pair[1], token_file=token)
    assert s.get("/compute/echo").status == 200
    assert s.get("/compute/echo", authorization="Bearer x").status == 401
    assert "clear text" not in s.log


@pytest.mark.parametrize("kind", [("-newkey", "rsa:2048"), ("-newkey", "ed25519")], ids=lambda kind: kind[1])
def test_other_kinds_of_keys(server, tmp_path, kind):
    cert, key = make_pair(tmp_path / "pair", *kind)
    assert server(workers=1, tls_cert=cert, tls_key=key).get("/livez").text == "ok\n"


def test_a_chain(server, tmp_path):
    """The file has the server's own certificate first and then who vouches for it; clients know the root only."""
    root, root_key = make_pair(tmp_path / "root")
    cert, key, asked, more = (tmp_path / name for name in ("cert.pem", "key.pem", "asked.pem", "more"))
    more.write_text("subjectAltName=IP:127.0.0.1\n")
    for command in (
        ("req", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=leaf", "-keyout", key, "-out", asked),
        ("x509", "-req", "-in", asked, "-CA", root, "-CAkey", root_key, "-CAcreateserial", "-days", "2", "-extfile", more, "-out", cert),
    ):
        assert run("openssl", *command).returncode == 0
    key.chmod(0o600)
    cert.write_text(cert.read_text() + root.read_text())
    assert server(workers=1, tls_cert=cert, tls_key=key).get("/livez").text == "ok\n"


# ---- secrets --------------------------------------------------------------------------------------


@pytest.mark.skipif(BUILD in ("asan", "tsan"), reason="sanitizers keep what was freed")
def test_the_text_of_the_key_is_wiped(s, pair):
    body = [line for line in pair[1].read_bytes().split(b"\n") if b"-----" not in line]
    certificate = [line for line in pair[0].read_bytes().split(b"\n") if b"-----" not in line]
    memory = b""
    maps = pathlib.Path(f"/proc/{s.pid}/maps").read_text()
    with open(f"/proc/{s.pid}/mem", "rb", buffering=0) as mem:
        for low, high in re.findall(r"^([0-9a-f]+)-([0-9a-f]+) rw", maps, re.M):
            with contextlib.suppress(OSError):
                mem.seek(int(low, 16))
                memory += mem.read(min(int(high, 16) - int(low, 16), 32 * MIB))
    assert certificate[1] in memory, "it looked in the wrong place: proves nothing"
    assert b"\n".join(body[:2]) not in memory


# ---- options --------------------------------------------------------------------------------------


def assert_refused(flags, status, *said):
    ended = run(PRONG, "--listen", "127.0.0.1:0", "--workers", "1", *flags, env=clean_environment())
    assert ended.returncode == status, ended
    for each in said:
        assert each in ended.stderr, ended.stderr


def test_one_without_the_other(pair):
    assert_refused(["--tls-cert", pair[0]], 64, "--tls-key is missing")
    assert_refused(["--tls-key", pair[1]], 64, "--tls-cert is missing")


def test_files_that_do_not_fit(pair, tmp_path):
    other = make_pair(tmp_path / "other")
    assert_refused(["--tls-cert", pair[0], "--tls-key", other[1]], 64, "--tls-cert", "--tls-key", "cannot be used")
    assert_refused(["--tls-cert", pair[1], "--tls-key", other[1]], 64, "cannot be used")
    assert_refused(["--tls-cert", tmp_path / "none", "--tls-key", pair[1]], 64, "--tls-cert", "No such file")
    assert_refused(["--tls-cert", pair[0], "--tls-key", tmp_path], 64, "--tls-key")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620])
def test_a_key_that_others_can_read(pair, tmp_path, mode):
    key = shutil.copy(pair[1], tmp_path / "key.pem")
    key.chmod(mode)
    assert_refused(["--tls-cert", pair[0], "--tls-key", key], 69, "--tls-key", "chmod 600")


@pytest.mark.parametrize("text", ["", "no PEM\n", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"])
def test_rubbish(pair, tmp_path, text):
    key = tmp_path / "key.pem"
    key.write_text(text)
    key.chmod(0o600)
    assert_refused(["--tls-cert", pair[0], "--tls-key", key], 64, "--tls-key")


# ---- prong --healthcheck --------------------------------------------------------------------------


def healthcheck(s, *flags):
    return run(PRONG, "--healthcheck", "--listen", "{}:{}".format(*s.address), *flags, env=clean_environment())


def test_healthcheck(s, pair, server):
    assert healthcheck(s, "--tls-cert", pair[0]).returncode == 0
    assert healthcheck(s).returncode == 1  # speaks no TLS
    plain = server(workers=1)
    assert healthcheck(plain).returncode == 0
    wrong = healthcheck(plain, "--tls-cert", pair[0])
    assert wrong.returncode == 1 and "TLS" in wrong.stderr


def test_healthcheck_of_nobody(pair):
    with socket.create_server(("127.0.0.1", 0)) as deaf:
        port = deaf.getsockname()[1]
        ended = run(PRONG, "--healthcheck", "--listen", f"127.0.0.1:{port}", "--tls-cert", pair[0], env=clean_environment())
    assert ended.returncode == 1 and ended.stderr
