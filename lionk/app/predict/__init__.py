"""``lionk predict``: apply a saved model to a new table."""
