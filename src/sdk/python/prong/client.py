"""A client of one server. Thread-safe; connections are kept and used again.

    client = prong.Client()
    client.compute("primes", limit=1000)        # {'count': 168, 'limit': 1000}
    client.run("primes", limit=1000).receipt    # {'wait_ms': 0.05, 'run_ms': 0.2, …}
    client.compute("wordcount", input="to be or not to be")
    for event in client.events("mandelbrot", width=640): …

Answers that are errors are exceptions: see prong.errors.
"""
from __future__ import annotations

import copy
import os
from typing import Any, Dict, Iterator, Mapping, Optional

from . import ask, errors, events, values
from .ask import Input, Options
from .connection import Address, Pool
from .events import Event, Result
from .http1 import Answer, Request
from .jobs import Job
from .state import State

_GRACE_S = 5.0  # what an answer may take longer than the work is allowed to
_PAGE = 100


class Client:
    """A client of the server at `url` (default: $PRONG_URL, else http://127.0.0.1:8080).

    token       of a server that wants one; or
    token_file  whose first line it is (default: $PRONG_TOKEN_FILE)
    timeout     seconds that a computation may take, after which the server stops it (it has a limit of its own, too)
    cafile      certificates (PEM) of who may vouch for an https server, in place of the system's
    """

    def __init__(self, url: Optional[str] = None, *, token: Optional[str] = None, token_file: Optional[str] = None,
                 timeout: Optional[float] = None, cafile: Optional[str] = None) -> None:
        self.url = url or os.environ.get("PRONG_URL") or "http://127.0.0.1:8080"
        self._pool = Pool(Address(self.url, cafile))
        self._options = Options(timeout=timeout)
        token = token or _read_token(token_file or (os.environ.get("PRONG_TOKEN_FILE") if token is None else None))
        self._headers = {"User-Agent": "prong-python", **({"Authorization": f"Bearer {token}"} if token else {})}
        self.state = State(self)

    def options(self, *, timeout: Optional[float] = None, priority: Optional[str] = None, chunks: Optional[int] = None,
                fresh: bool = False, traceparent: Optional[str] = None) -> "Client":
        """This client with other ways to compute: `timeout` in seconds, `priority` high, normal or low, in about so many
        `chunks`, `fresh` and not out of the server's cache, as part of a trace (W3C). What is not named stays."""
        made = copy.copy(self)
        made._options = self._options.but(
            timeout=timeout, priority=priority, chunks=chunks, is_fresh=fresh or None, traceparent=traceparent
        )
        made.state = State(made)
        return made

    # ---- computing ----

    def compute(self, name: str, params: Optional[Mapping[str, Any]] = None, /, *, input: Input = None, **more: Any) -> Any:
        """The result of a kernel: JSON as its value, text as str, all else as bytes.

        Parameters are named, or in a dict when their names are taken here. `input` is the raw body: bytes, text, or an
        array of numbers.
        """
        return self.run(name, params, input=input, **more).value

    def run(self, name: str, params: Optional[Mapping[str, Any]] = None, /, *, input: Input = None, **more: Any) -> Result:
        """The same with what it cost: a Result of value, receipt, job and media_type."""
        return ask.result(self._exchange(self.request(name, {**(params or {}), **more}, input), self._patience()))

    def events(self, name: str, params: Optional[Mapping[str, Any]] = None, /, *, input: Input = None,
               **more: Any) -> Iterator[Event]:
        """What happens while a kernel runs, as it happens: `progress` and `part`, at last a `result` with a Result. Who
        stops listening (breaks the loop, closes the iterator) stops the work."""
        request = self.request(name, {**(params or {}), **more}, input, {"Accept": "text/event-stream"})
        return self._events(request, self._patience())

    def request(self, name: str, params: Mapping[str, Any], input_: Input = None,
                headers: Optional[Mapping[str, str]] = None) -> Request:
        """What compute() sends, for who sends it otherwise."""
        return ask.compute(name, params, input_, self._options, {**self._headers, **(headers or {})})

    def kernels(self) -> Dict[str, Dict[str, Any]]:
        """The catalogue by name: version, summary, params (a JSON Schema), …"""
        return {kernel["name"]: kernel for kernel in self.ask("GET", "/compute")["kernels"]}

    def status(self) -> Dict[str, Any]:
        """Of the server: workers, queue, latency, …"""
        return self.ask("GET", "/status")

    # ---- durable jobs ----

    def submit(self, kernel: str, params: Optional[Mapping[str, Any]] = None, /, *, input: Input = None,
               priority: Optional[str] = None, timeout: Optional[float] = None, deadline: Optional[float] = None,
               max_attempts: Optional[int] = None, chunks: Optional[int] = None, idempotency_key: Optional[str] = None,
               **more: Any) -> Job:
        """A durable job: when this returns, it is on the server's disk, and will be run whatever dies.

        timeout          seconds for one attempt
        deadline         seconds from now for all of it
        max_attempts     how often it is tried when its worker dies
        idempotency_key  the same key with the same job is the same job, however often it is submitted
        """
        params = {**(params or {}), **more}
        key = {"Idempotency-Key": idempotency_key} if idempotency_key else {}
        if input is not None:
            if deadline is not None or max_attempts is not None:
                raise ValueError("A job with raw input takes neither deadline nor max_attempts.")
            options = self._options.but(timeout=timeout, priority=priority, chunks=chunks)
            headers = {**self._headers, **key, "Prefer": "respond-async"}
            return Job(self, self._json(ask.compute(kernel, params, input, options, headers)))
        body = {"kernel": kernel, "params": params, "priority": priority or self._options.priority, "timeout": timeout,
                "deadline": deadline, "max_attempts": max_attempts, "chunks": chunks or self._options.chunks}
        return Job(self, self.ask("POST", "/jobs", {k: v for k, v in body.items() if v is not None}, key))

    def job(self, id_: str) -> Job:
        """The job of that id."""
        return Job(self, self.ask("GET", ask.path("jobs", id_)))

    def jobs(self, *, state: Optional[str] = None, kernel: Optional[str] = None) -> Iterator[Job]:
        """The newest first; only those that are queued, running, succeeded, failed, dead or cancelled; of one kernel."""
        after = None
        while True:
            page = self.ask("GET", "/jobs" + ask.query({"state": state, "kernel": kernel, "limit": _PAGE, "after": after}))
            for about in page["jobs"]:
                yield Job(self, about)
            after = page["next"]
            if after is None:
                return

    # ---- the way there ----

    def close(self) -> None:
        """Its idle connections. It may be used afterwards, and makes new ones."""
        self._pool.close()

    def __enter__(self) -> "Client":
        return self

    def __exit__(self, *_: Any) -> None:
        self.close()

    def ask(self, method: str, target: str, body: Any = None, headers: Optional[Mapping[str, str]] = None) -> Any:
        """One request with JSON and an answer of JSON (None when it has no body), for what has no method here."""
        said = {**self._headers, **(headers or {})}
        if body is None:
            return self._json(Request(method, target, said))
        return self._json(Request(method, target, {**said, "Content-Type": values.JSON}, values.to_json(body)))

    def exchange(self, method: str, target: str, headers: Optional[Mapping[str, str]] = None) -> Answer:
        """The same, and the answer as it is, if it is a success."""
        return ask.check(self._exchange(Request(method, target, {**self._headers, **(headers or {})}), None))

    def stream(self, target: str, headers: Mapping[str, str]) -> Iterator[Event]:
        """The events of a path."""
        return self._events(Request("GET", target, {**self._headers, **headers, "Accept": "text/event-stream"}), None)

    def _json(self, request: Request) -> Any:
        answer = ask.check(self._exchange(request, None))
        return values.from_json(answer.body) if answer.body else None

    def _exchange(self, request: Request, timeout_s: Optional[float]) -> Answer:
        return self._pool.exchange(request, timeout_s)

    def _patience(self) -> Optional[float]:
        return None if self._options.timeout is None else self._options.timeout + _GRACE_S

    def _events(self, request: Request, timeout_s: Optional[float]) -> Iterator[Event]:
        stream = self._pool.stream(request, timeout_s)
        try:
            if stream.status != 200:
                raise errors.of_answer(stream.status, stream.headers, b"".join(stream))
            for event in events.read(stream):
                understood = events.understand(event)
                yield understood
                if understood.name == "result":
                    return
            raise errors.Unreachable(f"The events from {self.url} ended before the result.")
        finally:
            stream.close()


def _read_token(path: Optional[str]) -> Optional[str]:
    if path is None:
        return None
    with open(path, encoding="ascii") as file:
        return file.readline().strip()
