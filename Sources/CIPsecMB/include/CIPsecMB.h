// Version 1.3 of Intel's Multi-Buffer Crypto for IPsec, loaded when it is first asked for. Without its header at build time, on another
// processor than x86-64, or where the library is not installed, it is simply not available, and nothing here is made.
#ifndef CYGNET_CIPSECMB_H
#define CYGNET_CIPSECMB_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// Whether the library is on this machine, of the version that this was built for, passes its tests of itself, and the processor
// has instructions for AES.
bool cygnet_mb_is_available(void);

// AES-GCM and AES-GMAC, which need nothing but a key: calls that do one packet each.

struct gcm_key_data;
struct gcm_context_data;

typedef struct {
    // Key, working memory, output, input, their length, IV of 12 octets, associated data, their length, tag, its length.
    void (*seal)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *, const uint8_t *, uint64_t,
                 const uint8_t *, const uint8_t *, uint64_t, uint8_t *, uint64_t);
    void (*open)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *, const uint8_t *, uint64_t,
                 const uint8_t *, const uint8_t *, uint64_t, uint8_t *, uint64_t);
    // IV and its length; a part of the text and its length; tag and its length.
    void (*begin_code)(const struct gcm_key_data *, struct gcm_context_data *, const uint8_t *, uint64_t);
    void (*authenticate)(const struct gcm_key_data *, struct gcm_context_data *, const uint8_t *, uint64_t);
    void (*finish_code)(const struct gcm_key_data *, struct gcm_context_data *, uint8_t *, uint64_t);
} cygnet_mb_gcm_calls;

// Octets of working memory for one of these calls, aligned to 16.
enum { CYGNET_MB_GCM_CONTEXT = 96 };

// Sets the calls for a key of 16, 24 or 32 octets. Returns whether there are any.
bool cygnet_mb_gcm(size_t key_length, cygnet_mb_gcm_calls *calls);
// Prepares a key. Returns NULL without memory or library.
struct gcm_key_data *cygnet_mb_gcm_key_make(const uint8_t *key, size_t key_length);
// Wipes a key and frees it.
void cygnet_mb_gcm_key_free(struct gcm_key_data *key);

// Whether two codes of 8 to 16 octets are the same. It takes the same time wherever they differ: their first and last eight octets
// are looked at together.
static inline bool cygnet_mb_same_code(const uint8_t *one, const uint8_t *other, size_t count) {
    uint64_t a[2], b[2];
    __builtin_memcpy(&a[0], one, 8);
    __builtin_memcpy(&b[0], other, 8);
    __builtin_memcpy(&a[1], one + count - 8, 8);
    __builtin_memcpy(&b[1], other + count - 8, 8);
    return ((a[0] ^ b[0]) | (a[1] ^ b[1])) == 0;
}

// Everything else: jobs, of which a thread submits several at once.

typedef enum {
    CYGNET_MB_NONE,
    CYGNET_MB_CBC,
    CYGNET_MB_COUNTER,
    CYGNET_MB_CCM,
    CYGNET_MB_CHACHA20_POLY1305,
} cygnet_mb_cipher;

typedef enum {
    CYGNET_MB_COMBINED, // the cipher has a code of its own
    CYGNET_MB_HMAC_SHA1,
    CYGNET_MB_HMAC_SHA256,
    CYGNET_MB_HMAC_SHA384,
    CYGNET_MB_HMAC_SHA512,
    CYGNET_MB_XCBC,
    CYGNET_MB_CMAC,
} cygnet_mb_code;

// What jobs under the same keys have in common.
typedef struct {
    cygnet_mb_cipher cipher;
    cygnet_mb_code code;
    bool encrypts;        // otherwise decrypts
    uint32_t iv_length;
    uint32_t tag_length;
    uint32_t text_offset; // from the start of a packet to what is encrypted
} cygnet_mb_kind;

typedef struct cygnet_mb_keys cygnet_mb_keys;

// Prepares keys; the one of the code is not looked at where the cipher has its own. Returns NULL without memory or library, or if the
// library does not have such a pair.
cygnet_mb_keys *cygnet_mb_keys_make(cygnet_mb_kind kind, const uint8_t *key, size_t key_length, const uint8_t *code_key,
                                    size_t code_key_length);
// Wipes keys and frees them.
void cygnet_mb_keys_free(cygnet_mb_keys *keys);

// A packet to work on in place.
typedef struct {
    uint8_t *packet;
    uint64_t text_length;       // octets to encrypt or decrypt
    uint64_t code_length;       // octets from the start of the packet that a separate code covers
    const uint8_t *iv;
    const uint8_t *associated;  // what else a combined cipher authenticates
    uint64_t associated_length;
    uint8_t *tag;               // where the tag that was computed goes
    bool is_done;               // result
} cygnet_mb_job;

enum {
    CYGNET_MB_JOBS = 64,        // as many at once
    CYGNET_MB_JOB_SCRATCH = 128 // octets of scratch memory for each, aligned to 64
};

// What one thread has for itself; freed, and wiped, when the thread ends.
typedef struct {
    cygnet_mb_job *jobs;
    uint8_t *scratch;
} cygnet_mb_thread;

// The calling thread's. NULL without memory or library.
const cygnet_mb_thread *cygnet_mb_this_thread(void);

// Does the first `count` of the calling thread's jobs, at most CYGNET_MB_JOBS.
void cygnet_mb_run(const cygnet_mb_keys *keys, const cygnet_mb_thread *thread, uint32_t count);

// The calling thread's job manager, for measuring the library by itself. NULL without memory or library.
struct IMB_MGR *cygnet_mb_manager(void);

#endif
