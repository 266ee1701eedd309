"""The Memphis layer."""
