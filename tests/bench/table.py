"""The table: its rows by name, their lines, and where it is written."""

import re
import subprocess
import sys

from rig import DISTURBED, CannotMeasure, Load

BEGIN, END = "<!-- bench:begin -->", "<!-- bench:end -->"

rows = {}


def row(name):
    def register(function):
        rows[name] = function
        return function

    return register


class Line:
    """One line of the table. Without an aim it only informs. `others`: how much of the cores others took of what
    the value is from; None: the whole row's share."""

    def __init__(self, what, value, unit, note, floor=None, aim=None, digits=2, others=None):
        self.others = others
        self.what, self.value, self.unit, self.note = what, value, unit, note
        self.floor, self.aim, self.digits = floor, aim, digits

    def text(self, value):
        return "" if value is None else f"{value:.{self.digits}f}{self.unit}"

    def value_text(self):
        """With more digits where the usual ones would hide on which side of a bound it is."""
        bounds = [bound for bound in (self.floor, self.aim) if bound is not None and bound != self.value]
        digits = self.digits
        while digits < 6 and any(round(self.value, digits) == round(bound, digits) for bound in bounds):
            digits += 1
        return f"{self.value:.{digits}f}{self.unit}"

    def verdict(self, others):
        """Says nothing for or against us when others had more than their share of the cores."""
        if self.aim is None:
            return ""
        if others > DISTURBED:
            return "disturbed"
        more_is_better = self.floor is not None and self.floor < self.aim

        def holds(bound):
            return bound is None or (self.value >= bound if more_is_better else self.value <= bound)

        return "ok" if holds(self.aim) else "ok, aim missed" if holds(self.floor) else "miss"


HEAD = ["| row | what | value | floor | aim | | how it came about |", "| --- | --- | ---: | ---: | ---: | --- | --- |"]


def lines_of(name):
    """The table's lines of one row, as they come."""
    load = Load()
    found = []
    try:
        found.extend(rows[name]())
    except (CannotMeasure, OSError, subprocess.SubprocessError) as e:
        reason = re.sub(r"[\s|]+", " ", str(e) or type(e).__name__)
        yield f"| {name} | | | | | not measured | {reason} |"
    whole = load.others()
    for line in found:
        others = whole if line.others is None else line.others
        warning = f"; others took {others:.0%} of the cores" if others > DISTURBED else ""
        yield (f"| {name} | {line.what} | {line.value_text()} | {line.text(line.floor)} | {line.text(line.aim)} "
               f"| {line.verdict(others)} | {line.note}{warning} |")


def write_into(path, text):
    with open(path, encoding="utf-8") as f:
        old = f.read()
    begin, end = old.find(BEGIN), old.find(END)
    if begin < 0 or end < begin:
        sys.exit(f"bench.py: {path} has no {BEGIN} and {END}")
    with open(path, "w", encoding="utf-8") as f:
        f.write(old[:begin] + BEGIN + "\n" + text + old[end:])
