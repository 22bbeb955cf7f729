/*-------------------------------------------------------------------------
 *
 * object.c
 *	  What a resource is made of: required fields, names, limits.
 *
 * Objects are checked three times.  The backend that is asked for a write
 * checks everything and raises an ERROR that tells the user what to do
 * (object_check).  A member that receives a command from another one checks
 * that the bytes are a jsonb at all (jsonb_bytes.h).  And the state
 * machine, which may not raise an ERROR, checks what a patch has made of an
 * object (object_identify).
 *
 * What object_identify() refuses is part of the rules that all members share:
 * to change it is to change COMMAND_VERSION.  So it asks less of a kind than the
 * backends do: entries written before they asked so much mean what they meant,
 * and nothing is lost by it, for a patch cannot change the kind.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include <math.h>

#include "common/int.h"
#include "detail.h"
#include "json_patch.h"
#include "lib/stringinfo.h"
#include "mb/pg_wchar.h"
#include "object.h"
#include "object_path.h"
#include "utils/builtins.h"

/* Kubernetes' limits, in bytes */
#define MAX_LABEL_LENGTH		63	/* DNS-1035: kind, version */
#define MAX_SUBDOMAIN_LENGTH	253 /* DNS-1123: group */
#define MAX_NAME_LENGTH			253

static bool refuse(ObjectError *error, const char *format,...) pg_attribute_printf(2, 3);

/* Note why; false, so that a check can end with it. */
static bool
refuse(ObjectError *error, const char *format,...)
{
	va_list		args;

	va_start(args, format);
	error->detail = format_detail(format, args);
	va_end(args);
	error->sqlstate = ERRCODE_INVALID_PARAMETER_VALUE;
	error->message = "invalid object";
	error->hint = NULL;
	return false;
}

static void
throw(const ObjectError *error)
{
	ereport(ERROR,
			(errcode(error->sqlstate),
			 errmsg("%s", error->message),
			 errdetail("%s", error->detail),
			 error->hint ? errhint("%s", error->hint) : 0));
}

/*----------
 * Names
 *----------
 */

static bool
is_lower(char c)
{
	return c >= 'a' && c <= 'z';
}

static bool
is_upper(char c)
{
	return c >= 'A' && c <= 'Z';
}

static bool
is_lower_or_digit(char c)
{
	return is_lower(c) || (c >= '0' && c <= '9');
}

/* [a-z]([-a-z0-9]*[a-z0-9])? */
static bool
is_dns_label(const char *s, int length)
{
	int			i;

	if (length < 1 || length > MAX_LABEL_LENGTH ||
		!is_lower(s[0]) || !is_lower_or_digit(s[length - 1]))
		return false;
	for (i = 1; i < length; i++)
	{
		if (!is_lower_or_digit(s[i]) && s[i] != '-')
			return false;
	}
	return true;
}

/* [a-z0-9]([-a-z0-9]*[a-z0-9])?, once or more, joined by dots */
static bool
is_dns_subdomain(const char *s, int length)
{
	bool		at_start = true;	/* a letter or digit has to come */
	int			i;

	if (length > MAX_SUBDOMAIN_LENGTH)
		return false;
	for (i = 0; i < length; i++)
	{
		if (is_lower_or_digit(s[i]))
			at_start = false;
		else if (at_start)
			return false;
		else if (s[i] == '.')
		{
			if (s[i - 1] == '-')
				return false;
			at_start = true;
		}
		else if (s[i] != '-')
			return false;
	}
	return !at_start && s[length - 1] != '-';
}

/*
 * name and namespace: anything that can be one segment of a path.  "what" says
 * where it comes from, here and below.
 */
static bool
check_name(const char *what, const char *s, int length, ObjectError *error)
{
	if (length == 0)
		return refuse(error, "%s must not be empty.", what);
	if (length > MAX_NAME_LENGTH)
		return refuse(error, "%s must not be longer than %d bytes.", what, MAX_NAME_LENGTH);
	if ((length == 1 && s[0] == '.') ||
		(length == 2 && s[0] == '.' && s[1] == '.'))
		return refuse(error, "%s must not be \".\" or \"..\".", what);
	if (memchr(s, '/', length) || memchr(s, '%', length))
		return refuse(error, "%s must not contain \"/\" or \"%%\".", what);
	if (pg_encoding_verifymbstr(PG_UTF8, s, length) != length)
		return refuse(error, "%s must be valid UTF-8.", what);
	return true;
}

