--
-- Server-side apply, and who owns which fields.
--

CREATE TYPE pg_temp.applied AS (op text, result jsonb, owners text, state text, detail text);
-- Who owns what, one manager a line.
CREATE FUNCTION pg_temp.owners(object jsonb) RETURNS text LANGUAGE sql AS $$
	SELECT string_agg(format('%s %s%s %s', m ->> 'manager', m ->> 'operation',
		coalesce(' ' || (m ->> 'subresource'), ''), m -> 'fieldsV1'), E'\n'
		ORDER BY m ->> 'operation', m ->> 'manager' COLLATE "C", m ->> 'subresource' NULLS FIRST)
	FROM jsonb_array_elements(object #> '{metadata,managedFields}') AS m
$$;
CREATE FUNCTION pg_temp.shown(op text, object jsonb) RETURNS pg_temp.applied LANGUAGE sql AS $$
	SELECT ROW(op, nullif(((object #- '{metadata,managedFields}') - '{apiVersion,kind}'::text[])
		#- '{metadata,name}' #- '{metadata,namespace}' #- '{metadata,uid}'
		#- '{metadata,generation}'
		#- '{metadata,creationTimestamp}' #- '{metadata,resourceVersion}', '{"metadata": {}}'),
		pg_temp.owners(object), NULL::text, NULL::text)::pg_temp.applied
$$;
CREATE FUNCTION pg_temp.body(kind text, name text, parts jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT parts || jsonb_build_object(
		'apiVersion', CASE kind WHEN 'Deployment' THEN 'apps/v1' WHEN 'Widget' THEN 'example.com/v1'
			ELSE 'v1' END,
		'kind', kind, 'metadata', jsonb_build_object('name', name, 'namespace', 'apply')
			|| coalesce(parts -> 'metadata', '{}'))
$$;
CREATE FUNCTION pg_temp.applied(manager text, kind text, name text, parts jsonb,
	force boolean DEFAULT false, subresource text DEFAULT NULL)
RETURNS pg_temp.applied LANGUAGE plpgsql AS $$
DECLARE
	r pg_temp.applied;
	body jsonb := pg_temp.body(kind, name, parts);
BEGIN
	SELECT (pg_temp.shown(p.op, p.object)).* INTO r
	FROM store.patch(kind, name, body, 'apply', body ->> 'apiVersion', 'apply',
		field_manager => manager, force => force, subresource => subresource) p;
	RETURN r;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS r.state = RETURNED_SQLSTATE, r.detail = PG_EXCEPTION_DETAIL;
	r.detail := SQLERRM || ': ' || coalesce(r.detail, '');
	RETURN r;
END
$$;

\set VERBOSITY terse
\pset format unaligned
\pset tuples_only on

-- Creating, changing, giving up
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'life', '{"data": {"x": "1", "y": "1"}}');
-- again: nothing changes, not even the time
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'life', '{"data": {"x": "1", "y": "1"}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'life', '{"data": {"x": "2", "z": "1"}}');
-- one who adds, and one who shares
SELECT * FROM pg_temp.applied('b', 'ConfigMap', 'life', '{"data": {"w": "1", "x": "2"}}');
-- given up, but shared: it stays, and is the other's
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'life', '{"data": {"z": "1"}}');
-- given up by its only owner
SELECT * FROM pg_temp.applied('b', 'ConfigMap', 'life', '{"data": {"w": "1"}}');
-- everything given up: what the other owns stays, and the manager goes
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'life', '{}');
SELECT * FROM pg_temp.applied('b', 'ConfigMap', 'life', '{}');

-- Conflicts: one cause a field, and nothing happens
SELECT * FROM pg_temp.applied('a', 'Deployment', 'web', '{"spec": {"replicas": 1,
	"selector": {"matchLabels": {"app": "web"}}, "template": {"spec": {"containers": [
		{"name": "c", "image": "c:1", "ports": [{"containerPort": 80}], "args": ["x"]}]}}}}');
SELECT * FROM pg_temp.applied('b', 'Deployment', 'web', '{"spec": {"replicas": 2,
	"template": {"spec": {"containers": [{"name": "c", "image": "c:2"}]}}}}');
