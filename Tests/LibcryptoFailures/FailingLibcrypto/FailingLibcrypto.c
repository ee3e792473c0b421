#define _GNU_SOURCE
#include "FailingLibcrypto.h"
#include <dlfcn.h>
#include <openssl/bn.h>
#include <openssl/crypto.h>
#include <openssl/dh.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

// Functions that give a number: type, what says that they failed, name, parameters, arguments.
#define NUMBERS(F) \
    F(int, 1, CRYPTO_memcmp, (const void *a, const void *b, size_t n), (a, b, n)) \
    F(int, 0, BN_MONT_CTX_set, (BN_MONT_CTX * m, const BIGNUM *n, BN_CTX *c), (m, n, c)) \
    F(int, 0, BN_add, (BIGNUM * r, const BIGNUM *a, const BIGNUM *b), (r, a, b)) \
    F(int, 0, BN_sub, (BIGNUM * r, const BIGNUM *a, const BIGNUM *b), (r, a, b)) \
    F(int, 0, BN_bn2binpad, (const BIGNUM *a, unsigned char *o, int n), (a, o, n)) \
    F(int, 0, BN_div, (BIGNUM * q, BIGNUM * r, const BIGNUM *a, const BIGNUM *b, BN_CTX *c), (q, r, a, b, c)) \
    F(int, 0, BN_mod_exp_mont_consttime, \
      (BIGNUM * r, const BIGNUM *a, const BIGNUM *e, const BIGNUM *n, BN_CTX *c, BN_MONT_CTX *m), (r, a, e, n, c, m)) \
    F(int, 0, BN_num_bits, (const BIGNUM *a), (a)) \
    F(int, 0, BN_set_word, (BIGNUM * a, BN_ULONG w), (a, w)) \
    F(int, 0, EC_GROUP_get_degree, (const EC_GROUP *g), (g)) \
    F(int, 0, EC_POINT_get_affine_coordinates, \
      (const EC_GROUP *g, const EC_POINT *p, BIGNUM *x, BIGNUM *y, BN_CTX *c), (g, p, x, y, c)) \
    F(int, 0, EC_POINT_mul, \
      (const EC_GROUP *g, EC_POINT *r, const BIGNUM *n, const EC_POINT *q, const BIGNUM *m, BN_CTX *c), \
      (g, r, n, q, m, c)) \
    F(int, 0, EC_POINT_oct2point, (const EC_GROUP *g, EC_POINT *p, const unsigned char *o, size_t n, BN_CTX *c), \
      (g, p, o, n, c)) \
    F(int, 0, EVP_CIPHER_CTX_ctrl, (EVP_CIPHER_CTX * c, int t, int n, void *p), (c, t, n, p)) \
    F(int, 0, EVP_CIPHER_CTX_set_padding, (EVP_CIPHER_CTX * c, int p), (c, p)) \
    F(int, 0, EVP_CIPHER_get_key_length, (const EVP_CIPHER *c), (c)) \
    F(int, 0, EVP_CipherFinal_ex, (EVP_CIPHER_CTX * c, unsigned char *o, int *n), (c, o, n)) \
    F(int, 0, EVP_CipherInit_ex, \
      (EVP_CIPHER_CTX * c, const EVP_CIPHER *t, ENGINE *e, const unsigned char *k, const unsigned char *i, int d), \
      (c, t, e, k, i, d)) \
    F(int, 0, EVP_CipherUpdate, (EVP_CIPHER_CTX * c, unsigned char *o, int *n, const unsigned char *i, int l), \
      (c, o, n, i, l)) \
    F(int, 0, EVP_DigestSign, (EVP_MD_CTX * c, unsigned char *s, size_t *n, const unsigned char *d, size_t l), \
      (c, s, n, d, l)) \
    F(int, 0, EVP_DigestSignInit, (EVP_MD_CTX * c, EVP_PKEY_CTX **p, const EVP_MD *t, ENGINE *e, EVP_PKEY *k), \
      (c, p, t, e, k)) \
    F(int, 0, EVP_DigestVerify, \
      (EVP_MD_CTX * c, const unsigned char *s, size_t n, const unsigned char *d, size_t l), (c, s, n, d, l)) \
    F(int, 0, EVP_DigestVerifyInit, (EVP_MD_CTX * c, EVP_PKEY_CTX **p, const EVP_MD *t, ENGINE *e, EVP_PKEY *k), \
      (c, p, t, e, k)) \
    F(size_t, 0, EVP_MAC_CTX_get_mac_size, (EVP_MAC_CTX * c), (c)) \
    F(int, 0, EVP_MAC_final, (EVP_MAC_CTX * c, unsigned char *o, size_t *n, size_t s), (c, o, n, s)) \
    F(int, 0, EVP_MAC_init, (EVP_MAC_CTX * c, const unsigned char *k, size_t n, const OSSL_PARAM p[]), (c, k, n, p)) \
    F(int, 0, EVP_MAC_update, (EVP_MAC_CTX * c, const unsigned char *d, size_t n), (c, d, n)) \
    F(int, 0, EVP_PKEY_derive, (EVP_PKEY_CTX * c, unsigned char *k, size_t *n), (c, k, n)) \
    F(int, 0, EVP_PKEY_derive_init, (EVP_PKEY_CTX * c), (c)) \
    F(int, 0, EVP_PKEY_derive_set_peer, (EVP_PKEY_CTX * c, EVP_PKEY *p), (c, p)) \
    F(int, 0, EVP_PKEY_get_raw_public_key, (const EVP_PKEY *k, unsigned char *o, size_t *n), (k, o, n))

