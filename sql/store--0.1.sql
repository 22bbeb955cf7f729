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
	base_membership bytea NOT NULL,
	system_identifier bigint NOT NULL,
	timeline bigint NOT NULL,
	database oid NOT NULL,
	place text NOT NULL,
	start bigint NOT NULL,
	shut_out text NOT NULL
)
WITH (fillfactor = 50);
COMMENT ON TABLE store.raft_state IS
	'identity, term and vote of this node, and the base of its Raft log';
COMMENT ON COLUMN store.raft_state.place IS
	'where the data folder was on its disk when this member last ran; a copy is elsewhere';
COMMENT ON COLUMN store.raft_state.start IS
	'number of the newest start of this member';
COMMENT ON COLUMN store.raft_state.shut_out IS
	'why the other members refuse this one, or that they removed it; empty if neither';

-- The newest start of each other member that this one has heard of.
CREATE TABLE store.raft_starts
(
	node_id bigint PRIMARY KEY,
	start bigint NOT NULL,
	lost_data boolean NOT NULL
)
WITH (fillfactor = 50);
COMMENT ON TABLE store.raft_starts IS
	'the newest start of each other member; messages of an older one are refused';

-- Segments of the Raft log, used in rotation; see src/log_tables.h.  Entries of
-- up to half a page stay in line: an object of 3 kB costs half as much to read.
CREATE TABLE store.raft_log_0
(
	index bigint PRIMARY KEY,
	term bigint NOT NULL,
	kind smallint NOT NULL,
	data bytea NOT NULL
)
WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 4080);
ALTER TABLE store.raft_log_0 ALTER COLUMN data SET STORAGE EXTERNAL;
CREATE TABLE store.raft_log_1 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 4080);
CREATE TABLE store.raft_log_2 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 4080);
CREATE TABLE store.raft_log_3 (LIKE store.raft_log_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off, toast_tuple_target = 4080);
COMMENT ON TABLE store.raft_log_0 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_1 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_2 IS 'segment of the Raft log';
COMMENT ON TABLE store.raft_log_3 IS 'segment of the Raft log';

-- How far the state machine has applied the log: one row a batch, the highest
-- counts.  With it, as of that index, the floor of the history, the chain over
-- all that was applied, and the digest of all resources; see src/machine.h.  Two
-- tables in turn, each emptied by TRUNCATE, never updated.
CREATE TABLE store.raft_applied_0
(
	index bigint PRIMARY KEY,
	floor bigint NOT NULL,
	chain bigint NOT NULL,
	digest bigint NOT NULL
)
WITH (autovacuum_enabled = off);
CREATE TABLE store.raft_applied_1 (LIKE store.raft_applied_0 INCLUDING ALL)
	WITH (autovacuum_enabled = off);
COMMENT ON TABLE store.raft_applied_0 IS
	'applied position of the Raft log, with the floor of the history, chain and digest there';
COMMENT ON TABLE store.raft_applied_1 IS
	'applied position of the Raft log, with the floor of the history, chain and digest there';

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
	labels jsonb,
	expires_at timestamptz
)
WITH (fillfactor = 70);
-- an index and no constraint, because lists begin with what has no namespace
CREATE UNIQUE INDEX resources_key ON store.resources
	(api_group, version, kind, namespace NULLS FIRST, name) NULLS NOT DISTINCT;
-- Serves label selectors: containment and existence of keys, which is why it is
-- jsonb_ops.  A change that leaves labels alone stays HOT.  What waits in the
-- pending list is read by every scan, so the list is short.
CREATE INDEX resources_labels ON store.resources USING gin (labels)
	WITH (gin_pending_list_limit = 256);
-- what has a time to live, for the leader to find what is due
CREATE INDEX resources_expiry ON store.resources (expires_at)
	WHERE expires_at IS NOT NULL;
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
	previous jsonb,
	previous_version bigint,
	PRIMARY KEY (resource_version, ordinal)
);
COMMENT ON TABLE store.events IS
	'the retained history: each committed change, in the order of the Raft log';

-- The rows are in segments used in rotation; see src/history.h.  At index X
-- existed what is in store.resources with resource_version <= X, and what is
-- previous in the events with previous_version <= X < resource_version.  The
-- second index finds these in the order of the keys of a kind.  Group and version
-- are not in it: they would be compared with each insertion, and tell apart little
-- that the kind does not.  No two entries of an index are equal, so looking for
-- duplicates before a page is split would be in vain.
DO $$
DECLARE
	segment text;
BEGIN
	FOR i IN 0 .. 7 LOOP
		segment := pg_catalog.format('store.events_%s', i);
		EXECUTE pg_catalog.format(
			'CREATE TABLE %s (PRIMARY KEY (resource_version, ordinal)'
			' WITH (deduplicate_items = off))'
			' INHERITS (store.events) WITH (autovacuum_vacuum_insert_threshold = -1,'
			' toast.autovacuum_vacuum_insert_threshold = -1, toast_tuple_target = 4080)',
			segment);
		EXECUTE pg_catalog.format(
			'CREATE INDEX events_%s_key ON %s'
			' (kind, namespace NULLS FIRST, name,'
			' resource_version, previous_version) WITH (deduplicate_items = off)',
			i, segment);
		EXECUTE pg_catalog.format('COMMENT ON TABLE %s IS %L', segment,
			'segment of the history; read store.events instead');
	END LOOP;
END
$$;

------------------------------------------------------------------------------
-- Copies, for members that missed too much of the log.  What arrives is staged
-- in unlogged tables, in the columns of store.resources and store.events, with
-- jsonb as the bytes that it is.
------------------------------------------------------------------------------

CREATE UNLOGGED TABLE store.raft_copied_resources
(
	api_group text COLLATE "C" NOT NULL,
	version text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	namespace text COLLATE "C",
	name text COLLATE "C" NOT NULL,
	object bytea NOT NULL,
	uid uuid NOT NULL,
	create_revision bigint NOT NULL,
	resource_version bigint NOT NULL,
	generation bigint NOT NULL,
	labels bytea,
	expires_at timestamptz
)
WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE store.raft_copied_resources
	ALTER COLUMN object SET STORAGE EXTERNAL, ALTER COLUMN labels SET STORAGE EXTERNAL;
COMMENT ON TABLE store.raft_copied_resources IS
	'a copy of another member''s store.resources that is coming in';

CREATE UNLOGGED TABLE store.raft_copied_events
(
	resource_version bigint NOT NULL,
	type text COLLATE "C" NOT NULL,
	api_group text COLLATE "C" NOT NULL,
	version text COLLATE "C" NOT NULL,
	kind text COLLATE "C" NOT NULL,
	namespace text COLLATE "C",
	name text COLLATE "C" NOT NULL,
	object bytea NOT NULL,
	reason text COLLATE "C" NOT NULL,
	at timestamptz NOT NULL,
	ordinal integer NOT NULL,
	previous bytea,
	previous_version bigint
)
WITH (autovacuum_enabled = off, toast.autovacuum_enabled = off);
ALTER TABLE store.raft_copied_events
	ALTER COLUMN object SET STORAGE EXTERNAL, ALTER COLUMN previous SET STORAGE EXTERNAL;
