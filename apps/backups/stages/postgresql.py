"""PostgreSQL's stage: a new database, exchanged by two renames in one transaction."""

import time
from contextlib import suppress
from typing import Any

import psycopg
from psycopg import sql

from apps.backups.dumpers.base import Place
from apps.backups.dumpers.postgresql import MAINTENANCE, connect
from apps.backups.errors import BackupError, Busy
from apps.backups.stages.base import Position
from apps.backups.using import place_like

_LONGEST_NAME = 63


class PostgresStage:
    """A database on a server."""

    def __init__(self, live: Place, number: str) -> None:
        self.live = live
        self._live = str(live["NAME"])
        digits = number.replace("_", "")
        self._staged = _name(self._live, f"_restore_{digits}")
        self._previous = _name(self._live, f"_before_{digits}")
        self.place = place_like(live, self._staged)

    def _server(self) -> psycopg.Connection[Any]:
        """A connection to another database of the same server."""
        failure: BackupError | None = None
        for name in MAINTENANCE:
            try:
                return connect(place_like(self.live, name), autocommit=True)
            except BackupError as error:
                failure = error
        assert failure is not None
        raise failure

    def preflight(self) -> None:
        with self._server() as server:
            may = server.execute(
                "SELECT rolcreatedb OR rolsuper FROM pg_roles WHERE rolname = current_user"
            ).fetchone()
            if not may or not may[0]:
                raise BackupError(
                    "Restoring makes a new database, which this user may not: "
                    "run ALTER ROLE ... CREATEDB as an administrator."
                )
            owner = server.execute(
                "SELECT pg_has_role(datdba, 'USAGE') FROM pg_database WHERE datname = %s",
                [self._live],
            ).fetchone()
            if owner and not owner[0]:
                raise BackupError(f"Only its owner can rename the database {self._live}.")

    def prepare(self) -> None:
        self.discard()
        with self._server() as server:
            like = server.execute(
                "SELECT datcollate, datctype, datlocprovider FROM pg_database WHERE datname = %s",
                [self._live],
            ).fetchone()
            locale: sql.Composable = sql.SQL("")
            if like and like[2] == "c":
                locale = sql.SQL(" LOCALE_PROVIDER libc LC_COLLATE {} LC_CTYPE {}").format(
                    sql.Literal(like[0]), sql.Literal(like[1])
                )
                if server.info.server_version < 150_000:
                    locale = sql.SQL(" LC_COLLATE {} LC_CTYPE {}").format(
                        sql.Literal(like[0]), sql.Literal(like[1])
                    )
            server.execute(
                sql.SQL("CREATE DATABASE {} TEMPLATE template0 ENCODING 'UTF8'{}").format(
                    sql.Identifier(self._staged), locale
                )
            )

    def discard(self) -> None:
        self._drop(self._staged)

    def _drop(self, name: str) -> None:
        with self._server() as server:
            server.execute(
                sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name))
            )

    def _names(self, server: psycopg.Connection[Any]) -> set[str]:
        return {row[0] for row in server.execute("SELECT datname FROM pg_database")}

    def position(self) -> Position:
        with self._server() as server:
            names = self._names(server)
        if self._staged in names:
            return Position.STAGED
        return Position.SWITCHED if self._previous in names else Position.NOTHING

    def switch(self) -> None:
        if self.position() == Position.STAGED:
            self._exchange(coming=self._staged, going=self._previous)
        self._open_doors()

    def unswitch(self) -> None:
        with self._server() as server:
            names = self._names(server)
        if self._previous in names:
            self._exchange(coming=self._previous, going=self._staged)
        self._open_doors()

    def _open_doors(self) -> None:
        # A restore killed after closing them would otherwise keep everybody out.
        with self._server() as server:
            if self._live in self._names(server):
                _allow_connections(server, self._live, True)

    def _exchange(self, *, coming: str, going: str) -> None:
        with self._server() as server:
            has_live = self._live in self._names(server)
            closed = [coming, *([self._live] if has_live else [])]
            for name in closed:
                _allow_connections(server, name, False)
            try:
                _send_away(server, closed)
                # Both or neither: there is never a moment without the database.
                with server.transaction():
                    if has_live:
                        _rename(server, self._live, going)
                    _rename(server, coming, self._live)
            except psycopg.Error as error:
                with suppress(psycopg.Error):
                    self._open_doors()
                raise BackupError(f"The switch failed, nothing has changed: {error}") from error
            _allow_connections(server, self._live, True)

    def drop_previous(self) -> None:
        self._drop(self._previous)


def _name(live: str, suffix: str) -> str:
    return live.encode()[: _LONGEST_NAME - len(suffix)].decode(errors="ignore") + suffix


def _rename(server: psycopg.Connection[Any], old: str, new: str) -> None:
    server.execute(
        sql.SQL("ALTER DATABASE {} RENAME TO {}").format(sql.Identifier(old), sql.Identifier(new))
    )


def _allow_connections(server: psycopg.Connection[Any], name: str, allow: bool) -> None:
    server.execute(
        sql.SQL("ALTER DATABASE {} WITH ALLOW_CONNECTIONS {}").format(
            sql.Identifier(name), sql.SQL("true" if allow else "false")
        )
    )


def _send_away(server: psycopg.Connection[Any], names: list[str]) -> None:
    """End every session of these databases; nobody new gets in by now."""
    deadline = time.monotonic() + 10
    while True:
        left = server.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = ANY(%s)",
            [names],
        ).fetchall()
        if not left:
            return
        if time.monotonic() > deadline:
            raise Busy(f"{len(left)} sessions of the database do not end.")
        time.sleep(0.05)


def server_version(live: Place) -> int:
    """The major version of the server, whether or not the database itself exists."""
    with PostgresStage(live, "0")._server() as server:
        return server.info.server_version // 10_000
