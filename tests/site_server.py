"""A small web server on loopback that also behaves badly, each way under a path of its own: see PAGES.

Also a program, for the bench and the tests of the pages: it prints its port and serves until its standard input ends.
site_server.py [CERTIFICATE KEY] serves https with them.
"""
import asyncio
import gzip
import ssl
import sys
import threading
import urllib.parse

BOMB = gzip.compress(bytes(64 << 20), 9)


def answer(body, kind="text/html; charset=utf-8", status="200 OK", more=""):
    if isinstance(body, str):
        body = body.encode()
    return f"HTTP/1.1 {status}\r\nContent-Type: {kind}\r\nContent-Length: {len(body)}\r\n{more}\r\n".encode() + body


def redirect(to):
    return answer("moved", status="302 Found", more=f"Location: {to}\r\n")


def page(name="page", words="the cat and the hat"):
    return f"<!doctype html><title>A {name} &amp; more</title><p>{words} <a href='/other?{name}'>on</a> <a href='#x'>x</a>"


class Site:
    """Its port, what was asked for (paths, in order), how many connections are open, and how many there ever were."""

    def __init__(self, host="127.0.0.1", tls=None):
        self.asked, self.open, self.taken = [], 0, 0
        self._loop = asyncio.new_event_loop()
        self._started = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(host, tls), daemon=True)
        self._thread.start()
        self._started.wait()

    def _run(self, host, tls):
        asyncio.set_event_loop(self._loop)
        made = asyncio.start_server(self._serve, host, 0, backlog=512, ssl=tls)
        self._server = self._loop.run_until_complete(made)
        self.port = self._server.sockets[0].getsockname()[1]
        self.url = f"http{'s' if tls else ''}://{'[::1]' if ':' in host else host}:{self.port}"
        self._started.set()
        self._loop.run_forever()

    def close(self):
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()

    async def _serve(self, reader, writer):
        self.open += 1
        self.taken += 1
        try:
            while True:
                head = await reader.readexactly(1)
                if head == b"\x16":  # the beginning of TLS
                    writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
                    break
                head += await reader.readuntil(b"\r\n\r\n")
                target = head.split(b" ")[1].decode("latin-1")
                self.asked.append(target)
                path, _, query = target.partition("?")
                found = PAGES.get(path.strip("/").split("/")[0], PAGES["404"])
                if not await found(self, reader, writer, path, query):
                    break
        except (asyncio.IncompleteReadError, ConnectionError, OSError):
            pass
        finally:
            self.open -= 1
            writer.close()


# ---- its pages: each returns whether the connection goes on -----------------------------------------

PAGES = {}


def at(name):
    def add(function):
        PAGES[name] = function
        return function

    return add


def fixed(name, data):
    async def send(_site, _reader, writer, _path, _query):
        writer.write(data)
        await writer.drain()
        return True

    PAGES[name] = send


fixed("page", answer(page()))
fixed("markup", answer("<title>&lt;img src=x onerror=alert(1)&gt;</title><a href='javascript:alert(1)'>no</a><p>&lt;b&gt;bold&lt;/b&gt;"))
fixed("404", answer(page("missing", "it is not here"), status="404 Not Found"))
fixed("empty", answer(""))
fixed("text", answer("one two two", "text/plain"))
fixed("json", answer('{"a": [1, 2]}', "application/json"))
fixed("png", answer(b"\x89PNG\r\n\x1a\n" + bytes(100), "image/png"))
fixed("latin1", answer("<title>Caf\u00e9</title><p>d\u00e9j\u00e0 vu".encode("latin-1"), "text/html; charset=ISO-8859-1"))
fixed("utf16", answer("\ufeff<title>Caf\u00e9</title>".encode("utf-16-le"), "text/html"))
fixed("wrong-charset", answer("<title>Caf\u00e9</title>".encode("latin-1"), "text/html; charset=utf-8"))
fixed("nonsense-charset", answer("<title>Caf\u00e9</title>".encode("latin-1"), "text/html; charset=\xff\xfe\x01"))
fixed("gzip", answer(gzip.compress(page("packed").encode()), more="Content-Encoding: gzip\r\n"))
fixed("bomb", answer(BOMB, more="Content-Encoding: gzip\r\n"))
fixed("no-gzip", answer("this is not packed", more="Content-Encoding: gzip\r\n"))
fixed("loop", redirect("/loop"))
fixed("to-file", redirect("file:///etc/passwd"))
fixed("to-gopher", redirect("gopher://127.0.0.1:1/_x"))
fixed("to-user", redirect("http://user:secret@127.0.0.1/"))
fixed("to-nonsense", redirect("http://[::1"))
fixed("announces-much", answer("", more="Content-Length: 99999999999\r\n").replace(b"Content-Length: 0\r\n", b""))


@at("to")
async def _to(_site, _reader, writer, _path, query):
    writer.write(redirect(urllib.parse.unquote(query)))
    return True


@at("hops")
async def _hops(_site, _reader, writer, path, _query):
    left = int(path.rsplit("/", 1)[1])
    writer.write(redirect(f"/hops/{left - 1}") if left else answer(page("end")))
    return True


@at("slow")
async def _slow(_site, reader, writer, path, query):
    """Answers after so many seconds, unless the client leaves before."""
    left = asyncio.ensure_future(reader.read(1))
    done, _ = await asyncio.wait([left], timeout=float(query or 0.1))
    if done:
        return False
    left.cancel()
    await asyncio.gather(left, return_exceptions=True)
    writer.write(answer(page(path.strip("/").replace("/", " "))))
    await writer.drain()
    return True


@at("bytes")
async def _bytes(_site, _reader, writer, path, _query):
    """Of so many bytes, without saying so beforehand."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n\r\n")
    left = int(path.rsplit("/", 1)[1])
    while left > 0:
        writer.write(b"word " * (min(left, 1 << 16) // 5) + b"x" * (min(left, 1 << 16) % 5))
        left -= min(left, 1 << 16)
        await writer.drain()
    return False


@at("truncated")
async def _truncated(_site, _reader, writer, _path, _query):
    writer.write(answer(page())[:-40])
    await writer.drain()
    return False


@at("closes")
async def _closes(_site, _reader, _writer, _path, _query):
    return False


@at("garbage")
async def _garbage(_site, _reader, writer, _path, _query):
    writer.write(b"\x16\x03\x01 what is this?\r\n\r\n")
    await writer.drain()
    return False


@at("silent")
async def _silent(_site, reader, _writer, _path, _query):
    await reader.read(1)
    return False


@at("heads")
async def _heads(_site, _reader, writer, _path, _query):
    """Of which there is no end."""
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: " + b"x" * 1000 + b"\r\n")
        await writer.drain()


@at("interim")
async def _interim(_site, _reader, writer, _path, _query):
    while True:
        writer.write(b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n" * 20)
        await writer.drain()


@at("drip")
async def _drip(_site, _reader, writer, _path, _query):
    """A byte now and then, for ever."""
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nTransfer-Encoding: chunked\r\n\r\n")
    while True:
        writer.write(b"1\r\nx\r\n")
        await writer.drain()
        await asyncio.sleep(0.05)


if __name__ == "__main__":
    context = None
    if len(sys.argv) == 3:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(sys.argv[1], sys.argv[2])
    made = Site(tls=context)
    print(made.port, flush=True)
    sys.stdin.read()
    made.close()
