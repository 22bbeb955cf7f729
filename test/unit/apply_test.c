/*-------------------------------------------------------------------------
 *
 * apply_test.c
 *	  What server-side apply promises, for random objects and managers.
 *
 * Random managers apply random parts of a Pod, and of each state:
 *
 *		applying the same again changes nothing;
 *		two managers who want different fields come to the same in any order;
 *		without force, an apply is refused if and only if somebody would lose
 *		a field, and then with a cause for each;
 *		with force, what others lose is the winner's, and what they keep has
 *		the value that it had;
 *		who gives up everything leaves what others own, and nothing else.
 *
 * Usage: apply_test [seed [cases]].  The cases of a batch run in a process of
 * its own, because nothing here gives memory back.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "apply_patch.h"
#include "common/pg_prng.h"
#include "fields.h"
#include "managed_fields.h"
#include "stubs.h"
#include "typed_value.h"
#include "utils/numeric.h"

#define BATCH		100
#define MANAGERS	3

static pg_prng_state prng;
static Schema schema;
static uint64 case_seed;
static int	n_failed = 0;

#define CHECK(condition) \
	do { \
		if (!(condition)) \
		{ \
			printf("case %llu, line %d: not true: %s\n", \
				   (unsigned long long) case_seed, __LINE__, #condition); \
			n_failed++; \
		} \
	} while (0)

static int
below(int bound)
{
	return pg_prng_uint64(&prng) % bound;
}

/* ------------------------------------------------------------------------
 * Random wishes
 * ------------------------------------------------------------------------
 */

/* Whether a field is in a wish; of two wishes that must not meet, in whose. */
typedef struct Wish
{
	int			chance;			/* percent */
	int			half;			/* 0: of all fields; 1 and 2: of one half; 3: of none */
	uint64		salt;			/* which half a field is in, and its value there */
} Wish;

static bool
wanted(const Wish *wish, const char *path)
{
	uint64		hash = wish->salt;

	if (below(100) >= wish->chance)
		return false;
	if (wish->half == 0)
		return true;
	for (const char *s = path; *s; s++)
		hash = (hash ^ (unsigned char) *s) * UINT64CONST(1099511628211);
	return (int) (hash >> 33 & 1) + 1 == wish->half;
}

static void
add_scalar(Fields *fields, const char *name, const char *path, const Wish *wish)
{
	JsonbValue	value;

	if (!wanted(wish, path))
		return;
	if (below(2))
		value_string(&value, psprintf("%d", below(3)));
	else
	{
		value.type = jbvNumeric;
		value.val.numeric = int64_to_numeric(below(3));
	}
	fields_set(fields, pstrdup(name), &value);
}

static void
add_object(Fields *fields, const char *name, const Fields *object)
{
	JsonbValue	value;

	if (object->n_pairs == 0)
		return;
	fields_value(object, &value);
	fields_set(fields, name, &value);
}

static void
add_array(Fields *fields, const char *name, JsonbValue *items, int n)
{
	JsonbValue	value;

	if (n == 0)
		return;
	value.type = jbvArray;
	value.val.array.nElems = n;
	value.val.array.elems = items;
	value.val.array.rawScalar = false;
	fields_set(fields, name, &value);
}

/* Some of the names in any order. */
static int
some_names(const char **names, int chance)
{
	static const char *const all[] = {"a", "b", "cc", "d"};
	int			n = 0;

	for (int i = 0; i < lengthof(all); i++)
	{
		int			at = below(n + 1);

		if (below(100) >= chance)
			continue;
		names[n] = names[at];
		names[at] = all[i];
		n++;
	}
	return n;
}

