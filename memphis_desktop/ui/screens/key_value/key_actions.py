"""What can be done with keys: each asks, shows its command, acts, and says that it did."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from PySide6.QtWidgets import QWidget

from memphis_desktop.cluster.key_value.bulk import BulkProgress, KeyDeletion
from memphis_desktop.cluster.key_value.writing import KeyWrite, RevisionConflict
from memphis_desktop.inspect.key_value.entry import Entry, Operation
from memphis_desktop.inspect.key_value.keys import KeyReader
from memphis_desktop.inspect.mask import MaskedMessage
from memphis_desktop.language import tr, tr_count
from memphis_desktop.ui import format as figures
from memphis_desktop.ui.components.dialogs import ConfirmDialog
from memphis_desktop.ui.screen import ScreenContext
from memphis_desktop.ui.screens.decoders.store import mask
from memphis_desktop.ui.screens.key_value.edit_dialog import EditKeyDialog
from memphis_desktop.ui.screens.key_value.key_table import KeyRow


class KeyActions:
    """The actions on keys of the bucket that ``reader`` gives. `parent` is what dialogs stand before."""

    def __init__(
        self, context: ScreenContext, parent: QWidget, reader: Callable[[], KeyReader | None]
    ) -> None:
        self._context = context
        self._parent = parent
        self._reader = reader

    def _typed(self, name: str) -> str | None:
        return name if self._context.session.profile.environment.value == "production" else None

    async def create(self, begin: str = "") -> str:
        """Ask for a key and a value; return the key that was made, empty for none."""
        if self._reader() is None:
            return ""
        dialog = EditKeyDialog(self._parent, self._context, self._reader, key=begin)
        if not await dialog.ask():
            return ""
        self._context.notify(tr("Key {key} was created.", key=dialog.key), "good")
        return dialog.key

    async def edit(self, key: str) -> bool:
        """Change a key's value; True when something was written."""
        keys = self._reader()
        entry = await keys.entry(key) if keys is not None else None
        if keys is None or entry is None:
            return False
        shown = mask(entry.message)
        if isinstance(shown, MaskedMessage) and shown.is_masked:
            text = tr("Masking rules hide a part of this value. To be edited, all of it is shown.")
            if not await ConfirmDialog(
                self._parent, tr("Show the whole value?"), text, tr("Show and edit"), danger=False
            ).ask():
                return False
        dialog = EditKeyDialog(self._parent, self._context, self._reader, entry)
        if not await dialog.ask() or not dialog.revision:
            return False
        self._context.notify(
            tr(
                "Key {key} has revision {revision} now.",
                key=key,
                revision=figures.integer(dialog.revision),
            ),
            "good",
        )
        return True

    async def restore(self, entry: Entry) -> bool:
        """Write the value of an older revision again; True when it was done."""
        keys = self._reader()
        newest = await keys.entry(entry.key) if keys is not None else None
        if keys is None or newest is None:
            return False
        write = KeyWrite(
            keys.bucket,
            entry.key,
            value=entry.message.payload,
            expected=newest.revision,
            replaces=newest,
            reverts_to=entry.revision,
            mask=mask,
        )
        text = tr(
            "Its {size} are written again as the newest value. Revision {revision} becomes history.",
            size=figures.bytes_size(entry.size),
            revision=figures.integer(newest.revision),
        )
        if keys.bucket.history == 1:
            text = tr("Its value is written again. The bucket keeps one value: revision {revision} is lost.",
                      revision=figures.integer(newest.revision))  # fmt: skip
        dialog = ConfirmDialog(
            self._parent,
            tr(
                "Restore revision {revision} of {key}?",
                revision=figures.integer(entry.revision),
                key=entry.key,
            ),
            text,
            tr("Restore this revision"),
            self._typed(entry.key),
            command=write.equivalent(self._context.session),
            danger=False,
        )
        if not await dialog.ask():
            return False
        answer = await write.run(self._context.session)
        self._context.notify(
            tr(
                "Key {key} has revision {revision} now.",
                key=entry.key,
                revision=figures.integer(int(answer.get("seq") or 0)),
            ),
            "good",
        )
        return True

    async def delete(self, rows: Sequence[KeyRow], *, purge: bool = False) -> bool:
        """Delete keys, or purge them with their history; True when it was done."""
        keys = self._reader()
        if keys is None or not rows:
            return False
        if len(rows) == 1:
            return await self._delete_one(keys, rows[0], purge)
        count = figures.integer(len(rows))
        deletion = KeyDeletion(self._context.session, keys, names=[row.key for row in rows], purge=purge)
        size = figures.bytes_size(sum(row.size for row in rows))
        if purge:
            title = tr_count("Purge {count} key?", "Purge {count} keys?", len(rows), count=count)
            verb = tr_count("Purge {count} key", "Purge {count} keys", len(rows), count=count)
            text = tr("Their values ({size}) and all older ones are lost for good; markers stay.", size=size)
        else:
            title = tr_count("Delete {count} key?", "Delete {count} keys?", len(rows), count=count)
            verb = tr_count("Delete {count} key", "Delete {count} keys", len(rows), count=count)
            text = _what_stays(keys)
        dialog = ConfirmDialog(
            self._parent,
            title,
            text,
            verb,
            self._typed(keys.bucket.name),
            command=deletion.action.equivalent(self._context.session),
        )
        if not await dialog.ask():
            return False
        done = await deletion.run()
        self._context.notify(*bulk_outcome(done))
        return True

    async def _delete_one(self, keys: KeyReader, row: KeyRow, purge: bool) -> bool:
        session = self._context.session
        write = KeyWrite(
            keys.bucket,
            row.key,
            Operation.PURGE if purge else Operation.DELETE,
            expected=row.revision,
            replaces=await keys.revision(row.revision),
            mask=mask,
        )
        if purge:
            kept = len(await keys.history(row.key))
            text = tr_count(
                "Its value is lost for good, {count} revision in all. A marker stays.",
                "Its values are lost for good, {count} revisions in all. A marker stays.",
                kept,
                count=figures.integer(kept),
            )
            title, verb = tr("Purge key {key}?", key=row.key), tr("Purge key")
            done = tr("Key {key} was purged.", key=row.key)
        else:
            text = _what_stays(keys)
            title, verb = tr("Delete key {key}?", key=row.key), tr("Delete key")
            done = tr("Key {key} was deleted.", key=row.key)
        dialog = ConfirmDialog(
            self._parent, title, text, verb, self._typed(row.key), command=write.equivalent(session)
        )
        if not await dialog.ask():
            return False
        try:
            await write.run(session)
        except RevisionConflict:
            self._context.notify(
                tr("{key} was written meanwhile, and was not deleted. Look at it again.", key=row.key),
                "warning",
            )
            return True
        self._context.notify(done, "good")
        return True


def _what_stays(keys: KeyReader) -> str:
    history = keys.bucket.history
    if history == 1:
        return tr("The bucket keeps one value of each key: what is there is lost. A marker stays.")
    return tr("A marker is written; older values stay in the history, as long as the bucket keeps them.")


def bulk_outcome(done: BulkProgress) -> tuple[str, str]:
    """What became of many writes, as a sentence, and as what kind of message."""

    parts = [
        tr_count("{count} key was changed.", "{count} keys were changed.", done.done,
                 count=figures.integer(done.done))
    ]  # fmt: skip
    if done.meanwhile:
        parts.append(
            tr_count(
                "{count} was written by somebody else meanwhile and left.",
                "{count} were written by somebody else meanwhile and left.",
                done.meanwhile,
                count=figures.integer(done.meanwhile),
            )
        )
    if done.failed:
        parts.append(
            tr_count(
                "{count} was refused: {problem}",
                "{count} were refused, the last one: {problem}",
                done.failed,
                count=figures.integer(done.failed),
                problem=done.problem.rstrip(".") + ".",
            )
        )
    if done.stopped:
        parts.append(tr("It was stopped before the end."))
    return " ".join(parts), "warning" if done.failed or done.meanwhile or done.stopped else "good"
