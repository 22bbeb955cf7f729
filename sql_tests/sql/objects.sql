--
-- What an object means: the rules of the state machine.
--
-- Everything happens in the namespace "objects" and in cluster-scoped kinds of
-- our own.  Uids, times and resource versions differ from run to run, so they
-- are compared, not shown.
--

-- An object without what differs from run to run; a time of deletion is shown
-- as true.
CREATE FUNCTION pg_temp.plain(object jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_set(object #- '{metadata,uid}' #- '{metadata,resourceVersion}'
					 #- '{metadata,creationTimestamp}',
					 '{metadata,deletionTimestamp}', 'true', false)
$$;

-- A ConfigMap in the namespace "objects".
CREATE FUNCTION pg_temp.thing(name text, more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'metadata',
							  jsonb_build_object('name', name, 'namespace', 'objects')) || more
$$;

-- An object with something set in its metadata.
CREATE FUNCTION pg_temp.meta(object jsonb, field text, value text) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_set(object, ARRAY['metadata', field], value::jsonb)
$$;

-- How store.put() refuses an object.
CREATE FUNCTION pg_temp.refusal(object jsonb, OUT state text, OUT message text, OUT detail text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM store.put(object);
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL;
END
$$;

--
-- Stamps
--

SELECT op, pg_temp.plain(object) FROM store.create(pg_temp.thing('stamps', '{"spec": {"a": 1}}'));

-- they agree with the row, and are what they should be
SELECT object #>> '{metadata,resourceVersion}' = resource_version::text AS resource_version,
	object #>> '{metadata,uid}' = uid::text AS uid,
	(object #>> '{metadata,generation}')::bigint = generation AS generation,
	create_revision = resource_version AS create_revision,
	uid::text ~ '^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$'
		AS version_8,
	object #>> '{metadata,creationTimestamp}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' AS rfc_3339,
	(object #>> '{metadata,creationTimestamp}')::timestamptz
		BETWEEN now() - interval '10 min' AND now() + interval '10 min' AS recent
FROM store.resources WHERE namespace = 'objects' AND name = 'stamps';

SELECT uid, create_revision, object #>> '{metadata,creationTimestamp}' AS created
FROM store.resources WHERE namespace = 'objects' AND name = 'stamps' \gset first_

-- the version is the index in the log, the times are the command's, whatever the TimeZone
CREATE FUNCTION pg_temp.rfc_3339(at timestamptz) RETURNS text LANGUAGE sql AS $$
	SELECT to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')
$$;
SET TimeZone = 'Asia/Kathmandu';
SELECT resource_version AS version FROM store.create(
	pg_temp.meta(pg_temp.thing('times'), 'finalizers', '["a"]')) \gset times_
SELECT last_index = :times_version AS index_of_log FROM store.status;
SELECT op FROM store.delete('ConfigMap', 'times', namespace => 'objects');
SELECT type, object #>> '{metadata,creationTimestamp}' = pg_temp.rfc_3339(
		(SELECT at FROM store.events WHERE resource_version = :times_version)) AS created,
	object #>> '{metadata,deletionTimestamp}' = pg_temp.rfc_3339(at) AS deleted
FROM store.events WHERE namespace = 'objects' AND name = 'times' ORDER BY resource_version;
RESET TimeZone;
SELECT op FROM store.put(pg_temp.thing('times'));

-- the caller has no say in them
SELECT op, pg_temp.plain(object),
	object #>> '{metadata,uid}' = :'first_uid' AS uid,
	object #>> '{metadata,creationTimestamp}' = :'first_created' AS created,
	object #>> '{metadata,resourceVersion}' = resource_version::text AS version
FROM store.put(pg_temp.thing('stamps', '{"spec": {"a": 2}}') ||
	'{"metadata": {"name": "stamps", "namespace": "objects", "uid": "mine", "generation": 77,
	  "creationTimestamp": "1999-12-31T23:59:59Z", "deletionTimestamp": "1999-12-31T23:59:59Z",
	  "resourceVersion": "1"}}');
SELECT op, pg_temp.plain(object),
	object #>> '{metadata,uid}' = :'first_uid' AS uid,
	object #>> '{metadata,creationTimestamp}' = :'first_created' AS created
FROM store.patch('ConfigMap', 'stamps', '{"metadata": {"uid": null, "generation": null,
	"creationTimestamp": null, "labels": {"a": "b"}}}', namespace => 'objects');
SELECT op, pg_temp.plain(object), object #>> '{metadata,uid}' = 'mine' AS uid
FROM store.create(pg_temp.thing('stamps-2') ||
	'{"metadata": {"name": "stamps-2", "namespace": "objects", "uid": "mine", "generation": 77,
	  "deletionTimestamp": "1999-12-31T23:59:59Z"}}');
