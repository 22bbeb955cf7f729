--
-- Time to live
--

CREATE FUNCTION pg_temp.thing(name text, more jsonb DEFAULT '{}') RETURNS jsonb
LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'ConfigMap', 'metadata',
							  jsonb_build_object('name', name, 'namespace', 'ttl')) || more
$$;

-- Wait until a query says true, or as long as all of these may wait together.
CREATE TEMP TABLE patience AS SELECT clock_timestamp() + interval '2 min' AS until;

CREATE FUNCTION pg_temp.comes_true(query text) RETURNS boolean
LANGUAGE plpgsql AS $$
DECLARE
	answer boolean;
BEGIN
	LOOP
		EXECUTE query INTO answer;
		EXIT WHEN answer OR clock_timestamp() > (SELECT until FROM patience);
		PERFORM pg_sleep(0.02);
	END LOOP;
	RETURN answer;
END
$$;

-- Wait until a resource is gone.
CREATE FUNCTION pg_temp.gone(name text) RETURNS boolean
LANGUAGE sql AS $$
	SELECT pg_temp.comes_true(
		format($q$SELECT store.get('ConfigMap', %L, 'ttl') IS NULL$q$, name))
$$;

-- When a resource expires, after its event's time.
CREATE FUNCTION pg_temp.lives(name text) RETURNS interval
LANGUAGE sql AS $$
	SELECT r.expires_at - e.at FROM store.resources r JOIN store.events e USING (resource_version)
	WHERE r.namespace = 'ttl' AND r.name = lives.name
$$;

-- on create, put and update
SELECT op FROM store.create(pg_temp.thing('created'), ttl => '200 ms');
SELECT op FROM store.put(pg_temp.thing('put'), ttl => '200 ms');
SELECT op FROM store.create(pg_temp.thing('updated'));
SELECT op FROM store.update(pg_temp.thing('updated', '{"data": {"a": "b"}}'), ttl => '200 ms');
SELECT op FROM store.create(pg_temp.thing('kept'));
SELECT op FROM store.create(pg_temp.thing('later'), ttl => '1 mon 2 days 03:00');
SELECT pg_temp.lives('later') = interval '32 days 3 hours' AS as_said,
	pg_temp.lives('kept') IS NULL AS for_good;

SELECT pg_temp.gone('created'), pg_temp.gone('put'), pg_temp.gone('updated');
SELECT name, expires_at IS NOT NULL AS expires FROM store.resources
WHERE namespace = 'ttl' ORDER BY name;

-- not before its time; the deletion says who did it, and carries the last state
SELECT a.name, d.reason, d.at - a.at >= interval '200 ms' AS not_before,
	d.at - a.at < interval '60 s' AS soon_after,
	d.object #>> '{metadata,resourceVersion}' = d.resource_version::text AS stamped
FROM store.events d, LATERAL (SELECT * FROM store.events e
	WHERE e.namespace = 'ttl' AND e.name = d.name AND e.type <> 'DELETED'
	ORDER BY e.resource_version DESC LIMIT 1) AS a
WHERE d.namespace = 'ttl' AND d.type = 'DELETED' ORDER BY a.name;

--
-- A later write
--

-- without ttl keeps it for good: put, update, patch, and a put of the same
SELECT op FROM store.create(pg_temp.thing('by-put'), ttl => '4 s');
SELECT op FROM store.create(pg_temp.thing('by-update'), ttl => '4 s');
SELECT op FROM store.create(pg_temp.thing('by-patch'), ttl => '4 s');
SELECT op FROM store.create(pg_temp.thing('by-same'), ttl => '4 s');
SELECT op FROM store.create(pg_temp.thing('by-txn'), ttl => '4 s');
SELECT op FROM store.put(pg_temp.thing('by-put', '{"data": {"a": "b"}}'));
SELECT op FROM store.update(pg_temp.thing('by-update', '{"data": {"a": "b"}}'));
SELECT op FROM store.patch('ConfigMap', 'by-patch', '{"data": {"a": "b"}}', namespace => 'ttl');
SELECT op, object #>> '{metadata,resourceVersion}' = resource_version::text AS is_a_change
FROM store.put(pg_temp.thing('by-same'));
SELECT succeeded FROM store.txn('[]',
	jsonb_build_array(jsonb_build_object('put', pg_temp.thing('by-txn'))));
