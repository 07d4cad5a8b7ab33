"""The metadata store: what containerd knows, apart from blobs, layers and bundles, which are files.

Real counterpart: containerd `metadata/db.go`, a bolt file with buckets `v1/NAMESPACE/KIND/NAME`. Here it is one
sqlite file of the standard library with one table of the same shape; the value is the serialized protobuf message
that the API speaks.

Crash safety is sqlite's: every change is a transaction in a write-ahead log. `synchronous=NORMAL` means that a kill
-9 loses nothing, and that a power cut may lose the last transactions but never leaves a half-written one. (bolt calls
fsync on every commit; on a laptop that is a third of the time of creating a container, and a demonstration stack can
do without.)
"""

import fcntl
import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

SCHEMA = """
CREATE TABLE IF NOT EXISTS records (
    kind TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL, value BLOB NOT NULL,
    PRIMARY KEY (kind, namespace, name)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS sequences (kind TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
"""

NAMESPACES = "namespaces"
"""The kind under which namespaces themselves are kept, with an empty namespace."""


class RootInUseError(Exception):
    """Another containerd holds this root directory."""


class Metadata:
    """Records by kind, namespace and name."""

    def __init__(self, directory: str) -> None:
        os.makedirs(directory, mode=0o700, exist_ok=True)
        # Locked for as long as the process lives: two containerds on one root would each remove what the other made.
        self._lock = os.open(os.path.join(directory, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._lock)
            raise RootInUseError(f"another containerd is using {directory}") from None
        self._db = sqlite3.connect(os.path.join(directory, "meta.sqlite"), isolation_level=None)
        # Ours alone, as the file above says: sqlite then locks and asks nothing again for every transaction, and, told
        # so before WAL begins, needs no shared memory.
        self._db.execute("PRAGMA locking_mode=EXCLUSIVE")
        self._db.execute("PRAGMA journal_mode=WAL")
        self._db.execute("PRAGMA synchronous=NORMAL")
        self._db.executescript(SCHEMA)

    def close(self) -> None:
        """Let another containerd have the root."""
        self._db.close()
        os.close(self._lock)

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Make the changes inside one step: all of them happen, or none."""
        self._db.execute("BEGIN IMMEDIATE")
        try:
            yield
        except BaseException:
            self._db.execute("ROLLBACK")
            raise
        self._db.execute("COMMIT")

    def get(self, kind: str, namespace: str, name: str) -> bytes | None:
        """Return the record, or None."""
        row = self._db.execute(
            "SELECT value FROM records WHERE kind=? AND namespace=? AND name=?", (kind, namespace, name)
        ).fetchone()
        return None if row is None else bytes(row[0])

    def put(self, kind: str, namespace: str, name: str, value: bytes) -> None:
        """Write the record, over an old one if there is one."""
        self._remember_namespace(namespace)
        self._db.execute("INSERT OR REPLACE INTO records VALUES (?,?,?,?)", (kind, namespace, name, value))

    def insert(self, kind: str, namespace: str, name: str, value: bytes) -> bool:
        """Write a new record; return False if the name is taken."""
        self._remember_namespace(namespace)
        done = self._db.execute("INSERT OR IGNORE INTO records VALUES (?,?,?,?)", (kind, namespace, name, value))
        return done.rowcount == 1

    def delete(self, kind: str, namespace: str, name: str) -> bool:
        """Remove the record; return False if there was none."""
        gone = self._db.execute("DELETE FROM records WHERE kind=? AND namespace=? AND name=?", (kind, namespace, name))
        return gone.rowcount == 1

    def records(self, kind: str, namespace: str) -> list[tuple[str, bytes]]:
        """Return the names and values of a kind, by name."""
        return self._db.execute(
            "SELECT name, value FROM records WHERE kind=? AND namespace=? ORDER BY name", (kind, namespace)
        ).fetchall()

    def everywhere(self, kind: str) -> list[tuple[str, str, bytes]]:
        """Return namespace, name and value of a kind in all namespaces."""
        return self._db.execute(
            "SELECT namespace, name, value FROM records WHERE kind=? ORDER BY namespace, name", (kind,)
        ).fetchall()

    def kinds(self, namespace: str) -> list[str]:
        """Return which kinds of things a namespace still holds."""
        rows = self._db.execute("SELECT DISTINCT kind FROM records WHERE namespace=? ORDER BY kind", (namespace,))
        return [row[0] for row in rows]

    def next_number(self, kind: str) -> int:
        """Return a number never given before for this kind (snapshot directories are named by it)."""
        row = self._db.execute(
            "INSERT INTO sequences VALUES (?, 1) ON CONFLICT(kind) DO UPDATE SET value = value + 1 RETURNING value",
            (kind,),
        ).fetchone()
        return int(row[0])

    def _remember_namespace(self, namespace: str) -> None:
        """A namespace comes to be with its first record, as bolt makes a bucket on the way to a key."""
        if namespace:
            self._db.execute("INSERT OR IGNORE INTO records VALUES (?,'',?,x'')", (NAMESPACES, namespace))
