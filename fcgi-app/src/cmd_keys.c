/* cmd_keys.c - futaie keys ACTION: the API keys of a server */
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/options.h"
#include "cmd.h"
#include "serve/keys_edit.h"

enum { DAY_S = 86400 };

struct keys_options {
	char keys[PATH_MAX];
	char scopes[KEYS_SCOPES_MAX * 2];
	long long expires_days;
	long long rate;
	bool json;
};

#define TEXT(field)                                                                                                                \
	.type = OPTIONS_TEXT, .offset = offsetof(struct keys_options, field), .cap = sizeof(((struct keys_options *)0)->field)
#define INTEGER(field, low, high)                                                                                                  \
	.type = OPTIONS_INTEGER, .offset = offsetof(struct keys_options, field), .min = (low), .max = (high)

static const struct options_row rows[] = {
	{"keys", TEXT(keys), .initial = "keys.json", .value = "FILE",
	 .help = "The file with the hashes of the keys, the same that futaie serve --keys names. add makes it, with mode 0600."},
	{"scopes", TEXT(scopes), .initial = "predict", .value = "A,B,...",
	 .help = "With add: what the key allows: predict (predictions, explanations, what the models are), metrics (/metrics), admin."},
	{"expires", INTEGER(expires_days, 0, KEYS_DAYS_MAX), .initial = "0", .value = "DAYS",
	 .help = "With add: the key is refused after so many days. 0 means never."},
	{"rate", INTEGER(rate, 0, KEYS_RATE_MAX), .initial = "0", .value = "REQUESTS/S",
	 .help = "With add: the key's own rate. 0 means the server's --rate-per-key."},
	{"json", .type = OPTIONS_FLAG, .offset = offsetof(struct keys_options, json), .initial = "no", .value = "",
	 .help = "With list: print JSON."},
};

static bool describe_action(size_t i, struct options_action *out);

const struct options_table keys_options = {
	.command = "keys",
	.synopsis = "add LABEL | list | revoke ID [--keys FILE] [OPTIONS]",
	.summary = "Makes, lists and revokes API keys. add prints the key on standard output, once: only its hash is kept. A running "
			   "server takes a change within a second.",
	.rows = rows,
	.n_rows = sizeof rows / sizeof rows[0],
	.action = describe_action,
};

typedef enum err action_run(const struct keys_options *o, const char *operand, struct err_info *info);

static action_run add;
static action_run list;
static action_run revoke;

struct action {
	const char *name;
	const char *operand; /* or NULL */
	action_run *run;
	const char *summary;
};

static const struct action actions[] = {
	{"add", "LABEL", add, "make a key; LABEL says whose or what for it is"},
	{"list", NULL, list, "id, label, scopes, dates and rate of every key"},
	{"revoke", "ID", revoke, "remove a key: it is refused from then on"},
};

enum { N_ACTIONS = sizeof actions / sizeof actions[0] };

static bool
describe_action(size_t i, struct options_action *out)
{
	if (i >= N_ACTIONS)
		return false;
	*out = (struct options_action){actions[i].name, actions[i].operand != NULL ? actions[i].operand : "", actions[i].summary};
	return true;
}

static void
print_help(void)
{
	options_print_help(&keys_options, stdout);
	(void)printf("\nActions:\n");
	for (size_t i = 0; i < N_ACTIONS; i++)
		(void)printf("  %-6s %-6s %s\n", actions[i].name, actions[i].operand != NULL ? actions[i].operand : "", actions[i].summary);
}

static const struct action *
find_action(const char *name)
{
	for (size_t i = 0; i < N_ACTIONS; i++)
		if (strcmp(actions[i].name, name) == 0)
			return &actions[i];
	return NULL;
}

/* An option that the action does not know would be passed over in silence. */
static enum err
check_options(const struct keys_options *o, const struct action *a, struct err_info *info)
{
	if (a->run != add && (strcmp(o->scopes, "predict") != 0 || o->expires_days > 0 || o->rate > 0))
		return err_set(info, ERR_USAGE, "--scopes, --expires and --rate are for add");
	if (a->run != list && o->json)
		return err_set(info, ERR_USAGE, "--json is for list");
	return ERR_OK;
}

static enum err
run(struct keys_options *o, int argc, char **argv, bool *help, struct err_info *info)
{
	int n;

	options_init(&keys_options, o);
	enum err e = options_argv(&keys_options, o, argc, argv, help, &n, info);
	if (e != ERR_OK || *help)
		return e;
	if (n == 0)
		return err_set(info, ERR_USAGE, "expected an action; futaie keys --help lists them");
	const struct action *a = find_action(argv[0]);
	if (a == NULL)
		return err_set(info, ERR_USAGE, "there is no action \"%.60s\"; futaie keys --help lists them", argv[0]);
	if (n - 1 != (a->operand != NULL))
		return err_set(info, ERR_USAGE, "usage: futaie keys %s%s%s", a->name, a->operand != NULL ? " " : "",
					   a->operand != NULL ? a->operand : "");
	e = check_options(o, a, info);
	return e == ERR_OK ? a->run(o, argv[1], info) : e;
}

int
cmd_keys(int argc, char **argv)
{
	struct keys_options o;
	struct err_info info;
	bool help = false;
	enum err e = run(&o, argc - 1, argv + 1, &help, &info);

	if (e == ERR_OK && help)
		print_help();
	if (e == ERR_OK && (fflush(stdout) != 0 || ferror(stdout)))
		e = err_set(&info, ERR_FILE, "cannot write to standard output");
	if (e != ERR_OK)
		(void)fprintf(stderr, "futaie keys: %s\n", info.text);
	return e == ERR_OK ? EXIT_DONE : e == ERR_USAGE ? EXIT_USAGE : EXIT_FAILED;
}

