/* test_versions.c - tests of model/store_edit, versions and proof: changes of the store, whole or not at all */
#include "model/versions.h"

#include <fcntl.h>
#include <sys/file.h>

#include "folder.h"
#include "model/proof.h"
#include "model/trial.h"

/* The program that tries versions: the one that was built with these tests. */
static const char *
program(void)
{
	static char path[PATH_MAX];
	const char *build = getenv("BUILD");

	(void)snprintf(path, sizeof path, "%s/futaie", build != NULL ? build : "build");
	return path;
}

static void
lock_store(struct store_edit *edit)
{
	struct err_info info;

	assert_err(store_edit_init(edit, folder, false, NULL, &info), ERR_OK, &info);
}

/* What the model "house" is: "1,2{champion=2}". */
static void
check_house(const char *expected)
{
	char text[512] = "";
	struct store s;
	struct err_info info;
	size_t n = 0;

	check_err(expected, store_init(&s, folder, &info), ERR_OK, &info);
	const struct store_model *m = store_find(&s, "house");
	if (m == NULL)
		fail_msg("there is no house, expected %s", expected);
	for (size_t k = 0; k < m->n_versions; k++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s%ld", k == 0 ? "" : ",", m->versions[k]);
	for (size_t k = 0; k < m->n_aliases; k++)
		n += (size_t)snprintf(text + n, sizeof text - n, "{%s=%s}", m->aliases[k].name, m->aliases[k].version);
	check_string("house", text, expected);
	store_release(&s);
}

/* Versions 1 to 3 of "house", the first of them champion. */
static int
setup(void **state)
{
	if (folder_setup(state) != 0)
		return -1;
	folder_add_version("reg-squarederror", "house", "1");
	folder_add_version("reg-squarederror", "house", "2");
	folder_add_version("reg-squarederror", "house", "3");
	folder_set_champion("house", "1");
	return 0;
}

static void
promote(const char *version, const char *before_expected)
{
	struct store_edit edit;
	struct err_info info;
	char before[MANIFEST_VERSION_MAX];

	lock_store(&edit);
	check_err(version, versions_promote(&edit, program(), "house", version, before, &info), ERR_OK, &info);
	check_string(version, before, before_expected);
	store_edit_release(&edit);
}

static void
promotes_and_rolls_back(void **state)
{
	struct store_edit edit;
	struct err_info info;
	char from[MANIFEST_VERSION_MAX];
	char to[MANIFEST_VERSION_MAX];

	(void)state;
	promote("2", "1");
	check_house("1,2,3{champion=2}{previous=1}");
	promote("2", "2");
	check_house("1,2,3{champion=2}{previous=1}");
	promote("3", "2");
	check_house("1,2,3{champion=3}{previous=2}");
	lock_store(&edit);
	assert_err(versions_rollback(&edit, program(), "house", from, to, &info), ERR_OK, &info);
	assert_string_equal(from, "3");
	assert_string_equal(to, "2");
	check_house("1,2,3{champion=2}");
	assert_err(versions_rollback(&edit, program(), "house", from, to, &info), ERR_FILE, &info);
	assert_contains(info.text, "has no previous champion to go back to");
	store_edit_release(&edit);
	check_house("1,2,3{champion=2}");
}

static void
keeps_other_aliases(void **state)
{
	struct store_edit edit;
	struct err_info info;

	(void)state;
	lock_store(&edit);
	assert_err(versions_alias(&edit, "house", "challenger", "3", &info), ERR_OK, &info);
	check_house("1,2,3{champion=1}{challenger=3}");
	store_edit_release(&edit);
	promote("2", "1");
	check_house("1,2,3{champion=2}{challenger=3}{previous=1}");
	lock_store(&edit);
	assert_err(versions_alias(&edit, "house", "challenger", "2", &info), ERR_OK, &info);
	check_house("1,2,3{champion=2}{challenger=2}{previous=1}");
	assert_err(versions_alias(&edit, "house", "challenger", NULL, &info), ERR_OK, &info);
	check_house("1,2,3{champion=2}{previous=1}");
	assert_err(versions_alias(&edit, "house", "challenger", NULL, &info), ERR_FILE, &info);
	store_edit_release(&edit);
}

static void
refuses(void **state)
{
	struct store_edit edit;
	struct err_info info;
	char before[MANIFEST_VERSION_MAX];

	(void)state;
	lock_store(&edit);
	assert_err(versions_promote(&edit, program(), "hut", "1", before, &info), ERR_FILE, &info);
	assert_contains(info.text, "there is no model \"hut\"");
	assert_err(versions_promote(&edit, program(), "house", "7", before, &info), ERR_FILE, &info);
	assert_contains(info.text, "there is no version 7 of house; there are: 1, 2, 3");
	assert_err(versions_promote(&edit, program(), "house", "01", before, &info), ERR_FILE, &info);
	assert_err(versions_alias(&edit, "house", "champion", "2", &info), ERR_USAGE, &info);
	assert_err(versions_alias(&edit, "house", "previous", "2", &info), ERR_USAGE, &info);
	assert_err(versions_alias(&edit, "house", ".x", "2", &info), ERR_USAGE, &info);
	assert_err(versions_alias(&edit, "house", "x", "9", &info), ERR_FILE, &info);
	assert_err(versions_remove(&edit, "house", "1", &info), ERR_FILE, &info);
	assert_contains(info.text, "version 1 of house is its champion");
	assert_err(versions_remove(&edit, "house", "9", &info), ERR_FILE, &info);
	folder_write(folder_path("house/aliases.json"), "{");
	assert_err(versions_promote(&edit, program(), "house", "2", before, &info), ERR_FILE, &info);
	assert_contains(info.text, "aliases.json");
	store_edit_release(&edit);
}

static void
refuses_what_is_broken(void **state)
{
	struct store_edit edit;
	struct err_info info;
	char before[MANIFEST_VERSION_MAX];

	(void)state;
	folder_flip_byte("house/2/model.ubj");
	lock_store(&edit);
	assert_err(versions_promote(&edit, program(), "house", "2", before, &info), ERR_SHA256_MISMATCH, &info);
	assert_contains(info.text, "the sha256 is");
	store_edit_release(&edit);
	check_house("1,2,3{champion=1}");
	assert_int_not_equal(access(folder_path("house/2/proof.json"), F_OK), 0);
}

static void
records_the_proof(void **state)
{
	struct manifest m;
	struct proof proof;
	struct err_info info;

	(void)state;
	assert_err(manifest_init(&m, folder_path("house/2"), "house", "2", &info), ERR_OK, &info);
	assert_false(proof_read(&proof, folder_path("house/2"), m.sha256));
	promote("2", "1");
	assert_true(proof_read(&proof, folder_path("house/2"), m.sha256));
	assert_false(proof_read(&proof, folder_path("house/2"), "0000"));
	assert_false(proof_read(&proof, folder_path("house/3"), m.sha256));
	cJSON *record = folder_read_json(folder_path("house/2/proof.json"));
	const char *ours = cJSON_GetObjectItemCaseSensitive(record, "forest")->valuestring;
	char forest[128];
	(void)snprintf(forest, sizeof forest, "%s more", ours); /* a processor with more instructions */
	folder_set_text(record, "forest", forest);
	folder_write_json(folder_path("house/2/proof.json"), record);
	assert_true(proof_read(&proof, folder_path("house/2"), m.sha256));
	*strrchr(forest, ' ') = 'x'; /* other instructions */
	folder_set_text(record, "forest", forest);
	folder_write_json(folder_path("house/2/proof.json"), record);
	assert_false(proof_read(&proof, folder_path("house/2"), m.sha256));
	forest[strcspn(forest, " ")] = '\0'; /* with none of ours */
	folder_set_text(record, "forest", forest);
	folder_write_json(folder_path("house/2/proof.json"), record);
	assert_false(proof_read(&proof, folder_path("house/2"), m.sha256));
	cJSON_Delete(record);
	folder_write(folder_path("house/2/proof.json"), "{\"sha256\": 1");
	assert_false(proof_read(&proof, folder_path("house/2"), m.sha256));
	manifest_release(&m);
}

/* Adds a version made of files of version 1, as an import does. */
static enum err
add(const char *name, struct err_info *info)
{
	struct store_edit edit;
	char made[PATH_MAX];
	char path[PATH_MAX];
	size_t len;
	enum err e;

	lock_store(&edit);
	e = store_edit_begin(&edit, name, made, info);
	if (e == ERR_OK) {
		char *bytes = folder_read(folder_path("house/1/model.ubj"), &len);
		assert_true(files_join(path, sizeof path, made, "model.ubj"));
		e = files_write(path, bytes, len, info);
		free(bytes);
		cJSON *manifest = folder_read_json(folder_path("house/1/manifest.json"));
		cJSON_ReplaceItemInObject(manifest, "name", cJSON_CreateString(name));
		cJSON_ReplaceItemInObject(manifest, "version", cJSON_CreateString(edit.version));
		assert_true(files_join(path, sizeof path, made, "manifest.json"));
		folder_write_json(path, manifest);
		cJSON_Delete(manifest);
	}
	if (e == ERR_OK)
		e = versions_add(&edit, program(), info);
	store_edit_release(&edit);
	return e;
}

static void
remove_house(const char *version)
{
	struct store_edit edit;
	struct err_info info;

	lock_store(&edit);
	check_err(version, versions_remove(&edit, "house", version, &info), ERR_OK, &info);
	store_edit_release(&edit);
}

static void
numbers_are_not_used_again(void **state)
{
	struct err_info info;

	(void)state;
	assert_err(add("house", &info), ERR_OK, &info);
	check_house("1,2,3,4{champion=1}");
	remove_house("4");
	remove_house("2");
	check_house("1,3{champion=1}");
	assert_err(add("house", &info), ERR_OK, &info);
	check_house("1,3,5{champion=1}");
	remove_house("5");
	remove_house("3");
	assert_err(add("house", &info), ERR_OK, &info);
	check_house("1,6{champion=1}");
}

static void
adds_a_new_model(void **state)
{
	struct err_info info;
	struct store s;

	(void)state;
	assert_err(add("hut", &info), ERR_OK, &info);
	assert_err(store_init(&s, folder, &info), ERR_OK, &info);
	assert_int_equal(s.n_models, 2);
	assert_true(store_has_version(store_find(&s, "hut"), "1"));
	store_release(&s);
	assert_int_equal(access(folder_path("hut/1/proof.json"), F_OK), 0);
}

static void
nothing_is_left_of_what_fails(void **state)
{
	struct store_edit edit;
	struct err_info info;
	char made[PATH_MAX];

	(void)state;
	lock_store(&edit);
	assert_err(store_edit_begin(&edit, "hut", made, &info), ERR_OK, &info);
	assert_int_equal(access(made, F_OK), 0);
	assert_err(versions_add(&edit, program(), &info), ERR_FILE, &info); /* it has no manifest */
	store_edit_release(&edit);
	store_edit_release(&edit);
	assert_int_not_equal(access(made, F_OK), 0);
	assert_int_not_equal(access(folder_path("hut"), F_OK), 0);
}

static void
leftovers_are_removed(void **state)
{
	struct store_edit edit;

	(void)state;
	assert_int_equal(mkdir(folder_path(".futaie-new-abc"), 0755), 0);
	assert_int_equal(mkdir(folder_path(".futaie-old-house-7"), 0755), 0);
	assert_int_equal(mkdir(folder_path(".git"), 0755), 0);
	folder_write(folder_path(".futaie-new-abc/file"), "x");
	lock_store(&edit);
	store_edit_release(&edit);
	assert_int_not_equal(access(folder_path(".futaie-new-abc"), F_OK), 0);
	assert_int_not_equal(access(folder_path(".futaie-old-house-7"), F_OK), 0);
	assert_int_equal(access(folder_path(".git"), F_OK), 0);
}

static bool has_waited;

/* Another command that was in the way and is now done. */
static void
unlock_other(const char *dir)
{
	(void)dir;
	has_waited = true;
}

static void
waits_for_the_lock(void **state)
{
	struct store_edit edit;
	struct err_info info;
	int other = open(folder, O_RDONLY | O_DIRECTORY);

	(void)state;
	assert_int_equal(flock(other, LOCK_EX), 0);
	pid_t pid = fork();
	if (pid == 0) {
		(void)usleep(200000);
		_exit(0); /* the lock goes with the last descriptor */
	}
	(void)close(other);
	assert_err(store_edit_init(&edit, folder, false, unlock_other, &info), ERR_OK, &info);
	assert_true(has_waited);
	store_edit_release(&edit);
}

static void
stores_that_are_none(void **state)
{
	struct store_edit edit;
	struct err_info info;
	char made[PATH_MAX];

	(void)state;
	assert_err(store_edit_init(&edit, folder_path("none"), false, NULL, &info), ERR_FILE, &info);
	assert_contains(info.text, "cannot open the model store");
	assert_err(store_edit_init(&edit, folder_path("none"), true, NULL, &info), ERR_OK, &info);
	assert_err(store_edit_begin(&edit, "hut", made, &info), ERR_OK, &info);
	store_edit_release(&edit);
	folder_write(folder_path("file"), "");
	assert_err(store_edit_init(&edit, folder_path("file"), true, NULL, &info), ERR_FILE, &info);
}

static void
stamps(void **state)
{
	struct store_edit edit;
	struct err_info info;
	uint64_t before;

	(void)state;
	(void)usleep(30000);
	before = store_stamp(folder);
	assert_true(before == store_stamp(folder));
	assert_int_equal(store_stamp(folder_path("none")), 0);
	lock_store(&edit);
	assert_err(versions_alias(&edit, "house", "x", "2", &info), ERR_OK, &info);
	store_edit_release(&edit);
	assert_true(before != store_stamp(folder));
	(void)usleep(30000);
	before = store_stamp(folder);
	assert_true(before == store_stamp(folder));
	folder_add_version("reg-squarederror", "house", "4");
	(void)usleep(30000);
	assert_true(before != store_stamp(folder));
}

#define IN_STORE(sentence, function) TEST_WITH(sentence, function, setup, folder_teardown)

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		IN_STORE("a promotion keeps the champion of before, a rollback restores it once", promotes_and_rolls_back),
		IN_STORE("other aliases are set and dropped, and outlive promotions", keeps_other_aliases),
		IN_STORE("unknown models, versions and reserved aliases are refused with a sentence", refuses),
		IN_STORE("a version that is broken is not promoted", refuses_what_is_broken),
		IN_STORE("a promotion puts the proof on record, for this file only", records_the_proof),
		IN_STORE("a number is never used again, whatever was removed", numbers_are_not_used_again),
		IN_STORE("the first version of a new model comes with its folder", adds_a_new_model),
		IN_STORE("a version that fails its proof leaves nothing behind", nothing_is_left_of_what_fails),
		IN_STORE("what a killed command left is removed by the next one, and nothing else", leftovers_are_removed),
		IN_STORE("a change waits for the one before it, and says so", waits_for_the_lock),
		IN_STORE("a store that is missing is made where asked, a file is refused", stores_that_are_none),
		IN_STORE("the stamp changes with aliases and versions, and only then", stamps),
	};

	return cmocka_run_group_tests_name("versions", tests, NULL, NULL);
}
