/*-------------------------------------------------------------------------
 *
 * peer_call.c
 *	  Ask another member something and wait for the answer.
 *
 * One connection per call, made with the same options as the workers' links,
 * so that what works here works there.  The waiting is ours and never libpq's:
 * on the latch, with a deadline for the whole call, and open to interrupts.
 *
 * When the call is canceled or late, the connection is closed and the statement
 * over there is not, because canceling it would need a second connection and
 * time that we do not have.  It runs under a statement_timeout instead.
 *
 * A PGconn, a PGresult and fd.c's count of descriptors survive an ERROR unless
 * somebody cleans them up: all three are in a PeerSession, which is released in
 * one PG_FINALLY.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#include "peer_call.h"

#include "clock.h"
#include "conninfo.h"
#include "libpq-fe.h"
#include "miscadmin.h"
#include "peer_error.h"
#include "pgstat.h"
#include "storage/fd.h"
#include "storage/latch.h"
#include "utils/timestamp.h"
#include "utils/wait_event.h"

struct PeerSession
{
	PGconn	   *conn;			/* counted as an external descriptor */
	PGresult   *result;			/* the latest */
	char	   *row;			/* of a COPY, the latest; libpq's */
	char		notice[256];	/* the latest that is to be passed on */
	uint64		start;			/* monotonic_ms() of the call, or of this wait */
	int			timeout_ms;
};

static void
session_release(PeerSession *session)
{
	PQclear(session->result);
	session->result = NULL;
	PQfreemem(session->row);
	session->row = NULL;
	if (session->conn != NULL)
	{
		PQfinish(session->conn);
		session->conn = NULL;
		ReleaseExternalFD();
	}
}

/*
 * Wait for the socket.  Returns false when time is up, or else true, which does
 * not mean that the socket is ready if the latch was set; *ready does.
 */
static bool
session_wait(PeerSession *session, int socket_events, bool *ready)
{
	long		left = deadline_left_ms(session->start + session->timeout_ms);
	int			events;

	*ready = false;
	if (left <= 0)
		return false;

	events = WaitLatchOrSocket(MyLatch,
							   WL_LATCH_SET | WL_EXIT_ON_PM_DEATH | WL_TIMEOUT | socket_events,
							   PQsocket(session->conn), left, PG_WAIT_EXTENSION);
	if (events & WL_LATCH_SET)
	{
		ResetLatch(MyLatch);
		CHECK_FOR_INTERRUPTS();
	}
	*ready = (events & socket_events) != 0;
	return true;
}

/* Nobody but a superuser reads libpq's words here; they hold no password. */
static char *
libpq_complaint(const PeerSession *session)
{
	return pchomp(PQerrorMessage(session->conn));
}

/* Returns NULL, or why there is no session (palloc'd). */
static char *
session_connect(PeerSession *session, const char *conninfo, const char *purpose,
				const char *settings)
{
	PostgresPollingStatusType status = PGRES_POLLING_WRITING;
	ConninfoOptions options;
	char	   *problem;

	problem = conninfo_assemble(conninfo,
								psprintf("store %s %s", purpose, settings_node_name()),
								settings, &options);
	if (problem != NULL)
		return problem;

	if (!AcquireExternalFD())
		ereport(ERROR,
				(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
				 errmsg("could not connect to peer"),
				 errdetail("There are too many open files on the local server."),
				 errhint("Raise the server's max_files_per_process and/or \"ulimit -n\" limits.")));
	session->conn = PQconnectStartParams(options.keywords, options.values, 0);
	if (session->conn == NULL)
	{
		ReleaseExternalFD();
		ereport(ERROR,
				(errcode(ERRCODE_OUT_OF_MEMORY),
				 errmsg("out of memory")));
	}
	if (PQstatus(session->conn) == CONNECTION_BAD)
		return libpq_complaint(session);

	while (status != PGRES_POLLING_OK)
	{
		bool		ready;

		if (!session_wait(session,
						  status == PGRES_POLLING_READING ? WL_SOCKET_READABLE :
						  WL_SOCKET_WRITEABLE, &ready))
			return psprintf("No answer within %d ms.", session->timeout_ms);
		if (!ready)
			continue;
		status = PQconnectPoll(session->conn);
		if (status == PGRES_POLLING_FAILED)
			return libpq_complaint(session);
	}

	if (PQsetnonblocking(session->conn, 1) != 0)
		return libpq_complaint(session);
	return NULL;
}

static void
report_lost_connection(PeerSession *session)
{
	ereport(ERROR,
			(errcode(ERRCODE_CONNECTION_FAILURE),
			 errmsg("lost connection to peer"),
			 errdetail_internal("%s", libpq_complaint(session))));
}

/* Called by libpq, so it must not raise an error. */
static void
note_notice(void *arg, const PGresult *notice)
{
	PeerSession *session = (PeerSession *) arg;
	const char *message = PQresultErrorField(notice, PG_DIAG_MESSAGE_PRIMARY);

	if (message != NULL)
		strlcpy(session->notice, message, sizeof(session->notice));
}

