"""The Memphis layer: stations, groups, dead letters, schemas and users, as a client of any JetStream."""
