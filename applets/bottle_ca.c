/*
 * bottle-ca (also `bottle ca`): certificate authorities on disk, for egress-proxy and pipelock on
 * their own.
 */
#include <sys/stat.h>

#include "applet.h"
#include "base/limits.h"
#include "base/mem.h"
#include "ca/ca.h"
#include "net/tls.h"
#include "sys/fd.h"
#include "sys/sandbox.h"

static const char *dir = ".", *name, *key = "ec:p256", *ca_file, *out_file;
static int days = 365, leaf_days = 90;
static bool force;

#define KEY_OPTION                                                          \
	{                                                                   \
		.name = "key", .type = OPT_STR, .out = &key, .arg = "TYPE", \
		.help = "ec:p256, ec:p384, rsa:2048 or rsa:4096 (ec:p256)"  \
	}

/* Before a key is made or read. */
static int start(struct err *err)
{
	return sandbox_secrets(err) < 0 ? -1 : tls_global_init(err);
}

/* --- init ----------------------------------------------------------------------------------- */

static const struct opt init_options[] = {
	{ .name = "dir", .type = OPT_STR, .out = &dir, .arg = "DIR", .help = "where to write (.)" },
	{ .name = "name",
	  .type = OPT_STR,
	  .out = &name,
	  .arg = "CN",
	  .help = "common name (bottle CA)" },
	KEY_OPTION,
	{ .name = "days",
	  .type = OPT_INT,
	  .out = &days,
	  .min = 1,
	  .max = CA_DAYS_MAX,
	  .arg = "N",
	  .help = "days until it expires (365)" },
	{ .name = "force", .type = OPT_FLAG, .out = &force, .help = "replace files that exist" },
	{ .name = NULL },
};

struct output {
	const char *name;
	mode_t mode;
	bool cert, key;
	char *path;
};

static int refuse_existing(const char *path, struct err *err)
{
	struct stat st;

	if (force || lstat(path, &st) < 0)
		return 0;
	return err_set(err, E_EXISTS, "%s exists already; --force replaces it", path);
}

static int write_output(const struct ca *ca, const struct output *o, struct err *err)
{
	auto_buf pem = BUF_INIT_SECRET(CA_PEM_MAX);

	if ((o->cert && ca_cert_pem(ca, &pem, err) < 0) ||
	    (o->key && ca_key_pem(ca, &pem, err) < 0))
		return -1;
	return file_write_atomic(o->path, buf_str(&pem), o->mode, err);
}

