/* router.h - from a request's method and path to its handler, and its answer back to the peer */
#ifndef FUTAIE_ROUTER_H
#define FUTAIE_ROUTER_H

#include "serve/request.h"

/* The routes, for the metrics: router_count() rows of the table, and behind them "other" for what matches none. */
size_t router_count(void);
const char *router_name(size_t route);

/* The route's method ("GET" answers HEAD too), "" for "other"; for the test that the OpenAPI document has the routes that there are. */
const char *router_method(size_t route);

/* True where only the admin socket has the route. */
bool router_is_local(size_t route);

/* False without memory. A zeroed struct is released. */
bool router_request_init(struct request *q, const struct server *server, size_t worker, struct fcgi_io *io);
void router_request_release(struct request *q);

/*
 * Answers the request whose parameters `io` has just read: finds its route, calls the handler, counts, writes, and logs. Whatever
 * happens, the peer gets an answer or is gone.
 */
void router_serve(struct request *q);

/* Writes the lines of the log that router_serve() has kept. Call it where no request waits. */
void router_write_log(struct request *q);

#endif
