"""Backends: what is known of an array library beyond the Array API, and how the installed ones are found."""
