/* responder.h - a FastCGI responder in futaie's place: threads that accept, and an answer by whoever includes this */
#ifndef BENCH_RESPONDER_H
#define BENCH_RESPONDER_H

#include <fcgiapp.h>
#include <stdbool.h>

/* Called once, before the first request; false ends the program. */
bool responder_prepare(void);

/* Reads a request's body and writes its whole answer; called by several threads. */
void responder_answer(FCGX_Request *request);

#endif
