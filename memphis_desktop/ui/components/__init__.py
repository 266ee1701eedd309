"""Widgets that every screen shares, each made once."""
