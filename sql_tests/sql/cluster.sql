-- What a node on its own refuses of the verbs of membership.
\set VERBOSITY default
SELECT store.leave();
SELECT store.promote('nobody');
SELECT store.promote('');
SELECT store.promote(NULL);
-- these name this node
\set VERBOSITY sqlstate
SELECT store.remove_member('nobody');
SELECT store.remove_member((SELECT name FROM store.status));
\set VERBOSITY default
SELECT store.remove_member(repeat('x', 100));
SELECT store.transfer_leadership();
-- itself is no error, and neither is promoting a voter
SELECT store.transfer_leadership(name) = name AS leads FROM store.status;
SELECT store.promote(name) FROM store.status;
-- what members ask of each other
SELECT done, state FROM store.raft_steer('look', (SELECT name FROM store.status));
SELECT * FROM store.raft_steer('dance', 'nobody');
-- not in a transaction that only reads
BEGIN READ ONLY;
SELECT store.leave();
ROLLBACK;
-- nothing changed
SELECT count(*), min(role) FROM store.members;