/* [A-Z][A-Za-z0-9]*, as Kubernetes' conventions for types have it */
static bool
is_kind(const char *s, int length)
{
	if (length < 1 || length > MAX_LABEL_LENGTH || !is_upper(s[0]))
		return false;
	for (int i = 1; i < length; i++)
	{
		if (!is_upper(s[i]) && !is_lower_or_digit(s[i]))
			return false;
	}
	return true;
}

/* Every kind that a caller gives passes here, to be written or to be read. */
static bool
check_kind(const char *what, const char *s, int length, ObjectError *error)
{
	if (is_kind(s, length))
		return true;

	refuse(error,
		   "%s must begin with an upper-case ASCII letter, go on with ASCII letters and digits, and not be longer than %d bytes.",
		   what, MAX_LABEL_LENGTH);
	error->hint = "Kinds are written as in a manifest, such as \"Pod\"; not \"pods\".";
	return false;
}

/*
 * What the state machine asks of a kind: that it is, in lower case, a DNS
 * label.  Only ASCII has a case here.
 */
static bool
check_logged_kind(const char *what, const char *s, int length, ObjectError *error)
{
	char		lower[MAX_LABEL_LENGTH];

	for (int i = 0; i < Min(length, MAX_LABEL_LENGTH); i++)
		lower[i] = is_upper(s[i]) ? s[i] + ('a' - 'A') : s[i];

	if (length > MAX_LABEL_LENGTH || !is_dns_label(lower, length))
		return refuse(error,
					  "%s must consist of ASCII letters, digits and \"-\", begin with a letter, not end with \"-\", and not be longer than %d bytes.",
					  what, MAX_LABEL_LENGTH);
	return true;
}

/* "version" or "group/version", taken apart into the key. */
static bool
check_api_version(const char *what, const char *s, int length,
				  ResourceKey *key, ObjectError *error)
{
	const char *slash = memchr(s, '/', length);
	const char *version = slash ? slash + 1 : s;
	int			group_length = slash ? slash - s : 0;
	int			version_length = length - (version - s);

	if ((slash && !is_dns_subdomain(s, group_length)) ||
		!is_dns_label(version, version_length))
		return refuse(error,
					  "%s must be a version such as \"v1\", or a group and a version such as \"apps/v1\".",
					  what);

	key->api_group = pnstrdup(s, group_length);
	key->version = pnstrdup(version, version_length);
	return true;
}

/*----------
 * The fields of an object that the store itself understands
 *----------
 */

/* A field that may be absent, for which null stands, too. */
static JsonbValue *
find_optional(JsonbContainer *object, const char *key, JsonbValue *value)
{
	if (getKeyJsonValueFromContainer(object, key, strlen(key), value) == NULL ||
		value->type == jbvNull)
		return NULL;
	return value;
}

/* A field that must be a string. */
static bool
find_string(JsonbContainer *object, const char *key, const char *what,
			JsonbValue *value, ObjectError *error)
{
	if (find_optional(object, key, value) == NULL)
		return refuse(error, "%s is missing.", what);
	if (value->type != jbvString)
		return refuse(error, "%s must be a string, but its type is %s.",
					  what, JsonbTypeName(value));
	return true;
}

static bool
check_optional_string(JsonbContainer *object, const char *key, const char *what,
					  ObjectError *error)
{
	JsonbValue	value;

	return find_optional(object, key, &value) == NULL ||
		find_string(object, key, what, &value, error);
}

/*
 * An optional field that is an object (map) or an array, of nothing but strings.
 */
