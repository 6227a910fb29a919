"""Convex functions and values as words of a command line."""

from __future__ import annotations

import ast
import re
from typing import Any

from .entries import entry


def parse(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME[:param=value,...]`` taken apart; values are numbers, lists, None, or names. Raises ValueError.

    >>> parse("huber:delta=0.5")
    ('huber', {'delta': 0.5})
    """
    name, colon, rest = text.strip().partition(":")
    parameters: dict[str, Any] = {}
    for piece in re.split(r",(?![^\[({]*[\])}])", rest) if colon else ():
        key, equals, spelled = (p.strip() for p in piece.partition("="))
        if not (equals and key.isidentifier() and spelled):
            raise ValueError(f"{text!r}: after the colon come param=value pairs with commas, such as huber:delta=0.5")
        plain = _is_text(name.strip(), key) and spelled[0] not in "{'\""
        if key in parameters:
            raise ValueError(f"{text!r}: {key} is given twice")
        parameters[key] = spelled if plain else value(spelled)
    return name.strip(), parameters


def _is_text(name: str, parameter: str) -> bool:
    """Is the default of this parameter a text, so that "none" is one too?"""
    try:
        return isinstance(entry(name).parameters.get(parameter), str)
    except KeyError:
        return False


def value(text: str) -> Any:
    """A number, list, tuple, boolean or None; what is none of these is the text itself."""
    if text.lower() == "nan":
        return float(text)
    try:
        return ast.literal_eval(re.sub(r"(?i)\binf\b", "1e999", text))  # which Python reads as infinity
    except (ValueError, SyntaxError):
        return None if text.lower() == "none" else text
