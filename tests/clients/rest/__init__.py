"""The REST gateway, driven over HTTP."""