/* A list of maps by name, with a field or two, and with lists of its own. */
static void
add_named(Fields *fields, const char *name, const char *path, const Wish *wish, int depth)
{
	const char *names[4];
	int			n = some_names(names, 50);
	JsonbValue *items = palloc(sizeof(JsonbValue) * 4);
	int			n_items = 0;

	for (int i = 0; i < n; i++)
	{
		char	   *at = psprintf("%s/%s", path, names[i]);
		Fields		item;
		JsonbValue	value;

		fields_init(&item, 0);
		add_scalar(&item, "image", psprintf("%s/image", at), wish);
		add_scalar(&item, "value", psprintf("%s/value", at), wish);
		if (depth > 0)
			add_named(&item, "env", psprintf("%s/env", at), wish, depth - 1);
		if (item.n_pairs == 0 && wish->half != 0)
			continue;
		value_string(&value, names[i]);
		fields_set(&item, "name", &value);
		fields_value(&item, &items[n_items++]);
	}
	add_array(fields, name, items, n_items);
}

static Jsonb *
random_wish(const Wish *wish)
{
	Fields		root;
	Fields		metadata;
	Fields		labels;
	Fields		spec;
	Fields		context;
	JsonbValue	value;
	JsonbValue *items = palloc(sizeof(JsonbValue) * 4);
	const char *names[4];
	int			n_items = 0;
	int			n;

	fields_init(&labels, 0);
	add_scalar(&labels, "x", "labels/x", wish);
	add_scalar(&labels, "yy", "labels/yy", wish);
	fields_init(&metadata, 0);
	value_string(&value, "pod");
	fields_set(&metadata, "name", &value);
	add_object(&metadata, "labels", &labels);
	n = some_names(names, 50);
	for (int i = 0; i < n; i++)
	{
		if (wanted(wish, psprintf("finalizers/%s", names[i])))
			value_string(&items[n_items++], names[i]);
	}
	add_array(&metadata, "finalizers", items, n_items);

	fields_init(&context, 0);
	add_scalar(&context, "user", "context/user", wish);
	add_scalar(&context, "group", "context/group", wish);
	fields_init(&spec, 0);
	add_scalar(&spec, "nodeName", "nodeName", wish);
	add_object(&spec, "securityContext", &context);
	if (wanted(wish, "nodeSelector"))
	{
		Wish		all = {60, 0, 0};

		fields_init(&context, 0);
		add_scalar(&context, "zone", "", &all);
		add_object(&spec, "nodeSelector", &context);
	}
	add_named(&spec, "containers", "containers", wish, 1);
	add_named(&spec, "volumes", "volumes", wish, 0);

	fields_init(&root, 0);
	value_string(&value, "v1");
	fields_set(&root, "apiVersion", &value);
	value_string(&value, "Pod");
	fields_set(&root, "kind", &value);
	add_object(&root, "metadata", &metadata);
	add_object(&root, "spec", &spec);
	return fields_close(&root, 0);
}

/* ------------------------------------------------------------------------
 * Looking at objects
 * ------------------------------------------------------------------------
 */

static JsonbValue
root_of(Jsonb *object)
{
	JsonbValue	root = {.type = jbvBinary};

	root.val.binary.data = &object->root;
	root.val.binary.len = VARSIZE(object) - VARHDRSZ;
	return root;
}

static void
managers_of(Jsonb *object, Managers *managers)
{
	JsonbValue	metadata;
	JsonbValue	value;

	managers_decode(getKeyJsonValueFromContainer(&object->root, "metadata", 8, &metadata) &&
					getKeyJsonValueFromContainer(metadata.val.binary.data, "managedFields", 13,
												 &value) ? &value : NULL, managers);
}

static FieldSet *
owned_by(Jsonb *object, const char *manager)
{
	Managers	managers;
	Manager    *entry;

	managers_of(object, &managers);
	entry = managers_find(&managers, manager, NULL, true);
	return entry ? entry->fields : field_set_new();
}

static FieldSet *
owned_by_others(Jsonb *object, const char *manager)
{
	FieldSet   *set = field_set_new();
	Managers	managers;

	managers_of(object, &managers);
	for (int i = 0; i < managers.n; i++)
	{
		if (&managers.entries[i] != managers_find(&managers, manager, NULL, true))
			set = field_set_union(set, managers.entries[i].fields);
	}
	return set;
}

