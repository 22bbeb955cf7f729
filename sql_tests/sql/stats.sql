-- Statistics and health of a node that is a cluster of one.

-- every number is a number, so that it can be graphed as it is
SELECT c.relname, a.attname, format_type(a.atttypid, a.atttypmod) AS type
FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relnamespace = 'store'::regnamespace AND c.relname LIKE 'stat\_%' AND c.relkind = 'v'
	AND a.attnum > 0 AND a.atttypid NOT IN ('bigint'::regtype, 'double precision'::regtype)
ORDER BY c.relname, a.attnum;

-- a reset begins at zero, and the time of it is known
SELECT store.stat_reset();
SELECT stats_reset > now() - interval '1 minute' AS just_now FROM store.stat_raft;
SELECT sum(requests) AS requests, sum(total_time) AS time FROM store.stat_requests;
SELECT max(requests) AS requests FROM store.stat_latency;

-- requests are counted by what they are and how they end
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "counted", "namespace": "stats"}, "data": {"a": "1"}}');
SELECT op FROM store.patch('ConfigMap', 'counted', '{"data": {"a": "2"}}', 'stats');
\set VERBOSITY terse
SELECT store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "counted", "namespace": "stats"}}', expected => 1);
\set VERBOSITY default
SELECT store.create('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "counted", "namespace": "stats"}}');
SELECT store.barrier() > 0 AS done;
SELECT op FROM store.delete('ConfigMap', 'counted', 'stats');
SELECT kind, outcome, requests, total_time > 0 OR kind = 'read' AS took_time
FROM store.stat_requests
WHERE requests > 0 ORDER BY kind, outcome;
-- a local read asks nobody, and what is malformed goes nowhere
SET store.read_consistency = 'local';
SELECT store.get('ConfigMap', 'counted', 'stats');
RESET store.read_consistency;
SELECT store.put('{}');
SELECT sum(requests) AS requests FROM store.stat_requests;

-- the histogram counts the same, and up to each limit all below it
SELECT l.kind, max(l.requests) = r.requests AS complete
FROM store.stat_latency l
JOIN (SELECT kind, sum(requests) AS requests FROM store.stat_requests GROUP BY kind) r USING (kind)
WHERE r.requests > 0 GROUP BY l.kind, r.requests ORDER BY l.kind;
SELECT count(*) AS falling FROM (
	SELECT requests < lag(requests) OVER (PARTITION BY kind ORDER BY le) AS falls
	FROM store.stat_latency) AS steps
WHERE falls;
SELECT min(le) AS first, max(le) AS last, count(DISTINCT le) AS limits FROM store.stat_latency;

-- the log and the state machine
SELECT is_leader, state, leader_id IS NOT NULL AS led, term > 0 AS has_term,
	last_index >= commit_index AS in_order, uncommitted_entries, uncommitted_bytes, pending_writes,
	pending_reads, dropped_messages
FROM store.stat_raft;
SELECT log_entries >= 5 AS entries, log_writes BETWEEN 1 AND log_entries AS writes,
	log_bytes > 5 * 80 AS bytes, log_append_time > 0 AS appended, log_flush_time > 0 AS flushed
FROM store.stat_raft;
SELECT backlog, entries >= 5 AS entries, changes, batches BETWEEN 1 AND entries AS batches,
	apply_time > 0 AS took_time, starts > 0 AS started, problem
FROM store.stat_apply;
SELECT count(*) AS peers FROM store.stat_peers;

-- who listens, and what was told (which psql would print, with its index)
LISTEN "store.ConfigMap/key";
SELECT watchers, listeners FROM store.stat_watch;
\o /dev/null
SELECT op FROM store.put('{"apiVersion": "v1", "kind": "ConfigMap",
	"metadata": {"name": "told", "namespace": "stats"}}');
DO $$
BEGIN
	FOR i IN 1 .. 3000 LOOP
		EXIT WHEN (SELECT notifications = 1 AND bytes > 100 AND batches = 1 AND backlog = 0
			AND gaps = 0 FROM store.stat_watch);
		PERFORM pg_sleep(0.02);
	END LOOP;
END
$$;
SELECT notifications FROM store.stat_watch;
UNLISTEN *;
SELECT store.delete('ConfigMap', 'told', 'stats');
\o
SELECT notifications, bytes > 100 AS bytes, batches, listeners, backlog, gaps,
	queue_usage < 0.1 AS room
FROM store.stat_watch;

SELECT * FROM store.health();

-- who may look, and who may reset
CREATE ROLE regress_store_monitor IN ROLE pg_monitor;
CREATE ROLE regress_store_nobody;
SET ROLE regress_store_monitor;
SELECT status FROM store.health();
SELECT count(*) AS rows FROM store.stat_raft, store.stat_apply, store.stat_watch;
SELECT count(*) >= 0 AS rows FROM store.stat_peers;
SELECT count(*) > 0 AS rows FROM store.stat_requests, store.stat_latency;
SELECT store.stat_reset();
SET ROLE regress_store_nobody;
SELECT * FROM store.stat_raft;
SELECT * FROM store.health();
RESET ROLE;
DROP ROLE regress_store_monitor, regress_store_nobody;
