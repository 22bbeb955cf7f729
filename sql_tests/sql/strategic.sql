--
-- Strategic merge patch, and schemas of custom kinds.
--

CREATE TYPE pg_temp.patched AS (op text, result jsonb, state text, detail text);
-- What a patch makes of the parts of a Pod, a Deployment, ... below path.
CREATE FUNCTION pg_temp.patched(kind text, api_version text, stored jsonb, patch jsonb)
RETURNS pg_temp.patched LANGUAGE plpgsql AS $$
DECLARE
	r pg_temp.patched;
BEGIN
	PERFORM store.patch(kind, 'target', '{"metadata": {"finalizers": null}}', 'strategic', api_version);
	PERFORM store.delete(kind, 'target', 'strategic', api_version);
	PERFORM store.put(jsonb_build_object('apiVersion', api_version, 'kind', kind,
		'metadata', '{"name": "target", "namespace": "strategic"}'::jsonb
			|| coalesce(stored -> 'metadata', '{}')) || (stored - 'metadata'));
	SELECT p.op, p.object - '{apiVersion,kind}'::text[]
			#- '{metadata,name}' #- '{metadata,namespace}' #- '{metadata,uid}'
			#- '{metadata,creationTimestamp}' #- '{metadata,generation}'
			#- '{metadata,resourceVersion}'
	INTO r.op, r.result
	FROM store.patch(kind, 'target', patch, namespace => 'strategic',
		api_version => api_version, type => 'strategic') p;
	IF r.result -> 'metadata' = '{}' THEN
		r.result := r.result - 'metadata';
	END IF;
	RETURN r;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS r.state = RETURNED_SQLSTATE, r.detail = PG_EXCEPTION_DETAIL;
	r.detail := coalesce(nullif(r.detail, ''), SQLERRM);
	RETURN r;
END
$$;

\set VERBOSITY terse
-- Lists by key, lists that are values, maps
SELECT a.n, a.rule, p.*
FROM (VALUES
	(1, 'an item is merged by its key', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a", "image": "a:1", "tty": true}, {"name": "b"}]}}'::jsonb,
	 '{"spec": {"containers": [{"name": "a", "image": "a:2"}]}}'::jsonb),
	(2, 'a new item comes last', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a"}]}}',
	 '{"spec": {"containers": [{"name": "c", "image": "c:1"}]}}'),
	(3, 'a list without a key is replaced', 'Pod', 'v1',
	 '{"spec": {"tolerations": [{"key": "a"}], "containers": [{"name": "a", "args": ["x", "y"]}]}}',
	 '{"spec": {"tolerations": [{"key": "b"}], "containers": [{"name": "a", "args": ["z"]}]}}'),
	(4, 'a list of values is a set', 'Pod', 'v1',
	 '{"metadata": {"finalizers": ["x.io/a", "x.io/b"]}}',
	 '{"metadata": {"finalizers": ["x.io/b", "x.io/c"]}}'),
	(5, 'keys of several kinds', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "1"}],
	   "ports": [{"containerPort": 80, "name": "http"}],
	   "volumeMounts": [{"mountPath": "/a", "name": "v"}]}]}}',
	 '{"spec": {"containers": [{"name": "a", "env": [{"name": "X", "value": "2"}, {"name": "Y"}],
	   "ports": [{"containerPort": 80, "hostPort": 8080}],
	   "volumeMounts": [{"mountPath": "/a", "readOnly": true}]}]}}'),
	(6, 'within a template', 'Deployment', 'apps/v1',
	 '{"spec": {"template": {"spec": {"containers": [{"name": "a", "image": "a:1"}]}}}}',
	 '{"spec": {"replicas": 2, "template": {"spec": {"containers": [{"name": "a", "image": "a:2"}],
	   "initContainers": [{"name": "i"}]}}}}'),
	(7, 'null removes a field', 'Pod', 'v1',
	 '{"spec": {"nodeName": "n", "containers": [{"name": "a", "image": "a:1"}]}}',
	 '{"spec": {"nodeName": null, "containers": [{"name": "a", "image": null}]}}'),
	(8, 'null in what is new is dropped', 'Pod', 'v1', '{"spec": {}}',
	 '{"spec": {"dnsConfig": {"a": null, "b": 1}}}'),
	(9, 'another type is replaced', 'Pod', 'v1', '{"spec": {"containers": "odd", "x": [1]}}',
	 '{"spec": {"containers": [{"name": "a"}], "x": {"y": 1}}}'),
	(10, 'services by port', 'Service', 'v1',
	 '{"spec": {"ports": [{"port": 80, "targetPort": 1}, {"port": 443}]}}',
	 '{"spec": {"ports": [{"port": 80, "targetPort": 2}]}}'),
	(11, 'a map that is replaced', 'PodDisruptionBudget', 'policy/v1',
	 '{"spec": {"selector": {"matchLabels": {"a": "b"}}}}',
	 '{"spec": {"selector": {"matchLabels": {"c": "d"}}}}'),
	(12, 'nothing changes', 'Pod', 'v1', '{"spec": {"containers": [{"name": "a", "image": "x"}]}}',
	 '{"spec": {"containers": [{"name": "a", "image": "x"}]}}')
) AS a(n, rule, kind, api_version, stored, patch),
	pg_temp.patched(a.kind, a.api_version, a.stored, a.patch) AS p
