/*-------------------------------------------------------------------------
 *
 * selector.c
 *	  Which resources are meant: label selectors and field selectors.
 *
 * The parser of labels follows Kubernetes' (apimachinery, pkg/labels), with
 * the same freedoms: white space between tokens, "in" and "notin" as keys and
 * values, an empty value.  What it has beyond the documented language (">" and
 * "<") is refused.  The parser of fields follows pkg/fields: nothing is
 * trimmed, and in a value "\", "," and "=" are written with a "\" in front.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "detail.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "selector.h"
#include "utils/builtins.h"

/* Kubernetes' limits, in bytes */
#define MAX_PREFIX_LENGTH	253
#define MAX_NAME_LENGTH		63

typedef enum TokenKind
{
	TOKEN_END,
	TOKEN_WORD,
	TOKEN_COMMA,
	TOKEN_OPEN,
	TOKEN_CLOSE,
	TOKEN_NOT,					/* ! */
	TOKEN_EQUAL,				/* = or == */
	TOKEN_NOT_EQUAL				/* != */
} TokenKind;

/* The token that comes next, and where the one after it begins. */
typedef struct Scanner
{
	const char *text;
	const char *next;
	TokenKind	kind;
	const char *token;
	int			length;
	int			n_values;		/* so far, of all terms */
} Scanner;

static void refuse(const char *what, const char *format,...)
			pg_attribute_printf(2, 3) pg_attribute_noreturn();

static void
refuse(const char *what, const char *format,...)
{
	va_list		args;
	char	   *detail;

	va_start(args, format);
	detail = format_detail(format, args);
	va_end(args);
	ereport(ERROR,
			(errcode(ERRCODE_INVALID_PARAMETER_VALUE),
			 errmsg("invalid %s selector", what),
			 errdetail_internal("%s", detail)));
}

static void
refuse_count(const char *what, const char *of, int limit)
{
	ereport(ERROR,
			(errcode(ERRCODE_PROGRAM_LIMIT_EXCEEDED),
			 errmsg("%s selector is too long", what),
			 errdetail("It must not have more than %d %s.", limit, of)));
}

/* ------------------------------------------------------------------------
 * Labels: tokens
 * ------------------------------------------------------------------------
 */

static bool
is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r' || c == '\n';
}

static bool
is_special(char c)
{
	return c != '\0' && strchr("()!=,<>", c) != NULL;
}

static void
advance(Scanner *scanner)
{
	const char *s = scanner->next;

	while (is_space(*s))
		s++;
	scanner->token = s;
	scanner->length = 1;
	switch (*s)
	{
		case '\0':
			scanner->kind = TOKEN_END;
			scanner->length = 0;
			break;
		case ',':
			scanner->kind = TOKEN_COMMA;
			break;
		case '(':
			scanner->kind = TOKEN_OPEN;
			break;
		case ')':
			scanner->kind = TOKEN_CLOSE;
			break;
		case '!':
			scanner->kind = s[1] == '=' ? TOKEN_NOT_EQUAL : TOKEN_NOT;
			scanner->length = s[1] == '=' ? 2 : 1;
			break;
		case '=':
			scanner->kind = TOKEN_EQUAL;
			scanner->length = s[1] == '=' ? 2 : 1;
			break;
		case '<':
		case '>':
			refuse("label", "At character %d: the operator \"%c\" is not supported.",
				   pg_mbstrlen_with_len(scanner->text, s - scanner->text) + 1, *s);
		default:
			scanner->kind = TOKEN_WORD;
			while (s[scanner->length] != '\0' && !is_space(s[scanner->length]) &&
				   !is_special(s[scanner->length]))
				scanner->length++;
			break;
	}
	scanner->next = s + scanner->length;
}

static int
place(const Scanner *scanner)
{
	return pg_mbstrlen_with_len(scanner->text, scanner->token - scanner->text) + 1;
}

static void
refuse_token(const Scanner *scanner, const char *expected)
{
	if (scanner->kind == TOKEN_END)
		refuse("label", "At the end: expected %s.", expected);
	refuse("label", "At character %d: found \"%.*s\", expected %s.",
		   place(scanner), scanner->length, scanner->token, expected);
}

static bool
is_word(const Scanner *scanner, const char *word)
{
	return scanner->kind == TOKEN_WORD && scanner->length == strlen(word) &&
		memcmp(scanner->token, word, scanner->length) == 0;
}

/* ------------------------------------------------------------------------
 * Labels: keys and values
 * ------------------------------------------------------------------------
 */

