/*-------------------------------------------------------------------------
 *
 * clients.c
 *	  Clients that write and read a few keys in every way, and note it all.
 *
 * A client stays on a node until its connection is lost or the node has no use
 * for it.  Some sessions read only what their node has, some have little
 * patience, some hang up in the middle of a request.
 *
 *-------------------------------------------------------------------------
 */
#include "torture.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define ANSWER_LIMIT_MS		(torture.patient ? 150000 : 15000)

typedef struct Self
{
	Client		client;
	Random		random;
	int			number;			/* from 1 */
	int			serial;			/* of the last value */
	int			session;
	bool		reads_locally;
	int64_t		versions[N_KEYS];	/* as last heard of; 0: not there */
	int64_t		heard;			/* the highest index heard of */
} Self;

/* ------------------------------------------------------------------------
 * What to ask
 * ------------------------------------------------------------------------
 */

static void
write_object(char *to, Self *self, const Part *part)
{
	int			padding = 0;

	if (random_one_in(&self->random, 12))
		padding = random_int(&self->random, 100, 9000);
	to += sprintf(to, "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\", \"metadata\": {\"name\":"
				  " \"k%d\", \"namespace\": \"torture\"}, \"data\": {\"v\": \"%d-%d\", \"p\": \"",
				  part->key, part->value.client, part->value.serial);
	memset(to, 'x', (size_t) padding);
	strcpy(to + padding, "\"}}");
}

#define KEY_FORMAT "{\"apiVersion\": \"v1\", \"kind\": \"ConfigMap\"," \
	" \"namespace\": \"torture\", \"name\": \"k%d\"}"

static Part
draw_put(Self *self)
{
	return (Part) {.kind = PART_PUT,.key = random_int(&self->random, 0, N_KEYS - 1),
	.value = {self->number, ++self->serial}};
}

static Part
draw_compare(Self *self, int key)
{
	int64_t		version = self->versions[key];

	/* mostly what is expected to hold */
	if (random_one_in(&self->random, 5))
		return (Part) {.kind = random_one_in(&self->random, 2) ? PART_IF_THERE : PART_IF_ABSENT,
		.key = key};
	if (version == 0)
		return (Part) {.kind = PART_IF_ABSENT,.key = key};
	return (Part) {.kind = PART_IF_VERSION,.key = key,.version = version};
}

static void
add_part(Operation *operation, Part part)
{
	operation->parts[operation->n_parts++] = part;
}

static void
draw_write(Self *self, Operation *operation)
{
	int			draw = random_int(&self->random, 1, 64);
	Part		put = draw_put(self);

	if (draw <= 36)
	{
		operation->verb = VERB_PUT;
		if (draw > 22 && self->versions[put.key] != 0)
			add_part(operation, (Part) {.kind = PART_IF_VERSION,.key = put.key,
					 .version = self->versions[put.key]});
		add_part(operation, put);
	}
	else if (draw <= 43)
	{
		operation->verb = VERB_CREATE;
		add_part(operation, (Part) {.kind = PART_IF_ABSENT,.key = put.key});
		add_part(operation, put);
	}
	else if (draw <= 50)
	{
		operation->verb = VERB_DELETE;
		if (draw > 47 && self->versions[put.key] != 0)
			add_part(operation, (Part) {.kind = PART_IF_VERSION,.key = put.key,
					 .version = self->versions[put.key]});
		add_part(operation, (Part) {.kind = PART_DELETE,.key = put.key});
	}
	else
	{
		int			count = random_int(&self->random, 1, 4);

		operation->verb = VERB_TXN;
		for (int i = random_int(&self->random, -2, 2); i > 0; i--)
			add_part(operation, draw_compare(self, random_int(&self->random, 0, N_KEYS - 1)));
		for (int i = 0; i < count; i++)
		{
			put = draw_put(self);
			if (random_one_in(&self->random, 4))
				put.kind = PART_DELETE;
			add_part(operation, put);
		}
	}
}

