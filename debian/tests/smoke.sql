-- A cluster of one writes, reads, and is well.
CREATE EXTENSION store;
SET store.request_timeout = '60s';
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "packaged"}}');
SELECT store.get('ConfigMap', 'packaged') #>> '{metadata,name}';
SELECT status, message FROM store.health();
SELECT 1 / (status = 'OK')::int AS well FROM store.health();