COMMENT ON TABLE store.raft_copied_events IS
	'a copy of another member''s store.events that is coming in';

-- What a member sends.  With the rights of the views' owner, so that neither
-- privileges nor row security of the reader make the copy incomplete.
CREATE FUNCTION store.raft_bytes(value jsonb)
RETURNS bytea
LANGUAGE C IMMUTABLE STRICT PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_raft_bytes';
COMMENT ON FUNCTION store.raft_bytes IS
	'a jsonb as the bytes that it is';

CREATE VIEW store.raft_resources AS
	SELECT api_group, version, kind, namespace, name, store.raft_bytes(object) AS object, uid,
		create_revision, resource_version, generation, store.raft_bytes(labels) AS labels,
		expires_at
	FROM store.resources;
COMMENT ON VIEW store.raft_resources IS
	'store.resources, to be copied to another member';

CREATE VIEW store.raft_events AS
	SELECT resource_version, type, api_group, version, kind, namespace, name,
		store.raft_bytes(object) AS object, reason, at, ordinal,
		store.raft_bytes(previous) AS previous, previous_version
	FROM store.events
	WHERE resource_version > (SELECT max(floor) FROM
		(SELECT floor FROM store.raft_applied_0
		UNION ALL SELECT floor FROM store.raft_applied_1) AS marks);
COMMENT ON VIEW store.raft_events IS
	'the retained part of store.events, to be copied to another member';

------------------------------------------------------------------------------
-- Writes.  Each is one entry of the Raft log, durable on a majority before the
-- function returns, and not undone by ROLLBACK.
------------------------------------------------------------------------------

CREATE TYPE store.result AS
(
	op text,
	resource_version bigint,
	object jsonb
);
COMMENT ON TYPE store.result IS
	'what a write did: Created, Replaced, Patched, Deleted, DeletionPending, Unchanged or NoOp';

