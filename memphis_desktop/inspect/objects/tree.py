"""The names of a bucket as folders, cut at slashes, of which only what is looked at is made."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Sequence
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Folder:
    """What begins alike.

    Attributes:
        prefix: How all in it begin, with the slash at its end.
        count: How many names there are in it, at any depth.
    """

    prefix: str
    count: int

    @property
    def name(self) -> str:
        """Its last part."""
        return self.prefix[:-1].rpartition("/")[2]


class NameTree:
    """All names of a bucket, in order."""

    def __init__(self, names: Iterable[str] = ()) -> None:
        self.names: Sequence[str] = sorted(names)
        self._folded: Sequence[str] | None = None  # the same without their case, once somebody searches

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, name: str) -> bool:
        place = bisect_left(self.names, name)
        return place < len(self.names) and self.names[place] == name

    def children(self, prefix: str, most: int) -> tuple[list[Folder], list[str], bool]:
        """What is directly in a folder: folders, names, and whether there is more than `most` together.

        Each folder costs two searches, however much is in it.
        """
        names = self.names
        place, end = self._span(prefix)
        folders: list[Folder] = []
        here: list[str] = []
        while place < end:
            if len(folders) + len(here) >= most:
                return folders, here, True
            name = names[place]
            cut = name.find("/", len(prefix))
            if cut < 0:
                here.append(name)
                place += 1
                continue
            below = name[: cut + 1]
            after = self._span(below)[1]
            folders.append(Folder(below, after - place))
            place = after
        return folders, here, False

    def below(self, prefix: str, most: int) -> tuple[list[str], bool]:
        """The names in a folder at any depth, and whether there are more than `most`."""
        place, end = self._span(prefix)
        return list(self.names[place : min(end, place + most)]), end - place > most

    def matching(self, words: Sequence[str], most: int, prefix: str = "") -> tuple[list[str], bool]:
        """The names in a folder that hold every word, whatever their case, and whether there are more."""
        wanted = [word.casefold() for word in words]
        place, end = self._span(prefix)
        if self._folded is None:
            self._folded = [name.casefold() for name in self.names]
        found: Sequence[int] = range(place, end)
        for word in wanted:
            found = [number for number in found if word in self._folded[number]]
        return [self.names[number] for number in found[:most]], len(found) > most

    def count(self, prefix: str) -> int:
        """How many names begin so."""
        place, end = self._span(prefix)
        return end - place

    def _span(self, prefix: str) -> tuple[int, int]:
        if not prefix:
            return 0, len(self.names)
        return bisect_left(self.names, prefix), bisect_left(
            self.names, prefix[:-1] + chr(ord(prefix[-1]) + 1)
        )
