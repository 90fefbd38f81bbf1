/* constant.c - a FastCGI responder that answers every request with the same bytes: the most that libfcgi can do
 *
 * It reads each body and sends a head and a body as long as futaie's; it looks at nothing, counts nothing and logs nothing.
 */
#include "responder.h"

static const char answer[] =
	"Status: 200\r\nContent-Type: application/json\r\nContent-Length: 70\r\nX-Request-Id: 0123456789abcdef\r\n"
	"Cache-Control: no-store\r\n\r\n"
	"{\"predictions\":[4.3943825],\"model\":\"california-housing\",\"version\":\"1\"}\n";

bool
responder_prepare(void)
{
	return true;
}

void
responder_answer(FCGX_Request *request)
{
	char body[8 * 1024];

	while (FCGX_GetStr(body, sizeof body, request->in) > 0)
		continue;
	(void)FCGX_PutStr(answer, sizeof answer - 1, request->out);
}