static bool
is_subset(const FieldSet *a, const FieldSet *b)
{
	return field_set_is_empty(field_set_minus(a, b));
}

static bool
same_sets(const FieldSet *a, const FieldSet *b)
{
	return is_subset(a, b) && is_subset(b, a);
}

/* Without managedFields: those are looked at by themselves. */
static Jsonb *
bare(Jsonb *object)
{
	Fields		root;
	Fields		metadata;
	JsonbValue	value;

	fields_open(&root, &object->root, 0);
	fields_open(&metadata, fields_find(&root, "metadata")->val.binary.data, 0);
	fields_remove(&metadata, "managedFields");
	fields_value(&metadata, &value);
	fields_set(&root, "metadata", &value);
	return fields_close(&root, 0);
}

static FieldSet *
difference(Jsonb *before, Jsonb *after)
{
	JsonbValue	old = root_of(bare(before));
	JsonbValue	new = root_of(bare(after));
	FieldSet   *change;
	FieldSet   *gained;

	value_compare(&old, &new, &schema, &change, &gained);
	return change;
}

/* Fields that have a value, but for those of the identity. */
static FieldSet *
present(Jsonb *object)
{
	Jsonb	   *nothing = random_wish(&(Wish) {0, 3, 0});
	JsonbValue	root = root_of(bare(object));
	JsonbValue	identity = root_of(nothing);

	return field_set_minus(value_fields(&root, &schema), value_fields(&identity, &schema));
}

