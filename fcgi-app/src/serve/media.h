/* media.h - what kind of body a request has */
#ifndef FUTAIE_MEDIA_H
#define FUTAIE_MEDIA_H

#include <stddef.h>

#include "serve/request.h"

/*
 * Which of `types` (`n` of them, at most four) the request's body is of, by its Content-Type; without one, the first.
 * ERR_UNSUPPORTED_MEDIA_TYPE for any other, for a charset other than UTF-8, and for a body that is encoded.
 */
enum err media_choose(struct request *q, const char *const *types, size_t n, size_t *chosen);

#endif