SELECT create_revision = :first_create_revision AS kept, resource_version > create_revision AS moved
FROM store.resources WHERE namespace = 'objects' AND name = 'stamps';

-- the generation counts changes of spec, and of nothing else
SELECT op, object #> '{metadata,generation}' AS generation
FROM store.put(pg_temp.thing('stamps', '{"spec": {"a": 2}, "status": {"ready": true}}'));
SELECT op, object #> '{metadata,generation}' AS generation
FROM store.put(pg_temp.thing('stamps', '{"spec": {"a": 3}, "status": {"ready": true}}'));
SELECT op, object #> '{metadata,generation}' AS generation
FROM store.put(pg_temp.thing('stamps', '{"status": {"ready": true}}'));
SELECT op, object #> '{metadata,generation}' AS generation
FROM store.put(pg_temp.thing('stamps', '{"status": {"ready": true}, "spec": null}'));

-- a re-created object is another one
SELECT op FROM store.delete('ConfigMap', 'stamps', namespace => 'objects');
SELECT op, object #> '{metadata,generation}' AS generation,
	object #>> '{metadata,uid}' <> :'first_uid' AS new_uid
FROM store.create(pg_temp.thing('stamps'));

--
-- Names
--

SELECT r.*
FROM (VALUES
	(1, '[]'::jsonb),
	(2, '"Pod"'),
	(3, '{"kind": "Pod", "metadata": {"name": "x"}}'),
	(4, '{"apiVersion": 1, "kind": "Pod", "metadata": {"name": "x"}}'),
	(5, '{"apiVersion": "", "kind": "Pod", "metadata": {"name": "x"}}'),
	(6, '{"apiVersion": "V1", "kind": "Pod", "metadata": {"name": "x"}}'),
	(7, '{"apiVersion": "/v1", "kind": "Pod", "metadata": {"name": "x"}}'),
	(8, '{"apiVersion": "apps/", "kind": "Pod", "metadata": {"name": "x"}}'),
	(9, '{"apiVersion": "a/b/v1", "kind": "Pod", "metadata": {"name": "x"}}'),
	(10, '{"apiVersion": "a..b/v1", "kind": "Pod", "metadata": {"name": "x"}}'),
	(11, '{"apiVersion": "v1", "metadata": {"name": "x"}}'),
	(12, '{"apiVersion": "v1", "kind": "", "metadata": {"name": "x"}}'),
	(13, '{"apiVersion": "v1", "kind": "P_d", "metadata": {"name": "x"}}'),
	(14, '{"apiVersion": "v1", "kind": "3Pod", "metadata": {"name": "x"}}'),
	(15, '{"apiVersion": "v1", "kind": "Pod"}'),
	(16, '{"apiVersion": "v1", "kind": "Pod", "metadata": "x"}'),
	(17, '{"apiVersion": "v1", "kind": "Pod", "metadata": {}}'),
	(18, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": null}}'),
	(19, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 7}}'),
	(20, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ""}}'),
	(21, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "."}}'),
	(22, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ".."}}'),
	(23, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a/b"}}'),
	(24, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a%b"}}'),
	(25, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": ""}}'),
	(26, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": ".."}}'),
	(27, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "namespace": []}}'),
	(28, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": "a=b"}}'),
	(29, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "labels": {"a": 1}}}'),
	(30, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "annotations": []}}'),
	(31, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "finalizers": "f"}}'),
	(32, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "finalizers": [1]}}'),
	(33, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "uid": 1}}'),
	(34, '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x", "resourceVersion": 1}}')
	) AS v(n, object), pg_temp.refusal(v.object) AS r
ORDER BY n;

