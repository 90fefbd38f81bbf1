/* keys.c - API keys: their text, and the file that holds their hashes */
#include "serve/keys.h"

#include <cjson/cJSON.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/files.h"
#include "base/json.h"
#include "base/text.h"

#define PREFIX "futaie_"

static const struct {
	const char *name;
	enum keys_scope scope;
} scopes_known[] = {{"predict", KEYS_PREDICT}, {"metrics", KEYS_METRICS}, {"admin", KEYS_ADMIN}};

enum { N_SCOPES = sizeof scopes_known / sizeof scopes_known[0] };

static enum err read_tree(const cJSON *tree, struct keys *keys, struct err_info *info);

void
keys_release(struct keys *keys)
{
	free(keys->keys);
	*keys = (struct keys){0};
}

static enum err
check_mode(const char *path, struct err_info *info)
{
	struct stat st;

	if (stat(path, &st) == 0 && (st.st_mode & S_IWOTH) != 0)
		return err_set(info, ERR_FILE, "%s: anybody may change it: chmod o-w it", path);
	return ERR_OK;
}

/* The text of a keys file, at `path`. */
static enum err
read_text(const char *path, const char *text, size_t len, struct keys *keys, struct err_info *info)
{
	struct err_info why;
	cJSON *tree;
	enum err e = json_document(path, text, len, &tree, &why);

	if (e != ERR_OK)
		return err_set(info, e == ERR_OUT_OF_MEMORY ? e : ERR_FILE, "%s", why.text);
	e = read_tree(tree, keys, &why);
	if (e != ERR_OK)
		(void)err_set(info, e, "%s: %s", path, why.text);
	cJSON_Delete(tree);
	return e;
}

enum err
keys_read(const char *path, struct keys *keys, struct err_info *info)
{
	struct buf text;

	*keys = (struct keys){0};
	enum err e = check_mode(path, info);
	if (e != ERR_OK)
		return e;
	buf_init(&text, KEYS_FILE_MAX);
	e = files_read(path, &text, info);
	if (e == ERR_OK)
		e = read_text(path, buf_peek(&text), text.len, keys, info);
	if (e != ERR_OK)
		keys_release(keys);
	buf_release(&text);
	return e;
}

const struct key *
keys_find(const struct keys *keys, const char *id)
{
	for (size_t i = 0; i < keys->n; i++)
		if (strcmp(keys->keys[i].id, id) == 0)
			return &keys->keys[i];
	return NULL;
}

static bool
is_hex(const char *text, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < n; i++)
		good &= (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'f');
	return good;
}

/* Looks at every character, so that the time says nothing of them. */
static bool
is_base64url(const char *text, size_t n)
{
	bool good = true;

	for (size_t i = 0; i < n; i++)
		good &= (text[i] >= '0' && text[i] <= '9') || (text[i] >= 'a' && text[i] <= 'z') || (text[i] >= 'A' && text[i] <= 'Z') ||
				text[i] == '-' || text[i] == '_';
	return good;
}

bool
keys_parse(const char *text, size_t len, char id[KEYS_ID_CHARS + 1], unsigned char hash[KEYS_HASH_BYTES])
{
	const char *secret = text + KEYS_TEXT_CHARS - KEYS_SECRET_CHARS;

	if (len != KEYS_TEXT_CHARS || memcmp(text, PREFIX, strlen(PREFIX)) != 0 || secret[-1] != '_')
		return false;
	memcpy(id, text + strlen(PREFIX), KEYS_ID_CHARS);
	id[KEYS_ID_CHARS] = '\0';
	if (!is_hex(id, KEYS_ID_CHARS) || !is_base64url(secret, KEYS_SECRET_CHARS))
		return false;
	(void)crypto_hash_sha256(hash, (const unsigned char *)secret, KEYS_SECRET_CHARS);
	return true;
}

static unsigned
find_scope(const char *name, size_t len)
{
	for (size_t i = 0; i < N_SCOPES; i++)
		if (strlen(scopes_known[i].name) == len && memcmp(scopes_known[i].name, name, len) == 0)
			return scopes_known[i].scope;
	return 0;
}

