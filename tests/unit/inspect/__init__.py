"""Tests of messages as data."""
