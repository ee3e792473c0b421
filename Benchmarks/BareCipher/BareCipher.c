#include "BareCipher.h"

#include <CIPsecMB.h>

#if defined(__linux__) && defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
#if IMB_VERSION_NUM >> 8 == 0x103
#define CYGNET_HAS_MB
#endif
#endif

#ifdef CYGNET_HAS_MB

#include <stdlib.h>
#include <string.h>

// As many at a time, their nonces written before the first: octets just written are slow to read in other units.
enum { CHUNK = 32 };

struct cygnet_bare {
    cygnet_bare_algorithm algorithm;
    cygnet_mb_gcm_calls gcm;
    struct gcm_key_data *gcm_key;
    uint8_t key[32];
    uint64_t sequence;
    _Alignas(64) uint8_t context[CYGNET_MB_GCM_CONTEXT];
    struct {
        uint8_t nonce[16];
        uint8_t associated[16];
    } records[CHUNK];
};

cygnet_bare *cygnet_bare_make(cygnet_bare_algorithm algorithm) {
    if (!cygnet_mb_manager()) return NULL;
    cygnet_bare *bare = aligned_alloc(64, (sizeof *bare + 63) / 64 * 64);
    if (!bare) return NULL;
    memset(bare, 0, sizeof *bare);
    bare->algorithm = algorithm;
    for (size_t i = 0; i < sizeof bare->key; i++) bare->key[i] = (uint8_t)(i * 37);
    size_t length = algorithm == CYGNET_BARE_AES_128_GCM ? 16 : 32;
    bare->gcm_key = cygnet_mb_gcm_key_make(bare->key, length);
    if (bare->gcm_key && cygnet_mb_gcm(length, &bare->gcm)) return bare;
    cygnet_bare_free(bare);
    return NULL;
}

void cygnet_bare_free(cygnet_bare *bare) {
    cygnet_mb_gcm_key_free(bare->gcm_key);
    free(bare);
}

static void call(cygnet_bare *bare, bool encrypts, uint8_t *texts, size_t stride, uint32_t count, uint64_t length) {
    struct gcm_context_data *context = (struct gcm_context_data *)bare->context;
    for (uint32_t i = 0; i < count; i++) {
        uint8_t *text = texts + i * stride;
        (encrypts ? bare->gcm.seal : bare->gcm.open)(bare->gcm_key, context, text, text, length, bare->records[i].nonce,
                                                     bare->records[i].associated, 12, text + length, 16);
    }
}

static void submit(cygnet_bare *bare, bool encrypts, uint8_t *texts, size_t stride, uint32_t count, uint64_t length) {
    IMB_MGR *mb = cygnet_mb_manager();
    IMB_JOB *jobs[CHUNK];
    count = mb->get_next_burst(mb, count, jobs);
    for (uint32_t i = 0; i < count; i++) {
        IMB_JOB *job = jobs[i];
        uint8_t *text = texts + i * stride;
        job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        job->cipher_direction = encrypts ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
        job->chain_order = encrypts ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
        job->enc_keys = job->dec_keys = bare->key;
        job->key_len_in_bytes = 32;
        job->src = job->dst = text;
        job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 0;
        job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = length;
        job->iv = bare->records[i].nonce;
        job->iv_len_in_bytes = 12;
        job->u.CHACHA20_POLY1305.aad = bare->records[i].associated;
        job->u.CHACHA20_POLY1305.aad_len_in_bytes = 12;
        job->auth_tag_output = text + length;
        job->auth_tag_output_len_in_bytes = 16;
    }
    uint32_t done = mb->submit_burst_nocheck(mb, count, jobs);
    while (done < count) {
        uint32_t more = mb->flush_burst(mb, count - done, jobs);
        if (more == 0) break;
        done += more;
    }
}

void cygnet_bare_run(cygnet_bare *bare, bool encrypts, uint8_t *texts, size_t stride, uint32_t count, uint64_t length) {
    while (count > 0) {
        uint32_t part = count < CHUNK ? count : CHUNK;
        for (uint32_t i = 0; i < part; i++) {
            uint64_t number = __builtin_bswap64(++bare->sequence);
            memcpy(bare->records[i].nonce + 4, &number, sizeof number);
            memcpy(bare->records[i].associated + 4, &number, sizeof number);
        }
        (bare->algorithm == CYGNET_BARE_CHACHA20_POLY1305 ? submit : call)(bare, encrypts, texts, stride, part, length);
        texts += part * stride;
        count -= part;
    }
}

#else

cygnet_bare *cygnet_bare_make(cygnet_bare_algorithm algorithm) {
    (void)algorithm;
    return NULL;
}

void cygnet_bare_free(cygnet_bare *bare) { (void)bare; }

void cygnet_bare_run(cygnet_bare *bare, bool encrypts, uint8_t *texts, size_t stride, uint32_t count, uint64_t length) {
    (void)bare, (void)encrypts, (void)texts, (void)stride, (void)count, (void)length;
}

#endif
