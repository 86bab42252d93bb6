-- The ledger, version 2. What an earlier version lacks is added by version_1_to_2.sql.
--
-- Times (…_at) are milliseconds since 1970-01-01T00:00Z. An id carries its parents: a stream is
-- job << 6 | route, a message is stream << 26 | ordinal, a segment is message << 8 | number, ordinal and
-- number counted from 1. So a job's or a stream's messages and a message's segments are ranges of the
-- primary key, and no index is paid for any.
--
-- The CHECK constraints are the invariants that one row can hold by itself. Words are compared in a
-- chain of OR because IN (…) builds a b-tree for each row it checks: 10 µs a message.

CREATE TABLE account (
    id INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    -- How its receipts write the ids of its responses, once that is known: see smpp/receipt.py.
    id_form TEXT,
    -- When something was last claimed for it: a gateway that starts keeps to what the last one left.
    claimed_at INTEGER NOT NULL DEFAULT 0,
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
    -- What an opt-out may name: the class, unless somebody said more.
    purpose TEXT NOT NULL,
    -- 1 for a drill, whose text says so.
    exercise INTEGER NOT NULL CHECK (exercise = 0 OR exercise = 1),
    -- The operating system's name of whoever ordered it.
    ordered_by TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    -- Not before; created_at where it may leave at once.
    starts_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    first_submit_at INTEGER,
    finished_at INTEGER,
    -- When retention took its text, and its numbers.
    text_purged_at INTEGER,
    numbers_purged_at INTEGER,
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
    CHECK ((state = 'done') <= (finished_at IS NOT NULL)),
    CHECK (finished_at IS NULL OR state = 'done' OR state = 'cancelled'),
    CHECK (finished_at IS NULL OR queued + submitting = 0)
) STRICT;

CREATE INDEX job_waiting ON job (lane, created_at) WHERE queued > 0;
CREATE INDEX job_unknown ON job (id) WHERE unknown > 0;
CREATE INDEX job_scheduled ON job (starts_at) WHERE state = 'scheduled';

-- Prefixes of numbers that some account is chosen by; route 0 is every other number.
CREATE TABLE route (
    id INTEGER PRIMARY KEY CHECK (id BETWEEN 0 AND 63),
    prefix TEXT NOT NULL UNIQUE
) STRICT;

INSERT INTO route (id, prefix) VALUES (0, '');

-- The messages of a job that go one route: what is claimed in order.
CREATE TABLE stream (
    id INTEGER PRIMARY KEY,
    lane INTEGER NOT NULL,
    tenant TEXT NOT NULL,
    -- The last message that was claimed for the first time: all later ones are untouched.
    cursor INTEGER NOT NULL,
    -- From when there is something to claim; NULL: nothing, unless an outcome brings some back.
    ready_at INTEGER
) STRICT;

-- By tenant, because those of a lane take turns.
CREATE INDEX stream_claimable ON stream (lane, tenant, id) WHERE ready_at IS NOT NULL;
-- When something falls due: of untouched streams, whose time is 0, none is here.
CREATE INDEX stream_due ON stream (ready_at) WHERE ready_at > 0;

CREATE TABLE message (
    id INTEGER PRIMARY KEY,
    recipient TEXT NOT NULL,
    state TEXT NOT NULL CHECK (
        state = 'queued' OR state = 'submitting' OR state = 'accepted' OR state = 'delivered'
        OR state = 'undelivered' OR state = 'rejected' OR state = 'expired' OR state = 'cancelled'
        OR state = 'suppressed' OR state = 'unknown'),
    segments INTEGER NOT NULL CHECK (segments BETWEEN 1 AND 255),
    -- How often it has been sent; an answer counts for the attempt that it answers.
    attempts INTEGER NOT NULL DEFAULT 0,
    -- As many of them as were forgiven, when somebody had it sent again.
    forgiven INTEGER NOT NULL DEFAULT 0 CHECK (forgiven <= attempts),
    -- When a message that came back may be claimed again; NULL for one that never left.
    due_at INTEGER,
    -- Since when some of its segments are delivered and nothing is told of the others.
    partial_at INTEGER,
    -- The values of a personal text, JSON by column; NULL where the text is the same for all.
    fields TEXT,
    -- Why it ended, in the words of the SMSC.
    error TEXT,
    CHECK (due_at IS NULL OR state = 'queued'),
    CHECK (partial_at IS NULL OR state = 'accepted')
) STRICT;

