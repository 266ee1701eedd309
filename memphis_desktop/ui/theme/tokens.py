"""The values everything is drawn with: colours by meaning, spacing, sizes.

A widget names a token, never a colour; the whole look changes here and nowhere else.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

SPACE_1 = 4
SPACE_2 = 8
SPACE_3 = 12
SPACE_4 = 16
SPACE_5 = 24
SPACE_6 = 32

RADIUS_CONTROL = 6
RADIUS_CARD = 8

SIZE_CAPTION = 12
SIZE_BODY = 13
SIZE_SECTION = 15
SIZE_TITLE = 20
SIZE_VITAL = 26


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours by meaning, as ``#RRGGBB``. ``series`` are for graph lines in order of use."""

    name: str
    dark: bool
    window: str
    surface: str
    raised: str
    sunken: str  # fields and code
    line: str
    line_strong: str  # edges of controls: 3:1 against their surface is not met by a hairline
    text: str
    muted: str
    faint: str  # disabled text and decoration only, never the one carrier of a meaning
    hover: str
    selection: str  # behind selected rows
    accent: str
    accent_hover: str
    on_accent: str  # text on the accent colour
    good: str
    warning: str
    bad: str
    information: str
    good_soft: str
    warning_soft: str
    bad_soft: str
    information_soft: str
    accent_soft: str
    shadow: str
    series: tuple[str, ...]
    line_width: int = 1
    focus_width: int = 2

    def colour(self, token: str) -> str:
        """The colour behind a token name (``text``, ``bad``, ``series0`` …)."""
        if token.startswith("series"):
            return self.series[int(token[6:] or 0) % len(self.series)]
        return str(getattr(self, token))


DARK = Theme(
    name="dark",
    dark=True,
    window="#0E1116",
    surface="#151A21",
    raised="#1C232C",
    sunken="#0B0E13",
    line="#2A323D",
    line_strong="#3A4553",
    text="#E6EBF2",
    muted="#98A4B3",
    faint="#66717F",
    hover="#1E2530",
    selection="#2A2950",
    accent="#8B7CFF",
    accent_hover="#9F93FF",
    on_accent="#0E1116",
    good="#3FC380",
    warning="#E5B454",
    bad="#FF6B68",
    information="#58B0FF",
    good_soft="#14291F",
    warning_soft="#2C2516",
    bad_soft="#311B1E",
    information_soft="#152637",
    accent_soft="#211F3D",
    shadow="#000000",
    series=("#56B4E9", "#E69F00", "#009E73", "#CC79A7", "#F0E442", "#8B7CFF"),
)

LIGHT = Theme(
    name="light",
    dark=False,
    window="#F4F5F8",
    surface="#FFFFFF",
    raised="#FFFFFF",
    sunken="#F7F8FA",
    line="#DCE0E7",
    line_strong="#BFC6D1",
    text="#171D26",
    muted="#566273",
    faint="#8D97A5",
    hover="#EEF0F5",
    selection="#E4E0FC",
    accent="#5540E8",
    accent_hover="#4733CF",
    on_accent="#FFFFFF",
    good="#147A46",
    warning="#8A5A00",
    bad="#C62828",
    information="#0B63B8",
    good_soft="#E5F4EC",
    warning_soft="#FBF1DC",
    bad_soft="#FCE9E8",
    information_soft="#E4F0FB",
    accent_soft="#EEECFD",
    shadow="#1B2430",
    series=("#0072B2", "#B35C00", "#00724F", "#A0407A", "#7A6A00", "#5540E8"),
)

CONTRAST_DARK = Theme(
    name="contrast-dark",
    dark=True,
    window="#000000",
    surface="#000000",
    raised="#0A0A0A",
    sunken="#000000",
    line="#8A8A8A",
    line_strong="#FFFFFF",
    text="#FFFFFF",
    muted="#D6D6D6",
    faint="#A6A6A6",
    hover="#262626",
    selection="#3B2F8F",
    accent="#B9AFFF",
    accent_hover="#D3CCFF",
    on_accent="#000000",
    good="#5BE49B",
    warning="#FFD166",
    bad="#FF9B98",
    information="#8ECBFF",
    good_soft="#00210F",
    warning_soft="#2A1F00",
    bad_soft="#2F0505",
    information_soft="#001B33",
    accent_soft="#17103F",
    shadow="#000000",
    series=("#7CC8F5", "#FFB52E", "#3BD6A5", "#F0A6CF", "#F7EE6A", "#B9AFFF"),
    line_width=2,
    focus_width=3,
)

CONTRAST_LIGHT = Theme(
    name="contrast-light",
    dark=False,
    window="#FFFFFF",
    surface="#FFFFFF",
    raised="#FFFFFF",
    sunken="#FFFFFF",
    line="#6B6B6B",
    line_strong="#000000",
    text="#000000",
    muted="#333333",
    faint="#5C5C5C",
    hover="#E6E6E6",
    selection="#D5CFFF",
    accent="#3A22C7",
    accent_hover="#2A159E",
    on_accent="#FFFFFF",
    good="#0B5A31",
    warning="#6A4300",
    bad="#9E1515",
    information="#084A8C",
    good_soft="#F1FFF7",
    warning_soft="#FFF9EB",
    bad_soft="#FFF2F2",
    information_soft="#F0F8FF",
    accent_soft="#F4F2FF",
    shadow="#000000",
    series=("#00598C", "#8A4600", "#00593D", "#7F2A5E", "#5C5000", "#3A22C7"),
    line_width=2,
    focus_width=3,
)

# The strip that names the environment of a connection: its ground and the colour of its word.
ENVIRONMENT_COLOURS = {
    "local": ("#147A46", "#FFFFFF"),
    "development": ("#0B63B8", "#FFFFFF"),
    "staging": ("#E5B454", "#171D26"),
    "production": ("#C62828", "#FFFFFF"),
}


@dataclass(frozen=True, slots=True)
class Density:
    """How much room rows and controls take, in device-independent pixels."""

    name: str
    row: int
    control: int
    pad: int

    def for_text(self, percent: int) -> Density:
        """The same with room for text of another size; smaller text leaves it as it is."""
        factor = max(100, percent) / 100
        return replace(self, row=round(self.row * factor), control=round(self.control * factor))


DENSITIES = {
    "compact": Density("compact", row=24, control=28, pad=12),
    "normal": Density("normal", row=28, control=32, pad=16),
    "roomy": Density("roomy", row=34, control=36, pad=20),
}


def relative_luminance(colour: str) -> float:
    """WCAG relative luminance of ``#RRGGBB``."""
    channels = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.04045 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def contrast_ratio(first: str, second: str) -> float:
    """WCAG contrast ratio between two colours, 1 to 21."""
    lighter, darker = sorted((relative_luminance(first), relative_luminance(second)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


def mix(first: str, second: str, share: float) -> str:
    """``share`` of the first colour over the second."""
    parts = []
    for index in (1, 3, 5):
        one, two = int(first[index : index + 2], 16), int(second[index : index + 2], 16)
        parts.append(round(one * share + two * (1 - share)))
    return "#{:02X}{:02X}{:02X}".format(*parts)
