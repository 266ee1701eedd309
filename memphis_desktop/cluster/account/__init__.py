"""The account and the login of a connection: limits, permissions, what its JWT says."""
