/*-------------------------------------------------------------------------
 *
 * detail.h
 *	  The DETAIL of a refusal, put together.
 *
 * Refusals are raised as an ERROR in a backend and handed back as a result in
 * the state machine.  What both have in common is a text made of a format.
 *
 * Pure: no I/O, no clock, no setting.
 *
 *-------------------------------------------------------------------------
 */
#ifndef STORE_DETAIL_H
#define STORE_DETAIL_H

#include <stdarg.h>

/* As psprintf(), for functions with a format of their own; palloc'd. */
extern char *format_detail(const char *format, va_list args) pg_attribute_printf(1, 0);

#endif							/* STORE_DETAIL_H */
