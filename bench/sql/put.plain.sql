-- What a user would write instead of store.put().
\set k random(1, 20000)
\set r random(1, 1000000000)
INSERT INTO kv VALUES ('bench', 'key' || :k::int, format('{"apiVersion":"v1","kind":"ConfigMap","metadata":{"name":"key%s","namespace":"bench"},"data":{"nonce":"%s","value":"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"}}', :k::int, :r::int)::jsonb) ON CONFLICT (namespace, name) DO UPDATE SET object = excluded.object;
