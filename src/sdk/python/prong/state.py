"""The server's shared state: small JSON values under keys, each with a version that grows with every change."""
from __future__ import annotations

from typing import TYPE_CHECKING, Any, Dict, Iterator, NamedTuple, Optional

from . import ask, errors, values

if TYPE_CHECKING:
    from .client import Client

_MISSING: Any = object()
_PAGE = 500


class Entry(NamedTuple):
    """A value and its version."""

    value: Any
    version: int


class State:
    """client.state. What is answered is on the disk.

    To change a value that others change, too: get it, and set it with the version you have seen.

        while True:
            seen = state.get("config")
            try:
                state.set("config", {**seen.value, "limit": 5}, version=seen.version)
                break
            except PreconditionFailed:
                pass
    """

    def __init__(self, client: "Client") -> None:
        self._client = client

    def get(self, key: str, default: Any = _MISSING) -> Entry:
        """Value and version; NotFound when there is none, or Entry(default, 0) if one is given."""
        try:
            said = self._client.ask("GET", ask.path("state", key))
        except errors.NotFound:
            if default is _MISSING:
                raise
            return Entry(default, 0)
        return Entry(said["value"], said["version"])

    def set(self, key: str, value: Any, version: Optional[int] = None) -> int:
        """The new version. `version`: only if it is at this one, 0: only if there is no such key; PreconditionFailed if not."""
        headers = {"If-None-Match": "*"} if version == 0 else _if_match(version)
        return self._client.ask("PUT", ask.path("state", key), values.Json(values.to_json(value)), headers)["version"]

    def add(self, key: str, by: int = 1) -> int:
        """The sum, at once for all who add: none is lost. A key that was not there begins at 0."""
        return self._client.ask("POST", ask.path("state", key) + "/add", {"by": by})["value"]

    def delete(self, key: str, version: Optional[int] = None) -> None:
        """Removes it; NotFound, PreconditionFailed."""
        self._client.ask("DELETE", ask.path("state", key), None, _if_match(version))

    def keys(self) -> Iterator[str]:
        """All of them, in order."""
        after = None
        while True:
            page = self._client.ask("GET", "/state" + ask.query({"limit": _PAGE, "after": after}))
            for entry in page["keys"]:
                yield entry["key"]
            after = page["next"]
            if after is None:
                return


def _if_match(version: Optional[int]) -> Dict[str, str]:
    return {} if version is None else {"If-Match": f'"{version}"'}
