-- Roles that may do some things, and are refused everything else.

CREATE FUNCTION pg_temp.thing(kind text, namespace text, name text, value text DEFAULT '1')
RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', kind, 'metadata',
		jsonb_strip_nulls(jsonb_build_object('name', name, 'namespace', namespace,
			'labels', jsonb_build_object('team', 'a'))),
		'data', jsonb_build_object('value', value)) $$;
\set VERBOSITY terse
CREATE ROLE regress_store_reader;
CREATE ROLE regress_store_writer;
CREATE ROLE regress_store_admin;
CREATE ROLE regress_store_nobody;
SELECT op FROM store.put(pg_temp.thing('ConfigMap', 'roles', 'mine'));
SELECT op FROM store.put(pg_temp.thing('Secret', 'roles', 'theirs'));
SELECT op FROM store.put(pg_temp.thing('ConfigMap', 'roles-b', 'theirs'));
SELECT op FROM store.put(pg_temp.thing('Node', NULL, 'roles-node'));
SELECT max(resource_version) - 1 AS since FROM store.resources \gset
SELECT min(resource_version) - 1 AS begin FROM store.resources
WHERE namespace IN ('roles', 'roles-b') \gset

-- one who was granted nothing
SET ROLE regress_store_nobody;
SELECT store.get('ConfigMap', 'mine', 'roles');
RESET ROLE;
-- ... but privileges, and no policy
GRANT USAGE ON SCHEMA store TO regress_store_nobody;
GRANT SELECT ON store.resources, store.events TO regress_store_nobody;
GRANT EXECUTE ON ALL FUNCTIONS IN SCHEMA store TO regress_store_nobody;
SET ROLE regress_store_nobody;
SELECT count(*) FROM store.resources;
SELECT count(*) FROM store.events;
SELECT count(*) FROM store.events_0;
SELECT store.get('ConfigMap', 'mine', 'roles');
SELECT store.put(pg_temp.thing('ConfigMap', 'roles', 'new'));
SELECT store.delete('ConfigMap', 'mine', 'roles');
SELECT store.grant_read('regress_store_nobody');
LISTEN store;
RESET ROLE;

-- a reader of one kind in one namespace
SELECT store.grant_read('regress_store_reader', '', 'ConfigMap', 'roles');
SELECT store.grant_read('regress_store_reader', '', 'ConfigMap', 'roles');
SET ROLE regress_store_reader;
SELECT kind, namespace, name FROM store.resources ORDER BY 1, 2, 3;
SELECT DISTINCT kind, namespace, name FROM store.events ORDER BY 1, 2, 3;
SELECT count(*) FROM store.events_0;
SELECT store.get('ConfigMap', 'mine', 'roles') IS NOT NULL AS mine,
	store.get('Secret', 'theirs', 'roles') IS NOT NULL AS theirs,
	store.get('ConfigMap', 'mine', 'roles', resource_version => :since) IS NOT NULL AS mine_then,
	store.get('Secret', 'theirs', 'roles', resource_version => :since) IS NOT NULL AS theirs_then;
SELECT o->'metadata'->>'name' AS name FROM store.list('ConfigMap') AS o;
SELECT o->'metadata'->>'name' AS name FROM store.list('ConfigMap', label_selector => 'team=a') AS o;
SELECT count(*) FROM store.list('Secret');
SELECT jsonb_array_length(store.list_page('ConfigMap')->'items') AS now,
	jsonb_array_length(store.list_page('ConfigMap', resource_version => :since,
		resource_version_match => 'Exact')->'items') AS past,
	jsonb_array_length(store.list_page('Secret')->'items') AS theirs;
SELECT count(*) AS exported FROM store.export();
SELECT type, kind, namespace, name FROM store.watch(0) WHERE type <> 'BOOKMARK';
SELECT type, kind, namespace, name FROM store.watch(:begin) WHERE type <> 'BOOKMARK';
SELECT store.put(pg_temp.thing('ConfigMap', 'roles', 'mine'));
SELECT store.barrier() > 0 AS barrier;
SELECT store.compact(1);
SELECT store.remove_member('x');
SELECT * FROM store.health();
SELECT store.raft_receive('');
SELECT count(*) FROM store.raft_log_0;
LISTEN store;
LISTEN "store/key";
LISTEN "store.ConfigMap";
LISTEN "store.ConfigMap.roles";
LISTEN unrelated;
UNLISTEN *;
RESET ROLE;
-- who changes roles in a session gets each role's rows
SET ROLE regress_store_nobody;
SELECT store.get('ConfigMap', 'mine', 'roles') IS NOT NULL AS mine;
RESET ROLE;
SELECT store.get('ConfigMap', 'mine', 'roles') IS NOT NULL AS mine;

