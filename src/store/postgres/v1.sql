-- Schema 1. Every statement names its schema, so that no search path decides what is meant.

-- The newest id of an entry. Whoever writes locks this row first and holds it until its commit: that is the total order.
CREATE TABLE remint.log (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    last bigint NOT NULL
);
INSERT INTO remint.log (last) VALUES (0);

-- The body is text, not jsonb: what was written comes back byte for byte, and `\u0000` is a character like any other.
CREATE TABLE remint.record (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    kind text COLLATE "C" NOT NULL,
    id text COLLATE "C" NOT NULL,
    scope text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    body text NOT NULL,
    PRIMARY KEY (kind, id)
);
CREATE INDEX record_by_scope ON remint.record (kind, scope, seq);

CREATE TABLE remint.sealed (
    id text COLLATE "C" PRIMARY KEY,
    scope text NOT NULL,
    generation bigint NOT NULL,
    expires text,
    bytes bytea NOT NULL
);

-- `ends` counts nanoseconds since 1970 by the clock of whoever took it.
CREATE TABLE remint.lease (
    name text COLLATE "C" PRIMARY KEY,
    holder text,
    token bigint NOT NULL,
    ends bigint NOT NULL
);

-- `reset` is empty for an entry of no reset, so that one index holds numbers unique in every chain.
CREATE TABLE remint.entry (
    id bigint PRIMARY KEY,
    reset text COLLATE "C" NOT NULL,
    number bigint NOT NULL,
    bytes bytea NOT NULL,
    UNIQUE (reset, number)
);

CREATE TABLE remint.checkpoint (size bigint PRIMARY KEY, note text NOT NULL);

CREATE FUNCTION remint.refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION '%', TG_ARGV[0];
END $$;
CREATE TRIGGER entry_stays BEFORE UPDATE ON remint.entry
    FOR EACH STATEMENT EXECUTE FUNCTION remint.refuse('an entry never changes');
CREATE TRIGGER entry_remains BEFORE DELETE OR TRUNCATE ON remint.entry
    FOR EACH STATEMENT EXECUTE FUNCTION remint.refuse('an entry is never deleted');
CREATE TRIGGER checkpoint_stays BEFORE UPDATE ON remint.checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION remint.refuse('a checkpoint never changes');
CREATE TRIGGER checkpoint_remains BEFORE DELETE OR TRUNCATE ON remint.checkpoint
    FOR EACH STATEMENT EXECUTE FUNCTION remint.refuse('a checkpoint is never deleted');

-- Applies a group of changes, or nothing when one of them cannot stand: then each reason is a row. The keys of different
-- changes differ. One call is one round trip; its commit is the caller's.
CREATE FUNCTION remint.apply(
    f_change int[], f_lease text[], f_token bigint[],
    d_change int[], d_kind text[], d_id text[],
    p_change int[], p_kind text[], p_id text[], p_scope text[], p_rule int[], p_revision bigint[], p_body text[],
    u_id text[],
    s_change int[], s_id text[], s_scope text[], s_generation bigint[], s_expires text[], s_bytes bytea[],
    h_reset text[], h_number bigint[],
    e_reset text[], e_number bigint[], e_bytes bytea[],
    told text[],
    x_change int[], x_kind text[], x_id text[], x_revision bigint[]
) RETURNS TABLE (why text, change int, kind text, id text, last bigint)
LANGUAGE plpgsql
-- Every statement finds a few rows by key, whatever the planner knew of the tables when it made its plan. A scan that is
-- priced out looks so dear that it would be compiled each time, for milliseconds.
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off SET jit = off
AS $$
#variable_conflict use_column
DECLARE
    before bigint;