SELECT pg_temp.owners(store.get('Deployment', 'web', 'apply', 'apps/v1'));
-- the same value is no conflict
SELECT * FROM pg_temp.applied('b', 'Deployment', 'web', '{"spec": {"replicas": 1}}');
-- and now the first one cannot change it, either
SELECT * FROM pg_temp.applied('a', 'Deployment', 'web', '{"spec": {"replicas": 3}}');
-- force takes what is in the way, and nothing else
SELECT * FROM pg_temp.applied('b', 'Deployment', 'web', '{"spec": {"replicas": 2,
	"template": {"spec": {"containers": [{"name": "c", "image": "c:2"}]}}}}', true);
-- an atomic map and an atomic list are taken as a whole
SELECT * FROM pg_temp.applied('b', 'Deployment', 'web', '{"spec": {"replicas": 2,
	"selector": {"matchLabels": {"app": "web", "tier": "x"}},
	"template": {"spec": {"containers": [{"name": "c", "image": "c:2", "args": ["y"]}]}}}}');

-- Lists by key: items come, are shared, and go with who wants them
SELECT * FROM pg_temp.applied('a', 'Pod', 'lists', '{"spec": {"containers": [{"name": "a",
	"env": [{"name": "X", "value": "1"}], "ports": [{"containerPort": 80, "protocol": "UDP"},
	{"containerPort": 80}]}]}}');
SELECT * FROM pg_temp.applied('b', 'Pod', 'lists', '{"spec": {"containers": [{"name": "b"},
	{"name": "a", "env": [{"name": "Y", "value": "1"}]}]}}');
SELECT * FROM pg_temp.applied('b', 'Pod', 'lists', '{"spec": {"containers": [{"name": "c"}]}}');
-- an item of which others own a part stays, with its key
SELECT * FROM pg_temp.applied('b', 'Pod', 'lists', '{"spec": {"containers": [{"name": "a",
	"image": "a:1"}]}}');
SELECT * FROM pg_temp.applied('a', 'Pod', 'lists', '{"spec": {}}');
-- Sets
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sets', '{"metadata": {"finalizers":
	["x.io/a", "x.io/b"]}}');
SELECT * FROM pg_temp.applied('b', 'ConfigMap', 'sets', '{"metadata": {"finalizers":
	["x.io/c", "x.io/b"]}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sets', '{"metadata": {"finalizers":
	["x.io/a"]}}');
SELECT * FROM pg_temp.applied('b', 'ConfigMap', 'sets', '{}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sets', '{}');
-- Empty maps, maps that become empty, nulls, another type
SELECT * FROM pg_temp.applied('a', 'Pod', 'maps', '{"spec": {"volumes": [{"name": "v",
	"emptyDir": {}}], "dnsConfig": {"options": {"a": 1, "b": null}}}}');
SELECT * FROM pg_temp.applied('b', 'Pod', 'maps', '{"spec": {"volumes": [{"name": "v",
	"emptyDir": {"medium": "Memory"}}]}}');
SELECT * FROM pg_temp.applied('b', 'Pod', 'maps', '{"spec": {"dnsConfig": 1}}');
SELECT * FROM pg_temp.applied('b', 'Pod', 'maps', '{"spec": {"dnsConfig": 1}}', true);
SELECT * FROM pg_temp.applied('a', 'Pod', 'maps', '{"spec": {}}');

-- Others who write: put, update, the other patches
SELECT (pg_temp.shown(op, object)).* FROM store.put(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "1", "y": "1"}}'), field_manager => 'p');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'writers', '{"data": {"x": "2"}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'writers', '{"data": {"x": "2"}}', true);
-- who changes a field owns it alone
SELECT (pg_temp.shown(op, object)).* FROM store.patch('ConfigMap', 'writers',
	'{"data": {"x": "3", "n": "1"}}', 'apply', field_manager => 'm');
SELECT (pg_temp.shown(op, object)).* FROM store.patch('ConfigMap', 'writers',
	'[{"op": "remove", "path": "/data/y"}, {"op": "add", "path": "/data/j", "value": "1"}]',
	'apply', type => 'json', field_manager => 'j');