-- a policy on labels hides for reading
CREATE POLICY not_team_a ON store.resources AS RESTRICTIVE FOR SELECT TO regress_store_reader
	USING (labels->>'team' IS DISTINCT FROM 'a');
SET ROLE regress_store_reader;
SELECT store.get('ConfigMap', 'mine', 'roles') IS NOT NULL AS mine;
RESET ROLE;
DROP POLICY not_team_a ON store.resources;

-- a writer of one kind in one namespace, and of what has none
SELECT store.grant_write('regress_store_writer', '', 'ConfigMap', 'roles');
SELECT store.grant_write('regress_store_writer', '', 'Node', '');
SET ROLE regress_store_writer;
SELECT op, object IS NOT NULL AS answered FROM store.put(pg_temp.thing('ConfigMap', 'roles', 'w'));
SELECT op FROM store.create(pg_temp.thing('ConfigMap', 'roles', 'w2'));
SELECT op FROM store.update(pg_temp.thing('ConfigMap', 'roles', 'w2', '2'));
SELECT op FROM store.patch('ConfigMap', 'w2', '{"data": {"value": "3"}}', 'roles');
SELECT op FROM store.import(pg_temp.thing('ConfigMap', 'roles', 'w3'));
SELECT op FROM store.delete('ConfigMap', 'w2', 'roles');
SELECT op FROM store.delete('Node', 'roles-node');
SELECT succeeded FROM store.txn('[{"key": {"apiVersion": "v1", "kind": "ConfigMap",
	"namespace": "roles", "name": "w"}, "exists": true}]',
	'[{"delete": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "roles", "name": "w3"}}]');
SELECT store.put(pg_temp.thing('Secret', 'roles', 'theirs'));
SELECT store.put(pg_temp.thing('ConfigMap', 'roles-b', 'theirs'));
SELECT store.put(pg_temp.thing('Node', 'roles', 'no'));
SELECT store.create(pg_temp.thing('ConfigMap', 'roles-b', 'new'));
SELECT store.update(pg_temp.thing('ConfigMap', 'roles-b', 'theirs'));
SELECT store.patch('ConfigMap', 'theirs', '{}', 'roles-b');
SELECT store.delete('ConfigMap', 'theirs', 'roles-b');
SELECT store.delete('ConfigMap', 'mine', 'roles', api_version => 'other/v1');
SELECT store.import(pg_temp.thing('ConfigMap', 'roles-b', 'theirs'));
-- nothing of a transaction happens, and none tells whether something exists
SELECT store.txn('[]', '[{"delete": {"apiVersion": "v1", "kind": "ConfigMap",
	"namespace": "roles", "name": "w"}}, {"delete": {"apiVersion": "v1", "kind": "ConfigMap",
	"namespace": "roles-b", "name": "theirs"}}]');
SELECT store.txn('[{"key": {"apiVersion": "v1", "kind": "Secret",
	"namespace": "roles", "name": "theirs"}, "exists": true}]', '[]');
SELECT store.txn('[]', '[]', '[{"put": {"apiVersion": "v1", "kind": "Secret",
	"metadata": {"namespace": "roles", "name": "theirs"}}}]');
SELECT name FROM store.resources WHERE kind = 'ConfigMap' ORDER BY 1;
SELECT store.compact(1);
INSERT INTO store.resources SELECT * FROM store.resources;
DELETE FROM store.events;
RESET ROLE;
SELECT name FROM store.resources WHERE namespace = 'roles-b';

-- who may write and not read is not shown what he wrote over
CREATE POLICY blind ON store.resources FOR UPDATE TO regress_store_nobody USING (kind = 'Secret');
SET ROLE regress_store_nobody;
SELECT op, object FROM store.patch('Secret', 'theirs', '{}', 'roles');
SELECT store.put(pg_temp.thing('Secret', 'roles', 'theirs'));
SELECT store.txn('[]', '[{"patch": {"key": {"apiVersion": "v1", "kind": "Secret",
	"namespace": "roles", "name": "theirs"}, "patch": {}}}]');