static bool
check_optional_strings(JsonbContainer *object, const char *key, bool map,
					   const char *what, ObjectError *error)
{
	JsonbValue	value;
	JsonbIterator *it;
	JsonbIteratorToken token;

	if (find_optional(object, key, &value) == NULL)
		return true;
	if (value.type != jbvBinary ||
		(map ? !JsonContainerIsObject(value.val.binary.data) :
		 !JsonContainerIsArray(value.val.binary.data)))
		return refuse(error, "%s must be an %s, but its type is %s.",
					  what, map ? "object" : "array", JsonbTypeName(&value));

	it = JsonbIteratorInit(value.val.binary.data);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if ((token == WJB_VALUE || token == WJB_ELEM) && value.type != jbvString)
			return refuse(error, "%s must contain strings only, but not a value of type %s.",
						  what, JsonbTypeName(&value));
	}
	return true;
}

typedef bool (*KindCheck) (const char *what, const char *s, int length, ObjectError *error);

static bool
identify(Jsonb *object, KindCheck kind_is_valid, ResourceKey *key, ObjectError *error)
{
	JsonbContainer *root = &object->root;
	JsonbContainer *metadata;
	JsonbValue	value;

	memset(key, 0, sizeof(*key));

	if (!JB_ROOT_IS_OBJECT(object))
		return refuse(error, "A resource must be a JSON object.");

	if (!find_string(root, "apiVersion", "Field apiVersion", &value, error) ||
		!check_api_version("Field apiVersion", value.val.string.val,
						   value.val.string.len, key, error))
		return false;

	if (!find_string(root, "kind", "Field kind", &value, error) ||
		!kind_is_valid("Field kind", value.val.string.val, value.val.string.len, error))
		return false;
	key->kind = pnstrdup(value.val.string.val, value.val.string.len);

	if (find_optional(root, "metadata", &value) == NULL)
		return refuse(error, "Field metadata is missing.");
	if (value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data))
		return refuse(error, "Field metadata must be an object, but its type is %s.",
					  JsonbTypeName(&value));
	metadata = value.val.binary.data;

	if (!find_string(metadata, "name", "Field metadata.name", &value, error) ||
		!check_name("Field metadata.name", value.val.string.val,
					value.val.string.len, error))
		return false;
	key->name = pnstrdup(value.val.string.val, value.val.string.len);

	if (find_optional(metadata, "namespace", &value))
	{
		if (!find_string(metadata, "namespace", "Field metadata.namespace", &value, error) ||
			!check_name("Field metadata.namespace", value.val.string.val,
						value.val.string.len, error))
			return false;
		key->namespace = pnstrdup(value.val.string.val, value.val.string.len);
	}

	return check_optional_strings(metadata, "labels", true,
								  "Field metadata.labels", error) &&
		check_optional_strings(metadata, "annotations", true,
							   "Field metadata.annotations", error) &&
		check_optional_strings(metadata, "finalizers", false,
							   "Field metadata.finalizers", error) &&
		check_optional_string(metadata, "resourceVersion",
							  "Field metadata.resourceVersion", error) &&
		check_optional_string(metadata, "uid", "Field metadata.uid", error);
}

bool
object_identify(Jsonb *object, ResourceKey *key, ObjectError *error)
{
	return identify(object, check_logged_kind, key, error);
}

/*----------
 * Everything in an object
 *----------
 */

static bool
is_utf8(const JsonbValue *string)
{
	return pg_encoding_verifymbstr(PG_UTF8, string->val.string.val,
								   string->val.string.len) == string->val.string.len;
}

/*
 * Not every reader keeps numbers as exactly as jsonb does; what does not fit
 * in a double at all, most of them cannot even read.
 */
static bool
is_double(Numeric number)
{
	float8		value;

	value = DatumGetFloat8(DirectFunctionCall1(numeric_float8_no_overflow,
											   NumericGetDatum(number)));
	return !isinf(value) && !isnan(value);
}

/*
 * Check depth, numbers and encoding of all that is in a container; depth
 * counts the container itself.
 */
