--
-- JSON Patch (RFC 6902), with the pointers of RFC 6901.
--
-- A resource is an object, so where an example's document is something else or
-- has members of its own, it stands under spec, and so do its pointers.
--

-- What a patch makes of spec, or why it is refused.  Each time the resource is
-- a new one.
CREATE FUNCTION pg_temp.patched(document jsonb, patch jsonb,
	OUT op text, OUT result jsonb, OUT state text, OUT detail text)
LANGUAGE plpgsql AS $$
BEGIN
	PERFORM store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap',
		'metadata', '{"name": "target", "namespace": "json-patch"}'::jsonb, 'spec', document));
	SELECT r.op, r.object -> 'spec' INTO patched.op, patched.result
	FROM store.patch('ConfigMap', 'target', patched.patch, namespace => 'json-patch',
					 type => 'json') r;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, detail = PG_EXCEPTION_DETAIL;
	detail := coalesce(nullif(detail, ''), SQLERRM);
END
$$;

--
-- RFC 6902, appendix A
--

\set VERBOSITY terse
SELECT a.example, p.*
FROM (VALUES
	('A.1 adding an object member', '{"foo": "bar"}'::jsonb,
	 '[{"op": "add", "path": "/spec/baz", "value": "qux"}]'::jsonb),
	('A.2 adding an array element', '{"foo": ["bar", "baz"]}',
	 '[{"op": "add", "path": "/spec/foo/1", "value": "qux"}]'),
	('A.3 removing an object member', '{"baz": "qux", "foo": "bar"}',
	 '[{"op": "remove", "path": "/spec/baz"}]'),
	('A.4 removing an array element', '{"foo": ["bar", "qux", "baz"]}',
	 '[{"op": "remove", "path": "/spec/foo/1"}]'),
	('A.5 replacing a value', '{"baz": "qux", "foo": "bar"}',
	 '[{"op": "replace", "path": "/spec/baz", "value": "boo"}]'),
	('A.6 moving a value', '{"foo": {"bar": "baz", "waldo": "fred"}, "qux": {"corge": "grault"}}',
	 '[{"op": "move", "from": "/spec/foo/waldo", "path": "/spec/qux/thud"}]'),
	('A.7 moving an array element', '{"foo": ["all", "grass", "cows", "eat"]}',
	 '[{"op": "move", "from": "/spec/foo/1", "path": "/spec/foo/3"}]'),
	('A.8 testing a value: success', '{"baz": "qux", "foo": ["a", 2, "c"]}',
	 '[{"op": "test", "path": "/spec/baz", "value": "qux"},
	   {"op": "test", "path": "/spec/foo/1", "value": 2}]'),
	('A.9 testing a value: error', '{"baz": "qux"}',
	 '[{"op": "test", "path": "/spec/baz", "value": "bar"}]'),
	('A.10 adding a nested member object', '{"foo": "bar"}',
	 '[{"op": "add", "path": "/spec/child", "value": {"grandchild": {}}}]'),
	('A.11 ignoring unrecognized elements', '{"foo": "bar"}',
	 '[{"op": "add", "path": "/spec/baz", "value": "qux", "xyz": 123}]'),
	('A.12 adding to a nonexistent target', '{"foo": "bar"}',
	 '[{"op": "add", "path": "/spec/baz/bat", "value": "qux"}]'),
	-- jsonb keeps the last of two members of one name; the target does not exist
	('A.13 invalid JSON patch document', '{"foo": "bar"}',
	 '[{"op": "add", "path": "/spec/baz", "value": "qux", "op": "remove"}]'),
	('A.14 ~ escape ordering', '{"/": 9, "~1": 10}',
	 '[{"op": "test", "path": "/spec/~01", "value": 10}]'),
	('A.15 comparing strings and numbers', '{"/": 9, "~1": 10}',
	 '[{"op": "test", "path": "/spec/~01", "value": "10"}]'),
	('A.16 adding an array value', '{"foo": ["bar"]}',
	 '[{"op": "add", "path": "/spec/foo/-", "value": ["abc", "def"]}]')
) AS a(example, document, patch), pg_temp.patched(a.document, a.patch) AS p;

