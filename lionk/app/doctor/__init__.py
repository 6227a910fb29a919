"""``lionk doctor``: its command, and the long examination of one backend."""
