-- hidden_ms: 0 while the message can be received, -1 while it stands behind another of its group, else the time at which its claim or delay ends.
-- Of one group at most one message that is not claimed is not behind: the first, and only while none is claimed.
CREATE TABLE mail (
  sequence INTEGER PRIMARY KEY AUTOINCREMENT, mailbox TEXT NOT NULL, id TEXT NOT NULL, mail_group TEXT, sent_ms INTEGER NOT NULL,
  due_ms INTEGER NOT NULL, hidden_ms INTEGER NOT NULL, claimed INTEGER NOT NULL DEFAULT 0, receives INTEGER NOT NULL DEFAULT 0,
  first_ms INTEGER, received_ms INTEGER, token TEXT, attempt TEXT, source TEXT, crc INTEGER NOT NULL, body BLOB NOT NULL
);
CREATE INDEX mail_order ON mail (mailbox, hidden_ms, sequence);
CREATE INDEX mail_age ON mail (mailbox, sent_ms);
CREATE INDEX mail_claimed ON mail (mailbox, attempt) WHERE claimed = 1;
CREATE INDEX mail_of_group ON mail (mailbox, mail_group, claimed, sequence) WHERE mail_group IS NOT NULL;

CREATE TABLE mail_once (
  mailbox TEXT NOT NULL, key TEXT NOT NULL, id TEXT NOT NULL, sequence INTEGER NOT NULL, expires_ms INTEGER NOT NULL,
  PRIMARY KEY (mailbox, key)
);
CREATE INDEX mail_once_expiry ON mail_once (expires_ms);

CREATE TABLE mail_attempt (
  mailbox TEXT NOT NULL, key TEXT NOT NULL, messages INTEGER NOT NULL, expires_ms INTEGER NOT NULL, PRIMARY KEY (mailbox, key)
);
CREATE INDEX mail_attempt_expiry ON mail_attempt (expires_ms);