static bool
check_values(JsonbContainer *container, const PathStep *parent, int depth,
			 ObjectError *error)
{
	bool		check_encoding = GetDatabaseEncoding() != PG_UTF8;
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	key;
	JsonbValue	value;
	PathStep	step = {parent, NULL, -1};

	if (depth > STORE_MAX_DEPTH)
		return refuse(error, "Field %s is nested deeper than %d levels.",
					  path_text(parent), STORE_MAX_DEPTH);

	it = JsonbIteratorInit(container);
	while ((token = JsonbIteratorNext(&it, &value, true)) != WJB_DONE)
	{
		if (token == WJB_KEY)
		{
			key = value;
			step.key = &key;
			if (check_encoding && !is_utf8(&key))
				return refuse(error, "A key in it is not valid UTF-8.");
			continue;
		}
		if (token != WJB_VALUE && token != WJB_ELEM)
			continue;

		step.index++;
		if (value.type == jbvNumeric && !is_double(value.val.numeric))
			return refuse(error, "Field %s is out of the range of a double.", path_text(&step));
		if (value.type == jbvString && check_encoding && !is_utf8(&value))
			return refuse(error, "Field %s is not valid UTF-8.", path_text(&step));
		if (value.type == jbvBinary &&
			!check_values(value.val.binary.data, &step, depth + 1, error))
			return false;
	}
	return true;
}

bool
object_verify(Jsonb *object, ResourceKey *key, ObjectError *error)
{
	return identify(object, check_kind, key, error) &&
		check_values(&object->root, NULL, 1, error);
}

void
object_check(Jsonb *object, ResourceKey *key)
{
	ObjectError error;

	if (!object_verify(object, key, &error))
		throw(&error);
}

bool
patch_verify(Jsonb *patch, PatchType type, ObjectError *error)
{
	if (type == PATCH_JSON ? !JB_ROOT_IS_ARRAY(patch) || JB_ROOT_IS_SCALAR(patch) :
		!JB_ROOT_IS_OBJECT(patch))
		refuse(error, type == PATCH_JSON ? "A JSON patch must be an array of operations." :
			   type == PATCH_MERGE ? "A merge patch must be a JSON object." :
			   "The patch must be a JSON object.");
	else if (check_values(&patch->root, NULL, 1, error) &&
			 (type != PATCH_JSON || json_patch_check(patch, error)))
		return true;
	error->message = "invalid patch";
	return false;
}

void
patch_check(Jsonb *patch, PatchType type)
{
	ObjectError error;

	if (!patch_verify(patch, type, &error))
		throw(&error);
}

/*
 * jsonb keeps keys in one order, so the bytes say nothing of how the object
 * was written, and a container is the same bytes wherever it lies.
 */
Jsonb *
object_labels(Jsonb *object)
{
	JsonbValue	value;
	Jsonb	   *labels;

	if (find_optional(&object->root, "metadata", &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data) ||
		find_optional(value.val.binary.data, "labels", &value) == NULL ||
		value.type != jbvBinary || JsonContainerSize(value.val.binary.data) == 0)
		return NULL;

	labels = palloc(VARHDRSZ + value.val.binary.len);
	SET_VARSIZE(labels, VARHDRSZ + value.val.binary.len);
	memcpy(&labels->root, value.val.binary.data, value.val.binary.len);
	return labels;
}

/* Leading zeros or signs would make two names for one version. */
bool
resource_version_parse(const JsonbValue *value, int64 *resource_version)
{
	const char *s = value->val.string.val;
	int			length = value->type == jbvString ? value->val.string.len : 0;
	int64		number = 0;

	if (length == 0 || (s[0] == '0' && length > 1))
		return false;
	for (int i = 0; i < length; i++)
	{
		if (s[i] < '0' || s[i] > '9' ||
			pg_mul_s64_overflow(number, 10, &number) ||
			pg_add_s64_overflow(number, s[i] - '0', &number))
			return false;
	}
	*resource_version = number;
	return true;
}

/* Kubernetes sends "" for "none". */
bool
object_resource_version(Jsonb *object, int64 *resource_version)
{
	JsonbValue	value;
	ObjectError error;

	if (!JB_ROOT_IS_OBJECT(object) ||
		find_optional(&object->root, "metadata", &value) == NULL ||
		value.type != jbvBinary || !JsonContainerIsObject(value.val.binary.data) ||
		find_optional(value.val.binary.data, "resourceVersion", &value) == NULL ||
		(value.type == jbvString && value.val.string.len == 0))
		return false;

	if (!resource_version_parse(&value, resource_version))
	{
		refuse(&error, "Field metadata.resourceVersion must be a string of decimal digits, as it was read.");
		throw(&error);
	}
	return true;
}

