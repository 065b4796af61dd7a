"""Durable jobs, as a client sees them. They outlive the server's crashes, so waiting for one does, too."""
from __future__ import annotations

import time
from functools import partial
from typing import TYPE_CHECKING, Any, Callable, Dict, Iterator, Optional

from . import ask, errors, values
from .events import Event, Result

if TYPE_CHECKING:
    from .client import Client

ENDED = ("succeeded", "failed", "dead", "cancelled")
_POLL_S = 30.0  # of one long poll
_PATIENCE_S = 30.0  # while nobody answers


class Job:
    """One job. `info` is what the server said of it last; refresh() asks again."""

    def __init__(self, client: "Client", info: Dict[str, Any]) -> None:
        self._client = client
        self.info = info
        self.id: str = info["id"]

    @property
    def state(self) -> str:
        """queued, running, succeeded, failed (the kernel said no), dead (its attempts are used up), or cancelled."""
        return self.info["state"]

    @property
    def is_done(self) -> bool:
        return self.state in ENDED

    def refresh(self) -> "Job":
        self.info = self._client.ask("GET", self._path())
        return self

    def wait(self, timeout: Optional[float] = None) -> "Job":
        """Until it has ended, or for `timeout` seconds; look at `is_done` and `state` then."""
        until_s = None if timeout is None else time.monotonic() + timeout
        while not self.is_done:
            left_s = _POLL_S if until_s is None else min(_POLL_S, until_s - time.monotonic())
            if left_s <= 0:
                break
            self.info = _patiently(partial(self._client.ask, "GET", self._path() + ask.query({"wait": round(left_s, 3)})), until_s)
        return self

    def result(self, timeout: Optional[float] = None) -> Any:
        """What it gave, waited for. Raises what it ended with if it did not succeed, TimeoutError when it has not ended."""
        self.wait(timeout)
        if not self.is_done:
            raise TimeoutError(f"Job {self.id} is {self.state} after {timeout} s.")
        if self.state == "cancelled":
            raise errors.JobCancelled("The job was cancelled, so it has no result.", 409, {"job": self.id})
        if self.state != "succeeded":
            raise errors.of_problem(self.info["error"])
        answer = self._client.exchange("GET", self._path("result"))
        return values.decode(answer.headers.get("content-type", values.BYTES), answer.body)

    def events(self) -> Iterator[Event]:
        """What happens to it, from its beginning: `state`, `progress`, `part`, at last `result`; goes on where it was when
        the connection breaks. Raises what it ends with if it does not succeed."""
        last, until_s, pause_s = "", 0.0, 0.05
        while True:
            try:
                for event in self._client.stream(self._path("events"), {"Last-Event-ID": last} if last else {}):
                    last, until_s, pause_s = event.id or last, 0.0, 0.05
                    if event.name == "result" and not isinstance(event.data, Result):
                        event = event._replace(data=self._large(event.data))
                    yield event
                return
            except errors.Unreachable:
                until_s = until_s or time.monotonic() + _PATIENCE_S
                if time.monotonic() > until_s:
                    raise
                time.sleep(pause_s)
                pause_s = min(pause_s * 2, 1.0)

    def cancel(self) -> bool:
        """Stops it, also while it runs; False when it had ended already. (One that ends at this very moment is forgotten.)"""
        if self.refresh().is_done:
            return False
        said = self._client.ask("DELETE", self._path())
        self.info = said or self.info
        return said is not None

    def forget(self) -> None:
        """Removes it and its result, when it has ended; errors.Conflict otherwise."""
        if not self.refresh().is_done:
            raise errors.Conflict(f"Job {self.id} is {self.state}: wait for its end, or cancel it.", 409)
        self._client.ask("DELETE", self._path())

    def retry(self) -> "Job":
        """Queues one that is dead or failed again."""
        self.info = self._client.ask("POST", self._path("retry"))
        return self

    def __repr__(self) -> str:
        return f"<Job {self.id} {self.info.get('kernel')} {self.state}>"

    def _path(self, *more: str) -> str:
        return ask.path("jobs", self.id, *more)

    def _large(self, said: Dict[str, Any]) -> Result:
        """A result that an event only names."""
        info = self.refresh().info
        return Result(self.result(), info.get("receipt") or {}, self.id, said.get("media_type", ""))


def _patiently(call: Callable[[], Any], until_s: Optional[float]) -> Any:
    """call(), again and again while nobody answers: a server that is started anew still has its jobs."""
    lost_s = time.monotonic() + _PATIENCE_S
    pause_s = 0.05
    while True:
        try:
            return call()
        except errors.Unreachable:
            now_s = time.monotonic()
            if now_s > lost_s or (until_s is not None and now_s > until_s):
                raise
            time.sleep(pause_s)
            pause_s = min(pause_s * 2, 1.0)
