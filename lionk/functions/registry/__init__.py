"""The registry: how a name or a spec becomes a function, parameters, and functions as words and as formulas."""
