-- A server that preloads store; the extension makes it a cluster of one.
CREATE EXTENSION store;
-- ready at once: the first write waits for the workers, nothing is polled
SELECT op, resource_version > 0 AS has_version FROM store.put('{
	"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": "default"}}');
SELECT state, term > 0 AS has_term, leader = name AS leads, problem
FROM store.status;
SELECT role, leader, connected, last_error FROM store.members;
-- once more is an error, and changes nothing
CREATE EXTENSION store;
SELECT count(*) FROM store.resources;
