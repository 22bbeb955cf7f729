-- get, list, barrier, wait_for, and plain SQL.
SELECT op FROM (VALUES
	('b', 'two', '{"app": "b"}'), ('a', 'two', '{"app": "a"}'), ('B', 'one', '{}'),
	('a', 'one', '{"app": "a", "tier": "web"}'), ('c', NULL, '{}')) v(name, namespace, labels),
	store.put(jsonb_build_object('apiVersion', 'example.com/v1', 'kind', 'Widget', 'metadata',
		jsonb_strip_nulls(jsonb_build_object('name', name, 'namespace', namespace,
			'labels', labels::jsonb)))) w;

-- get: by the whole key
SELECT store.get('Widget', 'a', 'one', 'example.com/v1')->'metadata'->'labels' AS labels;
SELECT store.get(name => 'c', kind => 'Widget', api_version => 'example.com/v1')
	->'metadata'->>'name' AS name;
SELECT store.get('Widget', 'a', 'one') IS NULL AS other_version;
SELECT store.get('Widget', 'a', NULL, 'example.com/v1') IS NULL AS other_scope;
SELECT store.get('Widget', 'a', 'three', 'example.com/v1') IS NULL AS other_namespace;
SELECT store.get('Gadget', 'a', 'one', 'example.com/v1') IS NULL AS unknown_kind;
SELECT store.get('WIDGET', 'a', 'one', 'example.com/v1') IS NULL AS kinds_have_case;
SELECT store.get('W1', 'a', 'one', 'example.com/v1') IS NULL AS kind_with_digit;
SELECT store.get('W' || repeat('i', 62), 'a', 'one', 'example.com/v1') IS NULL AS longest_kind;
-- what cannot be a kind is no kind that nothing was stored of
SELECT store.get('widget', 'a', 'one', 'example.com/v1');
SELECT store.get('widgets', 'a', 'one', 'example.com/v1');

-- list: in the order of keys, byte by byte
SELECT o#>>'{metadata,namespace}' AS namespace, o#>>'{metadata,name}' AS name
FROM store.list('Widget', api_version => 'example.com/v1') WITH ORDINALITY l(o, n) ORDER BY n;
SELECT o#>>'{metadata,name}' AS name
FROM store.list('Widget', 'two', 'example.com/v1') WITH ORDINALITY l(o, n) ORDER BY n;
SELECT count(*) FROM store.list('Widget');
SELECT count(*) FROM store.list('Gadget');
-- what a list has is what the table has
SELECT count(*) FROM (
	SELECT object FROM store.resources WHERE kind = 'Widget' EXCEPT ALL
	SELECT store.list('Widget', api_version => 'example.com/v1')) d;

-- barrier and wait_for: not before what was acknowledged
SELECT resource_version AS written FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "m", "namespace": "reads"}}') \gset
SELECT store.barrier() >= :written AS reached;
SELECT store.wait_for(:written) >= :written AS reached;
SELECT store.wait_for(:written, '0') >= :written AS at_once;
SELECT store.wait_for(0) >= 0 AS long_ago;
SELECT count(*) FROM store.resources WHERE namespace = 'reads';
\set VERBOSITY terse
SELECT store.wait_for(1000000000, '10ms');
\set VERBOSITY default
\echo :LAST_ERROR_SQLSTATE

-- reads move nothing
SELECT last_index AS before FROM store.status \gset
SELECT count(*) FROM store.list('Widget', api_version => 'example.com/v1');
SELECT store.get('Widget', 'c', NULL, 'example.com/v1') IS NOT NULL AS there;
SELECT store.get('Widget', 'c', NULL, 'example.com/v1', :before) IS NOT NULL AS there_then;
SELECT jsonb_array_length(store.list_page('Widget', api_version => 'example.com/v1', "limit" => 2)
	-> 'items') AS page;
SELECT store.wait_for(:before) = :before AS waited;
SELECT store.barrier() IS NOT NULL AS done;
SELECT last_index = :before AS unmoved FROM store.status;

-- a node's own replica, at once
SHOW store.read_consistency;
SET store.read_consistency = 'local';
SELECT store.get('Widget', 'c', NULL, 'example.com/v1') IS NOT NULL AS there;
SELECT count(*) FROM store.list('Widget', 'two', 'example.com/v1');
SET store.read_consistency = 'eventual';
RESET store.read_consistency;

-- reads work where writes do not
BEGIN READ ONLY;
SELECT count(*) FROM store.list('Widget', api_version => 'example.com/v1');
COMMIT;
-- a snapshot taken before does not hide what a function sees now
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM store.resources WHERE namespace = 'reads';
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "n", "namespace": "reads"}}');
SELECT count(*) FROM store.list('ConfigMap', 'reads');
COMMIT;

-- plain SQL: joins, jsonpath, aggregates
SELECT namespace, count(*), bool_or(object @? '$.metadata.labels.tier') AS has_tier
FROM store.resources WHERE kind = 'Widget' GROUP BY namespace ORDER BY namespace NULLS FIRST;
SELECT type, count(*) FROM store.events WHERE kind = 'Widget' GROUP BY type;

-- what a node says of itself and of the others
SELECT node_id, role, leader FROM store.members;
SELECT node_id, state, first_index, last_index = applied_index AS applied,
	compacted_revision >= 0 AS compacted, backlog, problem FROM store.status;

-- get sees what a query of its caller would see
CREATE ROLE regress_store_reader;
GRANT USAGE ON SCHEMA store TO regress_store_reader;
GRANT EXECUTE ON FUNCTION store.get TO regress_store_reader;
SET ROLE regress_store_reader;
SELECT store.get('Widget', 'a', 'one', 'example.com/v1')->>'kind' AS kind;
RESET ROLE;
-- ... the columns that it takes, and a policy
GRANT SELECT (api_group, version, kind, namespace, name, object) ON store.resources
	TO regress_store_reader;
CREATE POLICY regress_some ON store.resources FOR SELECT TO regress_store_reader
	USING (namespace = 'one');
SET ROLE regress_store_reader;
SELECT n, store.get('Widget', 'a', n, 'example.com/v1')->>'kind' AS kind
FROM (VALUES ('one'), ('two')) v(n);
RESET ROLE;
-- ... all columns
GRANT SELECT ON store.resources TO regress_store_reader;
SET ROLE regress_store_reader;
SELECT n, store.get('Widget', 'a', n, 'example.com/v1')->>'kind' AS kind
FROM (VALUES ('one'), ('two')) v(n);
RESET ROLE;
-- ... and no policy that holds
DROP POLICY regress_some ON store.resources;
SET ROLE regress_store_reader;
SELECT n, store.get('Widget', 'a', n, 'example.com/v1')->>'kind' AS kind
FROM (VALUES ('one'), ('two')) v(n);
RESET ROLE;
ALTER ROLE regress_store_reader BYPASSRLS;
SET ROLE regress_store_reader;
SELECT n, store.get('Widget', 'a', n, 'example.com/v1')->>'kind' AS kind
FROM (VALUES ('one'), ('two')) v(n);
RESET ROLE;
DROP OWNED BY regress_store_reader;
DROP ROLE regress_store_reader;
-- and finds its index anew, or does without it
REINDEX INDEX CONCURRENTLY store.resources_key;
SELECT store.get('Widget', 'a', 'one', 'example.com/v1')->>'kind' AS kind;
