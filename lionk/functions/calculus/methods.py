"""Methods of a convex function that need the rules or the registry: ``K.scale(2)``, ``K1 + K2``, pickles, notebooks.

``base.py`` names them and looks them up here, since a room imports from the rooms below it only. Each is loaded when it
is first called.
"""

from __future__ import annotations

from ..base import METHODS
from ..registry.entries import K
from ..registry.later import Later

_MODULES = {
    "calculus.affine": ("dilate", "scale", "shift", "tilt"),
    "calculus.moreau": ("moreau_envelope", "ridge"),
    "calculus.sums": ("add",),
    "registry.describe": ("described", "formulas"),
}

METHODS["K"] = K
METHODS.update({name: Later(f"lionk.functions.{module}", name) for module, names in _MODULES.items() for name in names})
