-- Bad input: a clear error with its SQLSTATE, nothing stored, no log entry.
\set SHOW_CONTEXT never

-- everything below leaves the log where it is
SELECT store.barrier() IS NOT NULL AS ready;
SELECT last_index AS before FROM store.status \gset
CREATE TEMPORARY TABLE before AS TABLE store.resources;

-- Runs SQL and shows what it was refused with.
CREATE FUNCTION pg_temp.refused(sql text)
RETURNS TABLE (state text, message text, detail text, hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	RETURN QUERY SELECT 'none', 'it was not refused', '', '';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	RETURN NEXT;
END
$$;
-- an object that is fine, but for what is merged into it
CREATE FUNCTION pg_temp.pod(more jsonb DEFAULT '{}') RETURNS jsonb LANGUAGE sql AS $$
	SELECT '{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "a"}}'::jsonb || more
$$;
-- one with other metadata
CREATE FUNCTION pg_temp.meta(metadata jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT pg_temp.pod(jsonb_build_object('metadata', '{"name": "a"}'::jsonb || metadata))
$$;
\pset format unaligned
\pset tuples_only on
\pset recordsep '\n'

-- not an object
SELECT v AS object, r.* FROM (VALUES ('null'), ('[]'), ('"text"'), ('1'), ('true'), ('{}')) v(v),
	pg_temp.refused(format('SELECT store.put(%L)', v)) r;
-- required fields: missing, of the wrong type, empty
SELECT v AS object, r.* FROM (VALUES
	('{"kind": "Pod", "metadata": {"name": "a"}}'),
	('{"apiVersion": "v1", "metadata": {"name": "a"}}'),
	('{"apiVersion": "v1", "kind": "Pod"}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {}}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": []}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": null}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": null}}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": 7}}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": {}}}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {"name": ""}}'),
	('{"apiVersion": 1, "kind": "Pod", "metadata": {"name": "a"}}'),
	('{"apiVersion": "", "kind": "Pod", "metadata": {"name": "a"}}'),
	('{"apiVersion": "v1", "kind": "", "metadata": {"name": "a"}}'),
	('{"apiVersion": "v1", "kind": ["Pod"], "metadata": {"name": "a"}}'),
	('{"apiVersion": "v1", "kind": "Pod", "metadata": {"generateName": "a-"}}')) v(v),
	pg_temp.refused(format('SELECT store.put(%L)', v)) r;
-- fields of metadata of the wrong type
SELECT v AS metadata, r.* FROM (VALUES
	('{"namespace": 7}'), ('{"namespace": ""}'), ('{"labels": []}'), ('{"labels": {"a": 1}}'),
	('{"annotations": "a"}'), ('{"annotations": {"a": {}}}'), ('{"finalizers": {}}'),
	('{"finalizers": [1]}'), ('{"resourceVersion": 7}'), ('{"uid": 7}')) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.meta(%L))', v)) r;
-- names that cannot be part of a path
SELECT v AS name, r.* FROM (VALUES ('.'), ('..'), ('a/b'), ('a%b')) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.meta(%L))', jsonb_build_object('name', v))) r;
SELECT v AS namespace, r.* FROM (VALUES ('.'), ('..'), ('a/b'), ('a%b')) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.meta(%L))',
		jsonb_build_object('namespace', v))) r;
SELECT v AS api_version, r.* FROM (VALUES ('a/b/c'), ('/v1'), ('apps/')) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.pod(%L))',
		jsonb_build_object('apiVersion', v))) r;
-- a kind that is none is refused wherever a kind is said, to write or to read
SELECT v AS kind, r.* FROM (VALUES ('pods'), ('pod'), ('P-od'), ('Pod.v1'), ('7Pod'), ('Pöd'),
		('Ärger'), ('Pod '), ('P' || repeat('o', 63))) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.pod(%L))', jsonb_build_object('kind', v))) r;
