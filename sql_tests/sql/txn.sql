--
-- Transactions: many resources, all or nothing, at one index.
--

CREATE FUNCTION pg_temp.key(name text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'namespace', 'txn',
							  'name', name)
$$;

CREATE FUNCTION pg_temp.thing(name text, data jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'metadata',
							  jsonb_build_object('name', name, 'namespace', 'txn'), 'data', data)
$$;

-- Results, without what differs from run to run.
CREATE FUNCTION pg_temp.plain(results jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT coalesce(jsonb_agg(jsonb_strip_nulls(jsonb_build_object('op', r -> 'op',
		'name', r #> '{object,metadata,name}', 'data', r #> '{object,data}')) ORDER BY n), '[]')
	FROM jsonb_array_elements(results) WITH ORDINALITY AS t(r, n)
$$;

-- The events after an index, from 1.
CREATE FUNCTION pg_temp.events(since bigint,
	OUT index bigint, OUT ordinal int, OUT type text, OUT name text, OUT data jsonb,
	OUT previous jsonb, OUT reason text)
RETURNS SETOF record LANGUAGE sql AS $$
	SELECT dense_rank() OVER (ORDER BY e.resource_version), e.ordinal, e.type, e.name,
		e.object -> 'data', e.previous -> 'data', e.reason
	FROM store.events e
	WHERE e.namespace = 'txn' AND e.resource_version > since
	ORDER BY e.resource_version, e.ordinal
$$;

-- How a transaction is refused.
CREATE FUNCTION pg_temp.refusal(compares jsonb, success jsonb, failure jsonb DEFAULT '[]',
	OUT state text, OUT message text, OUT detail text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM store.txn(compares, success, failure);
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL;
END
$$;

--
-- Operations, in order, at one index
--

SELECT store.barrier() AS before \gset
SELECT succeeded, resource_version, pg_temp.plain(results) AS results
FROM store.txn('[]', jsonb_build_array(
	jsonb_build_object('create', pg_temp.thing('a', '{"n": "1"}')),
	jsonb_build_object('put', pg_temp.thing('b', '{"n": "1"}')),
	jsonb_build_object('put', pg_temp.thing('b', '{"n": "2"}')),
	jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('b'),
		'patch', '{"data": {"m": "1"}}'::jsonb)),
	jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('b'), 'type', 'json',
		'patch', '[{"op": "move", "from": "/data/n", "path": "/data/k"}]'::jsonb)),
	jsonb_build_object('create', pg_temp.thing('c')),
	jsonb_build_object('delete', pg_temp.key('c')),
	jsonb_build_object('delete', pg_temp.key('c')),
	jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('c'),
		'patch', '{"data": null}'::jsonb)),
	jsonb_build_object('delete', pg_temp.key('a')),
	jsonb_build_object('create', pg_temp.thing('a', '{"n": "2"}'))),
	reason => 'controller') \gset txn_
SELECT :'txn_succeeded' AS succeeded, :txn_resource_version > :before AS moved;
SELECT jsonb_array_elements(:'txn_results') AS result;
SELECT * FROM pg_temp.events(:before);
SELECT count(DISTINCT resource_version), min(resource_version) = :txn_resource_version AS same
FROM store.events WHERE namespace = 'txn' AND resource_version > :before;

-- rows and objects agree, and the second "a" is another one
SELECT name, object -> 'data' AS data, resource_version = :txn_resource_version AS version,
	object #>> '{metadata,resourceVersion}' = resource_version::text AS stamped,
	object #>> '{metadata,uid}' = uid::text AS uid, create_revision = resource_version AS created
