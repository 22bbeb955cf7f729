-- store.watch(): what changed after an index.  Waiting for what changes next
-- needs a second session; see the TAP test 040_watch.pl.

-- Indexes differ from run to run: they are shown by rank, and the rank of the
-- bookmark says whether it is at the last event or beyond.
SELECT store.barrier() AS start \gset
CREATE FUNCTION pg_temp.pod(name text, app text, node text) RETURNS jsonb LANGUAGE sql AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'Pod',
		'metadata', jsonb_build_object('name', name, 'namespace', 'watched',
			'labels', jsonb_build_object('app', app)),
		'spec', jsonb_build_object('nodeName', node)) $$;

-- every type, each with the version of its change
SELECT op FROM store.create(pg_temp.pod('a', 'web', 'n1'));
SELECT op FROM store.put(pg_temp.pod('b', 'db', 'n1'));
SELECT op FROM store.put(pg_temp.pod('a', 'web', 'n2'));
SELECT op FROM store.put(pg_temp.pod('a', 'web', 'n2'));	-- nothing
SELECT op FROM store.delete('Pod', 'b', 'watched');
SELECT op FROM store.put('{"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "a", "namespace": "watched"}, "spec": {}}');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Node", "metadata": {"name": "n1"}}');
SELECT type, dense_rank() OVER (ORDER BY resource_version) AS rank, api_group, version, kind,
	namespace, name, object #> '{spec}' AS spec,
	object #>> '{metadata,resourceVersion}' = resource_version::text AS stamped
FROM store.watch(:start);

-- what is kept and what is told are the same
SELECT count(*) AS different FROM (
	SELECT type, resource_version, api_group, version, kind, namespace, name, object
	FROM store.events WHERE resource_version > :start
	EXCEPT SELECT * FROM store.watch(:start)) AS missing;

-- the bookmark is complete: from there on there is nothing, and it stays put
SELECT resource_version AS "end" FROM store.watch(:start) WHERE type = 'BOOKMARK' \gset
SELECT type, resource_version = :end AS "same bookmark" FROM store.watch(:end);
-- it moves on, too, when nothing matched
SELECT type, resource_version = :end AS "at the end" FROM store.watch(:start, 'Nothing');

-- by key
SELECT type, kind, name FROM store.watch(:start, 'Pod');
SELECT type, kind, name FROM store.watch(:start, 'Deployment', 'watched', 'apps/v1');
SELECT type, kind, name FROM store.watch(:start, 'Deployment', 'watched', 'v1');
SELECT type, kind, name FROM store.watch(:start, api_version => 'v1', namespace => 'elsewhere');
SELECT type, kind, name FROM store.watch(:start, field_selector => 'metadata.namespace!=watched');

-- Into a selector and out of it again.
SELECT resource_version AS start FROM store.create(pg_temp.pod('c', 'db', 'n1')) \gset
SELECT op FROM store.put(pg_temp.pod('c', 'web', 'n1'));
SELECT op FROM store.put(pg_temp.pod('c', 'web', 'n2'));
SELECT op FROM store.put(pg_temp.pod('c', 'db', 'n2'));
SELECT op FROM store.put(pg_temp.pod('c', 'db', 'n3'));
SELECT op FROM store.put(pg_temp.pod('c', 'web', 'n3'));
SELECT op FROM store.delete('Pod', 'c', 'watched');
SELECT type, dense_rank() OVER (ORDER BY resource_version) AS rank,
	object #> '{metadata,labels,app}' AS app, object #> '{spec,nodeName}' AS node,
	object #>> '{metadata,resourceVersion}' = resource_version::text AS stamped
FROM store.watch(:start, 'Pod', label_selector => 'app=web');
SELECT type, object #> '{metadata,labels,app}' AS app, object #> '{spec,nodeName}' AS node
FROM store.watch(:start, 'Pod', field_selector => 'spec.nodeName=n2');
SELECT type, object #> '{metadata,labels,app}' AS app, object #> '{spec,nodeName}' AS node
FROM store.watch(:start, 'Pod', label_selector => 'app=web', field_selector => 'spec.nodeName=n3');
-- one that never was in it is deleted without a word
SELECT type FROM store.watch(:start, 'Pod', label_selector => 'app=cache');
-- leaving: the object as it last was in the selection, but for its version
SELECT w.object #- '{metadata,resourceVersion}' = e.previous #- '{metadata,resourceVersion}' AS same
FROM store.watch(:start, 'Pod', label_selector => 'app=web') AS w
JOIN store.events AS e USING (resource_version)
WHERE w.type = 'DELETED' AND e.type = 'MODIFIED';

-- From 0: what is there, in the order of keys, then a bookmark to go on from.
SELECT op FROM store.put(pg_temp.pod('d', 'db', 'n1'));
SELECT type, kind, name, object #>> '{metadata,resourceVersion}' = resource_version::text AS stamped
FROM store.watch(0, namespace => 'watched');
SELECT type, kind, name FROM store.watch(0, 'Pod', 'watched', label_selector => 'app=web');
SELECT type, kind, name FROM store.watch(0, 'Pod', 'nowhere', timeout => '1 hour');
SELECT resource_version AS start FROM store.watch(0, 'Pod', 'nowhere') \gset
SELECT resource_version = :start AS "goes on there" FROM store.watch(:start);