SELECT v AS call, r.* FROM (VALUES
	('create(pg_temp.pod(''{"kind": "pods"}''))'), ('update(pg_temp.pod(''{"kind": "pods"}''))'), (
	'patch(''pods'', ''a'', ''{}'')'), ('delete(''pods'', ''a'')'), ('get(''pods'', ''a'')'), (
	'get(''pods'', ''a'', resource_version => 1)'), ('list(''pods'')'), ('list_page(''pods'')'), (
	'matches(pg_temp.pod(''{"kind": "pods"}''), ''a'')'), (
	'txn(''[{"key": {"apiVersion": "v1", "kind": "pods", "name": "a"}, "exists": true}]'', ''[]'')'
	), (
	'txn(''[]'', ''[{"delete": {"apiVersion": "v1", "kind": "pods", "name": "a"}}]'')'), (
	'txn(''[]'', jsonb_build_array(jsonb_build_object(''put'', pg_temp.pod(''{"kind": "pods"}''))))'
	)) v(v),
	pg_temp.refused(format('SELECT store.%s', v)) r;
-- numbers: none that JSON does not have, none beyond a double
SELECT left(v, 20) AS number, r.state, left(r.message, 60), left(r.detail, 100), r.hint
FROM (VALUES ('NaN'), ('Infinity'), ('-Infinity'), ('0x10'), ('01'), ('1e400'),
		('-1e400'), ('1' || repeat('0', 400))) v(v),
	pg_temp.refused(format('SELECT store.put(pg_temp.pod(''{"spec": {"n": %s}}''))', v)) r;
-- text: bytes that are no UTF-8 do not get in, nor does NUL, nor half a character
SELECT r.* FROM pg_temp.refused(
	$$SELECT store.put(convert_from('\x7b22f09f227d', 'UTF8')::jsonb)$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT store.put(pg_temp.pod('{"data": "\u0000"}'))$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT store.put(pg_temp.pod('{"data": "\ud800"}'))$$) r;
-- too deep, too large
SELECT r.* FROM pg_temp.refused($$SELECT store.put(pg_temp.pod(jsonb_build_object('spec',
	(repeat('[', 1000) || repeat(']', 1000))::jsonb)))$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT store.patch('Pod', 'a', jsonb_build_object('spec',
	(repeat('[', 1000) || repeat(']', 1000))::jsonb))$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT store.put(pg_temp.pod(jsonb_build_object('spec',
	repeat('x', 2 * 1024 * 1024))))$$) r;
SELECT r.* FROM pg_temp.refused($$SELECT store.patch('Pod', 'a', jsonb_build_object('spec',
	repeat('x', 2 * 1024 * 1024)))$$) r;