static int init_at(struct output *outputs, size_t count, struct err *err)
{
	struct ca_params params = { .common_name = name, .days = days };
	auto_ca struct ca *ca = NULL;

	if (ca_key_parse(key, &params.key, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (refuse_existing(outputs[i].path, err) < 0)
			return -1;
	if (start(err) < 0)
		return -1;
	ca = ca_new(&params, err);
	if (!ca || dir_make(dir, 0700, err) < 0)
		return -1;
	for (size_t i = 0; i < count; i++)
		if (write_output(ca, &outputs[i], err) < 0)
			return -1;
	return 0;
}

static int init_run(const struct opts_result *in, struct err *err)
{
	struct output outputs[] = {
		{ .name = "ca-key.pem", .mode = 0600, .key = true },
		{ .name = "ca-combined.pem", .mode = 0600, .cert = true, .key = true },
		{ .name = "ca.pem", .mode = 0644, .cert = true },
	};
	auto_buf text = BUF_INIT(KIB(16));
	int r;

	(void)in;
	for (size_t i = 0; i < ARRAY_LEN(outputs); i++)
		outputs[i].path = path_join(dir, outputs[i].name);
	r = init_at(outputs, ARRAY_LEN(outputs), err);
	for (size_t i = 0; r == 0 && i < ARRAY_LEN(outputs); i++)
		r = buf_addf(&text, err, "%s\n", outputs[i].path);
	for (size_t i = 0; i < ARRAY_LEN(outputs); i++)
		free(outputs[i].path);
	return r < 0 ? -1 : applet_print(buf_str(&text), err);
}

static const struct command init = {
	.spec = {
		.usage = "[options]",
		.about = "Make a CA: ca.pem to be trusted, ca-key.pem, and both in ca-combined.pem. "
			 "The two with the key are readable by their owner only. Existing files are not "
			 "replaced without --force.",
		.opts = init_options,
		.example = "bottle-ca init --dir ~/.bottle/ca --days 90\n"
			   "egress-proxy --ca ~/.bottle/ca/ca-combined.pem --routes routes.yaml",
	},
	.run = init_run,
};

/* --- show ----------------------------------------------------------------------------------- */

static int show_run(const struct opts_result *in, struct err *err)
{
	const char *path = in->operands[0];
	auto_buf text = BUF_INIT_SECRET(CA_PEM_MAX);
	auto_buf out = BUF_INIT(KIB(4));
	struct ca_info i;

	if (start(err) < 0 || file_read(path, &text, err) < 0 ||
	    ca_inspect(buf_str(&text), path, &i, err) < 0)
		return -1;
	if (buf_addf(&out, err, "subject  %s\nissuer   %s\nfrom     %s\nuntil    %s\nCA       %s\n",
		     i.subject, i.issuer, i.not_before, i.not_after, i.is_ca ? "yes" : "no") < 0 ||
	    buf_addf(&out, err, "key      %s\nSKI      %s\nSHA-256  %s\n", i.key,
		     *i.ski ? i.ski : "none", i.sha256) < 0)
		return -1;
	if (i.count > 1 && buf_addf(&out, err, "followed by %zu more\n", i.count - 1) < 0)
		return -1;
	return applet_print(buf_str(&out), err);
}

static const struct command show = {
	.spec = {
		.usage = "FILE",
		.about = "Show the first certificate in a file: subject, dates, key identifier, SHA-256.",
		.example = "bottle-ca show ca.pem",
		.operands_min = 1,
		.operands_max = 1,
	},
	.run = show_run,
};

/* --- leaf ----------------------------------------------------------------------------------- */

static const struct opt leaf_options[] = {
	{ .name = "ca",
	  .type = OPT_STR,
	  .out = &ca_file,
	  .arg = "FILE",
	  .help = "certificate and key of the CA: ca-combined.pem" },
	KEY_OPTION,
	{ .name = "days",
	  .type = OPT_INT,
	  .out = &leaf_days,
	  .min = 1,
	  .max = CA_LEAF_DAYS_MAX,
	  .arg = "N",
	  .help = "days until it expires (90), at most until the CA does" },
	{ .name = "out",
	  .type = OPT_STR,
	  .out = &out_file,
	  .arg = "FILE",
	  .help = "write here, readable by the owner only, not to standard output" },
	{ .name = "force", .type = OPT_FLAG, .out = &force, .help = "replace FILE if it exists" },
	{ .name = NULL },
};

static int make_leaf(const struct ca *ca, const struct opts_result *in, struct buf *pem,
		     struct err *err)
{
	struct str names[CA_NAMES_MAX];
	auto_leaf leaf = { .cert_der = NULL };
	enum ca_key type;

	for (int i = 0; i < in->operand_count; i++)
		names[i] = str_of(in->operands[i]);
	if (ca_key_parse(key, &type, err) < 0 ||
	    ca_leaf_new(ca, names, (size_t)in->operand_count, type, leaf_days, &leaf, err) < 0 ||
	    ca_pem("CERTIFICATE", str_mem(leaf.cert_der, leaf.cert_len), pem, err) < 0)
		return -1;
	return ca_pem("PRIVATE KEY", str_mem(leaf.key_der, leaf.key_len), pem, err);
}

static int leaf_run(const struct opts_result *in, struct err *err)
{
	auto_buf text = BUF_INIT_SECRET(CA_PEM_MAX), pem = BUF_INIT_SECRET(CA_PEM_MAX);
	auto_ca struct ca *ca = NULL;

	if (!ca_file)
		return err_set(err, E_USAGE, "--ca FILE is missing");
	if ((out_file && refuse_existing(out_file, err) < 0) || start(err) < 0 ||
	    file_read(ca_file, &text, err) < 0)
		return -1;
	ca = ca_load(buf_str(&text), ca_file, err);
	if (!ca || make_leaf(ca, in, &pem, err) < 0)
		return -1;
	if (out_file)
		return file_write_atomic(out_file, buf_str(&pem), 0600, err);
	return applet_print(buf_str(&pem), err);
}

static const struct command leaf = {
	.spec = {
		.usage = "--ca FILE HOST…",
		.about = "Make a server certificate for names and addresses, with its key. "
			 "The leftmost label of a name may be '*'.",
		.opts = leaf_options,
		.example = "bottle-ca leaf --ca ca-combined.pem --out server.pem api.example.com 10.0.0.7",
		.operands_min = 1,
		.operands_max = CA_NAMES_MAX,
	},
	.run = leaf_run,
};

/* -------------------------------------------------------------------------------------------- */

static const struct command_entry commands[] = {
	{ "init", &init },
	{ "show", &show },
	{ "leaf", &leaf },
	{ NULL, NULL },
};

const struct command applet_bottle_ca = {
	.spec = {
		.about = "Make and show certificate authorities, and certificates under them.",
	},
	.subs = commands,
};
