-- One object by its key; how consistently, says store.read_consistency.
\set k random(1, 20000)
SELECT store.get('ConfigMap', 'key' || :k::int, 'bench');
