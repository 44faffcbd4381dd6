/*
 * The bottle's CA in the trust stores of an image.
 *
 * Programs find it in one of three places: the file that the environment names (plan_env.c), the
 * system's bundle, the system's directory of hashed names. The distributions' own tools rebuild the
 * last two from all certificates in about a second; adding ours to what is there takes none.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "backend/inside_parts.h"
#include "base/limits.h"
#include "base/mem.h"
#include "manifest/plan.h"
#include "sys/fd.h"
#include "sys/proc.h"

#define TOOL_TIMEOUT_MS (60 * 1000)

/* System bundles, by distribution; the first that is there is what PLAN_CA_BUNDLE begins with. */
static const char *const bundles[] = {
	"/etc/ssl/certs/ca-certificates.crt",                /* Debian, Alpine, Arch */
	"/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora and kin */
	"/etc/pki/tls/certs/ca-bundle.crt",
	"/etc/ssl/ca-bundle.pem", /* SUSE */
	"/etc/ssl/cert.pem",
};

/* Where the distributions' tools look for additions: a later run of theirs keeps ours. */
static const char *const anchors[] = {
	"/usr/local/share/ca-certificates",
	"/etc/pki/ca-trust/source/anchors",
	"/etc/ca-certificates/trust-source/anchors",
	"/etc/pki/trust/anchors",
};

static bool is_dir(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

/* To each bundle once, though several names may lead to one file. */
static int add_to_bundles(struct str pem, struct buf *ret_bundle, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(bundles); i++) {
		auto_buf text = BUF_INIT(SYSTEM_FILE_MAX);
		auto_close int fd = -1;

		if (access(bundles[i], R_OK) < 0)
			continue;
		if (file_read(bundles[i], &text, err) < 0)
			return -1;
		if (str_find(buf_str(&text), pem, 0) >= 0)
			continue;
		if (ret_bundle->len == 0 && (buf_add(ret_bundle, buf_str(&text), err) < 0 ||
					     buf_addc(ret_bundle, '\n', err) < 0))
			return -1;
		fd = open(bundles[i], O_WRONLY | O_APPEND | O_CLOEXEC);
		if (fd < 0)
			return file_err(err, bundles[i]);
		if (fd_write_all(fd, STR("\n"), err) < 0 || fd_write_all(fd, pem, err) < 0)
			return err_wrap(err, "%s", bundles[i]);
	}
	return buf_add(ret_bundle, pem, err);
}

static int add_to_anchors(struct str pem, struct err *err)
{
	for (size_t i = 0; i < ARRAY_LEN(anchors); i++) {
		auto_free char *path = path_join(anchors[i], "bottle.crt");

		if (is_dir(anchors[i]) && file_write_atomic(path, pem, 0644, err) < 0)
			return -1;
	}
	return 0;
}

/* False when the program is not in the image. Its failure is the caller's to judge. */
static bool run_tool(const char *const *argv, struct buf *out, int *ret_status)
{
	const struct proc_spec spec = {
		.argv = argv, .in = PROC_NULL, .out = PROC_PIPE, .err = PROC_PIPE
	};

	return proc_run(&spec, STR_NONE, out, NULL, TOOL_TIMEOUT_MS, ret_status, NULL) == 0;
}

/* OpenSSL looks a name up as HASH.0; images without its program have nobody who does. */
static int add_hashed(struct err *err)
{
	static const char *const argv[] = { "openssl", "x509",       "-noout", "-subject_hash",
					    "-in",     PLAN_CA_CERT, NULL };
	auto_buf out = BUF_INIT(256);
	auto_free char *link = NULL;
	struct str hash;
	int status;

	if (!is_dir("/etc/ssl/certs") || !run_tool(argv, &out, &status) || status != 0)
		return 0;
	hash = str_sub(buf_str(&out), 0, 8);
	link = mem_printf("/etc/ssl/certs/%.*s.0", STR_ARG(hash));
	/* A collision would need another CA of this name; then the link that is there stays. */
	if (access(link, F_OK) == 0)
		return 0;
	return symlink(PLAN_CA_CERT, link) < 0 ? err_sys(err, "%s", link) : 0;
}

/* Java keeps a store of its own, with a password that everybody knows. */
static int add_to_java(struct err *err)
{
	static const char *const argv[] = { "keytool", "-importcert", "-noprompt",  "-cacerts",
					    "-alias",  "bottle",      "-storepass", "changeit",
					    "-file",   PLAN_CA_CERT,  NULL };
	auto_buf out = BUF_INIT(KIB(64));
	int status;

	if (!run_tool(argv, &out, &status) || status == 0)
		return 0;
	return err_set(err, E_CHILD, "keytool: cannot add the bottle's CA to Java's truststore");
}

/* Chromium reads the user's NSS database. */
static int add_to_nss(const struct inside_user *u, struct err *err)
{
	auto_free char *base = path_join(u->home, ".pki");
	auto_free char *dir = path_join(base, "nssdb");
	auto_free char *db = mem_printf("sql:%s", dir);
	const char *const make[] = { "certutil", "-N", "-d", db, "--empty-password", NULL };
	const char *const add[] = { "certutil", "-A",     "-d", db,           "-t", "C,,",
				    "-n",       "bottle", "-i", PLAN_CA_CERT, NULL };
	auto_free char *cert9 = path_join(dir, "cert9.db");
	auto_buf out = BUF_INIT(KIB(64));
	int status;

	if (inside_user_dir(u, dir, err) < 0)
		return -1;
	if (access(cert9, F_OK) < 0 && !run_tool(make, &out, &status)) {
		(void)rmdir(dir);
		(void)rmdir(base);
		return 0; /* no certutil, hence nobody put Chromium here with a store */
	}
	if (!run_tool(add, &out, &status) || status != 0)
		return err_set(err, E_CHILD, "certutil: cannot add the bottle's CA to %s", dir);
	return inside_user_own(u, base, err);
}

int inside_trust(const struct inside_user *u, struct str pem, struct err *err)
{
	auto_buf bundle = BUF_INIT(SYSTEM_FILE_MAX);

	if (add_to_bundles(pem, &bundle, err) < 0 ||
	    file_write_atomic(PLAN_CA_BUNDLE, buf_str(&bundle), 0444, err) < 0)
		return -1;
	if (add_to_anchors(pem, err) < 0 || add_hashed(err) < 0 || add_to_java(err) < 0)
		return -1;
	return add_to_nss(u, err);
}