-- lengths, depth, numbers
CREATE FUNCTION pg_temp.nested(depth int) RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT ('{"spec": ' || repeat('[', depth - 1) || repeat(']', depth - 1) || '}')::jsonb
$$;
SELECT r.* FROM pg_temp.refusal(pg_temp.thing(repeat('x', 254))) AS r;
SELECT r.*
FROM pg_temp.refusal(pg_temp.thing('x') || jsonb_build_object('kind', repeat('K', 64))) AS r;
SELECT r.state, left(r.detail, 20) AS detail, r.detail ~ 'nested deeper than 128 levels' AS deep
FROM pg_temp.refusal(pg_temp.thing('x') || pg_temp.nested(129)) AS r;
SELECT r.*
FROM pg_temp.refusal(pg_temp.thing('x', '{"spec": {"list": [{"odd key": 1e400}]}}')) AS r;

-- at the limits
SELECT r.state FROM pg_temp.refusal(pg_temp.thing(repeat('x', 253))) AS r;
SELECT r.state
FROM pg_temp.refusal(pg_temp.thing('x') || jsonb_build_object('kind', repeat('K', 63))) AS r;
SELECT r.state FROM pg_temp.refusal(pg_temp.thing('deep') || pg_temp.nested(128)) AS r;
SELECT r.state
FROM pg_temp.refusal(pg_temp.thing('range', '{"spec": [1.7e308, -1.7e308, 1e-400]}')) AS r;

-- path segments are all that a name has to be
SELECT op, object #>> '{metadata,name}' AS name FROM store.put(pg_temp.thing('...'));
SELECT op, object #>> '{metadata,name}' = 'Grüße, Welt: 1' AS kept
FROM store.put(pg_temp.thing('Grüße, Welt: 1'));

-- null stands for a field that is absent
SELECT op, object #> '{metadata,name}' AS name
FROM store.put('{"apiVersion": "test.example.com/v1", "kind": "Nothing", "metadata": {"name": "x",
	"namespace": null, "labels": null, "annotations": null, "finalizers": null,
	"resourceVersion": null, "uid": null, "creationTimestamp": null}}');
SELECT api_group, version, kind, namespace, name FROM store.resources WHERE kind = 'Nothing';

-- one name in two namespaces, without one, in two groups: all different
SELECT op FROM store.create('{"apiVersion": "v1", "kind": "Scope",
	"metadata": {"name": "x", "namespace": "objects"}}');
SELECT op FROM store.create('{"apiVersion": "v1", "kind": "Scope",
	"metadata": {"name": "x", "namespace": "objects-2"}}');
SELECT op FROM store.create('{"apiVersion": "v1", "kind": "Scope", "metadata": {"name": "x"}}');
SELECT op
FROM store.create('{"apiVersion": "apps/v1", "kind": "Scope", "metadata": {"name": "x"}}');
SELECT op
FROM store.create('{"apiVersion": "apps/v1", "kind": "scope", "metadata": {"name": "x"}}');
SELECT api_group, version, kind, namespace, name
FROM store.resources WHERE lower(kind) = 'scope'
ORDER BY api_group, version, kind, namespace, name;

-- arguments obey the same rules
SELECT * FROM store.delete('ConfigMap', 'a/b', namespace => 'objects');
SELECT * FROM store.delete('ConfigMap', 'x', namespace => '');
SELECT * FROM store.delete('Config Map', 'x');
SELECT * FROM store.patch('ConfigMap', 'x', '{}', api_version => 'apps/');

--
-- Existence
--

SELECT op FROM store.create(pg_temp.thing('exists'));
SELECT op FROM store.create(pg_temp.thing('exists'));
\echo :SQLSTATE
SELECT op FROM store.update(pg_temp.thing('missing'));
\echo :SQLSTATE
SELECT op, object IS NULL AS nothing
FROM store.patch('ConfigMap', 'missing', '{"spec": 1}', namespace => 'objects');
SELECT op, object IS NULL AS nothing
FROM store.delete('ConfigMap', 'missing', namespace => 'objects');
SELECT count(*) FROM store.resources WHERE namespace = 'objects' AND name = 'missing';
SELECT count(*) FROM store.events WHERE namespace = 'objects' AND name = 'missing';

--
-- Preconditions
--

SELECT resource_version AS version, object #>> '{metadata,uid}' AS uid
FROM store.put(pg_temp.thing('precondition', '{"spec": 1}')) \gset old_
SELECT resource_version AS version, object #>> '{metadata,uid}' AS uid,
	:'old_uid' = object #>> '{metadata,uid}' AS same
FROM store.put(pg_temp.thing('precondition', '{"spec": 2}'), expected => :old_version) \gset new_
\echo :new_same

