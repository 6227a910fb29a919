"""Judging: a port is run, its steps compared with the reference, its behaviour tested, its mistakes named."""
