-- Watch ConfigMaps from psql: first what is there, then each change as it
-- happens, until you press Ctrl-C.
--
--     psql -f watch.sql -v namespace=shop
--     psql -f watch.sql -v namespace=shop -v since=120    to go on behind 120
--
-- Each line begins with its resource version.  If the connection is lost, go on
-- with that of the last line you saw, on this server or another one of the
-- cluster: nothing is missed and nothing comes twice.  If the server answers
-- with RS410, the history does not reach back so far: begin without "since".

\set ON_ERROR_STOP on
\pset format unaligned
\pset tuples_only on
\if :{?since}
\else
	-- The list, and the version that it is of.
	SELECT store.list_page('ConfigMap', :'namespace') AS list \gset
	SELECT :'list'::jsonb #>> '{metadata,resourceVersion}' AS since \gset
	SELECT item #>> '{metadata,resourceVersion}', 'LISTED', item #>> '{metadata,name}'
	FROM jsonb_array_elements(:'list'::jsonb -> 'items') AS item;
\endif

-- The version to go on from is kept in a setting of the session.  Every row of
-- an answer moves it, and the last one is the bookmark.  If the statement
-- fails, the setting stays what it was.
SELECT set_config('example.since', :'since', false) AS since \gset
SELECT set_config('example.since', resource_version::text, false), type, name
FROM store.watch(current_setting('example.since')::bigint, 'ConfigMap', :'namespace',
	timeout => '1 minute')
\watch 0.01
