"""Memphis Desktop: a desktop console for message streams with a broker inside."""

__version__ = "0.1.0"
