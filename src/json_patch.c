/*-------------------------------------------------------------------------
 *
 * json_patch.c
 *	  JSON Patch, RFC 6902, with the pointers of RFC 6901.
 *
 * The target becomes a tree of JsonbValues of which only what a pointer has
 * gone through is open (jbvObject, jbvArray); the rest stays in binary form.
 * Operations change the tree, and at the end it is closed once.  If one of
 * them fails, the tree is dropped, so a patch happens as a whole or not at all.
 *
 * Open nodes may change, so no two places share one: what is copied is closed
 * first.  What is in binary form never changes and may be shared; therefore
 * copies are counted, or a few of them could make a target of any size.
 *
 * What operations see is the tree, whatever was open in it before; so members
 * come to the same result.  Recursion is as deep as values are nested, and
 * that is checked before a value is put anywhere.
 *
 *-------------------------------------------------------------------------
 */
#include "postgres.h"

#include "detail.h"
#include "fields.h"
#include "json_patch.h"

typedef enum OperationKind
{
	OPERATION_ADD,
	OPERATION_REMOVE,
	OPERATION_REPLACE,
	OPERATION_MOVE,
	OPERATION_COPY,
	OPERATION_TEST
} OperationKind;

static const char *const operation_names[] = {
	[OPERATION_ADD] = "add",
	[OPERATION_REMOVE] = "remove",
	[OPERATION_REPLACE] = "replace",
	[OPERATION_MOVE] = "move",
	[OPERATION_COPY] = "copy",
	[OPERATION_TEST] = "test",
};

/* A JSON pointer, taken apart: n_tokens strings, unescaped. */
typedef struct JsonPointer
{
	const JsonbValue *text;		/* as it was given */
	int			n_tokens;
	JsonbValue *tokens;
} JsonPointer;

typedef struct Operation
{
	int			number;			/* in the patch, from 0 */
	OperationKind kind;
	JsonbValue	path_text;
	JsonbValue	from_text;
	JsonPointer		path;
	JsonPointer		from;			/* of move and copy */
	JsonbValue	value;			/* of add, replace and test */
} Operation;

/* What is being patched. */
typedef struct Tree
{
	JsonbValue	root;
	Size		work;			/* done so far; see JSON_PATCH_MAX_WORK */
	ObjectError *error;
} Tree;

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
	error->message = "invalid patch";
	error->hint = NULL;
	return false;
}

/* The same for an operation that meets something it cannot do. */
static bool
refuse_operation(Tree *tree, const Operation *operation, const JsonPointer *at, const char *why)
{
	return refuse(tree->error, "Operation %d (%s) at \"%.*s\": %s.",
				  operation->number, operation_names[operation->kind],
				  at->text->val.string.len, at->text->val.string.val, why);
}

static bool
refuse_work(Tree *tree, const Operation *operation)
{
	refuse_operation(tree, operation, &operation->path,
					 "the patch copies or moves too much");
	tree->error->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
	return false;
}

/* ------------------------------------------------------------------------
 * The patch
 * ------------------------------------------------------------------------
 */

/* RFC 6901, section 3: tokens behind slashes, with ~0 for ~ and ~1 for /. */
static bool
parse_pointer(const JsonbValue *text, JsonPointer *pointer)
{
	const char *s = text->val.string.val;
	int			length = text->val.string.len;
	int			n_slashes = 0;
	char	   *unescaped;

	pointer->text = text;
	pointer->n_tokens = 0;
	pointer->tokens = NULL;
	if (length == 0)
		return true;
	if (s[0] != '/')
		return false;

	for (int i = 0; i < length; i++)
		n_slashes += (s[i] == '/');
	pointer->tokens = palloc(sizeof(JsonbValue) * n_slashes);
	unescaped = palloc(length);
	for (int i = 1; i <= length; i++)
	{
		JsonbValue *token = &pointer->tokens[pointer->n_tokens++];

		token->type = jbvString;
		token->val.string.val = unescaped;
		for (; i < length && s[i] != '/'; i++)
		{
			char		c = s[i];

			if (c == '~')
			{
				if (++i == length || (s[i] != '0' && s[i] != '1'))
					return false;
				c = s[i] == '0' ? '~' : '/';
			}
			*unescaped++ = c;
		}
		token->val.string.len = unescaped - token->val.string.val;
	}
	return true;
}

