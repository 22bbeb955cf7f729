-- Create, put, update, patch, delete: what each answers and leaves behind.

-- what a test may print of an object: all but what differs from run to run
CREATE FUNCTION pg_temp.shown(object jsonb) RETURNS jsonb LANGUAGE sql AS $$
	SELECT object #- '{metadata,uid}' #- '{metadata,creationTimestamp}'
		#- '{metadata,resourceVersion}' #- '{metadata,deletionTimestamp}'
$$;
-- and whether the stamps are what they should be
CREATE VIEW pg_temp.stamped AS
SELECT kind, name,
	object#>>'{metadata,resourceVersion}' = resource_version::text AS version,
	object#>>'{metadata,uid}' = uid::text AS uid,
	object#>>'{metadata,generation}' = generation::text AS generation,
	object#>>'{metadata,creationTimestamp}' ~ '^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$' AS created,
	resource_version >= create_revision AS revisions
FROM store.resources;
-- how something is refused, without the numbers that differ from run to run
CREATE FUNCTION pg_temp.refused(sql text,
	OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE sql;
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	detail := regexp_replace(detail, 'but \S+ was found', 'but another was found');
END
$$;
-- the history since a mark
CREATE TEMPORARY TABLE mark AS SELECT max(resource_version) AS at FROM store.events;

--
-- create
--
SELECT op, pg_temp.shown(object) FROM store.create('{
	"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud", "labels": {"app": "web"}},
	"spec": {"replicas": 2}}');
SELECT * FROM pg_temp.stamped WHERE name = 'web';
SELECT api_group, version, kind, namespace, name, generation,
	create_revision = resource_version AS fresh
FROM store.resources WHERE name = 'web';
-- it exists
SELECT store.create('{
	"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud"}}');
\echo :LAST_ERROR_SQLSTATE
-- the same name elsewhere is another resource: kind, group, version, namespace
SELECT op FROM store.create('{"apiVersion": "apps/v1", "kind": "StatefulSet",
	"metadata": {"name": "web", "namespace": "crud"}}');
SELECT op FROM store.create('{"apiVersion": "v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud"}}');
SELECT op FROM store.create('{"apiVersion": "apps/v1beta1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud"}}');
SELECT op FROM store.create('{"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "elsewhere"}}');
SELECT op FROM store.create('{"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web"}}');
SELECT api_group, version, kind, namespace FROM store.resources WHERE name = 'web'
ORDER BY api_group, version, kind, namespace NULLS FIRST;

--
-- put
--
SELECT op, pg_temp.shown(object) FROM store.put('{
	"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "1"}}');
SELECT op, pg_temp.shown(object) FROM store.put('{
	"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "2"}}');
-- what does not change anything is no write: same version, no event
SELECT resource_version AS before FROM store.resources WHERE name = 'settings' \gset
SELECT op, (object#>>'{metadata,resourceVersion}')::bigint = :before AS same_version
FROM store.put('{
	"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"namespace": "crud", "name": "settings"}, "data": {"a": "2"}}');
SELECT op FROM store.put((SELECT object FROM store.resources WHERE name = 'settings'));
SELECT op FROM store.put('{
	"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud", "resourceVersion": "1", "generation": 77},
	"data": {"a": "2"}}');
SELECT resource_version = :before AS same_version FROM store.resources WHERE name = 'settings';
SELECT count(*) AS events FROM store.events WHERE name = 'settings' AND resource_version > :before;
-- generation counts changes of spec, and only those
SELECT op, object#>'{metadata,generation}' AS generation FROM store.put('{
	"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud"}, "spec": {"replicas": 3}}');
SELECT op, object#>'{metadata,generation}' AS generation FROM store.put('{
	"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud"}, "spec": {"replicas": 3},
	"status": {"readyReplicas": 3}}');
SELECT op, object#>'{metadata,generation}' AS generation FROM store.put('{
	"apiVersion": "apps/v1", "kind": "Deployment",
	"metadata": {"name": "web", "namespace": "crud", "labels": {"app": "web"}},
	"spec": {"replicas": 3.0}}');
SELECT * FROM pg_temp.stamped WHERE name = 'web' AND kind = 'Deployment';
-- uid and creation are kept, whatever the caller says
SELECT uid AS uid_before, object#>'{metadata,creationTimestamp}' AS created_before
FROM store.resources WHERE name = 'settings' \gset
SELECT op, object#>>'{metadata,uid}' = :'uid_before' AS uid_kept,
	object#>'{metadata,creationTimestamp}' = :'created_before'::jsonb AS creation_kept
FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud",
		"creationTimestamp": "1999-01-01T00:00:00Z"}, "data": {"a": "3"}}');
-- with a precondition
SELECT resource_version AS seen FROM store.resources WHERE name = 'settings' \gset
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "4"}}', expected => :seen);
SELECT * FROM pg_temp.refused($$SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "5"}}', expected => 1)$$);
SELECT * FROM pg_temp.refused($$SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "not-there", "namespace": "crud"}}', expected => 1)$$);
-- the precondition is judged before asking whether anything changes
SELECT * FROM pg_temp.refused($$SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "4"}}', expected => 1)$$);
SELECT pg_temp.shown(store.get('ConfigMap', 'settings', 'crud'));
-- a reason is kept with the event
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "6"}}',
	reason => 'controller');

