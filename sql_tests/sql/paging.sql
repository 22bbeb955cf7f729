--
-- store.list_page(): pages, tokens, and the versions they are of.
--
-- Resource versions and tokens differ from run to run, so they are compared,
-- not shown.  Everything is of the kind "Leaf".
--

\set VERBOSITY terse

CREATE FUNCTION pg_temp.leaf(name text, namespace text, value int DEFAULT 1)
RETURNS jsonb LANGUAGE sql IMMUTABLE AS $$
	SELECT jsonb_build_object('apiVersion', 'v1', 'kind', 'Leaf',
		'metadata', jsonb_strip_nulls(jsonb_build_object('name', name, 'namespace', namespace,
			'labels', jsonb_build_object('parity',
				CASE value % 2 WHEN 0 THEN 'even' ELSE 'odd' END))),
		'spec', jsonb_build_object('value', value))
$$;

-- What a page shows.
CREATE FUNCTION pg_temp.show(page jsonb, OUT items text, OUT more boolean, OUT remaining int)
LANGUAGE sql IMMUTABLE AS $$
	SELECT (SELECT string_agg(concat_ws('/', item #>> '{metadata,namespace}',
			item #>> '{metadata,name}'), ' ' ORDER BY n)
		FROM jsonb_array_elements(page -> 'items') WITH ORDINALITY AS i (item, n)),
		page #> '{metadata}' ? 'continue', (page #>> '{metadata,remainingItemCount}')::int
$$;

-- All pages, one after the other.
CREATE FUNCTION pg_temp.pages(size int, ns text DEFAULT NULL, label text DEFAULT NULL,
	at bigint DEFAULT NULL, field text DEFAULT NULL)
RETURNS TABLE (page int, items text, more boolean, remaining int, same_version boolean)
LANGUAGE plpgsql AS $$
DECLARE
	result jsonb := store.list_page('Leaf', ns, label_selector => label,
		field_selector => field, "limit" => size, resource_version => at);
	version text := result #>> '{metadata,resourceVersion}';
BEGIN
	FOR n IN 1 .. 100 LOOP
		RETURN QUERY SELECT n, s.*, result #>> '{metadata,resourceVersion}' = version
			FROM pg_temp.show(result) AS s;
		EXIT WHEN NOT result -> 'metadata' ? 'continue';
		result := store.list_page('Leaf', ns, label_selector => label, field_selector => field,
			"limit" => size, continue => result #>> '{metadata,continue}');
	END LOOP;
END
$$;

--
-- The shape of a list
--

SELECT store.list_page('Leaf') #- '{metadata,resourceVersion}' AS empty;
SELECT (store.list_page('Leaf') #>> '{metadata,resourceVersion}')::bigint
	= applied_index AS version
FROM store.status;
SELECT store.list_page('Leaf', api_version => 'trees/v1', "limit" => 1)
	#- '{metadata,resourceVersion}' AS empty;

SELECT count(*) FROM (
	SELECT store.put(pg_temp.leaf(name, namespace, n))
	FROM (VALUES (1, 'a', 'oak'), (2, 'b', 'oak'), (3, 'c', 'oak'), (4, 'B', 'oak'),
		(5, 'a', 'fir'), (6, 'b', 'fir'), (7, 'a-b', 'fir'), (8, 'x', NULL), (9, 'y', NULL),
		(10, 'a', 'Oak-2'), (11, 'a.b', 'fir'), (12, 'aa', 'fir')
	) AS v (n, name, namespace)) AS puts;

SELECT jsonb_object_keys(store.list_page('Leaf', 'oak', "limit" => 1)) AS key
UNION ALL
SELECT jsonb_object_keys(store.list_page('Leaf', 'oak', "limit" => 1) -> 'metadata');
SELECT store.list_page('Leaf', 'oak') -> 'items' -> 0
	= store.get('Leaf', 'B', 'oak') AS whole_objects;

-- the same as store.list(), in the same order, by the bytes of the key
SELECT (store.list_page('Leaf') -> 'items') = jsonb_agg(item) AS same FROM store.list('Leaf') item;
SELECT * FROM pg_temp.show(store.list_page('Leaf'));
SELECT * FROM pg_temp.show(store.list_page('Leaf', "limit" => 0));
SELECT * FROM pg_temp.show(store.list_page('Leaf', 'fir'));

--
-- Pages of any size concatenate
--

SELECT * FROM pg_temp.pages(1, 'oak');
SELECT * FROM pg_temp.pages(5);
SELECT * FROM pg_temp.pages(12);
SELECT * FROM pg_temp.pages(11);
SELECT size, count(*) AS pages, string_agg(items, ' ' ORDER BY page)
	= (SELECT items FROM pg_temp.show(store.list_page('Leaf'))) AS same, bool_and(same_version)
FROM generate_series(1, 13) AS size, pg_temp.pages(size) GROUP BY size ORDER BY size;

-- the size may change from page to page, or end
SELECT store.list_page('Leaf', "limit" => 3) #>> '{metadata,continue}' AS token \gset
SELECT * FROM pg_temp.show(store.list_page('Leaf', "limit" => 2, continue => :'token'));
SELECT * FROM pg_temp.show(store.list_page('Leaf', continue => :'token'));

--
-- Selectors: a page is filled as long as there are items, and none are counted
--

SELECT * FROM pg_temp.pages(2, label => 'parity=even');
SELECT * FROM pg_temp.pages(3, 'fir', 'parity!=even');
SELECT * FROM pg_temp.pages(3, field => 'metadata.name=a');
SELECT * FROM pg_temp.pages(2, label => 'parity in (odd)', field => 'metadata.namespace!=fir');
SELECT * FROM pg_temp.pages(2, label => 'parity=none');

-- however far apart they are
SELECT * FROM pg_temp.pages(1, field => 'spec.value=3');
SELECT * FROM pg_temp.pages(1, label => 'parity=odd', field => 'metadata.namespace=oak');

--
-- What happens between two pages is not in the list
--

SELECT store.list_page('Leaf', "limit" => 3) AS page \gset
SELECT store.list_page('Leaf', "limit" => 3, label_selector => 'parity=even') AS even_page \gset
SELECT op FROM store.put(pg_temp.leaf('a-new', 'fir', 2));
SELECT op FROM store.put(pg_temp.leaf('new', 'zoo', 2));
SELECT op FROM store.delete('Leaf', 'b', 'fir');
SELECT op FROM store.put(pg_temp.leaf('c', 'oak', 30));
SELECT op FROM store.delete('Leaf', 'b', 'oak');
SELECT op FROM store.put(pg_temp.leaf('b', 'oak', 5));

SELECT store.list_page('Leaf',
	continue => :'page'::jsonb #>> '{metadata,continue}') AS rest \gset
SELECT * FROM pg_temp.show(:'rest');
SELECT string_agg(item #>> '{spec,value}', ' ' ORDER BY n) AS values_then
FROM jsonb_array_elements((:'rest'::jsonb) -> 'items') WITH ORDINALITY AS i (item, n);
SELECT (:'rest'::jsonb #>> '{metadata,resourceVersion}')
	= (:'page'::jsonb #>> '{metadata,resourceVersion}') AS same_version;
SELECT * FROM pg_temp.show(store.list_page('Leaf', label_selector => 'parity=even',
	continue => :'even_page'::jsonb #>> '{metadata,continue}'));
SELECT * FROM pg_temp.show(store.list_page('Leaf'));

--
-- Versions
--

SELECT :'page'::jsonb #>> '{metadata,resourceVersion}' AS v \gset

-- Exact
SELECT (store.list_page('Leaf', resource_version => :v, resource_version_match => 'Exact')
	-> 'items') = (:'page'::jsonb -> 'items') || (:'rest'::jsonb -> 'items') AS as_it_was;
SELECT * FROM pg_temp.pages(5, at => :v);
SELECT (store.list_page('Leaf', resource_version => :v, resource_version_match => 'Exact')
	#>> '{metadata,resourceVersion}')::bigint = :v AS version;

-- not older: the newest there is
SELECT store.list_page('Leaf', resource_version => :v, resource_version_match => 'NotOlderThan')
	= store.list_page('Leaf') AS newest;
SELECT store.list_page('Leaf', resource_version => :v) = store.list_page('Leaf') AS newest;
SELECT (store.list_page('Leaf', resource_version => :v, "limit" => 20) -> 'items')
	= (:'page'::jsonb -> 'items') || (:'rest'::jsonb -> 'items') AS exact;
SELECT store.list_page('Leaf', resource_version => :v, resource_version_match => 'NotOlderThan',
	"limit" => 20) = store.list_page('Leaf') AS newest;
SELECT store.list_page('Leaf', resource_version => 0, "limit" => 20)
	= store.list_page('Leaf') AS newest;

-- which is waited for: the deletion that is due
SELECT resource_version AS due
FROM store.put(pg_temp.leaf('short', 'zoo'), ttl => '300 ms') \gset
SET store.request_timeout = '60s';
SELECT items, (page #>> '{metadata,resourceVersion}')::bigint > :due AS reached
FROM store.list_page('Leaf', 'zoo', resource_version => :due + 1,
	resource_version_match => 'NotOlderThan') AS page, pg_temp.show(page);
RESET store.request_timeout;

-- items and version are of one state, whatever snapshot the session holds
BEGIN ISOLATION LEVEL REPEATABLE READ;
SELECT count(*) FROM store.resources WHERE kind = 'Leaf' AND namespace = 'zoo';
SELECT resource_version AS seen FROM store.put(pg_temp.leaf('seen', 'zoo')) \gset
SELECT items, page #>> '{metadata,resourceVersion}' = :'seen' AS version
FROM store.list_page('Leaf', 'zoo') AS page, pg_temp.show(page);
COMMIT;
SELECT op FROM store.delete('Leaf', 'seen', 'zoo');

-- not there yet
SET store.request_timeout = '200ms';
SELECT match, r.state, r.message FROM unnest(ARRAY['Exact', 'NotOlderThan', NULL]) AS match,
	tests.refusal(format($$SELECT store.list_page('Leaf', resource_version => 1000000000,
		resource_version_match => %L)$$, match)) AS r;
RESET store.request_timeout;

--
-- Refused
--

SELECT r.* FROM (VALUES
	(1, $$kind => NULL$$),
	(2, $$kind => ''$$),
	(3, $$kind => 'Leaf', namespace => ''$$),
	(4, $$kind => 'Leaf', api_version => NULL$$),
	(5, $$kind => 'Leaf', "limit" => -1$$),
	(6, $$kind => 'Leaf', resource_version => -1$$),
	(7, $$kind => 'Leaf', resource_version => 1, resource_version_match => 'exact'$$),
	(8, $$kind => 'Leaf', resource_version => 1, resource_version_match => ''$$),
	(9, $$kind => 'Leaf', resource_version_match => 'Exact'$$),
	(10, $$kind => 'Leaf', resource_version_match => 'NotOlderThan'$$),
	(11, $$kind => 'Leaf', resource_version => 0, resource_version_match => 'Exact'$$),
	(12, $$kind => 'Leaf', continue => ''$$),
	(13, $$kind => 'Leaf', continue => 'no token'$$),
	(14, $$kind => 'Leaf', label_selector => 'a in ('$$),
	(15, $$kind => 'Leaf', field_selector => 'a'$$)) AS v (n, arguments),
	tests.refusal(format('SELECT store.list_page(%s)', arguments)) AS r
ORDER BY n;

-- a token belongs to its list, and says which version is read
SELECT r.state, r.message, r.detail FROM (VALUES
	(1, $$'Leaf', continue => %L$$),
	(2, $$'Leaf', 'oak', continue => %L$$),
	(3, $$'Twig', continue => %L$$),
	(4, $$'Leaf', api_version => 'v2', continue => %L$$),
	(5, $$'Leaf', label_selector => 'a', continue => %L$$),
	(6, $$'Leaf', field_selector => 'a=b', continue => %L$$),
	(7, $$'Leaf', continue => %L, resource_version => 1$$),
	(8, $$'Leaf', continue => %L, resource_version_match => 'Exact'$$)) AS v (n, arguments),
	tests.refusal(format('SELECT store.list_page(' || arguments || ')', :'token')) AS r
ORDER BY n;

-- whoever changes, cuts or lengthens it is noticed, at every place
SELECT r.state, count(*) = length(:'token') AS everywhere
FROM generate_series(1, length(:'token')) AS i,
	tests.refusal(format('SELECT store.list_page(''Leaf'', continue => %L)',
		overlay(:'token' PLACING CASE substr(:'token', i, 1) WHEN 'A' THEN 'B' ELSE 'A' END
			FROM i))) AS r
GROUP BY r.state;
SELECT r.state, count(*) = length(:'token') AS everywhere
FROM generate_series(0, length(:'token') - 1) AS i,
	tests.refusal(format('SELECT store.list_page(''Leaf'', continue => %L)',
		left(:'token', i))) AS r
GROUP BY r.state;
SELECT r.state FROM unnest(ARRAY['A', '=', ' ', '.']) AS more,
	tests.refusal(format('SELECT store.list_page(''Leaf'', continue => %L)',
		:'token' || more)) AS r;
SELECT r.state, count(*)
FROM regexp_split_to_table(
	'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_', '') AS last,
	tests.refusal(format('SELECT store.list_page(''Leaf'', continue => %L)',
		left(:'token', -1) || last)) AS r
GROUP BY r.state ORDER BY r.state;
SELECT r.state, r.detail FROM tests.refusal(format(
	'SELECT store.list_page(''Leaf'', continue => %L)', repeat('A', 100000))) AS r;

--
-- Below the floor
--

SELECT store.compact((:'rest'::jsonb #>> '{metadata,resourceVersion}')::bigint) > 0 AS floor;
SELECT * FROM pg_temp.show(store.list_page('Leaf',
	continue => :'page'::jsonb #>> '{metadata,continue}'));

SELECT applied_index AS floor FROM store.status \gset
SELECT store.compact(:floor) = :floor AS floor;
SELECT * FROM tests.refusal(format('SELECT store.list_page(''Leaf'', continue => %L)',
	:'page'::jsonb #>> '{metadata,continue}'));
SELECT * FROM tests.refusal(format(
	'SELECT store.list_page(''Leaf'', resource_version => %s, "limit" => 1)', :v));

-- the fresh token goes on where the old one would have, at the newest state
CREATE FUNCTION pg_temp.fresh_token(token text) RETURNS text
LANGUAGE plpgsql AS $$
DECLARE
	detail text;
BEGIN
	PERFORM store.list_page('Leaf', continue => token);
	RETURN NULL;
EXCEPTION WHEN SQLSTATE 'RS410' THEN
	GET STACKED DIAGNOSTICS detail = PG_EXCEPTION_DETAIL;
	RETURN substring(detail FROM '\S+$');
END
$$;
SELECT pg_temp.fresh_token(:'page'::jsonb #>> '{metadata,continue}') AS fresh \gset
SELECT * FROM pg_temp.show(store.list_page('Leaf', continue => :'fresh'));
SELECT store.list_page('Leaf', "limit" => 3, continue => :'fresh') AS page \gset
SELECT * FROM pg_temp.show(:'page');
SELECT (:'page'::jsonb #>> '{metadata,resourceVersion}')::bigint >= :floor AS newest;
SELECT * FROM pg_temp.show(store.list_page('Leaf',
	continue => :'page'::jsonb #>> '{metadata,continue}'));

-- it has not got a version of its own until it is used
SELECT op FROM store.put(pg_temp.leaf('late', 'oak', 2));
SELECT store.compact(:floor + 2) = :floor + 2 AS floor;
SELECT * FROM pg_temp.show(store.list_page('Leaf', continue => :'fresh'));

SELECT count(*) FROM store.list('Leaf') AS item,
	store.delete('Leaf', item #>> '{metadata,name}', item #>> '{metadata,namespace}');
