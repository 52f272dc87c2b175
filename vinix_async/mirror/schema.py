"""Defines the tables, and the migrations that upgrade older databases.

SQLite and PostgreSQL use the same statements. The names in braces are replaced by the types and options of the
database.
"""

from typing import Final

MIGRATIONS: Final = (
    (
        """
        CREATE TABLE accounts (
          account_id   {text} PRIMARY KEY,
          name         {text},
          state        {text} NOT NULL,              -- new, ok, failed, forbidden, gone
          state_since  {time},
          error        {text},
          known_since  {time},                       -- the end of the first complete refresh
          refreshed_at {time},                       -- the beginning of the last complete refresh
          watermark    bigint                        -- the next refresh looks for changes since this time: the
                                                     -- server's clock, in Gregorian seconds
        )""",
        """
        CREATE TABLE versions (                      -- a row for each version of a callflow
          version_id   {key},                        -- ascending in time for each callflow
          account_id   {text} NOT NULL,
          callflow_id  {text} NOT NULL,
          revision     {text},
          name         {text},
          type         {text},
          valid_from   {time} NOT NULL,              -- when a refresh first found it
          not_before   {time},                       -- it began after this time; NULL: unknown (first refresh)
          valid_to     {time},                       -- when a refresh found that it had ended; NULL: current
          ended_after  {time},                       -- if deleted: when it was last known to exist
          ended_by     {text},                       -- change, delete
          replaces     bigint,                       -- the previous version, if this version ended it
          run_id       bigint NOT NULL,
          hash         {bytes} NOT NULL,             -- of the document, with sorted keys
          document     {json} NOT NULL,              -- as the server sent it, without metadata and _read_only
          metadata     {json}                        -- as it was when this version was last read
        )""",
        "CREATE UNIQUE INDEX versions_current ON versions (account_id, callflow_id) WHERE valid_to IS NULL",
        "CREATE UNIQUE INDEX versions_history ON versions (account_id, callflow_id, version_id)",
        "CREATE INDEX versions_begun ON versions (valid_from, version_id) WHERE not_before IS NOT NULL",
        "CREATE INDEX versions_deleted ON versions (valid_to, version_id) WHERE ended_by = 'delete'",
        """
        CREATE TABLE callflows (                     -- what the next refresh must know about each existing callflow
          account_id   {text} NOT NULL,
          callflow_id  {text} NOT NULL,
          version_id   bigint NOT NULL REFERENCES versions,
          revision     {text},
          row_hash     {bytes},                      -- of its row in the listing; NULL: the document must be read again
          read_at      {time} NOT NULL,              -- when the last request that confirmed the document was sent
          toggles      {text},                       -- JSON array: ids of callflows that dialling this one changes
          PRIMARY KEY (account_id, callflow_id)
        ) {clustered}""",
        """
        CREATE TABLE refs (                          -- what each version refers to
          entity_id    {text} NOT NULL,
          version_id   bigint NOT NULL REFERENCES versions,
          position     bigint NOT NULL,              -- among the references of the version
          path         {text} NOT NULL,              -- JSON pointer of the node
          field        {text} NOT NULL,
          module       {text} NOT NULL,
          PRIMARY KEY (entity_id, version_id, position)
        ) {clustered}""",
        """
        CREATE TABLE numbers (                       -- the numbers of each version
          number       {text} NOT NULL,
          account_id   {text} NOT NULL,
          callflow_id  {text} NOT NULL,
          version_id   bigint NOT NULL REFERENCES versions,
          PRIMARY KEY (number, account_id, callflow_id, version_id)
        ) {clustered}""",
        """
        CREATE TABLE runs (
          run_id       {key},
          started_at   {time} NOT NULL,
          ended_at     {time},                       -- NULL: still running, or killed before the end
          accounts_ok  bigint,
          accounts_failed bigint,
          requests     bigint,
          added        bigint,
          changed      bigint,
          deleted      bigint
        )""",
    ),
)
"""The statements of each migration. The schema's version is the number of migrations that were applied."""