FROM store.resources WHERE namespace = 'txn' ORDER BY name;
SELECT count(DISTINCT object #>> '{metadata,uid}') FROM store.events
WHERE namespace = 'txn' AND name = 'a' AND resource_version = :txn_resource_version;

--
-- Compares
--

SELECT uid, resource_version FROM store.resources WHERE namespace = 'txn' AND name = 'a' \gset a_
SELECT c.number, t.succeeded, pg_temp.plain(t.results)
FROM (VALUES
	(1, '{"name": "a", "exists": true}'::jsonb),
	(2, '{"name": "a", "exists": false}'),
	(3, '{"name": "z", "exists": true}'),
	(4, '{"name": "z", "exists": false}'),
	(5, jsonb_build_object('name', 'a', 'resourceVersion', :'a_resource_version')),
	(6, '{"name": "a", "resourceVersion": "1"}'),
	(7, '{"name": "z", "resourceVersion": "1"}'),
	(8, '{"name": "z", "resourceVersion": "0"}'),
	(9, jsonb_build_object('name', 'a', 'uid', :'a_uid')),
	(10, '{"name": "a", "uid": "00000000-0000-0000-0000-000000000000"}'),
	(11, '{"name": "z", "uid": "00000000-0000-0000-0000-000000000000"}'),
	(12, jsonb_build_object('name', 'a', 'exists', true, 'uid', :'a_uid',
		'resourceVersion', :'a_resource_version')),
	(13, jsonb_build_object('name', 'a', 'exists', true, 'uid', :'a_uid',
		'resourceVersion', '1'))
) AS c(number, compare),
	LATERAL store.txn(jsonb_build_array(c.compare - 'name'
			|| jsonb_build_object('key', pg_temp.key(c.compare ->> 'name'))),
		jsonb_build_array(jsonb_build_object('delete', pg_temp.key('nobody'))), '[]') AS t
ORDER BY c.number;

-- all must hold; the other branch is taken if one does not
SELECT t.succeeded, pg_temp.plain(t.results)
FROM store.txn(jsonb_build_array(
		jsonb_build_object('key', pg_temp.key('a'), 'exists', true),
		jsonb_build_object('key', pg_temp.key('z'), 'exists', true)),
	jsonb_build_array(jsonb_build_object('put', pg_temp.thing('yes'))),
	jsonb_build_array(jsonb_build_object('put', pg_temp.thing('no')))) AS t;

-- on any keys: of other kinds and groups, in other namespaces, without one
SELECT store.barrier() AS before \gset
SELECT succeeded FROM store.txn(
	'[{"key": {"apiVersion": "v1", "kind": "Node", "name": "txn"}, "exists": false},
	  {"key": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "txn-2", "name": "txn"},
	   "exists": false}]',
	'[{"put": {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "txn"}}},
	  {"create": {"apiVersion": "apps/v1", "kind": "Deployment",
		"metadata": {"name": "txn", "namespace": "txn-2"}}},
	  {"put": {"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": {"name": "txn", "namespace": "txn-2"}}}]');
SELECT type, api_group, kind, namespace, count(*) OVER (PARTITION BY resource_version) AS at_once
FROM store.events WHERE resource_version > :before AND name = 'txn' ORDER BY ordinal;
SELECT jsonb_path_query_array(results, '$[*].op') AS ops FROM store.txn(
	'[{"key": {"apiVersion": "v1", "kind": "Node", "name": "txn"}, "exists": true},
	  {"key": {"apiVersion": "v1", "kind": "Node", "namespace": "txn", "name": "txn"},
	   "exists": false}]',
	'[{"delete": {"apiVersion": "v1", "kind": "Node", "name": "txn"}},
	  {"delete": {"apiVersion": "apps/v1", "kind": "Deployment", "namespace": "txn-2",
		"name": "txn"}},
	  {"delete": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "txn-2", "name": "txn"}}]');

-- a version of any size is only another one
SELECT succeeded FROM store.txn(jsonb_build_array(jsonb_build_object('key', pg_temp.key('a'),
	'resourceVersion', '9223372036854775807')), '[]');

-- an empty branch writes nothing
SELECT store.barrier() AS before \gset
SELECT succeeded, results FROM store.txn('[]', '[]');
SELECT succeeded, results FROM store.txn(
	jsonb_build_array(jsonb_build_object('key', pg_temp.key('z'), 'exists', true)),
	jsonb_build_array(jsonb_build_object('put', pg_temp.thing('never'))));
SELECT count(*) FROM pg_temp.events(:before);

