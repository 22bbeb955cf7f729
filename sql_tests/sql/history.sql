--
-- The past: what was at a resource version, the events that tell, and the
-- floor below which they are gone.
--
-- Resource versions differ from run to run, so they are compared, not shown.
-- Everything is of the kind "Relic".
--

\set VERBOSITY terse

CREATE FUNCTION pg_temp.relic(name text, value text, namespace text DEFAULT 'history')
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'Relic',
		'metadata', jsonb_build_object('name', name, 'namespace', namespace),
		'spec', jsonb_build_object('value', value))
$$;

--
-- The life of a resource, and what is read of it at each index
--

SELECT applied_index AS v0 FROM store.status \gset
SELECT resource_version AS v1 FROM store.create(pg_temp.relic('axe', 'one')) \gset
SELECT resource_version AS v2 FROM store.put(pg_temp.relic('bow', 'one')) \gset
SELECT resource_version AS v3 FROM store.put(pg_temp.relic('axe', 'two')) \gset
SELECT op FROM store.put(pg_temp.relic('axe', 'two'));
SELECT resource_version AS v4 FROM store.delete('Relic', 'axe', 'history') \gset
SELECT resource_version AS v5 FROM store.create(pg_temp.relic('axe', 'three')) \gset
SELECT resource_version AS v6
FROM store.patch('Relic', 'axe', '{"spec": {"value": "four"}}', 'history') \gset

SELECT at.place,
	store.get('Relic', 'axe', 'history', resource_version => at.version) #>> '{spec,value}' AS axe,
	store.get('Relic', 'bow', 'history', resource_version => at.version) #>> '{spec,value}' AS bow,
	jsonb_path_query_array(store.list_page('Relic', 'history', resource_version => at.version,
		resource_version_match => 'Exact'), '$.items[*].spec.value') AS list
FROM (VALUES ('v0', :v0), ('v1', :v1), ('v2', :v2), ('v3', :v3), ('unchanged', :v3 + 1),
	('v4', :v4), ('v5', :v5), ('v6', :v6)) AS at (place, version)
ORDER BY place;

-- it is the object as it was, stamps and all
SELECT store.get('Relic', 'axe', 'history', resource_version => :v1)
	= (SELECT object FROM store.events WHERE resource_version = :v1) AS as_written,
	store.get('Relic', 'axe', 'history', resource_version => :v6)
	= store.get('Relic', 'axe', 'history') AS as_it_is,
	store.get('Relic', 'axe', 'history', resource_version => :v1) #> '{metadata,uid}'
	<> store.get('Relic', 'axe', 'history') #> '{metadata,uid}' AS another_uid;

-- other keys than the one asked for have no say
SELECT store.get('Relic', 'axe', resource_version => :v3) AS cluster_scoped,
	store.get('Relic', 'axe', 'elsewhere', resource_version => :v3) AS elsewhere,
	store.get('Relic', 'axe', 'history', 'v2', resource_version => :v3) AS v2;

