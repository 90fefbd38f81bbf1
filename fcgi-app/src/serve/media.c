/* media.c - what kind of body a request has */
#include "serve/media.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

enum { SHOWN_MAX = 64, LIST_MAX = 256 };

/* True where the header's value is `type`, alone or with parameters of which a charset can only be UTF-8. */
static bool
is_type(const char *value, const char *type)
{
	size_t len = strlen(type);

	if (strncasecmp(value, type, len) != 0)
		return false;
	value += len + strspn(value + len, " \t");
	if (*value == '\0')
		return true;
	if (*value != ';')
		return false;
	const char *charset = strcasestr(value, "charset=");
	if (charset == NULL)
		return true;
	charset += strlen("charset=");
	charset += *charset == '"';
	size_t n = strcspn(charset, "\"; \t");
	return (n == 5 && strncasecmp(charset, "utf-8", n) == 0) || (n == 4 && strncasecmp(charset, "utf8", n) == 0) ||
		   (n == 8 && strncasecmp(charset, "us-ascii", n) == 0);
}

/* "'Content-Type: application/json' or 'Content-Type: text/csv'" */
static const char *
list_types(const char *const *types, size_t n, char out[LIST_MAX])
{
	int len = 0;

	for (size_t i = 0; i < n && len < LIST_MAX; i++)
		len += snprintf(out + len, (size_t)(LIST_MAX - len), "%s'Content-Type: %s'",
						i == 0      ? ""
						: i + 1 < n ? ", "
									: " or ",
						types[i]);
	return out;
}

enum err
media_choose(struct request *q, const char *const *types, size_t n, size_t *chosen)
{
	const char *encoding = fcgi_io_param(q->io, "HTTP_CONTENT_ENCODING");
	const char *value = fcgi_io_param(q->io, "CONTENT_TYPE");
	char shown[SHOWN_MAX];
	char list[LIST_MAX];

	if (*encoding != '\0' && strcasecmp(encoding, "identity") != 0)
		return err_set(&q->error, ERR_UNSUPPORTED_MEDIA_TYPE,
					   "the body is encoded as \"%s\"; send it plain, without Content-Encoding",
					   text_quote(encoding, strlen(encoding), shown, sizeof shown));
	for (*chosen = 0; *chosen < n; ++*chosen)
		if (*value == '\0' || is_type(value, types[*chosen]))
			return ERR_OK;
	return err_set(&q->error, ERR_UNSUPPORTED_MEDIA_TYPE, "the body's type is \"%s\"; send %s, in UTF-8",
				   text_quote(value, strlen(value), shown, sizeof shown), list_types(types, n, list));
}
