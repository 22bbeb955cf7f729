-- Every row of the tables of privileges in doc/security.md, tried by who must be
-- refused: 42501 is what they get.  What is allowed is in roles.sql.

\pset format unaligned
CREATE ROLE regress_store_nobody;
CREATE ROLE regress_store_reader;
CREATE ROLE regress_store_writer;
CREATE ROLE regress_store_admin;
CREATE ROLE regress_store_peer;
SELECT store.grant_read('regress_store_reader', '', 'ConfigMap', 'privileges');
SELECT store.grant_write('regress_store_writer', '', 'ConfigMap', 'privileges');
SELECT store.grant_admin('regress_store_admin');
SELECT store.grant_peer('regress_store_peer');

-- what a role gets for a statement: an SQLSTATE, or "allowed"
CREATE FUNCTION pg_temp.attempt(who text, statement text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE 'SET LOCAL ROLE regress_store_' || who;
	EXECUTE statement;
	EXECUTE 'RESET ROLE';
	RETURN 'allowed';
EXCEPTION WHEN OTHERS THEN
	RETURN SQLSTATE;
END $$;
CREATE FUNCTION pg_temp.attempts(who text[], statements text[])
RETURNS TABLE (statement text, answers text) LANGUAGE sql AS $$
	SELECT s, string_agg(w || ' ' || pg_temp.attempt(w, s), ', ' ORDER BY n)
	FROM unnest(statements) WITH ORDINALITY AS statements(s, line),
		unnest(who) WITH ORDINALITY AS roles(w, n)
	GROUP BY line, s ORDER BY line $$;

-- reading, without any grant
SELECT * FROM pg_temp.attempts('{nobody}', ARRAY[
	$$SELECT store.get('ConfigMap', 'a', 'privileges')$$,
	$$SELECT store.get('ConfigMap', 'a', 'privileges', resource_version => 1)$$,
	$$SELECT store.list('ConfigMap')$$,
	$$SELECT store.list('ConfigMap', label_selector => 'a=b')$$,
	$$SELECT store.list_page('ConfigMap')$$,
	$$SELECT store.list_page('ConfigMap', "limit" => 9, resource_version => 1)$$,
	$$SELECT store.watch(0)$$,
	$$SELECT store.watch(0, 'ConfigMap', 'privileges', timeout => '1 hour')$$,
	$$SELECT store.export()$$,
	$$SELECT store.diff('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}', 'm')$$,
	$$SELECT store.barrier()$$,
	$$SELECT store.wait_for(1)$$,
	$$SELECT count(*) FROM store.resources$$,
	$$SELECT count(*) FROM store.events$$,
	$$LISTEN store$$,
	$$LISTEN "store.ConfigMap"$$,
	$$LISTEN "store.ConfigMap.privileges/key"$$]);

-- writing, without a grant to write
SELECT * FROM pg_temp.attempts('{nobody, reader}', ARRAY[
	$$SELECT store.create('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.update('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.patch('ConfigMap', 'a', '{}', 'privileges')$$,
	$$SELECT store.patch('ConfigMap', 'a', '{"apiVersion": "v1", "kind": "ConfigMap", "metadata":
		{"name": "a"}}', 'privileges', type => 'apply', field_manager => 'm')$$,
	$$SELECT store.delete('ConfigMap', 'a', 'privileges')$$,
	$$SELECT store.txn('[]', '[{"delete": {"apiVersion": "v1", "kind": "Pod", "name": "a"}}]')$$,
	$$SELECT store.import('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.register_schema('Wheel', 'example.com/v1', '{"type": "object"}')$$]);

-- writing, outside what was granted
SELECT * FROM pg_temp.attempts('{writer}', ARRAY[
	$$SELECT store.create('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.put('{"apiVersion": "v1", "kind": "Secret", "metadata":
		{"name": "a", "namespace": "privileges"}}')$$,
	$$SELECT store.update('{"apiVersion": "v1", "kind": "ConfigMap", "metadata":
		{"name": "a", "namespace": "other"}}')$$,
	$$SELECT store.patch('ConfigMap', 'a', '{}', 'other')$$,
	$$SELECT store.patch('ConfigMap', 'a', '{"apiVersion": "v1", "kind": "ConfigMap", "metadata":
		{"name": "a", "namespace": "other"}}', 'other', type => 'apply', field_manager => 'm')$$,
	$$SELECT store.delete('ConfigMap', 'a')$$,
	$$SELECT store.txn('[]', '[{"delete": {"apiVersion": "v1", "kind": "Secret", "name": "a"}}]')$$,
	$$SELECT store.import('{"apiVersion": "x/v1", "kind": "ConfigMap", "metadata":
		{"name": "a", "namespace": "privileges"}}')$$,
	$$SELECT store.register_schema('Wheel', 'example.com/v1', '{"type": "object"}')$$,
	$$LISTEN store$$]);

-- steering, without being an admin
SELECT * FROM pg_temp.attempts('{nobody, reader, writer}', ARRAY[
	$$SELECT store.compact(1)$$,
	$$SELECT store.leave()$$,
	$$SELECT store.remove_member('x')$$,
	$$SELECT store.promote('x')$$,
	$$SELECT store.transfer_leadership()$$,
	$$SELECT store.stat_reset()$$,
	$$SELECT store.verify()$$]);

-- looking at the cluster, without being in pg_monitor
SELECT DISTINCT answers FROM pg_temp.attempts('{nobody, reader, writer}', (
	SELECT array_agg(format('SELECT count(*) FROM %s', c.oid::regclass) ORDER BY relname)
		|| '{SELECT store.health()}'::text[]
	FROM pg_class c
	WHERE relnamespace = 'store'::regnamespace AND relkind = 'v'
		AND relname NOT LIKE 'raft\_%'));

-- making and mending nodes, and granting, without being a superuser
SELECT * FROM pg_temp.attempts('{nobody, reader, writer, admin}', ARRAY[
	$$SELECT store.join('host=nowhere')$$,
	$$SELECT store.keep_identity()$$,
	$$SELECT store.restore_as_new_cluster()$$,
	$$SELECT store.recover_without_quorum(NULL)$$,
	$$SELECT store.grant_read('regress_store_nobody')$$,
	$$SELECT store.grant_write('regress_store_nobody')$$,
	$$SELECT store.grant_admin('regress_store_nobody')$$,
	$$SELECT store.grant_peer('regress_store_nobody')$$,
	$$SELECT store.revoke_read('regress_store_nobody')$$,
	$$SELECT store.revoke_write('regress_store_nobody')$$]);

-- speaking as a member, without being one
-- (the planner skips a strict function whose argument is a constant null)
SELECT DISTINCT answers FROM pg_temp.attempts('{nobody, reader, writer, admin}', (
	SELECT array_agg(format('SELECT store.%s(%s)', proname, (
			SELECT string_agg(format('(SELECT NULL::%s)', format_type(t, NULL)), ', ' ORDER BY n)
			FROM unnest(proargtypes) WITH ORDINALITY AS arguments(t, n))) ORDER BY proname)
	FROM pg_proc
	WHERE pronamespace = 'store'::regnamespace AND proname LIKE 'raft\_%'));
-- and the tables of the consensus, and of a copy
SELECT DISTINCT answers FROM pg_temp.attempts('{nobody, reader, writer, admin}', (
	SELECT array_agg(format('SELECT count(*) FROM %s', c.oid::regclass))
	FROM pg_class c
	WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
		AND relname LIKE 'raft\_%'));

-- a member's role may do nothing but speak as one
SELECT * FROM pg_temp.attempts('{peer}', ARRAY[
	$$SELECT store.get('ConfigMap', 'a', 'privileges')$$,
	$$SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}')$$,
	$$SELECT store.watch(0)$$,
	$$SELECT count(*) FROM store.resources$$,
	$$SELECT count(*) FROM store.raft_log_0$$,
	$$SELECT store.health()$$,
	$$SELECT store.leave()$$,
	$$SELECT store.join('host=nowhere')$$]);

-- changing the tables directly: not even the superuser
SELECT statement, answers FROM pg_temp.attempts('{nobody, reader, writer, admin, peer}', ARRAY[
	$$INSERT INTO store.resources SELECT * FROM store.resources$$,
	$$UPDATE store.resources SET name = 'b'$$,
	$$DELETE FROM store.resources$$,
	$$TRUNCATE store.resources$$,
	$$INSERT INTO store.events SELECT * FROM store.events$$,
	$$UPDATE store.events SET name = 'b'$$,
	$$DELETE FROM store.events_0$$,
	$$TRUNCATE store.events$$]);
\set VERBOSITY sqlstate
INSERT INTO store.resources SELECT * FROM store.resources LIMIT 1;
UPDATE store.resources SET name = 'b';
DELETE FROM store.resources;
TRUNCATE store.resources;
\set VERBOSITY default

-- a new function that others than admins may call belongs above
SELECT p.oid::regprocedure AS "callable by somebody and not tried"
FROM pg_proc p, unnest('{nobody, reader, writer, peer}'::text[]) AS who
WHERE pronamespace = 'store'::regnamespace
	AND has_function_privilege('regress_store_' || who, p.oid, 'EXECUTE')
	AND proname NOT IN ('barrier', 'create', 'delete', 'diff', 'export', 'get', 'import', 'list',
		'list_page', 'matches', 'patch', 'put', 'register_schema', 'txn', 'update', 'wait_for',
		'watch', 'raft_admit', 'raft_bytes', 'raft_copy', 'raft_digest', 'raft_identity',
		'raft_receive', 'raft_steer')
ORDER BY 1;

DROP OWNED BY regress_store_reader, regress_store_writer, regress_store_admin, regress_store_peer;
DROP ROLE regress_store_nobody, regress_store_reader, regress_store_writer, regress_store_admin,
	regress_store_peer;
