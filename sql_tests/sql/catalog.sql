-- What the extension leaves in the catalogs.

-- nothing for PUBLIC
SELECT p.oid::regprocedure AS "open to everybody" FROM pg_proc p
WHERE p.pronamespace = 'store'::regnamespace AND EXISTS (
	SELECT FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) WHERE grantee = 0)
ORDER BY 1;
SELECT c.oid::regclass AS "open to everybody" FROM pg_class c
WHERE c.relnamespace = 'store'::regnamespace AND EXISTS (
	SELECT FROM aclexplode(c.relacl) WHERE grantee = 0)
ORDER BY 1;
SELECT n.nspname AS "open to everybody" FROM pg_namespace n
WHERE n.nspname = 'store' AND EXISTS (
	SELECT FROM aclexplode(n.nspacl) WHERE grantee = 0);

-- everything is commented on
SELECT p.oid::regprocedure AS "no comment" FROM pg_proc p
WHERE p.pronamespace = 'store'::regnamespace AND obj_description(p.oid, 'pg_proc') IS NULL
ORDER BY 1;
SELECT c.oid::regclass AS "no comment" FROM pg_class c
WHERE c.relnamespace = 'store'::regnamespace AND c.relkind IN ('r', 'v')
	AND obj_description(c.oid, 'pg_class') IS NULL
ORDER BY 1;
SELECT format('%s.%s', c.oid::regclass, attname) AS "no comment"
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 AND NOT attisdropped
WHERE relnamespace = 'store'::regnamespace AND relkind IN ('r', 'v')
	AND relname !~ '^(raft|events)_' AND col_description(c.oid, attnum) IS NULL
ORDER BY 1;
-- and one row of the status fits a screen of 24 lines of 80 columns, by \gx
SELECT count(*) <= 22 AS lines, max(length(attname)) + 3 + 36 <= 80 AS columns
FROM pg_attribute WHERE attrelid = 'store.status'::regclass AND attnum > 0;

\pset format unaligned
-- functions: names and arguments are a contract; nothing is stable or
-- immutable, for the cluster goes on during a statement
SELECT p.proname AS function, pg_get_function_arguments(p.oid) AS arguments,
	pg_get_function_result(p.oid) AS result, p.provolatile AS volatile, p.proisstrict AS strict,
	p.proparallel AS parallel, p.prosecdef AS definer
FROM pg_proc p WHERE p.pronamespace = 'store'::regnamespace ORDER BY 1, 2;
\pset format aligned
-- one that runs with its owner's rights must not follow the caller's path
SELECT p.oid::regprocedure AS "unpinned" FROM pg_proc p
WHERE p.pronamespace = 'store'::regnamespace AND p.prosecdef
	AND NOT coalesce(p.proconfig::text LIKE '%search_path=%', false);

-- tables and views
\pset format unaligned
SELECT c.relname, c.relkind, string_agg(
	a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum) AS columns
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0
WHERE c.relnamespace = 'store'::regnamespace AND c.relkind IN ('r', 'v', 'c')
	AND c.relname IN ('resources', 'events', 'members', 'status', 'result')
GROUP BY c.oid ORDER BY 1;
\pset format aligned
-- a publication FOR ALL TABLES needs a way to tell rows apart
SELECT c.oid::regclass AS "no primary key" FROM pg_class c
WHERE c.relnamespace = 'store'::regnamespace AND c.relkind = 'r'
	AND c.relname IN ('resources', 'events')
	AND NOT EXISTS (SELECT FROM pg_index WHERE indrelid = c.oid AND indisprimary)
ORDER BY 1;
-- keys compare byte by byte
SELECT c.relname, a.attname AS "not C" FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relname IN ('resources', 'events') AND c.relnamespace = 'store'::regnamespace
	AND a.attnum > 0 AND a.atttypid = 'text'::regtype
	AND a.attcollation <> (SELECT oid FROM pg_collation WHERE collname = 'C')
ORDER BY 1, 2;
-- what every write changes is in no index, so that updates can be HOT
SELECT i.indexrelid::regclass AS index, a.attname AS "changes with every write" FROM pg_index i
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = ANY (i.indkey)
WHERE i.indrelid = 'store.resources'::regclass
	AND a.attname IN ('object', 'resource_version', 'generation')
ORDER BY 1, 2;
-- consensus is never dumped with the data
SELECT extconfig FROM pg_extension WHERE extname = 'store';

-- settings
SELECT name, setting, unit, vartype, context, enumvals FROM pg_settings
WHERE name LIKE 'store.%'
	AND name NOT IN ('store.node_name', 'store.advertise', 'store.peer_options')
ORDER BY name;

-- rights: somebody else sees nothing until told otherwise; who may monitor
-- sees how the node is
CREATE ROLE regress_store_nobody;
CREATE ROLE regress_store_monitor;
GRANT pg_monitor TO regress_store_monitor;
SET ROLE regress_store_nobody;
SELECT store.get('ConfigMap', 'a');
SELECT count(*) FROM store.resources;
SELECT store.raft_receive('');
RESET ROLE;
SET ROLE regress_store_monitor;
SELECT count(*) FROM store.status;
SELECT count(*) FROM store.members;
SELECT count(*) FROM store.resources;
SELECT store.put('{}');
RESET ROLE;
DROP ROLE regress_store_nobody, regress_store_monitor;
