"""Decoders: rules and schemas, and the bench to try them."""

from memphis_desktop.ui.screens.decoders.screen import DecodersScreen
from memphis_desktop.ui.screens.decoders.store import current_decoders, save_decoders

__all__ = ["DecodersScreen", "current_decoders", "save_decoders"]