SELECT (pg_temp.shown(op, object)).* FROM store.patch('ConfigMap', 'writers',
	'{"metadata": {"finalizers": ["x.io/a"]}}', 'apply', type => 'strategic',
	field_manager => 's', subresource => 'status');
SELECT (pg_temp.shown(op, object)).* FROM store.update(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "3", "n": "2"}}'), field_manager => 'u');
-- a write that changes nothing gives nobody anything
SELECT (pg_temp.shown(op, object)).* FROM store.update(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "3", "n": "2"}}'), field_manager => 'other');
-- what nobody says he changed is nobody's
SELECT (pg_temp.shown(op, object)).* FROM store.put(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "3", "n": "3"}}'));
-- managedFields that are brought hold, and an empty list forgets them
SELECT (pg_temp.shown(op, object)).* FROM store.put(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "3"}, "metadata": {"managedFields": [{"manager": "z", "operation": "Apply",
	"apiVersion": "v1", "fieldsType": "FieldsV1", "fieldsV1": {"f:data": {"f:x": {}}}}]}}'));
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'writers', '{"data": {"x": "4"}}');
SELECT (pg_temp.shown(op, object)).* FROM store.put(pg_temp.body('ConfigMap', 'writers',
	'{"data": {"x": "3"}, "metadata": {"managedFields": []}}'));
-- Subresources: another owner of the same name
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sub', '{"data": {"x": "1"}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sub', '{"status": {"x": "1"}}', false, 'status');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sub', '{"data": {"x": "2"}}', false, 'status');
-- More who update than are told apart
SELECT count(*) FROM generate_series(1, 14) AS i, LATERAL store.patch('ConfigMap', 'sub',
	jsonb_build_object('data', jsonb_build_object('k' || i, i::text)), 'apply',
	field_manager => 'm' || to_char(i, 'FM00'));
SELECT pg_temp.owners(store.get('ConfigMap', 'sub', 'apply'));
-- their order: who applies first, then by time, then by name
SELECT array_agg(m ORDER BY n) = array_agg(m ORDER BY m ->> 'operation',
	m ->> 'time' COLLATE "C", m ->> 'manager' COLLATE "C", m ->> 'subresource' NULLS FIRST)
FROM jsonb_array_elements(store.get('ConfigMap', 'sub', 'apply') #> '{metadata,managedFields}')
	WITH ORDINALITY AS a(m, n);

-- A kind of which nothing is known: maps are merged, lists are values
SELECT * FROM pg_temp.applied('a', 'Widget', 'w', '{"spec": {"l": [{"name": "a"}],
	"m": {"x": 1}}}');
SELECT * FROM pg_temp.applied('b', 'Widget', 'w', '{"spec": {"l": [{"name": "b"}],
	"m": {"y": 1}}}');
-- and the same with a schema
SELECT op FROM store.register_schema('Widget', 'example.com/v1', '{"properties": {"spec":
	{"properties": {"l": {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]},
	"m": {"x-kubernetes-map-type": "atomic"}}}}}');
SELECT * FROM pg_temp.applied('b', 'Widget', 'w2', '{"spec": {"l": [{"name": "b"}],
	"m": {"y": 1}}}');
SELECT * FROM pg_temp.applied('a', 'Widget', 'w2', '{"spec": {"l": [{"name": "a"}]}}');
SELECT * FROM pg_temp.applied('a', 'Widget', 'w2', '{"spec": {"m": {"x": 1}}}');
-- In a transaction
SELECT r -> 'op', pg_temp.owners(r -> 'object') FROM store.txn('[]', '[
	{"patch": {"key": {"apiVersion": "v1", "kind": "ConfigMap", "name": "t", "namespace": "apply"},
		"type": "apply", "patch": {"apiVersion": "v1", "kind": "ConfigMap",
			"metadata": {"name": "t", "namespace": "apply"}, "data": {"x": "1"}}}},
	{"put": {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "t2",
		"namespace": "apply"}, "data": {"x": "1"}}}]', field_manager => 'txn') t,
	jsonb_array_elements(t.results) AS r;

