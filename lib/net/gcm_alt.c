/*
 * mbedTLS's GCM (<mbedtls/gcm.h> documents these functions): for each key, ours or the library's
 * own, which is there under other names (scripts/mbedtls_gcm_stock.c). Ours does AES only.
 */
#include <mbedtls/constant_time.h>
#include <mbedtls/gcm.h>
#include <string.h>

#include "base/mem.h"
#include "net/gcm.h"

enum { KIND_NONE, KIND_OURS, KIND_STOCK };

struct gcm_stock;
int gcm_stock_setkey(struct gcm_stock *g, mbedtls_cipher_id_t cipher, const unsigned char *key,
		     unsigned bits);
int gcm_stock_starts(struct gcm_stock *g, int mode, const unsigned char *iv, size_t n);
int gcm_stock_update_ad(struct gcm_stock *g, const unsigned char *ad, size_t n);
int gcm_stock_update(struct gcm_stock *g, const unsigned char *in, size_t n, unsigned char *out,
		     size_t size, size_t *ret_n);
int gcm_stock_finish(struct gcm_stock *g, unsigned char *out, size_t size, size_t *ret_n,
		     unsigned char *tag, size_t tag_len);
void gcm_stock_init(struct gcm_stock *g);
void gcm_stock_free(struct gcm_stock *g);

_Static_assert(sizeof(struct gcm) <= sizeof(((mbedtls_gcm_context *)0)->state),
	       "scripts/mbedtls_gcm_alt.h leaves room for it");

static bool accelerated;

bool gcm_accelerate(bool on)
{
	accelerated = on && gcm_cpu_can();
	return accelerated;
}

bool gcm_is_accelerated(void)
{
	return accelerated;
}

static struct gcm *ours(mbedtls_gcm_context *ctx)
{
	return (struct gcm *)ctx->state;
}

static struct gcm_stock *stock(mbedtls_gcm_context *ctx)
{
	return (struct gcm_stock *)ctx->state;
}

void mbedtls_gcm_init(mbedtls_gcm_context *ctx)
{
	memset(ctx, 0, sizeof(*ctx));
}

void mbedtls_gcm_free(mbedtls_gcm_context *ctx)
{
	if (!ctx)
		return;
	if (ctx->kind == KIND_STOCK)
		gcm_stock_free(stock(ctx));
	mem_wipe(ctx, sizeof(*ctx));
}

int mbedtls_gcm_setkey(mbedtls_gcm_context *ctx, mbedtls_cipher_id_t cipher,
		       const unsigned char *key, unsigned bits)
{
	if (bits != 128 && bits != 192 && bits != 256)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	mbedtls_gcm_free(ctx);
	if (accelerated && cipher == MBEDTLS_CIPHER_ID_AES) {
		gcm_set_key(ours(ctx), key, bits);
		ctx->kind = KIND_OURS;
		return 0;
	}
	gcm_stock_init(stock(ctx));
	ctx->kind = KIND_STOCK;
	return gcm_stock_setkey(stock(ctx), cipher, key, bits);
}

int mbedtls_gcm_starts(mbedtls_gcm_context *ctx, int mode, const unsigned char *iv, size_t n)
{
	if (ctx->kind == KIND_STOCK)
		return gcm_stock_starts(stock(ctx), mode, iv, n);
	if (ctx->kind == KIND_NONE || n == 0 || (uint64_t)n > GCM_IV_MAX)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_start(ours(ctx), mode == MBEDTLS_GCM_ENCRYPT, iv, n);
	return 0;
}

int mbedtls_gcm_update_ad(mbedtls_gcm_context *ctx, const unsigned char *ad, size_t n)
{
	struct gcm *g = ours(ctx);

	if (ctx->kind == KIND_STOCK)
		return gcm_stock_update_ad(stock(ctx), ad, n);
	if (ctx->kind == KIND_NONE || g->text_len > 0 || n > GCM_AD_MAX - g->ad_len)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_ad(g, ad, n);
	return 0;
}

int mbedtls_gcm_update(mbedtls_gcm_context *ctx, const unsigned char *in, size_t n,
		       unsigned char *out, size_t size, size_t *ret_n)
{
	struct gcm *g = ours(ctx);

	if (ctx->kind == KIND_STOCK)
		return gcm_stock_update(stock(ctx), in, n, out, size, ret_n);
	if (size < n)
		return MBEDTLS_ERR_GCM_BUFFER_TOO_SMALL;
	*ret_n = n;
	if (n == 0)
		return 0;
	if (ctx->kind == KIND_NONE || n > GCM_TEXT_MAX - g->text_len ||
	    (out > in && (size_t)(out - in) < n))
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_crypt(g, in, out, n);
	return 0;
}

int mbedtls_gcm_finish(mbedtls_gcm_context *ctx, unsigned char *out, size_t size, size_t *ret_n,
		       unsigned char *tag, size_t tag_len)
{
	unsigned char full[GCM_BLOCK];

	if (ctx->kind == KIND_STOCK)
		return gcm_stock_finish(stock(ctx), out, size, ret_n, tag, tag_len);
	*ret_n = 0; /* update never holds anything back */
	if (ctx->kind == KIND_NONE || tag_len < GCM_TAG_MIN || tag_len > GCM_BLOCK)
		return MBEDTLS_ERR_GCM_BAD_INPUT;
	gcm_tag(ours(ctx), full);
	memcpy(tag, full, tag_len);
	mem_wipe(full, sizeof(full));
	return 0;
}

int mbedtls_gcm_crypt_and_tag(mbedtls_gcm_context *ctx, int mode, size_t n, const unsigned char *iv,
			      size_t iv_len, const unsigned char *ad, size_t ad_len,
			      const unsigned char *in, unsigned char *out, size_t tag_len,
			      unsigned char *tag)
{
	size_t done;
	int ret = mbedtls_gcm_starts(ctx, mode, iv, iv_len);

	if (ret == 0)
		ret = mbedtls_gcm_update_ad(ctx, ad, ad_len);
	if (ret == 0)
		ret = mbedtls_gcm_update(ctx, in, n, out, n, &done);
	if (ret == 0)
		ret = mbedtls_gcm_finish(ctx, NULL, 0, &done, tag, tag_len);
	return ret;
}

int mbedtls_gcm_auth_decrypt(mbedtls_gcm_context *ctx, size_t n, const unsigned char *iv,
			     size_t iv_len, const unsigned char *ad, size_t ad_len,
			     const unsigned char *tag, size_t tag_len, const unsigned char *in,
			     unsigned char *out)
{
	unsigned char own[GCM_BLOCK];
	int ret = mbedtls_gcm_crypt_and_tag(ctx, MBEDTLS_GCM_DECRYPT, n, iv, iv_len, ad, ad_len, in,
					    out, tag_len, own);

	if (ret == 0 && mbedtls_ct_memcmp(tag, own, tag_len) != 0) {
		mem_wipe(out, n);
		ret = MBEDTLS_ERR_GCM_AUTH_FAILED;
	}
	return ret;
}