RESET ROLE;
-- a policy that the key does not decide permits no write, and forbids it if restrictive
ALTER POLICY blind ON store.resources USING (kind = 'Secret' AND labels->>'team' = 'a');
SET ROLE regress_store_nobody;
SELECT store.patch('Secret', 'theirs', '{}', 'roles');
RESET ROLE;
ALTER POLICY blind ON store.resources USING (kind IN (SELECT 'Secret'));
SET ROLE regress_store_nobody;
SELECT store.patch('Secret', 'theirs', '{}', 'roles');
RESET ROLE;
ALTER POLICY blind ON store.resources USING (object IS NULL);
SET ROLE regress_store_nobody;
SELECT store.patch('Secret', 'theirs', '{}', 'roles');
RESET ROLE;
DROP POLICY blind ON store.resources;
CREATE POLICY quiet ON store.resources AS RESTRICTIVE FOR UPDATE TO regress_store_writer
	USING (labels IS NULL);
SET ROLE regress_store_writer;
SELECT store.patch('ConfigMap', 'w', '{}', 'roles');
SELECT op FROM store.delete('ConfigMap', 'w', 'roles');
RESET ROLE;
DROP POLICY quiet ON store.resources;

-- what is taken back is gone at once
SELECT store.revoke_write('regress_store_writer', '', 'ConfigMap', 'roles');
SELECT store.revoke_write('regress_store_writer', '', 'ConfigMap', 'roles');
SET ROLE regress_store_writer;
SELECT store.put(pg_temp.thing('ConfigMap', 'roles', 'w'));
SELECT count(*) FROM store.resources;
RESET ROLE;
SELECT store.revoke_read('regress_store_reader', '', 'ConfigMap', 'roles');
SET ROLE regress_store_reader;
SELECT count(*) FROM store.resources;
RESET ROLE;

-- one who reads everything may listen to everything
SELECT store.grant_read('regress_store_reader');
SET ROLE regress_store_reader;
LISTEN store;
UNLISTEN *;
SELECT count(*) > 0 AS all FROM store.list('Secret', 'roles');
RESET ROLE;
-- one who reads a kind of any group may listen to that
CREATE POLICY kind ON store.events FOR SELECT TO regress_store_nobody USING (kind = 'Secret');
SET ROLE regress_store_nobody;
LISTEN "store.Secret/key";
LISTEN "store.Secret.roles";
LISTEN "store.ConfigMap";
UNLISTEN *;
RESET ROLE;
DROP POLICY kind ON store.events;

-- an admin steers, and does not mend or speak for members
SELECT store.grant_admin('regress_store_admin');
SET ROLE regress_store_admin;
SELECT op FROM store.put(pg_temp.thing('Secret', 'roles', 'theirs', '2'));
SELECT store.compact(1) >= 0 AS compacted;
SELECT store.stat_reset();
SELECT status FROM store.health();
SELECT store.join('host=nowhere');
SELECT store.keep_identity();
SELECT store.restore_as_new_cluster();
SELECT store.recover_without_quorum(NULL);
SELECT store.raft_receive('');
SELECT store.grant_read('regress_store_nobody');
RESET ROLE;

-- whoever may do all is asked again once that has changed
ALTER ROLE regress_store_nobody BYPASSRLS;
SET ROLE regress_store_nobody;
SELECT op FROM store.put(pg_temp.thing('Secret', 'roles', 'theirs', '3'));
RESET ROLE;
ALTER ROLE regress_store_nobody NOBYPASSRLS;
SET ROLE regress_store_nobody;
SELECT op FROM store.put(pg_temp.thing('Secret', 'roles', 'theirs', '4'));
RESET ROLE;

SELECT store.grant_write('regress_store_writer', kind => 'configmaps');
SELECT store.grant_write(NULL);
-- a role with policies cannot be dropped by mistake
DROP ROLE regress_store_admin;
DROP OWNED BY regress_store_reader, regress_store_writer, regress_store_admin, regress_store_nobody;
DROP ROLE regress_store_reader, regress_store_writer, regress_store_admin, regress_store_nobody;
SELECT count(*) AS policies FROM pg_policies WHERE schemaname = 'store';
SELECT op FROM store.delete('ConfigMap', 'mine', 'roles');
SELECT op FROM store.delete('Secret', 'theirs', 'roles');
SELECT op FROM store.delete('ConfigMap', 'theirs', 'roles-b');