static bool
is_alphanumeric(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

/* ([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9] */
static bool
is_label_name(const char *s, int length)
{
	if (length < 1 || length > MAX_NAME_LENGTH ||
		!is_alphanumeric(s[0]) || !is_alphanumeric(s[length - 1]))
		return false;
	for (int i = 0; i < length; i++)
	{
		if (!is_alphanumeric(s[i]) && s[i] != '-' && s[i] != '_' && s[i] != '.')
			return false;
	}
	return true;
}

/* DNS-1123: lower-case labels of letters, digits and "-", joined by dots. */
static bool
is_label_prefix(const char *s, int length)
{
	if (length < 1 || length > MAX_PREFIX_LENGTH)
		return false;
	for (int i = 0; i < length; i++)
	{
		bool		at_edge = (i == 0 || s[i - 1] == '.' || i == length - 1 || s[i + 1] == '.');

		if (s[i] == '.' ? at_edge && (i == 0 || i == length - 1 || s[i - 1] == '.') :
			!((is_alphanumeric(s[i]) && !(s[i] >= 'A' && s[i] <= 'Z')) ||
			  (s[i] == '-' && !at_edge)))
			return false;
	}
	return true;
}

static char *
take_key(Scanner *scanner)
{
	const char *s = scanner->token;
	const char *slash = memchr(s, '/', scanner->length);
	const char *name = slash ? slash + 1 : s;
	char	   *key;

	if (scanner->kind != TOKEN_WORD)
		refuse_token(scanner, "the key of a label");
	if ((slash && !is_label_prefix(s, slash - s)) ||
		!is_label_name(name, scanner->length - (name - s)))
		refuse("label",
			   "At character %d: \"%.*s\" is no key of a label: a name of at most %d letters, digits, \"-\", \"_\" and \".\" that begins and ends with a letter or digit, optionally behind a DNS subdomain and \"/\".",
			   place(scanner), scanner->length, s, MAX_NAME_LENGTH);
	key = pnstrdup(s, scanner->length);
	advance(scanner);
	return key;
}

/* A value, which may be empty: then there is a comma, a ")" or the end. */
static char *
take_value(Scanner *scanner)
{
	char	   *value;

	if (++scanner->n_values > SELECTOR_MAX_VALUES)
		refuse_count("label", "values", SELECTOR_MAX_VALUES);
	if (scanner->kind != TOKEN_WORD)
		return pstrdup("");
	if (!is_label_name(scanner->token, scanner->length))
		refuse("label",
			   "At character %d: \"%.*s\" is no value of a label: at most %d letters, digits, \"-\", \"_\" and \".\", beginning and ending with a letter or digit.",
			   place(scanner), scanner->length, scanner->token, MAX_NAME_LENGTH);
	value = pnstrdup(scanner->token, scanner->length);
	advance(scanner);
	return value;
}

/* "(x,y)"; like Kubernetes, "(x,)" is x and "". */
static void
take_values(Scanner *scanner, LabelTerm *term)
{
	advance(scanner);			/* in or notin */
	if (scanner->kind != TOKEN_OPEN)
		refuse_token(scanner, "\"(\"");
	advance(scanner);
	if (scanner->kind == TOKEN_CLOSE)
		refuse_token(scanner, "a value");
	term->values = palloc(SELECTOR_MAX_VALUES * sizeof(char *));
	for (;;)
	{
		char	   *value = take_value(scanner);

		term->values[term->n_values++] = value;
		if (scanner->kind != TOKEN_COMMA)
			break;
		advance(scanner);
	}
	if (scanner->kind != TOKEN_CLOSE)
		refuse_token(scanner, "\",\" or \")\"");
	advance(scanner);
}

static void
take_label_term(Scanner *scanner, LabelTerm *term)
{
	memset(term, 0, sizeof(*term));
	if (scanner->kind == TOKEN_NOT)
	{
		advance(scanner);
		term->op = LABEL_ABSENT;
		term->key = take_key(scanner);
		return;
	}

	term->key = take_key(scanner);
	if (is_word(scanner, "in") || is_word(scanner, "notin"))
	{
		term->op = is_word(scanner, "in") ? LABEL_IN : LABEL_NOT_IN;
		take_values(scanner, term);
		return;
	}
	switch (scanner->kind)
	{
		case TOKEN_EQUAL:
		case TOKEN_NOT_EQUAL:
			term->op = scanner->kind == TOKEN_EQUAL ? LABEL_IN : LABEL_NOT_IN;
			advance(scanner);
			term->n_values = 1;
			term->values = palloc(sizeof(char *));
			term->values[0] = take_value(scanner);
			break;
		case TOKEN_COMMA:
		case TOKEN_END:
			term->op = LABEL_EXISTS;
			break;
		default:
			refuse_token(scanner, "an operator, \",\" or the end");
	}
}

static void
parse_labels(const char *text, Selector *selector)
{
	Scanner		scanner = {.text = text, .next = text};

	advance(&scanner);
	if (scanner.kind == TOKEN_END)
		return;
	for (;;)
	{
		if (selector->n_labels == SELECTOR_MAX_TERMS)
			refuse_count("label", "terms", SELECTOR_MAX_TERMS);
		take_label_term(&scanner, &selector->labels[selector->n_labels++]);
		if (scanner.kind == TOKEN_END)
			return;
		if (scanner.kind != TOKEN_COMMA)
			refuse_token(&scanner, "\",\" or the end");
		advance(&scanner);
	}
}

/* ------------------------------------------------------------------------
 * Fields
 * ------------------------------------------------------------------------
 */

/* Where a term ends: at a comma that no "\" takes away. */
static int
term_length(const char *text)
{
	int			i;

	for (i = 0; text[i] != '\0' && text[i] != ','; i++)
	{
		if (text[i] == '\\' && text[i + 1] != '\0')
			i++;
	}
	return i;
}

/* The value behind the operator; start is its place, for people. */
static char *
field_value(const char *s, int length, int start)
{
	StringInfoData value;

	initStringInfo(&value);
	for (int i = 0; i < length; i++)
	{
		if (s[i] == '=')
			refuse("field", "At character %d: \"=\" in a value must be written \"\\=\".",
				   start + pg_mbstrlen_with_len(s, i));
		if (s[i] == '\\' &&
			(++i == length || (s[i] != '\\' && s[i] != ',' && s[i] != '=')))
			refuse("field", "At character %d: \"\\\" must be followed by \"\\\", \",\" or \"=\".",
				   start + pg_mbstrlen_with_len(s, i - 1));
		appendStringInfoChar(&value, s[i]);
	}
	return value.data;
}

/* A path: steps joined by dots, of which none is empty or has odd characters. */
static void
field_path(const char *s, int length, int start, FieldTerm *term)
{
	int			from = 0;

	if (length == strlen("metadata.name") && memcmp(s, "metadata.name", length) == 0)
	{
		term->kind = FIELD_NAME;
		return;
	}
	if (length == strlen("metadata.namespace") && memcmp(s, "metadata.namespace", length) == 0)
	{
		term->kind = FIELD_NAMESPACE;
		return;
	}
	term->kind = FIELD_PATH;
	term->steps = palloc(sizeof(char *) * (length + 1));
	for (int i = 0; i <= length; i++)
	{
		if (i < length && (is_alphanumeric(s[i]) || s[i] == '_' || s[i] == '/' ||
						   (s[i] == '-' && i > from)))
			continue;
		if ((i < length && s[i] != '.') || i == from)
			refuse("field",
				   "At character %d: a field must be a path such as \"spec.nodeName\".",
				   start + pg_mbstrlen_with_len(s, i));
		if (term->n_steps == STORE_MAX_DEPTH)
			refuse("field", "At character %d: the path is longer than %d steps.",
				   start + pg_mbstrlen_with_len(s, i), STORE_MAX_DEPTH);
		term->steps[term->n_steps++] = pnstrdup(s + from, i - from);
		from = i + 1;
	}
}

static void
parse_field_term(const char *text, const char *s, int length, FieldTerm *term)
{
	int			start = pg_mbstrlen_with_len(text, s - text) + 1;
	int			at;
	int			op_length;

	memset(term, 0, sizeof(*term));
	for (at = 0; at < length; at++)
	{
		if (s[at] == '=' || (s[at] == '!' && at + 1 < length && s[at + 1] == '='))
			break;
	}
	if (at == length)
		refuse("field", "At character %d: found \"%.*s\", expected a field, \"=\", \"==\" or \"!=\", and a value.",
			   start, length, s);
	term->negated = (s[at] == '!');
	op_length = (term->negated || (at + 1 < length && s[at + 1] == '=')) ? 2 : 1;

	field_path(s, at, start, term);
	at += op_length;
	term->value = field_value(s + at, length - at, start + pg_mbstrlen_with_len(s, at));
}

static void
parse_fields(const char *text, Selector *selector)
{
	for (const char *s = text;; s++)
	{
		int			length = term_length(s);

		/* an empty term is skipped, as in Kubernetes */
		if (length > 0)
		{
			if (selector->n_fields == SELECTOR_MAX_TERMS)
				refuse_count("field", "terms", SELECTOR_MAX_TERMS);
			parse_field_term(text, s, length, &selector->fields[selector->n_fields++]);
		}
		s += length;
		if (*s == '\0')
			return;
	}
}

Selector *
selector_parse(const char *label_selector, const char *field_selector)
{
	Selector   *selector = palloc(sizeof(Selector));

	selector->n_labels = 0;
	selector->n_fields = 0;
	if (label_selector)
		parse_labels(label_selector, selector);
	if (field_selector)
		parse_fields(field_selector, selector);
	if (selector->n_labels + selector->n_fields > 0)
		return selector;
	pfree(selector);
	return NULL;
}

/* ------------------------------------------------------------------------
 * On a single object
 * ------------------------------------------------------------------------
 */

static JsonbContainer *
find_labels(Jsonb *object)
{
	JsonbValue	value;

	if (!JB_ROOT_IS_OBJECT(object) ||
		getKeyJsonValueFromContainer(&object->root, "metadata", strlen("metadata"),
									 &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data) ||
		getKeyJsonValueFromContainer(value.val.binary.data, "labels", strlen("labels"),
									 &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return NULL;
	return value.val.binary.data;
}

static bool
label_matches(const LabelTerm *term, JsonbContainer *labels)
{
	JsonbValue	value;
	bool		exists;
	bool		found = false;

	exists = labels &&
		getKeyJsonValueFromContainer(labels, term->key, strlen(term->key), &value) != NULL;
	if (term->op == LABEL_EXISTS || term->op == LABEL_ABSENT)
		return exists == (term->op == LABEL_EXISTS);

	for (int i = 0; exists && !found && i < term->n_values; i++)
		found = value.type == jbvString &&
			value.val.string.len == strlen(term->values[i]) &&
			memcmp(value.val.string.val, term->values[i], value.val.string.len) == 0;
	return found == (term->op == LABEL_IN);
}

/* A step into an array is a number; what it means is as for the operator #>>. */
static JsonbValue *
element(JsonbContainer *array, const char *step)
{
	char	   *end;
	long		i;
	int			n = JsonContainerSize(array);

	errno = 0;
	i = strtol(step, &end, 10);
	if (end == step || *end != '\0' || errno != 0 || i < 0 || i >= n)
		return NULL;
	return getIthJsonbValueFromContainer(array, (uint32) i);
}

/* The text of a field, "" if there is none. */
static char *
field_text(const FieldTerm *term, Jsonb *object)
{
	JsonbContainer *container = &object->root;
	JsonbValue *value = NULL;

	for (int i = 0; i < term->n_steps; i++)
	{
		if (container == NULL)
			return pstrdup("");
		if (JsonContainerIsObject(container))
			value = getKeyJsonValueFromContainer(container, term->steps[i],
												 strlen(term->steps[i]), NULL);
		else
			value = element(container, term->steps[i]);
		if (value == NULL)
			return pstrdup("");
		container = value->type == jbvBinary ? value->val.binary.data : NULL;
	}

	switch (value->type)
	{
		case jbvString:
			return pnstrdup(value->val.string.val, value->val.string.len);
		case jbvBool:
			return pstrdup(value->val.boolean ? "true" : "false");
		case jbvNumeric:
			return DatumGetCString(DirectFunctionCall1(numeric_out,
													   NumericGetDatum(value->val.numeric)));
		case jbvBinary:
			return JsonbToCString(NULL, value->val.binary.data, value->val.binary.len);
		default:
			return pstrdup("");
	}
}

static bool
field_matches(const FieldTerm *term, const ResourceKey *key, Jsonb *object)
{
	const char *found = "";

	switch (term->kind)
	{
		case FIELD_NAME:
			found = key->name;
			break;
		case FIELD_NAMESPACE:
			found = key->namespace ? key->namespace : "";
			break;
		case FIELD_PATH:
			found = field_text(term, object);
			break;
	}
	return (strcmp(found, term->value) == 0) != term->negated;
}

bool
selector_matches(const Selector *selector, const ResourceKey *key, Jsonb *object)
{
	JsonbContainer *labels;

	if (selector == NULL)
		return true;
	labels = selector->n_labels > 0 ? find_labels(object) : NULL;
	for (int i = 0; i < selector->n_labels; i++)
	{
		if (!label_matches(&selector->labels[i], labels))
			return false;
	}
	for (int i = 0; i < selector->n_fields; i++)
	{
		if (!field_matches(&selector->fields[i], key, object))
			return false;
	}
	return true;
}