-- compares see what was before, operations what the others did
SELECT succeeded, pg_temp.plain(results) FROM store.txn(
	jsonb_build_array(jsonb_build_object('key', pg_temp.key('new'), 'exists', false)),
	jsonb_build_array(jsonb_build_object('create', pg_temp.thing('new')),
		jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('new'),
			'patch', '{"data": {"x": "y"}}'::jsonb))));

--
-- A write in a transaction always commits
--

SELECT store.barrier() AS before \gset
SELECT op FROM store.put(pg_temp.thing('b', '{"m": "1", "k": "2"}'));
SELECT pg_temp.plain(results) FROM store.txn('[]',
	jsonb_build_array(jsonb_build_object('put', pg_temp.thing('b', '{"m": "1", "k": "2"}'))));
SELECT pg_temp.plain(results) FROM store.txn('[]',
	jsonb_build_array(jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('b'),
		'patch', '{}'::jsonb))));
SELECT type, data = previous AS same FROM pg_temp.events(:before);

--
-- Finalizers hold in a transaction, too
--

SELECT pg_temp.plain(results) FROM store.txn('[]', jsonb_build_array(
	jsonb_build_object('create',
		jsonb_set(pg_temp.thing('held'), '{metadata,finalizers}', '["x/y"]')),
	jsonb_build_object('delete', pg_temp.key('held')),
	jsonb_build_object('delete', pg_temp.key('held')),
	jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('held'),
		'patch', '{"metadata": {"finalizers": null}}'::jsonb)),
	jsonb_build_object('create', pg_temp.thing('held', '{"again": "yes"}'))));

--
-- A refused operation refuses all, with its error and its place
--

SELECT store.barrier() AS before \gset
SELECT r.*
FROM (VALUES
	(1, jsonb_build_array(jsonb_build_object('put', pg_temp.thing('x')),
		jsonb_build_object('create', pg_temp.thing('a')))),
	(2, jsonb_build_array(jsonb_build_object('put', pg_temp.thing('x')),
		jsonb_build_object('create', pg_temp.thing('x')))),
	(3, jsonb_build_array(jsonb_build_object('put', pg_temp.thing('x')),
		jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('b'), 'type', 'json',
			'patch', '[{"op": "test", "path": "/data/m", "value": "no"}]'::jsonb)))),
	(4, jsonb_build_array(jsonb_build_object('delete', pg_temp.key('b')),
		jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('a'),
			'patch', '{"metadata": {"name": "other"}}'::jsonb))))
) AS c(number, success), LATERAL pg_temp.refusal('[]', c.success) AS r ORDER BY c.number;
SELECT r.* FROM pg_temp.refusal(
	jsonb_build_array(jsonb_build_object('key', pg_temp.key('zz'), 'exists', true)), '[]',
	jsonb_build_array(jsonb_build_object('create', pg_temp.thing('a')))) AS r;
SELECT count(*) FROM pg_temp.events(:before);
SELECT name FROM store.resources WHERE namespace = 'txn' ORDER BY name;

--
-- Malformed transactions never reach the log
--

