#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/mem.h"
#include "pki.h"

static char dir[64];

/*
 * issue NAME ISSUER FROM TO EXTENSIONS [DIGEST]: a certificate for the key of NAME (made when
 * missing), signed by ISSUER ("self": by itself); times are YYMMDDHHMMSSZ.
 */
static const char script[] =
	"set -eu\n"
	"cat >ca.cnf <<END\n"
	"[ca]\ndefault_ca=d\n"
	"[d]\ndatabase=index\nserial=serial\nnew_certs_dir=.\ndefault_md=sha256\npolicy=p\n"
	"unique_subject=no\n"
	"[p]\ncommonName=supplied\n"
	"END\n"
	": >index; echo 1000 >serial\n"
	"key() { [ -e $1.key.pem ] || case $2 in\n"
	"ec) openssl ecparam -name prime256v1 -genkey -noout -out $1.key.pem;;\n"
	"p384) openssl ecparam -name secp384r1 -genkey -noout -out $1.key.pem;;\n"
	"*) openssl genrsa -out $1.key.pem $2;; esac\n"
	"openssl pkcs8 -topk8 -nocrypt -in $1.key.pem -outform der -out $1.key.der; }\n"
	"issue() {\n"
	"key $1 ${KEY:-ec}\n"
	"printf '%b' \"$5\" >ext\n"
	"openssl req -new -key $1.key.pem -subj \"/CN=${CN:-$1}\" -out csr\n"
	"if [ $2 = self ]; then by=\"-selfsign -keyfile $1.key.pem\"\n"
	"else by=\"-cert $2.crt.pem -keyfile $2.key.pem\"; fi\n"
	"openssl ca -batch -notext -config ca.cnf -in csr -out $1.crt.pem $by"
	" -startdate $3 -enddate $4 -extfile ext -md ${6:-sha256}\n"
	"openssl x509 -in $1.crt.pem -outform der -out $1.crt.der; }\n"
	"A=200101000000Z Z=400101000000Z\n"
	"CA='basicConstraints=critical,CA:TRUE\\nkeyUsage=critical,keyCertSign,cRLSign\\n'\n"
	"L='basicConstraints=critical,CA:FALSE\\nextendedKeyUsage=serverAuth\\nsubjectAltName='\n"
	"issue root self $A $Z \"$CA\"\n"
	"issue root2 self $A $Z \"$CA\"\n"
	"KEY=2048 issue rsaroot self $A $Z \"$CA\" sha1\n"
	"issue inter root $A $Z \"$CA\"\n"
	"issue good root $A $Z \"${L}DNS:good.test,DNS:*.wild.test,DNS:*.test\"\n"
	"KEY=p384 issue p384 root $A $Z \"${L}DNS:good.test\" sha384\n"
	"KEY=2048 issue rsa rsaroot $A $Z \"${L}DNS:good.test\"\n"
	"KEY=1024 issue weak rsaroot $A $Z \"${L}DNS:good.test\"\n"
	"issue sha1 rsaroot $A $Z \"${L}DNS:good.test\" sha1\n"
	"issue expired root $A 210203000000Z \"${L}DNS:good.test\"\n"
	"issue future root 380304000000Z $Z \"${L}DNS:good.test\"\n"
	"issue other root $A $Z \"${L}DNS:a.other,DNS:b.other,DNS:c.other,DNS:d.other,DNS:e.other\"\n"
	"CN=good.test issue cnonly root $A $Z 'basicConstraints=critical,CA:FALSE\\n'\n"
	"issue ip root $A $Z \"${L}IP:127.0.0.1,IP:::1\"\n"
	"issue dnsip root $A $Z \"${L}DNS:127.0.0.1\"\n"
	"issue client root $A $Z 'basicConstraints=critical,CA:FALSE\\nextendedKeyUsage=clientAuth\\n"
	"subjectAltName=DNS:good.test'\n"
	"issue selfsigned self $A $Z \"${L}DNS:good.test\"\n"
	"issue deep inter $A $Z \"${L}DNS:good.test\"\n"
	"SOON=$(date -u -d '+1 hour' +%y%m%d%H%M%SZ)\n"
	"issue soon root $A $SOON \"${L}DNS:good.test\"\n"
	"issue sooninter root $A $SOON \"$CA\"\n"
	"issue undersoon sooninter $A $Z \"${L}DNS:good.test\"\n"
	"issue notca good $A $Z \"${L}DNS:good.test\"\n"
	"issue oldinter root $A 210203000000Z \"$CA\"\n"
	"issue underold oldinter $A $Z \"${L}DNS:good.test\"\n"
	"issue clientca root $A $Z \"${CA}extendedKeyUsage=clientAuth\"\n"
	"issue underclient clientca $A $Z \"${L}DNS:good.test\"\n"
	"NC='permitted;DNS:ok.test,excluded;DNS:bad.ok.test,permitted;IP:10.0.0.0/255.0.0.0,"
	"excluded;IP:10.9.0.0/255.255.0.0'\n"
	"issue nc root $A $Z \"${CA}nameConstraints=$NC\"\n"
	"issue ncempty root $A $Z \"${CA}nameConstraints=DER:30:06:a1:04:30:02:82:00\"\n"
	"issue ncbroken root $A $Z \"${CA}nameConstraints=DER:30:03:a0:01:00\"\n"
	"issue nccritical root $A $Z \"${CA}nameConstraints=critical,$NC\"\n"
	"issue ncroot self $A $Z \"${CA}nameConstraints=critical,$NC\"\n"
	"issue ncmail root $A $Z \"${CA}nameConstraints=permitted;email:x.test\"\n"
	"issue nc-ok nc $A $Z \"${L}DNS:ok.test,DNS:a.ok.test,IP:10.1.2.3\"\n"
	"issue nc-bad nc $A $Z \"${L}DNS:ok.test,DNS:x.bad.ok.test\"\n"
	"issue nc-outside nc $A $Z \"${L}DNS:ok.test,DNS:outside.test\"\n"
	"issue nc-lookalike nc $A $Z \"${L}DNS:notok.test\"\n"
	"issue nc-ip nc $A $Z \"${L}IP:11.1.2.3\"\n"
	"issue nc-badip nc $A $Z \"${L}IP:10.9.2.3\"\n"
	"issue nc-wild nc $A $Z \"${L}DNS:*.ok.test\"\n"
	"issue ncempty-leaf ncempty $A $Z \"${L}DNS:good.test\"\n"
	"issue ncbroken-leaf ncbroken $A $Z \"${L}DNS:good.test\"\n"
	"issue nccritical-leaf nccritical $A $Z \"${L}DNS:ok.test\"\n"
	"issue ncroot-ok ncroot $A $Z \"${L}DNS:ok.test\"\n"
	"issue ncroot-outside ncroot $A $Z \"${L}DNS:outside.test\"\n"
	"issue ncmail-leaf ncmail $A $Z \"${L}DNS:good.test,email:a@y.test\"\n";

