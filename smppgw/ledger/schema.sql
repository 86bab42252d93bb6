-- The ledger, version 1.
--
-- Times (…_at) are milliseconds since 1970-01-01T00:00Z. An id carries its parents: a message is
-- job << 32 | ordinal, a segment is message << 8 | number, both counted from 1. So a job's messages and
-- a message's segments are ranges of the primary key, and no index is paid for either.
--
-- The CHECK constraints are the invariants that one row can hold by itself. Words are compared in a
-- chain of OR because IN (…) builds a b-tree for each row it checks: 10 µs a message.

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    receipts_received INTEGER NOT NULL DEFAULT 0,
    receipts_matched INTEGER NOT NULL DEFAULT 0 CHECK (receipts_matched >= 0),
    receipts_parked INTEGER NOT NULL DEFAULT 0 CHECK (receipts_parked >= 0),
    receipts_orphan INTEGER NOT NULL DEFAULT 0 CHECK (receipts_orphan >= 0),
    receipts_duplicate INTEGER NOT NULL DEFAULT 0 CHECK (receipts_duplicate >= 0),
    -- I9: no receipt disappears.
    CHECK (receipts_received
        = receipts_matched + receipts_parked + receipts_orphan + receipts_duplicate)
) STRICT;

CREATE TABLE job (
    id INTEGER PRIMARY KEY AUTOINCREMENT CHECK (id BETWEEN 1 AND 8388607),
    state TEXT NOT NULL CHECK (
        state = 'loading' OR state = 'scheduled' OR state = 'queued' OR state = 'sending'
        OR state = 'done' OR state = 'paused' OR state = 'cancelled'),
    class TEXT NOT NULL CHECK (class = 'alert' OR class = 'service' OR class = 'promotional'),
    -- The order of claiming.
    lane INTEGER NOT NULL AS (CASE class WHEN 'alert' THEN 0 WHEN 'service' THEN 1 ELSE 2 END),
    tenant TEXT NOT NULL,
    sender TEXT NOT NULL,
    label TEXT,
    text TEXT NOT NULL,
    rewrite TEXT NOT NULL,
    flash INTEGER NOT NULL,
    -- What a second submit with the same key is compared with: SHA-256 of order and recipients.
    key TEXT UNIQUE,
    content TEXT,
    -- The class's rules when the job was made.
    attempts INTEGER NOT NULL CHECK (attempts >= 1),
    unknown_policy TEXT NOT NULL CHECK (unknown_policy = 'hold' OR unknown_policy = 'resend'),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    first_submit_at INTEGER,
    finished_at INTEGER,
    -- From when there is something to claim; NULL: nothing, unless an outcome brings some back.
    ready_at INTEGER,
    -- The last message that was claimed for the first time: all later ones are untouched.
    cursor INTEGER NOT NULL DEFAULT 0,
    segments INTEGER NOT NULL DEFAULT 0,
    messages INTEGER NOT NULL DEFAULT 0,
    queued INTEGER NOT NULL DEFAULT 0 CHECK (queued >= 0),
    submitting INTEGER NOT NULL DEFAULT 0 CHECK (submitting >= 0),
    accepted INTEGER NOT NULL DEFAULT 0 CHECK (accepted >= 0),
    delivered INTEGER NOT NULL DEFAULT 0 CHECK (delivered >= 0),
    undelivered INTEGER NOT NULL DEFAULT 0 CHECK (undelivered >= 0),
    rejected INTEGER NOT NULL DEFAULT 0 CHECK (rejected >= 0),
    expired INTEGER NOT NULL DEFAULT 0 CHECK (expired >= 0),
    cancelled INTEGER NOT NULL DEFAULT 0 CHECK (cancelled >= 0),
    suppressed INTEGER NOT NULL DEFAULT 0 CHECK (suppressed >= 0),
    unknown INTEGER NOT NULL DEFAULT 0 CHECK (unknown >= 0),
    -- I2: the counts of a job always sum to its total.
    CHECK (messages = queued + submitting + accepted + delivered + undelivered + rejected
        + expired + cancelled + suppressed + unknown),
    CHECK ((state = 'done') = (finished_at IS NOT NULL)),
    CHECK (state <> 'done' OR queued + submitting = 0)
) STRICT;

