-- What a watcher by LISTEN may rely on.  The notifications themselves carry
-- indexes, uids and times, so the TAP test 005_notify.pl reads them.

-- Nobody listens, and nothing is lost for whoever reads the history instead.
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "Secret",
	"metadata": {"name": "heard", "namespace": "notify"}}');
SELECT op FROM store.patch('Secret', 'heard', '{"data": {"a": "MQ=="}}', 'notify');
SELECT op FROM store.patch('Secret', 'heard', '{"data": {"a": "MQ=="}}', 'notify');
SELECT op FROM store.delete('Secret', 'heard', 'notify');
SELECT type, name, object->'data' AS data,
	resource_version > lag(resource_version) OVER (ORDER BY resource_version) AS grows
FROM store.events WHERE namespace = 'notify' ORDER BY resource_version;

-- The channels: anyone who may connect may listen, in this database.
LISTEN store;
LISTEN "store.Secret";
SELECT pg_listening_channels() ORDER BY 1;
UNLISTEN *;
