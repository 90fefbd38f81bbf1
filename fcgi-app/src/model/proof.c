/* proof.c - the record of a version's long proof, beside its manifest */
#include "model/proof.h"

#include <cjson/cJSON.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"
#include "model/booster.h"
#include "model/forest.h"
#include "model/manifest.h"
#include "version.h"

enum { FILE_MAX = 4096, FOREST_NAME_MAX = 64 };

static bool
says(const cJSON *tree, const char *name, const char *value)
{
	const cJSON *item = cJSON_GetObjectItemCaseSensitive(tree, name);

	return cJSON_IsString(item) && strcmp(item->valuestring, value) == 0;
}

/* The sha256 of the folder's manifest; "" where it cannot be read. */
static void
hash_manifest(const char *folder, char out[FILES_SHA256_HEX])
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info ignored;

	out[0] = '\0';
	buf_init(&text, MANIFEST_FILE_MAX);
	if (files_join(path, sizeof path, folder, "manifest.json") && files_read(path, &text, &ignored) == ERR_OK)
		files_sha256(text.data, text.len, out);
	buf_release(&text);
}

/* "3 portable avx2": which of our scorers was compared, and with which instructions. */
static const char *
forest_name(char out[FOREST_NAME_MAX])
{
	int len = snprintf(out, FOREST_NAME_MAX, "%d", FOREST_REVISION);

	for (int isa = 0; isa < RANKS_ISAS; isa++)
		if (ranks_has_isa((enum ranks_isa)isa))
			len += snprintf(out + len, FOREST_NAME_MAX - (size_t)len, " %s", ranks_isa_name((enum ranks_isa)isa));
	return out;
}

/* Whether it was this scorer, and with all instructions of this processor among others. */
static bool
is_this_forest(const cJSON *tree)
{
	const char *said = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "forest"));
	char ours[FOREST_NAME_MAX];
	size_t len = strlen(forest_name(ours));

	return said != NULL && strncmp(said, ours, len) == 0 && (said[len] == '\0' || said[len] == ' ');
}

static bool
is_of(const cJSON *tree, const char *folder, const char *sha256)
{
	char library[16];
	char manifest[FILES_SHA256_HEX];

	hash_manifest(folder, manifest);
	return says(tree, "sha256", sha256) && says(tree, "manifest_sha256", manifest) && says(tree, "futaie", FUTAIE_VERSION) &&
		   says(tree, "xgboost", booster_library_version(library)) && is_this_forest(tree);
}

bool
proof_read(struct proof *p, const char *folder, const char *sha256)
{
	char path[PATH_MAX];
	struct buf text;
	struct err_info ignored;
	cJSON *tree = NULL;

	*p = (struct proof){.scorer = MODEL_XGBOOST};
	if (!files_join(path, sizeof path, folder, "proof.json"))
		return false;
	buf_init(&text, FILE_MAX);
	bool found = files_read(path, &text, &ignored) == ERR_OK &&
				 json_document(path, buf_peek(&text), text.len, &tree, &ignored) == ERR_OK && is_of(tree, folder, sha256);
	if (found) {
		const char *reason = cJSON_GetStringValue(cJSON_GetObjectItemCaseSensitive(tree, "reason"));
		p->scorer = says(tree, "scorer", "forest") ? MODEL_FOREST : MODEL_XGBOOST;
		(void)snprintf(p->reason, sizeof p->reason, "%.255s", reason != NULL ? reason : "");
	}
	cJSON_Delete(tree);
	buf_release(&text);
	return found;
}

enum err
proof_write(const struct proof *p, const char *folder, const char *sha256, struct err_info *info)
{
	char library[16];
	char manifest[FILES_SHA256_HEX];
	char forest[FOREST_NAME_MAX];
	char now[CLOCK_RFC3339];
	struct buf text;

	buf_init(&text, FILE_MAX);
	hash_manifest(folder, manifest);
	buf_printf(&text, "{\n  \"sha256\": \"%s\",\n  \"manifest_sha256\": \"%s\",\n", sha256, manifest);
	buf_printf(&text, "  \"futaie\": \"%s\",\n  \"xgboost\": \"%s\",\n", FUTAIE_VERSION, booster_library_version(library));
	buf_printf(&text, "  \"forest\": \"%s\",\n", forest_name(forest));
	buf_printf(&text, "  \"scorer\": \"%s\",\n  \"reason\": ", p->scorer == MODEL_FOREST ? "forest" : "xgboost");
	text_json_string(&text, p->reason, strlen(p->reason));
	buf_printf(&text, ",\n  \"rows\": %zu,\n  \"proven\": \"%s\"\n}\n", p->rows, clock_rfc3339(now));
	enum err e = buf_ok(&text) ? files_replace(folder, "proof.json", text.data, text.len, info)
							   : err_set(info, ERR_OUT_OF_MEMORY, "no memory for the record of a proof");
	buf_release(&text);
	return e;
}