ORDER BY a.n;

-- Directives
SELECT a.n, a.rule, p.*
FROM (VALUES
	(1, 'replace a map', 'Pod', 'v1',
	 '{"spec": {"securityContext": {"runAsUser": 1, "fsGroup": 2}}}'::jsonb,
	 '{"spec": {"securityContext": {"$patch": "replace", "runAsUser": 3}}}'::jsonb),
	(2, 'delete a map: it is empty', 'Pod', 'v1',
	 '{"spec": {"securityContext": {"runAsUser": 1}}}',
	 '{"spec": {"securityContext": {"$patch": "delete", "fsGroup": 2}}}'),
	(3, 'merge says what is done anyway', 'Pod', 'v1',
	 '{"spec": {"securityContext": {"runAsUser": 1}, "containers": [{"name": "a", "image": "x"}]}}',
	 '{"spec": {"securityContext": {"$patch": "merge", "fsGroup": 2},
	   "containers": [{"$patch": "merge", "name": "a", "tty": true}]}}'),
	(4, 'delete an item', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}]}}',
	 '{"spec": {"containers": [{"name": "b", "$patch": "delete"}, {"name": "d"}]}}'),
	(5, 'delete an item and bring it anew', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}',
	 '{"spec": {"containers": [{"name": "a", "tty": true}, {"name": "a", "$patch": "delete"}]}}'),
	(6, 'replace a list', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a", "image": "x"}, {"name": "b"}]}}',
	 '{"spec": {"containers": [{"$patch": "replace"}, {"name": "a", "tty": true}]}}'),
	(7, 'take values out of a set', 'Pod', 'v1',
	 '{"metadata": {"finalizers": ["x.io/a", "x.io/b", "x.io/c"]}}',
	 '{"metadata": {"$deleteFromPrimitiveList/finalizers": ["x.io/a", "x.io/z"],
	   "finalizers": ["x.io/d"]}}'),
	(8, 'retain keys', 'Deployment', 'apps/v1',
	 '{"spec": {"strategy": {"type": "RollingUpdate", "rollingUpdate": {"maxSurge": 1}}}}',
	 '{"spec": {"strategy": {"$retainKeys": ["type"], "type": "Recreate"}}}'),
	(9, 'retain keys of an item', 'Pod', 'v1',
	 '{"spec": {"volumes": [{"name": "v", "emptyDir": {}}, {"name": "w", "emptyDir": {}}]}}',
	 '{"spec": {"volumes": [{"name": "v", "$retainKeys": ["name", "configMap"],
	   "configMap": {"name": "c"}}]}}'),
	(10, 'order: what is named as named, the rest in its place', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a"}, {"name": "b"}, {"name": "c"}, {"name": "d"}]}}',
	 '{"spec": {"$setElementOrder/containers": [{"name": "d"}, {"name": "b"}]}}'),
	(11, 'order: with a new item', 'Pod', 'v1',
	 '{"spec": {"containers": [{"name": "a"}, {"name": "b"}]}}',
	 '{"spec": {"$setElementOrder/containers": [{"name": "n"}, {"name": "a"}],
	   "containers": [{"name": "n", "image": "x"}]}}'),
	(12, 'order of a set', 'Pod', 'v1',
	 '{"metadata": {"finalizers": ["x.io/a", "x.io/b", "x.io/c"]}}',
	 '{"metadata": {"$setElementOrder/finalizers": ["x.io/c", "x.io/a", "x.io/gone"]}}'),
	(13, 'directives in what is new leave no trace', 'Pod', 'v1', '{"spec": {}}',
	 '{"spec": {"containers": [{"name": "a", "$retainKeys": ["name", "env", "securityContext"],
	   "$setElementOrder/env": [{"name": "X"}], "env": [{"name": "Y", "$patch": "delete"}],
	   "securityContext": {"$patch": "replace", "x": 1}}],
	   "tolerations": [{"$patch": "replace"}]}}')
) AS a(n, rule, kind, api_version, stored, patch),
	pg_temp.patched(a.kind, a.api_version, a.stored, a.patch) AS p
ORDER BY a.n;

