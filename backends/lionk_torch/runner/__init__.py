"""Steps on tensors: the recorded step as text, its plan for tensors of one kind, and small tensors stepped as one."""
