"""Steps on tensors: the recorded step as text, its plan for tensors of one kind, rows, and rounding to 16 bits."""