BEGIN
    SELECT l.last INTO STRICT before FROM remint.log l FOR UPDATE;
    IF EXISTS (
        SELECT 1 FROM unnest(h_reset, h_number) h (reset, number)
        WHERE h.number <> coalesce((SELECT max(e.number) FROM remint.entry e WHERE e.reset = h.reset), 0)
    ) THEN
        RETURN QUERY SELECT 'moved', 0, '', '', before;
        RETURN;
    END IF;
    IF cardinality(f_lease) > 0 THEN
        PERFORM 1 FROM remint.lease l WHERE l.name = ANY (f_lease) ORDER BY l.name FOR SHARE;
    END IF;
    RETURN QUERY
        SELECT 'fenced', f.change, '', f.lease, before
        FROM unnest(f_change, f_lease, f_token) f (change, lease, token)
        LEFT JOIN remint.lease l ON l.name = f.lease
        WHERE l.holder IS NULL OR l.token <> f.token
        UNION ALL
        -- Nobody writes a record without the lock on the log, so what is looked at stays as it is.
        SELECT 'stale', x.change, x.kind, x.id, before
        FROM unnest(x_change, x_kind, x_id, x_revision) x (change, kind, id, revision)
        LEFT JOIN remint.record r ON r.kind = x.kind AND r.id = x.id
        WHERE coalesce(r.revision, 0) <> x.revision
        UNION ALL
        SELECT CASE p.rule WHEN 1 THEN 'exists' ELSE 'stale' END, p.change, p.kind, p.id, before
        FROM unnest(p_change, p_kind, p_id, p_rule, p_revision) p (change, kind, id, rule, revision)
        LEFT JOIN remint.record r ON r.kind = p.kind AND r.id = p.id
            AND NOT EXISTS (SELECT 1 FROM unnest(d_kind, d_id) d (kind, id) WHERE d.kind = p.kind AND d.id = p.id)
        WHERE (p.rule = 1 AND r.id IS NOT NULL) OR (p.rule = 2 AND r.revision IS DISTINCT FROM p.revision)
        UNION ALL
        SELECT 'exists', s.change, 'sealed value', s.id, before
        FROM unnest(s_change, s_id, s_bytes) s (change, id, bytes)
        JOIN remint.sealed k ON k.id = s.id AND k.bytes <> s.bytes
        WHERE s.id <> ALL (u_id);
    IF FOUND THEN
        RETURN;
    END IF;
    IF cardinality(d_id) > 0 THEN
        DELETE FROM remint.record r USING unnest(d_kind, d_id) d (kind, id) WHERE r.kind = d.kind AND r.id = d.id;
    END IF;
    IF cardinality(p_id) > 0 THEN
        INSERT INTO remint.record AS r (kind, id, scope, revision, body)
        SELECT p.kind, p.id, p.scope, 1, p.body
        FROM unnest(p_kind, p_id, p_scope, p_body) WITH ORDINALITY p (kind, id, scope, body, turn)
        ORDER BY p.turn
        ON CONFLICT ON CONSTRAINT record_pkey
        DO UPDATE SET scope = excluded.scope, revision = r.revision + 1, body = excluded.body;
    END IF;
    IF cardinality(u_id) > 0 THEN
        DELETE FROM remint.sealed k WHERE k.id = ANY (u_id);
    END IF;
    IF cardinality(s_id) > 0 THEN
        INSERT INTO remint.sealed AS k (id, scope, generation, expires, bytes)
        SELECT s.id, s.scope, s.generation, s.expires, s.bytes
        FROM unnest(s_id, s_scope, s_generation, s_expires, s_bytes) s (id, scope, generation, expires, bytes)
        ON CONFLICT ON CONSTRAINT sealed_pkey DO UPDATE SET expires = excluded.expires;
    END IF;
    IF cardinality(e_number) > 0 THEN
        INSERT INTO remint.entry (id, reset, number, bytes)
        SELECT before + e.turn, e.reset, e.number, e.bytes
        FROM unnest(e_reset, e_number, e_bytes) WITH ORDINALITY e (reset, number, bytes, turn);
        UPDATE remint.log SET last = before + cardinality(e_number);
    END IF;
    PERFORM pg_notify('remint', t.what) FROM unnest(told) t (what);
    RETURN QUERY SELECT 'done', 0, '', '', before;
END $$;

-- Takes what is free of the leases named, at most so many; what somebody else is just taking is passed over.
CREATE FUNCTION remint.claim(names text[], by_whom text, at_time bigint, until bigint, most int)
RETURNS TABLE (name text, token bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_column
BEGIN
    INSERT INTO remint.lease (name, holder, token, ends)
    SELECT n.name, NULL, 0, 0 FROM unnest(names) n (name)
    WHERE NOT EXISTS (SELECT 1 FROM remint.lease l WHERE l.name = n.name)
    ON CONFLICT DO NOTHING;
    RETURN QUERY
        WITH free AS (
            SELECT l.name FROM remint.lease l
            WHERE l.name = ANY (names) AND (l.holder IS NULL OR l.holder = by_whom OR l.ends <= at_time)
            ORDER BY array_position(names, l.name)
            LIMIT most
            FOR UPDATE SKIP LOCKED
        )
        UPDATE remint.lease l
        SET holder = by_whom, ends = until, token = CASE WHEN l.holder = by_whom THEN l.token ELSE l.token + 1 END
        FROM free WHERE l.name = free.name
        RETURNING l.name, l.token;
END $$;

-- Gives the next entries their places: exactly those up to `size`, and only to the holder of the lease.
CREATE FUNCTION remint.place(by_lease text, by_token bigint, ids bigint[], size bigint, note text)
RETURNS TABLE (why text, placed bigint)
LANGUAGE plpgsql AS $$
#variable_conflict use_variable
DECLARE
    newest bigint;
    have bigint;
BEGIN
    SELECT l.last INTO STRICT newest FROM remint.log l FOR UPDATE;
    SELECT coalesce(max(c.size), 0) INTO have FROM remint.checkpoint c;
    PERFORM 1 FROM remint.lease l
    WHERE l.name = by_lease AND l.token = by_token AND l.holder IS NOT NULL FOR SHARE;
    IF NOT FOUND THEN
        RETURN QUERY SELECT 'fenced', have;
    ELSIF size <= have OR size > newest OR ids <> ARRAY(SELECT generate_series(have + 1, size)) THEN
        RETURN QUERY SELECT 'order', have;
    ELSE
        INSERT INTO remint.checkpoint (size, note) VALUES (size, note);
        RETURN QUERY SELECT 'done', have;
    END IF;
END $$;