-- the details have versions in them, so just the state and the message
\set VERBOSITY terse
SELECT op FROM store.put(pg_temp.thing('precondition', '{"spec": 3}'), expected => :old_version);
\echo :SQLSTATE
SELECT op FROM store.put(pg_temp.thing('missing', '{"spec": 3}'), expected => :old_version);
\echo :SQLSTATE
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('precondition', '{"spec": 3}'),
				 'resourceVersion', format('"%s"', :old_version)));
\echo :SQLSTATE
SELECT op
FROM store.patch('ConfigMap', 'precondition', '{"spec": 3}',
	namespace => 'objects', expected => :old_version);
\echo :SQLSTATE
SELECT op
FROM store.delete('ConfigMap', 'precondition', namespace => 'objects', expected => :old_version);
\echo :SQLSTATE
SELECT op
FROM store.delete('ConfigMap', 'precondition',
	namespace => 'objects', uid => '00000000-0000-8000-8000-000000000000');
\echo :SQLSTATE
-- judged before anything else: the object would be unchanged, the patch is bad
SELECT op FROM store.put(pg_temp.thing('precondition', '{"spec": 2}'), expected => :old_version);
\echo :SQLSTATE
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('precondition', '{"spec": 2}'),
				 'resourceVersion', format('"%s"', :old_version)));
\echo :SQLSTATE
SELECT op
FROM store.patch('ConfigMap', 'precondition', '{"kind": null}',
	namespace => 'objects', expected => :old_version);
\echo :SQLSTATE
\set VERBOSITY default

-- what the message says, once
DO $$
DECLARE
	detail text;
	hint text;
BEGIN
	PERFORM store.put(pg_temp.thing('missing'), expected => 42);
EXCEPTION WHEN serialization_failure THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RAISE NOTICE '% / % / %', SQLERRM, detail, hint;
END
$$;

-- and now with what is true
SELECT object -> 'spec' AS spec
FROM store.resources WHERE namespace = 'objects' AND name = 'precondition';
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('precondition', '{"spec": 3}'),
				 'resourceVersion', format('"%s"', :new_version)));
SELECT resource_version AS version
FROM store.resources WHERE namespace = 'objects' AND name = 'precondition' \gset new_
SELECT op, resource_version AS version
FROM store.patch('ConfigMap', 'precondition', '{"spec": 4}',
	namespace => 'objects', expected => :new_version) \gset new_
\echo :new_op
SELECT op
FROM store.delete('ConfigMap', 'precondition',
	namespace => 'objects', expected => :new_version, uid => :'new_uid');

-- an empty resourceVersion is none; anything but digits is refused
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('exists', '{"spec": 1}'), 'resourceVersion', '""'));
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('exists', '{"spec": 2}'), 'resourceVersion', '"1x"'));
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('exists', '{"spec": 2}'), 'resourceVersion', '"-1"'));
SELECT op FROM store.update(
	pg_temp.meta(pg_temp.thing('exists', '{"spec": 2}'),
				 'resourceVersion', '"9223372036854775808"'));

--
-- A revision means a change
--

SELECT resource_version AS version
FROM store.put(pg_temp.thing('change',
	'{"spec": {"a": [1, 2.50, "x"], "b": {"c": null}}, "status": {}}')) \gset first_
SELECT op, resource_version = :first_version AS same
FROM store.put(pg_temp.thing('change',
	'{"spec": {"a": [1, 2.50, "x"], "b": {"c": null}}, "status": {}}'));
-- numbers are equal by value, whatever their scale
SELECT op, resource_version = :first_version AS same, object #> '{spec,a}' AS stored
FROM store.put(pg_temp.thing('change',
	'{"spec": {"a": [1.0, 2.5, "x"], "b": {"c": null}}, "status": {}}'));
SELECT op, resource_version = :first_version AS same FROM store.update(
	(SELECT object FROM store.resources WHERE namespace = 'objects' AND name = 'change'));
SELECT op, resource_version = :first_version AS same
FROM store.patch('ConfigMap', 'change', '{}', namespace => 'objects');
SELECT op, resource_version = :first_version AS same
FROM store.patch('ConfigMap', 'change', '{"spec": {"z": null}, "status": {}}',
	namespace => 'objects');
