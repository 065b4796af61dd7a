"""A program with one kernel, written against the protocol and nothing else, that can break any one rule of it.

    prong-check python3 tests/program.py [RULE]

It counts: `map` writes its units, one byte each, `finish` adds them up and waits a while, looking for CANCEL.
"""
import json
import os
import select
import socket
import struct
import sys
import time

HELLO, READY, JOB, PROGRESS, PART, RESULT, ERROR, CANCEL, PING, PONG, QUIET = range(1, 12)
RULE = sys.argv[1] if len(sys.argv) > 1 else ""
KERNEL = {
    "name": "count", "version": "1", "summary": "Adds up.", "example": "n=5&wait=0.12", "media_type": "application/json",
    "flags": ["pure"], "takes_raw": True, "ops": ["run"],
    "params": [
        {"name": "n", "type": "integer", "help": "How many", "minimum": 0, "maximum": 100},
        {"name": "wait", "type": "number", "help": "Seconds", "minimum": 0, "maximum": 60, "default": 0},
    ],
}
SPLIT = {**KERNEL, "name": "split", "example": "n=90", "takes_raw": False, "ops": ["plan", "map", "combine", "finish"]}

sock = socket.socket(fileno=3)
buffer = b""


def take(count):
    """So many bytes; b"" at the end of the stream."""
    global buffer
    if RULE == "whole-reads":  # believes that what one call gives is what was sent
        got, buffer = (buffer or sock.recv(1 << 24)), b""
        buffer = got[count:]
        return got[:count]
    if RULE == "one-frame":  # drops what comes with a frame
        return sock.recv(count, socket.MSG_WAITALL)
    while len(buffer) < count:
        got = sock.recv(1 << 16)
        if not got:
            return b""
        buffer += got
    taken, buffer = buffer[:count], buffer[count:]
    return taken


def receive():
    """(type, job, meta, raw) or None."""
    head = take(16)
    if len(head) < 16:
        return None
    magic, version, kind, size, job = struct.unpack("<HBBIQ", head)
    if (magic != 0x4B50 and RULE != "any-magic") or (version != 1 and RULE != "any-version"):
        sys.exit(76)
    if size == 0 and RULE != "no-empty-body":
        return kind, job, {}, b""
    body = take(size) if size else struct.pack("<I", 0) + take(4)[4:]
    if RULE == "one-frame":
        select.select([sock], [], [], 0.05)
        with_it = select.select([sock], [], [], 0)[0]
        if with_it:
            sock.recv(1 << 16, socket.MSG_DONTWAIT)
    (meta_size,) = struct.unpack("<I", body[:4])
    return kind, job, json.loads(body[4 : 4 + meta_size] or b"{}"), body[4 + meta_size :]


def send(kind, job, meta=None, raw=b""):
    text = b"" if meta is None else json.dumps(meta).encode()
    sock.sendall(struct.pack("<HBBIQI", 0x4B50, 1, kind, 4 + len(text) + len(raw), job, len(text)) + text + raw)


class Refused(Exception):
    pass


def check(meta):
    if meta.get("kernel") not in ("count", "split"):
        if RULE == "dies-of-unknown":
            sys.exit(1)
        raise Refused("There is no such kernel.")
    params = meta["params"]
    if "n" not in params and RULE != "takes-missing":
        raise Refused("n is missing.")
    if not isinstance(params.get("n", 0), int) and RULE != "takes-any-type":
        raise Refused("n is no integer.")
    if not isinstance(params.get("wait", 0), (int, float)) and RULE != "takes-any-type":
        raise Refused("wait is no number.")
    if RULE == "strict-members" and "from-a-later-version" in meta:
        sys.exit(1)
    return params


def wait(job, seconds):
    """True when CANCEL came."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if select.select([sock], [], [], min(0.01, seconds))[0]:
            kind, which, _, _ = receive()
            if kind == CANCEL and which == job:
                return RULE != "no-cancel" or time.sleep(60)
        send(PROGRESS, job, {"done": 1, "total": 2})
    return False


def compute(job, meta, raw):
    params, op = check(meta), meta.get("op")
    if RULE == "no-empty-input" and meta["input"] == "raw" and meta["input_bytes"] == 0:
        sys.exit(1)
    if op == "plan":
        return {"units": params.get("n", 0)}, b""
    if op == "map":
        part = bytes(range(meta["lo"], meta["hi"]))
        return {}, part + b"\1" if RULE == "counts-parts" else part
    if op == "combine":
        return {}, raw[meta["input_bytes"] :]
    if op == "finish":
        return {}, b"%d" % sum(raw[meta["input_bytes"] :])
    if op != "run" and RULE != "takes-any-op":
        raise Refused("There is no such op.")
    if isinstance(params.get("wait"), (int, float)) and wait(job, params["wait"]):
        raise KeyboardInterrupt
    if RULE == "random-answer":
        return {}, json.dumps(time.monotonic()).encode()
    return {}, b"not JSON" if RULE == "no-json" else b"1"


def answer(job, meta, raw):
    print("working")
    sys.stdout.flush()
    if RULE == "talks-on-3":
        os.write(3, b"working\n")
    number = job ^ 1 if RULE == "wrong-number" else job
    try:
        said, result = compute(job, meta, raw)
    except Refused as refused:
        return send(ERROR, number, {"message": "" if RULE == "no-message" else str(refused), "code": "failed"})
    except KeyboardInterrupt:
        return send(ERROR, number, {"message": "Cancelled.", "code": "failed" if RULE == "wrong-code" else "cancelled"})
    return send(RESULT, number, said, result)


def main():
    assert receive()[0] == HELLO
    if RULE == "no-ready":
        return time.sleep(60)
    if RULE == "bad-ready":
        return send(READY, 0, {"kernels": [{**KERNEL, "colour": "red"}]})
    if RULE == "undescribed":
        send(READY, 0)
    else:
        send(READY, 0, {"kernels": [SPLIT, KERNEL]})
    while True:
        frame = receive()
        if frame is None:
            return time.sleep(60) if RULE == "no-end" else None
        kind, job, meta, raw = frame
        if kind == JOB:
            answer(job, meta, raw)
        elif kind == PING and RULE != "no-pong":
            send(PONG, 0)
        elif kind == CANCEL and RULE == "answers-late-cancel":
            send(ERROR, job, {"message": "Cancelled.", "code": "cancelled"})
        elif kind == QUIET:
            if RULE == "no-quiet":
                continue
            sys.exit(1 if RULE == "bad-exit" else 0)
    return None


main()