--
-- RFC 6901, section 5: the pointers of its example
--

SELECT p.pointer, t.op, t.detail
FROM (VALUES
	('/foo', '["bar", "baz"]'::jsonb), ('/foo/0', '"bar"'), ('/', '0'), ('/a~1b', '1'),
	('/c%d', '2'), ('/e^f', '3'), ('/g|h', '4'), ('/i\\j', '5'), ('/k"l', '6'), ('/ ', '7'),
	('/m~0n', '8')
) AS p(pointer, value), pg_temp.patched(
	'{"foo": ["bar", "baz"], "": 0, "a/b": 1, "c%d": 2, "e^f": 3, "g|h": 4, "i\\\\j": 5,
	  "k\"l": 6, " ": 7, "m~n": 8}',
	jsonb_build_array(jsonb_build_object('op', 'test', 'path', '/spec' || p.pointer,
										 'value', p.value))) AS t;

--
-- What else the rules say
--

SELECT a.rule, p.*
FROM (VALUES
	(1, 'add replaces a member that exists', '{"a": 1}'::jsonb,
	 '[{"op": "add", "path": "/spec/a", "value": {"b": 2}}]'::jsonb),
	(2, 'add at the end by number', '{"a": [1]}',
	 '[{"op": "add", "path": "/spec/a/1", "value": 2}]'),
	(3, 'an empty patch is no change', '{"a": 1}', '[]'),
	(4, 'copy', '{"a": {"b": [1, {"c": 2}]}}',
	 '[{"op": "copy", "from": "/spec/a", "path": "/spec/d"},
	   {"op": "add", "path": "/spec/a/b/0", "value": 0}]'),
	(5, 'a copy is a copy', '{"a": {"b": 1}}',
	 '[{"op": "add", "path": "/spec/a/c", "value": {}},
	   {"op": "copy", "from": "/spec/a", "path": "/spec/a/c/d"},
	   {"op": "replace", "path": "/spec/a/c/d/b", "value": 2}]'),
	(6, 'move to itself', '{"a": 1}', '[{"op": "move", "from": "/spec/a", "path": "/spec/a"}]'),
	(7, 'move, then back', '{"a": {"b": 1}}',
	 '[{"op": "move", "from": "/spec/a/b", "path": "/spec/c"},
	   {"op": "move", "from": "/spec/c", "path": "/spec/a/b"}]'),
	(8, 'test by value', '{"a": [1.0, {"x": null, "y": [true]}], "b": {}}',
	 '[{"op": "test", "path": "/spec", "value": {"b": {}, "a": [1, {"y": [true], "x": null}]}}]'),
	(9, 'test of what was changed', '{"a": {"b": [1, 2]}}',
	 '[{"op": "add", "path": "/spec/a/b/-", "value": 3},
	   {"op": "test", "path": "/spec/a", "value": {"b": [1, 2, 3]}},
	   {"op": "remove", "path": "/spec/a/b/0"},
	   {"op": "test", "path": "/spec/a", "value": {"b": [2, 3]}}]'),
	(10, 'null is a value', '{"a": 1}', '[{"op": "replace", "path": "/spec/a", "value": null}]'),
	(11, 'empty containers', '{"a": [1], "b": {"c": 1}}',
	 '[{"op": "remove", "path": "/spec/a/0"}, {"op": "remove", "path": "/spec/b/c"},
	   {"op": "add", "path": "/spec/a/0", "value": []}]'),
	-- refused: all of the patch
	(20, 'all or nothing', '{"a": 1}',
	 '[{"op": "replace", "path": "/spec/a", "value": 2}, {"op": "remove", "path": "/spec/b"}]'),
	(21, 'replace what is not there', '{"a": 1}',
	 '[{"op": "replace", "path": "/spec/b", "value": 1}]'),
	(22, 'behind the end', '{"a": [1]}', '[{"op": "add", "path": "/spec/a/2", "value": 1}]'),
	(23, 'leading zero', '{"a": [1, 2]}', '[{"op": "add", "path": "/spec/a/01", "value": 1}]'),
	(24, 'no index', '{"a": [1, 2]}', '[{"op": "add", "path": "/spec/a/b", "value": 1}]'),
	(25, 'remove "-"', '{"a": [1, 2]}', '[{"op": "remove", "path": "/spec/a/-"}]'),
	(26, 'negative index', '{"a": [1, 2]}', '[{"op": "remove", "path": "/spec/a/-1"}]'),
	(27, 'below a scalar', '{"a": 1}', '[{"op": "add", "path": "/spec/a/b", "value": 1}]'),
	(28, 'into itself', '{"a": {"b": {}}}',
	 '[{"op": "move", "from": "/spec/a", "path": "/spec/a/b/c"}]'),
	(29, 'move what is not there', '{}', '[{"op": "move", "from": "/spec/a", "path": "/spec/a"}]'),
	(30, 'copy what is not there', '{}', '[{"op": "copy", "from": "/spec/a", "path": "/spec/b"}]'),
	(31, 'test what is not there', '{}', '[{"op": "test", "path": "/spec/a", "value": null}]'),
	(32, 'test an order', '{"a": [1, 2]}', '[{"op": "test", "path": "/spec/a", "value": [2, 1]}]'),
	(33, 'test: a member too few', '{"a": {"b": 1, "c": 2}}',
	 '[{"op": "test", "path": "/spec/a", "value": {"b": 1}}]'),
	(34, 'remove everything', '{}', '[{"op": "remove", "path": ""}]'),
	(35, 'no resource any more', '{}', '[{"op": "replace", "path": "", "value": 1}]'),
	(36, 'an array as a resource', '{}', '[{"op": "add", "path": "", "value": [1]}]'),
	(37, 'another name', '{}', '[{"op": "replace", "path": "/metadata/name", "value": "other"}]'),
	(38, 'no kind', '{}', '[{"op": "remove", "path": "/kind"}]'),
	(39, 'labels that are none', '{}',
	 '[{"op": "add", "path": "/metadata/labels", "value": {"a": 1}}]')
) AS a(number, rule, document, patch), pg_temp.patched(a.document, a.patch) AS p
ORDER BY a.number;

