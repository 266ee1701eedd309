"""The composer: publish and request from anywhere."""

from memphis_desktop.ui.screens.composer.dialog import Composer, open_composer

__all__ = ["Composer", "open_composer"]
