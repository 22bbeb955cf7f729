--
-- Label selectors and field selectors.
--

SELECT count(store.put(jsonb_build_object('apiVersion', 'v1', 'kind', 'Choice',
	'metadata', jsonb_build_object('name', o.name, 'namespace', o.namespace, 'labels', o.labels),
	'spec', o.spec)))
FROM (VALUES
	('a', 'ns1', '{"app": "web", "tier": "front", "x.io/on": ""}'::jsonb,
	 '{"node": "n1", "n": 1, "ok": true, "list": ["x", "y"]}'::jsonb),
	('b', 'ns1', '{"app": "web", "tier": "back"}', '{"node": "n2", "n": 2, "ok": false}'),
	('c', 'ns1', '{"app": "db"}', '{"node": "n1", "n": 1.0, "deep": {"er": "z"}}'),
	('d', 'ns2', '{"tier": "web", "app": "front"}', '{"node": null}'),
	('e', 'ns2', '{}', '{"node": "a,b=c\\d"}'),
	('f', 'ns2', NULL, '{"node": ""}'),
	('g', NULL, '{"in": "notin", "notin": "in"}', '{}')
) AS o(name, namespace, labels, spec);

-- the column follows the object
SELECT name, labels FROM store.resources WHERE kind = 'Choice' ORDER BY name;
SELECT op FROM store.patch('Choice', 'f', '{"metadata": {"labels": {"late": "yes"}}}',
	namespace => 'ns2');
SELECT labels FROM store.resources WHERE kind = 'Choice' AND name = 'f';
SELECT op FROM store.patch('Choice', 'f', '{"metadata": {"labels": null}}', namespace => 'ns2');
SELECT labels FROM store.resources WHERE kind = 'Choice' AND name = 'f';

CREATE FUNCTION pg_temp.names(labels text DEFAULT NULL, fields text DEFAULT NULL,
	namespace text DEFAULT NULL) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	result text;
	detail text;
