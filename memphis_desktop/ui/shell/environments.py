"""What the environments of connections are called."""

from __future__ import annotations

from memphis_desktop.language import tr


def environment_word(value: str) -> str:
    """The word for an environment by its key (``production``); an unknown key stands for itself."""
    words = {
        "local": tr("local"),
        "development": tr("development"),
        "staging": tr("staging"),
        "production": tr("production"),
    }
    return words.get(value, value)