-- arguments
SELECT v AS arguments, r.* FROM (VALUES ('NULL'), ('''{}'', -1'), (
	'pg_temp.pod(), -1'), (
	'pg_temp.pod(), reason => ''whim'''), (
	'pg_temp.pod(), reason => NULL'), (
	'pg_temp.pod(), ttl => ''-1 s''')) v(v),
	pg_temp.refused(format('SELECT store.put(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES ('NULL'), ('''[]'''), (
	'pg_temp.pod(), reason => ''whim'''), (
	'pg_temp.pod(), ttl => ''-1 s''')) v(v),
	pg_temp.refused(format('SELECT store.create(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES ('NULL'), ('''[]'''), (
	'pg_temp.meta(''{"resourceVersion": "x"}'')'), (
	'pg_temp.meta(''{"resourceVersion": "-1"}'')'), (
	'pg_temp.pod(), ttl => ''-1 s''')) v(v),
	pg_temp.refused(format('SELECT store.update(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES
	('NULL, ''a'', ''{}'''), ('''Pod'', NULL, ''{}'''), ('''Pod'', ''a'', NULL'), (
	''''', ''a'', ''{}'''), ('''Pod'', '''', ''{}'''), ('''Pod'', ''a/b'', ''{}'''), (
	'''Pod'', ''a'', ''{}'', ''..'''), ('''Pod'', ''a'', ''[]'''), ('''Pod'', ''a'', ''"x"'''), (
	'''Pod'', ''a'', ''{}'', api_version => ''a/b/c'''), (
	'''Pod'', ''a'', ''{}'', api_version => NULL'), (
	'''Pod'', ''a'', ''{}'', type => ''json'''), (
	'''Pod'', ''a'', ''[]'', type => ''strategic'''), (
	'''Pod'', ''a'', ''{}'', type => ''apply'''), ('''Pod'', ''a'', ''{}'', type => ''xml'''), (
	'''Pod'', ''a'', ''{}'', type => NULL'), ('''Pod'', ''a'', ''{}'', expected => -1'), (
	'''Pod'', ''a'', ''{}'', reason => ''whim'''), (
	'''Pod'', ''a'', ''{}'', field_manager => ''me'''), (
	'''Pod'', ''a'', ''{}'', force => true')) v(v),
	pg_temp.refused(format('SELECT store.patch(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES
	('NULL, ''a'''), ('''Pod'', NULL'), (''''', ''a'''), ('''Pod'', '''''), ('''Pod'', ''..'''), (
	'''Pod'', ''a'', '''''), ('''Pod'', ''a'', api_version => ''/'''), (
	'''Pod'', ''a'', expected => -1'), (
	'''Pod'', ''a'', uid => ''x'''), ('''Pod'', ''a'', reason => ''whim''')) v(v),
	pg_temp.refused(format('SELECT store.delete(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES
	('NULL, ''a'''), ('''Pod'', NULL'), (''''', ''a'''), ('''Pod'', ''a/b'''), (
	'''Pod'', ''a'', ''.'''), (
	'''Pod'', ''a'', api_version => NULL'), ('''Pod'', ''a'', api_version => '''''), (
	'''Pod'', ''a'', resource_version => -1')) v(v),
	pg_temp.refused(format('SELECT store.get(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES
	('NULL'), (''''''), ('''Pod'', ''a/b'''), ('''Pod'', api_version => ''a/b/c'''), (
	'''Pod'', label_selector => ''a=b='''), ('''Pod'', field_selector => ''metadata.name''')) v(v),
	pg_temp.refused(format('SELECT store.list(%s)', v)) r;
SELECT v AS arguments, r.* FROM (VALUES ('NULL'), ('-1'), ('1, ''-1 s''')) v(v),
	pg_temp.refused(format('SELECT store.wait_for(%s)', v)) r;

-- joining
SELECT v AS arguments, r.state, r.message, r.hint
FROM (VALUES ('NULL'), ('''host=127.0.0.1 port=1''')) v(v),
	pg_temp.refused(format('SELECT store.join(%s)', v)) r;
SELECT r.state, r.message, r.hint FROM pg_temp.refused('SELECT store.join(''no conninfo'')') r;

-- what is for other members only
SELECT r.*
FROM (VALUES (''), ('\x00'), ('\xdeadbeef'), ('\x' || repeat('00', 1000))) v(v),
	pg_temp.refused(format('SELECT store.raft_receive(%L)', v)) r;

\pset format aligned
\pset tuples_only off
-- nothing of this left a trace
SELECT last_index = :before AS no_log_entry FROM store.status;
SELECT count(*) FROM ((TABLE before EXCEPT ALL TABLE store.resources)
	UNION ALL (TABLE store.resources EXCEPT ALL TABLE before)) d;

-- what is unusual and right: every limit has a last good value
CREATE FUNCTION pg_temp.thing(name text, data jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'data', data,
		'metadata', jsonb_build_object('name', name, 'namespace', 'errors'))
$$;
SELECT op FROM store.put(pg_temp.thing('large', to_jsonb(repeat('x', 1024 * 1024))));
SELECT op FROM store.put(pg_temp.thing('deep',
	(repeat('[', 100) || repeat(']', 100))::jsonb));
SELECT op FROM store.put(pg_temp.thing('numbers',
	'[1e30, -1e30, 1e-20, 18446744073709551616, 0.1, 1.10]'));
SELECT store.get('ConfigMap', 'numbers', 'errors')->'data' AS numbers;
SELECT op FROM store.put(pg_temp.thing('most', '1e308'));
SELECT op FROM store.put(pg_temp.thing('ünï-…-🐘', '{}'));
SELECT store.get('ConfigMap', 'ünï-…-🐘', 'errors') IS NOT NULL AS there;
-- the limit is a setting
SET store.max_object_size = '1kB';
SELECT store.put(pg_temp.thing('over', to_jsonb(repeat('x', 2000))));
RESET store.max_object_size;
-- settings that make no sense
\set VERBOSITY sqlstate
SET store.request_timeout = 0;
\set VERBOSITY default
SET store.no_such_setting = 1;
SET store.database = 'other';
