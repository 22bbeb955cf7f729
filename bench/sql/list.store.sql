-- A namespace of 100 objects out of 10,000.
\set n random(0, 99)
SELECT * FROM store.list('Item', 'list' || :n::int, 'bench/v1');