SELECT op, resource_version = :first_version AS same
FROM store.patch('ConfigMap', 'change',
	'{"metadata": {"resourceVersion": "1", "generation": 9, "uid": "x"}}', namespace => 'objects');
SELECT count(*) FROM store.events WHERE namespace = 'objects' AND name = 'change';
-- the order of an array matters, null is not absent, a string is not a number
SELECT op
FROM store.put(pg_temp.thing('change',
	'{"spec": {"a": [2.50, 1, "x"], "b": {"c": null}}, "status": {}}'));
SELECT op
FROM store.put(pg_temp.thing('change', '{"spec": {"a": [2.50, 1, "x"], "b": {}}, "status": {}}'));
SELECT op
FROM store.put(pg_temp.thing('change', '{"spec": {"a": ["2.50", 1, "x"], "b": {}}, "status": {}}'));
SELECT op FROM store.put(pg_temp.thing('change', '{"spec": {"a": ["2.50", 1, "x"], "b": {}}}'));
SELECT count(*) FROM store.events WHERE namespace = 'objects' AND name = 'change';

-- what changes nothing takes an index in the log and leaves nothing else behind
CREATE FUNCTION pg_temp.traces(statement text, OUT answer text, OUT entries bigint,
	OUT events bigint, OUT changed bigint)
LANGUAGE plpgsql AS $$
DECLARE
	before bigint := last_index FROM store.status;
BEGIN
	CREATE TEMPORARY TABLE then_resources AS TABLE store.resources;
	BEGIN
		EXECUTE statement INTO answer;
	EXCEPTION WHEN OTHERS THEN
		answer := SQLSTATE;
	END;
	SELECT last_index - before INTO entries FROM store.status;
	SELECT count(*) INTO events FROM store.events WHERE resource_version > before;
	SELECT count(*) INTO changed FROM (TABLE store.resources EXCEPT TABLE then_resources) AS c;
	DROP TABLE then_resources;
END
$$;
SELECT op FROM store.create(pg_temp.meta(pg_temp.thing('trace'), 'finalizers', '["a"]'));
SELECT n, t.* FROM (VALUES
	(1, $$SELECT op FROM store.put(pg_temp.meta(pg_temp.thing('trace'), 'finalizers', '["a"]'))$$),
	(2, $$SELECT op FROM store.update(store.get('ConfigMap', 'trace', 'objects'))$$),
	(3, $$SELECT op FROM store.patch('ConfigMap', 'trace', '{"spec": null}', 'objects')$$),
	(4, $$SELECT op FROM store.patch('ConfigMap', 'trace', '[]', 'objects', type => 'json')$$),
	(5, $$SELECT op FROM store.patch('ConfigMap', 'missing', '{"spec": 1}', 'objects')$$),
	(6, $$SELECT op FROM store.delete('ConfigMap', 'missing', 'objects')$$),
	(7, $$SELECT op FROM store.create(pg_temp.thing('trace'))$$),
	(8, $$SELECT op FROM store.update(pg_temp.thing('missing'))$$),
	(9, $$SELECT op FROM store.put(pg_temp.thing('trace', '{"spec": 1}'), expected => 1)$$),
	(10, $$SELECT op FROM store.patch('ConfigMap', 'trace', '{"kind": "Secret"}', 'objects')$$),
	(11, $$SELECT op FROM store.delete('ConfigMap', 'trace', 'objects', expected => 1)$$),
	(12, $$SELECT succeeded FROM store.txn('[]', '[]')$$),
	-- and one that does, for comparison
	(13, $$SELECT op FROM store.delete('ConfigMap', 'trace', 'objects')$$),
	(14, $$SELECT op FROM store.delete('ConfigMap', 'trace', 'objects')$$)
	) AS v (n, statement), pg_temp.traces(statement) AS t ORDER BY n;
SELECT op FROM store.put(pg_temp.thing('trace'));

--
-- Merge patches: the examples of RFC 7396, appendix A, as patches of spec
--

CREATE FUNCTION pg_temp.merge(target jsonb, patch jsonb) RETURNS jsonb
LANGUAGE plpgsql AS $$
DECLARE
	result jsonb;
BEGIN
	PERFORM store.put(pg_temp.thing('merge', jsonb_build_object('spec', target)));
	SELECT object -> 'spec' INTO result
	FROM store.patch('ConfigMap', 'merge', jsonb_build_object('spec', patch),
	namespace => 'objects');
	RETURN result;
END
$$;