-- Refused: all of the patch
SELECT a.n, p.state, p.detail
FROM (VALUES
	(1, 'Pod', 'v1', '{"spec": {"containers": [{"image": "x"}]}}'::jsonb),
	(2, 'Pod', 'v1', '{"spec": {"containers": ["a"]}}'),
	(3, 'Pod', 'v1', '{"metadata": {"finalizers": [{"a": 1}]}}'),
	(4, 'Pod', 'v1', '{"spec": {"x": {"$patch": "erase"}}}'),
	(5, 'Pod', 'v1', '{"spec": {"containers": [{"name": "a", "$patch": 1}]}}'),
	(6, 'Pod', 'v1', '{"spec": {"$retain": []}}'),
	(7, 'Pod', 'v1', '{"spec": {"x": {"$retainKeys": ["a"], "b": 1}}}'),
	(8, 'Pod', 'v1', '{"spec": {"x": {"$retainKeys": "a"}}}'),
	(9, 'Pod', 'v1', '{"spec": {"$setElementOrder/tolerations": [{"key": "a"}]}}'),
	(10, 'Pod', 'v1', '{"spec": {"$setElementOrder/containers": [{"image": "a"}]}}'),
	(11, 'Pod', 'v1', '{"spec": {"$setElementOrder/containers": [{"name": "a"}, {"name": "b"}],
		"containers": [{"name": "b"}, {"name": "a"}]}}'),
	(12, 'Pod', 'v1', '{"spec": {"$setElementOrder/containers": [{"name": "a"}],
		"containers": [{"name": "b"}]}}'),
	(13, 'Pod', 'v1', '{"spec": {"$deleteFromPrimitiveList/nodeName": ["a"], "nodeName": "x"}}'),
	(14, 'Pod', 'v1', '{"metadata": {"name": "other"}}'),
	(15, 'Pod', 'v1', '[]'),
	(16, 'Widget', 'v1', '{"spec": {"a": 1}}'),
	(17, 'Deployment', 'example.com/v1', '{"spec": {"a": 1}}')
) AS a(n, kind, api_version, patch),
	pg_temp.patched(a.kind, a.api_version, '{"spec": {}}', a.patch) AS p
ORDER BY a.n;

-- A custom kind, once its schema is known
SELECT op, jsonb_pretty(object -> 'spec')
FROM store.register_schema('CronTab', 'stable.example.com/v1', '{
	"openAPIV3Schema": {"type": "object", "description": "left out", "properties": {"spec": {
		"type": "object", "properties": {
			"jobs": {"type": "array", "x-kubernetes-list-type": "map",
				"x-kubernetes-list-map-keys": ["zone", "name"],
				"items": {"type": "object", "properties": {"name": {"type": "string"},
					"zone": {"type": "string", "default": "here", "description": "left out"}}}},
			"tags": {"type": "array", "x-kubernetes-list-type": "set", "items": {"type": "string"}},
			"steps": {"type": "array", "items": {"type": "string"}},
			"rules": {"type": "array", "x-kubernetes-patch-strategy": "merge",
				"x-kubernetes-patch-merge-key": "id"},
			"choice": {"type": "object", "x-kubernetes-patch-strategy": "replace"}}}}}}');
SELECT p.*
FROM pg_temp.patched('CronTab', 'stable.example.com/v1',
	'{"spec": {"jobs": [{"name": "a", "x": 1}, {"name": "a", "zone": "there", "x": 2}],
	  "tags": ["a"], "steps": ["a"], "rules": [{"id": 1, "x": 1}, {"id": 2}], "choice": {"a": 1}}}',
	'{"spec": {"jobs": [{"name": "a", "zone": "here", "x": 3}], "tags": ["b"], "steps": ["b"],
	  "rules": [{"id": 1.0, "y": 1}], "choice": {"b": 1}}}') AS p;
-- its schema is a resource, and without it the kind is unknown again
SELECT op FROM store.delete('ResourceSchema', 'CronTab.v1.stable.example.com',
	api_version => 'schema.store/v1');
SELECT p.state, p.detail
FROM pg_temp.patched('CronTab', 'stable.example.com/v1', '{}', '{"spec": {"tags": ["b"]}}') AS p;
-- a transaction sees the schema that it brings
SELECT succeeded, results -> 2 -> 'object' -> 'spec' AS spec FROM store.txn('[]', '[
	{"put": {"apiVersion": "schema.store/v1", "kind": "ResourceSchema",
		"metadata": {"name": "CronTab.v1.stable.example.com"},
		"spec": {"openAPIV3Schema": {"properties": {"spec": {"properties": {"tags":
			{"x-kubernetes-list-type": "set"}}}}}}}},
	{"put": {"apiVersion": "stable.example.com/v1", "kind": "CronTab",
		"metadata": {"name": "target", "namespace": "strategic"}, "spec": {"tags": ["a"]}}},
	{"patch": {"key": {"apiVersion": "stable.example.com/v1", "kind": "CronTab",
		"namespace": "strategic", "name": "target"}, "type": "strategic",
		"patch": {"spec": {"tags": ["b"]}}}}]');
-- schemas that are refused
SELECT r.state, r.message, r.detail FROM (VALUES
	('''Pod'', ''v1'', ''{}'''), ('''Widget'', ''v1'', ''[]'''), ('''Widget'', ''v1'', ''{}'''),
	('''widgets'', ''v1'', ''{}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"x-kubernetes-list-type": "bag"}}}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"x-kubernetes-list-type": "map"}}}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"x-kubernetes-list-type": "map",
		"x-kubernetes-list-map-keys": ["x", "x"]}}}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"x-kubernetes-map-type": "x"}}}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"x-kubernetes-patch-strategy": "x"}}}'''),
	('''Widget'', ''v1'', ''{"properties": {"a": {"items": {"$ref": "#/x"}}}}''')
) AS a(arguments), tests.refusal('SELECT store.register_schema(' || a.arguments || ')') AS r;
