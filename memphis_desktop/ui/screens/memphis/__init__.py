"""The Memphis layer: its stations, Schemaverse, users and audit log."""
