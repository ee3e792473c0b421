#ifndef CYGNET_BARE_CIPHER_H
#define CYGNET_BARE_CIPHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

// ipsec-mb called in a loop and nothing else: what a packet costs at least.

typedef enum {
    CYGNET_BARE_AES_128_GCM,
    CYGNET_BARE_AES_256_GCM,
    CYGNET_BARE_CHACHA20_POLY1305,
} cygnet_bare_algorithm;

typedef struct cygnet_bare cygnet_bare;

// For the calling thread. Returns NULL where ipsec-mb is not available.
cygnet_bare *cygnet_bare_make(cygnet_bare_algorithm algorithm);
void cygnet_bare_free(cygnet_bare *bare);

// Encrypts or decrypts `count` texts of `length` octets in place, the first at `texts` and each `stride` octets after the one before, with
// a new nonce and 12 new octets of associated data for each, and writes a tag of 16 octets behind each.
void cygnet_bare_run(cygnet_bare *bare, bool encrypts, uint8_t *texts, size_t stride, uint32_t count, uint64_t length);

#endif
