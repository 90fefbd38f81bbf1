/* ticker.h - a thread that looks at something a few times a second, and at once when it is asked to */
#ifndef FUTAIE_TICKER_H
#define FUTAIE_TICKER_H

#include <stdbool.h>

struct ticker;

/* What the thread calls; `asked` where ticker_ask() was called since the last time. It may take as long as it likes. */
typedef void ticker_look(void *arg, bool asked);

/* Starts the thread, with all signals blocked; it looks four times a second. 0, or an errno. */
int ticker_open(ticker_look *look, void *arg, struct ticker **out);

/* Has it look soon, and returns at once. Any thread. */
void ticker_ask(struct ticker *t);

/* Waits for a look that is under way, and ends the thread. NULL is fine. */
void ticker_free(struct ticker *t);

#endif