static const char *
write_txn(Self *self, const Operation *operation, char *compares)
{
	static __thread char text[MAX_PARTS * 10000];
	char	   *to = text;

	to += sprintf(to, "[");
	compares += sprintf(compares, "[");
	for (int p = 0; p < operation->n_parts; p++)
	{
		const Part *part = &operation->parts[p];

		if (part->kind < PART_PUT)
		{
			compares += sprintf(compares, "%s{\"key\": " KEY_FORMAT, p > 0 ? ", " : "", part->key);
			if (part->kind == PART_IF_VERSION)
				compares += sprintf(compares, ", \"resourceVersion\": \"%" PRId64 "\"}",
									part->version);
			else
				compares += sprintf(compares, ", \"exists\": %s}",
									part->kind == PART_IF_THERE ? "true" : "false");
			continue;
		}
		if (to > text + 1)
			to += sprintf(to, ", ");
		if (part->kind == PART_DELETE)
			to += sprintf(to, "{\"delete\": " KEY_FORMAT "}", part->key);
		else
		{
			to += sprintf(to, "{\"put\": ");
			write_object(to, self, part);
			to += strlen(to);
			to += sprintf(to, "}");
		}
	}
	sprintf(to, "]");
	sprintf(compares, "]");
	return text;
}

/*
 * The statement for a write; parameters go into "params".
 */
static const char *
write_statement(Self *self, const Operation *operation, const char **params, int *n_params)
{
	static __thread char object[10000];
	static __thread char compares[MAX_PARTS * 300];
	static __thread char version[24];
	static __thread char name[8];
	const Part *first = &operation->parts[0];
	const Part *last = &operation->parts[operation->n_parts - 1];

	sprintf(version, "%" PRId64, first->version);
	sprintf(name, "k%d", last->key);
	*n_params = 2;
	params[1] = first->kind == PART_IF_VERSION ? version : NULL;
	if (operation->verb == VERB_TXN)
	{
		params[1] = write_txn(self, operation, compares);
		params[0] = compares;
		return "SELECT CASE WHEN succeeded THEN 'Done' ELSE 'Else' END, resource_version"
			" FROM store.txn($1::jsonb, $2::jsonb)";
	}
	if (operation->verb == VERB_DELETE)
	{
		params[0] = name;
		return "SELECT op, resource_version FROM"
			" store.delete('ConfigMap', $1, 'torture', expected => $2::bigint)";
	}
	write_object(object, self, last);
	params[0] = object;
	if (operation->verb == VERB_PUT)
		return "SELECT op, resource_version FROM store.put($1::jsonb, $2::bigint)";
	*n_params = 1;
	return "SELECT op, resource_version FROM store.create($1::jsonb)";
}

/* ------------------------------------------------------------------------
 * What came of it
 * ------------------------------------------------------------------------
 */

/*
 * Errors of writes after which it is not certain that nothing was written:
 * those that tell the end of a session or of a statement, whatever it had done.
 */
static bool
is_uncertain(const char *sqlstate)
{
	static const char *const states[] = {
		"RS500", "57014", "57P01", "57P02", "57P05", "53100", "53200", "58030"
	};

	for (size_t i = 0; i < sizeof(states) / sizeof(states[0]); i++)
		if (strcmp(sqlstate, states[i]) == 0)
			return true;
	return strncmp(sqlstate, "08", 2) == 0;
}

static void
take_error(Operation *operation, const Answer *answer)
{
	bool		lost = answer->ending == ENDED_LOST;

	operation->outcome = lost || is_uncertain(answer->sqlstate) ?
		OUTCOME_UNKNOWN : OUTCOME_REFUSED;
	snprintf(operation->sqlstate, sizeof(operation->sqlstate), "%s",
			 lost ? "08006" : answer->sqlstate);
}

static void
take_write(Self *self, Operation *operation, const Answer *answer)
{
	const char *done = PQgetvalue(answer->result, 0, 0);

	operation->index = strtoll(PQgetvalue(answer->result, 0, 1), NULL, 10);
	if (operation->index > self->heard)
		self->heard = operation->index;
	if (strcmp(done, "Else") == 0)
		operation->outcome = OUTCOME_ELSE;
	else if (strcmp(done, "NoOp") == 0 || strcmp(done, "Unchanged") == 0)
		operation->outcome = OUTCOME_NOOP;
	for (int p = 0; p < operation->n_parts && operation->outcome == OUTCOME_OK; p++)
	{
		const Part *part = &operation->parts[p];

		if (part->kind >= PART_PUT)
			self->versions[part->key] = part->kind == PART_PUT ? operation->index : 0;
	}
}

/*
 * Rows of name, value, version; absent ones have no row, or a null.  In those of
 * a page follow its index and a digest of all its bytes.
 */