static bool
take_member(JsonbContainer *operation, const char *name, JsonbValue *value)
{
	return getKeyJsonValueFromContainer(operation, name, strlen(name), value) != NULL;
}

static bool
take_pointer(JsonbContainer *object, const char *name, int number,
			 JsonbValue *text, JsonPointer *pointer, ObjectError *error)
{
	if (!take_member(object, name, text))
		return refuse(error, "Operation %d has no member \"%s\".", number, name);
	if (text->type != jbvString)
		return refuse(error, "Operation %d: member \"%s\" must be a string, but its type is %s.",
					  number, name, JsonbTypeName(text));
	if (!parse_pointer(text, pointer))
		return refuse(error, "Operation %d: member \"%s\" is \"%.*s\", which is no JSON pointer.",
					  number, name, text->val.string.len, text->val.string.val);
	return true;
}

static bool
parse_kind(const JsonbValue *name, OperationKind *kind)
{
	for (int i = 0; i < lengthof(operation_names); i++)
	{
		if (name->val.string.len == strlen(operation_names[i]) &&
			memcmp(name->val.string.val, operation_names[i], name->val.string.len) == 0)
		{
			*kind = i;
			return true;
		}
	}
	return false;
}

/* Members that the RFC does not name are ignored, as it demands. */
static bool
parse_operation(const JsonbValue *element, int number, Operation *operation,
				ObjectError *error)
{
	JsonbContainer *object = element->val.binary.data;
	JsonbValue	name;

	operation->number = number;
	if (element->type != jbvBinary || !JsonContainerIsObject(object))
		return refuse(error, "Operation %d must be an object, but its type is %s.",
					  number, JsonbTypeName(unconstify(JsonbValue *, element)));
	if (!take_member(object, "op", &name))
		return refuse(error, "Operation %d has no member \"op\".", number);
	if (name.type != jbvString)
		return refuse(error, "Operation %d: member \"op\" must be a string, but its type is %s.",
					  number, JsonbTypeName(&name));
	if (!parse_kind(&name, &operation->kind))
		return refuse(error, "Operation %d: unknown operation \"%.*s\".",
					  number, name.val.string.len, name.val.string.val);

	if (!take_pointer(object, "path", number, &operation->path_text, &operation->path, error))
		return false;
	switch (operation->kind)
	{
		case OPERATION_MOVE:
		case OPERATION_COPY:
			return take_pointer(object, "from", number, &operation->from_text,
								&operation->from, error);
		case OPERATION_ADD:
		case OPERATION_REPLACE:
		case OPERATION_TEST:
			if (!take_member(object, "value", &operation->value))
				return refuse(error, "Operation %d has no member \"value\".", number);
			return true;
		case OPERATION_REMOVE:
			break;
	}
	return true;
}

/* Whether it is an array at all, and not a longer one than is allowed. */
static bool
check_array(Jsonb *patch, ObjectError *error)
{
	if (!JB_ROOT_IS_ARRAY(patch) || JB_ROOT_IS_SCALAR(patch))
		return refuse(error, "A JSON patch must be an array of operations.");
	if (JB_ROOT_COUNT(patch) > JSON_PATCH_MAX_OPERATIONS)
	{
		refuse(error, "A JSON patch must not have more than %d operations.",
			   JSON_PATCH_MAX_OPERATIONS);
		error->sqlstate = ERRCODE_PROGRAM_LIMIT_EXCEEDED;
		return false;
	}
	return true;
}

