/* cmd_import.c - futaie models import: a model file of XGBoost becomes a new version */
#include <stdio.h>

#include "cmd_intake.h"

static enum err
add(struct intake *in, struct err_info *info)
{
	struct store_edit edit;
	enum err e = models_lock(&edit, in->options->models, true, info);

	if (e == ERR_OK)
		e = intake_add(in, &edit, info);
	if (e == ERR_OK) {
		(void)printf("%s: version %s is added, %s %zu golden rows\n", in->name, edit.version,
					 in->golden.unproven ? "with its own answers as" : "proven by", in->golden.n);
		if (in->golden.unproven && !in->options->unproven)
			(void)fprintf(
				stderr,
				"futaie models: without --golden nothing shows that version %s answers here as where it was made: its golden rows "
				"are its own answers of today\n",
				edit.version);
		if (in->options->promote)
			e = models_promote(&edit, in->name, edit.version, info);
	}
	store_edit_release(&edit);
	return e;
}

enum err
models_import(const struct models_options *o, char **operands, struct err_info *info)
{
	struct intake in;

	intake_init(&in, o);
	in.name = operands[0];
	in.file = operands[1];
	in.command = "futaie models import";
	enum err e = intake_check(&in, info);
	if (e == ERR_OK && o->promote && o->golden[0] == '\0' && !o->unproven)
		e = err_set(info, ERR_FILE,
					"to promote it at once give --golden FILE, rows with what the model answered where it was made, or "
					"--unproven to serve it "
					"without");
	if (e == ERR_OK)
		e = files_read(in.file, &in.bytes, info);
	if (e == ERR_OK)
		e = intake_judge(&in, info);
	if (e == ERR_OK)
		e = add(&in, info);
	intake_release(&in);
	return e;
}
