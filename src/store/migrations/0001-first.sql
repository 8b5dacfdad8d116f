-- The first schema. Ids are BLOBs: they sort by UTF-8 bytes and may hold any character. Times are milliseconds since 1970.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;
INSERT INTO counter VALUES ('revision', 0);

CREATE TABLE meta (
  kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, id BLOB NOT NULL,
  revision INTEGER NOT NULL, value TEXT NOT NULL,
  PRIMARY KEY (kind, account, region, id)
) WITHOUT ROWID;

CREATE TABLE queue (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, queue TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL,
  enqueued_ms INTEGER NOT NULL, visible_ms INTEGER NOT NULL, attempt INTEGER NOT NULL DEFAULT 0, token TEXT,
  UNIQUE (queue, id)
);
CREATE INDEX queue_visible ON queue (queue, visible_ms);
CREATE UNIQUE INDEX queue_token ON queue (token) WHERE token IS NOT NULL;

CREATE TABLE journal (
  stream TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, PRIMARY KEY (stream, sequence)
) WITHOUT ROWID;

CREATE TABLE timer (
  grp TEXT NOT NULL, id TEXT NOT NULL, due_ms INTEGER NOT NULL, body BLOB NOT NULL,
  hidden_ms INTEGER NOT NULL DEFAULT 0, token TEXT, PRIMARY KEY (grp, id)
);
CREATE INDEX timer_due ON timer (grp, due_ms);
CREATE UNIQUE INDEX timer_token ON timer (token) WHERE token IS NOT NULL;

CREATE TABLE lease (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, holder TEXT NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;

CREATE TABLE capacity (pool TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE budget (id TEXT PRIMARY KEY, pool TEXT NOT NULL, amount INTEGER NOT NULL, expires_ms INTEGER NOT NULL) WITHOUT ROWID;
CREATE INDEX budget_pool ON budget (pool);
