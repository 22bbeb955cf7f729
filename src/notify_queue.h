/*-------------------------------------------------------------------------
 *
 * notify_queue.h
 *	  Room in the server's notification queue, and who takes it.
 *
 * The queue is one for the whole server.  A session that listens and does not
 * read, because it is in a transaction, keeps everything in it that came since;
 * when it is full, every COMMIT after a NOTIFY fails, of everybody.  So the
 * store stops adding at a part of it (store.notify_queue_limit), and says whom
 * it waits for.
 *
 * For the notify worker, outside of a transaction.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_NOTIFY_QUEUE_H
#define STORE_NOTIFY_QUEUE_H

#include "store.h"

/* So many bytes were added. */
extern void notify_queue_added(Size n_bytes);

/*
 * 0 if there is room for more, else how long to wait before asking again, in
 * milliseconds.  Sets and clears the
 * problem of the queue in store.status.
 */
extern long notify_queue_delay(void);

#endif							/* STORE_NOTIFY_QUEUE_H */
