"""Colours, spacing, type and icons, in one place."""
