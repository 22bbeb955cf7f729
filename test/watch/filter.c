/*-------------------------------------------------------------------------
 *
 * filter.c
 *	  Keys, filters, and what they select.
 *
 * The second opinion on selectors: a filter is drawn as a few sets of small
 * numbers and written down in Kubernetes' language only for the product.  What
 * it selects is decided here by bits; no text is ever parsed.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

Key			keys[N_KEYS];

const char *const trait_values[N_TRAITS][N_VALUES] = {
	{"web", "db", "batch"},
	{"front", "back", "cache"},
	{"north", "south", "west-1"},
};

static const char *const namespaces[] = {"east", "west"};

static int
compare_keys(const void *a, const void *b)
{
	const Key  *left = a;
	const Key  *right = b;
	int			order = strcmp(left->group, right->group);

	if (order == 0)
		order = strcmp(left->version, right->version);
	if (order == 0)
		order = strcmp(left->kind, right->kind);
	if (order == 0)
		order = strcmp(left->namespace, right->namespace);
	if (order == 0)
		order = strcmp(left->name, right->name);
	return order;
}

void
keys_define(void)
{
	for (int i = 0; i < N_KEYS; i++)
	{
		Key		   *key = &keys[i];

		key->group = "";
		key->version = key->api_version = "v1";
		key->namespace = namespaces[i % 2];
		if (i < 6)
			key->kind = "ConfigMap";
		else if (i < 12)
			key->kind = "Pod";
		else if (i < 17)
		{
			key->kind = "Deployment";
			key->group = "apps";
			key->api_version = "apps/v1";
		}
		else
		{
			key->kind = "Node";
			key->namespace = "";
		}
		snprintf(key->name, sizeof(key->name), "k%02d", i);
	}
	qsort(keys, N_KEYS, sizeof(Key), compare_keys);
}

int
key_find(const char *group, const char *version, const char *kind, const char *namespace,
		 const char *name)
{
	for (int i = 0; i < N_KEYS; i++)
	{
		if (strcmp(keys[i].name, name) != 0)
			continue;
		if (strcmp(keys[i].group, group) == 0 && strcmp(keys[i].version, version) == 0 &&
			strcmp(keys[i].kind, kind) == 0 && strcmp(keys[i].namespace, namespace) == 0)
			return i;
	}
	return -1;
}

uint8_t
trait_number(Trait trait, const char *value)
{
	for (int i = 0; i < N_VALUES; i++)
		if (strcmp(trait_values[trait][i], value) == 0)
			return (uint8_t) (i + 1);
	return 0;
}

/* ------------------------------------------------------------------------
 * What it selects
 * ------------------------------------------------------------------------
 */

bool
filter_has_key(const Filter *filter, int number)
{
	const Key  *key = &keys[number];

	return (filter->kind == NULL || strcmp(filter->kind, key->kind) == 0) &&
		(filter->api_version == NULL || strcmp(filter->api_version, key->api_version) == 0) &&
		(filter->namespace == NULL || strcmp(filter->namespace, key->namespace) == 0);
}

static int
namespace_number(const char *namespace)
{
	for (int i = 0; i < 2; i++)
		if (strcmp(namespaces[i], namespace) == 0)
			return i + 1;
	return 0;
}