static void
take_items(Self *self, Operation *operation, const PGresult *result)
{
	bool		is_news = operation->verb != VERB_PAST;
	int			room = 0;

	for (int key = 0; key < N_KEYS && is_news; key++)
		if (operation->scope < 0 || operation->scope == key)
			self->versions[key] = 0;
	if (PQnfields(result) == 5)
	{
		operation->index = strtoll(PQgetvalue(result, 0, 3), NULL, 10);
		snprintf(operation->digest, sizeof(operation->digest), "%s", PQgetvalue(result, 0, 4));
		if (operation->index > self->heard)
			self->heard = operation->index;
	}
	for (int row = 0; row < PQntuples(result); row++)
	{
		Item		item;

		if (PQgetisnull(result, row, 0))
			continue;
		if (sscanf(PQgetvalue(result, row, 0), "k%d", &item.key) != 1 ||
			sscanf(PQgetvalue(result, row, 1), "%d-%d", &item.value.client,
				   &item.value.serial) != 2 || item.key < 0 || item.key >= N_KEYS)
		{
			violation("an object that nobody wrote: %s", PQgetvalue(result, row, 0));
			continue;
		}
		item.version = strtoll(PQgetvalue(result, row, 2), NULL, 10);
		if (is_news)
			self->versions[item.key] = item.version;
		operation->items = grow(operation->items, operation->n_items, &room, sizeof(Item));
		operation->items[operation->n_items++] = item;
	}
}

/* ------------------------------------------------------------------------
 * Doing it
 * ------------------------------------------------------------------------
 */

/* Without waiting for an answer. */
static Answer
hang_up(Self *self, const char *sql, int n_params, const char *const *params)
{
	(void) PQsendQueryParams(self->client.conn, sql, n_params, NULL, params, NULL, NULL, 0);
	(void) PQflush(self->client.conn);
	client_close(&self->client);
	return (Answer) {.ending = ENDED_LOST};
}

static Answer
write_something(Self *self, Operation *operation)
{
	const char *params[2];
	int			n_params;
	const char *sql;
	Answer		answer;

	draw_write(self, operation);
	sql = write_statement(self, operation, params, &n_params);
	operation->begin_us = now_us();
	if (!torture.patient && random_one_in(&self->random, 200))
		answer = hang_up(self, sql, n_params, params);
	else
		answer = client_query(&self->client, ANSWER_LIMIT_MS, sql, n_params, params);
	operation->end_us = now_us();
	if (answer.ending == ENDED_WELL)
		take_write(self, operation, &answer);
	return answer;
}

#define OBJECT_COLUMNS " o #>> '{metadata,name}', o #>> '{data,v}'," \
	" o #>> '{metadata,resourceVersion}' "
#define PAGE_QUERY(arguments) "SELECT" OBJECT_COLUMNS \
	", page #>> '{metadata,resourceVersion}', md5(page #>> '{items}')" \
	" FROM store.list_page('ConfigMap', 'torture'" arguments ") page" \
	" LEFT JOIN LATERAL jsonb_array_elements(page -> 'items') o ON true"

static const char *const read_queries[N_VERBS] = {
	[VERB_GET] = "SELECT" OBJECT_COLUMNS "FROM store.get('ConfigMap', $1, 'torture') o",
	[VERB_LIST] = "SELECT" OBJECT_COLUMNS "FROM store.list('ConfigMap', 'torture') o",
	[VERB_PLAIN] = "SELECT name, object #>> '{data,v}', resource_version"
	" FROM store.resources WHERE kind = 'ConfigMap' AND namespace = 'torture'",
	[VERB_PAGE] = PAGE_QUERY(""),
	[VERB_PAST] = PAGE_QUERY(", resource_version => $1::bigint,"
							 " resource_version_match => 'Exact'"),
};

/*
 * How to read, in "verb", is not quite what is noted: whatever a session that
 * reads locally reads is local, or a local page.
 */
static Verb
draw_read(Self *self, Operation *operation)
{
	int			draw = random_int(&self->random, 1, 48);
	int			key = random_int(&self->random, 0, N_KEYS - 1);
	Verb		verb = draw <= 14 ? VERB_GET : draw <= 22 ? VERB_LIST : draw <= 34 ? VERB_PLAIN :
		draw <= 44 || self->heard == 0 ? VERB_PAGE : VERB_PAST;

	operation->scope = verb == VERB_GET ? key : -1;
	operation->verb = verb;
	if (self->reads_locally && verb != VERB_PAST)
		operation->verb = verb == VERB_PAGE ? VERB_LPAGE : VERB_LOCAL;
	return verb;
}

