"""Requests that two readers of HTTP could take for different ones, byte by byte: {name: bytes}.

Where there is a second request hidden in one, it is a GET of /hidden, which no route of ours knows. What they are answered
is not said here: a proxy in front of us may answer some of them itself.
"""

HOST = b"Host: t\r\n"
HIDDEN = b"GET /hidden HTTP/1.1\r\nHost: t\r\n\r\n"
CHUNKED = b"Transfer-Encoding: chunked\r\n"


def _get(headers=b"", target=b"/livez", version=b"HTTP/1.1"):
    return b"GET " + target + b" " + version + b"\r\n" + HOST + headers + b"\r\n"


def _post(headers, body, method=b"POST"):
    return method + b" /compute/echo HTTP/1.1\r\n" + HOST + b"Content-Type: text/plain\r\n" + headers + b"\r\n" + body


def _length(n):
    return b"Content-Length: %d\r\n" % n


PROBES = {
    # -- sound ones, which must be counted as what they are --
    "get": _get(),
    "pipelined": _get() + _get(target=b"/compute/echo?message=a") + _get(),
    "post then get": _post(_length(5), b"hello") + _get(),
    "chunked then get": _post(CHUNKED, b"5\r\nhello\r\n0\r\n\r\n") + _get(),
    "chunk extension": _post(CHUNKED, b"5;a=b\r\nhello\r\n0\r\n\r\n") + _get(),
    "trailers": _post(CHUNKED, b"5\r\nhello\r\n0\r\nX-After: 1\r\n\r\n") + _get(),
    "trailer named content-length": _post(CHUNKED, b"5\r\nhello\r\n0\r\nContent-Length: 9\r\n\r\n") + _get(),
    "head then get": b"HEAD /compute HTTP/1.1\r\n" + HOST + b"\r\n" + _get(),
    "options asterisk": b"OPTIONS * HTTP/1.1\r\n" + HOST + b"\r\n" + _get(),
    "absolute form": _get(target=b"http://t/livez") + _get(),
    "absolute form, another host": _get(target=b"http://other/livez") + _get(),
    "http/1.0": b"GET /livez HTTP/1.0\r\n\r\n" + _get(),
    "http/1.0 keep-alive": b"GET /livez HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n\r\n" + _get(),
    "close then more": _get(b"Connection: close\r\n") + HIDDEN,
    "expect": _post(b"Expect: 100-continue\r\n" + _length(5), b"hello") + _get(),
    "expect something else": _post(b"Expect: 200-maybe\r\n" + _length(5), b"hello") + _get(),
    "h2c": _get(b"Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n") + _get(),
    "websocket": _get(b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AA==\r\n") + HIDDEN,
    "headers named by connection": _post(b"Connection: Content-Length, keep-alive\r\n" + _length(len(HIDDEN)), HIDDEN),
    "chunking named by connection": _post(b"Connection: Transfer-Encoding, keep-alive\r\n" + CHUNKED, b"0\r\n\r\n") + HIDDEN,
    "get with body": b"GET /compute/echo HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "head with body": b"HEAD /compute/echo HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "get with chunks": b"GET /compute/echo HTTP/1.1\r\n" + HOST + CHUNKED + b"\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n",
    "options with body": b"OPTIONS /compute HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "delete with body": b"DELETE /state/none HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "body for no route": b"POST /nothing HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN + _get(),
    "body for a file": b"POST /index.html HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "wrong method with body": b"PUT /livez HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "unknown method with body": b"BREW /livez HTTP/1.1\r\n" + HOST + _length(len(HIDDEN)) + b"\r\n" + HIDDEN,
    "encoded body": _post(b"Content-Encoding: gzip\r\n" + _length(len(HIDDEN)), HIDDEN),
    "blank lines before": b"\r\n\r\n" + _get() + b"\r\n" + _get(),
    # -- lengths --
    "both lengths": _post(_length(6) + CHUNKED, b"0\r\n\r\nX") + HIDDEN,
    "both lengths, other order": _post(CHUNKED + _length(4), b"%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n"),
    "two lengths": _post(_length(5) + _length(6), b"hello") + HIDDEN,
    "two equal lengths": _post(_length(5) + _length(5), b"hello") + HIDDEN,
    "list of lengths": _post(b"Content-Length: 5, 5\r\n", b"hello") + HIDDEN,
    "length with plus": _post(b"Content-Length: +5\r\n", b"hello") + HIDDEN,
    "length with minus": _post(b"Content-Length: -5\r\n", b"hello") + HIDDEN,
    "length in hexadecimal": _post(b"Content-Length: 0x5\r\n", b"hello") + HIDDEN,
    "length with a fraction": _post(b"Content-Length: 5.0\r\n", b"hello") + HIDDEN,
    "length with a blank inside": _post(b"Content-Length: 5 0\r\n", b"hello") + HIDDEN,
    "length with leading zeros": _post(b"Content-Length: 0005\r\n", b"hello") + HIDDEN,
    "empty length": _post(b"Content-Length:\r\n", b"") + HIDDEN,
    "length beyond 64 bits": _post(b"Content-Length: 18446744073709551621\r\n", b"hello") + HIDDEN,
    "length with NUL": _post(b"Content-Length: 5\0 0\r\n", b"hello") + HIDDEN,
    "length with a tab before": _post(b"Content-Length:\t5\r\n", b"hello") + HIDDEN,
    "length with a vertical tab": _post(b"Content-Length: \x0b5\r\n", b"hello") + HIDDEN,
    "blank before colon": _post(b"Content-Length : %d\r\n" % len(HIDDEN), HIDDEN),
    "underscore for hyphen": _post(b"Content_Length: %d\r\n" % len(HIDDEN), HIDDEN),
    # -- encodings --
    "chunked in capitals": _post(b"TRANSFER-ENCODING: CHUNKED\r\n", b"0\r\n\r\n") + HIDDEN,
    "chunked twice": _post(CHUNKED + CHUNKED, b"0\r\n\r\n") + HIDDEN,
    "chunked and identity": _post(CHUNKED + b"Transfer-Encoding: identity\r\n", b"0\r\n\r\n") + HIDDEN,
    "identity": _post(b"Transfer-Encoding: identity\r\n" + _length(5), b"hello") + HIDDEN,
    "gzip, chunked": _post(b"Transfer-Encoding: gzip, chunked\r\n", b"0\r\n\r\n") + HIDDEN,
    "chunked, gzip": _post(b"Transfer-Encoding: chunked, gzip\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "xchunked": _post(b"Transfer-Encoding: xchunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked in quotes": _post(b'Transfer-Encoding: "chunked"\r\n' + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked with a tab": _post(b"Transfer-Encoding:\tchunked\r\n", b"0\r\n\r\n") + HIDDEN,
    "chunked with a vertical tab": _post(b"Transfer-Encoding: \x0bchunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked with a blank after": _post(b"Transfer-Encoding: chunked \r\n", b"0\r\n\r\n") + HIDDEN,
    "chunked with a comma": _post(b"Transfer-Encoding: chunked,\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked before colon": _post(b"Transfer-Encoding : chunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked folded": _post(b"Transfer-Encoding:\r\n chunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked behind a bare CR": _post(b"X: a\rTransfer-Encoding: chunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked behind a bare LF": _post(b"X: a\nTransfer-Encoding: chunked\r\n" + _length(5), b"0\r\n\r\n") + HIDDEN,
    "chunked in http/1.0": b"POST /compute/echo HTTP/1.0\r\n" + HOST + b"Connection: keep-alive\r\n" + CHUNKED + b"\r\n0\r\n\r\n" + HIDDEN,
    # -- chunks --
    "chunk size with 0x": _post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "chunk size with plus": _post(CHUNKED, b"+5\r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "chunk size with a blank": _post(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "chunk size beyond 64 bits": _post(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "chunk size of 64 bits": _post(CHUNKED, b"FFFFFFFFFFFFFFFF\r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "empty chunk size": _post(CHUNKED, b"\r\nhello\r\n0\r\n\r\n") + HIDDEN,
    "chunk with bare LF": _post(CHUNKED, b"5\nhello\n0\n\n") + HIDDEN,
    "chunk extension with bare LF": _post(CHUNKED, b"2;\nxx\r\n%x\r\n" % len(HIDDEN) + HIDDEN + b"\r\n0\r\n\r\n") + _get(),
    "chunk longer than it says": _post(CHUNKED, b"5\r\nhello!\r\n0\r\n\r\n") + HIDDEN,
    "chunk without its end": _post(CHUNKED, b"5\r\nhello0\r\n\r\n") + HIDDEN,
    "trailer with NUL": _post(CHUNKED, b"0\r\n\0X\r\n") + HIDDEN,
    "trailer with bare LF": _post(CHUNKED, b"0\r\nX: a\n\n") + HIDDEN,
    "trailer without colon": _post(CHUNKED, b"0\r\nX\r\n\r\n") + HIDDEN,
    # -- heads --
    "bare LF": b"GET /livez HTTP/1.1\nHost: t\n\n" + HIDDEN,
    "bare LF at the end of the head": b"GET /livez HTTP/1.1\r\nHost: t\r\n\n" + HIDDEN,
    "bare CR": b"GET /livez HTTP/1.1\rHost: t\r\r" + HIDDEN,
    "NUL line": b"GET /livez HTTP/1.1\r\nHost: t\r\n\0\r\n" + HIDDEN + b"\r\n",
    "NUL LF": b"GET /livez HTTP/1.1\r\nHost: t\r\n\0\n" + HIDDEN,
    "NUL before the method": b"\0GET /hidden HTTP/1.1\r\n" + _get(),
    "NUL in a value": _get(b"X: a\0b\r\n") + _get(),
    "folded value": _get(b"X: a\r\n b\r\n") + _get(),
    "folded first header": b"GET /livez HTTP/1.1\r\n Host: t\r\nHost: t\r\n\r\n" + _get(),
    "header without colon": _get(b"nonsense\r\n") + HIDDEN,
    "header without name": _get(b": x\r\n") + HIDDEN,
    "colon for the end of the head": _get().removesuffix(b"\r\n") + b":\n" + HIDDEN,
    "no host": b"GET /livez HTTP/1.1\r\n\r\n" + HIDDEN,
    "two hosts": _get(b"Host: other\r\n") + HIDDEN,
    "no version": b"GET /livez\r\n" + HIDDEN,
    "http/1.2": _get(version=b"HTTP/1.2") + HIDDEN,
    "http/2.0": _get(version=b"HTTP/2.0") + HIDDEN,
    "http/01.1": _get(version=b"HTTP/01.1") + HIDDEN,
    "http/2 preface": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + HIDDEN,
    "blank in the target": _get(target=b"/li vez") + HIDDEN,
    "two blanks before the target": _get(target=b" /livez") + HIDDEN,
    "NUL in the target": _get(target=b"/livez\0/x") + HIDDEN,
    "fragment": _get(target=b"/livez#HTTP/1.1") + HIDDEN,
    "line end in the target": _get(target=b"/livez%0d%0aX:%20y") + _get(),
    "escaped NUL in the target": _get(target=b"/livez%00") + _get(),
    "connect": b"CONNECT t:80 HTTP/1.1\r\n" + HOST + b"\r\n" + HIDDEN,
}
