/* test_keys.c - tests of serve/keys and serve/keys_edit: the text of a key, and the file */
#include "serve/keys.h"

#include <fcntl.h>
#include <sys/file.h>

#include "folder.h"
#include "serve/keys_edit.h"

#define HASH "0000000000000000000000000000000000000000000000000000000000000000"

/* A file with one key whose members are `members`. */
static const char *
file_of(const char *members)
{
	char text[4096];

	(void)snprintf(text, sizeof text, "{\"keys\": [{%s}]}", members);
	folder_write(folder_path("keys.json"), text);
	return folder_path("keys.json");
}

static void
refused_text(void **state)
{
	static const struct {
		const char *text;
		bool good;
	} rows[] = {
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-", true},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA_", true},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"futaie_0123ABCD_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"futaie_0123abcg_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"futaie_0123abcd-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"Futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", false},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", false},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA+", false},
		{"futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\xC3\xA9", false},
		{"", false},
	};
	char id[KEYS_ID_CHARS + 1];
	unsigned char hash[KEYS_HASH_BYTES];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		char *copy = unit_copy(rows[i].text, strlen(rows[i].text));
		check_integer(rows[i].text, keys_parse(copy, strlen(copy), id, hash), rows[i].good);
		free(copy);
	}
	assert_false(keys_parse("futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAA\0AAAAAAAAAAAAAAAAAAAAA", KEYS_TEXT_CHARS, id, hash));
}

/* What is at rest can be had with sha256sum from what the holder has. */
static void
hash_is_sha256(void **state)
{
	/* printf %s AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA | sha256sum */
	static const unsigned char expected[] = {0x0f, 0x00, 0x73, 0x85, 0xb6, 0xf9, 0xd4, 0xb7, 0xee, 0xb2, 0x74,
											 0x86, 0x05, 0xaf, 0xe1, 0xa9, 0x84, 0xa0, 0xa3, 0xbf, 0xa3, 0xf0,
											 0x14, 0xd0, 0x9e, 0x2a, 0x78, 0x4c, 0xe9, 0xe5, 0xcd, 0x1a};
	char id[KEYS_ID_CHARS + 1];
	unsigned char hash[KEYS_HASH_BYTES];

	(void)state;
	assert_true(keys_parse("futaie_0123abcd_AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA", KEYS_TEXT_CHARS, id, hash));
	assert_string_equal(id, "0123abcd");
	assert_memory_equal(hash, expected, sizeof expected);
}

static void
scopes(void **state)
{
	static const struct {
		const char *text;
		unsigned scopes; /* 0: refused */
	} rows[] = {
		{"predict", KEYS_PREDICT},
		{"metrics", KEYS_METRICS},
		{"admin,predict", KEYS_ADMIN | KEYS_PREDICT},
		{"predict,metrics,admin", KEYS_PREDICT | KEYS_METRICS | KEYS_ADMIN},
		{"", 0},
		{"predict,", 0},
		{",predict", 0},
		{"predict,predict", 0},
		{"Predict", 0},
		{"predict, admin", 0},
		{"all", 0},
	};
	char out[KEYS_SCOPES_MAX];
	unsigned got;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_integer(rows[i].text, keys_scopes_read(rows[i].text, &got), rows[i].scopes != 0);
		if (rows[i].scopes != 0)
			check_integer(rows[i].text, got, rows[i].scopes);
	}
	assert_string_equal(keys_scopes_print(KEYS_PREDICT | KEYS_METRICS | KEYS_ADMIN, out), "predict,metrics,admin");
}