static void
pass_notice_on(PeerSession *session)
{
	if (session->notice[0] == '\0')
		return;
	ereport(NOTICE, (errmsg_internal("%s", session->notice)));
	session->notice[0] = '\0';
	session->start = monotonic_ms();
}

/* Wait until the next call of PQgetResult() returns at once. */
static void
session_wait_for_result(PeerSession *session)
{
	int			unsent = PQflush(session->conn);

	while (unsent != 0 || PQisBusy(session->conn))
	{
		bool		ready;

		pass_notice_on(session);
		if (unsent < 0)
			report_lost_connection(session);
		if (!session_wait(session,
						  WL_SOCKET_READABLE | (unsent > 0 ? WL_SOCKET_WRITEABLE : 0),
						  &ready))
			ereport(ERROR,
					(errcode(ERRCODE_CONNECTION_FAILURE),
					 errmsg("no answer from peer within %d ms", session->timeout_ms),
					 errhint("The statement may still have been executed there.")));
		if (ready && PQconsumeInput(session->conn) == 0)
			report_lost_connection(session);
		unsent = PQflush(session->conn);
	}
}

/* Raise the error of the other side as ours. */
static void
report_remote_error(PeerSession *session)
{
	const PGresult *result = session->result;
	const char *message = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(result, PG_DIAG_MESSAGE_HINT);
	int			code = peer_error_sqlstate(result);

	if (code == 0 || message == NULL)
		report_lost_connection(session);

	ereport(ERROR,
			(errcode(code),
			 errmsg_internal("%s", message),
			 detail ? errdetail_internal("%s", detail) : 0,
			 hint ? errhint("%s", hint) : 0,
			 errcontext("statement on peer at host \"%s\", port %s",
						PQhost(session->conn), PQport(session->conn))));
}

/*
 * Take the results of a statement to the end; the last one is in
 * session->result afterwards.
 *
 * One statement has one result, but an error can still follow it, for the
 * transaction commits only then.
 */
static void
session_take_results(PeerSession *session)
{
	for (;;)
	{
		PGresult   *result;

		session_wait_for_result(session);
		result = PQgetResult(session->conn);
		if (result == NULL)
			break;
		PQclear(session->result);
		session->result = result;
		switch (PQresultStatus(result))
		{
			case PGRES_TUPLES_OK:
			case PGRES_COMMAND_OK:
				break;
			case PGRES_FATAL_ERROR:
				report_remote_error(session);
				break;
			default:
				/* COPY would go on forever */
				ereport(ERROR,
						(errcode(ERRCODE_FEATURE_NOT_SUPPORTED),
						 errmsg("unexpected kind of answer from peer")));
		}
	}
}

/* Run the statement; its result is in session->result afterwards. */
static void
session_query(PeerSession *session, const char *query,
			  int n_params, const char *const *params)
{
	if (!PQsendQueryParams(session->conn, query, n_params, NULL, params, NULL, NULL, 0))
		report_lost_connection(session);
	session_take_results(session);
}

static PeerRows *
copy_rows(const PGresult *result)
{
	PeerRows   *rows = palloc0(sizeof(PeerRows));
	char	  **value;

	rows->n_rows = PQntuples(result);
	rows->n_columns = PQnfields(result);
	rows->values = value = palloc(sizeof(char *) *
								  Max(1, (Size) rows->n_rows * rows->n_columns));

	for (int row = 0; row < rows->n_rows; row++)
	{
		for (int column = 0; column < rows->n_columns; column++)
		{
			*value++ = PQgetisnull(result, row, column) ? NULL :
				pstrdup(PQgetvalue(result, row, column));
		}
	}
	return rows;
}

static char *
call_settings(int timeout_ms)
{
	return psprintf("-c statement_timeout=%d", timeout_ms);
}

static void
report_no_session(const char *problem)
{
	ereport(ERROR,
			(errcode(ERRCODE_SQLCLIENT_UNABLE_TO_ESTABLISH_SQLCONNECTION),
			 errmsg("could not connect to peer"),
			 errdetail_internal("%s", problem),
			 errhint("Check the connection string, store.peer_options here, and pg_hba.conf there.")));
}

PeerRows *
peer_call(const char *conninfo, int timeout_ms, const char *query,
		  int n_params, const char *const *params)
{
	PeerSession session = {.start = monotonic_ms(), .timeout_ms = timeout_ms};
	PeerRows   *volatile rows = NULL;

	PG_TRY();
	{
		char	   *problem = session_connect(&session, conninfo, "call from",
											  call_settings(timeout_ms));

		if (problem != NULL)
			report_no_session(problem);
		session_query(&session, query, n_params, params);
		rows = copy_rows(session.result);
	}
	PG_FINALLY();
	{
		session_release(&session);
	}
	PG_END_TRY();

	return rows;
}

/*
 * An error that has to do with the peer and not with the question: it cannot
 * be reached, it is starting or stopping, it has no majority, or lost it.
 */