-- the caller has no say in the stamps; those who want a precondition can test them
SELECT object #>> '{metadata,uid}' AS uid, resource_version
FROM store.resources WHERE namespace = 'json-patch' AND name = 'target' \gset before_
SELECT op, object #>> '{metadata,uid}' = :'before_uid' AS uid_kept,
	object #> '{metadata,generation}' IS NOT NULL AS generation
FROM store.patch('ConfigMap', 'target', '[{"op": "remove", "path": "/metadata/uid"},
	{"op": "remove", "path": "/metadata/generation"},
	{"op": "add", "path": "/data", "value": {"a": "b"}}]',
	namespace => 'json-patch', type => 'json');
\set VERBOSITY default
SELECT op FROM store.patch('ConfigMap', 'target', jsonb_build_array(
	jsonb_build_object('op', 'test', 'path', '/metadata/uid', 'value', :'before_uid'),
	'{"op": "remove", "path": "/data"}'::jsonb), namespace => 'json-patch', type => 'json');
SELECT op FROM store.patch('ConfigMap', 'missing', '[{"op": "remove", "path": "/data"}]',
	namespace => 'json-patch', type => 'json');

--
-- Malformed patches never reach the log
--

SELECT store.barrier() AS before \gset
SELECT a.number, p.state, p.detail
FROM (VALUES
	(1, '{"op": "add", "path": "/spec/a", "value": 1}'::jsonb),
	(2, '"add"'),
	(3, '[1]'),
	(4, '[{"op": "add", "path": "/spec/a", "value": 1}, []]'),
	(5, '[{"path": "/spec/a", "value": 1}]'),
	(6, '[{"op": 1, "path": "/spec/a", "value": 1}]'),
	(7, '[{"op": "Add", "path": "/spec/a", "value": 1}]'),
	(8, '[{"op": "spam", "path": "/spec/a"}]'),
	(9, '[{"op": "add", "value": 1}]'),
	(10, '[{"op": "add", "path": 1, "value": 1}]'),
	(11, '[{"op": "add", "path": "spec/a", "value": 1}]'),
	(12, '[{"op": "add", "path": "/spec/~2", "value": 1}]'),
	(13, '[{"op": "add", "path": "/spec/~", "value": 1}]'),
	(14, '[{"op": "add", "path": "/spec/a"}]'),
	(15, '[{"op": "replace", "path": "/spec/a"}]'),
	(16, '[{"op": "test", "path": "/spec/a"}]'),
	(17, '[{"op": "move", "path": "/spec/a"}]'),
	(18, '[{"op": "copy", "from": null, "path": "/spec/a"}]'),
	(19, '[{"op": "remove", "path": "/spec/a"}, {"op": "copy", "from": "a", "path": "/spec/a"}]'),
	(20, '[{"op": "add", "path": "/spec/a", "value": 1e999}]')
) AS a(number, patch), LATERAL (
	SELECT * FROM pg_temp.patched('{}', a.patch)) AS p