static void
labels(void **state)
{
	static const struct {
		const char *label;
		bool good;
	} rows[] = {
		{"a", true},
		{"\xC3\xA9quipe donn\xC3\xA9"
		 "es",
		 true},
		{"\"quoted\" \\ and / all", true},
		{"1234567890123456789012345678901234567890123456789012345678901234", true},
		{"12345678901234567890123456789012345678901234567890123456789012345", false},
		{"", false},
		{"two\nlines", false},
		{"\x1B[31mred", false},
		{"\x7F", false},
		{"\xC2\x9B"
		 "31m",
		 false},
		{"\xFF", false},
		{"\xC3", false},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		check_integer(rows[i].label, keys_is_label(rows[i].label), rows[i].good);
}

static void
round_trip(void **state)
{
	struct key made[3] = {
		{.label = "\"a\" \\ b", .scopes = KEYS_PREDICT, .created_s = 1795430400, .expires_s = INT64_MAX},
		{.label = "metrics", .scopes = KEYS_METRICS | KEYS_ADMIN, .created_s = 1, .expires_s = 4102444800, .rate = KEYS_RATE_MAX},
		{.label = "\xE2\x82\xAC", .scopes = KEYS_PREDICT | KEYS_METRICS | KEYS_ADMIN, .expires_s = 0, .rate = 1},
	};
	char texts[3][KEYS_TEXT_CHARS + 1];
	char id[KEYS_ID_CHARS + 1];
	unsigned char hash[KEYS_HASH_BYTES];
	struct keys_edit edit;
	struct keys keys;
	struct err_info info;

	(void)state;
	const char *path = folder_path("keys.json");
	assert_err(keys_edit_init(&edit, path, true, NULL, &info), ERR_OK, &info);
	for (size_t i = 0; i < 3; i++)
		assert_err(keys_edit_add(&edit, &made[i], texts[i], &info), ERR_OK, &info);
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
	assert_err(keys_read(path, &keys, &info), ERR_OK, &info);
	assert_int_equal(keys.n, 3);
	for (size_t i = 0; i < 3; i++) {
		const struct key *k = keys_find(&keys, made[i].id);
		assert_non_null(k);
		assert_string_equal(k->label, made[i].label);
		assert_int_equal(k->scopes, made[i].scopes);
		assert_int_equal(k->created_s, made[i].created_s);
		assert_int_equal(k->expires_s, made[i].expires_s);
		assert_int_equal(k->rate, made[i].rate);
		assert_true(keys_parse(texts[i], strlen(texts[i]), id, hash));
		assert_string_equal(id, k->id);
		assert_memory_equal(hash, k->hash, sizeof hash);
	}
	char *text = folder_read(path, NULL);
	for (size_t i = 0; i < 3; i++)
		assert_null(strstr(text, texts[i] + KEYS_TEXT_CHARS - KEYS_SECRET_CHARS));
	free(text);
	keys_release(&keys);
}

static void
broken_files(void **state)
{
	static const struct {
		const char *members;
		const char *hint;
	} rows[] = {
		{"", "has no id"},
		{"\"id\": \"0123abcd\", \"label\": \"a\", \"scopes\": [\"predict\"], \"created\": \"2026-11-23T10:40:00Z\"",
		 "has no sha256"},
		{"\"id\": \"0123abcd\", \"label\": \"a\", \"scopes\": [\"predict\"], \"sha256\": \"" HASH "\"", "has no created"},
		{"\"id\": \"0123ABCD\"", "id must be"},
		{"\"id\": 7", "id must be"},
		{"\"id\": \"0123abcd\", \"id\": \"0123abcd\"", "id"},
		{"\"label\": \"\"", "label must be"},
		{"\"label\": \"a\\nb\"", "label must be"},
		{"\"scopes\": []", "scopes must be"},
		{"\"scopes\": [\"all\"]", "scopes must be"},
		{"\"scopes\": [\"predict\", \"predict\"]", "scopes must be"},
		{"\"scopes\": \"predict\"", "scopes must be"},
		{"\"created\": \"yesterday\"", "created must be"},
		{"\"created\": \"2026-02-31T10:40:00Z\"", "created must be"},
		{"\"expires\": \"2026-11-23T10:40:00\"", "expires must be"},
		{"\"expires\": null", "expires must be"},
		{"\"rate\": 0", "rate must be"},
		{"\"rate\": 1.5", "rate must be"},
		{"\"rate\": 100001", "rate must be"},
		{"\"rate\": \"9\"", "rate must be"},
		{"\"sha256\": \"00\"", "sha256 must be"},
		{"\"sha256\": \"G" HASH "\"", "sha256 must be"},
		{"\"key\": \"futaie_0123abcd_\"", "and no others"},
	};
	struct keys keys;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		check_err(rows[i].members, keys_read(file_of(rows[i].members), &keys, &info), ERR_FILE, &info);
		check_contains(rows[i].members, info.text, rows[i].hint);
		check_contains(rows[i].members, info.text, "keys.json");
		check_integer(rows[i].members, keys.n, 0);
	}
}

