"""Steps on NumPy arrays: the recorded step as text, its plan for arrays of one kind, and loops compiled by numba."""