CREATE INDEX job_claimable ON job (lane, id)
    WHERE (state = 'queued' OR state = 'sending') AND ready_at IS NOT NULL;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'queued' OR state = 'submitting' OR state = 'accepted' OR state = 'delivered'
        OR state = 'undelivered' OR state = 'rejected' OR state = 'expired' OR state = 'cancelled'
        OR state = 'suppressed' OR state = 'unknown'),
    segments INTEGER NOT NULL CHECK (segments BETWEEN 1 AND 255),
    attempts INTEGER NOT NULL DEFAULT 0,
    -- When a message that came back may be claimed again; NULL for one that never left.
    due_at INTEGER,
    -- The values of a personal text, JSON by column; NULL where the text is the same for all.
    fields TEXT,
    -- Why it ended, in the words of the SMSC.
    error TEXT,
    CHECK (due_at IS NULL OR state = 'queued')
) STRICT;

CREATE INDEX message_requeued ON message (id >> 32, due_at) WHERE due_at IS NOT NULL;

CREATE TABLE segment (
    id INTEGER PRIMARY KEY,
    state TEXT NOT NULL CHECK (
        state = 'submitting' OR state = 'accepted' OR state = 'delivered'
        OR state = 'undelivered' OR state = 'rejected' OR state = 'unknown'),
    account_id INTEGER NOT NULL,
    attempt INTEGER NOT NULL,
    asks_receipt INTEGER NOT NULL,
    submitted_at INTEGER NOT NULL,
    smsc_message_id TEXT,
    command_status INTEGER,
    accepted_at INTEGER,
    done_at INTEGER,
    -- The receipt's state and error, and its raw text where it says more than delivered.
    error TEXT,
    receipt TEXT,
    CHECK (smsc_message_id IS NULL OR accepted_at IS NOT NULL),
    CHECK (done_at IS NOT NULL
        OR (state <> 'delivered' AND state <> 'undelivered' AND state <> 'rejected'))
) STRICT;

-- Ids are compared without case and leading zeros: an SMSC may write 0E99 here and e99 there.
CREATE INDEX segment_by_smsc_message_id
    ON segment (account_id, ltrim(lower(smsc_message_id), '0'))
    WHERE smsc_message_id IS NOT NULL;

-- Receipts that came before their response.
CREATE TABLE parked (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    smsc_message_id TEXT NOT NULL,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL,
    raw_state TEXT,
    error TEXT,
    receipt TEXT NOT NULL,
    received_at INTEGER NOT NULL
) STRICT;

CREATE INDEX parked_by_smsc_message_id
    ON parked (account_id, ltrim(lower(smsc_message_id), '0'));

-- Texts from phones, as they came; answered once they are here.
CREATE TABLE inbound (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    esm_class INTEGER NOT NULL,
    data_coding INTEGER NOT NULL,
    short_message BLOB NOT NULL
) STRICT;

-- What the gateway says of itself to other processes.
CREATE TABLE gateway (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    pid INTEGER NOT NULL,
    since INTEGER NOT NULL
) STRICT;

CREATE TABLE link (
    smsc TEXT NOT NULL,
    bind INTEGER NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'bound' OR state = 'connecting' OR state = 'backoff' OR state = 'stopped'),
    reason TEXT,
    window INTEGER NOT NULL,
    outstanding INTEGER NOT NULL,
    throughput INTEGER NOT NULL,
    permitted REAL NOT NULL,
    PRIMARY KEY (smsc, bind)
) STRICT, WITHOUT ROWID;