const char *pki_path(const char *name)
{
	static char ring[4][128];
	static unsigned at;
	char *p = ring[at++ % ARRAY_LEN(ring)];

	(void)snprintf(p, sizeof(ring[0]), "%s/%s", dir, name);
	return p;
}

char *pki_read(const char *name, size_t *ret_len)
{
	int fd = open(pki_path(name), O_RDONLY | O_CLOEXEC);
	struct stat st;
	char *p;

	if (fd < 0 || fstat(fd, &st) < 0)
		fail_msg("%s: %s", name, strerror(errno));
	p = mem_zalloc((size_t)st.st_size + 1);
	assert_int_equal(read(fd, p, (size_t)st.st_size), st.st_size);
	(void)close(fd);
	*ret_len = (size_t)st.st_size;
	return p;
}

struct tls_identity *pki_identity(const char *name, const char *chain)
{
	char file[64];
	struct err err = ERR_INIT;
	struct tls_identity *id;
	struct str cert, key, issuers = STR_NONE;

	(void)snprintf(file, sizeof(file), "%s.crt.der", name);
	cert.p = pki_read(file, &cert.n);
	(void)snprintf(file, sizeof(file), "%s.key.der", name);
	key.p = pki_read(file, &key.n);
	if (chain) {
		(void)snprintf(file, sizeof(file), "%s.crt.der", chain);
		issuers.p = pki_read(file, &issuers.n);
	}
	id = tls_identity_new(cert, issuers, key, &err);
	if (!id)
		fail_msg("%s: %s", name, err.text);
	mem_free_p(&cert.p);
	mem_free_p(&key.p);
	mem_free_p(&issuers.p);
	return id;
}

struct tls_client_config *pki_trust(const char *root)
{
	char file[64];
	struct err err = ERR_INIT;
	struct tls_client_config *c = tls_client_config_new(&err);
	size_t n, count = 0;
	char *pem;

	(void)snprintf(file, sizeof(file), "%s.crt.pem", root);
	pem = pki_read(file, &n);
	if (!c || tls_client_config_add_ca(c, str_mem(pem, n), root, &count, &err))
		fail_msg("%s", err.text);
	assert_int_equal(count, 1);
	free(pem);
	return c;
}

int pki_spawn(const char *const *argv, int *ret_out)
{
	int fds[2];
	pid_t pid;

	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
		int null = open("/dev/null", O_RDONLY);

		if (dup2(null, 0) < 0 || dup2(fds[1], 1) < 0 || dup2(fds[1], 2) < 0 ||
		    chdir(dir) < 0)
			_exit(126);
		(void)execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	(void)close(fds[1]);
	*ret_out = fds[0];
	return pid;
}

static int run(const char *const *argv, bool show)
{
	char line[4096];
	int out, status = -1;
	pid_t pid = pki_spawn(argv, &out);
	ssize_t n;

	while ((n = read(out, line, sizeof(line))) > 0) {
		if (show)
			(void)fwrite(line, 1, (size_t)n, stderr);
	}
	(void)close(out);
	(void)waitpid(pid, &status, 0);
	return status;
}

int pki_make(void **state)
{
	const char *const argv[] = { "sh", "-c", script, NULL };
	int rc;

	(void)state;
	(void)snprintf(dir, sizeof(dir), "/tmp/test_tls.XXXXXX");
	if (!mkdtemp(dir))
		return -1;
	rc = run(argv, false);
	if (rc != 0) {
		const char *const again[] = { "sh", "-xc", script, NULL };

		(void)run(again, true);
	}
	return rc;
}

int pki_remove(void **state)
{
	const char *const argv[] = { "rm", "-r", dir, NULL };

	(void)state;
	return run(argv, true);
}
