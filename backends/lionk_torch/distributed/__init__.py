"""Parameters in pieces on many processes, and an exchange of directions in place of gradients."""