bool
json_patch_check(Jsonb *patch, ObjectError *error)
{
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	int			n = 0;

	if (!check_array(patch, error))
		return false;
	it = JsonbIteratorInit(&patch->root);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		Operation	operation;

		if (token == WJB_ELEM && !parse_operation(&element, n++, &operation, error))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * The tree
 * ------------------------------------------------------------------------
 */

/* Open a container, so that its children can be reached and changed. */
static void
open_node(Tree *tree, JsonbValue *node)
{
	Fields		fields;

	if (node->type != jbvBinary)
		return;
	if (JsonContainerIsArray(node->val.binary.data))
	{
		tree->work += JsonContainerSize(node->val.binary.data) * sizeof(JsonbValue);
		array_open(node->val.binary.data, node);
		return;
	}
	tree->work += JsonContainerSize(node->val.binary.data) * sizeof(JsonbPair);
	fields_open(&fields, node->val.binary.data, 0);
	fields_value(&fields, node);
}

/*
 * RFC 6901, section 4: digits without leading zeros, or "-" for the element
 * behind the last.  Below 0: neither.
 */
static int
array_index(const JsonbValue *token, int n_elements)
{
	const char *s = token->val.string.val;
	int			length = token->val.string.len;
	int			number = 0;

	if (length == 1 && s[0] == '-')
		return n_elements;
	if (length == 0 || length > 9 || (s[0] == '0' && length > 1))
		return -1;
	for (int i = 0; i < length; i++)
	{
		if (s[i] < '0' || s[i] > '9')
			return -1;
		number = number * 10 + (s[i] - '0');
	}
	return number;
}

/* Where a key is in an open object, or where it would have to be. */
static int
key_position(const JsonbValue *object, const JsonbValue *key, bool *found)
{
	int			low = 0;
	int			high = object->val.object.nPairs;

	*found = false;
	while (low < high)
	{
		int			middle = (low + high) / 2;
		int			difference = key_compare(&object->val.object.pairs[middle].key, key);

		if (difference == 0)
		{
			*found = true;
			return middle;
		}
		if (difference < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* The child of a node by that name, NULL if there is none. */
static JsonbValue *
find_child(Tree *tree, JsonbValue *node, const JsonbValue *token)
{
	int			at;
	bool		found;

	if (!value_is_object(node) && !value_is_array(node))
		return NULL;
	open_node(tree, node);
	if (node->type == jbvObject)
	{
		at = key_position(node, token, &found);
		return found ? &node->val.object.pairs[at].value : NULL;
	}
	at = array_index(token, node->val.array.nElems);
	return at >= 0 && at < node->val.array.nElems ? &node->val.array.elems[at] : NULL;
}

/* The node at the first n_tokens tokens of a pointer, NULL if there is none. */
static JsonbValue *
find_node(Tree *tree, const JsonPointer *pointer, int n_tokens)
{
	JsonbValue *node = &tree->root;

	for (int i = 0; node != NULL && i < n_tokens; i++)
		node = find_child(tree, node, &pointer->tokens[i]);
	return node;
}

/* How deep a value is nested: 0 for a scalar, 1 for a flat container. */
static int
value_depth(Tree *tree, const JsonbValue *value)
{
	int			depth = 0;

	tree->work += sizeof(JsonbValue);
	if (value->type == jbvBinary)
	{
		JsonbIterator *it = JsonbIteratorInit(value->val.binary.data);
		JsonbIteratorToken token;
		JsonbValue	child;
		int			level = 0;

		while ((token = JsonbIteratorNext(&it, &child, false)) != WJB_DONE)
		{
			if (token == WJB_BEGIN_OBJECT || token == WJB_BEGIN_ARRAY)
			{
				level++;
				depth = Max(depth, level);
			}
			else if (token == WJB_END_OBJECT || token == WJB_END_ARRAY)
				level--;
			tree->work += sizeof(JEntry);
		}
	}
	else if (value->type == jbvObject)
	{
		for (int i = 0; i < value->val.object.nPairs; i++)
		{
			int			child_depth = value_depth(tree, &value->val.object.pairs[i].value);

			depth = Max(depth, child_depth);
		}
		depth++;
	}
	else if (value->type == jbvArray)
	{
		for (int i = 0; i < value->val.array.nElems; i++)
		{
			int			child_depth = value_depth(tree, &value->val.array.elems[i]);

			depth = Max(depth, child_depth);
		}
		depth++;
	}
	return depth;
}

/*
 * As value_equals(), but a may be open.  What has not as many children as the
 * other is not equal to it, so this costs what b costs.
 */
static bool
node_equals(const JsonbValue *a, const JsonbValue *b)
{
	JsonbValue	other = *b;
	Tree		scratch = {.work = 0};

	if (a->type != jbvObject && a->type != jbvArray)
		return value_equals(a, b);
	if (a->type == jbvObject ? !value_is_object(b) : !value_is_array(b))
		return false;
	if ((a->type == jbvObject ? a->val.object.nPairs : a->val.array.nElems) !=
		JsonContainerSize(b->val.binary.data))
		return false;

	open_node(&scratch, &other);
	if (a->type == jbvArray)
	{
		for (int i = 0; i < a->val.array.nElems; i++)
		{
			if (!node_equals(&a->val.array.elems[i], &other.val.array.elems[i]))
				return false;
		}
		return true;
	}
	for (int i = 0; i < a->val.object.nPairs; i++)
	{
		if (key_compare(&a->val.object.pairs[i].key, &other.val.object.pairs[i].key) != 0 ||
			!node_equals(&a->val.object.pairs[i].value, &other.val.object.pairs[i].value))
			return false;
	}
	return true;
}

/* ------------------------------------------------------------------------
 * Operations
 * ------------------------------------------------------------------------
 */

static void
insert_pair(Tree *tree, JsonbValue *object, const JsonbValue *key, const JsonbValue *value)
{
	JsonbPair  *pairs = object->val.object.pairs;
	int			n = object->val.object.nPairs;
	bool		found;
	int			at = key_position(object, key, &found);

	if (!found)
	{
		pairs = repalloc(pairs, sizeof(JsonbPair) * (n + 1));
		memmove(&pairs[at + 1], &pairs[at], sizeof(JsonbPair) * (n - at));
		tree->work += sizeof(JsonbPair) * (n - at);
		pairs[at].key = *key;
		object->val.object.pairs = pairs;
		object->val.object.nPairs = n + 1;
	}
	pairs[at].value = *value;
}

static void
insert_element(Tree *tree, JsonbValue *array, int at, const JsonbValue *value)
{
	int			n = array->val.array.nElems;
	JsonbValue *elements = repalloc(array->val.array.elems, sizeof(JsonbValue) * (n + 1));

	memmove(&elements[at + 1], &elements[at], sizeof(JsonbValue) * (n - at));
	tree->work += sizeof(JsonbValue) * (n - at);
	elements[at] = *value;
	array->val.array.elems = elements;
	array->val.array.nElems = n + 1;
}

/* Section 4.1.  The value becomes part of the tree. */
static bool
add(Tree *tree, const Operation *operation, const JsonbValue *value)
{
	const JsonPointer *path = &operation->path;
	JsonbValue *parent;
	const JsonbValue *token;
	int			at;

	if (path->n_tokens + value_depth(tree, value) > STORE_MAX_DEPTH)
		return refuse_operation(tree, operation, path, "the object would be nested too deep");
	if (path->n_tokens == 0)
	{
		tree->root = *value;
		return true;
	}

	parent = find_node(tree, path, path->n_tokens - 1);
	token = &path->tokens[path->n_tokens - 1];
	if (parent == NULL || (!value_is_object(parent) && !value_is_array(parent)))
		return refuse_operation(tree, operation, path, "there is nothing to add to");
	open_node(tree, parent);
	if (parent->type == jbvObject)
	{
		insert_pair(tree, parent, token, value);
		return true;
	}

	at = array_index(token, parent->val.array.nElems);
	if (at < 0)
		return refuse_operation(tree, operation, path, "that is no index of an array");
	if (at > parent->val.array.nElems)
		return refuse_operation(tree, operation, path, "the index is behind the end of the array");
	insert_element(tree, parent, at, value);
	return true;
}

/* Section 4.2, for remove and move; the value removed is still good. */
static bool
remove_node(Tree *tree, const Operation *operation, const JsonPointer *path, JsonbValue *removed)
{
	JsonbValue *node = find_node(tree, path, path->n_tokens);
	JsonbValue *parent;
	int			at;

	if (node == NULL)
		return refuse_operation(tree, operation, path, "there is no such value");
	if (path->n_tokens == 0)
		return refuse_operation(tree, operation, path, "the whole object cannot be removed");
	*removed = *node;

	parent = find_node(tree, path, path->n_tokens - 1);
	if (parent->type == jbvObject)
	{
		JsonbPair  *pairs = parent->val.object.pairs;
		bool		found;

		at = key_position(parent, &path->tokens[path->n_tokens - 1], &found);
		parent->val.object.nPairs--;
		memmove(&pairs[at], &pairs[at + 1],
				sizeof(JsonbPair) * (parent->val.object.nPairs - at));
		tree->work += sizeof(JsonbPair) * (parent->val.object.nPairs - at);
	}
	else
	{
		at = node - parent->val.array.elems;
		parent->val.array.nElems--;
		memmove(node, node + 1, sizeof(JsonbValue) * (parent->val.array.nElems - at));
		tree->work += sizeof(JsonbValue) * (parent->val.array.nElems - at);
	}
	return true;
}

static bool
is_prefix(const JsonPointer *prefix, const JsonPointer *of)
{
	if (prefix->n_tokens > of->n_tokens)
		return false;
	for (int i = 0; i < prefix->n_tokens; i++)
	{
		if (key_compare(&prefix->tokens[i], &of->tokens[i]) != 0)
			return false;
	}
	return true;
}

/* Section 4.4: as if removed there and added here. */
static bool
move(Tree *tree, const Operation *operation)
{
	JsonbValue	value;

	if (is_prefix(&operation->from, &operation->path))
	{
		if (operation->from.n_tokens < operation->path.n_tokens)
			return refuse_operation(tree, operation, &operation->from,
									"a value cannot be moved into itself");
		return find_node(tree, &operation->from, operation->from.n_tokens) != NULL ||
			refuse_operation(tree, operation, &operation->from, "there is no such value");
	}
	return remove_node(tree, operation, &operation->from, &value) &&
		add(tree, operation, &value);
}

/* Section 4.5.  The copy is closed; see the top. */
static bool
copy(Tree *tree, const Operation *operation)
{
	JsonbValue *node = find_node(tree, &operation->from, operation->from.n_tokens);
	JsonbValue	value;

	if (node == NULL)
		return refuse_operation(tree, operation, &operation->from, "there is no such value");
	value = *node;
	if (value.type == jbvObject || value.type == jbvArray)
	{
		Jsonb	   *closed = value_close(&value, 0);

		value.type = jbvBinary;
		value.val.binary.data = &closed->root;
		value.val.binary.len = VARSIZE(closed) - VARHDRSZ;
	}
	if (value.type == jbvBinary)
		tree->work += value.val.binary.len;
	else if (value.type == jbvString)
		tree->work += value.val.string.len;
	return add(tree, operation, &value);
}

static bool
perform(Tree *tree, const Operation *operation)
{
	const JsonPointer *path = &operation->path;
	JsonbValue *node;
	JsonbValue	removed;

	switch (operation->kind)
	{
		case OPERATION_ADD:
			return add(tree, operation, &operation->value);
		case OPERATION_REMOVE:
			return remove_node(tree, operation, path, &removed);
		case OPERATION_MOVE:
			return move(tree, operation);
		case OPERATION_COPY:
			return copy(tree, operation);
		case OPERATION_REPLACE:
			node = find_node(tree, path, path->n_tokens);
			if (node == NULL)
				return refuse_operation(tree, operation, path, "there is no such value");
			if (path->n_tokens + value_depth(tree, &operation->value) > STORE_MAX_DEPTH)
				return refuse_operation(tree, operation, path,
										"the object would be nested too deep");
			*node = operation->value;
			return true;
		case OPERATION_TEST:
			node = find_node(tree, path, path->n_tokens);
			if (node == NULL)
				return refuse_operation(tree, operation, path, "there is no such value");
			return node_equals(node, &operation->value) ||
				refuse_operation(tree, operation, path, "the value is another");
	}
	return false;				/* keep compiler quiet */
}

Jsonb *
json_patch_apply(Jsonb *target, Jsonb *patch, ObjectError *error)
{
	Tree		tree = {.error = error};
	JsonbIterator *it;
	JsonbIteratorToken token;
	JsonbValue	element;
	int			n = 0;

	if (!check_array(patch, error))
		return NULL;
	tree.root.type = jbvBinary;
	tree.root.val.binary.data = &target->root;
	tree.root.val.binary.len = VARSIZE(target) - VARHDRSZ;

	it = JsonbIteratorInit(&patch->root);
	while ((token = JsonbIteratorNext(&it, &element, true)) != WJB_DONE)
	{
		Operation  *operation;

		if (token != WJB_ELEM)
			continue;
		operation = palloc(sizeof(Operation));	/* the tree points into it */
		if (!parse_operation(&element, n++, operation, error) ||
			!perform(&tree, operation))
			return NULL;
		if (tree.work > JSON_PATCH_MAX_WORK)
		{
			refuse_work(&tree, operation);
			return NULL;
		}
	}

	if (!value_is_object(&tree.root))
	{
		refuse(error, "A resource must be a JSON object.");
		return NULL;
	}
	return value_close(&tree.root, VARSIZE(target) + VARSIZE(patch));
}