static void
say_waiting(const char *dir)
{
	(void)fprintf(stderr, "futaie keys: another command is changing a file in %s; waiting for it\n", dir);
}

static enum err
describe(const struct keys_options *o, const char *label, struct key *k, struct err_info *info)
{
	*k = (struct key){.created_s = time(NULL), .expires_s = INT64_MAX, .rate = (long)o->rate};
	if (!keys_is_label(label))
		return err_set(info, ERR_USAGE, "a label has 1 to %d bytes that print", KEYS_LABEL_MAX - 1);
	memcpy(k->label, label, strlen(label) + 1);
	if (!keys_scopes_read(o->scopes, &k->scopes))
		return err_set(info, ERR_USAGE,
					   "--scopes takes predict, metrics and admin, each at most once: predict,metrics for example");
	if (o->expires_days > 0)
		k->expires_s = k->created_s + o->expires_days * DAY_S;
	return ERR_OK;
}

/* Where nobody could read the key, it must not stay behind: nobody would ever know it. */
static enum err
take_back(struct keys_edit *edit, const char *id, struct err_info *info)
{
	struct err_info why;

	if (keys_edit_remove(edit, id) && keys_edit_save(edit, &why) == ERR_OK)
		return err_set(info, ERR_FILE, "cannot write the key to standard output, so it was not kept");
	return err_set(info, ERR_FILE, "cannot write the key to standard output, but it is kept: futaie keys revoke %s", id);
}

static enum err
add(const struct keys_options *o, const char *operand, struct err_info *info)
{
	char text[KEYS_TEXT_CHARS + 1];
	struct keys_edit edit;
	struct key k;
	enum err e = describe(o, operand, &k, info);

	if (e == ERR_OK)
		e = keys_edit_init(&edit, o->keys, true, say_waiting, info);
	if (e != ERR_OK)
		return e;
	e = keys_edit_add(&edit, &k, text, info);
	if (e == ERR_OK)
		e = keys_edit_save(&edit, info);
	if (e == ERR_OK) {
		(void)setvbuf(stdout, NULL, _IONBF, 0); /* no copy of the key in a buffer that nobody wipes */
		if (printf("%s\n", text) < 0)
			e = take_back(&edit, k.id, info);
		else
			(void)fprintf(stderr, "futaie keys: key %s (%s) is in %s; this is the only time that it is shown\n", k.id, k.label,
						  o->keys);
	}
	sodium_memzero(text, sizeof text);
	keys_edit_release(&edit);
	return e;
}

static void
print_line(const struct key *k, int64_t now_s)
{
	char scopes[KEYS_SCOPES_MAX];
	char created[CLOCK_RFC3339];
	char expires[CLOCK_RFC3339] = "never";
	char rate[24] = "-";

	if (k->expires_s != INT64_MAX)
		(void)clock_rfc3339_of(k->expires_s, expires);
	if (k->rate > 0)
		(void)snprintf(rate, sizeof rate, "%ld/s", k->rate);
	(void)printf("%-8s  %-21s  %-20s  %-20s  %-9s  %s%s\n", k->id, keys_scopes_print(k->scopes, scopes),
				 clock_rfc3339_of(k->created_s, created), expires, rate, k->label, k->expires_s <= now_s ? "  (expired)" : "");
}

static enum err
list_json(const struct keys *keys, struct err_info *info)
{
	struct buf out;

	buf_init(&out, KEYS_FILE_MAX);
	buf_str(&out, "{\"keys\": [");
	for (size_t i = 0; i < keys->n; i++) {
		buf_str(&out, i == 0 ? "" : ", ");
		keys_print(&out, &keys->keys[i], false);
	}
	buf_str(&out, "]}\n");
	bool made = buf_ok(&out);
	if (made)
		(void)fwrite(out.data, 1, out.len, stdout);
	buf_release(&out);
	return made ? ERR_OK : err_set(info, ERR_OUT_OF_MEMORY, "no memory to list the keys");
}

static enum err
list(const struct keys_options *o, const char *operand, struct err_info *info)
{
	struct keys keys;
	enum err e = keys_read(o->keys, &keys, info);

	(void)operand;
	if (e != ERR_OK)
		return e;
	if (o->json)
		e = list_json(&keys, info);
	else if (keys.n == 0)
		(void)printf("%s holds no keys; futaie keys add LABEL makes one\n", o->keys);
	else
		(void)printf("%-8s  %-21s  %-20s  %-20s  %-9s  %s\n", "ID", "SCOPES", "CREATED", "EXPIRES", "RATE", "LABEL");
	for (size_t i = 0; i < keys.n && !o->json; i++)
		print_line(&keys.keys[i], time(NULL));
	keys_release(&keys);
	return e;
}

static enum err
revoke(const struct keys_options *o, const char *operand, struct err_info *info)
{
	struct keys_edit edit;
	enum err e = keys_edit_init(&edit, o->keys, false, say_waiting, info);

	if (e != ERR_OK)
		return e;
	if (keys_edit_remove(&edit, operand))
		e = keys_edit_save(&edit, info);
	else /* what stands there may be a key by mistake: not to be repeated */
		e = err_set(info, ERR_FILE, "%s has no key with that id; futaie keys list shows them", o->keys);
	if (e == ERR_OK)
		(void)printf("key %s is revoked\n", operand);
	keys_edit_release(&edit);
	return e;
}
