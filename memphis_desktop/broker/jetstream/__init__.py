"""Streams, consumers, the ``$JS.API`` and its advisories."""