-- with ttl renews it, even if nothing else changes
SELECT op FROM store.create(pg_temp.thing('renewed'), ttl => '4 s');
SELECT op FROM store.put(pg_temp.thing('renewed'), ttl => '1 hour');
-- what changes nothing does not
SELECT op FROM store.create(pg_temp.thing('refused'), ttl => '4 s');
\set VERBOSITY terse
SELECT store.update(pg_temp.thing('refused', '{"metadata": {"name": "refused", "namespace": "ttl",
	"resourceVersion": "1"}}'));
SELECT store.create(pg_temp.thing('refused'));
SELECT pg_temp.gone('refused');
SELECT name, expires_at IS NOT NULL AS expires FROM store.resources
WHERE namespace = 'ttl' ORDER BY name;

-- a deletion that was proposed in vain: the resource was renewed since
SELECT store.delete('ConfigMap', 'renewed', 'ttl', expected => 1,
	reason => 'garbage_collector');
\set VERBOSITY default

-- a new resource of the same name owes nothing to the old one
SELECT op FROM store.create(pg_temp.thing('again'), ttl => '2 s');
SELECT op FROM store.delete('ConfigMap', 'again', 'ttl');
SELECT op FROM store.create(pg_temp.thing('again'));
-- (what was created later for as long is gone, so its time has passed)
SELECT op FROM store.create(pg_temp.thing('witness'), ttl => '2 s');
SELECT pg_temp.gone('witness');
SELECT store.get('ConfigMap', 'again', 'ttl') IS NOT NULL AS still_there;

--
-- Finalizers: it becomes terminating, once, and expires no more
--

SELECT op FROM store.create(pg_temp.thing('held', '{"metadata": {"name": "held", "namespace": "ttl",
	"finalizers": ["x/y"]}}'), ttl => '100 ms');
SELECT pg_temp.comes_true($$SELECT store.get('ConfigMap', 'held', 'ttl')
	#> '{metadata,deletionTimestamp}' IS NOT NULL$$) AS terminating;
SELECT expires_at IS NULL AS expires_no_more
FROM store.resources WHERE namespace = 'ttl' AND name = 'held';
SELECT op FROM store.put(pg_temp.thing('held', '{"metadata": {"name": "held", "namespace": "ttl",
	"finalizers": ["x/y"], "labels": {"a": "b"}}}'), ttl => '100 ms');
SELECT expires_at IS NULL AS expires_no_more
FROM store.resources WHERE namespace = 'ttl' AND name = 'held';
SELECT op FROM store.patch('ConfigMap', 'held', '{"metadata": {"finalizers": null}}',
	namespace => 'ttl');
SELECT type, reason FROM store.events
WHERE namespace = 'ttl' AND name = 'held' ORDER BY resource_version;

--
-- Refused
--

SELECT store.put(pg_temp.thing('bad'), ttl => '0');
SELECT store.put(pg_temp.thing('bad'), ttl => '-1 s');
SELECT store.put(pg_temp.thing('bad'), ttl => '1 mon -31 days');
SELECT store.put(pg_temp.thing('bad'), ttl => '178000000 years');
SELECT store.put(pg_temp.thing('bad'), ttl => '297000 years');
SELECT count(*) FROM store.resources WHERE namespace = 'ttl' AND name = 'bad';

-- many at once
SELECT count(store.put(pg_temp.thing('many-' || i), ttl => '500 ms'))
FROM generate_series(1, 1500) i;
SELECT pg_temp.comes_true($$SELECT NOT EXISTS (SELECT FROM store.list('ConfigMap', 'ttl') l
	WHERE l #>> '{metadata,name}' LIKE 'many-%')$$) AS gone;
SELECT type, count(*) FROM store.events
WHERE namespace = 'ttl' AND name LIKE 'many-%' GROUP BY type ORDER BY type;
