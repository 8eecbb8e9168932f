#ifndef FIO_SERVER_ROUTER_H
#define FIO_SERVER_ROUTER_H

/* The compiled routes of an application: method and path to a handler and the path's variables.
 * Built once from Python (Router.add), then read-only. Order of registration decides between
 * resources that both match, as in aiohttp. */

#include "base/state.h"
#include "http/message.h"

/* The most variables of one route's path. */
#define FIO_ROUTE_VARIABLES 16

/* _core.Route: what Router.add() makes; Python may make one for Router.set_fallback(). */
typedef struct {
    PyObject_HEAD
    PyObject *handler;    /* owned: handler(request) -> response or awaitable of one */
    PyObject *info;       /* owned: what request.match_info.route is, any object */
    PyObject *app;        /* owned: what request.app is, any object */
    PyObject *names;      /* owned: tuple of the variables' names, in the order of their values */
    PyObject *match_info; /* owned: the type of request.match_info, a subtype of _core.MatchInfo */
    bool signals;         /* an application of this route has on_response_prepare receivers */
} FioRoute;

typedef struct {
    FioRoute *route;                      /* owned: released by fio_match_clear() */
    size_t count;                         /* values found */
    fio_span values[FIO_ROUTE_VARIABLES]; /* views of the head, still percent-encoded */
    PyObject *decoded; /* owned or NULL: a dict instead of values, where a regular expression
                          (matched by Python's re) found them */
} fio_match;

typedef struct FioRouter FioRouter;

/* FIO_OK: match->route (a new reference) handles it, which for an unknown path or method is the
 * one given for 404 or 405 by Router.set_fallback(). -1: exception set (a regular expression or
 * the 405 factory failed, or there is no fallback). `match` is zeroed or void before. */
FIO_MUST_CHECK int fio_router_match(FioRouter *router, const fio_head *head, const char *base,
                                    fio_match *match);

static inline void
fio_match_clear(fio_match *match)
{
    Py_CLEAR(match->route);
    Py_CLEAR(match->decoded);
}

/* request.match_info: a MatchInfo of the route's type with the values decoded. */
FIO_MUST_CHECK PyObject *fio_match_info_new(fio_state *st, const fio_match *match,
                                            const char *base);

FIO_MUST_CHECK int fio_route_setup_types(PyObject *module);
FIO_MUST_CHECK int fio_router_setup_types(PyObject *module); /* after the route types */

#endif