static void
other_files(void **state)
{
	static const char *const texts[] = {
		"", "{", "[]", "{}", "null", "{\"keys\": {}}", "{\"keys\": [], \"more\": 1}", "{\"keys\": [7]}", "\xFF"};
	struct keys keys;
	struct err_info info;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		folder_write(folder_path("keys.json"), texts[i]);
		check_err(texts[i], keys_read(folder_path("keys.json"), &keys, &info), ERR_FILE, &info);
		check_contains(texts[i], info.text, "keys.json");
	}
	check_err("no file", keys_read(folder_path("other.json"), &keys, &info), ERR_FILE, &info);
	check_err("a folder", keys_read(folder, &keys, &info), ERR_FILE, &info);
	folder_write(folder_path("keys.json"), "{\"keys\": []}");
	check_err("empty", keys_read(folder_path("keys.json"), &keys, &info), ERR_OK, &info);
	keys_release(&keys);
	assert_int_equal(chmod(folder_path("keys.json"), 0602), 0);
	check_err("anybody's", keys_read(folder_path("keys.json"), &keys, &info), ERR_FILE, &info);
	assert_contains(info.text, "chmod o-w");
}

/* One more than are kept, and more bytes than are read. */
static void
most_keys(void **state)
{
	struct buf b;
	struct keys keys;
	struct keys_edit edit;
	struct key k = {.label = "one more", .scopes = KEYS_PREDICT};
	char text[KEYS_TEXT_CHARS + 1];
	struct err_info info;

	(void)state;
	for (int n = KEYS_MAX; n <= KEYS_MAX + 1; n++) {
		buf_init(&b, (size_t)4 * KEYS_FILE_MAX);
		buf_str(&b, "{\"keys\": [");
		for (int i = 0; i < n; i++)
			buf_printf(&b,
					   "%s{\"id\": \"%08x\", \"label\": \"a\", \"scopes\": [\"predict\"], \"created\": \"2026-11-23T10:40:00Z\", "
					   "\"sha256\": \"" HASH "\"}",
					   i > 0 ? "," : "", (unsigned)i);
		buf_str(&b, "]}");
		folder_write(folder_path("keys.json"), buf_peek(&b));
		check_err("keys", keys_read(folder_path("keys.json"), &keys, &info), n == KEYS_MAX ? ERR_OK : ERR_FILE, &info);
		if (n == KEYS_MAX) {
			assert_int_equal(keys.n, KEYS_MAX);
			assert_err(keys_edit_init(&edit, folder_path("keys.json"), true, NULL, &info), ERR_OK, &info);
			assert_err(keys_edit_add(&edit, &k, text, &info), ERR_FILE, &info);
			assert_contains(info.text, "1000 keys");
			keys_edit_release(&edit);
		}
		keys_release(&keys);
		buf_release(&b);
	}
	char *large = malloc(KEYS_FILE_MAX + 2);
	assert_non_null(large);
	memset(large, ' ', KEYS_FILE_MAX + 1);
	folder_write_bytes(folder_path("keys.json"), large, KEYS_FILE_MAX + 1);
	free(large);
	assert_err(keys_read(folder_path("keys.json"), &keys, &info), ERR_FILE, &info);
}

static void
same_id_twice(void **state)
{
#define ONE                                                                                                                        \
	"\"id\": \"0123abcd\", \"label\": \"a\", \"scopes\": [\"predict\"], \"created\": \"2026-11-23T10:40:00Z\", \"sha256\": "       \
	"\"" HASH "\""
	struct keys keys;
	struct err_info info;

	(void)state;
	assert_err(keys_read(file_of(ONE "}, {" ONE), &keys, &info), ERR_FILE, &info);
	assert_contains(info.text, "0123abcd stands twice");
}

static unsigned
mode_of(const char *path)
{
	struct stat st;

	assert_int_equal(stat(path, &st), 0);
	return st.st_mode & 07777;
}

/* Adds a key to the file at `path`. */
static void
add_key(const char *path)
{
	struct key k = {.label = "a", .scopes = KEYS_PREDICT, .expires_s = INT64_MAX};
	char text[KEYS_TEXT_CHARS + 1];
	struct keys_edit edit;
	struct err_info info;

	assert_err(keys_edit_init(&edit, path, true, NULL, &info), ERR_OK, &info);
	assert_err(keys_edit_add(&edit, &k, text, &info), ERR_OK, &info);
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
}

static void
modes(void **state)
{
	static const struct {
		unsigned before;
		unsigned after;
	} rows[] = {{0600, 0600}, {0640, 0640}, {0644, 0640}, {0660, 0640}, {0400, 0400}};
	const char *path = folder_path("keys.json");

	(void)state;
	mode_t mask = umask(0);
	add_key(path);
	assert_int_equal(mode_of(path), 0600);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		assert_int_equal(chmod(path, rows[i].before), 0);
		add_key(path);
		check_integer("mode", mode_of(path), rows[i].after);
	}
	(void)umask(mask);
}

