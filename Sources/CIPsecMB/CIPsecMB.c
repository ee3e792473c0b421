#define _GNU_SOURCE
#include "CIPsecMB.h"

#if defined(__linux__) && defined(__x86_64__) && __has_include(<intel-ipsec-mb.h>)

#define NO_COMPAT_IMB_API_053
#include <intel-ipsec-mb.h>
// Later versions want jobs to belong to sessions.
#if IMB_VERSION_NUM >> 8 == 0x103
#define CYGNET_HAS_MB
#endif
#endif

#ifdef CYGNET_HAS_MB

#include <dlfcn.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

_Static_assert(sizeof(struct gcm_context_data) <= CYGNET_MB_GCM_CONTEXT, "too little working memory for GCM");

enum { ALIGNMENT = 64 };

static struct {
    size_t (*size)(void);
    IMB_MGR *(*place)(void *, uint64_t, unsigned);
    void (*begin)(IMB_MGR *, IMB_ARCH *);
    // Without jobs of its own: for the functions in it, which need no manager.
    const IMB_MGR *functions;
} library;

static pthread_once_t once = PTHREAD_ONCE_INIT;
static pthread_key_t thread_key;

static void *make(size_t size) {
    void *memory = aligned_alloc(ALIGNMENT, (size + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT);
    if (memory) memset(memory, 0, size);
    return memory;
}

static void discard(void *memory, size_t size) {
    if (memory) explicit_bzero(memory, size);
    free(memory);
}

static IMB_MGR *make_manager(void) {
    void *memory = make(library.size());
    IMB_MGR *manager = memory ? library.place(memory, 0, 1) : NULL;
    IMB_ARCH architecture = IMB_ARCH_NONE;
    if (manager) library.begin(manager, &architecture);
    // Below this one AES is emulated. An error is also a test of the library that it failed.
    if (manager && architecture >= IMB_ARCH_SSE && manager->imb_errno == 0) return manager;
    free(memory);
    return NULL;
}

// What a thread has.
typedef struct {
    cygnet_mb_thread shown;
    IMB_MGR *manager;
    cygnet_mb_job jobs[CYGNET_MB_JOBS];
    _Alignas(ALIGNMENT) uint8_t scratch[CYGNET_MB_JOBS * CYGNET_MB_JOB_SCRATCH];
} thread_state;

static _Thread_local thread_state *current;

static void end_thread(void *ended) {
    current = NULL;
    thread_state *state = ended;
    discard(state->manager, library.size());
    discard(state, sizeof *state);
}

static void load(void) {
    void *handle = dlopen("libIPSec_MB.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!handle) return;
    unsigned (*version)(void) = (unsigned (*)(void))dlsym(handle, "imb_get_version");
    library.size = (size_t (*)(void))dlsym(handle, "imb_get_mb_mgr_size");
    library.place = (IMB_MGR * (*)(void *, uint64_t, unsigned)) dlsym(handle, "imb_set_pointers_mb_mgr");
    library.begin = (void (*)(IMB_MGR *, IMB_ARCH *))dlsym(handle, "init_mb_mgr_auto");
    // Functions are found by their places in a structure that only versions alike in the first two numbers share.
    if (version && version() >> 8 == IMB_VERSION_NUM >> 8 && library.size && library.place && library.begin &&
        pthread_key_create(&thread_key, end_thread) == 0)
        library.functions = make_manager();
    if (!library.functions) dlclose(handle);
}

static const IMB_MGR *functions(void) {
    return pthread_once(&once, load) == 0 ? library.functions : NULL;
}

bool cygnet_mb_is_available(void) { return functions() != NULL; }

bool cygnet_mb_gcm(size_t key_length, cygnet_mb_gcm_calls *calls) {
    const IMB_MGR *mb = functions();
    if (!mb) return false;
    switch (key_length) {
#define CALLS(bits) \
    case bits / 8: \
        *calls = (cygnet_mb_gcm_calls){mb->gcm##bits##_enc, mb->gcm##bits##_dec, mb->gmac##bits##_init, \
                                       mb->gmac##bits##_update, mb->gmac##bits##_finalize}; \
        return true;
        CALLS(128)
        CALLS(192)
        CALLS(256)
#undef CALLS
    default: return false;
    }
}

struct gcm_key_data *cygnet_mb_gcm_key_make(const uint8_t *key, size_t key_length) {
    const IMB_MGR *mb = functions();
    struct gcm_key_data *prepared = mb ? make(sizeof *prepared) : NULL;
    if (!prepared) return NULL;
    switch (key_length) {
    case 16: mb->gcm128_pre(key, prepared); return prepared;
    case 24: mb->gcm192_pre(key, prepared); return prepared;
    case 32: mb->gcm256_pre(key, prepared); return prepared;
    default: free(prepared); return NULL;
    }
}

void cygnet_mb_gcm_key_free(struct gcm_key_data *key) { discard(key, sizeof *key); }

typedef struct {
    _Alignas(16) uint8_t octets[16 * 15];
} aes_schedule;

struct cygnet_mb_keys {
    // All jobs begin as this one.
    IMB_JOB job;
    // The key schedule for the direction, or the key of ChaCha20.
    aes_schedule cipher;
    union {
        struct {
            _Alignas(16) uint8_t inner[IMB_SHA512_DIGEST_SIZE_IN_BYTES];
            _Alignas(16) uint8_t outer[IMB_SHA512_DIGEST_SIZE_IN_BYTES];
        } hmac;
        struct {
            aes_schedule schedule;
            _Alignas(16) uint8_t full[16];
            _Alignas(16) uint8_t padded[16];
        } aes;
    } code;
};

// Prepares the cipher's key. Returns whether there is such a cipher.
static bool prepare_cipher(const IMB_MGR *mb, cygnet_mb_keys *keys, cygnet_mb_kind kind, const uint8_t *key,
                           size_t key_length) {
    IMB_JOB *job = &keys->job;
    job->enc_keys = job->dec_keys = keys->cipher.octets;
    job->key_len_in_bytes = key_length;
    job->cipher_direction = kind.encrypts ? IMB_DIR_ENCRYPT : IMB_DIR_DECRYPT;
    // The code covers the ciphertext.
    job->chain_order = kind.encrypts ? IMB_ORDER_CIPHER_HASH : IMB_ORDER_HASH_CIPHER;
    switch (kind.cipher) {
    case CYGNET_MB_NONE: job->cipher_mode = IMB_CIPHER_NULL; return true;
    case CYGNET_MB_CHACHA20_POLY1305:
        if (key_length != 32) return false;
        job->cipher_mode = IMB_CIPHER_CHACHA20_POLY1305;
        job->hash_alg = IMB_AUTH_CHACHA20_POLY1305;
        memcpy(keys->cipher.octets, key, key_length);
        return true;
    case CYGNET_MB_CBC: job->cipher_mode = IMB_CIPHER_CBC; break;
    case CYGNET_MB_COUNTER: job->cipher_mode = IMB_CIPHER_CNTR; break;
    case CYGNET_MB_CCM:
        // With a key of 24 octets it is not there.
        if (key_length == 24) return false;
        job->cipher_mode = IMB_CIPHER_CCM;
        job->hash_alg = IMB_AUTH_AES_CCM;
        job->chain_order = kind.encrypts ? IMB_ORDER_HASH_CIPHER : IMB_ORDER_CIPHER_HASH;
        break;
    }
    aes_schedule other;
    // Counter mode and CCM, which is made of it, only encrypt with the cipher.
    bool forward = kind.encrypts || kind.cipher != CYGNET_MB_CBC;
    void *encryption = forward ? &keys->cipher : &other, *decryption = forward ? &other : &keys->cipher;
    switch (key_length) {
    case 16: mb->keyexp_128(key, encryption, decryption); break;
    case 24: mb->keyexp_192(key, encryption, decryption); break;
    case 32: mb->keyexp_256(key, encryption, decryption); break;
    default: return false;
    }
    explicit_bzero(&other, sizeof other);
    return true;
}

// HMAC begins and ends with a block of key, XORed with a constant, whose hash can be kept (RFC 2104, section 4).
static bool prepare_hmac(cygnet_mb_keys *keys, IMB_HASH_ALG hash, hash_one_block_t hash_block, size_t block,
                         const uint8_t *key, size_t length) {
    _Alignas(16) uint8_t padded[IMB_SHA_512_BLOCK_SIZE];
    if (length > block) return false;
    for (size_t i = 0; i < block; i++) padded[i] = (i < length ? key[i] : 0) ^ 0x36;
    hash_block(padded, keys->code.hmac.inner);
    for (size_t i = 0; i < block; i++) padded[i] ^= 0x36 ^ 0x5c;
    hash_block(padded, keys->code.hmac.outer);
    explicit_bzero(padded, sizeof padded);
    keys->job.hash_alg = hash;
    keys->job.u.HMAC._hashed_auth_key_xor_ipad = keys->code.hmac.inner;
    keys->job.u.HMAC._hashed_auth_key_xor_opad = keys->code.hmac.outer;
    return true;
}

// Prepares the key of a separate code. Returns whether there is such a code.
static bool prepare_code(const IMB_MGR *mb, cygnet_mb_keys *keys, cygnet_mb_code code, const uint8_t *key, size_t length) {
    IMB_JOB *job = &keys->job;
    uint8_t *schedule = keys->code.aes.schedule.octets;
    switch (code) {
    case CYGNET_MB_COMBINED: return true;
    case CYGNET_MB_HMAC_SHA1:
        return prepare_hmac(keys, IMB_AUTH_HMAC_SHA_1, mb->sha1_one_block, IMB_SHA1_BLOCK_SIZE, key, length);
    case CYGNET_MB_HMAC_SHA256:
        return prepare_hmac(keys, IMB_AUTH_HMAC_SHA_256, mb->sha256_one_block, IMB_SHA_256_BLOCK_SIZE, key, length);
    case CYGNET_MB_HMAC_SHA384:
        return prepare_hmac(keys, IMB_AUTH_HMAC_SHA_384, mb->sha384_one_block, IMB_SHA_384_BLOCK_SIZE, key, length);
    case CYGNET_MB_HMAC_SHA512:
        return prepare_hmac(keys, IMB_AUTH_HMAC_SHA_512, mb->sha512_one_block, IMB_SHA_512_BLOCK_SIZE, key, length);
    case CYGNET_MB_XCBC:
        if (length != 16) return false;
        mb->xcbc_keyexp(key, schedule, keys->code.aes.full, keys->code.aes.padded);
        job->hash_alg = IMB_AUTH_AES_XCBC;
        job->u.XCBC._k1_expanded = (const uint32_t *)(const void *)schedule;
        job->u.XCBC._k2 = keys->code.aes.full;
        job->u.XCBC._k3 = keys->code.aes.padded;
        return true;
    case CYGNET_MB_CMAC: {
        if (length != 16) return false;
        aes_schedule other;
        mb->keyexp_128(key, schedule, &other);
        explicit_bzero(&other, sizeof other);
        mb->cmac_subkey_gen_128(schedule, keys->code.aes.full, keys->code.aes.padded);
        job->hash_alg = IMB_AUTH_AES_CMAC;
        job->u.CMAC._key_expanded = schedule;
        job->u.CMAC._skey1 = keys->code.aes.full;
        job->u.CMAC._skey2 = keys->code.aes.padded;
        return true;
    }
    }
    return false;
}

cygnet_mb_keys *cygnet_mb_keys_make(cygnet_mb_kind kind, const uint8_t *key, size_t key_length, const uint8_t *code_key,
                                    size_t code_key_length) {
    const IMB_MGR *mb = functions();
    cygnet_mb_keys *keys = mb ? make(sizeof *keys) : NULL;
    if (!keys) return NULL;
    keys->job.cipher_start_src_offset_in_bytes = kind.text_offset;
    // A combined cipher takes its text from there on; a separate code begins with the packet.
    keys->job.hash_start_src_offset_in_bytes = kind.code == CYGNET_MB_COMBINED ? kind.text_offset : 0;
    keys->job.iv_len_in_bytes = kind.iv_length;
    keys->job.auth_tag_output_len_in_bytes = kind.tag_length;
    if (prepare_cipher(mb, keys, kind, key, key_length) &&
        prepare_code(mb, keys, kind.code, code_key, code_key_length))
        return keys;
    cygnet_mb_keys_free(keys);
    return NULL;
}

void cygnet_mb_keys_free(cygnet_mb_keys *keys) { discard(keys, sizeof *keys); }

static thread_state *this_thread(void) {
    if (current) return current;
    if (!functions()) return NULL;
    thread_state *state = make(sizeof *state);
    IMB_MGR *manager = state ? make_manager() : NULL;
    if (!manager || pthread_setspecific(thread_key, state) != 0) {
        free(manager);
        free(state);
        return NULL;
    }
    state->manager = manager;
    state->shown = (cygnet_mb_thread){state->jobs, state->scratch};
    current = state;
    return state;
}

const cygnet_mb_thread *cygnet_mb_this_thread(void) {
    thread_state *state = this_thread();
    return state ? &state->shown : NULL;
}

struct IMB_MGR *cygnet_mb_manager(void) {
    thread_state *state = this_thread();
    return state ? state->manager : NULL;
}

static void fill(IMB_JOB *job, const cygnet_mb_keys *keys, cygnet_mb_job *wanted) {
    *job = keys->job;
    job->src = wanted->packet;
    job->dst = wanted->packet + keys->job.cipher_start_src_offset_in_bytes;
    job->msg_len_to_cipher_in_bytes = wanted->text_length;
    job->iv = wanted->iv;
    job->auth_tag_output = wanted->tag;
    job->user_data = wanted;
    switch (job->cipher_mode) {
    case IMB_CIPHER_CCM:
        job->msg_len_to_hash_in_bytes = wanted->text_length;
        job->u.CCM.aad = wanted->associated;
        job->u.CCM.aad_len_in_bytes = wanted->associated_length;
        break;
    case IMB_CIPHER_CHACHA20_POLY1305:
        job->msg_len_to_hash_in_bytes = wanted->text_length;
        job->u.CHACHA20_POLY1305.aad = wanted->associated;
        job->u.CHACHA20_POLY1305.aad_len_in_bytes = wanted->associated_length;
        break;
    default: job->msg_len_to_hash_in_bytes = wanted->code_length; break;
    }
    wanted->is_done = false;
}

static void note(IMB_JOB *const *jobs, uint32_t count) {
    for (uint32_t i = 0; i < count; i++) {
        cygnet_mb_job *wanted = jobs[i]->user_data;
        wanted->is_done = jobs[i]->status == IMB_STATUS_COMPLETED;
    }
}

void cygnet_mb_run(const cygnet_mb_keys *keys, const cygnet_mb_thread *thread, uint32_t count) {
    IMB_MGR *mb = ((const thread_state *)thread)->manager;
    IMB_JOB *jobs[CYGNET_MB_JOBS];
    // The queue is empty between calls and has room for all.
    uint32_t got = count <= CYGNET_MB_JOBS ? mb->get_next_burst(mb, count, jobs) : 0;
    for (uint32_t i = 0; i < got; i++) fill(jobs[i], keys, &thread->jobs[i]);
    for (uint32_t i = got; i < count; i++) thread->jobs[i].is_done = false;
    if (got == 0) return;
    // What the caller has looked at is not looked at again.
    uint32_t done = mb->submit_burst_nocheck(mb, got, jobs);
    note(jobs, done);
    while (done < got) {
        uint32_t more = mb->flush_burst(mb, got - done, jobs);
        if (more == 0) break;
        note(jobs, more);
        done += more;
    }
}

#else

bool cygnet_mb_is_available(void) { return false; }

bool cygnet_mb_gcm(size_t key_length, cygnet_mb_gcm_calls *calls) {
    (void)key_length, (void)calls;
    return false;
}

struct gcm_key_data *cygnet_mb_gcm_key_make(const uint8_t *key, size_t key_length) {
    (void)key, (void)key_length;
    return NULL;
}

void cygnet_mb_gcm_key_free(struct gcm_key_data *key) { (void)key; }

cygnet_mb_keys *cygnet_mb_keys_make(cygnet_mb_kind kind, const uint8_t *key, size_t key_length, const uint8_t *code_key,
                                    size_t code_key_length) {
    (void)kind, (void)key, (void)key_length, (void)code_key, (void)code_key_length;
    return NULL;
}

void cygnet_mb_keys_free(cygnet_mb_keys *keys) { (void)keys; }

const cygnet_mb_thread *cygnet_mb_this_thread(void) { return NULL; }

void cygnet_mb_run(const cygnet_mb_keys *keys, const cygnet_mb_thread *thread, uint32_t count) {
    (void)keys, (void)thread, (void)count;
}

struct IMB_MGR *cygnet_mb_manager(void) { return NULL; }

#endif
