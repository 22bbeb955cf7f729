/*-------------------------------------------------------------------------
 *
 * txn.c
 *	  What a transaction does: compares, a branch, many changes at one index.
 *
 * The operations of the branch taken run in order, each on what those before
 * it have left: the newest change of the same key if there is one, else what
 * is stored.  Nothing is written meanwhile, so a refusal, which refuses the
 * whole transaction, has nothing to undo.
 *
 * The changes so far are looked through from the last one back: there are at
 * most TXN_MAX_PARTS of them, and nearly all keys differ early.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "object.h"
#include "txn.h"

typedef struct Evaluation
{
	const Command *txn;
	int64		index;
	const pg_uuid_t *cluster_id;
	TxnLookup	lookup;
	TxnChange  *changes;
	int			n_changes;
	Size		state_size;		/* see TXN_MAX_STATE */
} Evaluation;

static bool
compare_holds(const Command *compare, bool exists, const StoredObject *stored)
{
	if (compare->existence != EXISTENCE_ANY)
		return exists == (compare->existence == EXISTENCE_REQUIRED);
	if (compare->has_expected)
		return exists && stored->resource_version == compare->expected;
	return exists && memcmp(compare->uid.data, stored->uid.data, UUID_LEN) == 0;
}

/* The resource as the operations so far have left it. */
static bool
find_current(Evaluation *evaluation, const ResourceKey *key, StoredObject *current)
{
	for (int i = evaluation->n_changes - 1; i >= 0; i--)
	{
		const TxnChange *change = &evaluation->changes[i];

		if (change->outcome.event == EVENT_NONE ||
			!key_equals(&change->command.key, key))
			continue;
		*current = change->outcome.after;
		return change->outcome.event != EVENT_DELETED;
	}
	if (!evaluation->lookup(key, true, current))
		return false;
	evaluation->state_size += VARSIZE(current->object);
	return true;
}

/* Refuse the transaction because of its operation number "number". */
static void
refuse_at(Outcome *outcome, const Outcome *refusal, const char *branch, int number)
{
	*outcome = *refusal;
	outcome->detail = refusal->detail ?
		psprintf("%s[%d]: %s", branch, number, refusal->detail) :
		psprintf("This is %s[%d] of the transaction.", branch, number);
}

static void
refuse_state(Outcome *outcome, const char *branch, int number)
{
	memset(outcome, 0, sizeof(*outcome));
	outcome->op = OUTCOME_REFUSED;
	outcome->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	outcome->message = pstrdup("the transaction would be too large");
	outcome->detail = psprintf("%s[%d]: With this operation, the objects before and after the changes have more than %d bytes.",
							   branch, number, TXN_MAX_STATE);
}

/* Do one operation; false if it is refused, and so is all. */
static bool
perform(Evaluation *evaluation, const Command *part, const char *branch, Outcome *outcome)
{
	TxnChange  *change = &evaluation->changes[evaluation->n_changes];
	int			number = evaluation->n_changes;
	StoredObject schema = {0};
	ResourceKey of_schema;

	memset(change, 0, sizeof(*change));
	change->command = *part;
	change->command.time = evaluation->txn->time;
	change->command.reason = evaluation->txn->reason;
	change->ordinal = number;
	change->existed = find_current(evaluation, &part->key, &change->before);

	if (rules_schema_key(&change->command, change->existed ? &change->before : NULL,
						 &of_schema))
		(void) find_current(evaluation, &of_schema, &schema);
	rules_apply(&change->command, change->existed ? &change->before : NULL,
				schema.object, evaluation->index, number, true, evaluation->cluster_id,
				&change->outcome);
	if (change->outcome.op == OUTCOME_REFUSED)
	{
		refuse_at(outcome, &change->outcome, branch, number);
		return false;
	}
	if (change->outcome.after.object != NULL)
		evaluation->state_size += VARSIZE(change->outcome.after.object);
	if (evaluation->state_size > TXN_MAX_STATE)
	{
		refuse_state(outcome, branch, number);
		return false;
	}
	evaluation->n_changes++;
	return true;
}

/* [{"op": ..., "object": ...}, ...]; no object if there is none. */
static Jsonb *
make_results(const Evaluation *evaluation)
{
	JsonbValue	array;
	JsonbValue *elements = palloc(sizeof(JsonbValue) * Max(evaluation->n_changes, 1));

	for (int i = 0; i < evaluation->n_changes; i++)
	{
		const Outcome *outcome = &evaluation->changes[i].outcome;
		Fields		fields;
		JsonbValue	value;

		fields_init(&fields, 2);
		value_string(&value, outcome_op_name(outcome->op));
		fields_set(&fields, "op", &value);
		if (outcome->after.object != NULL)
		{
			value.type = jbvBinary;
			value.val.binary.data = &outcome->after.object->root;
			value.val.binary.len = VARSIZE(outcome->after.object) - VARHDRSZ;
			fields_set(&fields, "object", &value);
		}
		fields_value(&fields, &elements[i]);
	}
	array.type = jbvArray;
	array.val.array.nElems = evaluation->n_changes;
	array.val.array.elems = elements;
	array.val.array.rawScalar = false;
	return value_close(&array, 0);
}

TxnChange *
txn_apply(const Command *txn, int64 index, const pg_uuid_t *cluster_id,
		  TxnLookup lookup, Outcome *outcome, int *n_changes)
{
	Evaluation	evaluation = {txn, index, cluster_id, lookup};
	const TxnParts *parts = &txn->parts;
	Size		position = 0;
	Command		part;
	bool		succeeded = true;

	*n_changes = 0;
	evaluation.changes = palloc(sizeof(TxnChange) *
								Max(Max(parts->n_success, parts->n_failure), 1));
	for (uint32 i = 0; i < parts->n_compares && txn_next(txn, &position, &part); i++)
	{
		StoredObject stored;

		/* after the first that does not hold the others are only passed over */
		if (succeeded)
			succeeded = compare_holds(&part, lookup(&part.key, false, &stored), &stored);
	}

	for (uint32 i = 0; txn_next(txn, &position, &part); i++)
	{
		if ((i < parts->n_success) == succeeded &&
			!perform(&evaluation, &part, succeeded ? "success" : "failure", outcome))
			return NULL;
	}

	memset(outcome, 0, sizeof(*outcome));
	outcome->op = succeeded ? OUTCOME_TXN_SUCCESS : OUTCOME_TXN_FAILURE;
	outcome->results = make_results(&evaluation);
	*n_changes = evaluation.n_changes;
	return evaluation.changes;
}
