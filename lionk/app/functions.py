"""``lionk functions``: the registry as a table, or one function in full."""

from __future__ import annotations

import inspect
import math
from dataclasses import asdict
from typing import Annotated, Any

import typer
from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Column, Table
from rich.text import Text

import lionk
from lionk.arrays.newton_schulz import SETS
from lionk.errors import reason
from lionk.functions import Entry, entry, rules
from lionk.functions.registry.text import parse

from .console import BadInput, bad_input, command, console, one_of, table, unbroken
from .files import Json, json_path, write_json

KINDS = ("scalar", "vector", "matrix", "square", "symmetric", "algorithm", "rule")


@command
def functions(
    name: Annotated[
        str | None,
        typer.Argument(
            help="Show this function in full. Parameters follow a colon: huber:delta=0.5.",
            autocompletion=lambda: lionk.names() + lionk.algorithms() + rules(),
        ),
    ] = None,
    kind: Annotated[
        str | None, typer.Option(help=f"List only one kind: {', '.join(KINDS)}.", autocompletion=lambda: list(KINDS))
    ] = None,
    search: Annotated[
        str | None, typer.Option(help="List only those that have this text in their name, formula or constraint.")
    ] = None,
    json: Json = None,
) -> None:
    """List the convex functions K, and what constraint or penalty each imposes on the weights.

    --kind algorithm lists published optimizers by name, and --kind rule the rules that build functions from functions.
    K* is the conjugate of K.

    Examples: lionk functions --kind matrix; lionk functions huber:delta=0.5; lionk functions muon
    """
    path = json_path(json)
    if name is not None:
        if kind is not None or search is not None:
            raise BadInput("--kind and --search choose among all functions; leave NAME out")
        details = describe(name)
        if path is None:
            _show(console(), name, details)
        else:
            write_json(path, details)
        return
    one_of(KINDS, kind, "--kind")
    names = {"rule": rules, "algorithm": lionk.algorithms}.get(kind or "", lionk.names)()
    if kind is None and search is not None:
        names = names + lionk.algorithms()
    chosen = [e for e in map(entry, names) if kind in (None, "rule", "algorithm", e.kind)]
    if search is not None:
        chosen = [e for e in chosen if search.lower() in f"{e.name} {e.formula} {e.constraint}".lower()]
    if not chosen:
        raise BadInput(f"no function has {search!r} in its name, formula or constraint; 'lionk functions' lists all")
    if path is None:
        _list(console(width=180), chosen)
    else:
        write_json(path, {"functions": [_texts(e) for e in chosen]})


def parse_k(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME[:param=value,...]`` taken apart. Raises BadInput."""
    with bad_input(ValueError):
        return parse(text)


def build_k(text: str) -> lionk.ConvexFunction:
    """K from ``NAME[:param=value,...]``. Raises BadInput."""
    name, parameters = parse_k(text)
    try:
        return lionk.K(name, **parameters)
    except KeyError as error:
        raise BadInput(f"{reason(error)} 'lionk functions' lists all") from None
    except (TypeError, ValueError, lionk.NotAvailable) as error:
        raise BadInput(reason(error)) from None


def describe(text: str) -> dict[str, Any]:
    """All that is known of one function or rule: texts and, if it has all parameters, the traits of the function."""
    if text.strip() in rules():
        return _texts(entry(text.strip()))
    K, e = build_k(text), entry(parse_k(text)[0])
    return {
        **_texts(e),
        **({"polar": _promises()} if "polar" in e.parameters else {}),
        "K domain": repr(K.domain),
        "K* domain": repr(K.conjugate.domain),
        "traits": asdict(K.traits),
        "conjugate traits": asdict(K.conjugate.traits),
        "spec": K.spec,
    }


def _texts(e: Entry) -> dict[str, Any]:
    texts = {f: getattr(e, f) for f in ("name", "kind", "formula", "subgradient", "conjugate", "constraint", "source")}
    known = {p: None if d is inspect.Parameter.empty else d for p, d in e.parameters.items()}
    return {
        **texts,
        "algorithm": e.algorithm,
        "parameters": {p: str(d) if d == math.inf else d for p, d in known.items()},
    }


def _promises() -> dict[str, dict[str, Any]]:
    """What each Newton-Schulz set promises, by the name that ``polar=`` takes."""
    return {
        s.name: {"reach": s.reach, "error": round(s.error, 6), "bfloat16": str(s.half), "source": s.source}
        for s in SETS.values()
    }


def _signature(parameters: dict[str, Any]) -> str:
    return ", ".join(p if d is None else f"{p}={d}" for p, d in parameters.items())


def _list(out: Console, chosen: list[Entry]) -> None:
    rule = chosen[0].kind == "rule"
    name, last = unbroken("name", style="bold"), "conjugate" if rule else "imposes"
    rows = (
        (
            e.name,
            *map(
                escape, (_signature(_texts(e)["parameters"]), e.kind, e.formula, e.conjugate if rule else e.constraint)
            ),
        )
        for e in chosen
    )
    out.print(table(name, "parameters", unbroken("kind"), "K(x)", last, rows=rows))
    out.print(f"{len(chosen)} entries; lam is the weight decay. 'lionk functions NAME' shows one in full.", style="dim")
    if not chosen[0].algorithm and not rule:
        out.print(
            f"Also {len(lionk.algorithms())} named algorithms (--kind algorithm) and rules (--kind rule).", style="dim"
        )


def _show(out: Console, text: str, d: dict[str, Any]) -> None:
    shown = Table(Column(style="bold cyan", no_wrap=True), Column(), box=box.SIMPLE, show_header=False, pad_edge=False)
    rows = {
        "name": d["name"],
        "kind": f"{d['kind']}, a named algorithm" if entry(d["name"]).algorithm else d["kind"],
        "parameters": _signature(d["parameters"]) or "none",
        "K(x)": d["formula"],
        "subgradient": d["subgradient"],
        "conjugate K*(y)": d["conjugate"],
        "imposes": d["constraint"],
        "domain of K": d.get("K domain", ""),
        "domain of K*": d.get("K* domain", ""),
        "source": d["source"],
        "spec": str(d.get("spec", "")),
    }
    for key, value in rows.items():
        if value:
            shown.add_row(key, escape(value))
    for name, promise in d.get("polar", {}).items():
        words = f"the bound is {promise['reach']:.4g} times as large; singular values off 1 by {promise['error']:.2g}"
        shown.add_row(f"polar={name}", escape(f"{words} ({promise['source']})"))
    for key in ("traits", "conjugate traits"):
        for trait, value in d.get(key, {}).items():
            label = f"{'K* ' if key != 'traits' else ''}{trait}"
            shown.add_row(Text(label, style="cyan"), escape(_trait(value)))
    out.print(shown)
    if "spec" not in d:
        out.print("A rule: it builds functions from functions; use it in a spec or as a method of a K.", style="dim")
    else:
        out.print(f"lionk solve --k {text}", style="dim", soft_wrap=True)


def _trait(value: Any) -> str:
    if isinstance(value, (tuple, list)):
        return ", ".join(value) or "nothing"
    if value is None:
        return "depends on the parameters"
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
