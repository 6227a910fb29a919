"""Networks in training, for ``lionk reproduce``: data, models, optimizers as values, and their picture."""
