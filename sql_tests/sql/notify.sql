-- What a watcher by LISTEN may rely on.  Here are the payloads, without the
-- indexes, uids and times; 005_notify.pl reads those.

-- Notifications follow the answer to a write: wait until all are out.
CREATE FUNCTION pg_temp.all_told() RETURNS boolean LANGUAGE plpgsql AS $$
BEGIN
	FOR i IN 1 .. 3000 LOOP
		IF (SELECT s.notified_index >= max(e.resource_version)
			FROM store.events e, store.status s GROUP BY s.notified_index) THEN
			RETURN true;
		END IF;
		PERFORM pg_sleep(0.02);
	END LOOP;
	RETURN false;
END
$$;

-- Nobody listens, and nothing is lost for whoever reads the history instead.
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Secret",
	"metadata": {"name": "heard", "namespace": "notify"}}');
SELECT op FROM store.patch('Secret', 'heard', '{"data": {"a": "MQ=="}}', 'notify');
SELECT op FROM store.patch('Secret', 'heard', '{"data": {"a": "MQ=="}}', 'notify');
SELECT op FROM store.delete('Secret', 'heard', 'notify');
SELECT type, name, object->'data' AS data,
	resource_version > lag(resource_version) OVER (ORDER BY resource_version) AS grows
FROM store.events WHERE namespace = 'notify' ORDER BY resource_version;

-- The channels, for whoever may read the events (roles.sql), in this database.
LISTEN store;
LISTEN "store.Secret";
SELECT pg_listening_channels() ORDER BY 1;

-- psql prints what it was told behind each statement, to where results go: here
-- to sed, which keeps the notifications and prints them at the end
\set differs '"(resourceVersion|previous|uid|creationTimestamp)":( ?)"[^"]*"'
\set script '/^Async/{s/' :differs '/"\\1":\\2""/g;s/^[A-Z][a-z ]*//;s/ received.*//;H};${x;p}'
\setenv TOLD :script
\o |sed -nE "$TOLD"
-- each change once, on both channels; what changes nothing is not heard of
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Secret",
	"metadata": {"name": "heard", "namespace": "notify"}}');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Secret",
	"metadata": {"name": "heard", "namespace": "notify"}}');
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "other", "namespace": "notify"}}');
SELECT op FROM store.delete('Secret', 'heard', 'notify');
-- the changes of a transaction together, in the order of its operations
SELECT succeeded FROM store.txn('[]', '[
	{"create": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "z"}}},
	{"create": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "a"}}},
	{"delete": {"apiVersion": "v1", "kind": "Secret", "name": "z"}},
	{"delete": {"apiVersion": "v1", "kind": "Secret", "name": "a"}}]');
-- a refused one is not heard of
SELECT store.txn('[]', '[
	{"create": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "never"}}},
	{"create": {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "never"}}}]');
SELECT pg_temp.all_told();
-- (whatever has arrived by now is printed with the next statement)
SELECT 1;
UNLISTEN *;
SELECT op FROM store.delete('ConfigMap', 'other', 'notify');
\o