static bool
same_bytes(Jsonb *a, Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

static bool
count_member(const char *path, void *context)
{
	++*(int *) context;
	return true;
}

static int
n_members(const FieldSet *set)
{
	int			n = 0;

	field_set_visit(set, count_member, &n);
	return n;
}

static int
n_lines(const char *text)
{
	int			n = 1;

	for (; *text; text++)
		n += (*text == '\n');
	return n;
}

/* ------------------------------------------------------------------------
 * The promises
 * ------------------------------------------------------------------------
 */

static int	now = 0;

static Jsonb *
apply(Jsonb *live, const char *manager, Jsonb *wish, bool force, ObjectError *error)
{
	FieldWriter writer = {
		.manager = manager,
		.api_version = "v1",
		.time = psprintf("2026-01-01T00:%02d:%02dZ", now / 60 % 60, now % 60),
		.force = force,
		.schema = &schema
	};

	now++;
	return apply_patch(live, wish, &writer, error);
}

/* The fields that others lost: all of them the winner's, and no others. */
static void
check_force(Jsonb *live, Jsonb *result, const char *winner, int *n_lost)
{
	FieldSet   *change = difference(live, result);
	Managers	before;

	*n_lost = 0;
	managers_of(live, &before);
	for (int i = 0; i < before.n; i++)
	{
		Manager    *manager = &before.entries[i];
		char	   *name = pnstrdup(manager->name.val.string.val, manager->name.val.string.len);
		FieldSet   *after = owned_by(result, name);
		FieldSet   *lost = field_set_minus(manager->fields, after);

		if (strcmp(name, winner) == 0)
			continue;
		CHECK(is_subset(after, manager->fields));
		CHECK(is_subset(lost, owned_by(result, winner)));
		CHECK(field_set_is_empty(field_set_changed(after, change)));
		CHECK(same_sets(lost, field_set_changed(manager->fields, change)));
		*n_lost += n_members(lost);
	}
}

static void
check_give_up(Jsonb *live, const char *manager)
{
	Jsonb	   *nothing = random_wish(&(Wish) {0, 3, 0});
	FieldSet   *others = owned_by_others(live, manager);
	ObjectError error;
	Jsonb	   *left = apply(live, manager, nothing, false, &error);

	CHECK(left != NULL);
	if (left == NULL)
		return;
	CHECK(field_set_is_empty(field_set_changed(others, difference(live, left))));
	CHECK(same_sets(owned_by_others(left, manager), others));
	CHECK(field_set_is_empty(owned_by(left, manager)));
	CHECK(same_sets(present(left), others));
}

static void
check_commute(Jsonb *live)
{
	uint64		salt = pg_prng_uint64(&prng);
	Jsonb	   *wish1 = random_wish(&(Wish) {70, 1, salt});
	Jsonb	   *wish2 = random_wish(&(Wish) {70, 2, salt});
	ObjectError error;
	Jsonb	   *one = apply(apply(live, "left", wish1, true, &error), "right", wish2, true, &error);
	Jsonb	   *two = apply(apply(live, "right", wish2, true, &error), "left", wish1, true, &error);

	CHECK(field_set_is_empty(difference(one, two)));
	CHECK(same_sets(owned_by(one, "left"), owned_by(two, "left")));
	CHECK(same_sets(owned_by(one, "right"), owned_by(two, "right")));
	CHECK(same_sets(owned_by_others(one, "left"), owned_by_others(two, "left")));
}

static void
run_case(void)
{
	static const char *const names[MANAGERS] = {"kubectl", "helm", "argo"};
	Jsonb	   *live = NULL;
	int			n_steps = 1 + below(5);

	for (int step = 0; step < n_steps; step++)
	{
		const char *name = names[below(MANAGERS)];
		Jsonb	   *wish = random_wish(&(Wish) {10 + below(80), 0, 0});
		ObjectError error;
		Jsonb	   *forced = apply(live, name, wish, true, &error);
		Jsonb	   *again;
		Jsonb	   *asked;
		int			n_lost;

		CHECK(forced != NULL);
		if (forced == NULL)
			return;
		again = apply(forced, name, wish, below(2), &error);
		CHECK(again != NULL && same_bytes(again, forced));
		if (live != NULL)
		{
			check_force(live, forced, name, &n_lost);
			now--;				/* of the same time */
			now--;
			asked = apply(live, name, wish, false, &error);
			now++;
			CHECK((asked == NULL) == (n_lost > 0));
			CHECK(asked == NULL || same_bytes(asked, forced));
			CHECK(asked != NULL || (error.sqlstate == ERRCODE_T_R_SERIALIZATION_FAILURE &&
									n_lines(error.detail) == n_lost));
		}
		live = forced;
	}
	check_give_up(live, names[below(MANAGERS)]);
	check_commute(live);
}

static int
run_batch(uint64 seed, int first, int n)
{
	if (sigsetjmp(error_caught, 0) != 0)
	{
		printf("case %llu: ERROR raised by %s(), line %d\n", (unsigned long long) case_seed,
			   error_function, error_line);
		return 1;
	}
	for (int i = first; i < first + n; i++)
	{
		case_seed = seed + i;
		pg_prng_seed(&prng, case_seed);
		now = 0;
		run_case();
	}
	return n_failed > 0;
}

int
main(int argc, char **argv)
{
	uint64		seed = argc > 1 ? strtoull(argv[1], NULL, 10) : (uint64) time(NULL);
	int			n_cases = argc > 2 ? (int) strtol(argv[2], NULL, 10) : 20000;
	ResourceKey key = {.api_group = "", .version = "v1", .kind = "Pod", .name = "pod"};
	int			n_bad = 0;

	printf("seed %llu\n", (unsigned long long) seed);
	fflush(stdout);
	(void) schema_open(&key, NULL, &schema);
	for (int first = 0; first < n_cases; first += BATCH)
	{
		int			status;
		pid_t		child = fork();

		if (child == 0)
		{
			int			code = run_batch(seed, first, Min(BATCH, n_cases - first));

			fflush(stdout);
			_exit(code);
		}
		if (child < 0 || waitpid(child, &status, 0) != child || status != 0)
			n_bad++;
	}
	printf("%d cases, %d batches of %d failed\n", n_cases, n_bad, BATCH);
	return n_bad > 0;
}