-- A transaction is never split, whatever the limit.
SELECT resource_version AS txn FROM store.txn('[]', jsonb_build_array(
	jsonb_build_object('put', pg_temp.pod('t1', 'web', 'n1')),
	jsonb_build_object('put', pg_temp.pod('t2', 'db', 'n1')),
	jsonb_build_object('put', pg_temp.pod('t1', 'db', 'n1')),
	jsonb_build_object('delete', '{"apiVersion": "v1", "kind": "Pod", "namespace": "watched",
		"name": "t2"}'::jsonb))) \gset
SELECT op FROM store.put(pg_temp.pod('u', 'web', 'n1'));
SELECT op FROM store.put(pg_temp.pod('v', 'web', 'n1'));
SELECT type, name, dense_rank() OVER (ORDER BY resource_version) AS rank
FROM store.watch(:start, "limit" => 1);
SELECT type, name, dense_rank() OVER (ORDER BY resource_version) AS rank
FROM store.watch(:start, "limit" => 5);
SELECT type, name, dense_rank() OVER (ORDER BY resource_version) AS rank
FROM store.watch(:start, label_selector => 'app=web', "limit" => 2);
SELECT type, name, dense_rank() OVER (ORDER BY resource_version) AS rank
FROM store.watch(:txn, "limit" => 2);
SELECT type, name, dense_rank() OVER (ORDER BY resource_version) AS rank
FROM store.watch(:txn, "limit" => 0);
-- piece by piece is the same as at once
WITH RECURSIVE piece AS (
	SELECT :start::bigint AS at, ARRAY[]::text[] AS names
	UNION ALL
	SELECT w.at, w.names FROM piece, LATERAL (
		SELECT max(resource_version) AS at, array_agg(type || ' ' || name) AS names
		FROM store.watch(piece.at, "limit" => 1)) AS w
	WHERE w.at > piece.at)
SELECT names FROM piece WHERE names <> '{}' ORDER BY at;

-- What is large comes whole.
SELECT op FROM store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Secret',
	'metadata', '{"name": "large", "namespace": "watched"}'::jsonb,
	'data', jsonb_build_object('x', repeat('0123456789abcdef', 5000))));
SELECT type, length(object #>> '{data,x}') FROM store.watch(:start, 'Secret');

-- Errors, with nothing before them.
SELECT count(*) FROM store.watch(NULL);
SELECT count(*) FROM store.watch(-1);
SELECT count(*) FROM store.watch(:start, 'Pod/x');
SELECT count(*) FROM store.watch(:start, 'Pod', '..');
SELECT count(*) FROM store.watch(:start, 'Pod', api_version => 'a/b/c');
SELECT count(*) FROM store.watch(:start, 'Pod', label_selector => 'a in b');
SELECT count(*) FROM store.watch(:start, 'Pod', field_selector => 'x');
SELECT count(*) FROM store.watch(:start, "limit" => -1);
SELECT count(*) FROM store.watch(:start, timeout => '-1 s');
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) > 0 FROM store.watch(:start);
SELECT count(*) FROM store.watch(:start, timeout => '1 s');
ROLLBACK;

CREATE FUNCTION pg_temp.refusal(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	EXECUTE query;
	RETURN 'no error';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN rtrim(SQLSTATE || ' ' || regexp_replace(detail, '\d+', 'N'));
END $$;
SELECT pg_temp.refusal('SELECT store.watch(NULL)'), pg_temp.refusal('SELECT store.watch(-1)');
-- the future, at once and after waiting for it
SELECT pg_temp.refusal(format('SELECT store.watch(%s)', :start + 1000000));
SELECT pg_temp.refusal(format('SELECT store.watch(%s, timeout => %L)', :start + 1000000, '20 ms'));
-- the past
SELECT store.compact(:txn) = :txn AS compacted;
SELECT pg_temp.refusal(format('SELECT store.watch(%s)', :start));
SELECT pg_temp.refusal(format('SELECT store.watch(%s, timeout => %L)', :start, '1 hour'));
SELECT count(*) > 0 AS "at the floor" FROM store.watch(:txn);

-- with nothing to wait for, a timeout passes and the bookmark is there
SELECT store.barrier() AS "end" \gset
SELECT type, resource_version >= :end AS "not behind"
FROM store.watch(:end, 'Pod', timeout => '20 ms');
-- with something there, it does not
SELECT type, name FROM store.watch(:txn, 'Pod', "limit" => 1, timeout => '1 hour');

-- It shows what its caller may read.
CREATE ROLE regress_store_watcher;
GRANT USAGE ON SCHEMA store TO regress_store_watcher;
GRANT EXECUTE ON FUNCTION store.watch TO regress_store_watcher;
SET ROLE regress_store_watcher;
SELECT count(*) FROM store.watch(:end);
SELECT count(*) FROM store.watch(0);
SELECT count(*) FROM store.watch(:txn);
RESET ROLE;
GRANT SELECT ON store.events, store.resources TO regress_store_watcher;
ALTER TABLE store.events ENABLE ROW LEVEL SECURITY;
CREATE POLICY regress_watch ON store.events FOR SELECT TO regress_store_watcher USING (name = 'u');
SET ROLE regress_store_watcher;
SELECT type, name FROM store.watch(:txn, 'Pod');
RESET ROLE;
DROP POLICY regress_watch ON store.events;
ALTER TABLE store.events DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON SCHEMA store FROM regress_store_watcher;
REVOKE ALL ON FUNCTION store.watch FROM regress_store_watcher;
REVOKE ALL ON store.events, store.resources FROM regress_store_watcher;
DROP ROLE regress_store_watcher;
SELECT op FROM store.delete('Pod', 'a', 'watched');
SELECT count(*) FROM (SELECT store.delete(kind, name, namespace,
	CASE api_group WHEN '' THEN version ELSE api_group || '/' || version END)
	FROM store.resources WHERE namespace = 'watched' OR kind = 'Node' AND name = 'n1') AS gone;
