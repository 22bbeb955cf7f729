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

-- What several tests use.
CREATE SCHEMA tests;
-- How a statement is refused, without the numbers and tokens that differ.
CREATE FUNCTION tests.refusal(statement text, OUT state text, OUT message text,
	OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
	EXECUTE statement;
	state := 'accepted';
EXCEPTION WHEN OTHERS THEN
	GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
		detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
	message := regexp_replace(message, '\d+', 'N', 'g');
	detail := regexp_replace(detail, '[-_A-Za-z0-9]{40,}', 'TOKEN');
	detail := regexp_replace(detail, '\d+', 'N', 'g');
END
$$;
