-- store.verify(): the resources are read and added up, and compared with what the
-- node knows that they should come to.
\set SHOW_CONTEXT never
CREATE FUNCTION pg_temp.verify(OUT resources bigint, OUT agrees boolean, OUT problem text)
LANGUAGE sql AS $$
	SELECT resources - (SELECT count(*) FROM store.resources), agrees, problem
	FROM store.verify()
$$;

-- a store that is well: all is read, as of now
SELECT member = (SELECT name FROM store.status) AS own, index = store.barrier() AS newest,
	resources = (SELECT count(*) FROM store.resources) AS all_resources,
	events = (SELECT count(*) FROM store.events WHERE resource_version >
		(SELECT compacted_revision FROM store.status)) AS all_events,
	length(digest), agrees, problem
FROM store.verify();

-- every kind of change keeps the sum up
SELECT op FROM store.create('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "a", "namespace": "verify", "labels": {"x": "y"}}, "data": {"n": "1"}}');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "a", "namespace": "verify", "labels": {"x": "y"}}, "data": {"n": "2"}}');
SELECT op FROM store.patch('ConfigMap', 'a', '{"data": {"n": "3"}}', 'verify');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "mortal", "namespace": "verify"}}', ttl => '1 day');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "held", "namespace": "verify", "finalizers": ["example.com/hold"]}}');
SELECT op FROM store.delete('ConfigMap', 'held', 'verify');
SELECT succeeded FROM store.txn('[]', '[
	{"put": {"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": {"name": "t", "namespace": "verify"}}},
	{"patch": {"key": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "verify", "name": "t"},
		"patch": {"data": {"n": "1"}}}},
	{"delete": {"apiVersion": "v1", "kind": "ConfigMap", "namespace": "verify", "name": "a"}},
	{"create": {"apiVersion": "v1", "kind": "ConfigMap",
		"metadata": {"name": "a", "namespace": "verify", "labels": {"x": "y"}}}}]');
SELECT * FROM pg_temp.verify();

-- the digest changes with any change, and is of the state, not of the way there
SELECT digest AS before FROM store.verify() \gset
SELECT op FROM store.patch('ConfigMap', 'a', '{"data": {"n": "4"}}', 'verify');
SELECT digest <> :'before' AS is_another FROM store.verify();

-- Damage: whatever is changed past the guard is found, and that it was undone, too.
CREATE TEMPORARY TABLE original AS SELECT * FROM store.resources WHERE namespace = 'verify';
CREATE PROCEDURE pg_temp.change(VARIADIC statements text[]) LANGUAGE plpgsql AS $$
DECLARE
	statement text;
BEGIN
	ALTER TABLE store.resources DISABLE TRIGGER guard, DISABLE TRIGGER guard_row;
	FOREACH statement IN ARRAY statements LOOP
		EXECUTE statement;
	END LOOP;
	ALTER TABLE store.resources ENABLE ALWAYS TRIGGER guard, ENABLE ALWAYS TRIGGER guard_row;
END
$$;
CREATE PROCEDURE pg_temp.damage(what text) LANGUAGE plpgsql AS $$
DECLARE
	found record;
BEGIN
	CALL pg_temp.change(what);
	COMMIT;
	SELECT * INTO found FROM pg_temp.verify();
	RAISE NOTICE '% %: %', found.resources, found.agrees, found.problem;
	CALL pg_temp.change('DELETE FROM store.resources WHERE namespace = ''verify''
		OR namespace IS NULL AND name = ''a''', 'INSERT INTO store.resources TABLE original');
	COMMIT;
	SELECT * INTO found FROM pg_temp.verify();
	IF NOT found.agrees THEN
		RAISE 'not undone: %', found.problem;
	END IF;
END
$$;
CALL pg_temp.damage($$UPDATE store.resources SET object = jsonb_set(object, '{data,n}', '"5"')
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET resource_version = resource_version + 1
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET create_revision = 0
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET generation = 99
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET uid = gen_random_uuid()
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET expires_at = expires_at + '1 second'
	WHERE namespace = 'verify' AND name = 'mortal'$$);
CALL pg_temp.damage($$UPDATE store.resources SET expires_at = NULL
	WHERE namespace = 'verify' AND name = 'mortal'$$);
CALL pg_temp.damage($$DELETE FROM store.resources WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$INSERT INTO store.resources
	SELECT api_group, version, kind, namespace, 'b', object, gen_random_uuid(), create_revision,
		resource_version, generation, labels, expires_at
	FROM store.resources WHERE namespace = 'verify' AND name = 'a'$$);

-- columns that are made of the object
CALL pg_temp.damage($$UPDATE store.resources SET labels = '{"x": "z"}'
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET labels = NULL
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET name = 'c'
	WHERE namespace = 'verify' AND name = 'a'$$);
CALL pg_temp.damage($$UPDATE store.resources SET namespace = NULL
	WHERE namespace = 'verify' AND name = 'a'$$);

-- after a compaction the history that is left is read
SELECT store.compact(store.barrier() - 1) IS NOT NULL;
SELECT events, agrees, problem FROM store.verify();

-- not while the session keeps the apply worker from its table
BEGIN;
LOCK TABLE store.resources IN SHARE MODE;
SELECT agrees FROM store.verify();
ROLLBACK;

SELECT name, (store.delete('ConfigMap', name, 'verify')).op FROM original ORDER BY name;
SELECT op FROM store.patch('ConfigMap', 'held', '{"metadata": {"finalizers": null}}', 'verify');
SELECT * FROM pg_temp.verify();
