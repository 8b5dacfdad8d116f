-- The first schema. Ids of records are BLOBs: they sort by UTF-8 bytes and may hold any character. Times are milliseconds since 1970.
-- crc is the CRC-32 of the row's id and content: a damaged row is refused, never served.
CREATE TABLE counter (name TEXT PRIMARY KEY, value INTEGER NOT NULL);
INSERT INTO counter VALUES ('revision', 0);

CREATE TABLE record (
  kind TEXT NOT NULL, account TEXT NOT NULL, region TEXT NOT NULL, id BLOB NOT NULL,
  revision INTEGER NOT NULL, value TEXT NOT NULL, crc INTEGER NOT NULL,
  PRIMARY KEY (kind, account, region, id)
);

-- hidden_ms: 0 while the message is visible, else the time at which its claim or its delay ends.
CREATE TABLE message (
  sequence INTEGER PRIMARY KEY, queue TEXT NOT NULL, id TEXT NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
  enqueued_ms INTEGER NOT NULL, hidden_ms INTEGER NOT NULL, claimed INTEGER NOT NULL DEFAULT 0,
  attempt INTEGER NOT NULL DEFAULT 0, token TEXT,
  UNIQUE (queue, id)
);
CREATE INDEX message_order ON message (queue, hidden_ms, claimed, sequence);

CREATE TABLE journal (
  stream TEXT NOT NULL, sequence INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL, PRIMARY KEY (stream, sequence)
);

CREATE TABLE timer (
  sequence INTEGER PRIMARY KEY, timer_group TEXT NOT NULL, id TEXT NOT NULL, due_ms INTEGER NOT NULL, body BLOB NOT NULL, crc INTEGER NOT NULL,
  hidden_ms INTEGER NOT NULL DEFAULT 0, token TEXT,
  UNIQUE (timer_group, id)
);
CREATE INDEX timer_order ON timer (timer_group, due_ms, id);

CREATE TABLE lease (name TEXT PRIMARY KEY, epoch INTEGER NOT NULL, holder TEXT NOT NULL, expires_ms INTEGER NOT NULL);

CREATE TABLE capacity (pool TEXT PRIMARY KEY, amount INTEGER NOT NULL);
CREATE TABLE budget (id TEXT PRIMARY KEY, pool TEXT NOT NULL, amount INTEGER NOT NULL, expires_ms INTEGER NOT NULL);
CREATE INDEX budget_pool ON budget (pool, expires_ms);
