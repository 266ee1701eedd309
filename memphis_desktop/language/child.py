"""Processes that speak the language of the window that started them."""

from __future__ import annotations

from importlib import import_module

from memphis_desktop.language import languages


def in_language(code: str, function: str, *arguments: object) -> None:
    """Choose the language first, then import ``module:function`` and call it: the target of a process.

    A process that is given a function imports its module, and all that this imports, before anything is run;
    texts in constants would stay English.
    """
    languages.use_code(code)
    module, name = function.split(":")
    getattr(import_module(module), name)(*arguments)
