"""The pages about judged ports, from docs/conformance/results: a table, a trend by version, findings, and badges."""

from __future__ import annotations

import json
import re
from html import escape
from pathlib import Path
from typing import Any

from lionk.conformance import RULES
from lionk.conformance.report.escape import markdown, table

_ABOUT = (
    "{count} versions of {ports} ports, on a CPU, in float64 and float32. Every line comes from a file in "
    "`docs/conformance/results`; `python docs/conformance_results.py judge` makes those that are missing, and "
    "`... page` this page. A warning marks advice that a port does not follow. A verdict is about the versions that "
    "are named, and about Lion as its paper states it: another algorithm is not a worse one."
)


def write_pages(docs: Path, targets: dict[str, str]) -> None:
    """conformance-results.md, and two badges for each port."""
    reports = {name: _versions(docs / "conformance" / "results" / name) for name in targets}
    reports = {name: found for name, found in reports.items() if found}
    badges = docs / "conformance" / "badges"
    badges.mkdir(parents=True, exist_ok=True)
    for name, found in reports.items():
        _, newest = found[-1]
        words = f"L{newest['held']}" if newest["held"] is not None else "fails"
        color = "brightgreen" if newest["passed"] else "red"
        data = {"schemaVersion": 1, "label": "lion-k", "message": words, "color": color}
        (badges / f"{name}.json").write_text(json.dumps(data) + "\n", encoding="utf-8")
        (badges / f"{name}.svg").write_text(badge("lion-k", words, newest["passed"]), encoding="utf-8")
    (docs / "conformance-results.md").write_text(page(reports, targets, _titles(docs)), encoding="utf-8")


def _titles(docs: Path) -> dict[str, str]:
    """The findings, pages that are written by hand: file name -> title."""
    pages = sorted((docs / "conformance" / "findings").glob("*.md"))
    return {p.stem: re.search(r"^# (.*)$", p.read_text(encoding="utf-8"), re.MULTILINE)[1] for p in pages}


def _order(version: str) -> list[int]:
    return [int(n) for n in re.findall(r"\d+", version)]


def _versions(folder: Path) -> list[tuple[str, dict[str, Any]]]:
    found = {p.stem: json.loads(p.read_text(encoding="utf-8")) for p in folder.glob("*.json")}
    return sorted(found.items(), key=lambda f: _order(f[0]))


def page(
    reports: dict[str, list[tuple[str, dict[str, Any]]]], targets: dict[str, str], findings: dict[str, str]
) -> str:
    count = sum(map(len, reports.values()))
    newest = {name: found[-1] for name, found in reports.items()}
    rows = ((f"`{targets[name]}`", v, *_verdict(r), markdown(r["hint"])) for name, (v, r) in newest.items())
    lines = ["# Ports judged", "", _ABOUT.format(count=count, ports=len(reports)), ""]
    lines += [
        "## The newest version of each",
        "",
        *table(("port", "version", "verdict", "holds", "in one sentence"), rows),
    ]
    every = ((name, version, *_verdict(r), *_rules(r)) for name, found in reports.items() for version, r in found)
    head = ("port", "version", "verdict", "holds", "broken rules", "warnings")
    lines += ["", "## Version by version", "", *table(head, every)]
    rules = [n for n in RULES if any(n in r["rules"] for f in reports.values() for _, r in f)]
    lines += ["", "## Rule by rule", "", "The newest versions: + kept, ! a warning, **x** broken, empty not asked.", ""]
    mark = {"pass": "+", "warn": "!", "fail": "**x**", "xfail": "**x**", "skip": ""}
    verdicts = (
        (rule, *(mark[r["rules"].get(rule, {"verdict": "skip"})["verdict"]] for _, r in newest.values()))
        for rule in rules
    )
    lines += table(("rule", *reports), verdicts)
    lines += ["", "## What was found", ""]
    lines += [f"- [{title}](conformance/findings/{stem}.md)" for stem, title in findings.items()]
    lines += ["", "## Badges", "", "A picture, and a file that badge services read, for each port: ", ""]
    lines += [f"- ![{name}](conformance/badges/{name}.svg) {name}" for name in reports]
    return "\n".join(lines) + "\n"


def _verdict(r: dict[str, Any]) -> list[str]:
    return ["pass" if r["passed"] else "**fail**", "none" if r["held"] is None else f"L{r['held']}"]


def _rules(r: dict[str, Any], most: int = 4) -> list[str]:
    """The rules that are broken, and those with a warning: the first of them, and how many more there are."""
    found = ([n for n, rule in r["rules"].items() if rule["verdict"] == verdict] for verdict in ("fail", "warn"))
    return [", ".join(n[:most]) + (f" and {len(n) - most} more" if len(n) > most else "") for n in found]


def badge(label: str, words: str, good: bool) -> str:
    """A small picture with two fields, without scripts and fonts of its own."""
    widths = [8 + 7 * len(t) for t in (label, words)]
    total, color = sum(widths), "#1d7a53" if good else "#b3273e"
    text = 'font-family="Verdana,DejaVu Sans,sans-serif" font-size="11" fill="#fff" text-anchor="middle"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{total}" height="20" role="img" '
        f'aria-label="{escape(label)}: {escape(words)}">'
        f'<rect width="{widths[0]}" height="20" fill="#444"/>'
        f'<rect x="{widths[0]}" width="{widths[1]}" height="20" fill="{color}"/>'
        f'<text x="{widths[0] / 2}" y="14" {text}>{escape(label)}</text>'
        f'<text x="{widths[0] + widths[1] / 2}" y="14" {text}>{escape(words)}</text></svg>\n'
    )