/*----------
 * Keys
 *----------
 */

void
key_from_arguments(const char *api_version, const char *kind,
				   const char *namespace, const char *name, ResourceKey *key)
{
	ObjectError error;

	memset(key, 0, sizeof(*key));
	if (!check_api_version("Argument api_version", api_version, strlen(api_version),
						   key, &error) ||
		!check_kind("Argument kind", kind, strlen(kind), &error) ||
		(namespace &&
		 !check_name("Argument namespace", namespace, strlen(namespace), &error)) ||
		!check_name("Argument name", name, strlen(name), &error))
	{
		error.message = "invalid key of a resource";
		throw(&error);
	}

	key->kind = pstrdup(kind);
	key->namespace = namespace ? pstrdup(namespace) : NULL;
	key->name = pstrdup(name);
}

/* One string of a key in an object; NULL if it is absent and may be. */
static bool
key_member(JsonbContainer *object, const char *place, const char *name, bool required,
		   char **what, char **string, ObjectError *error)
{
	JsonbValue	value;

	*what = psprintf("%s.%s", place, name);
	*string = NULL;
	if (!required && find_optional(object, name, &value) == NULL)
		return true;
	if (!find_string(object, name, *what, &value, error))
		return false;
	*string = pnstrdup(value.val.string.val, value.val.string.len);
	return true;
}

bool
key_from_object(JsonbContainer *object, const char *place, ResourceKey *key,
				ObjectError *error)
{
	enum
	{
		API_VERSION, KIND, NAMESPACE, NAME, N_MEMBERS
	};
	static const char *const members[] = {"apiVersion", "kind", "namespace", "name"};
	char	   *what[N_MEMBERS];
	char	   *strings[N_MEMBERS];
	int			n_present = 0;

	memset(key, 0, sizeof(*key));
	for (int i = 0; i < N_MEMBERS; i++)
	{
		JsonbValue	value;

		if (!key_member(object, place, members[i], i != NAMESPACE, &what[i], &strings[i], error))
			return false;
		n_present += getKeyJsonValueFromContainer(object, members[i], strlen(members[i]),
												  &value) != NULL;
	}
	if (n_present != JsonContainerSize(object))
		return refuse(error, "%s must have no members but apiVersion, kind, namespace and name.",
					  place);

	if (!check_api_version(what[API_VERSION], strings[API_VERSION],
						   strlen(strings[API_VERSION]), key, error) ||
		!check_kind(what[KIND], strings[KIND], strlen(strings[KIND]), error) ||
		(strings[NAMESPACE] &&
		 !check_name(what[NAMESPACE], strings[NAMESPACE], strlen(strings[NAMESPACE]), error)) ||
		!check_name(what[NAME], strings[NAME], strlen(strings[NAME]), error))
		return false;
	key->kind = strings[KIND];
	key->namespace = strings[NAMESPACE];
	key->name = strings[NAME];
	return true;
}

char *
key_api_version(const ResourceKey *key)
{
	if (key->api_group[0] == '\0')
		return pstrdup(key->version);
	return psprintf("%s/%s", key->api_group, key->version);
}

char *
key_display(const ResourceKey *key)
{
	if (key->namespace == NULL)
		return psprintf("%s %s", key->kind, key->name);
	return psprintf("%s %s/%s", key->kind, key->namespace, key->name);
}

bool
key_equals(const ResourceKey *a, const ResourceKey *b)
{
	if ((a->namespace == NULL) != (b->namespace == NULL))
		return false;
	return strcmp(a->name, b->name) == 0 &&
		(a->namespace == NULL || strcmp(a->namespace, b->namespace) == 0) &&
		strcmp(a->kind, b->kind) == 0 &&
		strcmp(a->version, b->version) == 0 &&
		strcmp(a->api_group, b->api_group) == 0;
}
