# SPDX-License-Identifier: Apache-2.0
"""nftables tables that nobody else can change, root neither, as long as this process runs.

The kernel (since 5.12) gives a table with the flag `owner` to the netlink socket that made it: it refuses the changes
of others, leaves the table out of `flush ruleset`, and removes it when the socket is closed (nft_table_has_owner,
nft_flush and nft_rcv_nl_event in net/netfilter/nf_tables_api.c). The program nft closes its socket, so libnftables runs
in this process.
"""

import ctypes

from fastpath.errors import RefusedError

_LIBRARY = "libnftables.so.1"
COMMENT = "of the running fastpath, which alone can change it: leave it out of rules that you save"


class OwnedTables:
    """Tables of the network namespace of the thread that calls first. For one thread at a time."""

    def __init__(self) -> None:
        self._library: ctypes.CDLL | None = None
        self._context: int | None = None
        self._made: set[str] = set()

    def put(self, table: str, body: str) -> None:
        """Make a table, such as "inet NAME", consist of `body`, in one transaction. Raise RefusedError."""
        # One that somebody else made is deleted, too; to name it without the flag would be an error if it is ours.
        first = "" if table in self._made else f"add table {table}\n"
        self._run(
            f'{first}delete table {table}\ntable {table} {{\nflags owner\ncomment "{COMMENT}"\n{body}\n}}\n', table
        )
        self._made.add(table)

    def delete(self, table: str) -> None:
        """Delete a table. No error if there is none. Raise RefusedError."""
        if table in self._made:
            self._run(f"delete table {table}\n", table)
            self._made.remove(table)

    def close(self) -> None:
        """Delete all tables."""
        if self._library is not None and self._context is not None:
            self._library.nft_ctx_free(self._context)
        self._context = None
        self._made.clear()

    def _run(self, commands: str, table: str) -> None:
        library = self._open()
        if library.nft_run_cmd_from_buffer(self._context, commands.encode(errors="surrogateescape")) != 0:
            text = library.nft_ctx_get_error_buffer(self._context).decode(errors="replace")
            first = (text.strip().splitlines() or ["no reason is given"])[0]
            raise RefusedError(f"libnftables refused the rules of {table}: {first.rpartition('Error: ')[2]}")

    def _open(self) -> ctypes.CDLL:
        if self._library is None:
            try:
                library = ctypes.CDLL(_LIBRARY)
            except OSError as error:
                raise RefusedError(f"{_LIBRARY} is missing: {error}") from error
            library.nft_ctx_new.restype = ctypes.c_void_p
            library.nft_ctx_new.argtypes = [ctypes.c_uint32]
            library.nft_ctx_free.argtypes = [ctypes.c_void_p]
            library.nft_ctx_buffer_error.argtypes = [ctypes.c_void_p]
            library.nft_ctx_get_error_buffer.restype = ctypes.c_char_p
            library.nft_ctx_get_error_buffer.argtypes = [ctypes.c_void_p]
            library.nft_run_cmd_from_buffer.argtypes = [ctypes.c_void_p, ctypes.c_char_p]
            self._library = library
        if self._context is None:
            self._context = self._library.nft_ctx_new(0)
            if not self._context or self._library.nft_ctx_buffer_error(self._context) != 0:
                raise RefusedError("libnftables does not start")
        return self._library
