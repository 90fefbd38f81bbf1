/* proof.c - the record of a version's long proof, beside its manifest */
#include "model/proof.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "model/booster.h"
#include "version.h"

enum { FILE_MAX = 4096 };

static bool
says(const cJSON *tree, const char *name, const char *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, name);

	return cJSON_IsString(item) && strcmp(item->valuestring, value) == 0;
}

bool
proof_is_on_record(const char *folder, const char *sha256)
{
	char path[PATH_MAX];
	char library[16];
	struct buf text;
	struct err_info ignored;
	cJSON *tree = NULL;

	if (!files_join(path, sizeof path, folder, "proof.json"))
		return false;
	buf_init(&text, FILE_MAX);
	bool found = files_read(path, &text, &ignored) == ERR_OK &&
				 json_document(path, buf_peek(&text), text.len, &tree, &ignored) == ERR_OK && says(tree, "sha256", sha256) &&
				 says(tree, "futaie", FUTAIE_VERSION) && says(tree, "xgboost", booster_library_version(library));
	cJSON_Delete(tree);
	buf_release(&text);
	return found;
}

enum err
proof_write(const char *folder, const char *sha256, size_t rows, struct err_info *info)
{
	char library[16];
	char now[CLOCK_RFC3339];
	struct buf text;

	buf_init(&text, FILE_MAX);
	buf_printf(
		&text,
		"{\n  \"sha256\": \"%s\",\n  \"futaie\": \"%s\",\n  \"xgboost\": \"%s\",\n  \"rows\": %zu,\n  \"proven\": \"%s\"\n}\n",
		sha256, FUTAIE_VERSION, booster_library_version(library), rows, clock_rfc3339(now));
	enum err e = buf_ok(&text) ? files_replace(folder, "proof.json", text.data, text.len, info)
							   : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the record of a proof");
	buf_release(&text);
	return e;
}
