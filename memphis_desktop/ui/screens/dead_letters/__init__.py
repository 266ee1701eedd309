"""Dead letters: every message that was given up, why, its journey, and what can be done with it."""

from memphis_desktop.ui.screens.dead_letters.screen import DeadLettersScreen

__all__ = ["DeadLettersScreen"]
