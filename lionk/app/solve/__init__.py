"""``lionk solve``: its command and options, tables and problems, and what it says."""