--
-- update
--
SELECT op, pg_temp.shown(object) FROM store.update('{
	"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}, "data": {"a": "7"}}');
SELECT op FROM store.update((SELECT jsonb_set(object, '{data,a}', '"8"')
	FROM store.resources WHERE name = 'settings'));
-- a resourceVersion in the object is the precondition
SELECT * FROM pg_temp.refused($$SELECT store.update('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud", "resourceVersion": "1"},
	"data": {"a": "9"}}')$$);
SELECT store.update('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "not-there", "namespace": "crud"}}');
\echo :LAST_ERROR_SQLSTATE

--
-- patch: RFC 7396
--
SELECT op, pg_temp.shown(object) FROM store.patch('ConfigMap', 'settings',
	'{"data": {"a": null, "b": "1"}, "metadata": {"labels": {"x": "y"}}}', 'crud');
SELECT op, pg_temp.shown(object) FROM store.patch('Deployment', 'web',
	'{"spec": {"replicas": 5, "selector": {"matchLabels": {"app": "web"}}}}', 'crud',
	api_version => 'apps/v1');
SELECT op FROM store.patch('ConfigMap', 'settings', '{"data": {"b": "1"}}', 'crud');
SELECT op FROM store.patch('ConfigMap', 'settings', '{}', 'crud');
-- of nothing: no operation
SELECT op, resource_version IS NOT NULL AS has_version, object
FROM store.patch('ConfigMap', 'not-there', '{"data": {"b": "1"}}', 'crud');
SELECT * FROM pg_temp.refused($$SELECT store.patch('ConfigMap', 'settings',
	'{"data": {"b": "2"}}', 'crud', expected => 1)$$);
-- who it is cannot be patched
SELECT store.patch('ConfigMap', 'settings', '{"metadata": {"name": "other"}}', 'crud');
SELECT store.patch('ConfigMap', 'settings', '{"metadata": {"namespace": "other"}}', 'crud');
SELECT store.patch('ConfigMap', 'settings', '{"kind": "Secret"}', 'crud');
SELECT store.patch('ConfigMap', 'settings', '{"apiVersion": "v2"}', 'crud');
SELECT store.patch('ConfigMap', 'settings', '{"metadata": null}', 'crud');
SELECT pg_temp.shown(store.get('ConfigMap', 'settings', 'crud'));

--
-- delete
--
SELECT * FROM pg_temp.refused($$SELECT store.delete('ConfigMap', 'settings', 'crud',
	expected => 1)$$);
SELECT * FROM pg_temp.refused($$SELECT store.delete('ConfigMap', 'settings', 'crud',
	uid => '00000000-0000-0000-0000-000000000000')$$);
SELECT op, pg_temp.shown(object),
	(object#>>'{metadata,resourceVersion}')::bigint = resource_version AS stamped
FROM store.delete('ConfigMap', 'settings', 'crud', uid => :'uid_before');
SELECT op, object FROM store.delete('ConfigMap', 'settings', 'crud');
SELECT store.get('ConfigMap', 'settings', 'crud') IS NULL AS gone;
-- a re-created object is another one
SELECT op, object#>>'{metadata,uid}' <> :'uid_before' AS new_uid,
	object#>'{metadata,generation}' AS generation
FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "settings", "namespace": "crud"}}');
-- with finalizers: pending until the last one goes
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "kept", "namespace": "crud", "finalizers": ["example.com/a"]}}');
SELECT op, object#>>'{metadata,deletionTimestamp}' ~ '^\d{4}-' AS stamped
FROM store.delete('ConfigMap', 'kept', 'crud');
SELECT op FROM store.delete('ConfigMap', 'kept', 'crud');
SELECT op FROM store.patch('ConfigMap', 'kept', '{"data": {"still": "here"}}', 'crud');
SELECT op FROM store.patch('ConfigMap', 'kept', '{"metadata": {"finalizers": null}}', 'crud');
SELECT store.get('ConfigMap', 'kept', 'crud') IS NULL AS gone;

--
-- not undone by ROLLBACK, and each its own version
--
BEGIN;
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "rolled-back", "namespace": "crud"}}');
ROLLBACK;
SELECT store.get('ConfigMap', 'rolled-back', 'crud') IS NOT NULL AS there;
BEGIN READ ONLY;
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "read-only", "namespace": "crud"}}');
ROLLBACK;
SELECT count(DISTINCT w.resource_version)
FROM generate_series(1, 5) i, store.put(jsonb_build_object('apiVersion', 'v1',
	'kind', 'ConfigMap', 'metadata', jsonb_build_object('name', 'many-' || i,
	'namespace', 'crud'))) w;

--
-- the history of all this
--
SELECT type, kind, namespace, name, reason,
	object#>>'{metadata,resourceVersion}' = resource_version::text AS stamped,
	at BETWEEN now() - interval '1 hour' AND now() + interval '1 hour' AS dated
FROM store.events WHERE resource_version > (SELECT at FROM mark)
ORDER BY resource_version, ordinal;
-- every resource is there as its last event says
SELECT count(*) FROM store.resources r
WHERE NOT EXISTS (SELECT FROM store.events e
	WHERE e.resource_version = r.resource_version AND e.object = r.object
		AND (e.api_group, e.version, e.kind, e.name)
			= (r.api_group, r.version, r.kind, r.name));
