"""Programs that publish to a stream, consume from it or use a bucket, with the true address.

Secrets are placeholders unless the target brings them. Every program is whole: saved and started as its
first line says, it works.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from memphis_desktop.inspect.client_code import compiled_languages, jvm_and_dotnet, script_languages
from memphis_desktop.inspect.client_code.target import (
    CONSUME,
    KEY_VALUE,
    PASSWORD,
    PUBLISH,
    TOKEN,
    CodeTarget,
    bucket_of,
    subject_of,
)

__all__ = [
    "CONSUME",
    "KEY_VALUE",
    "LANGUAGES",
    "PASSWORD",
    "PUBLISH",
    "TOKEN",
    "CodeTarget",
    "bucket_of",
    "program",
    "subject_of",
]

# By name; each takes what it connects to and one of PUBLISH, CONSUME, KEY_VALUE.
LANGUAGES: Mapping[str, Callable[[CodeTarget, str], str]] = {
    "Python": script_languages.python,
    "JavaScript": script_languages.javascript,
    "Go": compiled_languages.go,
    "Java": jvm_and_dotnet.java,
    ".NET": jvm_and_dotnet.dotnet,
    "Rust": compiled_languages.rust,
    "C": compiled_languages.c,
    "Ruby": script_languages.ruby,
    "Elixir": script_languages.elixir,
    "nats": script_languages.command,
}


def program(language: str, target: CodeTarget, what: str) -> str:
    """Return a program in one of `LANGUAGES`."""
    return LANGUAGES[language](target, what)