SELECT target, patch, pg_temp.merge(target, patch) AS result,
	pg_temp.merge(target, patch) = expected AS as_in_rfc
FROM (VALUES
	(1, '{"a": "b"}'::jsonb, '{"a": "c"}'::jsonb, '{"a": "c"}'::jsonb),
	(2, '{"a": "b"}', '{"b": "c"}', '{"a": "b", "b": "c"}'),
	(3, '{"a": "b"}', '{"a": null}', '{}'),
	(4, '{"a": "b", "b": "c"}', '{"a": null}', '{"b": "c"}'),
	(5, '{"a": ["b"]}', '{"a": "c"}', '{"a": "c"}'),
	(6, '{"a": "c"}', '{"a": ["b"]}', '{"a": ["b"]}'),
	(7, '{"a": {"b": "c"}}', '{"a": {"b": "d", "c": null}}', '{"a": {"b": "d"}}'),
	(8, '{"a": [{"b": "c"}]}', '{"a": [1]}', '{"a": [1]}'),
	(9, '["a", "b"]', '["c", "d"]', '["c", "d"]'),
	(10, '{"a": "b"}', '["c"]', '["c"]'),
	(11, '{"a": "foo"}', '"bar"', '"bar"'),
	(12, '{"e": null}', '{"a": 1}', '{"e": null, "a": 1}'),
	(13, '[1, 2]', '{"a": "b", "c": null}', '{"a": "b"}'),
	(14, '{}', '{"a": {"bb": {"ccc": null}}}', '{"a": {"bb": {}}}')
	) AS v(n, target, patch, expected)
ORDER BY n;
-- null in place of an object removes it: here, spec
SELECT pg_temp.merge('{"a": "foo"}', 'null') IS NULL AS removed;
-- many fields, so that offsets inside the jsonb have to be right
SELECT pg_temp.merge(jsonb_object_agg('k' || i, i),
					 jsonb_object_agg('k' || i + 50, CASE WHEN i % 2 = 0 THEN i END)) =
	(SELECT jsonb_object_agg('k' || i, CASE WHEN i < 51 THEN i ELSE i - 50 END)
	 FROM generate_series(1, 150) AS i WHERE i < 51 OR i % 2 = 0) AS merged
FROM generate_series(1, 100) AS i;

-- a merge patch is an object, and keeps the identity of what it patches
SELECT op FROM store.patch('ConfigMap', 'merge', '[]', namespace => 'objects');
SELECT op FROM store.patch('ConfigMap', 'merge', '{"spec": {"a": 1e400}}', namespace => 'objects');
SELECT op FROM store.patch('ConfigMap', 'merge', '{"apiVersion": "v2"}', namespace => 'objects');
SELECT op FROM store.patch('ConfigMap', 'merge', '{"kind": "Secret"}', namespace => 'objects');
SELECT op
FROM store.patch('ConfigMap', 'merge', '{"metadata": {"name": "other"}}', namespace => 'objects');
SELECT op
FROM store.patch('ConfigMap', 'merge', '{"metadata": {"namespace": null}}', namespace => 'objects');
SELECT op FROM store.patch('ConfigMap', 'merge', '{"metadata": null}', namespace => 'objects');
SELECT op
FROM store.patch('ConfigMap', 'merge', '{"metadata": {"labels": ["a"]}}', namespace => 'objects');
\echo :SQLSTATE

--
-- Deletion
--