-- Deleted and applied anew; finalizers hold; a precondition
SELECT op FROM store.delete('ConfigMap', 'sub', 'apply');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'sub', '{"data": {"x": "1"}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'none', '{"metadata": {"resourceVersion": "1"}}');
SELECT state, detail ~ '^precondition failed for ConfigMap apply/sub: Resource version 1 was exp'
FROM pg_temp.applied('a', 'ConfigMap', 'sub', '{"metadata": {"resourceVersion": "1"}}');
-- the time is that of the change, and it stays if nothing changes
SELECT object #> '{metadata,managedFields,0,time}' = object #> '{metadata,creationTimestamp}',
	object #>> '{metadata,managedFields,0,apiVersion}',
	object #>> '{metadata,managedFields,0,fieldsType}'
FROM store.get('ConfigMap', 'sub', 'apply') AS object;

-- What an apply would change, and whose it is, without changing it
CREATE FUNCTION pg_temp.diff(manager text, kind text, name text, parts jsonb)
RETURNS SETOF text LANGUAGE sql AS $$
	SELECT concat_ws(' | ', path, coalesce(stored::text, 'nothing'),
		coalesce(applied::text, 'nothing'), owners)
	FROM store.diff(pg_temp.body(kind, name, parts), manager)
$$;
SELECT pg_temp.diff('b', 'Deployment', 'web', '{"spec": {"replicas": 5,
	"template": {"spec": {"containers": [{"name": "c", "image": "c:2", "args": ["z"]},
	{"name": "d"}]}}}}');
SELECT pg_temp.diff('a', 'Deployment', 'web', '{}');
SELECT pg_temp.diff('b', 'Deployment', 'web', '{"spec": {"replicas": 2,
	"template": {"spec": {"containers": [{"name": "c", "image": "c:2"}]}}}}');
SELECT pg_temp.diff('b', 'ConfigMap', 'absent', '{"data": {"x": "1"}}');
SELECT pg_temp.diff('a', 'Widget', 'w2', '{"spec": {"l": [{"name": "a", "x": 1}]}}');
SELECT pg_temp.owners(store.get('Deployment', 'web', 'apply', 'apps/v1'));
SELECT pg_temp.diff('a', 'Pod', 'lists', '{"spec": {"containers": [{"image": "a"}]}}');
SELECT pg_temp.diff(NULL, 'Pod', 'lists', '{}');

-- Applies that are refused
SELECT * FROM pg_temp.applied(NULL, 'ConfigMap', 'x', '{}');
SELECT * FROM pg_temp.applied('', 'ConfigMap', 'x', '{}');
SELECT * FROM pg_temp.applied(repeat('m', 129), 'ConfigMap', 'x', '{}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'x', '{"metadata": {"name": "y"}}');
SELECT * FROM pg_temp.applied('a', 'ConfigMap', 'x', '{"metadata": {"managedFields": [{}]}}');
SELECT * FROM pg_temp.applied('a', 'Pod', 'x', '{"spec": {"containers": [{"image": "i"}]}}');
SELECT * FROM pg_temp.applied('a', 'Pod', 'x', '{"spec": {"containers": [{"name": "i"},
	{"name": "i"}]}}');
SELECT * FROM pg_temp.applied('a', 'Pod', 'x', '{"metadata": {"finalizers": ["a", "a"]}}');
SELECT r.state, r.message, r.detail FROM (VALUES
	('store.patch(''Pod'', ''x'', ''{}'', force => true)'),
	('store.patch(''Pod'', ''x'', ''{}'', type => ''apply'', field_manager => ''a'')'),
	('store.put(''{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}}'',
		subresource => ''status'')'),
	('store.txn(''[]'', ''[{"patch": {"key": {"apiVersion": "v1", "kind": "Pod", "name": "x"},
		"type": "apply", "patch": {}}}]'')'),
	('store.txn(''[]'', ''[{"patch": {"key": {"apiVersion": "v1", "kind": "Pod", "name": "x"},
		"force": true, "patch": {}}}]'')')
) AS a(call), tests.refusal('SELECT ' || a.call) AS r;
