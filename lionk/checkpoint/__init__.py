"""Checkpoints: what one holds, and its file."""