static void
links_stay(void **state)
{
	struct stat st;
	struct keys keys;
	struct err_info info;

	(void)state;
	assert_int_equal(mkdir(folder_path("real"), 0755), 0);
	add_key(folder_path("real/keys.json"));
	assert_int_equal(symlink("real/keys.json", folder_path("link.json")), 0);
	add_key(folder_path("link.json"));
	assert_int_equal(lstat(folder_path("link.json"), &st), 0);
	assert_true(S_ISLNK(st.st_mode));
	assert_err(keys_read(folder_path("real/keys.json"), &keys, &info), ERR_OK, &info);
	assert_int_equal(keys.n, 2);
	keys_release(&keys);
}

static void
removal(void **state)
{
	struct keys_edit edit;
	struct keys keys;
	struct err_info info;
	char ids[3][KEYS_ID_CHARS + 1];
	const char *path = folder_path("keys.json");

	(void)state;
	for (int i = 0; i < 3; i++)
		add_key(path);
	assert_err(keys_edit_init(&edit, path, false, NULL, &info), ERR_OK, &info);
	for (int i = 0; i < 3; i++)
		memcpy(ids[i], edit.keys.keys[i].id, sizeof ids[i]);
	assert_false(keys_edit_remove(&edit, "nobody"));
	assert_true(keys_edit_remove(&edit, ids[1]));
	assert_false(keys_edit_remove(&edit, ids[1]));
	assert_err(keys_edit_save(&edit, &info), ERR_OK, &info);
	keys_edit_release(&edit);
	assert_err(keys_read(path, &keys, &info), ERR_OK, &info);
	assert_int_equal(keys.n, 2);
	assert_string_equal(keys.keys[0].id, ids[0]);
	assert_string_equal(keys.keys[1].id, ids[2]);
	keys_release(&keys);
}

static void
no_create(void **state)
{
	struct keys_edit edit;
	struct err_info info;

	(void)state;
	assert_err(keys_edit_init(&edit, folder_path("keys.json"), false, NULL, &info), ERR_FILE, &info);
	assert_int_equal(edit.fd, -1);
	assert_err(keys_edit_init(&edit, folder_path("nowhere/keys.json"), true, NULL, &info), ERR_FILE, &info);
	assert_contains(info.text, "nowhere");
	assert_err(keys_edit_init(&edit, folder_path("nowhere/"), true, NULL, &info), ERR_FILE, &info);
}

static void
locked_meanwhile(void **state)
{
	struct keys_edit edit;
	struct err_info info;

	(void)state;
	assert_err(keys_edit_init(&edit, folder_path("keys.json"), true, NULL, &info), ERR_OK, &info);
	int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), -1);
	keys_edit_release(&edit);
	assert_int_equal(flock(fd, LOCK_EX | LOCK_NB), 0);
	(void)close(fd);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		TEST("only what has the form of a key is hashed", refused_text),
		TEST("what is kept of a key is the SHA-256 of its secret", hash_is_sha256),
		TEST("scopes are a set of known names", scopes),
		TEST("a label is UTF-8 that prints", labels),
		TEST_WITH("what is added is read again, and the secret is not in the file", round_trip, folder_setup, folder_teardown),
		TEST_WITH("a key with a wrong or missing member is refused with its name", broken_files, folder_setup, folder_teardown),
		TEST_WITH("what is no keys file, or anybody's to change, is refused", other_files, folder_setup, folder_teardown),
		TEST_WITH("a thousand keys are accepted, and one more is not", most_keys, folder_setup, folder_teardown),
		TEST_WITH("two keys of one id are refused", same_id_twice, folder_setup, folder_teardown),
		TEST_WITH("a new file is its owner's alone, and an old one keeps its mode but for what others may", modes, folder_setup,
				  folder_teardown),
		TEST_WITH("a link to the file stays a link", links_stay, folder_setup, folder_teardown),
		TEST_WITH("a key is removed by its id, and the others stay in order", removal, folder_setup, folder_teardown),
		TEST_WITH("a file that is not there is made only where that is asked, and a folder never", no_create, folder_setup,
				  folder_teardown),
		TEST_WITH("the folder is locked while a change is made", locked_meanwhile, folder_setup, folder_teardown),
	};

	return cmocka_run_group_tests_name("keys", tests, NULL, NULL);
}
