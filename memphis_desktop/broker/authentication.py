"""Who may come in."""

from __future__ import annotations

import hmac

from memphis_desktop.broker.options import BrokerOptions
from memphis_desktop.protocol.connect import ConnectOptions


def accepts(options: BrokerOptions, given: ConnectOptions) -> bool:
    """Return whether the credentials of a CONNECT are right."""
    if options.token:
        return password_matches(options.token, given.auth_token)
    if options.users:
        for user in options.users:
            if user.name == given.user:
                return password_matches(user.password, given.password)
        return False
    return True


def password_matches(stored: str, given: str) -> bool:
    """Compare in constant time; a stored value beginning ``$2a$`` and the like is a bcrypt hash."""
    if stored.startswith("$2"):
        import bcrypt

        try:
            return bcrypt.checkpw(given.encode(), stored.encode())
        except ValueError:
            return False
    return hmac.compare_digest(stored.encode(), given.encode())
