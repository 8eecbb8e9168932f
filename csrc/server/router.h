#ifndef FIO_SERVER_ROUTER_H
#define FIO_SERVER_ROUTER_H

/* The compiled routes of an application: method and path to a handler and the path's variables.
 * Built once from Python (Router.add), then read-only. Order of registration decides between
 * resources that both match, as in aiohttp. */

#include "base/state.h"
#include "http/message.h"

/* The most variables of one route's path. */
#define FIO_ROUTE_VARIABLES 16

typedef struct {
    PyObject_HEAD
    PyObject *handler; /* owned: handler(request) -> response or awaitable of one */
    PyObject *info;    /* owned: what request.match_info.route is made from, any object */
    PyObject *names;   /* owned: tuple of the variables' names, in the order of their values */
} FioRoute;

typedef struct {
    FioRoute *route;                      /* borrowed: of the router */
    size_t count;                         /* values found */
    fio_span values[FIO_ROUTE_VARIABLES]; /* views of the head, still percent-encoded */
    PyObject *decoded; /* owned or NULL: a dict instead of values, where a regular expression
                          (matched by Python's re) found them */
} fio_match;

typedef struct FioRouter FioRouter;

/* FIO_OK: match->route handles it, which for an unknown path or method is the route given for 404
 * or 405 by Router.set_fallback(). -1: exception set (a regular expression failed). */
FIO_MUST_CHECK int fio_router_match(FioRouter *router, const fio_head *head, const char *base,
                                    fio_match *match);

FIO_MUST_CHECK int fio_router_setup_types(PyObject *module);

#endif