-- a cluster-scoped one
SELECT resource_version AS c1
FROM store.put(pg_temp.relic('crown', 'one') #- '{metadata,namespace}') \gset
SELECT op FROM store.put(pg_temp.relic('crown', 'two') #- '{metadata,namespace}');
SELECT store.get('Relic', 'crown', resource_version => :c1) #>> '{spec,value}' AS crown,
	store.get('Relic', 'crown', resource_version => :c1 - 1) AS before;
SELECT op FROM store.delete('Relic', 'crown');

--
-- Events
--

SELECT type, name, object #>> '{spec,value}' AS value, reason, ordinal,
	previous #>> '{spec,value}' AS previous,
	previous_version = (previous #>> '{metadata,resourceVersion}')::bigint AS version_is_its,
	object #>> '{metadata,resourceVersion}' = resource_version::text AS stamped
FROM store.events
WHERE kind = 'Relic' AND namespace = 'history' ORDER BY resource_version, ordinal;

-- the rows are in the segments, none in the parent
SELECT count(*) AS in_parent FROM ONLY store.events;
SELECT count(*) AS segments FROM pg_inherits WHERE inhparent = 'store.events'::regclass;
SELECT attname FROM pg_attribute
WHERE attrelid = 'store.events'::regclass AND attnum > 0 ORDER BY attnum;

-- which nobody else writes
SELECT * FROM tests.refusal('DELETE FROM store.events');
SELECT * FROM tests.refusal('TRUNCATE store.events_0');
SELECT * FROM tests.refusal('UPDATE store.events_7 SET reason = NULL');
SELECT * FROM tests.refusal('INSERT INTO store.events_1 SELECT * FROM store.events');
SELECT * FROM tests.refusal('DELETE FROM ONLY store.events');

--
-- Refused
--

SET store.request_timeout = '200ms';
SELECT * FROM tests.refusal(
	$$SELECT store.get('Relic', 'axe', 'history', resource_version => -1)$$);
SELECT state, message, detail ~ '^It has applied up to N' AS detail FROM tests.refusal(
	$$SELECT store.get('Relic', 'axe', 'history', resource_version => 1000000000)$$);
SELECT * FROM tests.refusal('SELECT store.compact(1000000000)');
SELECT * FROM tests.refusal('SELECT store.compact(-1)');
SELECT * FROM tests.refusal('SELECT store.compact(NULL)');
SELECT * FROM tests.refusal('SELECT store.compact(9223372036854775807)');
RESET store.request_timeout;
BEGIN READ ONLY;
SELECT * FROM tests.refusal('SELECT store.compact(0)');
ROLLBACK;
SELECT compacted_revision <= :v0 AS floor FROM store.status;

--
-- The floor
--

SELECT store.compact(:v3) = :v3 AS floor;
SELECT compacted_revision = :v3 AS floor FROM store.status;

-- exact at the floor and above, refused below
SELECT store.get('Relic', 'axe', 'history', resource_version => :v3) #>> '{spec,value}' AS v3,
	store.get('Relic', 'axe', 'history', resource_version => :v4) #>> '{spec,value}' AS v4,
	store.get('Relic', 'axe', 'history', resource_version => :v5) #>> '{spec,value}' AS v5;
SELECT * FROM tests.refusal(format(
	$$SELECT store.get('Relic', 'axe', 'history', resource_version => %s)$$, :v3 - 1));
SELECT * FROM tests.refusal(
	$$SELECT store.get('Relic', 'never', 'history', resource_version => 0)$$);
SELECT * FROM tests.refusal(format(
	$$SELECT store.list_page('Relic', resource_version => %s,
		resource_version_match => 'Exact')$$, :v3 - 1));

-- it never sinks
SELECT store.compact(:v1) = :v3 AS floor;
SELECT store.compact(0) = :v3 AS floor;
SELECT compacted_revision = :v3 AS floor FROM store.status;

-- no event, and no object is touched
SELECT count(*) AS events FROM store.events WHERE resource_version > :v6 AND kind = 'Relic'
	AND namespace = 'history';
SELECT store.get('Relic', 'axe', 'history') #>> '{metadata,resourceVersion}' = :'v6' AS untouched;

-- up to the newest index, not beyond
SELECT applied_index AS newest FROM store.status \gset
SELECT store.compact(:newest) = :newest AS floor;
SELECT applied_index = :newest + 1 AS one_entry FROM store.status;
SELECT state FROM tests.refusal(format('SELECT store.compact(%s)', :newest + 2));
SELECT store.get('Relic', 'axe', 'history', resource_version => :newest) #>> '{spec,value}' AS axe;

-- a rolled back transaction does not bring it back
SELECT store.compact(:newest + 1) > :newest AS floor \g /dev/null
BEGIN;
SELECT store.compact(:newest + 2) = :newest + 2 AS floor;
ROLLBACK;
SELECT compacted_revision = :newest + 2 AS floor FROM store.status;

SELECT op FROM store.delete('Relic', 'axe', 'history');
SELECT op FROM store.delete('Relic', 'bow', 'history');
