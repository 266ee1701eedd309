"""Schemaverse: what a station's messages have to look like, in Protobuf, JSON Schema, Avro or GraphQL."""