CREATE INDEX message_requeued ON message (id >> 26, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX message_partial ON message (partial_at) WHERE partial_at IS NOT NULL;
CREATE INDEX message_unknown ON message (recipient) WHERE state = 'unknown';

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
    sender TEXT NOT NULL,
    state TEXT NOT NULL,
    raw_state TEXT,
    error TEXT,
    receipt TEXT NOT NULL,
    notification INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    -- Whether its recipient has been looked for among the messages of unknown outcome.
    tried INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX parked_by_time ON parked (received_at);
CREATE INDEX parked_untried ON parked (received_at) WHERE NOT tried;
CREATE INDEX parked_by_recipient ON parked (recipient);
CREATE INDEX parked_by_smsc_message_id
    ON parked (account_id, ltrim(lower(smsc_message_id), '0'));

-- Texts from phones, in the order in which they became whole; answered once they are here.
CREATE TABLE inbound (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    received_at INTEGER NOT NULL,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    text TEXT NOT NULL,
    -- The octets before decoding: without headers, the parts that came in their order.
    octets BLOB NOT NULL,
    data_coding INTEGER NOT NULL,
    -- Of how many parts the phone made it; not complete where some never came.
    parts INTEGER NOT NULL CHECK (parts BETWEEN 1 AND 255),
    complete INTEGER NOT NULL CHECK (complete = 1 OR (complete = 0 AND parts > 1)),
    -- What it asks for, as sms/stop.py reads it, until that is done: stop | stop-all.
    asks TEXT CHECK (asks IS NULL OR asks = 'stop' OR asks = 'stop-all')
) STRICT;

CREATE INDEX inbound_asking ON inbound (id) WHERE asks IS NOT NULL;

-- Parts of long texts: those that wait for others, and those that were joined, which are kept for a
-- while so that one that comes again is known. No part waits twice, and none is remembered twice.
CREATE TABLE inbound_part (
    id INTEGER PRIMARY KEY,
    account_id INTEGER NOT NULL,
    source TEXT NOT NULL,
    destination TEXT NOT NULL,
    reference INTEGER NOT NULL,
    total INTEGER NOT NULL CHECK (total BETWEEN 2 AND 255),
    number INTEGER NOT NULL CHECK (number BETWEEN 1 AND total),
    joined INTEGER NOT NULL CHECK (joined = 0 OR joined = 1),
    received_at INTEGER NOT NULL,
    octets BLOB NOT NULL,
    data_coding INTEGER NOT NULL,
    alphabet TEXT NOT NULL,
    header_octets INTEGER NOT NULL,
    UNIQUE (account_id, source, destination, reference, total, number, joined)
) STRICT;

CREATE INDEX inbound_part_by_age ON inbound_part (joined, received_at);

-- Who does not want to be written to: by tenant and purpose; the purpose 'all' is every one.
CREATE TABLE optout (
    id INTEGER PRIMARY KEY,
    tenant TEXT NOT NULL,
    purpose TEXT NOT NULL,
    -- E.164, until retention takes it; the keyed hash stays without end.
    recipient TEXT,
    recipient_hash TEXT NOT NULL,
    added_at INTEGER NOT NULL,
    -- The proof: how it came, and what was written.
    channel TEXT NOT NULL CHECK (channel = 'sms' OR channel = 'command' OR channel = 'file'
        OR channel = 'receipt' OR channel = 'response'),
    text TEXT,
    UNIQUE (tenant, purpose, recipient_hash)
) STRICT;

CREATE INDEX optout_by_time ON optout (tenant, added_at);
CREATE INDEX optout_by_recipient ON optout (recipient) WHERE recipient IS NOT NULL;

-- Who did what, when: each entry's hash holds the one before it, so that none can be changed or
-- taken away unseen. No number and no text stands here.
CREATE TABLE audit (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    at INTEGER NOT NULL,
    -- The operating system's name of whoever did it, or 'gateway'.
    actor TEXT NOT NULL,
    action TEXT NOT NULL,
    job_id INTEGER,
    -- JSON, keys in order.
    details TEXT NOT NULL,
    -- SHA-256, hexadecimal, of the hash before and this entry's own columns.
    hash TEXT NOT NULL
) STRICT;

CREATE INDEX audit_by_job ON audit (job_id) WHERE job_id IS NOT NULL;

-- Where the chain of the audit begins, since retention took what was older.
CREATE TABLE audit_anchor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_id INTEGER NOT NULL,
    hash TEXT NOT NULL
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
