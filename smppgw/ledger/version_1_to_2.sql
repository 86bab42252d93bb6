-- From version 1 to version 2: hours and fair shares, opt-outs, drills, retention, the audit trail.
ALTER TABLE job ADD COLUMN purpose TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN exercise INTEGER NOT NULL DEFAULT 0
    CHECK (exercise = 0 OR exercise = 1);
ALTER TABLE job ADD COLUMN ordered_by TEXT NOT NULL DEFAULT '';
ALTER TABLE job ADD COLUMN starts_at INTEGER NOT NULL DEFAULT 0;
ALTER TABLE job ADD COLUMN text_purged_at INTEGER;
ALTER TABLE job ADD COLUMN numbers_purged_at INTEGER;
UPDATE job SET purpose = class, starts_at = created_at;
ALTER TABLE stream ADD COLUMN tenant TEXT NOT NULL DEFAULT '';
UPDATE stream SET tenant = (SELECT tenant FROM job WHERE job.id = stream.id >> 6);
DROP INDEX stream_claimable;
ALTER TABLE inbound ADD COLUMN asks TEXT
    CHECK (asks IS NULL OR asks = 'stop' OR asks = 'stop-all');
CREATE INDEX stream_claimable ON stream (lane, tenant, id) WHERE ready_at IS NOT NULL;
CREATE INDEX stream_due ON stream (ready_at) WHERE ready_at > 0;
CREATE INDEX job_scheduled ON job (starts_at) WHERE state = 'scheduled';
CREATE INDEX inbound_asking ON inbound (id) WHERE asks IS NOT NULL;
-- Made while version 1 was: some have it.
CREATE INDEX IF NOT EXISTS parked_by_time ON parked (received_at);
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
CREATE TABLE audit_anchor (
    id INTEGER PRIMARY KEY CHECK (id = 1),
    last_id INTEGER NOT NULL,
    hash TEXT NOT NULL
) STRICT;
