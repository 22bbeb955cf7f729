/* sql/store--0.1.sql */

-- complain if script is sourced in psql, rather than via CREATE EXTENSION
\echo Use "CREATE EXTENSION store" to load this file. \quit

------------------------------------------------------------------------------
-- Consensus: identity, term and vote, and the log.  Written by the raft worker.
------------------------------------------------------------------------------

CREATE TABLE store.raft_state
(
	only_row boolean PRIMARY KEY DEFAULT true CHECK (only_row),
	cluster_id uuid NOT NULL,
	node_id bigint NOT NULL,
	term bigint NOT NULL,
	vote bigint NOT NULL,
	base_index bigint NOT NULL,
	base_term bigint NOT NULL,
	base_membership bytea NOT NULL
)
WITH (fillfactor = 50);
COMMENT ON TABLE store.raft_state IS
	'identity, term and vote of this node, and the base of its Raft log';

-- Segments of the Raft log, used in rotation; see src/raft_log.h.
CREATE TABLE store.raft_log_0
(
	index bigint PRIMARY KEY,
	term bigint NOT NULL,
	kind smallint NOT NULL,
	data bytea NOT NULL
)
WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE store.raft_log_0 ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE store.raft_log_1 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE TABLE store.raft_log_2 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
CREATE TABLE store.raft_log_3 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
COMMENT ON TABLE store.raft_log_0 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_1 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_2 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_3 IS 'segment of the Raft log';

-- How far the state machine has applied the log: one row a batch, the highest
-- counts.  Two tables in turn, each emptied by TRUNCATE, never updated.
CREATE TABLE store.raft_applied_0 (index bigint NOT NULL)
	WITH (autovacuum_enabled = off);
CREATE TABLE store.raft_applied_1 (index bigint NOT NULL)
	WITH (autovacuum_enabled = off);
COMMENT ON TABLE store.raft_applied_0 IS 'applied position of the Raft log';
COMMENT ON TABLE store.raft_applied_1 IS 'applied position of the Raft log';

------------------------------------------------------------------------------
-- The state machine: resources and events.  Written by the apply worker.
------------------------------------------------------------------------------

CREATE TABLE store.resources
(
	api_group text COLLATE "C" NOT NULL,
	version text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	namespace text COLLATE "C",
	name text COLLATE "C" NOT NULL,
	object jsonb NOT NULL,
	uid uuid PRIMARY KEY,
	create_revision bigint NOT NULL,
	resource_version bigint NOT NULL,
	generation bigint NOT NULL,
	CONSTRAINT resources_key
		UNIQUE NULLS NOT DISTINCT (api_group, version, kind, namespace, name)
)
WITH (fillfactor = 70);
COMMENT ON TABLE store.resources IS
	'every resource at this node''s applied index; written by store.put() and its kin';

CREATE TABLE store.events
(
	resource_version bigint NOT NULL,
	type text COLLATE "C" NOT NULL,
	api_group text COLLATE "C" NOT NULL,
	version text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	namespace text COLLATE "C",
	name text COLLATE "C" NOT NULL,
	object jsonb NOT NULL,
	reason text COLLATE "C" NOT NULL,
	at timestamptz NOT NULL,
	ordinal integer NOT NULL,
	PRIMARY KEY (resource_version, ordinal)
);
COMMENT ON TABLE store.events IS
	'the retained history: each committed change, in the order of the Raft log';
