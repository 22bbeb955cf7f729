-- The same rows in the same order from the plain table.
\set n random(0, 99)
SELECT object FROM kv WHERE namespace = 'list' || :n::int ORDER BY name;
