"""What a docstring says of a function and its parameters."""
from __future__ import annotations

import inspect
import re
from typing import Dict, Tuple

_SECTION = re.compile(r"(args|arguments|parameters):\s*$", re.I)
_GOOGLE = re.compile(r"(\s*)\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_SPHINX = re.compile(r"\s*:param\s+(?:[^:]*\s)?(\w+):\s*(.*)$")


def read(text: str) -> Tuple[str, Dict[str, str]]:
    """(summary, {parameter: help}). Help stands in a section "Args:" or as ":param name: …"; it is a sentence without
    its full stop."""
    lines = inspect.cleandoc(text).splitlines() if text else []
    summary = lines[0].strip() if lines else ""
    return summary, {name: " ".join(words.split()).rstrip(".") for name, words in _helps(lines).items()}


def _helps(lines: "list[str]") -> Dict[str, str]:
    found: Dict[str, str] = {}
    name, indent, is_inside = "", 0, False
    for line in lines:
        sphinx = _SPHINX.match(line)
        entry = _GOOGLE.match(line) if is_inside else None
        if _SECTION.match(line):
            name, indent, is_inside = "", 0, True
        elif sphinx:
            name, is_inside = sphinx.group(1), False
            found[name] = sphinx.group(2)
        elif is_inside and line.strip() and not line[0].isspace():
            name, is_inside = "", False
        elif entry and entry.group(1) and (indent == 0 or len(entry.group(1)) <= indent):
            name, indent = entry.group(2), len(entry.group(1))
            found[name] = entry.group(3)
        elif name and line.strip():
            found[name] += " " + line.strip()
        elif not line.strip() and not is_inside:
            name = ""
    return found