bool
filter_selects(const Filter *filter, int key, const Traits *traits)
{
	for (int i = 0; i < filter->n_terms; i++)
	{
		const Term *term = &filter->terms[i];
		int			value;
		bool		member;
		bool		holds;

		if (term->trait == TRAIT_NAME)
			value = key + 1;
		else if (term->trait == TRAIT_NAMESPACE)
			value = namespace_number(keys[key].namespace);
		else
			value = traits->value[term->trait];
		member = value != 0 && (term->values >> value & 1);

		switch (term->op)
		{
			case TERM_IN:
				holds = member;
				break;
			case TERM_NOT_IN:
				holds = !member;
				break;
			case TERM_EXISTS:
				holds = value != 0;
				break;
			default:
				holds = value == 0;
				break;
		}
		if (!holds)
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Drawing one
 * ------------------------------------------------------------------------
 */

static void
append(char *to, size_t size, const char *text)
{
	size_t		length = strlen(to);

	snprintf(to + length, size - length, "%s", text);
}

static void
add_label_term(Filter *filter, Random *random, Trait trait, const char *name)
{
	Term	   *term = &filter->terms[filter->n_terms++];
	char	   *text = filter->label_selector;
	size_t		size = sizeof(filter->label_selector);
	int			first = random_int(random, 1, N_VALUES);
	int			second = random_int(random, 1, N_VALUES);
	char		piece[80];

	term->trait = trait;
	term->values = 1u << first;
	switch (random_int(random, 0, 6))
	{
		case 0:
		case 1:
			term->op = TERM_IN;
			snprintf(piece, sizeof(piece), "%s%s%s", name, random_one_in(random, 2) ? "=" : "==",
					 trait_values[trait][first - 1]);
			break;
		case 2:
			term->op = TERM_NOT_IN;
			snprintf(piece, sizeof(piece), "%s!=%s", name, trait_values[trait][first - 1]);
			break;
		case 3:
		case 4:
			term->op = random_one_in(random, 2) ? TERM_IN : TERM_NOT_IN;
			term->values |= 1u << second;
			snprintf(piece, sizeof(piece), "%s %s (%s, %s)", name,
					 term->op == TERM_IN ? "in" : "notin", trait_values[trait][first - 1],
					 trait_values[trait][second - 1]);
			break;
		case 5:
			term->op = TERM_EXISTS;
			snprintf(piece, sizeof(piece), "%s", name);
			break;
		default:
			term->op = TERM_ABSENT;
			snprintf(piece, sizeof(piece), "!%s", name);
			break;
	}
	if (text[0] != '\0')
		append(text, size, ",");
	append(text, size, piece);
}

static void
add_field_term(Filter *filter, Random *random)
{
	Term	   *term = &filter->terms[filter->n_terms++];
	const char *name;
	const char *value;
	char		piece[80];

	switch (random_int(random, 0, 3))
	{
		case 0:
			{
				int			key = random_int(random, 0, N_KEYS - 1);

				term->trait = TRAIT_NAME;
				term->values = 1u << (key + 1);
				name = "metadata.name";
				value = keys[key].name;
				break;
			}
		case 1:
			{
				int			which = random_int(random, 1, 2);

				term->trait = TRAIT_NAMESPACE;
				term->values = 1u << which;
				name = "metadata.namespace";
				value = namespaces[which - 1];
				break;
			}
		default:
			{
				int			which = random_int(random, 1, N_VALUES);

				term->trait = TRAIT_ZONE;
				term->values = 1u << which;
				name = "spec.zone";
				value = trait_values[TRAIT_ZONE][which - 1];
				break;
			}
	}
	term->op = random_one_in(random, 3) ? TERM_NOT_IN : TERM_IN;
	snprintf(piece, sizeof(piece), "%s%s%s", name, term->op == TERM_IN ? "=" : "!=", value);
	append(filter->field_selector, sizeof(filter->field_selector), piece);
}

void
filter_draw(Filter *filter, Random *random)
{
	memset(filter, 0, sizeof(*filter));
	if (!random_one_in(random, 4))
	{
		const Key  *key = &keys[random_int(random, 0, N_KEYS - 1)];

		filter->kind = key->kind;
		if (random_one_in(random, 2))
			filter->api_version = key->api_version;
		if (key->namespace[0] != '\0' && random_one_in(random, 3))
			filter->namespace = key->namespace;
	}
	else if (random_one_in(random, 4))
		filter->namespace = namespaces[random_int(random, 0, 1)];

	if (random_one_in(random, 2))
		add_label_term(filter, random, TRAIT_APP, "app");
	if (random_one_in(random, 5))
		add_label_term(filter, random, TRAIT_TIER, "tier");
	if (random_one_in(random, 4))
		add_field_term(filter, random);
}
