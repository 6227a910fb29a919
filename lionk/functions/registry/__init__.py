"""Names: the registry, its entries with their builders and formulas, and functions as words and as formulas."""