// Functions that give a pointer: type, name, parameters, arguments.
#define POINTERS(F) \
    F(BN_CTX *, BN_CTX_new, (void), ()) \
    F(BN_CTX *, BN_CTX_secure_new, (void), ()) \
    F(BN_MONT_CTX *, BN_MONT_CTX_new, (void), ()) \
    F(BIGNUM *, BN_bin2bn, (const unsigned char *d, int n, BIGNUM *r), (d, n, r)) \
    F(BIGNUM *, BN_get_rfc3526_prime_2048, (BIGNUM * n), (n)) \
    F(BIGNUM *, BN_get_rfc3526_prime_3072, (BIGNUM * n), (n)) \
    F(BIGNUM *, BN_get_rfc3526_prime_4096, (BIGNUM * n), (n)) \
    F(BIGNUM *, BN_get_rfc3526_prime_6144, (BIGNUM * n), (n)) \
    F(BIGNUM *, BN_get_rfc3526_prime_8192, (BIGNUM * n), (n)) \
    F(BIGNUM *, BN_new, (void), ()) \
    F(BIGNUM *, BN_secure_new, (void), ()) \
    F(const BIGNUM *, EC_GROUP_get0_order, (const EC_GROUP *g), (g)) \
    F(EC_GROUP *, EC_GROUP_new_by_curve_name, (int n), (n)) \
    F(EC_POINT *, EC_POINT_new, (const EC_GROUP *g), (g)) \
    F(EVP_CIPHER_CTX *, EVP_CIPHER_CTX_new, (void), ()) \
    F(EVP_MAC_CTX *, EVP_MAC_CTX_new, (EVP_MAC * m), (m)) \
    F(EVP_MAC *, EVP_MAC_fetch, (OSSL_LIB_CTX * c, const char *a, const char *p), (c, a, p)) \
    F(EVP_MD_CTX *, EVP_MD_CTX_new, (void), ()) \
    F(EVP_PKEY_CTX *, EVP_PKEY_CTX_new, (EVP_PKEY * k, ENGINE * e), (k, e)) \
    F(EVP_PKEY *, EVP_PKEY_new_raw_private_key, (int t, ENGINE *e, const unsigned char *k, size_t n), (t, e, k, n)) \
    F(EVP_PKEY *, EVP_PKEY_new_raw_public_key, (int t, ENGINE *e, const unsigned char *k, size_t n), (t, e, k, n)) \
    F(const EVP_CIPHER *, EVP_aes_128_cbc, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_128_ccm, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_128_ctr, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_128_gcm, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_192_cbc, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_192_ccm, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_192_ctr, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_192_gcm, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_cbc, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_ccm, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_ctr, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_ecb, (void), ()) \
    F(const EVP_CIPHER *, EVP_aes_256_gcm, (void), ()) \
    F(const EVP_CIPHER *, EVP_chacha20_poly1305, (void), ())

static const struct {
    const char *name;
    int manners;
} functions[] = {
#define ENTRY(type, failure, name, parameters, arguments) {#name, 3},
    NUMBERS(ENTRY)
#undef ENTRY
#define ENTRY(type, name, parameters, arguments) {#name, 1},
    POINTERS(ENTRY)
#undef ENTRY
};

static const int functionCount = sizeof functions / sizeof *functions;

static char chosen[64];
static long firstFailing, lastFailing;
static enum failure_manner mannerOfFailing;
static atomic_int isCounting;
static atomic_long calls;

const char *failing_function(int index) { return index >= 0 && index < functionCount ? functions[index].name : NULL; }

int failing_manners(const char *function) {
    for (int index = 0; index < functionCount; index++)
        if (strcmp(functions[index].name, function) == 0) return functions[index].manners;
    return 0;
}

void failing_begin(const char *function, long first, long last, enum failure_manner manner) {
    snprintf(chosen, sizeof chosen, "%s", function);
    firstFailing = first;
    lastFailing = last;
    mannerOfFailing = manner;
    atomic_store(&calls, 0);
    atomic_store(&isCounting, 1);
}

long failing_end(void) {
    atomic_store(&isCounting, 0);
    return atomic_load(&calls);
}

// Where the program's own instructions are, as the linker has it.
extern const char __executable_start[], etext[];

static int fails(const char *name, const char *caller) {
    if (!atomic_load(&isCounting) || caller < __executable_start || caller >= etext) return 0;
    if (strcmp(name, chosen) != 0) return 0;
    long number = atomic_fetch_add(&calls, 1) + 1;
    return number >= firstFailing && number <= lastFailing;
}

static void *real(const char *name) {
    void *function = dlsym(RTLD_NEXT, name);
    if (!function) abort();
    return function;
}

#define DEFINITION(type, failure, name, parameters, arguments) \
    type name parameters { \
        static type(*next) parameters; \
        if (!next) next = real(#name); \
        if (!fails(#name, __builtin_return_address(0))) return next arguments; \
        if (mannerOfFailing == failure_manner_negative) return (type) -1; \
        if (mannerOfFailing == failure_manner_afterwards) next arguments; \
        return failure; \
    }
NUMBERS(DEFINITION)
#undef DEFINITION

#define DEFINITION(type, name, parameters, arguments) \
    type name parameters { \
        static type(*next) parameters; \
        if (!next) next = real(#name); \
        return fails(#name, __builtin_return_address(0)) ? NULL : next arguments; \
    }
POINTERS(DEFINITION)
