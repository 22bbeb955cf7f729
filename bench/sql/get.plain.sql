-- One row by its primary key.
\set k random(1, 20000)
SELECT object FROM kv WHERE namespace = 'bench' AND name = 'key' || :k::int;
