"""``lionk conform``: its command, and its page."""