CREATE FUNCTION store."create"
(
	object jsonb,
	reason text DEFAULT 'operator',
	ttl interval DEFAULT NULL,
	field_manager text DEFAULT NULL,
	subresource text DEFAULT NULL
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_create';
COMMENT ON FUNCTION store."create" IS
	'create a resource; refused if it exists';

CREATE FUNCTION store.put
(
	object jsonb,
	expected bigint DEFAULT NULL,
	reason text DEFAULT 'operator',
	ttl interval DEFAULT NULL,
	field_manager text DEFAULT NULL,
	subresource text DEFAULT NULL
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_put';
COMMENT ON FUNCTION store.put IS
	'create or replace a resource, if it still has the expected resourceVersion';

CREATE FUNCTION store."update"
(
	object jsonb,
	reason text DEFAULT 'operator',
	ttl interval DEFAULT NULL,
	field_manager text DEFAULT NULL,
	subresource text DEFAULT NULL
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_update';
COMMENT ON FUNCTION store."update" IS
	'replace a resource that exists; metadata.resourceVersion in the object is a precondition';

CREATE FUNCTION store.patch
(
	kind text,
	name text,
	patch jsonb,
	namespace text DEFAULT NULL,
	api_version text DEFAULT 'v1',
	type text DEFAULT 'merge',
	expected bigint DEFAULT NULL,
	reason text DEFAULT 'operator',
	field_manager text DEFAULT NULL,
	force boolean DEFAULT false,
	subresource text DEFAULT NULL
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_patch';
COMMENT ON FUNCTION store.patch IS
	'change parts of a resource (merge: RFC 7396, json: RFC 6902, strategic: by keys of lists),'
	' or make it have what a manager of fields wants (apply)';

CREATE FUNCTION store."delete"
(
	kind text,
	name text,
	namespace text DEFAULT NULL,
	api_version text DEFAULT 'v1',
	expected bigint DEFAULT NULL,
	uid text DEFAULT NULL,
	reason text DEFAULT 'operator'
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_delete';
COMMENT ON FUNCTION store."delete" IS
	'delete a resource, or mark it as terminating while it has finalizers';

CREATE FUNCTION store.txn
(
	compares jsonb,
	success jsonb,
	failure jsonb DEFAULT '[]',
	reason text DEFAULT 'operator',
	field_manager text DEFAULT NULL,
	OUT succeeded boolean,
	OUT resource_version bigint,
	OUT results jsonb
)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_txn';
COMMENT ON FUNCTION store.txn IS
	'if all compares hold, do the operations of success, else those of failure: all or nothing';

CREATE FUNCTION store.register_schema
(
	kind text,
	api_version text,
	openapi jsonb
)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_register_schema';
COMMENT ON FUNCTION store.register_schema IS
	'say how lists and maps of a custom kind are merged: x-kubernetes-list-type and the like';

CREATE FUNCTION store.import(object jsonb)
RETURNS store.result
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_import';
COMMENT ON FUNCTION store.import IS
	'put a resource that store.export() returned; again, it changes nothing';

------------------------------------------------------------------------------
-- Reads
------------------------------------------------------------------------------

CREATE FUNCTION store.get
(
	kind text,
	name text,
	namespace text DEFAULT NULL,
	api_version text DEFAULT 'v1',
	resource_version bigint DEFAULT NULL
)
RETURNS jsonb
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_get';
COMMENT ON FUNCTION store.get IS
	'a resource, or null, now or as it was at a resource version;'
	' linearizable unless store.read_consistency is local';

CREATE FUNCTION store.diff
(
	object jsonb,
	field_manager text,
	subresource text DEFAULT NULL,
	OUT path text,
	OUT stored jsonb,
	OUT applied jsonb,
	OUT owners text[]
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_diff';
COMMENT ON FUNCTION store.diff IS
	'what an apply with force would change, without writing;'
	' owners: the others whose fields these are';

CREATE FUNCTION store.list
(
	kind text,
	namespace text DEFAULT NULL,
	api_version text DEFAULT 'v1',
	label_selector text DEFAULT NULL,
	field_selector text DEFAULT NULL
)
RETURNS SETOF jsonb
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_list';
COMMENT ON FUNCTION store.list IS
	'resources of a kind in the order of their keys; a null namespace means all';

CREATE FUNCTION store.list_page
(
	kind text,
	namespace text DEFAULT NULL,
	api_version text DEFAULT 'v1',
	label_selector text DEFAULT NULL,
	field_selector text DEFAULT NULL,
	"limit" integer DEFAULT NULL,
	continue text DEFAULT NULL,
	resource_version bigint DEFAULT NULL,
	resource_version_match text DEFAULT NULL
)
RETURNS jsonb
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_list_page';
COMMENT ON FUNCTION store.list_page IS
	'a page of a list, as a Kubernetes List; the list is that of one index, now or in the past';

CREATE FUNCTION store.export()
RETURNS SETOF jsonb
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_export';
COMMENT ON FUNCTION store.export IS
	'every resource at one index, in the order of their keys, for store.import()';

CREATE FUNCTION store.matches
(
	object jsonb,
	label_selector text DEFAULT NULL,
	field_selector text DEFAULT NULL
)
RETURNS boolean
LANGUAGE C IMMUTABLE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_matches';
COMMENT ON FUNCTION store.matches IS
	'would store.list() with these selectors return this object?';

CREATE FUNCTION store.barrier()
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_barrier';
COMMENT ON FUNCTION store.barrier IS
	'after it returns, queries on this node see every write acknowledged anywhere before the call';

CREATE FUNCTION store.wait_for
(
	resource_version bigint,
	timeout interval DEFAULT NULL
)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_wait_for';
COMMENT ON FUNCTION store.wait_for IS
	'wait until this node has applied a resource version; returns how far it is';

CREATE FUNCTION store.watch
(
	since bigint,
	kind text DEFAULT NULL,
	namespace text DEFAULT NULL,
	api_version text DEFAULT NULL,
	label_selector text DEFAULT NULL,
	field_selector text DEFAULT NULL,
	"limit" integer DEFAULT NULL,
	timeout interval DEFAULT '0',
	OUT type text,
	OUT resource_version bigint,
	OUT api_group text,
	OUT version text,
	OUT kind text,
	OUT namespace text,
	OUT name text,
	OUT object jsonb
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_watch';
COMMENT ON FUNCTION store.watch IS
	'changes after a resource version (0: the current state), or the next one within the timeout;'
	' ends with a BOOKMARK to go on from';

CREATE FUNCTION store.compact(resource_version bigint)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_compact';
COMMENT ON FUNCTION store.compact IS
	'forget the history below a resource version, on every node; returns where it begins now';

------------------------------------------------------------------------------
-- Cluster
------------------------------------------------------------------------------

CREATE FUNCTION store.join(conninfo text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_join';
COMMENT ON FUNCTION store.join IS
	'enter the cluster of the node at conninfo; returns when this node is a voter';

CREATE FUNCTION store.keep_identity()
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_keep_identity';
COMMENT ON FUNCTION store.keep_identity IS
	'on a detached node: this is the only and the newest copy of the member; go on as before';

CREATE FUNCTION store.restore_as_new_cluster()
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_restore_as_new_cluster';
COMMENT ON FUNCTION store.restore_as_new_cluster IS
	'on a detached node: go on from its state as a cluster of one; returns the index'
	' it goes on from';

CREATE FUNCTION store.recover_without_quorum(cluster_id uuid)
RETURNS bigint
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_recover_without_quorum';
COMMENT ON FUNCTION store.recover_without_quorum IS
	'give up a cluster that lost its majority for good, and go on from this node''s state'
	' as a cluster of one; returns the index it goes on from';
CREATE FUNCTION store.leave()
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_leave';
COMMENT ON FUNCTION store.leave IS
	'take this node out of its cluster; returns when it is no member any more';

CREATE FUNCTION store.remove_member(name text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_remove_member';
COMMENT ON FUNCTION store.remove_member IS
	'take a member, running or not, out of the cluster';

CREATE FUNCTION store.promote(name text)
RETURNS void
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_promote';
COMMENT ON FUNCTION store.promote IS
	'wait until a learner has caught up and is a voter';

CREATE FUNCTION store.transfer_leadership(name text DEFAULT NULL)
RETURNS text
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_transfer_leadership';
COMMENT ON FUNCTION store.transfer_leadership IS
	'let another member lead, the named one if given; returns who leads then';

CREATE FUNCTION store.node_status
(
	OUT cluster_id uuid,
	OUT node_id bigint,
	OUT name text,
	OUT state text,
	OUT term bigint,
	OUT leader text,
	OUT first_index bigint,
	OUT last_index bigint,
	OUT commit_index bigint,
	OUT applied_index bigint,
	OUT compacted_revision bigint,
	OUT backlog bigint,
	OUT problem text,
	OUT notified_index bigint,
	OUT protocol integer,
	OUT diverged boolean
)
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_node_status';
COMMENT ON FUNCTION store.node_status IS 'the row of store.status';

CREATE VIEW store.status AS
	SELECT cluster_id, node_id, name, state, term, leader,
		first_index, last_index, commit_index, applied_index,
		compacted_revision, backlog, problem, notified_index, protocol, diverged
	FROM store.node_status();
COMMENT ON VIEW store.status IS
	'this node: its place in the cluster, how far its log and tables are, and what is wrong';

CREATE FUNCTION store.member_status
(
	OUT node_id bigint,
	OUT name text,
	OUT conninfo text,
	OUT role text,
	OUT leader boolean,
	OUT match_index bigint,
	OUT lag bigint,
	OUT last_contact timestamptz,
	OUT connected boolean,
	OUT queued_bytes bigint,
	OUT last_error text,
	OUT protocol integer,
	OUT low_on_disk boolean
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_member_status';
COMMENT ON FUNCTION store.member_status IS 'the rows of store.members';

CREATE VIEW store.members AS
	SELECT node_id, name, conninfo, role, leader, match_index, lag, last_contact,
		connected, queued_bytes, last_error, protocol, low_on_disk
	FROM store.member_status();
COMMENT ON VIEW store.members IS
	'the members of the cluster;'
	' match_index, lag, last_contact, protocol and low_on_disk are known to the leader';

CREATE FUNCTION store.copy_status
(
	OUT pid integer,
	OUT direction text,
	OUT peer text,
	OUT phase text,
	OUT index bigint,
	OUT resources_total bigint,
	OUT resources_done bigint,
	OUT events_total bigint,
	OUT events_done bigint,
	OUT bytes_done bigint,
	OUT started_at timestamptz
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_copy_status';
COMMENT ON FUNCTION store.copy_status IS 'the rows of store.progress_copy';

CREATE VIEW store.progress_copy AS
	SELECT pid, direction, peer, phase, index, resources_total, resources_done,
		events_total, events_done, bytes_done, started_at
	FROM store.copy_status();
COMMENT ON VIEW store.progress_copy IS
	'copies of the store that this node is receiving or sending;'
	' how far a sending session is, is in pg_stat_progress_copy';

------------------------------------------------------------------------------
-- Statistics of this node, in the manner of pg_stat_*: numbers that only grow
-- until store.stat_reset(), and numbers that are so now.  Times are in
-- milliseconds.
------------------------------------------------------------------------------

CREATE FUNCTION store.stat_get_raft
(
	OUT state text,
	OUT is_leader boolean,
	OUT leader_id bigint,
	OUT term bigint,
	OUT first_index bigint,
	OUT last_index bigint,
	OUT commit_index bigint,
	OUT uncommitted_entries bigint,
	OUT uncommitted_bytes bigint,
	OUT pending_writes bigint,
	OUT pending_bytes bigint,
	OUT pending_reads bigint,
	OUT inbox_bytes bigint,
	OUT dropped_messages bigint,
	OUT elections bigint,
	OUT leaders bigint,
	OUT log_writes bigint,
	OUT log_entries bigint,
	OUT log_bytes bigint,
	OUT log_append_time double precision,
	OUT log_flush_time double precision,
	OUT stats_reset timestamptz,
	OUT waiting_requests bigint,
	OUT held_answers bigint
)
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_raft';
COMMENT ON FUNCTION store.stat_get_raft IS 'the row of store.stat_raft';

CREATE VIEW store.stat_raft AS SELECT * FROM store.stat_get_raft();
COMMENT ON VIEW store.stat_raft IS
	'this node''s part in the consensus: indexes, queues, elections, and what its log costs';

CREATE FUNCTION store.stat_get_peers
(
	OUT node_id bigint,
	OUT name text,
	OUT is_voter boolean,
	OUT connected boolean,
	OUT match_index bigint,
	OUT next_index bigint,
	OUT lag bigint,
	OUT lag_bytes bigint,
	OUT round_trip_time double precision,
	OUT last_contact timestamptz,
	OUT copying boolean,
	OUT sent_messages bigint,
	OUT sent_bytes bigint,
	OUT dropped_messages bigint,
	OUT queued_bytes bigint,
	OUT last_error text
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_peers';
COMMENT ON FUNCTION store.stat_get_peers IS 'the rows of store.stat_peers';

CREATE VIEW store.stat_peers AS SELECT * FROM store.stat_get_peers();
COMMENT ON VIEW store.stat_peers IS
	'the other members as this node sees them; what they hold and lack is known to the leader';

CREATE FUNCTION store.stat_get_apply
(
	OUT applied_index bigint,
	OUT backlog bigint,
	OUT batches bigint,
	OUT entries bigint,
	OUT changes bigint,
	OUT apply_time double precision,
	OUT starts bigint,
	OUT blockers_canceled bigint,
	OUT blockers_terminated bigint,
	OUT last_blocker_pid integer,
	OUT last_blocker_at timestamptz,
	OUT problem text,
	OUT stats_reset timestamptz
)
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_apply';
COMMENT ON FUNCTION store.stat_get_apply IS 'the row of store.stat_apply';

CREATE VIEW store.stat_apply AS SELECT * FROM store.stat_get_apply();
COMMENT ON VIEW store.stat_apply IS
	'what the apply worker has done, and who has been in its way';

CREATE FUNCTION store.stat_get_requests
(
	OUT kind text,
	OUT outcome text,
	OUT requests bigint,
	OUT total_time double precision,
	OUT stats_reset timestamptz
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_requests';
COMMENT ON FUNCTION store.stat_get_requests IS 'the rows of store.stat_requests';

CREATE VIEW store.stat_requests AS SELECT * FROM store.stat_get_requests();
COMMENT ON VIEW store.stat_requests IS
	'what sessions of this node asked of the cluster, and how that ended';

CREATE FUNCTION store.stat_get_latency
(
	OUT kind text,
	OUT le double precision,
	OUT requests bigint
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_latency';
COMMENT ON FUNCTION store.stat_get_latency IS 'the rows of store.stat_latency';

CREATE VIEW store.stat_latency AS SELECT * FROM store.stat_get_latency();
COMMENT ON VIEW store.stat_latency IS
	'how many requests of this node took at most so many milliseconds';

CREATE FUNCTION store.stat_get_watch
(
	OUT watchers bigint,
	OUT listeners bigint,
	OUT newest_event bigint,
	OUT notified_index bigint,
	OUT backlog bigint,
	OUT batches bigint,
	OUT notifications bigint,
	OUT bytes bigint,
	OUT gaps bigint,
	OUT queue_usage double precision,
	OUT stats_reset timestamptz
)
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_watch';
COMMENT ON FUNCTION store.stat_get_watch IS 'the row of store.stat_watch';

CREATE VIEW store.stat_watch AS SELECT * FROM store.stat_get_watch();
COMMENT ON VIEW store.stat_watch IS
	'who waits for changes on this node, and what they were told';

CREATE FUNCTION store.stat_get_disk
(
	OUT place text,
	OUT size_bytes bigint,
	OUT free_bytes bigint,
	OUT min_free_bytes bigint,
	OUT is_low boolean
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_disk';
COMMENT ON FUNCTION store.stat_get_disk IS 'the rows of store.stat_disk';

CREATE VIEW store.stat_disk AS SELECT * FROM store.stat_get_disk();
COMMENT ON VIEW store.stat_disk IS
	'the file systems in which this node writes, and what is free there';

CREATE FUNCTION store.stat_get_refused
(
	OUT reason text,
	OUT messages bigint,
	OUT stats_reset timestamptz
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_get_refused';
COMMENT ON FUNCTION store.stat_get_refused IS 'the rows of store.stat_refused';

CREATE VIEW store.stat_refused AS SELECT * FROM store.stat_get_refused();
COMMENT ON VIEW store.stat_refused IS
	'messages of members, or of who has their role, that this node did not take, by reason';

CREATE FUNCTION store.stat_reset()
RETURNS void
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_stat_reset';
COMMENT ON FUNCTION store.stat_reset IS
	'let the statistics of this node begin at zero again';

CREATE FUNCTION store.health
(
	OUT status text,
	OUT message text
)
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_health';
COMMENT ON FUNCTION store.health IS
	'OK, WARNING or CRITICAL, and why, as far as this node knows';

CREATE FUNCTION store.verify
(
	OUT member text,
	OUT index bigint,
	OUT resources bigint,
	OUT events bigint,
	OUT digest text,
	OUT agrees boolean,
	OUT problem text
)
RETURNS SETOF record
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_verify';
COMMENT ON FUNCTION store.verify IS
	'read the tables of all members and see whether they come to the same at one index';

------------------------------------------------------------------------------
-- What members call on each other
------------------------------------------------------------------------------

CREATE FUNCTION store.raft_receive(message bytea)
RETURNS void
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_raft_receive';
COMMENT ON FUNCTION store.raft_receive IS
	'take a message of another member';

CREATE FUNCTION store.raft_identity()
RETURNS uuid
LANGUAGE C VOLATILE PARALLEL SAFE
AS 'MODULE_PATHNAME', 'store_raft_identity';
COMMENT ON FUNCTION store.raft_identity IS
	'the cluster this node belongs to';

CREATE FUNCTION store.raft_admit
(
	name text,
	conninfo text,
	identity text,
	protocol integer,
	OUT cluster_id uuid,
	OUT node_id bigint,
	OUT membership bytea,
	OUT leader text
)
LANGUAGE C VOLATILE PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_raft_admit';
COMMENT ON FUNCTION store.raft_admit IS
	'admit a node as a learner, on the leader; elsewhere, say where the leader is';

CREATE FUNCTION store.raft_steer
(
	verb text,
	member text,
	OUT done boolean,
	OUT state text,
	OUT message text,
	OUT detail text,
	OUT hint text,
	OUT held bigint,
	OUT total bigint,
	OUT copying boolean
)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_raft_steer';
COMMENT ON FUNCTION store.raft_steer IS
	'one step of removing, following or handing over, on the leader';

CREATE FUNCTION store.raft_copy
(
	cluster_id uuid,
	node_id bigint,
	at_least bigint,
	OUT format integer,
	OUT index bigint,
	OUT term bigint,
	OUT floor bigint,
	OUT membership bytea,
	OUT resources bigint,
	OUT events bigint,
	OUT chain bigint,
	OUT digest bigint
)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
AS 'MODULE_PATHNAME', 'store_raft_copy';
COMMENT ON FUNCTION store.raft_copy IS
	'begin to send a copy of this node''s state, as the transaction sees it';

CREATE FUNCTION store.raft_digest
(
	index bigint,
	floor bigint,
	OUT chain bigint,
	OUT resources_digest bigint,
	OUT events_digest bigint,
	OUT resources bigint,
	OUT events bigint,
	OUT misfits bigint,
	OUT adds_up boolean
)
LANGUAGE C VOLATILE STRICT PARALLEL UNSAFE
AS 'MODULE_PATHNAME', 'store_raft_digest';
COMMENT ON FUNCTION store.raft_digest IS
	'read the tables of this node and say what they come to at an index';

------------------------------------------------------------------------------
-- This node founds a cluster of one.
------------------------------------------------------------------------------

CREATE FUNCTION store.found()
RETURNS void
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'store_found';
SELECT store.found();
DROP FUNCTION store.found();

------------------------------------------------------------------------------
-- Nobody else writes.  The triggers fire always: in replica mode and for
-- superusers too.
------------------------------------------------------------------------------

CREATE FUNCTION store.guard()
RETURNS trigger
LANGUAGE C VOLATILE
AS 'MODULE_PATHNAME', 'store_guard';
COMMENT ON FUNCTION store.guard IS
	'refuses direct changes of the store''s tables';

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['resources', 'events', 'raft_state', 'raft_starts',
		'raft_log_0', 'raft_log_1', 'raft_log_2', 'raft_log_3',
		'raft_applied_0', 'raft_applied_1', 'events_0', 'events_1', 'events_2', 'events_3',
		'events_4', 'events_5', 'events_6', 'events_7']
	LOOP
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON store.%I'
			' FOR EACH STATEMENT EXECUTE FUNCTION store.guard()', name);
		EXECUTE pg_catalog.format('ALTER TABLE store.%I ENABLE ALWAYS TRIGGER guard', name);
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER guard_row BEFORE INSERT OR UPDATE OR DELETE ON store.%I'
			' FOR EACH ROW EXECUTE FUNCTION store.guard()', name);
		EXECUTE pg_catalog.format('ALTER TABLE store.%I ENABLE ALWAYS TRIGGER guard_row', name);
	END LOOP;
	-- without the trigger on rows, for which COPY would insert one by one
	FOREACH name IN ARRAY ARRAY['raft_copied_resources', 'raft_copied_events'] LOOP
		EXECUTE pg_catalog.format(
			'CREATE TRIGGER guard BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE ON store.%I'
			' FOR EACH STATEMENT EXECUTE FUNCTION store.guard()', name);
		EXECUTE pg_catalog.format('ALTER TABLE store.%I ENABLE ALWAYS TRIGGER guard', name);
	END LOOP;
END
$$;

------------------------------------------------------------------------------
-- Roles: who may read and write what.  Reads are queries, to which the server
-- applies the policies; writes ask the policies of store.resources before they
-- are proposed (src/policy.h).  Without a policy nobody but the owner reads or
-- writes anything.
------------------------------------------------------------------------------

DO $$
DECLARE
	name text;
BEGIN
	FOREACH name IN ARRAY ARRAY['resources', 'events', 'events_0', 'events_1', 'events_2',
		'events_3', 'events_4', 'events_5', 'events_6', 'events_7']
	LOOP
		EXECUTE pg_catalog.format('ALTER TABLE store.%I ENABLE ROW LEVEL SECURITY', name);
	END LOOP;
END
$$;

CREATE FUNCTION store.policy_name(verb text, role regrole, api_group text, kind text,
	namespace text)
RETURNS name
LANGUAGE sql IMMUTABLE
SET search_path = pg_catalog, pg_temp
AS $$
	SELECT (verb || '_' || substr(md5(
		jsonb_build_array(role::oid::bigint, api_group, kind, namespace)::text), 1, 16))::name
$$;
COMMENT ON FUNCTION store.policy_name IS
	'the name of the policies that store.grant_read() and store.grant_write() make';

CREATE FUNCTION store.grant_policy(verb text, role regrole, api_group text, kind text,
	namespace text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy name := store.policy_name(verb, role, api_group, kind, namespace);
	condition text := concat_ws(' AND ',
		'api_group = ' || quote_literal(api_group),
		'kind = ' || quote_literal(kind),
		CASE WHEN namespace = '' THEN 'namespace IS NULL'
			ELSE 'namespace = ' || quote_literal(namespace) END);
	tab text;
BEGIN
	IF role IS NULL THEN
		RAISE 'argument "role" must not be null' USING ERRCODE = 'null_value_not_allowed';
	END IF;
	IF kind !~ '^[A-Z][A-Za-z0-9]*$' THEN
		RAISE 'invalid kind "%"', kind USING ERRCODE = 'invalid_parameter_value',
			DETAIL = 'A kind begins with an upper-case letter, like ConfigMap.';
	END IF;
	FOREACH tab IN ARRAY ARRAY['resources', 'events'] LOOP
		CONTINUE WHEN EXISTS (SELECT FROM pg_policy
			WHERE polrelid = ('store.' || tab)::regclass AND polname = policy);
		EXECUTE format('CREATE POLICY %I ON store.%I FOR %s TO %s USING (%s)', policy, tab,
			CASE WHEN verb = 'write' AND tab = 'resources' THEN 'ALL' ELSE 'SELECT' END,
			role, coalesce(nullif(condition, ''), 'true'));
		EXECUTE format('COMMENT ON POLICY %I ON store.%I IS %L', policy, tab,
			format('%s may %s %s', role, verb, coalesce(nullif(condition, ''), 'everything')));
	END LOOP;
END
$$;
COMMENT ON FUNCTION store.grant_policy IS
	'make the policies of store.grant_read() and store.grant_write()';

CREATE FUNCTION store.revoke_policy(verb text, role regrole, api_group text, kind text,
	namespace text)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
DECLARE
	policy name := store.policy_name(verb, role, api_group, kind, namespace);
BEGIN
	IF NOT EXISTS (SELECT FROM pg_policy
		WHERE polrelid = 'store.resources'::regclass AND polname = policy)
	THEN
		RAISE 'role "%" was not granted this', role USING ERRCODE = 'undefined_object',
			HINT = 'Use the arguments of the grant; \d store.resources shows what there is.';
	END IF;
	EXECUTE format('DROP POLICY %I ON store.resources', policy);
	EXECUTE format('DROP POLICY IF EXISTS %I ON store.events', policy);
END
$$;
COMMENT ON FUNCTION store.revoke_policy IS
	'drop the policies of store.grant_read() and store.grant_write()';

CREATE FUNCTION store.grant_read
(
	role regrole,
	api_group text DEFAULT NULL,
	kind text DEFAULT NULL,
	namespace text DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM store.grant_policy('read', role, api_group, kind, namespace);
	EXECUTE format('GRANT USAGE ON SCHEMA store TO %s', role);
	EXECUTE format('GRANT SELECT ON store.resources, store.events TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION store.get, store.list, store.list_page,'
		' store.export, store.matches, store.barrier, store.wait_for, store.watch,'
		' store.diff TO %s', role);
END
$$;
COMMENT ON FUNCTION store.grant_read IS
	'let a role of this server read what is of this group, kind and namespace; null: of any,'
	' an empty namespace: of none';

CREATE FUNCTION store.grant_write
(
	role regrole,
	api_group text DEFAULT NULL,
	kind text DEFAULT NULL,
	namespace text DEFAULT NULL
)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM store.grant_policy('write', role, api_group, kind, namespace);
	EXECUTE format('GRANT USAGE ON SCHEMA store TO %s', role);
	EXECUTE format('GRANT SELECT ON store.resources, store.events TO %s', role);
	EXECUTE format('GRANT USAGE ON TYPE store.result TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION store.get, store.list, store.list_page,'
		' store.export, store.matches, store.barrier, store.wait_for, store.watch, store.diff,'
		' store."create", store.put, store."update", store.patch, store."delete", store.txn,'
		' store.import, store.register_schema TO %s', role);
END
$$;
COMMENT ON FUNCTION store.grant_write IS
	'the same as store.grant_read(), and let the role write there, too';

CREATE FUNCTION store.revoke_read
(
	role regrole,
	api_group text DEFAULT NULL,
	kind text DEFAULT NULL,
	namespace text DEFAULT NULL
)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT store.revoke_policy('read', role, api_group, kind, namespace) $$;
COMMENT ON FUNCTION store.revoke_read IS
	'take back what store.grant_read() with these arguments granted';

CREATE FUNCTION store.revoke_write
(
	role regrole,
	api_group text DEFAULT NULL,
	kind text DEFAULT NULL,
	namespace text DEFAULT NULL
)
RETURNS void
LANGUAGE sql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$ SELECT store.revoke_policy('write', role, api_group, kind, namespace) $$;
COMMENT ON FUNCTION store.revoke_write IS
	'take back what store.grant_write() with these arguments granted';

CREATE FUNCTION store.grant_admin(role regrole)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	PERFORM store.grant_write(role);
	EXECUTE format('GRANT pg_monitor TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION store.compact, store.leave, store.remove_member,'
		' store.promote, store.transfer_leadership, store.stat_reset, store.verify TO %s', role);
END
$$;
COMMENT ON FUNCTION store.grant_admin IS
	'let a role read and write everything and steer the cluster; what makes and mends nodes'
	' stays with superusers';

CREATE FUNCTION store.grant_peer(role regrole, member integer DEFAULT NULL)
RETURNS void
LANGUAGE plpgsql VOLATILE
SET search_path = pg_catalog, pg_temp
AS $$
BEGIN
	EXECUTE format('GRANT USAGE ON SCHEMA store TO %s', role);
	EXECUTE format('GRANT SELECT ON store.raft_resources, store.raft_events TO %s', role);
	EXECUTE format('GRANT EXECUTE ON FUNCTION store.raft_receive, store.raft_identity,'
		' store.raft_admit, store.raft_steer, store.raft_copy, store.raft_digest,'
		' store.raft_bytes TO %s', role);
	IF member IS NULL THEN
		EXECUTE format('ALTER ROLE %s IN DATABASE %I RESET store.peer_member',
			role, current_database());
	ELSE
		EXECUTE format('ALTER ROLE %s IN DATABASE %I SET store.peer_member = %s',
			role, current_database(), member);
	END IF;
END
$$;
COMMENT ON FUNCTION store.grant_peer IS
	'let the other members, or the one of that number, connect as this role:'
	' it gets what members call on each other';

------------------------------------------------------------------------------
-- Columns, as doc/reference.md describes them.
------------------------------------------------------------------------------

COMMENT ON COLUMN store.resources.api_group IS
	'the part of apiVersion before the slash; empty for the core group';
COMMENT ON COLUMN store.resources.version IS
	'the rest of it';
COMMENT ON COLUMN store.resources.kind IS
	'as in the object';
COMMENT ON COLUMN store.resources.namespace IS
	'null for what has none';
COMMENT ON COLUMN store.resources.name IS
	'metadata.name';
COMMENT ON COLUMN store.resources.object IS
	'the object as it was written, with its stamps';
COMMENT ON COLUMN store.resources.uid IS
	'metadata.uid';
COMMENT ON COLUMN store.resources.create_revision IS
	'the resource version at which it was created';
COMMENT ON COLUMN store.resources.resource_version IS
	'metadata.resourceVersion: the log index of its last change';
COMMENT ON COLUMN store.resources.generation IS
	'metadata.generation: grows with changes of spec';
COMMENT ON COLUMN store.resources.labels IS
	'metadata.labels, for the index; null if there are none';
COMMENT ON COLUMN store.resources.expires_at IS
	'when its time to live ends; null if it does not';
COMMENT ON COLUMN store.events.resource_version IS
	'the log index of the change';
COMMENT ON COLUMN store.events.type IS
	'ADDED, MODIFIED or DELETED';
COMMENT ON COLUMN store.events.api_group IS
	'as in store.resources';
COMMENT ON COLUMN store.events.version IS
	'as in store.resources';
COMMENT ON COLUMN store.events.kind IS
	'as in store.resources';
COMMENT ON COLUMN store.events.namespace IS
	'as in store.resources';
COMMENT ON COLUMN store.events.name IS
	'as in store.resources';
COMMENT ON COLUMN store.events.object IS
	'the object after the change; for DELETED its last state';
COMMENT ON COLUMN store.events.reason IS
	'as the write had it';
COMMENT ON COLUMN store.events.at IS
	'when the change was asked for, by the clock of that member';
COMMENT ON COLUMN store.events.ordinal IS
	'position among the changes of one transaction, from 0';
COMMENT ON COLUMN store.events.previous IS
	'the object before the change; null if there was none';
COMMENT ON COLUMN store.events.previous_version IS
	'its resource version';
COMMENT ON COLUMN store.status.cluster_id IS
	'the cluster that this node belongs to';
COMMENT ON COLUMN store.status.node_id IS
	'number of this member, given once and never again';
COMMENT ON COLUMN store.status.name IS
	'store.node_name';
COMMENT ON COLUMN store.status.state IS
	'leader, follower, candidate, learner or detached';
COMMENT ON COLUMN store.status.term IS
	'of the consensus';
COMMENT ON COLUMN store.status.leader IS
	'its name; null if nobody is known to lead';
COMMENT ON COLUMN store.status.first_index IS
	'of the log';
COMMENT ON COLUMN store.status.last_index IS
	'of the log, as far as it is on this disk';
COMMENT ON COLUMN store.status.commit_index IS
	'up to where a majority has it';
COMMENT ON COLUMN store.status.applied_index IS
	'up to where it is in the tables';
COMMENT ON COLUMN store.status.compacted_revision IS
	'the past can be read from here on';
COMMENT ON COLUMN store.status.backlog IS
	'committed and not applied, in entries';
COMMENT ON COLUMN store.status.problem IS
	'what is wrong, in words; null if nothing is';
COMMENT ON COLUMN store.status.notified_index IS
	'the newest change that those who listen were told of';
COMMENT ON COLUMN store.status.protocol IS
	'the version of the protocol that the cluster uses; null if it is not known';
COMMENT ON COLUMN store.status.diverged IS
	'does this node, or a member that it knows of, differ from the others?';
COMMENT ON COLUMN store.members.node_id IS
	'number of the member';
COMMENT ON COLUMN store.members.name IS
	'its store.node_name';
COMMENT ON COLUMN store.members.conninfo IS
	'how the others reach it';
COMMENT ON COLUMN store.members.role IS
	'voter or learner';
COMMENT ON COLUMN store.members.leader IS
	'does it lead?';
COMMENT ON COLUMN store.members.match_index IS
	'up to where it has the leader''s log; on the leader, like the next two';
COMMENT ON COLUMN store.members.lag IS
	'entries that it lacks';
COMMENT ON COLUMN store.members.last_contact IS
	'when it was last heard from';
COMMENT ON COLUMN store.members.connected IS
	'is this node''s connection to it up?';
COMMENT ON COLUMN store.members.queued_bytes IS
	'sent to it and not acknowledged';
COMMENT ON COLUMN store.members.last_error IS
	'of this node''s connection to it';
COMMENT ON COLUMN store.members.protocol IS
	'the version of the protocol that it understands; null if it is not known';
COMMENT ON COLUMN store.stat_raft.state IS
	'as in store.status';
COMMENT ON COLUMN store.stat_raft.is_leader IS
	'does this node lead?';
COMMENT ON COLUMN store.stat_raft.leader_id IS
	'null if nobody is known to lead';
COMMENT ON COLUMN store.stat_raft.term IS
	'of the consensus';
COMMENT ON COLUMN store.stat_raft.first_index IS
	'of the log';
COMMENT ON COLUMN store.stat_raft.last_index IS
	'of the log, as far as it is on this disk';
COMMENT ON COLUMN store.stat_raft.commit_index IS
	'up to where a majority has it';
COMMENT ON COLUMN store.stat_raft.uncommitted_entries IS
	'in the log, and not known to be on a majority';
COMMENT ON COLUMN store.stat_raft.uncommitted_bytes IS
	'their size, as far as they are in memory';
COMMENT ON COLUMN store.stat_raft.pending_writes IS
	'taken on and not yet proposed or forwarded, now';
COMMENT ON COLUMN store.stat_raft.pending_bytes IS
	'of writes taken on and not answered, now';
COMMENT ON COLUMN store.stat_raft.pending_reads IS
	'that wait for the leader''s word, now';
COMMENT ON COLUMN store.stat_raft.inbox_bytes IS
	'requests and messages that wait for the raft worker, now; up to store.inbox_size';
COMMENT ON COLUMN store.stat_raft.dropped_messages IS
	'messages of members that found it full, since the server started';
COMMENT ON COLUMN store.stat_raft.elections IS
	'that this node stood for';
COMMENT ON COLUMN store.stat_raft.leaders IS
	'leaders this node has seen, one a term';
COMMENT ON COLUMN store.stat_raft.log_writes IS
	'durable transactions of the log, each with one flush';
COMMENT ON COLUMN store.stat_raft.log_entries IS
	'entries they wrote';
COMMENT ON COLUMN store.stat_raft.log_bytes IS
	'data of entries that were added';
COMMENT ON COLUMN store.stat_raft.log_append_time IS
	'spent writing rows, in ms';
COMMENT ON COLUMN store.stat_raft.log_flush_time IS
	'spent making them durable, in ms';
COMMENT ON COLUMN store.stat_raft.stats_reset IS
	'since when is counted';
COMMENT ON COLUMN store.stat_peers.node_id IS
	'number of the member';
COMMENT ON COLUMN store.stat_peers.name IS
	'its store.node_name';
COMMENT ON COLUMN store.stat_peers.is_voter IS
	'is it a voter? else a learner';
COMMENT ON COLUMN store.stat_peers.connected IS
	'is this node''s connection to it up?';
COMMENT ON COLUMN store.stat_peers.match_index IS
	'up to where it has the leader''s log; on the leader, like all up to lag_bytes';
COMMENT ON COLUMN store.stat_peers.next_index IS
	'what it is sent next';
COMMENT ON COLUMN store.stat_peers.lag IS
	'entries that it lacks';
COMMENT ON COLUMN store.stat_peers.lag_bytes IS
	'their size; null if they are not all in memory';
COMMENT ON COLUMN store.stat_peers.round_trip_time IS
	'of the last message that was timed, to its commit there and back, in ms';
COMMENT ON COLUMN store.stat_peers.last_contact IS
	'when it was last heard from; on the leader';
COMMENT ON COLUMN store.stat_peers.copying IS
	'is it fetching a copy? on the leader';
COMMENT ON COLUMN store.stat_peers.sent_messages IS
	'since the raft worker started, like the next two';
COMMENT ON COLUMN store.stat_peers.sent_bytes IS
	'in these messages';
COMMENT ON COLUMN store.stat_peers.dropped_messages IS
	'not accepted, for whatever reason';
COMMENT ON COLUMN store.stat_peers.queued_bytes IS
	'sent and not acknowledged, now';
COMMENT ON COLUMN store.stat_peers.last_error IS
	'of this node''s connection to it; null after a success';
COMMENT ON COLUMN store.stat_apply.applied_index IS
	'up to where the log is in the tables';
COMMENT ON COLUMN store.stat_apply.backlog IS
	'committed and not applied, in entries';
COMMENT ON COLUMN store.stat_apply.batches IS
	'transactions';
COMMENT ON COLUMN store.stat_apply.entries IS
	'of the log that were applied';
COMMENT ON COLUMN store.stat_apply.changes IS
	'of these, what changed something';
COMMENT ON COLUMN store.stat_apply.apply_time IS
	'spent on them, in ms';
COMMENT ON COLUMN store.stat_apply.starts IS
	'of the apply worker since the server started; one is normal';
COMMENT ON COLUMN store.stat_apply.blockers_canceled IS
	'statements canceled because they held a lock it waited for';
COMMENT ON COLUMN store.stat_apply.blockers_terminated IS
	'sessions ended for the same reason';
COMMENT ON COLUMN store.stat_apply.last_blocker_pid IS
	'process that was canceled or ended last';
COMMENT ON COLUMN store.stat_apply.last_blocker_at IS
	'when that was';
COMMENT ON COLUMN store.stat_apply.problem IS
	'why it does not get on; null if it does';
COMMENT ON COLUMN store.stat_apply.stats_reset IS
	'since when is counted';
COMMENT ON COLUMN store.stat_requests.kind IS
	'create, put, update, patch, delete, txn, compact, read (a barrier) or membership';
COMMENT ON COLUMN store.stat_requests.outcome IS
	'ok, conflict, refused, unavailable, unknown or canceled';
COMMENT ON COLUMN store.stat_requests.requests IS
	'that ended so';
COMMENT ON COLUMN store.stat_requests.total_time IS
	'they took, in ms';
COMMENT ON COLUMN store.stat_requests.stats_reset IS
	'since when is counted';
COMMENT ON COLUMN store.stat_latency.kind IS
	'as in store.stat_requests';
COMMENT ON COLUMN store.stat_latency.le IS
	'limit, in ms; the last one is infinite';
COMMENT ON COLUMN store.stat_latency.requests IS
	'that took no longer, whatever their outcome';
COMMENT ON COLUMN store.stat_watch.watchers IS
	'sessions that wait in store.watch(), now';
COMMENT ON COLUMN store.stat_watch.listeners IS
	'channels of the store that sessions listen to, now';
COMMENT ON COLUMN store.stat_watch.newest_event IS
	'newest index with a change';
COMMENT ON COLUMN store.stat_watch.notified_index IS
	'up to where those who listen were told';
COMMENT ON COLUMN store.stat_watch.backlog IS
	'indexes in between, if anybody listens';
COMMENT ON COLUMN store.stat_watch.batches IS
	'transactions that published something';
COMMENT ON COLUMN store.stat_watch.notifications IS
	'published';
COMMENT ON COLUMN store.stat_watch.bytes IS
	'of their payloads';
COMMENT ON COLUMN store.stat_watch.gaps IS
	'times that history went before it was told';
COMMENT ON COLUMN store.stat_watch.queue_usage IS
	'part of the server''s notification queue that is in use';
COMMENT ON COLUMN store.stat_watch.stats_reset IS
	'since when is counted';
COMMENT ON COLUMN store.stat_disk.place IS
	'data directory, pg_wal or tablespace (of store.database); they may be one file system';
COMMENT ON COLUMN store.stat_disk.size_bytes IS
	'of the file system';
COMMENT ON COLUMN store.stat_disk.free_bytes IS
	'as of the last look, a second ago at most';
COMMENT ON COLUMN store.stat_disk.min_free_bytes IS
	'store.min_free_space';
COMMENT ON COLUMN store.stat_disk.is_low IS
	'is less free than that?';
COMMENT ON COLUMN store.stat_refused.reason IS
	'too large; damaged: not as it was sent; malformed; foreign: of another cluster or to'
	' another member; forged: in the name of a member for which the session may not '
	'speak; removed and shut out: of a member that is one no more, or of an old start; '
	'replayed: heard before, or too late';
COMMENT ON COLUMN store.stat_refused.messages IS
	'that were refused for it';
COMMENT ON COLUMN store.stat_refused.stats_reset IS
	'since when is counted';
COMMENT ON COLUMN store.stat_raft.waiting_requests IS
	'sessions that wait for an answer of the workers, now';
COMMENT ON COLUMN store.stat_raft.held_answers IS
	'answers that no session has taken yet, now';
COMMENT ON COLUMN store.members.low_on_disk IS
	'has it less than store.min_free_space? on the leader';
COMMENT ON COLUMN store.progress_copy.pid IS
	'process that sends or receives';
COMMENT ON COLUMN store.progress_copy.direction IS
	'receiving or sending';
COMMENT ON COLUMN store.progress_copy.peer IS
	'the other node';
COMMENT ON COLUMN store.progress_copy.phase IS
	'what it is doing';
COMMENT ON COLUMN store.progress_copy."index" IS
	'as of which index the copy is';
COMMENT ON COLUMN store.progress_copy.resources_total IS
	'in the copy; null if it is not known yet';
COMMENT ON COLUMN store.progress_copy.resources_done IS
	'received so far';
COMMENT ON COLUMN store.progress_copy.events_total IS
	'in the copy; null if it is not known yet';
COMMENT ON COLUMN store.progress_copy.events_done IS
	'received so far';
COMMENT ON COLUMN store.progress_copy.bytes_done IS
	'received so far';
COMMENT ON COLUMN store.progress_copy.started_at IS
	'when the copy began';

------------------------------------------------------------------------------
-- Privileges: nothing for PUBLIC; monitoring may look at the state.
------------------------------------------------------------------------------

REVOKE ALL ON SCHEMA store FROM PUBLIC;
REVOKE ALL ON ALL TABLES IN SCHEMA store FROM PUBLIC;
REVOKE ALL ON ALL ROUTINES IN SCHEMA store FROM PUBLIC;
REVOKE USAGE ON TYPE store.result FROM PUBLIC;

GRANT USAGE ON SCHEMA store TO pg_monitor;
GRANT SELECT ON store.status, store.members, store.progress_copy, store.stat_raft,
	store.stat_peers, store.stat_apply, store.stat_requests, store.stat_latency, store.stat_watch,
	store.stat_disk, store.stat_refused
	TO pg_monitor;
GRANT EXECUTE ON FUNCTION store.node_status(), store.member_status(), store.copy_status(),
	store.stat_get_raft(), store.stat_get_peers(), store.stat_get_apply(),
	store.stat_get_requests(), store.stat_get_latency(), store.stat_get_watch(),
	store.stat_get_disk(), store.stat_get_refused(), store.health()
	TO pg_monitor;