static Answer
read_something(Self *self, Operation *operation)
{
	static __thread char parameter[24];
	const char *params[] = {parameter};
	Verb		verb = draw_read(self, operation);
	const char *sql = read_queries[verb];
	int			back = random_int(&self->random, 0, 60);
	Answer		answer = {.ending = ENDED_WELL};

	if (verb == VERB_PAST)
		sprintf(parameter, "%" PRId64,
				self->heard - back > torture.start ? self->heard - back : torture.start);
	else
		sprintf(parameter, "k%d", operation->scope);
	operation->begin_us = now_us();
	if (operation->verb == VERB_PLAIN)
	{
		answer = client_query(&self->client, ANSWER_LIMIT_MS, "SELECT store.barrier()", 0, NULL);
		if (answer.ending == ENDED_WELL)
			operation->index = strtoll(PQgetvalue(answer.result, 0, 0), NULL, 10);
		PQclear(answer.result);
		answer.result = NULL;
	}
	if (answer.ending == ENDED_WELL)
		answer = client_query(&self->client, ANSWER_LIMIT_MS, sql,
							  strstr(sql, "$1") != NULL ? 1 : 0, params);
	operation->end_us = now_us();
	if (answer.ending == ENDED_WELL)
		take_items(self, operation, answer.result);
	return answer;
}

/*
 * A new session, of a character of its own.  It is set up before anything is
 * noted.
 */
static bool
begin_session(Self *self)
{
	static const char *const patience[] = {"500ms", "2s", "5s"};
	bool		hasty = !torture.patient && random_one_in(&self->random, 8);
	const char *timeout = patience[random_int(&self->random, 0, 2)];
	char		sql[300];
	Answer		answer;

	self->session = next_session();
	self->reads_locally = random_one_in(&self->random, 3);
	snprintf(sql, sizeof(sql), "SELECT set_config('store.request_timeout', '%s', false),"
			 " set_config('store.read_consistency', '%s', false),"
			 " set_config('statement_timeout', '%d', false)",
			 torture.patient ? "120s" : timeout,
			 self->reads_locally ? "local" : "linearizable",
			 hasty ? random_int(&self->random, 5, 200) : 0);
	answer = client_query(&self->client, ANSWER_LIMIT_MS, sql, 0, NULL);
	PQclear(answer.result);
	if (answer.ending == ENDED_REFUSED)
		client_close(&self->client);
	return self->client.conn != NULL;
}

/*
 * One operation on the node that the client is on, which it may use meanwhile.
 */
static void
operate(Self *self)
{
	Operation	operation = {.client = self->number,.node = self->client.node,
	.sqlstate = "00000"};
	Answer		answer;

	if (self->client.conn == NULL &&
		(!client_connect(&self->client, self->client.node) || !begin_session(self)))
	{
		self->client.node = random_int(&self->random, 0, check.n_nodes - 1);
		return;
	}
	operation.session = self->session;
	answer = random_int(&self->random, 1, 100) <= 64 ?
		write_something(self, &operation) : read_something(self, &operation);
	if (answer.ending != ENDED_WELL)
		take_error(&operation, &answer);
	note_operation(&operation);
	free(operation.items);
	PQclear(answer.result);
	if (answer.ending == ENDED_LOST ||
		(answer.ending == ENDED_REFUSED && is_outage(answer.sqlstate) &&
		 random_one_in(&self->random, 3)))
	{
		client_close(&self->client);
		self->client.node = random_int(&self->random, 0, check.n_nodes - 1);
	}
}

void *
client_main(void *number)
{
	Self		self = {.number = (int) (intptr_t) number};
	int64_t		due = now_ms();
	uint64_t	sequence = (1000 + (uint64_t) self.number) << 32;

	self.client.node = self.number % check.n_nodes;
	snprintf(self.client.name, sizeof(self.client.name), "client %d", self.number);
	for (;;)
	{
		int			node = self.client.node;

		/* what is drawn next does not depend on how the last one went */
		random_seed(&self.random, check.seed, ++sequence);
		if (node_enter(node))
		{
			operate(&self);
			/* a session may not outlive what its node is */
			if (self.client.node != node)
				client_close(&self.client);
			node_leave(node);
		}
		else
		{
			client_close(&self.client);
			self.client.node = random_int(&self.random, 0, check.n_nodes - 1);
		}
		due += 2 * random_int(&self.random, 0, 1000 * N_CLIENTS / check.rate);
		if (due < now_ms() - 100)
			due = now_ms() + 5;
		if (!wait_in_phase(PHASE_TROUBLE, due > now_ms() ? (int) (due - now_ms()) : 0))
			break;
	}
	client_close(&self.client);
	return NULL;
}