BEGIN
	SELECT coalesce(string_agg(object #>> '{metadata,name}', ' ' ORDER BY n), '-') INTO result
	FROM store.list('Choice', namespace, label_selector => labels, field_selector => fields)
		WITH ORDINALITY AS t(object, n);
	RETURN result;
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN SQLSTATE || ': ' || SQLERRM || ': ' || detail;
END
$$;

--
-- Labels; a term that denies a value selects what has no such label at all
--

SELECT s.selector, pg_temp.names(s.selector) AS selected
FROM (VALUES
	(1, 'app=web'), (2, 'app==web'), (3, 'app = web'), (4, ' app=web , tier=back '),
	(5, 'app!=web'), (6, 'app in (web,db)'), (7, 'app in (web)'), (8, 'app notin (web,db)'),
	(9, 'app notin (web),tier'), (10, 'app'), (11, '!app'), (12, '! app'), (13, 'app,!tier'),
	(14, 'app=web,app=db'), (15, 'app in (web,db),app in (db,front)'), (16, 'tier=web'),
	(17, 'x.io/on'), (18, 'x.io/on='), (19, 'x.io/on!='), (20, 'app='), (21, 'app in (,web)'),
	(22, 'x.io/on in ()'), (23, 'in=notin'), (24, 'in in (notin)'), (25, 'notin notin (in)'),
	(26, '!in'), (27, 'in'), (28, ''), (29, '   '), (30, 'app,tier'),
	(31, 'app=web,tier in (front,back),!x.io/on'),
	(32, 'App=web'), (33, 'app=WEB'), (34, 'app!=web,app!=db,app!=front')
) AS s(number, selector) ORDER BY s.number;

-- refused, and where
SELECT left(s.selector, 20) AS selector, pg_temp.names(s.selector) AS refused
FROM (VALUES
	(1, ','), (2, 'a,'), (3, ',a'), (4, 'a,,b'), (5, '='), (6, 'a b'), (7, 'a=b c'), (8, 'a=b=c'),
	(9, 'a=(b)'), (10, 'a in'), (11, 'a in b'), (12, 'a in ('), (13, 'a in (b'), (14, 'a in (b c)'),
	(15, 'a in (b))'), (16, 'a in ()'), (17, '!'), (18, '!a=b'), (19, '!!a'), (20, 'a>1'),
	(21, 'a < 1'), (22, '-a'), (23, 'a-'), (24, 'a/b/c'), (25, '/a'), (26, 'a/'),
	(27, 'A.io/a'), (28, 'a..b/c'), (29, '-a.io/b'), (30, 'a=-b'), (31, 'a=b/c'),
	(32, 'a=b*'), (33, 'é=1'), (34, 'a=1,é'),
	(35, repeat('k', 64)), (36, 'a=' || repeat('v', 64)), (37, repeat('p', 254) || '/a'),
	(38, array_to_string(array_fill('a'::text, ARRAY[33]), ',')),
	(39, 'a in (' || array_to_string(array_fill('a'::text, ARRAY[101]), ',') || ')')
) AS s(number, selector) ORDER BY s.number;
SELECT pg_temp.names(repeat('k', 63) || '=' || repeat('v', 63));

--
-- Fields; one that is absent is ""
--

SELECT s.selector, pg_temp.names(NULL, s.selector) AS selected
FROM (VALUES
	(1, 'metadata.name=a'), (2, 'metadata.name==a'), (3, 'metadata.name!=a'),
	(4, 'metadata.namespace=ns1'), (5, 'metadata.namespace!=ns1'), (6, 'metadata.namespace='),
	(7, 'metadata.namespace!='), (8, 'metadata.namespace=ns2,metadata.name!=e'),
	(9, 'spec.node=n1'), (10, 'spec.node!=n1'), (11, 'spec.node='), (12, 'spec.node!='),
	(13, 'spec.node=a\,b\=c\\d'), (14, 'spec.n=1'), (15, 'spec.n=1.0'), (16, 'spec.ok=true'),
	(17, 'spec.ok!=true'), (18, 'spec.deep.er=z'), (19, 'spec.deep={"er": "z"}'),
	(20, 'spec.list.0=x'), (21, 'spec.list.2='), (22, 'spec.node.x='), (23, 'kind=Choice'),
	(24, 'metadata.labels.app=web'), (25, ''), (26, ',metadata.name=a,'), (27, 'spec.node= n1')
) AS s(number, selector) ORDER BY s.number;

-- refused fields, and where
SELECT left(s.selector, 30) AS selector, pg_temp.names(NULL, s.selector) AS refused
FROM (VALUES
	(1, 'metadata.name'), (2, 'a!b'), (3, '=a'), (4, 'spec..node=a'), (5, '.spec=a'),
	(6, 'spec.=a'), (7, ' spec.node=a'), (8, 'spec.node=a=b'), (9, 'spec.node=a\x'),
	(10, 'spec.node=a\'), (11, 'metadata.name=a,spec node=b'), (12, 'spec.-1=a'), (13, 'é.x=1'),
	(14, array_to_string(array_fill('a=b'::text, ARRAY[33]), ','))
) AS s(number, selector) ORDER BY s.number;

-- both, and a namespace
SELECT pg_temp.names('app', 'spec.node=n1'), pg_temp.names('app=web', 'metadata.name!=a', 'ns1'),
	pg_temp.names('app=web', namespace => 'ns2'), pg_temp.names('!app', namespace => 'ns2');

-- on an object at hand they select the same
SELECT count(*) AS selectors, count(*) FILTER (WHERE listed IS DISTINCT FROM matched) AS different
FROM (VALUES
	('app=web', NULL), ('app!=web', NULL), ('app in (web,db)', NULL), ('app notin (web,db)', NULL),
	('app', NULL), ('!app', NULL), ('app=web,app=db', NULL), ('x.io/on=', NULL), ('app=', NULL),
	('app in (,web)', NULL), ('in in (notin)', NULL), ('', NULL), ('tier,!x.io/on', NULL),
	(NULL, 'metadata.name=a'), (NULL, 'metadata.name!=a'), (NULL, 'metadata.namespace='),
	(NULL, 'metadata.namespace!='), (NULL, 'metadata.namespace!=ns1'), (NULL, 'spec.node=n1'),
	(NULL, 'spec.node!=n1'), (NULL, 'spec.node='), (NULL, 'spec.node!='), (NULL, 'spec.n=1.0'),
	(NULL, 'spec.ok=true'), (NULL, 'spec.ok!=true'), (NULL, 'spec.deep.er=z'),
	(NULL, 'spec.deep={"er": "z"}'), (NULL, 'spec.list.0=x'), (NULL, 'spec.list.00=x'),
	(NULL, 'spec.list.2='), (NULL, 'spec.list.1x=y'), (NULL, 'spec.list=["x"\, "y"]'),
	(NULL, 'spec.node.x='), (NULL, 'spec.list.99999999999='), (NULL, 'kind=Choice'),
	('app', 'spec.node=n1')
) AS s(labels, fields), LATERAL (
	SELECT (SELECT array_agg(l #>> '{metadata,name}' ORDER BY l #>> '{metadata,name}')
			FROM store.list('Choice', label_selector => s.labels,
				field_selector => s.fields) l) AS listed,
		(SELECT array_agg(name ORDER BY name) FROM store.resources
			WHERE kind = 'Choice' AND store.matches(object, s.labels, s.fields)) AS matched) AS r;
SELECT store.matches(NULL), store.matches('{"apiVersion": "v1", "kind": "Pod",
	"metadata": {"name": "x"}}', '!a');
SELECT store.matches('{}');

--
-- The index serves them
--

SELECT count(*) FROM (
	SELECT store.txn('[]', jsonb_agg(jsonb_build_object('put', jsonb_build_object(
		'apiVersion', 'v1', 'kind', 'Crowd', 'metadata', jsonb_build_object(
			'namespace', 'many', 'name', 'g' || i,
			'labels', jsonb_build_object('app', 'gadget', 'shard', (i % 1000)::text))))))
	FROM generate_series(1, 10000) i GROUP BY i / 500) AS t;
VACUUM ANALYZE store.resources;

-- the conditions that selectors become
CREATE FUNCTION pg_temp.plan(condition text) RETURNS SETOF text LANGUAGE plpgsql AS $$
BEGIN
	RETURN QUERY EXECUTE 'EXPLAIN (COSTS OFF) SELECT object FROM store.resources
		WHERE api_group = '''' AND version = ''v1'' AND kind = ''Crowd'' AND ' || condition ||
		' ORDER BY namespace NULLS FIRST, name';
END
$$;
SELECT pg_temp.plan($$labels @> '{"shard": "7"}'$$);
SELECT pg_temp.plan($$labels ?& '{missing}'$$);
SELECT pg_temp.plan($$(labels @> '{"shard": "7"}' OR labels @> '{"shard": "8"}')$$);

-- what store.list() really does: it asks the index, and reads the rows that match
-- and no others
CREATE FUNCTION pg_temp.counts() RETURNS bigint[]
LANGUAGE sql AS $$
	SELECT ARRAY[pg_stat_get_xact_numscans('store.resources_labels'::regclass),
		pg_stat_get_xact_numscans('store.resources_key'::regclass),
		pg_stat_get_xact_numscans('store.resources'::regclass),
		pg_stat_get_xact_tuples_fetched('store.resources'::regclass)]
$$;
CREATE FUNCTION pg_temp.measure(selector text, OUT listed bigint, OUT labels_scans bigint,
	OUT key_scans bigint, OUT table_scans bigint, OUT rows_read bigint)
LANGUAGE plpgsql AS $$
DECLARE
	before bigint[] := pg_temp.counts();
	after bigint[];
BEGIN
	SELECT count(*) INTO listed FROM store.list('Crowd', label_selector => selector);
	after := pg_temp.counts();
	labels_scans := after[1] - before[1];
	key_scans := after[2] - before[2];
	table_scans := after[3] - before[3];
	rows_read := after[4] - before[4];
END
$$;
SELECT selector, m.*
FROM (VALUES ('shard=7'), ('shard in (7,8)'), ('shard=7,app!=other'), ('missing'))
	AS s(selector), pg_temp.measure(selector) AS m;

-- a change that leaves labels alone is HOT, and one of labels is not
-- (statistics come late and in order: when the last insertion is counted, so is
-- every change before it)
CREATE FUNCTION pg_temp.updates(OUT updates bigint, OUT hot bigint)
LANGUAGE plpgsql AS $$
DECLARE
	rows bigint;
BEGIN
	PERFORM store.create(jsonb_build_object('apiVersion', 'v1', 'kind', 'Crowd',
		'metadata', jsonb_build_object('name', 'counted-' || gen_random_uuid())));
	SELECT count(*) INTO rows FROM store.resources;
	FOR i IN 1 .. 3000 LOOP
		PERFORM pg_stat_clear_snapshot();
		SELECT n_tup_upd, n_tup_hot_upd INTO updates, hot FROM pg_stat_user_tables
		WHERE relid = 'store.resources'::regclass AND n_tup_ins - n_tup_del = rows;
		EXIT WHEN FOUND;
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT updates, hot FROM pg_temp.updates() \gset before_
SELECT count(store.patch('Crowd', 'g' || i * 400, '{"spec": {"a": "b"}}', namespace => 'many'))
FROM generate_series(1, 20) i;
SELECT updates - :before_updates AS updates, hot - :before_hot AS hot FROM pg_temp.updates();
SELECT count(store.patch('Crowd', 'g' || i * 400, '{"metadata": {"labels": {"a": "b"}}}',
						 namespace => 'many'))
FROM generate_series(1, 20) i;
SELECT updates - :before_updates AS updates, hot - :before_hot AS hot FROM pg_temp.updates();