ORDER BY a.number;

-- (each of them put the target, and nothing else)
SELECT count(*) FROM store.events
WHERE namespace = 'json-patch' AND resource_version > :before AND type <> 'MODIFIED';
SELECT object -> 'spec' FROM store.resources WHERE namespace = 'json-patch' AND name = 'target';

--
-- Limits, which apply checks on every member
--

-- number of operations
SELECT state, detail FROM pg_temp.patched('{"a": []}', (
	SELECT jsonb_agg('{"op": "add", "path": "/spec/a/-", "value": 1}'::jsonb)
	FROM generate_series(1, 10001)));
SELECT op, jsonb_array_length(result -> 'a'), state FROM pg_temp.patched('{"a": []}', (
	SELECT jsonb_agg('{"op": "add", "path": "/spec/a/-", "value": 1}'::jsonb)
	FROM generate_series(1, 10000)));

-- copies of copies
SELECT op, state, detail FROM pg_temp.patched('{"a": {"b": "0123456789"}}', (
	SELECT jsonb_agg(jsonb_build_object('op', 'copy', 'from', '/spec/a', 'path', '/spec/a/' || i))
	FROM generate_series(1, 100) i));
SELECT op, state, detail FROM pg_temp.patched(jsonb_build_object('a', repeat('x', 100000)), (
	SELECT jsonb_agg('{"op": "copy", "from": "/spec/a", "path": "/spec/b"}'::jsonb)
	FROM generate_series(1, 1000)));
SELECT op, state, detail ~ '^The object has \d+ bytes, but no object may have more than' AS detail
FROM pg_temp.patched(jsonb_build_object('a', repeat('x', 1000000)),
	'[{"op": "copy", "from": "/spec/a", "path": "/spec/b"},
	  {"op": "copy", "from": "/spec/a", "path": "/spec/c"}]');

-- nesting
SELECT op, state, detail FROM pg_temp.patched(
	('{"a": ' || repeat('{"x": ', 125) || '1' || repeat('}', 125) || ', "b": {}}')::jsonb,
	'[{"op": "move", "from": "/spec/a", "path": "/spec/b/c"}]');
SELECT op, state, detail FROM pg_temp.patched(
	('{"a": ' || repeat('{"x": ', 126) || '1' || repeat('}', 126) || ', "b": {}}')::jsonb,
	'[{"op": "move", "from": "/spec/a", "path": "/spec/b/c"}]');

-- other types
SELECT store.patch('ConfigMap', 'target', '{}', namespace => 'json-patch', type => 'apply');
SELECT store.patch('ConfigMap', 'target', '[]', namespace => 'json-patch', type => 'yaml');
