"""``lionk convert``: the settings of one library in the terms of another."""

from __future__ import annotations

from typing import Annotated

import typer

import lionk
from lionk.functions.registry.text import value

from .console import bad_input, command, say
from .files import Json, json_path, write_json


@command
def convert(
    settings: Annotated[
        list[str] | None,
        typer.Argument(
            help="What you set now, for example lr=0.02 nesterov=False. What you leave out has its default."
        ),
    ] = None,
    source: Annotated[
        str, typer.Option("--from", help="The optimizer that you have, for example torch.optim.Muon.")
    ] = "torch.optim.Muon",
    target: Annotated[str, typer.Option("--to", help="The optimizer that you want, for example lionk.")] = "lionk",
    shape: Annotated[
        str | None,
        typer.Option(
            help="Rows and columns of the matrix. Needed if the two scale by its shape in different ways.",
            metavar="OUT,IN",
        ),
    ] = None,
    json: Json = None,
) -> None:
    """Translate the settings of one library's Lion or Muon into those of another, so that both make the same steps.

    It knows PyTorch, optax, timm, lion-pytorch, dion, Emerging-Optimizers and lionk.

    Example: lionk convert lr=0.02 weight_decay=0.1 --from torch.optim.Muon --to optax.contrib.muon
    """
    path = json_path(json)
    with bad_input(ValueError):
        pairs = [_setting(s) for s in settings or []]
        given = dict(pairs)
        if len(given) < len(pairs):
            raise ValueError(f"a setting is given twice: {', '.join(name for name, _ in pairs)}")
        found = lionk.conventions.translate(given, source=source, target=target, shape=_shape(shape))
    if path is not None:
        write_json(path, {"source": source, "target": target, "settings": found.settings, "notes": list(found.notes)})
        return
    say(f"{target}({', '.join(f'{k}={v!r}' for k, v in found.settings.items())})")
    for note in found.notes:
        say(f"note: {note}")


def _setting(text: str) -> tuple[str, object]:
    name, equals, spelled = text.partition("=")
    if not (equals and name.strip().isidentifier() and spelled.strip()):
        raise ValueError(f"settings are name=value, such as lr=0.02, got {text!r}")
    return name.strip(), value(spelled.strip())


def _shape(text: str | None) -> tuple[int, int] | None:
    if text is None:
        return None
    parts = text.split(",")
    if len(parts) != 2 or not all(p.strip().isdigit() and int(p) > 0 for p in parts):
        raise ValueError(f"--shape is two numbers, OUT,IN, such as 768,3072, got {text!r}")
    return int(parts[0]), int(parts[1])
