"""Messages as data: reading without consuming, decoders, search, replay, export and import."""