static bool
is_passing(int sqlstate)
{
	return ERRCODE_TO_CATEGORY(sqlstate) == ERRCODE_CONNECTION_EXCEPTION ||
		sqlstate == ERRCODE_ADMIN_SHUTDOWN ||
		sqlstate == ERRCODE_CRASH_SHUTDOWN ||
		sqlstate == ERRCODE_CANNOT_CONNECT_NOW ||
		sqlstate == ERRCODE_STORE_UNAVAILABLE ||
		sqlstate == ERRCODE_STORE_UNKNOWN;
}

/*
 * An ERROR is caught here without a subtransaction.  What ran since is libpq's
 * and our own waiting, whose leavings peer_call() has cleared away; nothing is
 * held that only the end of a transaction would release.
 */
PeerRows *
peer_try(const char *conninfo, int timeout_ms, const char *query,
		 int n_params, const char *const *params, char **problem)
{
	MemoryContext caller = CurrentMemoryContext;
	PeerRows   *volatile rows = NULL;

	*problem = NULL;
	PG_TRY();
	{
		rows = peer_call(conninfo, timeout_ms, query, n_params, params);
	}
	PG_CATCH();
	{
		ErrorData  *error;

		MemoryContextSwitchTo(caller);
		error = CopyErrorData();
		if (!is_passing(error->sqlerrcode))
			PG_RE_THROW();
		FlushErrorState();
		*problem = psprintf("%s%s%s", error->message, error->detail ? ": " : "",
							error->detail ? error->detail : "");
		FreeErrorData(error);
	}
	PG_END_TRY();

	return rows;
}

char *
peer_problem(const char *conninfo, int timeout_ms)
{
	PeerSession session = {.start = monotonic_ms(), .timeout_ms = timeout_ms};
	char	   *volatile problem = NULL;

	PG_TRY();
	{
		problem = session_connect(&session, conninfo, "call from",
								  call_settings(timeout_ms));
	}
	PG_FINALLY();
	{
		session_release(&session);
	}
	PG_END_TRY();

	return problem;
}

PeerSession *
peer_open(const char *conninfo, int timeout_ms, const char *purpose,
		  const char *settings)
{
	PeerSession *session = palloc0(sizeof(PeerSession));

	session->start = monotonic_ms();
	session->timeout_ms = timeout_ms;
	PG_TRY();
	{
		char	   *problem = session_connect(session, conninfo, purpose, settings);

		if (problem != NULL)
			report_no_session(problem);
	}
	PG_CATCH();
	{
		session_release(session);
		PG_RE_THROW();
	}
	PG_END_TRY();
	PQsetNoticeReceiver(session->conn, note_notice, session);
	return session;
}

void
peer_send(PeerSession *session, const char *query,
		  int n_params, const char *const *params)
{
	if (!PQsendQueryParams(session->conn, query, n_params, NULL, params, NULL, NULL, 0) ||
		PQflush(session->conn) < 0)
		report_lost_connection(session);
}

PeerRows *
peer_take(PeerSession *session)
{
	session->start = monotonic_ms();
	session_take_results(session);
	return copy_rows(session->result);
}

PeerRows *
peer_query(PeerSession *session, const char *query,
		   int n_params, const char *const *params)
{
	peer_send(session, query, n_params, params);
	return peer_take(session);
}

void
peer_close(PeerSession *session)
{
	session_release(session);
	pfree(session);
}

void
peer_copy_begin(PeerSession *session, const char *query)
{
	session->start = monotonic_ms();
	if (!PQsendQueryParams(session->conn, query, 0, NULL, NULL, NULL, NULL, 0))
		report_lost_connection(session);
	session_wait_for_result(session);
	PQclear(session->result);
	session->result = PQgetResult(session->conn);
	if (PQresultStatus(session->result) == PGRES_FATAL_ERROR)
		report_remote_error(session);
	if (PQresultStatus(session->result) != PGRES_COPY_OUT)
		ereport(ERROR,
				(errcode(ERRCODE_PROTOCOL_VIOLATION),
				 errmsg("unexpected kind of answer from peer")));
}

int
peer_copy_read(PeerSession *session, const char **data, uint64 *n_rows)
{
	int			length;

	PQfreemem(session->row);
	session->row = NULL;
	while ((length = PQgetCopyData(session->conn, &session->row, true)) == 0)
	{
		bool		ready;

		session->start = monotonic_ms();
		do
		{
			if (!session_wait(session, WL_SOCKET_READABLE, &ready))
				ereport(ERROR,
						(errcode(ERRCODE_CONNECTION_FAILURE),
						 errmsg("no data from peer within %d ms", session->timeout_ms)));
		} while (!ready);
		if (PQconsumeInput(session->conn) == 0)
			report_lost_connection(session);
	}
	if (length == -2)
		report_lost_connection(session);
	if (length > 0)
	{
		*data = session->row;
		return length;
	}

	session->start = monotonic_ms();
	session_take_results(session);
	*n_rows = strtou64(PQcmdTuples(session->result), NULL, 10);
	return -1;
}
