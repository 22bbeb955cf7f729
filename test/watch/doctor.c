/*-------------------------------------------------------------------------
 *
 * doctor.c
 *	  Streams with a flaw put in, which the judge must find.
 *
 * A checker that finds nothing may be blind.  So at the end of every run it is
 * shown copies of streams it found right, each with one flaw: an event dropped,
 * one delivered twice, two in the wrong order, a transaction split between two
 * answers, a bookmark ahead of an event, an event changed.
 *
 *-------------------------------------------------------------------------
 */
#include "watch.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum Flaw
{
	FLAW_DROPPED,
	FLAW_TWICE,
	FLAW_SWAPPED,
	FLAW_SPLIT,
	FLAW_BOOKMARK_AHEAD,
	FLAW_TYPE,
	FLAW_OBJECT,
	N_FLAWS
} Flaw;

static const char *const flaw_names[N_FLAWS] = {
	"an event dropped", "an event twice", "two events swapped", "a transaction split",
	"a bookmark ahead of an event", "another type", "another object"
};

static Stream
copy_stream(const Stream *stream)
{
	Stream		copy = *stream;

	copy.rows = allocate(sizeof(Row) * ((size_t) stream->n_rows + 1));
	copy.batches = allocate(sizeof(Batch) * ((size_t) stream->n_batches + 1));
	memcpy(copy.rows, stream->rows, sizeof(Row) * (size_t) stream->n_rows);
	memcpy(copy.batches, stream->batches, sizeof(Batch) * (size_t) stream->n_batches);
	return copy;
}

/* Move the rows and batches from "row" and "batch" on by one place, or back. */
static void
shift(Stream *stream, int row, int batch, int by)
{
	if (by > 0)
		memmove(&stream->rows[row + 1], &stream->rows[row],
				sizeof(Row) * (size_t) (stream->n_rows - row));
	else
		memmove(&stream->rows[row], &stream->rows[row + 1],
				sizeof(Row) * (size_t) (stream->n_rows - row - 1));
	stream->n_rows += by;
	stream->batches[batch].count += by;
	for (int b = batch + 1; b < stream->n_batches; b++)
		stream->batches[b].first += by;
}

/*
 * Put the batch at "b" in two, the second beginning with its row "row".  Both
 * claim to be complete up to where the other one begins.
 */
static void
split(Stream *stream, int b, int row, int64_t between)
{
	Batch	   *batch = &stream->batches[b];

	memmove(batch + 1, batch, sizeof(Batch) * (size_t) (stream->n_batches - b));
	stream->n_batches++;
	batch[0].count = row;
	batch[0].bookmark = between;
	batch[1].first += row;
	batch[1].count -= row;
	batch[1].since = between;
}

/*
 * Put the flaw into the batch at "b"; false, and nothing changed, if that has
 * no room for it.
 */
static bool
spoil(Stream *stream, Flaw flaw, int b)
{
	Batch	   *batch = &stream->batches[b];
	Row		   *rows = &stream->rows[batch->first];
	Batch	   *next = b + 1 < stream->n_batches ? batch + 1 : NULL;
	Row			row;

	if (batch->count == 0 || batch->since == 0)
		return false;
	switch (flaw)
	{
		case FLAW_DROPPED:
			shift(stream, batch->first, b, -1);
			return true;
		case FLAW_TWICE:
			shift(stream, batch->first, b, +1);
			return true;
		case FLAW_SWAPPED:
			if (batch->count < 2 ||
				(rows[0].index == rows[1].index && rows[0].key == rows[1].key))
				return false;
			row = rows[0];
			rows[0] = rows[1];
			rows[1] = row;
			return true;
		case FLAW_SPLIT:
			if (batch->count < 2 || rows[0].index != rows[1].index)
				return false;
			split(stream, b, 1, rows[0].index);
			return true;
		case FLAW_BOOKMARK_AHEAD:
			if (next == NULL || next->count == 0)
				return false;
			batch->bookmark = next->since = stream->rows[next->first].index;
			return true;
		case FLAW_TYPE:
			rows[0].type = rows[0].type == 'M' ? 'A' : 'M';
			return true;
		default:
			if (rows[0].object == 0)
				return false;
			rows[0].object ^= 2;
			return true;
	}
}

/*
 * Show the judge this flaw in the first stream that has room for it, past its
 * beginning.  Returns whether it was found; *tried: whether there was room.
 */
static bool
show_flaw(const History *history, const Stream *const *streams, int count, Flaw flaw,
		  bool *tried)
{
	*tried = false;
	for (int s = 0; s < count; s++)
	{
		Stream		copy = copy_stream(streams[s]);
		char		text[512] = "";
		long		deliveries = 0;
		bool		found = false;

		for (int b = copy.n_batches / 2; b < copy.n_batches && !*tried; b++)
			*tried = spoil(&copy, flaw, b);
		if (*tried)
			found = !judge_stream(history, &copy, &deliveries, text, sizeof(text));
		free(copy.rows);
		free(copy.batches);
		if (*tried)
		{
			printf("  %-30s %s\n", flaw_names[flaw], found ? text : "NOT FOUND");
			return found;
		}
	}
	printf("  %-30s no stream has room for it\n", flaw_names[flaw]);
	return false;
}

int
doctor_streams(const History *history, const Stream *const *streams, int count, int *tried)
{
	int			found = 0;

	*tried = N_FLAWS;
	for (int flaw = 0; flaw < N_FLAWS; flaw++)
	{
		bool		had_room;

		if (show_flaw(history, streams, count, (Flaw) flaw, &had_room))
			found++;
	}
	return found;
}