bool
keys_scopes_read(const char *text, unsigned *scopes)
{
	*scopes = 0;
	for (;;) {
		size_t len = strcspn(text, ",");
		unsigned scope = find_scope(text, len);
		if (scope == 0 || (*scopes & scope) != 0)
			return false;
		*scopes |= scope;
		if (text[len] == '\0')
			return true;
		text += len + 1;
	}
}

const char *
keys_scopes_print(unsigned scopes, char out[KEYS_SCOPES_MAX])
{
	size_t len = 0;

	out[0] = '\0';
	for (size_t i = 0; i < N_SCOPES; i++)
		if ((scopes & scopes_known[i].scope) != 0)
			len += (size_t)snprintf(out + len, KEYS_SCOPES_MAX - len, "%s%s", len > 0 ? "," : "", scopes_known[i].name);
	return out;
}

bool
keys_is_label(const char *label)
{
	size_t len = strlen(label);
	const char *end = label + len;

	if (len == 0 || len >= KEYS_LABEL_MAX)
		return false;
	for (const char *p = label; p < end;) {
		size_t n = text_utf8(p, end);
		bool control = n == 0 || (n == 1 && ((unsigned char)*p < 0x20 || *p == 0x7F)) ||
					   (n == 2 && (unsigned char)p[0] == 0xC2 && (unsigned char)p[1] < 0xA0);
		if (control)
			return false;
		p += n;
	}
	return true;
}

void
keys_print(struct buf *out, const struct key *k, bool with_hash)
{
	char time[CLOCK_RFC3339];
	char scopes[KEYS_SCOPES_MAX];
	char hex[2 * KEYS_HASH_BYTES + 1];

	buf_printf(out, "{\"id\": \"%s\", \"label\": ", k->id);
	text_json_string(out, k->label, strlen(k->label));
	buf_str(out, ", \"scopes\": [\"");
	for (const char *p = keys_scopes_print(k->scopes, scopes); *p != '\0'; p++)
		if (*p == ',')
			buf_str(out, "\", \"");
		else
			buf_char(out, *p);
	buf_printf(out, "\"], \"created\": \"%s\"", clock_rfc3339_of(k->created_s, time));
	if (k->expires_s != INT64_MAX)
		buf_printf(out, ", \"expires\": \"%s\"", clock_rfc3339_of(k->expires_s, time));
	if (k->rate > 0)
		buf_printf(out, ", \"rate\": %ld", k->rate);
	if (with_hash)
		buf_printf(out, ", \"sha256\": \"%s\"", sodium_bin2hex(hex, sizeof hex, k->hash, sizeof k->hash));
	buf_char(out, '}');
}

static bool
read_time(const char *text, int64_t *seconds)
{
	char again[CLOCK_RFC3339];
	struct tm utc = {0};
	const char *end = text != NULL ? strptime(text, "%Y-%m-%dT%H:%M:%SZ", &utc) : NULL;

	if (end == NULL || *end != '\0')
		return false;
	*seconds = timegm(&utc);
	return strcmp(clock_rfc3339_of(*seconds, again), text) == 0; /* no 31st of February */
}

static bool
read_hash(const char *text, unsigned char hash[KEYS_HASH_BYTES])
{
	size_t len;

	return text != NULL && strlen(text) == (size_t)KEYS_HASH_BYTES * 2 && is_hex(text, strlen(text)) &&
		   sodium_hex2bin(hash, KEYS_HASH_BYTES, text, strlen(text), NULL, &len, NULL) == 0 && len == KEYS_HASH_BYTES;
}

static bool
read_scopes(const cJSON *list, unsigned *scopes)
{
	const cJSON *item;

	*scopes = 0;
	cJSON_ArrayForEach (item, list) {
		unsigned scope = cJSON_IsString(item) ? find_scope(item->valuestring, strlen(item->valuestring)) : 0;
		if (scope == 0 || (*scopes & scope) != 0)
			return false;
		*scopes |= scope;
	}
	return cJSON_IsArray(list) && *scopes != 0;
}

