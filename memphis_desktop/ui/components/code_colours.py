"""Colours of code, configuration and commands: what is a string, a number, a key, a word of the language."""

from __future__ import annotations

import re

from PySide6.QtGui import QColor, QSyntaxHighlighter, QTextCharFormat, QTextDocument

from memphis_desktop.ui import theme

MOST = 40_000  # characters of a text that is coloured: beyond, it would be felt
_WORDS = (
    "and|as|async|await|break|case|catch|class|const|def|defer|else|enum|except|export|fn|for|from|func|"
    "function|go|if|import|in|interface|let|match|message|mut|namespace|new|not|null|package|private|pub|"
    "public|raise|return|static|string|struct|syntax|throw|throws|try|type|use|using|var|void|while|with|"
    "true|false|True|False|None|nil"
)
# One pass, so that a number in a string and a quote in a remark stay what they are in.
_TOKENS = re.compile(
    rf"""(?P<key>"(?:[^"\\]|\\.)*"(?=\s*:))
    |(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
    |(?P<remark>(?:^|(?<=\s))(?:\#|//).*$)
    |(?P<number>(?<![\w.$-])-?\d+(?:\.\d+)?(?:[eE][+-]?\d+)?(?![\w.]))
    |(?P<word>(?<![\w.$-])(?:{_WORDS})(?![\w-]))""",
    re.VERBOSE,
)
_COLOURS = {"key": "text", "string": "good", "remark": "muted", "number": "information", "word": "accent"}


class CodeColours(QSyntaxHighlighter):
    """Colours a document as far as all of the languages that are shown agree."""

    def __init__(self, document: QTextDocument) -> None:
        super().__init__(document)
        self._formats: dict[str, QTextCharFormat] = {}
        self.restyle()

    def restyle(self) -> None:
        """Take the colours of the theme."""
        look = theme.manager().current
        for kind, token in _COLOURS.items():
            made = QTextCharFormat()
            made.setForeground(QColor(look.colour(token)))
            self._formats[kind] = made
        self.rehighlight()

    def highlightBlock(self, text: str) -> None:
        """One line."""
        if self.document().characterCount() > MOST:
            return
        for found in _TOKENS.finditer(text):
            self.setFormat(found.start(), found.end() - found.start(), self._formats[found.lastgroup or ""])