SELECT resource_version AS version FROM store.create(pg_temp.thing('gone', '{"spec": 1}')) \gset
SELECT op, pg_temp.plain(object),
	(object #>> '{metadata,resourceVersion}')::bigint = resource_version AS stamped,
	resource_version > :version AS later
FROM store.delete('ConfigMap', 'gone', namespace => 'objects');
SELECT op FROM store.delete('ConfigMap', 'gone', namespace => 'objects');
SELECT type, pg_temp.plain(object),
	(object #>> '{metadata,resourceVersion}')::bigint = resource_version AS stamped
FROM store.events WHERE namespace = 'objects' AND name = 'gone' ORDER BY resource_version;

-- finalizers: it is marked, and stays until they let go
SELECT op FROM store.create(
	pg_temp.meta(pg_temp.thing('held', '{"spec": 1}'), 'finalizers', '["a", "b"]'));
SELECT op, pg_temp.plain(object),
	object #>> '{metadata,deletionTimestamp}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' AS rfc_3339
FROM store.delete('ConfigMap', 'held', namespace => 'objects');
SELECT op, pg_temp.plain(object) FROM store.delete('ConfigMap', 'held', namespace => 'objects');
-- nobody takes the mark off
SELECT op, pg_temp.plain(object)
FROM store.put(pg_temp.meta(pg_temp.meta(pg_temp.thing('held', '{"spec": 1}'),
	'finalizers', '["a", "b"]'), 'labels', '{"a": "b"}'));
SELECT op
FROM store.patch('ConfigMap', 'held', '{"metadata": {"deletionTimestamp": null}}',
	namespace => 'objects');
SELECT op, pg_temp.plain(object)
FROM store.patch('ConfigMap', 'held', '{"metadata": {"finalizers": ["b"]}}',
	namespace => 'objects');
SELECT op FROM store.create(pg_temp.thing('held'));
\echo :SQLSTATE
-- the write that takes the last finalizer away is the deletion
SELECT op, pg_temp.plain(object),
	(object #>> '{metadata,resourceVersion}')::bigint = resource_version AS stamped
FROM store.patch('ConfigMap', 'held', '{"metadata": {"finalizers": null}}', namespace => 'objects');
SELECT type, object #> '{metadata,finalizers}' AS finalizers,
	object #> '{metadata,deletionTimestamp}' IS NOT NULL AS marked
FROM store.events WHERE namespace = 'objects' AND name = 'held' ORDER BY resource_version;
SELECT count(*) FROM store.resources WHERE namespace = 'objects' AND name = 'held';

-- with put and an empty list, too
SELECT op FROM store.create(pg_temp.meta(pg_temp.thing('held-2'), 'finalizers', '["a"]'));
SELECT op FROM store.delete('ConfigMap', 'held-2', namespace => 'objects');
SELECT op FROM store.put(pg_temp.meta(pg_temp.thing('held-2'), 'finalizers', '[]'));
SELECT count(*) FROM store.resources WHERE namespace = 'objects' AND name = 'held-2';

-- with update and a JSON patch
SELECT op FROM store.create(pg_temp.meta(pg_temp.thing('held-4'), 'finalizers', '["a"]'));
SELECT op FROM store.delete('ConfigMap', 'held-4', namespace => 'objects');
SELECT op FROM store.update(pg_temp.thing('held-4', '{"spec": "last"}'));
SELECT op FROM store.create(pg_temp.meta(pg_temp.thing('held-4'), 'finalizers', '["a"]'));
SELECT op FROM store.delete('ConfigMap', 'held-4', namespace => 'objects');
SELECT op FROM store.patch('ConfigMap', 'held-4',
	'[{"op": "remove", "path": "/metadata/finalizers/0"}]', namespace => 'objects', type => 'json');
SELECT type, object -> 'spec' AS spec FROM store.events
WHERE namespace = 'objects' AND name = 'held-4' ORDER BY resource_version;
SELECT count(*) FROM store.resources WHERE namespace = 'objects' AND name = 'held-4';

-- taking finalizers away without a deletion does nothing of the kind
SELECT op FROM store.create(pg_temp.meta(pg_temp.thing('held-3'), 'finalizers', '["a"]'));
SELECT op FROM store.put(pg_temp.thing('held-3'));
SELECT op FROM store.delete('ConfigMap', 'held-3', namespace => 'objects');

--
-- Size
--

SELECT op
FROM store.put(pg_temp.thing('large', jsonb_build_object('data', repeat('x', 1400 * 1024))));
-- patches cannot go round the limit
SELECT op
FROM store.patch('ConfigMap', 'large', jsonb_build_object('more', repeat('x', 1400 * 1024)),
	namespace => 'objects');
\echo :SQLSTATE
SELECT op FROM store.delete('ConfigMap', 'large', namespace => 'objects');

-- leave nothing behind
SELECT count(*) > 0 AS some, bool_and((store.delete(kind, name, namespace,
	concat_ws('/', nullif(api_group, ''), version))).op = 'Deleted') AS deleted
FROM (SELECT * FROM store.resources OFFSET 0) AS r
WHERE namespace LIKE 'objects%' OR lower(kind) IN ('nothing', 'scope');
SELECT count(*) FROM store.resources
WHERE namespace LIKE 'objects%' OR lower(kind) IN ('nothing', 'scope');
