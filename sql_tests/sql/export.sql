-- export(), import(): resources travel as objects, and a second import changes
-- nothing.

CREATE FUNCTION pg_temp.stripped(object jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT object #- '{metadata,uid}' #- '{metadata,resourceVersion}'
		#- '{metadata,generation}' #- '{metadata,creationTimestamp}'
$$;

SELECT op FROM store.put('{"apiVersion": "ex.io/v1", "kind": "Thing",
	"metadata": {"name": "b", "namespace": "export", "labels": {"a": "1"}}, "spec": {"n": 1}}');
SELECT op FROM store.put('{"apiVersion": "ex.io/v1", "kind": "Thing",
	"metadata": {"name": "a", "namespace": "export", "finalizers": ["ex.io/wait"]}}');
SELECT op FROM store.put('{"apiVersion": "ex.io/v1", "kind": "Room",
	"metadata": {"name": "cluster-scoped"}}');
SELECT op FROM store.patch('Thing', 'b', '{"spec": {"n": 2}}', 'export', 'ex.io/v1');

-- everything, in the order of keys, as it is stored
CREATE TEMP TABLE exported AS
	SELECT ordinality, object FROM store.export() WITH ORDINALITY AS e(object);
SELECT count(*) = (SELECT count(*) FROM store.resources) AS complete FROM exported;
SELECT count(*) AS "out of order"
FROM (SELECT ordinality, row_number() OVER (ORDER BY api_group, version, kind,
		namespace NULLS FIRST, name) AS wanted
	FROM exported JOIN store.resources r USING (object)) AS numbered
WHERE ordinality <> wanted;
SELECT pg_temp.stripped(object) FROM exported
WHERE object->>'apiVersion' = 'ex.io/v1' ORDER BY ordinality;

-- again, it changes nothing
SELECT op, count(*) FROM exported, store.import(object)
WHERE exported.object->>'apiVersion' = 'ex.io/v1' GROUP BY op;

-- a terminating resource comes back as one that is not
SELECT op FROM store.delete('Thing', 'a', 'export', 'ex.io/v1');
CREATE TEMP TABLE terminating AS
	SELECT object FROM store.export() AS e(object) WHERE object->'metadata' ? 'deletionTimestamp';
SELECT object#>'{metadata,name}' AS name FROM terminating;
SELECT op FROM store.patch('Thing', 'a', '{"metadata": {"finalizers": null}}',
	'export', 'ex.io/v1');
SELECT op FROM store.delete('Thing', 'b', 'export', 'ex.io/v1');
SELECT op FROM store.delete('Room', 'cluster-scoped', NULL, 'ex.io/v1');
SELECT op, (imported.object->'metadata') ? 'deletionTimestamp' AS terminating
FROM terminating, store.import(terminating.object) AS imported;

-- what was deleted is created again, with stamps of its own
SELECT imported.op, pg_temp.stripped(imported.object) = pg_temp.stripped(exported.object) AS same,
	imported.object#>>'{metadata,uid}' <> exported.object#>>'{metadata,uid}' AS new_uid,
	imported.object#>>'{metadata,generation}' AS generation,
	imported.object#>>'{metadata,resourceVersion}' = imported.resource_version::text AS version
FROM exported, store.import(exported.object) AS imported
WHERE exported.object->>'apiVersion' = 'ex.io/v1' AND exported.object#>>'{metadata,name}' <> 'a';
SELECT op FROM exported, store.import(exported.object)
WHERE exported.object->>'apiVersion' = 'ex.io/v1';

-- not resources
SELECT store.import('{"kind": "Thing"}');
SELECT store.import('[]');
SELECT store.import(NULL);

SELECT op FROM store.delete('Thing', 'b', 'export', 'ex.io/v1');
SELECT op FROM store.delete('Thing', 'a', 'export', 'ex.io/v1');
SELECT op FROM store.patch('Thing', 'a', '{"metadata": {"finalizers": null}}',
	'export', 'ex.io/v1');
SELECT op FROM store.delete('Room', 'cluster-scoped', NULL, 'ex.io/v1');
