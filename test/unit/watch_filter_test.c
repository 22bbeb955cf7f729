/*-------------------------------------------------------------------------
 *
 * watch_filter_test.c
 *	  What a watcher is told of every kind of change, and what wakes it.
 *
 * All combinations of what a resource was before a change and is after it go
 * through the filter, and come out as the table in watch_filter.h says.  Sets
 * of kinds and namespaces may meet without need, but never fail to.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "fields.h"
#include "fmgr.h"
#include "lib/stringinfo.h"
#include "stubs.h"
#include "utils/fmgrprotos.h"
#include "watch_filter.h"

#define N_NAMES	200

static int	n_passed = 0;
static int	n_failed = 0;

#define CHECK(condition) check((condition), #condition, __LINE__)

static void
check(bool holds, const char *condition, int line)
{
	if (holds)
	{
		n_passed++;
		return;
	}
	n_failed++;
	printf("line %d: not true: %s\n", line, condition);
}

/* No selector here looks at a field of the object. */
JsonbValue *
getIthJsonbValueFromContainer(JsonbContainer *container, uint32 i)
{
	abort();
}

char *
JsonbToCString(StringInfo out, JsonbContainer *in, int estimated_len)
{
	abort();
}

Datum
numeric_out(PG_FUNCTION_ARGS)
{
	abort();
}

static char *app_is_web[] = {"web"};

static const Selector web = {
	.n_labels = 1,
	.labels = {{.op = LABEL_IN, .key = "app", .n_values = 1, .values = app_is_web}}
};

/* A resource with the label "app" and a version of its own. */
static Jsonb *
make_object(const char *app, const char *version)
{
	Fields		object;
	Fields		metadata;
	Fields		labels;
	JsonbValue	value;

	fields_init(&labels, 0);
	value_string(&value, app);
	fields_set(&labels, "app", &value);
	fields_init(&metadata, 0);
	fields_value(&labels, &value);
	fields_set(&metadata, "labels", &value);
	value_string(&value, version);
	fields_set(&metadata, "resourceVersion", &value);
	fields_init(&object, 0);
	fields_value(&metadata, &value);
	fields_set(&object, "metadata", &value);
	return fields_close(&object, 0);
}

static bool
is_same(const Jsonb *a, const Jsonb *b)
{
	return VARSIZE(a) == VARSIZE(b) && memcmp(a, b, VARSIZE(a)) == 0;
}

/*
 * An event from "before" to "after", each the label or NULL for nothing there;
 * "told" is the type that the watcher must see, or NULL, and object the one.
 */
static void
expect(const Selector *selector, const char *before, const char *after, const char *told,
	   const Jsonb *object)
{
	bool		is_deleted = (after == NULL);
	Jsonb	   *previous = before ? make_object(before, "5") : NULL;
	WatchEvent	event = {
		.type = is_deleted ? "DELETED" : before ? "MODIFIED" : "ADDED",
		.key = {.api_group = "", .version = "v1", .kind = "Pod", .namespace = "n", .name = "p"},
		.resource_version = 8,
		.object = make_object(is_deleted ? before : after, "8"),
		.previous = previous
	};
	bool		is_told = watch_filter(selector, &event);

	CHECK(is_told == (told != NULL));
	if (is_told && told != NULL)
	{
		CHECK(strcmp(event.type, told) == 0);
		CHECK(is_same(event.object, object));
		CHECK(event.resource_version == 8);
	}
	/* what the history says is not touched */
	CHECK(previous == NULL || is_same(previous, make_object(before, "5")));
}

static void
test_selection(void)
{
	Jsonb	   *selected = make_object("web", "8");

	expect(&web, NULL, "web", "ADDED", selected);
	expect(&web, NULL, "db", NULL, NULL);
	expect(&web, "web", "web", "MODIFIED", selected);
	expect(&web, "db", "web", "ADDED", selected);
	expect(&web, "db", "cache", NULL, NULL);
	expect(&web, "db", NULL, NULL, NULL);

	/* leaving and deleting: the last state in the selection, the new version */
	expect(&web, "web", "db", "DELETED", selected);
	expect(&web, "web", NULL, "DELETED", selected);
}

static void
test_everything(void)
{
	expect(NULL, NULL, "db", "ADDED", make_object("db", "8"));
	expect(NULL, "web", "db", "MODIFIED", make_object("db", "8"));
	expect(NULL, "web", NULL, "DELETED", make_object("web", "8"));
}

/* What a batch changed wakes whoever waits for any of it. */
static void
test_sets(void)
{
	WatchSet	nothing = {0, 0};
	WatchSet	everything = watch_set_of(NULL, NULL);
	WatchSet	cluster_scoped;
	int			n_strangers = 0;

	CHECK(!watch_sets_meet(&nothing, &everything));
	for (int i = 0; i < N_NAMES; i++)
	{
		char		kind[32];
		char		namespace[32];
		WatchSet	changes = {0, 0};
		WatchSet	wanted[4];
		WatchSet	stranger;

		snprintf(kind, sizeof(kind), "Kind%d", i);
		snprintf(namespace, sizeof(namespace), "namespace-%d", i);
		watch_set_add(&changes, "Other", NULL);
		watch_set_add(&changes, kind, namespace);
		wanted[0] = watch_set_of(kind, namespace);
		wanted[1] = watch_set_of(kind, NULL);
		wanted[2] = watch_set_of(NULL, namespace);
		wanted[3] = watch_set_of("Other", NULL);
		for (int j = 0; j < lengthof(wanted); j++)
			CHECK(watch_sets_meet(&wanted[j], &changes) && watch_sets_meet(&changes, &wanted[j]));
		CHECK(watch_sets_meet(&everything, &changes));

		stranger = watch_set_of("Stranger", "far-away");
		n_strangers += watch_sets_meet(&stranger, &changes);
	}

	/* of nothing but a change outside of namespaces, too */
	cluster_scoped = watch_set_of("Other", NULL);
	watch_set_add(&nothing, "Other", NULL);
	CHECK(watch_sets_meet(&nothing, &cluster_scoped));

	/* names may share a bit, but that most do not is the point of it */
	CHECK(n_strangers < N_NAMES / 4);
}

int
main(void)
{
	if (sigsetjmp(error_caught, 0) != 0)
	{
		printf("ERROR raised by %s(), line %d\n", error_function, error_line);
		return 1;
	}
	test_selection();
	test_everything();
	test_sets();
	printf("%d passed, %d failed\n", n_passed, n_failed);
	return n_failed > 0;
}
