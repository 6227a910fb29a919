"""Ports: whatever an author has, made into a port."""
