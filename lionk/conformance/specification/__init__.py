"""The specification: numbered rules, what a port is asked for, and the cases that ask it."""
