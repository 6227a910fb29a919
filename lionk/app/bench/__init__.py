"""``lionk bench``: its command, and the steps that it times."""
