/*-------------------------------------------------------------------------
 *
 * store.h
 *	  What every room of the house may know: limits, error codes, settings.
 *
 * Copyright (c) 2026, store contributors
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_H
#define STORE_H

#include "postgres.h"

#define STORE_SCHEMA "store"

/*
 * Nesting allowed in an object or a patch.  Fixed, because every member must
 * come to the same verdict, whatever its max_stack_depth.
 */
#define STORE_MAX_DEPTH			128

/* Longest name of a member and longest connection string, with the NUL. */
#define STORE_NAME_SIZE			64
#define STORE_CONNINFO_SIZE		1024

/* Largest value of store.max_object_size, in kB. */
#define STORE_MAX_OBJECT_KB		2048

/*
 * Our own class of SQLSTATE, "RS", is named after the HTTP status that an API
 * server would answer with.
 */
#define ERRCODE_STORE_REMOVED		MAKE_SQLSTATE('R','S','4','0','3')
#define ERRCODE_STORE_SHUT_OUT		MAKE_SQLSTATE('R','S','4','0','9')
#define ERRCODE_STORE_NOT_FOUND		MAKE_SQLSTATE('R','S','4','0','4')
#define ERRCODE_STORE_GONE			MAKE_SQLSTATE('R','S','4','1','0')
#define ERRCODE_STORE_UNKNOWN		MAKE_SQLSTATE('R','S','5','0','0')
#define ERRCODE_STORE_UNAVAILABLE	MAKE_SQLSTATE('R','S','5','0','3')
#define ERRCODE_STORE_TOO_NEW		MAKE_SQLSTATE('R','S','5','0','4')

/* Settings (settings.c).  Times are in milliseconds, sizes in kB. */
typedef enum ReadConsistency
{
	READ_LINEARIZABLE,
	READ_LOCAL
} ReadConsistency;

extern char *store_database;
extern char *store_node_name;
extern char *store_advertise;
extern char *store_peer_options;
extern int	store_heartbeat_interval;
extern int	store_election_timeout;
extern bool store_leader_lease;
extern int	store_request_timeout;
extern int	store_read_consistency;
extern int	store_max_object_size;
extern int	store_max_apply_delay;
extern int	store_inbox_size;
extern int	store_log_segment_size;
extern int	store_peer_member;	/* a member's number; 0: any */
extern int	store_min_free_space;	/* in MB; 0: no limit */
extern int	store_history_retention;	/* in seconds; -1: no limit */
extern int	store_history_size;
extern double store_notify_queue_limit; /* part of the whole */
extern char *store_record_directory;

extern void settings_define(void);

/*
 * This node's name and the conninfo under which the others reach it, from
 * the settings or from what the server is.  Palloc'd.
 */
extern char *settings_node_name(void);
extern char *settings_advertise(void);

/* How the application_name of a link between members begins; see transport.h. */
#define STORE_LINK_NAME		"store link from "

/* Is this session in store.database?  Looks into the catalog. */
extern bool settings_in_store_database(void);

#endif							/* STORE_H */