SELECT store.barrier() AS before \gset
SELECT c.number, r.state, r.detail
FROM (VALUES
	(1, '{}', '[]'),
	(2, '[]', '1'),
	(3, '[1]', '[]'),
	(4, '[{}]', '[]'),
	(5, '[{"key": 1, "exists": true}]', '[]'),
	(6, '[{"key": {}, "exists": true}]', '[]'),
	(7, '[{"key": {"apiVersion": "v1", "kind": "Pod"}, "exists": true}]', '[]'),
	(8, '[{"key": {"apiVersion": "v1/2/3", "kind": "Pod", "name": "x"}, "exists": true}]', '[]'),
	(9, '[{"key": {"apiVersion": "v1", "kind": "P_d", "name": "x"}, "exists": true}]', '[]'),
	(10, '[{"key": {"apiVersion": "v1", "kind": "Pod", "name": "x/y"}, "exists": true}]', '[]'),
	(11, '[{"exists": true,
		"key": {"apiVersion": "v1", "kind": "Pod", "namespace": "", "name": "x"}}]', '[]'),
	(12, '[{"exists": true,
		"key": {"apiVersion": "v1", "kind": "Pod", "name": "x", "uid": "y"}}]', '[]'),
	(13, '[{"key": POD}]', '[]'),
	(14, '[{"key": POD, "exists": 1}]', '[]'),
	(15, '[{"key": POD, "exist": true}]', '[]'),
	(16, '[{"key": POD, "resourceVersion": 1}]', '[]'),
	(17, '[{"key": POD, "resourceVersion": "01"}]', '[]'),
	(18, '[{"key": POD, "uid": "x"}]', '[]'),
	(33, '[{"key": POD, "resourceVersion": "9223372036854775808"}]', '[]'),
	(34, '[{"key": POD, "resourceVersion": ""}]', '[]'),
	(19, '[]', '[[]]'),
	(20, '[]', '[{}]'),
	(21, '[]', '[{"update": {}}]'),
	(22, '[]', '[{"put": {}, "delete": {}}]'),
	(23, '[]', '[{"put": 1}]'),
	(24, '[]', '[{"delete": POD}, {"put": {"apiVersion": "v1", "kind": "Pod"}}]'),
	(25, '[]', '[{"delete": {"apiVersion": "v1", "kind": "Pod"}}]'),
	(26, '[]', '[{"patch": {"patch": {}}}]'),
	(27, '[]', '[{"patch": {"key": POD}}]'),
	(28, '[]', '[{"patch": {"key": POD, "patch": []}}]'),
	(29, '[]', '[{"patch": {"key": POD, "type": "json", "patch": {}}}]'),
	(30, '[]', '[{"patch": {"key": POD, "type": "json", "patch": [{"op": "add"}]}}]'),
	(31, '[]', '[{"patch": {"key": POD, "type": "yaml", "patch": {}}}]'),
	(32, '[]', '[{"patch": {"key": POD, "patch": {}, "strength": true}}]')
) AS c(number, compares, success), LATERAL pg_temp.refusal(
	replace(c.compares, 'POD', '{"apiVersion": "v1", "kind": "Pod", "name": "x"}')::jsonb,
	replace(c.success, 'POD', '{"apiVersion": "v1", "kind": "Pod", "name": "x"}')::jsonb) AS r
ORDER BY c.number;
SELECT r.state, r.detail FROM pg_temp.refusal('[]', '[]', '[{"put": 1}]') AS r;
SELECT store.txn(NULL, '[]');
SELECT store.txn('[]', '[]', reason => 'whim');

-- too large: parts, bytes, and what they would make
SELECT r.state, r.message, r.detail FROM pg_temp.refusal('[]', (
	SELECT jsonb_agg(jsonb_build_object('delete', pg_temp.key('x')))
	FROM generate_series(1, 1025))) AS r;
SELECT r.state, r.message, r.detail FROM pg_temp.refusal('[]', (
	SELECT jsonb_agg(jsonb_build_object('put',
		pg_temp.thing('x', jsonb_build_object('v', repeat('x', 1000000)))))
	FROM generate_series(1, 3))) AS r;
SELECT count(*) FROM pg_temp.events(:before);
SELECT op FROM store.put(pg_temp.thing('large', jsonb_build_object('v', repeat('x', 1000000))));
SELECT r.state, r.message, r.detail FROM pg_temp.refusal('[]', (
	SELECT jsonb_agg(jsonb_build_object('patch', jsonb_build_object('key', pg_temp.key('large'),
		'patch', jsonb_build_object('status', i))))
	FROM generate_series(1, 100) i)) AS r;
SELECT object -> 'status' IS NULL AS untouched
FROM store.resources WHERE namespace = 'txn' AND name = 'large';

-- the largest number of operations is fine
SELECT succeeded, jsonb_array_length(results) FROM store.txn('[]', (
	SELECT jsonb_agg(jsonb_build_object('put', pg_temp.thing('many-' || i)))
	FROM generate_series(1, 1024) i));
SELECT count(*), count(DISTINCT resource_version), max(ordinal) FROM store.events
WHERE namespace = 'txn' AND name LIKE 'many-%';
