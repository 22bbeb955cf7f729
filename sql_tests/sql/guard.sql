-- The store's tables are written by its workers and by nobody else: not by
-- the owner, not by a superuser, not in a replication session.
\set SHOW_CONTEXT never
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "guarded", "namespace": "guard"}}');
CREATE TEMPORARY TABLE before AS TABLE store.resources;
CREATE TEMPORARY TABLE events_before AS TABLE store.events;

INSERT INTO store.resources SELECT * FROM store.resources;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO store.resources SELECT * FROM store.resources WHERE false;
UPDATE store.resources SET generation = 0;
\echo :LAST_ERROR_SQLSTATE
DELETE FROM store.resources;
\echo :LAST_ERROR_SQLSTATE
TRUNCATE store.resources;
\echo :LAST_ERROR_SQLSTATE
COPY store.resources FROM stdin;
\.
MERGE INTO store.resources r USING (VALUES (1)) v(x) ON true WHEN MATCHED THEN DELETE;
INSERT INTO store.events SELECT * FROM store.events;
UPDATE store.events SET type = 'ADDED';
DELETE FROM store.events;
TRUNCATE store.events;
TRUNCATE store.resources, store.events CASCADE;

-- nor the ones consensus depends on
UPDATE store.raft_state SET term = 0;
DELETE FROM store.raft_state;
TRUNCATE store.raft_state;
INSERT INTO store.raft_log_0 VALUES (1000000, 1, 0, '');
DELETE FROM store.raft_log_1;
TRUNCATE store.raft_log_2;
UPDATE store.raft_log_3 SET term = 0;
INSERT INTO store.raft_applied_0 VALUES (1000000);
TRUNCATE store.raft_applied_1;

-- triggers can be switched off for a session; this cannot
SET session_replication_role = replica;
INSERT INTO store.resources SELECT * FROM store.resources;
UPDATE store.resources SET generation = 0;
DELETE FROM store.resources;
TRUNCATE store.resources;
DELETE FROM store.events;
TRUNCATE store.raft_log_0;
RESET session_replication_role;

-- from within a function, a rule of somebody else, or a CTE
DO $$ BEGIN DELETE FROM store.resources; END $$;
WITH gone AS (DELETE FROM store.resources RETURNING 1) SELECT count(*) FROM gone;
CREATE TEMPORARY TABLE trap (a int);
CREATE RULE trap AS ON INSERT TO trap DO ALSO DELETE FROM store.resources;
INSERT INTO trap VALUES (1);

-- the views cannot be written either
UPDATE store.status SET term = 0;
DELETE FROM store.members;

-- nothing happened
SELECT count(*) FROM ((TABLE before EXCEPT ALL TABLE store.resources)
	UNION ALL (TABLE store.resources EXCEPT ALL TABLE before)) d;
SELECT count(*) FROM ((TABLE events_before EXCEPT ALL TABLE store.events)
	UNION ALL (TABLE store.events EXCEPT ALL TABLE events_before)) d;

-- reading, locking and analyzing are free
SELECT count(*) FROM store.resources WHERE name = 'guarded';
SELECT count(*) FROM (SELECT FROM store.resources WHERE name = 'guarded' FOR SHARE) s;
ANALYZE store.resources;
VACUUM store.resources;
BEGIN;
LOCK TABLE store.resources IN ACCESS SHARE MODE;
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "guarded", "namespace": "guard"}, "data": {"a": "1"}}');
COMMIT;
-- a session that locks writers out cannot write
BEGIN;
LOCK TABLE store.resources IN SHARE MODE;
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "guarded", "namespace": "guard"}, "data": {"a": "2"}}');
\echo :LAST_ERROR_SQLSTATE
ROLLBACK;
SELECT store.get('ConfigMap', 'guarded', 'guard')->'data' AS data;
