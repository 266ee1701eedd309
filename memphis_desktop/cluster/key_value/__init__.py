"""Changing buckets and their keys, and watching them, through a session."""
