"""The parts of the main window around the screens: rail, tabs, status bar, palette."""