/* One member of a key; the name of what is wrong with it, or NULL. */
static const char *
read_member(const cJSON *m, struct key *k)
{
	const char *text = cJSON_GetStringValue(m);

	if (strcmp(m->string, "id") == 0) {
		if (text == NULL || strlen(text) != KEYS_ID_CHARS || !is_hex(text, KEYS_ID_CHARS))
			return "id must be eight hexadecimal digits";
		memcpy(k->id, text, KEYS_ID_CHARS + 1);
	} else if (strcmp(m->string, "label") == 0) {
		if (text == NULL || !keys_is_label(text))
			return "label must be 1 to 64 bytes that print";
		memcpy(k->label, text, strlen(text) + 1);
	} else if (strcmp(m->string, "scopes") == 0) {
		return read_scopes(m, &k->scopes) ? NULL : "scopes must be a list of predict, metrics and admin, each at most once";
	} else if (strcmp(m->string, "created") == 0) {
		return read_time(text, &k->created_s) ? NULL : "created must be a time such as 2026-11-23T10:40:00Z";
	} else if (strcmp(m->string, "expires") == 0) {
		return read_time(text, &k->expires_s) ? NULL : "expires must be a time such as 2026-11-23T10:40:00Z";
	} else if (strcmp(m->string, "rate") == 0) {
		if (!cJSON_IsNumber(m) || !(m->valuedouble >= 1 && m->valuedouble <= KEYS_RATE_MAX) || m->valuedouble != m->valueint)
			return "rate must be a whole number from 1 to 100000";
		k->rate = m->valueint;
	} else if (strcmp(m->string, "sha256") == 0) {
		return read_hash(text, k->hash) ? NULL : "sha256 must be 64 hexadecimal digits";
	} else {
		return "the members are id, label, scopes, created, expires, rate and sha256, and no others";
	}
	return NULL;
}

static enum err
read_key(const cJSON *object, size_t number, struct key *k, struct err_info *info)
{
	static const char *const needed[] = {"id", "label", "scopes", "created", "sha256"};
	const cJSON *m;

	*k = (struct key){.expires_s = INT64_MAX};
	if (!cJSON_IsObject(object))
		return err_set(info, ERR_FILE, "key %zu is no object", number);
	cJSON_ArrayForEach (m, object) {
		const char *wrong = read_member(m, k);
		if (wrong != NULL)
			return err_set(info, ERR_FILE, "key %zu: %s", number, wrong);
	}
	for (size_t i = 0; i < sizeof needed / sizeof needed[0]; i++)
		if (!cJSON_HasObjectItem(object, needed[i]))
			return err_set(info, ERR_FILE, "key %zu has no %s", number, needed[i]);
	return ERR_OK;
}

static enum err
read_tree(const cJSON *tree, struct keys *keys, struct err_info *info)
{
	const cJSON *list = cJSON_GetObjectItemCaseSensitive(tree, "keys");
	const cJSON *object;

	if (!cJSON_IsArray(list) || cJSON_GetArraySize(tree) != 1)
		return err_set(info, ERR_FILE, "expected {\"keys\": [...]}, as futaie keys add writes it");
	int n = cJSON_GetArraySize(list);
	if (n > KEYS_MAX)
		return err_set(info, ERR_FILE, "it has %d keys; %d are accepted", n, KEYS_MAX);
	keys->keys = calloc(n > 0 ? (size_t)n : 1, sizeof *keys->keys);
	if (keys->keys == NULL)
		return err_set(info, ERR_OUT_OF_MEMORY, "no memory for the keys");
	cJSON_ArrayForEach (object, list) {
		struct key *k = &keys->keys[keys->n];
		enum err e = read_key(object, keys->n + 1, k, info);
		if (e == ERR_OK && keys_find(keys, k->id) != NULL)
			e = err_set(info, ERR_FILE, "the id %s stands twice", k->id);
		if (e != ERR_OK)
			return e;
		keys->n++;
	}
	return ERR_OK;
}
